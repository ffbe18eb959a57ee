//! Tariff plans as text and as registers: the periods of a day, and which of two such plans a part of
//! the year has.
//!
//! Invariant: what is written reads back as the same text; a text that is no plan names what is wrong.
//! Not here: which tariff a number stands for, which the maker does not say.

use polymeter_driver::DriverError;
use polymeter_modbus::face::bad;

/// Three bytes each, in 21 registers.
const PERIODS: usize = 14;
/// Three bytes each, in 6 registers.
const PARTS: usize = 4;
/// The meter has five tariffs, and 0 where nothing stands.
const TARIFF_MOST: u8 = 5;
const DAY_PLANS: u8 = 2;

/// `00:00 4, 08:00 2` as bytes: tariff, minute, hour of each period, zeros behind the last.
pub fn day(text: &str) -> Result<Vec<u8>, DriverError> {
    let mut bytes = Vec::new();
    let mut before = None;
    for entry in entries(text, PERIODS)? {
        let ((hour, minute), tariff) = split(entry, ':', TARIFF_MOST)?;
        let at = u16::from(hour).saturating_mul(60).saturating_add(u16::from(minute));
        if hour > 23 || minute > 59 {
            return Err(bad(format!("`{entry}` is no time of day")));
        }
        if before.is_some_and(|before| before >= at) {
            return Err(bad(format!("`{entry}` does not come after the period before it")));
        }
        before = Some(at);
        bytes.extend([tariff, minute, hour]);
    }
    bytes.resize(PERIODS.saturating_mul(3), 0);
    Ok(bytes)
}

/// `01-01 1, 07-01 2` as bytes: month, day, day plan of each part, zeros behind the last.
pub fn dates(text: &str) -> Result<Vec<u8>, DriverError> {
    let mut bytes = Vec::new();
    let mut before = None;
    for entry in entries(text, PARTS)? {
        let ((month, day), plan) = split(entry, '-', DAY_PLANS)?;
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(bad(format!("`{entry}` is no day of the year")));
        }
        if before.is_some_and(|before| before >= (month, day)) {
            return Err(bad(format!("`{entry}` does not come after the part before it")));
        }
        before = Some((month, day));
        bytes.extend([month, day, plan]);
    }
    bytes.resize(PARTS.saturating_mul(3), 0);
    Ok(bytes)
}

fn entries(text: &str, most: usize) -> Result<Vec<&str>, DriverError> {
    let entries: Vec<&str> = text.split(',').map(str::trim).collect();
    if entries.len() > most {
        return Err(bad(format!("{} entries are more than {most}", entries.len())));
    }
    Ok(entries)
}

/// Two numbers of two digits around `mark`, a blank, and a number from 1.
fn split(entry: &str, mark: char, most: u8) -> Result<((u8, u8), u8), DriverError> {
    let two = |text: &str| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u8>().ok().filter(|_| digits)
    };
    let read = || {
        let (at, number) = entry.split_once(' ')?;
        let (first, second) = at.split_once(mark)?;
        let number = number.trim();
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        let number = number.parse::<u8>().ok().filter(|it| digits && (1..=most).contains(it))?;
        Some(((two(first)?, two(second)?), number))
    };
    read().ok_or_else(|| {
        bad(format!("`{entry}` must be two digits, `{mark}`, two digits, a blank and 1 to {most}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(
        read: fn(&str) -> Result<Vec<u8>, DriverError>,
        text: &str,
        expected: Result<&[u8], &str>,
    ) {
        let found = read(text).map_err(|error| error.detail);
        let is_good = match (&found, expected) {
            (Ok(bytes), Ok(start)) => {
                let rest = bytes.strip_prefix(start);
                rest.is_some_and(|rest| rest.iter().all(|byte| *byte == 0))
                    && bytes.len().is_multiple_of(2)
            }
            (Err(error), Err(part)) => error.contains(part),
            _ => false,
        };
        assert!(is_good, "{text}: {found:?} instead of {expected:?}");
    }

    #[test]
    fn days() {
        check(day, "00:00 4, 08:30 2,22:00 4", Ok(&[4, 0, 0, 2, 30, 8, 4, 0, 22]));
        let many = |count: usize| {
            (0..count).map(|n| format!("{n:02}:00 1")).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(day(&many(14)).map(|bytes| bytes.len()), Ok(42));
        check(day, &many(15), Err("15 entries are more than 14"));
        check(day, "08:00 2, 08:00 3", Err("does not come after"));
        check(day, "24:00 1", Err("no time of day"));
        check(day, "08:60 1", Err("no time of day"));
        for wrong in
            ["", "8:00 1", "08:00", "08:00 0", "08:00 6", "08:00 +1", "08-00 1", "08:00 一"]
        {
            check(day, wrong, Err("must be two digits"));
        }
    }

    #[test]
    fn parts_of_a_year() {
        check(dates, "01-01 1, 07-01 2", Ok(&[1, 1, 1, 7, 1, 2]));
        check(dates, "13-01 1", Err("no day of the year"));
        check(dates, "01-00 1", Err("no day of the year"));
        check(dates, "01-01 3", Err("1 to 2"));
        check(dates, "07-01 1, 01-01 2", Err("does not come after"));
        check(dates, "01-01 1,02-01 1,03-01 1,04-01 1,05-01 1", Err("5 entries are more than 4"));
    }
}
