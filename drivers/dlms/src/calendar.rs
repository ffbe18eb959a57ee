//! When which tariff holds, as class 20 has it (activity calendar, IEC 62056-6-2, 4.5.5): days with
//! what begins at which hour, weeks of days, seasons of weeks.
//!
//! Invariant: what a person wrote is understood whole before the meter hears of it; a table is written
//! as it stands there and nothing is added. Not here: special days (class 11), and what a script does.

use crate::settings::bad;
use polymeter_codec::Obis;
use polymeter_driver::{DriverError, Value, time};

pub const CLASS: u16 = 20;
/// The passive tables, and when they come into use.
pub const SEASONS: i8 = 7;
pub const WEEKS: i8 = 8;
pub const DAYS: i8 = 9;
pub const ACTIVATION: i8 = 10;
/// Days, weeks or seasons of one table, and changes of one day.
const ROWS_MAX: usize = 24;
/// Letters of a name.
const NAME_MAX: usize = 8;
const DAYS_OF_A_WEEK: usize = 7;

/// "1: 00:00 4, 06:30 2; 2: 00:00 4": each day its number, and the tariffs by the hour from which they
/// hold; a tariff is the selector in the table of scripts.
pub fn days(name: &str, value: &Value, scripts: Obis) -> Result<Vec<u8>, DriverError> {
    table(name, value, |id, day| {
        let changes: Vec<(u8, u8, u16)> = day.split(',').map(change).collect::<Option<_>>()?;
        let ascends =
            changes.is_sorted_by(|before, after| (before.0, before.1) < (after.0, after.1));
        let count = u8::try_from(changes.len()).ok().filter(|_| changes.len() <= ROWS_MAX)?;
        if !ascends {
            return None;
        }
        let mut bytes = vec![0x02, 2, 0x11, number(id)?, 0x01, count];
        for (hour, minute, tariff) in changes {
            let Obis(script) = scripts;
            bytes.extend([0x02, 3, 0x09, 4, hour, minute, 0, 0, 0x09, 6]);
            bytes.extend(script);
            bytes.push(0x12);
            bytes.extend(tariff.to_be_bytes());
        }
        Some(bytes)
    })
}

/// "06:30 2"
fn change(text: &str) -> Option<(u8, u8, u16)> {
    let (at, tariff) = text.trim().split_once(' ')?;
    // Any day will do.
    let at = time::typed(&format!("2000-01-01 {at}"))?;
    Some((at.hour, at.minute, number(tariff.trim())?))
}

/// "A: 1 1 1 1 1 2 2": each week its name, and the days from Monday on.
pub fn weeks(name: &str, value: &Value) -> Result<Vec<u8>, DriverError> {
    table(name, value, |week, days| {
        let days: Vec<u8> = days.split_ascii_whitespace().map(number).collect::<Option<_>>()?;
        if days.len() != DAYS_OF_A_WEEK {
            return None;
        }
        let mut bytes = vec![0x02, 8];
        bytes.extend(named(week)?);
        days.into_iter().for_each(|day| bytes.extend([0x11, day]));
        Some(bytes)
    })
}

/// "S: 04-01 A; W: 10-01 B": each season its name, month and day of its beginning, and its week.
pub fn seasons(name: &str, value: &Value) -> Result<Vec<u8>, DriverError> {
    table(name, value, |season, rest| {
        let (begins, week) = rest.trim().split_once(' ')?;
        // A leap year, so that its day exists too.
        let at = time::typed(&format!("2000-{begins} 00:00"))?;
        let mut bytes = vec![0x02, 3];
        bytes.extend(named(season)?);
        // Each year, whatever day of the week; no deviation from UTC, no status.
        bytes.extend([0x09, 12, 0xFF, 0xFF, at.month, at.day, 0xFF, 0, 0, 0, 0, 0x80, 0x00, 0xFF]);
        bytes.extend(named(week.trim())?);
        Some(bytes)
    })
}

/// An array of what stands between semicolons, each a name, a colon and the rest.
fn table(
    name: &str,
    value: &Value,
    row: impl Fn(&str, &str) -> Option<Vec<u8>>,
) -> Result<Vec<u8>, DriverError> {
    let Value::Text(text) = value else { return Err(bad(format!("{name} must be a text"))) };
    let mut rows = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    for part in text.split(';') {
        let wrong = || bad(format!("{name}: `{}` is not understood", part.trim()));
        let (first, rest) = part.split_once(':').ok_or_else(wrong)?;
        let first = first.trim();
        if names.contains(&first) {
            return Err(bad(format!("{name}: `{first}` is there twice")));
        }
        names.push(first);
        rows.push(row(first, rest).ok_or_else(wrong)?);
    }
    let count = u8::try_from(rows.len()).ok().filter(|_| rows.len() <= ROWS_MAX);
    let count = count.ok_or_else(|| bad(format!("{name}: more than {ROWS_MAX} rows")))?;
    Ok([&[0x01, count], rows.concat().as_slice()].concat())
}

/// A name of letters and digits, as octets.
fn named(name: &str) -> Option<Vec<u8>> {
    let fits = (1..=NAME_MAX).contains(&name.len());
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let length = u8::try_from(name.len()).ok()?;
    (fits && plain).then(|| [&[0x09, length], name.as_bytes()].concat())
}

/// Digits alone: no sign, as `parse` would take one.
fn number<N: std::str::FromStr>(text: &str) -> Option<N> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may say so by failing")]
mod tests {
    use super::*;

    const SCRIPTS: Obis = Obis([0, 0, 10, 0, 100, 255]);

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn tables_are_written_as_the_document_has_them() {
        let days = days("d", &text("1: 00:00 4, 06:30 2; 2: 00:00 1"), SCRIPTS).unwrap();
        let expected = [
            &[0x01, 2, 0x02, 2, 0x11, 1, 0x01, 2][..],
            &[0x02, 3, 0x09, 4, 0, 0, 0, 0, 0x09, 6, 0, 0, 10, 0, 100, 255, 0x12, 0, 4],
            &[0x02, 3, 0x09, 4, 6, 30, 0, 0, 0x09, 6, 0, 0, 10, 0, 100, 255, 0x12, 0, 2],
            &[0x02, 2, 0x11, 2, 0x01, 1],
            &[0x02, 3, 0x09, 4, 0, 0, 0, 0, 0x09, 6, 0, 0, 10, 0, 100, 255, 0x12, 0, 1],
        ];
        assert_eq!(days, expected.concat());
        let weeks = weeks("w", &text("A: 1 1 1 1 1 2 2")).unwrap();
        let expected = [&[0x01, 1, 0x02, 8, 0x09, 1, b'A'][..], &[0x11, 1].repeat(5)];
        assert_eq!(weeks, [expected.concat(), [0x11, 2].repeat(2)].concat());
        let seasons = seasons("s", &text("S: 04-01 A")).unwrap();
        let expected = [
            &[0x01, 1, 0x02, 3, 0x09, 1, b'S', 0x09, 12, 0xFF, 0xFF, 4, 1, 0xFF, 0, 0, 0, 0][..],
            &[0x80, 0x00, 0xFF, 0x09, 1, b'A'],
        ];
        assert_eq!(seasons, expected.concat());
    }

    #[test]
    fn what_is_no_table_is_refused() {
        for wrong in [
            "",
            "1",
            "1:",
            "1: 00:00",
            "1: 24:00 1",
            "1: 06:00 1, 00:00 2",
            "256: 00:00 1",
            "1: 00:00 65536",
            "1: 00:00 1; 1: 00:00 2",
            "1: 00:00 -1",
            "1: 00:00 1;",
        ] {
            assert!(days("d", &text(wrong), SCRIPTS).is_err(), "{wrong}");
        }
        for wrong in
            ["A: 1 1 1 1 1 2", "A: 1 1 1 1 1 2 256", "A B: 1 1 1 1 1 1 1", ": 1 1 1 1 1 1 1"]
        {
            assert!(weeks("w", &text(wrong)).is_err(), "{wrong}");
        }
        for wrong in ["S: 02-30 A", "S: 04-01", "S: 4-1-1 A", "S: 04-01 ABCDEFGHI"] {
            assert!(seasons("s", &text(wrong)).is_err(), "{wrong}");
        }
        let many: Vec<String> = (1..=25).map(|day| format!("{day}: 00:00 1")).collect();
        assert!(days("d", &text(&many.join("; ")), SCRIPTS).is_err());
        assert!(seasons("s", &Value::Flag(true)).is_err());
    }
}
