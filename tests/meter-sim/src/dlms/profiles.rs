//! What the meter keeps of the past: profiles of class 7 (IEC 62056-6-2, 4.3.6), filled as time passes,
//! and event logs, whose codes are those of the Dutch Smart Meter Requirements (P3).
//!
//! Rows are found by range of time (selector 1) and by place (2). Deliberately not here: sorting by
//! anything but the order of coming, and captures on demand.

use std::collections::VecDeque;

use jiff::civil::{DateTime, Time};

use super::data::{self, Value};
use super::meter::Meter;
use super::objects::{CLOCK, Name, UNDEFINED, WRONG_TYPE};

pub const LOAD: Name = [1, 0, 99, 1, 0, 255];
const DAILY: Name = [1, 0, 99, 2, 0, 255];
const BILLING: Name = [1, 0, 98, 1, 0, 255];
const STANDARD_LOG: Name = [0, 0, 99, 98, 0, 255];
const FRAUD_LOG: Name = [0, 0, 99, 98, 1, 255];
const SWITCH_LOG: Name = [0, 0, 99, 98, 2, 255];
pub const PROFILES: [Name; 6] = [LOAD, DAILY, BILLING, STANDARD_LOG, FRAUD_LOG, SWITCH_LOG];
const DAY_SECONDS: u32 = 86_400;
/// A status of the load profile: nothing to say.
const PROFILE_STATUS: Name = [0, 0, 96, 10, 1, 255];

/// Codes of events (DSMR P3), by the log in which they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    PowerDown = 1,
    PowerUp = 2,
    ClockLeft = 4,
    ClockSet = 5,
    CoverRemoved = 44,
    Programmed = 47,
    SwitchedByHand = 61,
    OpenedFromAfar = 62,
    ClosedFromAfar = 63,
    OpenedByItself = 64,
    LimitExceeded = 65,
}

impl Event {
    fn log(self) -> Name {
        match self {
            Event::PowerDown | Event::PowerUp | Event::ClockLeft | Event::ClockSet => STANDARD_LOG,
            Event::CoverRemoved | Event::Programmed => FRAUD_LOG,
            _ => SWITCH_LOG,
        }
    }
}

/// A row: when it was captured, and all its values with their types, the time among them.
#[derive(Debug, Clone)]
struct Row {
    at: DateTime,
    cells: Vec<Vec<u8>>,
}

/// Class, logical name and attribute of what a column captures.
type Column = (u16, Name, i8);

#[derive(Debug)]
struct Profile {
    name: Name,
    columns: Vec<Column>,
    /// Seconds; 0: when something happens.
    period: u32,
    most: usize,
    /// Oldest first.
    rows: VecDeque<Row>,
}

/// All profiles of a meter.
#[derive(Debug)]
pub struct Profiles(Vec<Profile>);

impl Profiles {
    pub fn new(load_seconds: u32) -> Self {
        let clock = (8, CLOCK, 2);
        let energy = |tariff| (3, [1, 0, 1, 8, tariff, 255], 2);
        let log = |name: Name| Profile {
            name,
            columns: vec![clock, (1, [0, 0, 96, 11, name[4], 255], 2)],
            period: 0,
            most: 100,
            rows: VecDeque::new(),
        };
        let values = |name, columns: Vec<Column>, period, most| Profile {
            name,
            columns: [vec![clock], columns].concat(),
            period,
            most,
            rows: VecDeque::new(),
        };
        let load = vec![(1, PROFILE_STATUS, 2), energy(0), (3, [1, 0, 1, 7, 0, 255], 2)];
        let tariffs: Vec<Column> = (0..=4).map(energy).collect();
        Self(vec![
            values(LOAD, load, load_seconds, 2_000),
            values(DAILY, tariffs.clone(), DAY_SECONDS, 62),
            values(BILLING, tariffs, 0, 15),
            log(STANDARD_LOG),
            log(FRAUD_LOG),
            log(SWITCH_LOG),
        ])
    }

    fn find(&mut self, name: Name) -> Option<&mut Profile> {
        self.0.iter_mut().find(|profile| profile.name == name)
    }
}

impl Meter {
    /// Captures what is due at the present second.
    pub(super) fn capture(&mut self) {
        let of_day = self.clock.time();
        let second = of_day.duration_since(Time::midnight()).as_secs();
        let load = i64::from(self.plan.load_period_seconds);
        if load > 0 && second.rem_euclid(load) == 0 {
            self.row(LOAD);
        }
        if second == 0 {
            self.row(DAILY);
            if self.clock.day() == 1 {
                self.row(BILLING);
            }
        }
    }

    fn row(&mut self, name: Name) {
        let Some(profile) = self.profiles.0.iter().find(|profile| profile.name == name) else {
            return;
        };
        let cells = profile.columns.iter().map(|(class, name, attribute)| match (class, *name) {
            (8, _) => data::clock(self.clock),
            (1, PROFILE_STATUS) => data::u8(0),
            _ => self.register(*name, *attribute).unwrap_or_else(data::null),
        });
        let row = Row { at: self.clock, cells: cells.collect() };
        self.keep(name, row);
    }

    pub(super) fn event(&mut self, event: Event) {
        let cells = vec![data::clock(self.clock), data::u8(event as u8)];
        let row = Row { at: self.clock, cells };
        self.keep(event.log(), row);
    }

    fn keep(&mut self, name: Name, row: Row) {
        let Some(profile) = self.profiles.find(name) else { return };
        profile.rows.push_back(row);
        if profile.rows.len() > profile.most {
            profile.rows.pop_front();
        }
    }

    pub(super) fn profile_attribute(
        &self,
        name: Name,
        attribute: i8,
        selection: Option<(u8, Value)>,
    ) -> Result<Vec<u8>, u8> {
        let profile = self.profiles.0.iter().find(|profile| profile.name == name);
        let profile = profile.ok_or(UNDEFINED)?;
        let count = |number: usize| data::u32(u32::try_from(number).unwrap_or(u32::MAX));
        Ok(match attribute {
            2 => self.buffer(profile, selection)?,
            3 => data::array(&profile.columns.iter().map(captured).collect::<Vec<_>>()),
            4 => data::u32(profile.period),
            5 => data::enumeration(if self.plan.newest_first { 2 } else { 1 }),
            6 => captured(&(8, CLOCK, 2)),
            7 => count(profile.rows.len()),
            8 => count(profile.most),
            _ => return Err(super::objects::DENIED),
        })
    }

    fn buffer(&self, profile: &Profile, selection: Option<(u8, Value)>) -> Result<Vec<u8>, u8> {
        let mut rows: Vec<&Row> = profile.rows.iter().collect();
        if self.plan.newest_first {
            rows.reverse();
        }
        let rows = match selection {
            None => rows,
            Some((1, _)) if !self.plan.ranges => return Err(WRONG_TYPE),
            Some((1, parameters)) => {
                let (from, to) = span(&parameters).ok_or(WRONG_TYPE)?;
                rows.into_iter().filter(|row| (from..=to).contains(&row.at)).collect()
            }
            Some((2, parameters)) => {
                let (first, last) = places(&parameters).ok_or(WRONG_TYPE)?;
                let last = if last == 0 { rows.len() } else { last };
                let count = (last + 1).saturating_sub(first);
                rows.into_iter().skip(first.saturating_sub(1)).take(count).collect()
            }
            Some(_) => return Err(WRONG_TYPE),
        };
        let mut written = Vec::new();
        for (nth, row) in rows.into_iter().enumerate() {
            let mut cells = row.cells.clone();
            // Where all follow each other by the period, one time tells the others.
            if self.plan.times_once && profile.period > 0 && nth > 0 {
                cells[0] = data::null();
            }
            written.push(data::structure(&cells));
        }
        Ok(data::array(&written))
    }
}

fn captured((class, name, attribute): &Column) -> Vec<u8> {
    data::structure(&[data::u16(*class), data::octets(name), data::i8(*attribute), data::u16(0)])
}

/// By the clock, from one time to another, all columns.
fn span(parameters: &Value) -> Option<(DateTime, DateTime)> {
    let [by, from, to, columns] = parameters.list()? else { return None };
    let [class, name, attribute, _] = by.list()? else { return None };
    let is_clock = (class.number()?, attribute.number()?) == (8, 2) && name.octets()? == CLOCK;
    let bounds = (data::moment(from.octets()?)?, data::moment(to.octets()?)?);
    (is_clock && columns.list()?.is_empty()).then_some(bounds)
}

/// From one place to another, all columns.
fn places(parameters: &Value) -> Option<(usize, usize)> {
    let [first, last, from, to] = parameters.list()? else { return None };
    let place = |value: &Value| usize::try_from(value.number()?).ok();
    let whole = place(from)? == 1 && place(to)? == 0;
    whole.then_some((place(first)?, place(last)?))
}
