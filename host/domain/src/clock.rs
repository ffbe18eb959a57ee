//! The clock in a device beside the site's: how far it is off.
//!
//! Invariant: what is called a drift was proved: a call that takes seconds tells a drift no finer than
//! that, and what lies within is none. Not here: putting a clock right (service).

use crate::LocalTime;
use crate::tariff::Moment;
use std::fmt;

/// How far a device's clock is off, as one reading of it proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockDrift {
    /// At least so many seconds ahead; below zero: behind.
    pub seconds: i64,
    /// How long the call took in which it was read: the drift may be so much greater.
    pub within_seconds: i64,
}

impl ClockDrift {
    /// Of a clock that showed `shown` some time in the `took_ms` before `at`, the site's civil time.
    /// `None`: one of the two is no time.
    pub fn of(shown: LocalTime, at: LocalTime, took_ms: i64) -> Option<ClockDrift> {
        // Begun seconds count: a clock that shows whole seconds is not off by a part of one.
        let within_seconds = took_ms.max(0) / 1_000 + 1;
        let ahead = count(shown)? - count(at)?;
        let seconds = if ahead > 0 { ahead } else { (ahead + within_seconds).min(0) };
        Some(ClockDrift { seconds, within_seconds })
    }

    /// "right", "5 s ahead", "300 s behind".
    pub fn in_words(seconds: i64) -> String {
        match seconds {
            0 => "right".to_owned(),
            1.. => format!("{seconds} s ahead"),
            _ => format!("{} s behind", seconds.unsigned_abs()),
        }
    }
}

/// "300 s behind, seen within 2 s"
impl fmt::Display for ClockDrift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ClockDrift { seconds, within_seconds } = self;
        write!(f, "{}, seen within {within_seconds} s", ClockDrift::in_words(*seconds))
    }
}

/// Seconds since 1970 in civil time.
fn count(time: LocalTime) -> Option<i64> {
    let moment = Moment::of(time)?;
    Some(moment.day.number() * 86_400 + i64::from(moment.second))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(hour: u8, minute: u8, second: u8) -> LocalTime {
        LocalTime { year: 2026, month: 3, day: 2, hour, minute, second }
    }

    fn check(shown: LocalTime, at: LocalTime, took_ms: i64, seconds: i64, within_seconds: i64) {
        let drift = ClockDrift::of(shown, at, took_ms);
        assert_eq!(drift, Some(ClockDrift { seconds, within_seconds }));
    }

    #[test]
    fn only_what_is_proved() {
        check(time(10, 0, 0), time(10, 0, 0), 0, 0, 1);
        check(time(10, 0, 1), time(10, 0, 0), 0, 1, 1);
        check(time(9, 59, 59), time(10, 0, 0), 0, 0, 1);
        check(time(9, 59, 58), time(10, 0, 0), 0, -1, 1);
        // Read some time in the last eight seconds.
        check(time(9, 59, 53), time(10, 0, 0), 7_900, 0, 8);
        check(time(9, 59, 51), time(10, 0, 0), 7_900, -1, 8);
        check(time(11, 0, 0), time(10, 0, 0), 7_900, 3_600, 8);
        check(time(0, 0, 1), time(23, 59, 59), 0, -86_397, 1);
    }

    #[test]
    fn years_that_no_clock_should_show() {
        let lost = LocalTime { year: 2000, month: 1, day: 1, hour: 0, minute: 0, second: 0 };
        check(lost, time(0, 0, 0), 0, -825_724_799, 1);
        let none = LocalTime { month: 2, day: 30, ..time(0, 0, 0) };
        assert_eq!(ClockDrift::of(none, time(0, 0, 0), 0), None);
    }
}
