//! The envelopes that lines may have: what gateways of some makers put around the bytes. Data, in
//! `envelopes.toml`.
//!
//! Invariant: the built-in file is good, which a test sees. Not here: how a line wraps its bytes
//! (`polymeter_transport`), and which line has which (config).

use crate::vendors::Evidence;
use jiff::tz::TimeZone;
use polymeter_transport::{Envelope, Part, SiteClock, SiteTime};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::OnceLock;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    envelope: Vec<Raw>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Raw {
    name: String,
    start: String,
    end: String,
    through: String,
    answers: BTreeMap<String, String>,
    #[expect(dead_code, reason = "for who reads the file; that it is there is checked")]
    evidence: Evidence,
    #[expect(dead_code, reason = "for who reads the file; that it is there is checked")]
    source: String,
}

/// The names that a configuration may use.
pub fn names() -> Vec<&'static str> {
    built_in().iter().map(|envelope| envelope.name.as_str()).collect()
}

/// The envelope of this name, telling the time of `zone`.
pub fn named(name: &str, zone: &TimeZone) -> Option<Envelope> {
    let found = built_in().iter().find(|envelope| envelope.name == name)?;
    let zone = zone.clone();
    let clock = SiteClock::new(move || told(&jiff::Timestamp::now().to_zoned(zone.clone())));
    Some(Envelope { clock, ..found.clone() })
}

fn told(now: &jiff::Zoned) -> SiteTime {
    // jiff's months, days, hours and so on are small and never negative.
    let small = |part: i8| part.unsigned_abs();
    SiteTime {
        year: u8::try_from(now.year().rem_euclid(100)).unwrap_or_default(),
        month: small(now.month()),
        day: small(now.day()),
        weekday: small(now.weekday().to_sunday_zero_offset()),
        hour: small(now.hour()),
        minute: small(now.minute()),
        second: small(now.second()),
    }
}

fn built_in() -> &'static [Envelope] {
    static ENVELOPES: OnceLock<Vec<Envelope>> = OnceLock::new();
    ENVELOPES.get_or_init(|| {
        parse(include_str!("envelopes.toml")).expect("the program's own file is good")
    })
}

fn parse(text: &str) -> Result<Vec<Envelope>, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    let mut envelopes: Vec<Envelope> = Vec::new();
    for raw in file.envelope {
        let name = raw.name.clone();
        let envelope = made(raw).map_err(|what| format!("envelope {name}: {what}"))?;
        if envelopes.iter().any(|known| known.name == name) {
            return Err(format!("envelope {name} stands twice"));
        }
        envelopes.push(envelope);
    }
    Ok(envelopes)
}

fn made(raw: Raw) -> Result<Envelope, String> {
    let (start, end) = (mark("start", &raw.start)?, mark("end", &raw.end)?);
    let through = command(&raw.through)?;
    let mut answers = Vec::new();
    for (asked, told) in &raw.answers {
        let asked = command(asked)?;
        if asked == through {
            return Err(format!("{asked:02X} is the command of the line's own bytes"));
        }
        let parts = told.split_whitespace().map(part);
        answers.push((asked, parts.collect::<Result<_, _>>()?));
    }
    // Whoever takes one gives it the site's clock.
    let clock = SiteClock::new(|| told(&jiff::Timestamp::now().to_zoned(TimeZone::UTC)));
    Ok(Envelope { name: raw.name, start, end, through, answers, clock })
}

fn mark(which: &str, text: &str) -> Result<Vec<u8>, String> {
    let bytes = hex::decode(text).map_err(|error| format!("{which} = \"{text}\": {error}"))?;
    if bytes.is_empty() { Err(format!("{which} is empty")) } else { Ok(bytes) }
}

fn command(text: &str) -> Result<u8, String> {
    let bytes = hex::decode(text).map_err(|error| format!("command {text}: {error}"))?;
    let [command] = bytes.as_slice() else { return Err(format!("command {text} is no byte")) };
    Ok(*command)
}

fn part(word: &str) -> Result<Part, String> {
    Ok(match word {
        "year" => Part::Year,
        "month" => Part::Month,
        "day" => Part::Day,
        "weekday" => Part::Weekday,
        "hour" => Part::Hour,
        "minute" => Part::Minute,
        "second" => Part::Second,
        byte => match hex::decode(byte).as_deref() {
            Ok([byte]) => Part::Byte(*byte),
            _ => return Err(format!("`{byte}` is neither a byte nor a part of the time")),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_file_is_good() {
        assert_eq!(names(), ["acrel-4g"]);
        let envelope = named("acrel-4g", &TimeZone::UTC).expect("it is there");
        let times: Vec<usize> = envelope.answers.iter().map(|(_, parts)| parts.len()).collect();
        assert_eq!((envelope.through, times), (0x90, vec![0, 0, 7]));
        assert_eq!(named("acrel-5g", &TimeZone::UTC), None);
    }

    /// The published body of such an answer (`acrel_4g.jsonl`).
    #[test]
    fn the_time_is_local() {
        let zone = TimeZone::get("Asia/Shanghai").expect("a zone");
        let at = jiff::civil::date(2021, 10, 21).at(19, 36, 42, 0).to_zoned(zone).expect("a time");
        let SiteTime { year, month, day, weekday, hour, minute, second } = told(&at);
        let bytes = [year, month, day, weekday, hour, minute, second];
        assert_eq!(bytes, [0x15, 0x0A, 0x15, 0x04, 0x13, 0x24, 0x2A]);
    }

    #[test]
    fn a_bad_file_is_refused() {
        const GOOD: &str = include_str!("envelopes.toml");
        let check = |from: &str, to: &str, part: &str| {
            assert!(GOOD.contains(from), "no {from}");
            let error = parse(&GOOD.replace(from, to)).expect_err("refused");
            assert!(error.contains(part), "{error}");
        };
        check("\"7B7B\"", "\"\"", "envelope acrel-4g: start is empty");
        check("\"7D7D\"", "\"7\"", "envelope acrel-4g: end = \"7\"");
        check("through = \"90\"", "through = \"9090\"", "command 9090 is no byte");
        check("through = \"90\"", "through = \"84\"", "84 is the command of the line's own bytes");
        check("weekday hour", "weekday lunch", "`lunch` is neither a byte nor a part of the time");
        check("\"assumed\"", "\"perhaps\"", "perhaps");
        check("source =", "sauce =", "sauce");
        assert!(parse(&format!("{GOOD}\n{GOOD}")).expect_err("refused").contains("stands twice"));
    }
}
