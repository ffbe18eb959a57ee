//! What the meter keeps of the past (DL/T 698.45-2017, 7.3.4.4 and appendix A): minute, day and month
//! freezes as time passes, and events, each a table whose rows GetRequestRecord finds: the n-th last
//! (selection 9), or those of a span of time (2), its beginning within it and its end not.
//!
//! Deliberately not here: columns of records of other meters (ROAD), selections by conditions.

use std::collections::{BTreeMap, VecDeque};

use jiff::civil::{DateTime, Time};

use super::{Meter, NO_OBJECT, array, double, moment, structure};

const MINUTES: u16 = 0x5002;
const DAYS: u16 = 0x5004;
const MONTHS: u16 = 0x5006;
/// Columns: number of a row, when it was frozen; of an event's record its number, begin and end.
const ROW_NUMBER: u32 = 0x2023_0200;
const FROZEN_AT: u32 = 0x2021_0200;
const EVENT_NUMBER: u32 = 0x2022_0200;
const BEGAN: u32 = 0x201E_0200;
const ENDED: u32 = 0x2020_0200;
/// DAR of an attribute without a table.
const UNDEFINED: u8 = 4;
/// Records of one event.
const EVENTS_MAX: usize = 10;

/// Events by their objects; those of class 24 have a table for each phase, of which phase A is 7.
pub const OVERLOAD: u16 = 0x3008;
const POWER_DOWN: u16 = 0x3011;
pub const CLOCK_SET: u16 = 0x3016;
const COVER_OPENED: u16 = 0x301B;
pub const OPENED: u16 = 0x301F;
pub const CLOSED: u16 = 0x3020;
const OF_METER: [u16; 6] = [POWER_DOWN, 0x3012, CLOCK_SET, COVER_OPENED, OPENED, CLOSED];
const OF_PHASES: [u16; 1] = [OVERLOAD];

/// Values by their columns.
type Row = BTreeMap<u32, Vec<u8>>;

#[derive(Debug)]
struct Freeze {
    object: u16,
    /// Minutes, days or months.
    period: u16,
    columns: Vec<u32>,
    most: usize,
    count: u32,
    /// Newest first.
    rows: VecDeque<(DateTime, Row)>,
}

#[derive(Debug)]
pub struct Past {
    freezes: [Freeze; 3],
    /// Newest first, by object and attribute.
    events: BTreeMap<(u16, u8), VecDeque<(DateTime, Row)>>,
    count: u32,
}

impl Past {
    pub fn new(minutes: u16) -> Self {
        let freeze = |object, period, columns: &[u32], most| Freeze {
            object,
            period,
            columns: columns.to_vec(),
            most,
            count: 0,
            rows: VecDeque::new(),
        };
        let energies = [0x0010_0200, 0x0020_0200];
        let load = [0x0010_0200, 0x2000_0200, 0x2001_0200, 0x2004_0200];
        Self {
            freezes: [
                freeze(MINUTES, minutes, &load, 2_000),
                freeze(DAYS, 1, &energies, 62),
                freeze(MONTHS, 1, &energies, 12),
            ],
            events: BTreeMap::new(),
            count: 0,
        }
    }
}

impl Meter {
    /// Freezes what is due at the present second.
    pub(super) fn freeze(&mut self) {
        let second = self.clock.time().duration_since(Time::midnight()).as_secs();
        let is_first = self.clock.day() == 1;
        for nth in 0..self.past.freezes.len() {
            let Some(freeze) = self.past.freezes.get(nth) else { continue };
            let is_due = match freeze.object {
                MINUTES => second.rem_euclid(60 * i64::from(freeze.period.max(1))) == 0,
                DAYS => second == 0,
                _ => second == 0 && is_first,
            };
            if !is_due {
                continue;
            }
            let values = freeze.columns.iter().filter_map(|it| Some((*it, self.value(*it)?)));
            let mut row: Row = values.collect();
            row.insert(FROZEN_AT, moment(self.clock));
            let at = self.clock;
            let Some(freeze) = self.past.freezes.get_mut(nth) else { continue };
            freeze.count += 1;
            row.insert(ROW_NUMBER, double(freeze.count));
            freeze.rows.push_front((at, row));
            freeze.rows.truncate(freeze.most);
        }
    }

    /// An event begins, and is over at once if it is one of a moment.
    pub(super) fn event(&mut self, object: u16, attribute: u8, ended: bool) {
        self.past.count += 1;
        let mut row =
            Row::from([(EVENT_NUMBER, double(self.past.count)), (BEGAN, moment(self.clock))]);
        if ended {
            row.insert(ENDED, moment(self.clock));
        }
        let records = self.past.events.entry((object, attribute)).or_default();
        records.push_front((self.clock, row));
        records.truncate(EVENTS_MAX);
    }

    /// Whether the last record of an event has no end, which it gets if it is over.
    pub(super) fn stands(&mut self, object: u16, attribute: u8, is_over: bool) -> bool {
        let now = moment(self.clock);
        let records = self.past.events.get_mut(&(object, attribute));
        let Some((_, last)) = records.and_then(|it| it.front_mut()) else { return false };
        let stood = !last.contains_key(&ENDED);
        if stood && is_over {
            last.insert(ENDED, now);
        }
        stood
    }

    /// Somebody's hand at the case.
    pub fn open_cover(&mut self) {
        self.event(COVER_OPENED, 2, false);
    }

    /// No power for so long: nothing is counted, and nothing frozen.
    pub fn black_out(&mut self, seconds: u32) {
        self.event(POWER_DOWN, 2, false);
        self.clock = crate::load::later(self.clock, seconds);
        self.stands(POWER_DOWN, 2, true);
    }

    /// What a freeze keeps, in which steps and how many (attribute 3).
    pub(super) fn frozen_columns(&self, attribute: u32) -> Option<Vec<u8>> {
        let freeze = self.past.freezes.iter();
        let freeze =
            freeze.into_iter().find(|it| attribute == u32::from(it.object) << 16 | 0x0300)?;
        let word = |number: u16| [&[0x12][..], &number.to_be_bytes()].concat();
        let depth = u16::try_from(freeze.most).unwrap_or(u16::MAX);
        let row = |column: &u32| {
            let of = [&[0x51][..], &column.to_be_bytes()].concat();
            structure(vec![word(freeze.period), of, word(depth)])
        };
        Some(array(freeze.columns.iter().map(row).collect()))
    }

    /// The rows of a table that a selection finds, in the columns that are asked for.
    pub(super) fn record(&self, asked: &[u8]) -> Option<Vec<u8>> {
        let (table, rest) = asked.split_first_chunk::<4>()?;
        let (selection, rest) = selection(rest)?;
        let (count, columns) = rest.split_first()?;
        let columns: Vec<&[u8]> = columns.chunks_exact(5).collect();
        if columns.len() != usize::from(*count) || columns.iter().any(|column| column[0] != 0) {
            return None;
        }
        let head = [&table[..], &[*count], &columns.concat()].concat();
        let rows = match self.table(u32::from_be_bytes(*table)) {
            Ok(rows) => rows,
            Err(dar) => return refused(asked, dar),
        };
        let rows: Vec<&Row> = match selection {
            Selection::NthLast(nth) => {
                let nth = usize::from(nth).checked_sub(1);
                nth.and_then(|nth| rows.get(nth)).map(|(_, row)| row).into_iter().collect()
            }
            Selection::Between(from, to) => {
                let within = |(at, _): &&(DateTime, Row)| (from..to).contains(at);
                rows.iter().rev().filter(within).map(|(_, row)| row).collect()
            }
        };
        let null = vec![0];
        let values = rows.iter().flat_map(|row| {
            columns.iter().flat_map(|column| {
                let [_, a, b, c, d] = **column else { return null.clone() };
                row.get(&u32::from_be_bytes([a, b, c, d])).unwrap_or(&null).clone()
            })
        });
        let count = match u8::try_from(rows.len()).ok()? {
            count @ 0..=0x7F => vec![count],
            count => vec![0x81, count],
        };
        let values: Vec<u8> = values.collect();
        Some([head.as_slice(), &[1], &count, &values].concat())
    }

    fn table(&self, table: u32) -> Result<VecDeque<(DateTime, Row)>, u8> {
        let object = u16::try_from(table >> 16).unwrap_or(0);
        let [_, _, attribute, _] = table.to_be_bytes();
        if let Some(freeze) = self.past.freezes.iter().find(|it| it.object == object) {
            return if attribute == 2 { Ok(freeze.rows.clone()) } else { Err(UNDEFINED) };
        }
        let attributes = match object {
            it if OF_METER.contains(&it) => 2..=2,
            it if OF_PHASES.contains(&it) => 7..=if self.plan.three_phase { 9 } else { 7 },
            _ => return Err(NO_OBJECT),
        };
        if !attributes.contains(&attribute) {
            return Err(UNDEFINED);
        }
        Ok(self.past.events.get(&(object, attribute)).cloned().unwrap_or_default())
    }
}

/// No rows of what is asked for but a reason: the table, its columns, DAR.
pub fn refused(asked: &[u8], dar: u8) -> Option<Vec<u8>> {
    let (table, rest) = asked.split_first_chunk::<4>()?;
    let (_, columns) = selection(rest)?;
    let bytes = 5 * usize::from(*columns.first()?);
    Some([table, columns.get(..=bytes)?, &[0, dar]].concat())
}

enum Selection {
    NthLast(u8),
    Between(DateTime, DateTime),
}

fn selection(bytes: &[u8]) -> Option<(Selection, &[u8])> {
    match bytes {
        [9, nth, rest @ ..] => Some((Selection::NthLast(*nth), rest)),
        [2, rest @ ..] => {
            let (column, rest) = rest.split_first_chunk::<4>()?;
            let (from, rest) = time(rest)?;
            let (to, rest) = time(rest)?;
            // In which steps does not matter: all rows of the span are those of the period.
            let [0x54, _, _, _, rest @ ..] = rest else { return None };
            let by_time = u32::from_be_bytes(*column) == FROZEN_AT;
            by_time.then_some((Selection::Between(from, to), rest))
        }
        _ => None,
    }
}

/// Date-time-s with its type.
fn time(bytes: &[u8]) -> Option<(DateTime, &[u8])> {
    let (&[0x1C, high, low, month, day, hour, minute, second], rest) = bytes.split_first_chunk()?
    else {
        return None;
    };
    let small = |part: u8| i8::try_from(part).ok();
    let year = i16::from_be_bytes([high, low]);
    let (month, day) = (small(month)?, small(day)?);
    let at = DateTime::new(year, month, day, small(hour)?, small(minute)?, small(second)?, 0);
    Some((at.ok()?, rest))
}
