//! Times as devices on Modbus hold them: a byte for each part, in binary, the year of this century.

use polymeter_driver::{LocalTime, time};

/// Year, month, day, hour, minute, second; `None` for what is no time.
///
/// ```
/// use polymeter_modbus::time::of_century;
///
/// assert!(of_century([24, 2, 29, 0, 0, 0]).is_some());
/// assert!(of_century([25, 2, 29, 0, 0, 0]).is_none());
/// ```
pub fn of_century([year, month, day, hour, minute, second]: [u8; 6]) -> Option<LocalTime> {
    let in_range = year < 100 && (1..=12).contains(&month) && day > 0;
    let year = u16::from(year).saturating_add(2000);
    let time = LocalTime { year, month, day, hour, minute, second };
    let possible = in_range && hour < 24 && minute < 60 && second < 60;
    // A day that does not exist counts on into the next month.
    (possible && time::at(time::seconds(time)) == time).then_some(time)
}

/// The year of this century; `None` for one of another.
pub fn year_of_century(time: &LocalTime) -> Option<u8> {
    let year = time.year.checked_sub(2000).and_then(|year| u8::try_from(year).ok());
    year.filter(|year| *year < 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let check = |bytes, good| assert_eq!(of_century(bytes).is_some(), good, "{bytes:?}");
        check([18, 1, 8, 10, 1, 1], true);
        check([24, 2, 29, 0, 0, 0], true);
        check([25, 2, 29, 0, 0, 0], false);
        check([18, 13, 8, 10, 1, 1], false);
        check([18, 0, 8, 10, 1, 1], false);
        check([18, 4, 31, 10, 1, 1], false);
        check([18, 1, 8, 24, 0, 0], false);
        check([18, 1, 8, 0, 60, 0], false);
        check([18, 1, 8, 0, 0, 60], false);
        check([0, 0, 0, 0, 0, 0], false);
        check([0x99; 6], false);
    }

    #[test]
    fn years() {
        let check = |year, expected| {
            let time = LocalTime { year, month: 1, day: 1, hour: 0, minute: 0, second: 0 };
            assert_eq!(year_of_century(&time), expected, "{year}");
        };
        check(2026, Some(26));
        check(1999, None);
        check(2100, None);
    }
}
