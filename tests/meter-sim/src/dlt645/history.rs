//! What a DL/T 645-2007 meter keeps of the past (DL/T 645-2007, appendix A: load records 06, daily
//! freezes 0506, event records 03; 1D and 1E of the 2013 extension). Time passes only by `advance`, so
//! a record is written when the clock walks over its minute, and none while the meter is without power.

use std::collections::{BTreeMap, VecDeque};

use jiff::civil::DateTime;

use super::frame::{bcd, from_bcd};
use super::meter::Meter;

/// Minutes between two load records.
const INTERVAL_MINUTES: i8 = 15;
/// Load records, days and records of one event that are kept.
const LOAD_KEPT: usize = 2_000;
const DAYS_KEPT: usize = 62;
const EVENTS_KEPT: usize = 10;
const NOT_MEASURED: u8 = 0xFF;

const POWER_DOWN: u32 = 0x0311_0000;
const CLOCK_SET: u32 = 0x0330_0400;
const COVER_OPENED: u32 = 0x0330_0D00;
const RELAY_OPENED: u32 = 0x1D00_FF00;
const RELAY_CLOSED: u32 = 0x1E00_FF00;

#[derive(Debug, Clone, Default)]
pub struct History {
    /// With its minute; the oldest first.
    load: VecDeque<(DateTime, Vec<u8>)>,
    /// Minute and energies; the latest first.
    days: VecDeque<(Vec<u8>, Vec<u8>)>,
    /// By the identifier of the list; the latest first.
    events: BTreeMap<u32, VecDeque<Vec<u8>>>,
    relay_was_open: bool,
}

impl History {
    pub fn new(relay_is_open: bool) -> Self {
        Self { relay_was_open: relay_is_open, ..Self::default() }
    }

    fn note(&mut self, list: u32, record: Vec<u8>) {
        let kept = self.events.entry(list).or_default();
        kept.push_front(record);
        kept.truncate(EVENTS_KEPT);
    }
}

impl Meter {
    /// Records that the clock's minute brings, and a relay that moved.
    pub(super) fn keep_history(&mut self) {
        let clock = self.clock();
        if clock.second() == 0 && clock.minute() % INTERVAL_MINUTES == 0 {
            let record = self.load_record();
            self.history.load.push_back((clock, record));
            if self.history.load.len() > LOAD_KEPT {
                self.history.load.pop_front();
            }
        }
        if (clock.hour(), clock.minute(), clock.second()) == (0, 0, 0) {
            let total = self.energy_total();
            let energies = std::iter::once(total).chain(self.energies);
            let energies = energies.flat_map(|energy| bcd(energy, 4)).collect();
            self.history.days.push_front((minute(clock), energies));
            self.history.days.truncate(DAYS_KEPT);
        }
        self.note_relay();
    }

    pub(super) fn note_relay(&mut self) {
        let is_open = self.relay.open.is_some();
        if is_open == self.history.relay_was_open {
            return;
        }
        self.history.relay_was_open = is_open;
        let list = if is_open { RELAY_OPENED } else { RELAY_CLOSED };
        let record = [second(self.clock()), vec![0; 4], self.registers()].concat();
        self.history.note(list, record);
    }

    pub(super) fn note_clock_set(&mut self, before: DateTime) {
        let record = [vec![0; 4], second(before), second(self.clock())].concat();
        self.history.note(CLOCK_SET, record);
    }

    /// Somebody opens the case and closes it again.
    pub fn open_cover(&mut self) {
        let now = second(self.clock());
        let record = [now.clone(), now, self.registers(), self.registers()].concat();
        self.history.note(COVER_OPENED, record);
    }

    /// No power for so long: the clock goes on by its battery, and nothing else does.
    pub fn black_out(&mut self, seconds: u32) {
        let from = self.clock();
        self.sleep(seconds);
        let record = [second(from), second(self.clock())].concat();
        self.history.note(POWER_DOWN, record);
    }

    /// Forward, reverse and the four quadrants.
    fn registers(&self) -> Vec<u8> {
        [bcd(self.energy_total(), 4), vec![0; 20]].concat()
    }

    /// `A0 A0 n mm hh DD MM YY`, six classes with AA behind each, sum, E5.
    fn load_record(&self) -> Vec<u8> {
        let volts = bcd(u64::from(self.plan().voltage_decivolts), 2);
        let watts = if self.relay.open.is_some() { 0 } else { u64::from(self.load.watts) };
        let none = |bytes: usize| vec![NOT_MEASURED; bytes];
        let milliamperes = watts * 10_000 / u64::from(self.plan().voltage_decivolts.max(1));
        let power = bcd(watts * 10, 3);
        let classes = [
            [volts, none(4), bcd(milliamperes, 3), none(6), bcd(5_000, 2)].concat(),
            [power.clone(), power, none(6), bcd(0, 6), none(6)].concat(),
            Vec::new(),
            [bcd(self.energy_total(), 4), bcd(0, 12)].concat(),
            Vec::new(),
            Vec::new(),
        ];
        let body: Vec<u8> =
            classes.into_iter().flat_map(|class| [class, vec![0xAA]].concat()).collect();
        let length = u8::try_from(5 + body.len()).unwrap_or(u8::MAX);
        let mut record = [&[0xA0, 0xA0, length][..], &minute(self.clock()), &body].concat();
        let sum = record.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        record.extend([sum, 0xE5]);
        record
    }

    /// 06000001 `NN mm hh DD MM YY`: so many records from that minute on.
    pub(super) fn load_records(&self, asked: &[u8]) -> Option<Vec<u8>> {
        let (&[count], time) = asked.split_first_chunk::<1>()?;
        let count = usize::try_from(from_bcd(&[count])?).ok()?;
        let &[mm, hh, dd, mo, yy] = time else { return None };
        let since = super::relay::moment([0, mm, hh, dd, mo, yy])?;
        let wanted = self.history.load.iter().filter(|(at, _)| *at >= since).take(count);
        let bytes: Vec<u8> = wanted.flat_map(|(_, record)| record.clone()).collect();
        (!bytes.is_empty()).then_some(bytes)
    }

    /// What the past has under an identifier, as written.
    pub(super) fn past(&self, identifier: u32) -> Option<Vec<u8>> {
        let (list, nth) = (identifier & !0xFF, usize::try_from(identifier & 0xFF).ok()?);
        let back = nth.checked_sub(1)?;
        match list {
            0x0506_0000 => self.history.days.get(back).map(|(time, _)| time.clone()),
            0x0506_0100 => self.history.days.get(back).map(|(_, energies)| energies.clone()),
            0x0506_0200 => self.history.days.get(back).map(|_| vec![0; 20]),
            // A list that is empty is there, and its records are zeros.
            POWER_DOWN if back < EVENTS_KEPT => Some(self.event(list, back, 12)),
            CLOCK_SET if back < EVENTS_KEPT => Some(self.event(list, back, 16)),
            COVER_OPENED if back < EVENTS_KEPT => Some(self.event(list, back, 60)),
            RELAY_OPENED | RELAY_CLOSED if back < EVENTS_KEPT => Some(self.event(list, back, 34)),
            _ => None,
        }
    }

    fn event(&self, list: u32, back: usize, length: usize) -> Vec<u8> {
        let kept = self.history.events.get(&list).and_then(|kept| kept.get(back));
        kept.cloned().unwrap_or_else(|| vec![0; length])
    }
}

fn pairs(numbers: &[i8]) -> Vec<u8> {
    numbers.iter().flat_map(|number| bcd(u64::from(number.unsigned_abs()), 1)).collect()
}

fn year(time: DateTime) -> i8 {
    i8::try_from(time.year().rem_euclid(100)).unwrap_or(0)
}

/// mm hh DD MM YY
fn minute(time: DateTime) -> Vec<u8> {
    pairs(&[time.minute(), time.hour(), time.day(), time.month(), year(time)])
}

/// ss mm hh DD MM YY
fn second(time: DateTime) -> Vec<u8> {
    [pairs(&[time.second()]), minute(time)].concat()
}
