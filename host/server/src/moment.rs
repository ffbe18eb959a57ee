//! A moment of the books as people write it: a place in their order, a time, or a day of the site.
//!
//! Not here: what a moment means (the ledger's `Moment`).

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use polymeter_domain::LocalTime;
use polymeter_ledger::Moment;

pub const FORMS: &str = "write the number of a transfer (128), a time (2026-03-02T18:00:00+08:00, or \
                         2026-03-02T18:00 at the site), or a day (2026-03-02, its end)";

/// `128`, `2026-03-02T10:00:00Z`, `2026-03-02T18:00`, `2026-03-02`; nothing is now.
pub fn parse(text: &str, zone: &TimeZone) -> Result<Moment, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(Moment::Now);
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let sequence = text.parse();
        return sequence.map(Moment::Sequence).map_err(|_| format!("`{text}` is too large"));
    }
    let at = text.parse::<Timestamp>().ok().or_else(|| of_site(text, zone));
    let at = at.ok_or_else(|| format!("`{text}` is no moment: {FORMS}"))?;
    Ok(Moment::Time(at.as_millisecond()))
}

/// As [`parse`], but a day stands for its beginning.
pub fn begin(text: &str, zone: &TimeZone) -> Result<Moment, String> {
    let begins = |day: Date| Some(day.to_zoned(zone.clone()).ok()?.timestamp().as_millisecond());
    match text.trim().parse::<Date>().ok().filter(|_| text.trim().len() == 10).and_then(begins) {
        Some(at_ms) => Ok(Moment::Time(at_ms)),
        None => parse(text, zone),
    }
}

/// A day, which is its beginning, or a minute of it, by whatever clock.
pub fn civil(text: &str) -> Result<LocalTime, String> {
    let text = text.trim().replace(' ', "T");
    let day = || Some(text.parse::<Date>().ok()?.at(0, 0, 0, 0));
    let time = if text.len() == "2026-03-02".len() { day() } else { text.parse().ok() };
    let local = |time: DateTime| {
        let byte = |number: i8| u8::try_from(number).ok();
        Some(LocalTime {
            year: u16::try_from(time.year()).ok()?,
            month: byte(time.month())?,
            day: byte(time.day())?,
            hour: byte(time.hour())?,
            minute: byte(time.minute())?,
            second: byte(time.second())?,
        })
    };
    time.and_then(local)
        .ok_or_else(|| format!("`{text}` is no time: write 2026-03-02 or 2026-03-02T10:15"))
}

/// A civil time at the site, or the last millisecond of a day there.
fn of_site(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    if text.len() == "2026-03-02".len() {
        let after: Date = text.parse::<Date>().ok()?.tomorrow().ok()?;
        let begins = after.to_zoned(zone.clone()).ok()?.timestamp();
        return begins.checked_sub(1.millisecond()).ok();
    }
    let civil: DateTime = text.replace(' ', "T").parse().ok()?;
    zone.to_timestamp(civil).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<Moment, &str>) {
        let zone = TimeZone::get("Asia/Shanghai").expect("a zone");
        let parsed = parse(text, &zone);
        match expected {
            Ok(moment) => assert_eq!(parsed, Ok(moment), "{text}"),
            Err(why) => assert!(parsed.is_err_and(|error| error.starts_with(why)), "{text}"),
        }
    }

    #[test]
    fn a_span_begins_with_its_day() {
        let zone = TimeZone::get("Asia/Shanghai").expect("a zone");
        let at = |text: &str| begin(text, &zone);
        assert_eq!(at("2026-03-02"), Ok(Moment::Time(1_772_380_800_000)));
        assert_eq!(at("2026-03-02T18:00"), Ok(Moment::Time(1_772_445_600_000)));
        assert!(at("2026-02-30").is_err());
    }

    #[test]
    fn a_civil_time_is_a_day_or_a_minute() {
        let at = |hour, minute| LocalTime { year: 2026, month: 3, day: 2, hour, minute, second: 0 };
        assert_eq!(civil("2026-03-02"), Ok(at(0, 0)));
        assert_eq!(civil(" 2026-03-02 10:15 "), Ok(at(10, 15)));
        assert_eq!(civil("2026-03-02T10:15:00"), Ok(at(10, 15)));
        for bad in ["", "2026-02-30", "2026-03-02T25:00", "-001-03-02", "soon"] {
            assert!(civil(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_moment_is_a_number_a_time_or_a_day() {
        check("", Ok(Moment::Now));
        check("128", Ok(Moment::Sequence(128)));
        check("99999999999999999999", Err("`99999999999999999999` is too large"));
        check("2026-03-02T10:00:00Z", Ok(Moment::Time(1_772_445_600_000)));
        check("2026-03-02T18:00:00+08:00", Ok(Moment::Time(1_772_445_600_000)));
        check("2026-03-02T18:00", Ok(Moment::Time(1_772_445_600_000)));
        check(" 2026-03-02 18:00:00 ", Ok(Moment::Time(1_772_445_600_000)));
        check("2026-03-02", Ok(Moment::Time(1_772_467_199_999)));
        for text in ["-1", "yesterday", "2026-02-30", "2026-03-02T25:00", "1.5", "２"] {
            check(text, Err(&format!("`{text}` is no moment: write the number of")));
        }
    }
}
