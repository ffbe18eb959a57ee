//! When which tariff holds: class 20, activity calendar (IEC 62056-6-2, 4.5.5). Seasons of weeks,
//! weeks of days, days of changes; what is written is passive until its time or until method 1.

use jiff::civil::{Date, DateTime};

use super::data::{self, Value};

/// The scripts that switch tariffs: selector n is tariff n.
const SCRIPTS: [u8; 6] = [0, 0, 10, 0, 100, 255];

#[derive(Debug, Clone)]
struct Season {
    name: Vec<u8>,
    /// Month and day.
    begins: (i8, i8),
    week: Vec<u8>,
}

#[derive(Debug, Clone)]
struct Day {
    number: u8,
    changes: Vec<Change>,
}

#[derive(Debug, Clone)]
struct Change {
    /// Hour and minute.
    at: (i8, i8),
    tariff: u16,
}

#[derive(Debug, Clone, Default)]
struct Tables {
    seasons: Vec<Season>,
    /// Name, days from Monday on.
    weeks: Vec<(Vec<u8>, Vec<u8>)>,
    days: Vec<Day>,
}

#[derive(Debug, Default)]
pub struct Calendar {
    active: Tables,
    passive: Tables,
    from: Option<DateTime>,
}

impl Calendar {
    pub fn attribute(&self, attribute: i8) -> Option<Vec<u8>> {
        Some(match attribute {
            2 | 6 => data::octets(b""),
            3 => self.active.seasons(),
            4 => self.active.weeks(),
            5 => self.active.days(),
            7 => self.passive.seasons(),
            8 => self.passive.weeks(),
            9 => self.passive.days(),
            10 => self.from.map_or_else(|| data::octets(&[0xFF; 12]), data::clock),
            _ => return None,
        })
    }

    /// None where it is no such table, or no time.
    pub fn write(&mut self, attribute: i8, value: &Value) -> Option<()> {
        match attribute {
            7 => self.passive.seasons = rows(value, season)?,
            8 => self.passive.weeks = rows(value, week)?,
            9 => self.passive.days = rows(value, day)?,
            _ => self.from = Some(data::moment(value.octets()?)?),
        }
        Some(())
    }

    pub fn activate(&mut self) {
        self.active = self.passive.clone();
        self.from = None;
    }

    /// What holds at this time, counted from 0; none where nothing was ever written.
    pub fn tariff(&mut self, now: DateTime) -> Option<usize> {
        if self.from.is_some_and(|from| from <= now) {
            self.activate();
        }
        let week = self.active.week(now.date())?;
        let day = usize::try_from(now.weekday().to_monday_zero_offset()).ok()?;
        let number = *self.active.weeks.iter().find(|(name, _)| *name == week)?.1.get(day)?;
        let day = self.active.days.iter().find(|day| day.number == number)?;
        let begun = |change: &&Change| change.at <= (now.hour(), now.minute());
        let tariff = day.changes.iter().rfind(begun)?.tariff;
        usize::from(tariff).checked_sub(1).filter(|tariff| *tariff < 4)
    }
}

impl Tables {
    /// Of the season that began last, which may have been in the year before.
    fn week(&self, today: Date) -> Option<Vec<u8>> {
        let begun = |season: &&Season| season.begins <= (today.month(), today.day());
        let latest = self.seasons.iter().filter(begun).max_by_key(|season| season.begins);
        let last = latest.or_else(|| self.seasons.iter().max_by_key(|season| season.begins));
        last.map(|season| season.week.clone())
    }

    fn seasons(&self) -> Vec<u8> {
        let part = |part: i8| part.unsigned_abs();
        let row = |Season { name, begins, week }: &Season| {
            let (month, day) = (part(begins.0), part(begins.1));
            let start = [0xFF, 0xFF, month, day, 0xFF, 0, 0, 0, 0, 0x80, 0x00, 0xFF];
            data::structure(&[data::octets(name), data::octets(&start), data::octets(week)])
        };
        data::array(&self.seasons.iter().map(row).collect::<Vec<_>>())
    }

    fn weeks(&self) -> Vec<u8> {
        let row = |(name, days): &(Vec<u8>, Vec<u8>)| {
            let days = days.iter().map(|day| data::u8(*day));
            data::structure(&std::iter::once(data::octets(name)).chain(days).collect::<Vec<_>>())
        };
        data::array(&self.weeks.iter().map(row).collect::<Vec<_>>())
    }

    fn days(&self) -> Vec<u8> {
        let change = |Change { at, tariff }: &Change| {
            let start = [at.0.unsigned_abs(), at.1.unsigned_abs(), 0, 0];
            data::structure(&[data::octets(&start), data::octets(&SCRIPTS), data::u16(*tariff)])
        };
        let row = |Day { number, changes }: &Day| {
            let changes: Vec<Vec<u8>> = changes.iter().map(change).collect();
            data::structure(&[data::u8(*number), data::array(&changes)])
        };
        data::array(&self.days.iter().map(row).collect::<Vec<_>>())
    }
}

fn rows<T>(value: &Value, row: impl Fn(&[Value]) -> Option<T>) -> Option<Vec<T>> {
    value.list()?.iter().map(|it| row(it.list()?)).collect()
}

fn season(fields: &[Value]) -> Option<Season> {
    let [name, start, week] = fields else { return None };
    // Every year: no year is said.
    let [0xFF, 0xFF, month, day, ..] = *start.octets()? else { return None };
    let begins = (i8::try_from(month).ok()?, i8::try_from(day).ok()?);
    let (name, week) = (name.octets()?.to_vec(), week.octets()?.to_vec());
    Some(Season { name, begins, week })
}

fn week(fields: &[Value]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (name, days) = fields.split_first().filter(|(_, days)| days.len() == 7)?;
    let day = |day: &Value| u8::try_from(day.number()?).ok();
    Some((name.octets()?.to_vec(), days.iter().map(day).collect::<Option<_>>()?))
}

fn day(fields: &[Value]) -> Option<Day> {
    let [number, changes] = fields else { return None };
    let change = |fields: &[Value]| {
        let [start, script, selector] = fields else { return None };
        let [hour, minute, ..] = *start.octets()? else { return None };
        let known = script.octets()? == SCRIPTS;
        let at = (i8::try_from(hour).ok()?, i8::try_from(minute).ok()?);
        let tariff = u16::try_from(selector.number()?).ok()?;
        known.then_some(Change { at, tariff })
    };
    let number = u8::try_from(number.number()?).ok()?;
    Some(Day { number, changes: rows(changes, change)? })
}
