//! What a meter keeps of the past, as records: its load profile, its daily freezes, its events.
//!
//! Invariant: a record stands for what the meter has; where it kept nothing there is none. What is
//! damaged is told in words and is no record. A page never asks more than it may, and where it stopped
//! is all in its position.

use crate::exchange::Exchange;
use crate::items::{self, find};
use crate::measure::value;
use crate::settings::{Settings, bad};
use polymeter_codec::bcd::{self, Sign};
use polymeter_codec::dlt645::load_record::{self, LoadRecord};
use polymeter_codec::dlt645::request::read_records;
use polymeter_codec::dlt645::value::{Format, MINUTE, SECOND, Time};
use polymeter_driver::codes::{quality, unit};
use polymeter_driver::dlt645::local;
use polymeter_driver::{
    Call, DriverError, Host, LocalTime, Measurement, RecordEntries, RecordEntry, RecordKind,
    RecordsAsked, time,
};

const LOAD: &str = "load";
const DAILY: &str = "daily";
const EVENTS: &str = "events";

/// Where a meter does not tell how far its load records are apart (DL/T 614-2007: 1 to 60 minutes).
const INTERVAL_MINUTES: i64 = 15;
/// Load records asked for at once, where so many questions are left.
const AT_ONCE_MOST: u32 = 24;
/// A record is at most 103 bytes, of which a meter may send fewer in one frame than the standard's 200.
const FRAMES_A_RECORD: u32 = 3;
/// Days that a meter keeps; records of each kind of event (DL/T 645-2007, appendix A).
const DAYS: u8 = 62;
const NTH_MOST: u8 = 10;

/// A list of events: the identifier of its last one, the shared name, and where its time begins.
struct List {
    first: u32,
    event: &'static str,
    time_at: usize,
}

const fn list(first: u32, event: &'static str) -> List {
    List { first, event, time_at: 0 }
}

/// DL/T 645-2007, appendix A, DI3 = 03H, and 1D, 1E and 0335 of the extensions. Names:
/// docs/contract.md.
const LISTS: &[List] = &[
    list(0x0311_0001, "power-down"),
    list(0x0305_0001, "voltage-lost"),
    list(0x0306_0001, "power-low"),
    list(0x0330_0D01, "cover-open"),
    list(0x0330_0E01, "terminal-cover-open"),
    list(0x0335_0001, "magnetic-field"),
    list(0x1D00_FF01, "relay-opened"),
    list(0x1E00_FF01, "relay-closed"),
    list(0x0330_0001, "programmed"),
    list(0x0330_0301, "events-cleared"),
    // The operator stands before the times; the clock that it showed before comes first.
    List { first: 0x0330_0401, event: "clock-set", time_at: 4 },
];

pub fn kinds() -> Vec<RecordKind> {
    vec![
        RecordKind::profile(LOAD, "Load profile", "负荷曲线"),
        RecordKind::profile(DAILY, "Daily freezes", "日冻结"),
        RecordKind::events(EVENTS, "Events", "事件记录"),
    ]
}

pub fn read(
    host: &mut dyn Host,
    call: &Call,
    asked: RecordsAsked<'_>,
) -> Result<RecordEntries, DriverError> {
    let RecordsAsked { kind, since, position, questions } = asked;
    let exchange = Exchange::new(host, Settings::asking(call)?);
    let mut page = Page { exchange, since, questions, told: empty() };
    match kind {
        LOAD => page.load(call.now, position)?,
        DAILY => page.daily(position)?,
        EVENTS => page.events(position)?,
        other => return Err(bad(format!("`{other}` is no kind of records of these meters"))),
    }
    Ok(page.told)
}

fn empty() -> RecordEntries {
    RecordEntries { entries: Vec::new(), damaged: Vec::new(), next: None }
}

fn at_position<const N: usize>(position: Option<&[u8]>) -> Result<Option<[u8; N]>, DriverError> {
    let not_ours = |_| bad("a position that is none of this kind");
    position.map(|bytes| <[u8; N]>::try_from(bytes).map_err(not_ours)).transpose()
}

struct Page<'a> {
    exchange: Exchange<'a>,
    since: LocalTime,
    /// Frames that may be sent.
    questions: u32,
    told: RecordEntries,
}

impl Page<'_> {
    /// Frames that may still be sent.
    fn left(&self) -> u32 {
        self.questions.saturating_sub(self.exchange.sent)
    }

    /// Records from a time on, which a meter may mean as the first one behind it or as that very one:
    /// so every time of its grid that has none is asked for, up to now.
    fn load(&mut self, now: LocalTime, position: Option<&[u8]>) -> Result<(), DriverError> {
        let minutes = self.interval()?;
        let grid = minutes.saturating_mul(60);
        let begun = at_position(position)?.map(i64::from_le_bytes);
        let begun = begun.unwrap_or_else(|| time::seconds(self.since));
        let mut from = upwards(begun, grid);
        while from <= time::seconds(now) {
            let at_once = self.left().saturating_div(FRAMES_A_RECORD).min(AT_ONCE_MOST);
            let Ok(count @ 1..) = u8::try_from(at_once) else {
                self.told.next = Some(from.to_le_bytes().to_vec());
                return Ok(());
            };
            let found = self.load_from(from, count)?;
            from = match found {
                // The next of the grid behind the last one that came.
                Some(last) => upwards(last.saturating_add(1), grid),
                None => from.saturating_add(grid),
            };
        }
        Ok(())
    }

    fn interval(&mut self) -> Result<i64, DriverError> {
        let bytes = self.exchange.read(items::LOAD_INTERVAL)?;
        let told = bytes.and_then(|bytes| bcd::decode(&bytes, Sign::None).ok().flatten());
        Ok(told.filter(|minutes| (1..=60).contains(minutes)).unwrap_or(INTERVAL_MINUTES))
    }

    /// The time of the last record that came; `None`: none did that is not older than `from`.
    fn load_from(&mut self, from: i64, count: u8) -> Result<Option<i64>, DriverError> {
        let since = minute_of(time::at(from));
        let data = read_records(items::LOAD_RECORDS, count, Some(since))
            .map_err(|reason| bad(format!("load records: {reason}")))?;
        // A lost part is asked for once more.
        let parts = self.left().saturating_sub(1).saturating_div(2);
        self.exchange.parts_most = u8::try_from(parts).unwrap_or(u8::MAX);
        let Some(bytes) = self.exchange.read_with(&data)? else { return Ok(None) };
        let (mut rest, mut last) = (bytes.as_slice(), None);
        while !rest.is_empty() {
            let (record, used) = match load_record::read(rest) {
                Ok(read) => read,
                Err(damaged) => {
                    let told = format!("{damaged}, {} bytes are left out", rest.len());
                    self.told.damaged.push(told);
                    break;
                }
            };
            rest = rest.get(used..).unwrap_or_default();
            let at = record.time.ok().and_then(local);
            let seconds = at.map(time::seconds);
            if seconds.is_some_and(|seconds| seconds < from) {
                self.told.damaged.push(format!("a record of {at:?}, older than was asked for"));
                continue;
            }
            last = last.max(seconds);
            self.told.entries.push(entry(at, &record));
        }
        Ok(last)
    }

    /// The last days, until one is missing or older than was asked for.
    fn daily(&mut self, position: Option<&[u8]>) -> Result<(), DriverError> {
        let [mut back] = at_position(position)?.unwrap_or([0]);
        while back < DAYS {
            if self.left() < 3 {
                self.told.next = Some(vec![back]);
                return Ok(());
            }
            let nth = u32::from(back);
            let Some(bytes) = self.exchange.read(items::DAILY_FREEZE_TIME.saturating_add(nth))?
            else {
                return Ok(());
            };
            // A day that was never frozen is all zeros.
            if bytes.iter().all(|byte| *byte == 0) {
                return Ok(());
            }
            let at = whole(MINUTE, &bytes).and_then(local);
            if at.is_some_and(|at| time::seconds(at) < time::seconds(self.since)) {
                return Ok(());
            }
            let mut measurements = Vec::new();
            for (first, c) in [(items::DAILY_FREEZE_ENERGY, 1), (items::DAILY_FREEZE_REVERSE, 2)] {
                if let Some(bytes) = self.exchange.read(first.saturating_add(nth))? {
                    energies(&bytes, c, &mut measurements);
                }
            }
            self.told.entries.push(RecordEntry {
                at,
                event: String::new(),
                device_code: None,
                measurements,
                extras: Vec::new(),
            });
            back = back.saturating_add(1);
        }
        Ok(())
    }

    /// Each list from its last event back, until one is missing or older than was asked for.
    fn events(&mut self, position: Option<&[u8]>) -> Result<(), DriverError> {
        let [mut nth_list, mut back] = at_position(position)?.unwrap_or([0, 0]);
        while let Some(list) = LISTS.get(usize::from(nth_list)) {
            if back < NTH_MOST && self.left() == 0 {
                self.told.next = Some(vec![nth_list, back]);
                return Ok(());
            }
            if back < NTH_MOST && self.event(list, back)? {
                back = back.saturating_add(1);
            } else {
                (nth_list, back) = (nth_list.saturating_add(1), 0);
            }
        }
        Ok(())
    }

    /// Whether the next older one of the list is worth asking for.
    fn event(&mut self, list: &List, back: u8) -> Result<bool, DriverError> {
        let identifier = list.first.saturating_add(back.into());
        let Some(data) = self.exchange.read(identifier)? else { return Ok(false) };
        if data.iter().all(|byte| *byte == 0) || data.iter().all(|byte| *byte == 0xFF) {
            return Ok(false);
        }
        let end = list.time_at.saturating_add(SECOND.len());
        let at = data.get(list.time_at..end).and_then(|bytes| whole(SECOND, bytes)).and_then(local);
        if at.is_some_and(|at| time::seconds(at) < time::seconds(self.since)) {
            return Ok(false);
        }
        let mut extras = Vec::new();
        if let Some(found) = find(identifier) {
            found.for_each(&data, |item| {
                let (told, quality) = value(item.value, item.bytes);
                if quality == quality::MEASURED {
                    extras.push((item.field.unwrap_or(item.name).to_owned(), told));
                }
            });
        }
        self.told.entries.push(RecordEntry {
            at,
            event: list.event.to_owned(),
            device_code: Some(format!("{:08X}", list.first)),
            measurements: Vec::new(),
            extras,
        });
        Ok(true)
    }
}

fn entry(at: Option<LocalTime>, record: &LoadRecord<'_>) -> RecordEntry {
    let mut measurements = Vec::new();
    record.for_each(|column, read, bytes| {
        let (value, quality) = value(read, bytes);
        if quality != quality::NOT_MEASURED {
            let (register, unit) = (column.register.to_string(), column.unit.code());
            measurements.push(Measurement { register, value, unit, quality });
        }
    });
    RecordEntry { at, event: String::new(), device_code: None, measurements, extras: Vec::new() }
}

/// A total and its tariffs, four bytes each: XXXXXX.XX kWh.
fn energies(bytes: &[u8], c: u8, measurements: &mut Vec<Measurement>) {
    const KWH: Format = Format::Number { bytes: 4, scale: -2, sign: Sign::None };
    for (tariff, bytes) in (0..=63_u8).zip(bytes.chunks_exact(4)) {
        let (value, quality) = value(KWH.read(bytes), bytes);
        if quality != quality::NOT_MEASURED {
            let register = format!("1.0.{c}.8.{tariff}.255");
            measurements.push(Measurement { register, value, unit: unit::KILOWATT_HOUR, quality });
        }
    }
}

fn whole(parts: &[polymeter_codec::dlt645::value::Part], bytes: &[u8]) -> Option<Time> {
    let fits = parts.len() == bytes.len();
    fits.then(|| Time::read(parts, bytes).ok()).flatten()
}

fn minute_of(time: LocalTime) -> Time {
    let LocalTime { year, month, day, hour, minute, .. } = time;
    Time {
        year: Some(year),
        month: Some(month),
        day: Some(day),
        hour: Some(hour),
        minute: Some(minute),
        second: None,
    }
}

/// The first time of the grid that is not before `seconds`.
fn upwards(seconds: i64, grid: i64) -> i64 {
    let over = seconds.checked_rem_euclid(grid).unwrap_or(0);
    if over == 0 { seconds } else { seconds.saturating_sub(over).saturating_add(grid) }
}
