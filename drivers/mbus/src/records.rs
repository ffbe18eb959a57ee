//! Stored values that bear a date, as records: due days, months, compact profiles.
//!
//! Invariant: a value is told at the time that the meter itself tells for it; a store without a date is
//! none. A date that is no day, and one that lies ahead, is told in words and makes no record.
//!
//! Not here: lists of events, which EN 13757-3 does not have.

use crate::clock::local;
use crate::names;
use crate::read::telegrams;
use polymeter_codec::mbus::{
    Distance, Function, Invalid, Item, Profile, Quantity, Record, Value as Said,
};
use polymeter_driver::codes::{error, quality};
use polymeter_driver::{
    Call, Decimal, DriverError, Extras, Host, LocalTime, Measurement, RecordEntries, RecordEntry,
    RecordKind, RecordsAsked, Value, time,
};
use std::collections::BTreeMap;

const STORED: &str = "stored";
/// Of one page, by the contract.
const ENTRIES_MAX: usize = 256;
/// Extra of a record whose meter tells the day and no time of day.
const DAY_ALONE: &str = "time of day is not told";

pub fn kinds() -> Vec<RecordKind> {
    vec![RecordKind::profile(STORED, "Stored values", "存储值")]
}

/// All telegrams are read for every page: a meter tells them from the first one on.
pub fn read(
    host: &mut dyn Host,
    call: &Call,
    asked: RecordsAsked<'_>,
) -> Result<RecordEntries, DriverError> {
    let bad = |detail: String| DriverError::new(error::BAD_PARAMETER, detail);
    if asked.kind != STORED {
        return Err(bad(format!("`{}` is no kind of records of these meters", asked.kind)));
    }
    let begin = match asked.position.map(<[u8; 2]>::try_from) {
        None => 0,
        Some(Ok(position)) => usize::from(u16::from_le_bytes(position)),
        Some(Err(_)) => return Err(bad("a position that is none of this kind".to_owned())),
    };
    let (told, more) = telegrams(host, call, asked.questions)?;
    let mut store = Store { now: time::seconds(call.now), ..Store::default() };
    let mut stored = Vec::new();
    for (_, telegram) in &told {
        let items = telegram.items().map_err(|why| DriverError::new(error::GARBLED, why))?;
        let medium =
            telegram.header.and_then(|header| header.identity).map_or(0, |who| who.medium());
        stored.extend(items.into_iter().filter_map(|item| match item {
            Item::Record(record) if record.storage > 0 => Some((record, medium)),
            _ => None,
        }));
    }
    store.take(&stored);
    if more {
        store.damaged.push(format!("after {} telegrams the meter has more", told.len()));
    }
    let since = time::seconds(asked.since);
    let entries = store.entries.into_iter().filter(|(at, _)| *at >= since);
    let mut entries = entries.map(|(at, entry)| entry.told(time::at(at))).skip(begin);
    let page: Vec<RecordEntry> = entries.by_ref().take(ENTRIES_MAX).collect();
    let end = begin.saturating_add(page.len());
    let next = entries.next().and_then(|_| u16::try_from(end).ok());
    // What is damaged is told once.
    let damaged = if begin == 0 { store.damaged } else { Vec::new() };
    Ok(RecordEntries { entries: page, damaged, next: next.map(|next| next.to_le_bytes().to_vec()) })
}

/// What is known of one time.
#[derive(Default)]
struct Entry {
    measurements: Vec<Measurement>,
    extras: Extras,
}

impl Entry {
    fn told(self, at: LocalTime) -> RecordEntry {
        RecordEntry {
            at: Some(at),
            event: String::new(),
            device_code: None,
            measurements: self.measurements,
            extras: self.extras,
        }
    }

    /// A register that is known at this time keeps its first value.
    fn put(&mut self, register: Option<(String, u16)>, name: String, value: Value) {
        match (register, value) {
            (Some((register, unit)), value @ Value::Number(_))
                if !self.measurements.iter().any(|known| known.register == register) =>
            {
                let quality = quality::MEASURED;
                self.measurements.push(Measurement { register, value, unit, quality });
            }
            (_, value) => self.extras.push((name, value)),
        }
    }
}

/// When a store was filled.
#[derive(Clone, Copy)]
struct Filled {
    at: i64,
    day_alone: bool,
}

#[derive(Default)]
struct Store {
    now: i64,
    /// By the time, so that two stores of one time are one record.
    entries: BTreeMap<i64, Entry>,
    damaged: Vec<String>,
}

impl Store {
    /// Records of all telegrams, each with the medium of its meter: a date may stand in another one than
    /// its values.
    fn take(&mut self, stored: &[(Record<'_>, u8)]) {
        let mut filled = BTreeMap::new();
        for (record, _) in stored.iter().filter(|(record, _)| is_date(record)) {
            if let Some(when) = self.when(record) {
                filled.entry(record.storage).or_insert(when);
            }
        }
        for (record, medium) in stored.iter().filter(|(record, _)| !is_date(record)) {
            let Some(when) = filled.get(&record.storage) else { continue };
            match record.profile() {
                None => self.value(*when, record, *medium),
                Some(Err(why)) => self.damaged.push(format!("storage {}: {why}", record.storage)),
                Some(Ok(profile)) => {
                    let base =
                        stored.iter().map(|(base, _)| base).find(|base| is_base(base, record));
                    self.profile(*when, record, base, &profile, *medium);
                }
            }
        }
    }

    /// `None`: no day, or none yet.
    fn when(&mut self, record: &Record<'_>) -> Option<Filled> {
        let mut none = |why: &str| {
            self.damaged.push(format!("storage {}: {why}", record.storage));
            None
        };
        let (at, day_alone) = match record.value() {
            Said::Date(date) => {
                let Some(((year, month), day)) = date.year.zip(date.month).zip(date.day) else {
                    return none(&format!("its date {date} is not one day"));
                };
                (LocalTime { year, month, day, hour: 0, minute: 0, second: 0 }, true)
            }
            Said::DateTime(moment) => match local(moment) {
                Some(at) => (at, false),
                None => return none(&format!("its time {moment} is not one time")),
            },
            // A store that was never filled.
            Said::Invalid(Invalid::NotAvailable) | Said::Nothing => return None,
            Said::Invalid(why) => return none(&why.to_string()),
            _ => return none("its date is none"),
        };
        let at = time::seconds(at);
        if at > self.now {
            return none("its date lies ahead");
        }
        Some(Filled { at, day_alone })
    }

    fn at(&mut self, when: Filled) -> &mut Entry {
        let entry = self.entries.entry(when.at).or_default();
        if when.day_alone && entry.measurements.is_empty() && entry.extras.is_empty() {
            entry.extras.push((DAY_ALONE.to_owned(), Value::Flag(true)));
        }
        entry
    }

    /// What the meter does not measure is left out.
    fn value(&mut self, when: Filled, record: &Record<'_>, medium: u8) {
        let Ok(value) = names::value(record) else { return };
        let register = names::register_then(record, medium);
        self.at(when).put(register, names::name_then(record), value);
    }

    fn profile(
        &mut self,
        when: Filled,
        record: &Record<'_>,
        base: Option<&Record<'_>>,
        profile: &Profile<'_>,
        medium: u8,
    ) {
        let number = base.and_then(|base| match base.value() {
            Said::Number(number) => Some(number),
            _ => None,
        });
        let register = base.and_then(|base| names::register_then(base, medium));
        let name = names::name_then(base.unwrap_or(record));
        for (nth, value) in (1_i64..).zip(profile.values(number)) {
            let Said::Number(mantissa) = value else { continue };
            let Some(at) = away(when.at, nth, profile) else {
                let why = "distances of half a month are not read";
                return self.damaged.push(format!("storage {}: {why}", record.storage));
            };
            if at > self.now {
                let why = "its profile goes on beyond now";
                return self.damaged.push(format!("storage {}: {why}", record.storage));
            }
            let value = Value::Number(Decimal { mantissa, scale: record.meaning().scale });
            self.at(Filled { at, ..when }).put(register.clone(), name.clone(), value);
        }
    }
}

fn is_date(record: &Record<'_>) -> bool {
    matches!(record.meaning().quantity, Quantity::Date | Quantity::DateTime)
        && record.function == Function::Instantaneous
        && (record.tariff, record.subunit) == (0, 0)
        && record.qualifiers().next().is_none()
}

/// The same quantity of the same part, without a profile.
fn is_base(base: &Record<'_>, profile: &Record<'_>) -> bool {
    let place = |record: &Record<'_>| {
        (record.function, record.storage, record.tariff, record.subunit, record.meaning())
    };
    base.qualifiers().next().is_none() && place(base) == place(profile)
}

/// The time of the `nth` value; `None`: a distance that is not read.
fn away(from: i64, nth: i64, profile: &Profile<'_>) -> Option<i64> {
    let nth = if profile.backwards { nth.saturating_neg() } else { nth };
    let by = |seconds: i64| from.saturating_add(nth.saturating_mul(seconds));
    match profile.distance {
        Distance::Seconds(seconds) => Some(by(seconds.into())),
        Distance::Days(days) => Some(by(i64::from(days).saturating_mul(time::DAY))),
        Distance::Month => months_away(from, nth),
        Distance::HalfMonth => None,
    }
}

/// The same day of another month; the last one where that is shorter, and where it was the last one.
fn months_away(from: i64, nth: i64) -> Option<i64> {
    let begin = time::at(from);
    let months = i64::from(begin.year).checked_mul(12)?.checked_add(begin.month.into())?;
    let months = months.checked_sub(1)?.checked_add(nth)?;
    let year = u16::try_from(months.div_euclid(12)).ok()?;
    let month = u8::try_from(months.rem_euclid(12)).ok()?.checked_add(1)?;
    let last = last_day(year, month);
    let day = if begin.day == last_day(begin.year, begin.month) { last } else { begin.day };
    Some(time::seconds(LocalTime { year, month, day: day.min(last), ..begin }))
}

fn last_day(year: u16, month: u8) -> u8 {
    let first = |year, month| LocalTime { year, month, day: 1, hour: 0, minute: 0, second: 0 };
    let next = if month == 12 {
        first(year.saturating_add(1), 1)
    } else {
        first(year, month.saturating_add(1))
    };
    time::at(time::seconds(next).saturating_sub(time::DAY)).day
}
