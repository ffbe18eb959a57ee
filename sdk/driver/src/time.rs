//! Civil times as numbers, for what drivers reckon with a device's clock: how far it is off, what was
//! an hour ago, which day of the week it is.
//!
//! Invariant: no time zone and no leap second; a time that does not exist counts on from the one
//! before it. Not here: how a protocol writes a time (its codec).

use crate::LocalTime;

/// Seconds of a day.
pub const DAY: i64 = 86_400;

/// Seconds since 0000-03-01 00:00:00, the first day of a year that ends with its leap day.
pub fn seconds(time: LocalTime) -> i64 {
    days(time).saturating_mul(DAY).saturating_add(of_day(time))
}

/// Seconds since midnight.
pub fn of_day(time: LocalTime) -> i64 {
    let minutes = i64::from(time.hour).saturating_mul(60).saturating_add(time.minute.into());
    minutes.saturating_mul(60).saturating_add(time.second.into())
}

/// How far `shown` is ahead of `now`; below zero where it is behind.
///
/// ```
/// use polymeter_driver::{LocalTime, time};
///
/// let now = LocalTime { year: 2028, month: 3, day: 1, hour: 0, minute: 0, second: 5 };
/// let shown = LocalTime { year: 2028, month: 2, day: 29, hour: 23, minute: 59, second: 0 };
/// assert_eq!(time::ahead(shown, now), -65);
/// ```
pub fn ahead(shown: LocalTime, now: LocalTime) -> i64 {
    seconds(shown).saturating_sub(seconds(now))
}

/// The time that [`seconds`] gives this number for. Years beyond 16 bits become the last one.
///
/// ```
/// use polymeter_driver::{LocalTime, time};
///
/// let now = LocalTime { year: 2028, month: 3, day: 1, hour: 0, minute: 10, second: 59 };
/// let before = time::at(time::seconds(now) - 11 * 60);
/// assert_eq!((before.month, before.day, before.hour, before.minute), (2, 29, 23, 59));
/// ```
pub fn at(seconds: i64) -> LocalTime {
    let (year, month, day) = date_of(seconds.div_euclid(DAY));
    let of_day = seconds.rem_euclid(DAY);
    let byte = |number: i64| u8::try_from(number).unwrap_or(u8::MAX);
    LocalTime {
        year: u16::try_from(year).unwrap_or(u16::MAX),
        month: byte(month),
        day: byte(day),
        hour: byte(of_day.div_euclid(3_600)),
        minute: byte(of_day.rem_euclid(3_600).div_euclid(60)),
        second: byte(of_day.rem_euclid(60)),
    }
}

/// A minute that a person typed, "2026-03-02 10:15", also with a `T` between its halves; none where it
/// does not exist.
///
/// ```
/// use polymeter_driver::time;
///
/// assert_eq!(time::typed("2028-02-29 10:15").map(|at| at.minute), Some(15));
/// assert_eq!(time::typed("2027-02-29 10:15"), None);
/// ```
pub fn typed(text: &str) -> Option<LocalTime> {
    let (date, of_day) = text.split_once([' ', 'T'])?;
    // Digits alone: no sign, as `parse` would take one.
    let number =
        |part: &str| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())?;
    let mut numbers = date.split('-').map(number);
    let mut date = || numbers.next().flatten();
    let (year, month, day): (u16, u16, u16) = (date()?, date()?, date()?);
    let mut parts = of_day.split(':').map(number);
    let mut of_day = || parts.next().flatten();
    let (hour, minute): (u16, u16) = (of_day()?, of_day()?);
    let is_over = numbers.next().is_none() && parts.next().is_none();
    let byte = |number: u16| u8::try_from(number).ok();
    let (month, day) = (byte(month)?, byte(day)?);
    let time = LocalTime { year, month, day, hour: byte(hour)?, minute: byte(minute)?, second: 0 };
    (is_over && at(seconds(time)) == time).then_some(time)
}

/// 0 for Sunday to 6, as DL/T 645-2007 counts (appendix A: WW).
pub fn weekday(time: LocalTime) -> u8 {
    // 0000-03-01 was a Wednesday.
    u8::try_from(days(time).saturating_add(3).rem_euclid(7)).unwrap_or(0)
}

/// Days by a year that begins in March, so that the leap day is its last one.
#[expect(clippy::arithmetic_side_effects, reason = "a year has 16 bits: nothing overflows 64")]
fn days(time: LocalTime) -> i64 {
    let (year, month) = (i64::from(time.year), i64::from(time.month));
    let year = if month <= 2 { year - 1 } else { year };
    let months = (month + 9) % 12;
    365 * year + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (153 * months + 2) / 5
        + i64::from(time.day)
        - 1
}

/// The other way round.
#[expect(clippy::arithmetic_side_effects, reason = "days of 64 bits of seconds")]
fn date_of(days: i64) -> (i64, i64, i64) {
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let months = (5 * of_year + 2) / 153;
    let day = of_year - (153 * months + 2) / 5 + 1;
    let month = if months < 10 { months + 3 } else { months - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(year: u16, month: u8, day: u8) -> LocalTime {
        LocalTime { year, month, day, hour: 12, minute: 34, second: 56 }
    }

    #[test]
    fn every_day_is_one_more() {
        let mut last = seconds(day(1999, 12, 31));
        for _ in 0..146_098 {
            last += DAY;
            assert_eq!(seconds(at(last)), last);
        }
        assert_eq!(at(last), day(2400, 1, 1));
    }

    #[test]
    fn days_of_the_week() {
        assert_eq!(weekday(day(2026, 11, 26)), 4);
        assert_eq!(weekday(day(2000, 2, 29)), 2);
        assert_eq!(weekday(day(2025, 10, 26)), 0);
    }

    #[test]
    fn what_is_no_minute_is_none() {
        let time = LocalTime { year: 2026, month: 3, day: 2, hour: 10, minute: 15, second: 0 };
        for text in ["2026-03-02 10:15", "2026-03-02T10:15", "2026-3-2 10:15"] {
            assert_eq!(typed(text), Some(time), "{text}");
        }
        for text in [
            "",
            "soon",
            "2026-03-02",
            "2026-03-02 10:15:00",
            "2026-02-30 10:15",
            "2026-13-02 10:15",
            "2026-00-02 10:15",
            "2026-03-02 24:15",
            "2026-03-02 10:60",
            "2026-03-+2 10:15",
            "2026-03-02-1 10:15",
            "65536-03-02 10:15",
            "2026-258-02 10:15",
        ] {
            assert_eq!(typed(text), None, "{text}");
        }
    }

    #[test]
    fn an_hour_before_the_year() {
        let new_year = LocalTime { year: 2027, month: 1, day: 1, hour: 0, minute: 0, second: 0 };
        let before = at(seconds(new_year) - 1);
        assert_eq!((before.year, before.month, before.day), (2026, 12, 31));
        assert_eq!((before.hour, before.minute, before.second), (23, 59, 59));
        assert_eq!(ahead(new_year, before), 1);
    }
}
