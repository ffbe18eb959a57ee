//! When which tariff holds: class 20, activity calendar (IEC 62056-6-2, 4.5.5). Seasons of weeks,
//! weeks of days, days of changes; what is written is passive until its time or until method 1.

use jiff::civil::{Date, DateTime};

use super::data::{self, Value};

/// The scripts that switch tariffs: selector n is tariff n.
const SCRIPTS: [u8; 6] = [0, 0, 10, 0, 100, 255];

#[derive(Debug, Clone, Default)]
struct Tables {
    /// Name, month and day of the beginning, week.
    seasons: Vec<(Vec<u8>, (i8, i8), Vec<u8>)>,
    /// Name, days from Monday on.
    weeks: Vec<(Vec<u8>, Vec<u8>)>,
    /// Number, and hour, minute and tariff of each change.
    days: Vec<(u8, Vec<(i8, i8, u16)>)>,
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
        let (_, changes) = self.active.days.iter().find(|(known, _)| *known == number)?;
        let begun = |change: &&(i8, i8, u16)| (change.0, change.1) <= (now.hour(), now.minute());
        let (_, _, tariff) = changes.iter().rfind(begun)?;
        usize::from(*tariff).checked_sub(1).filter(|tariff| *tariff < 4)
    }
}

impl Tables {
    /// Of the season that began last, which may have been in the year before.
    fn week(&self, today: Date) -> Option<Vec<u8>> {
        let begun =
            |season: &&(Vec<u8>, (i8, i8), Vec<u8>)| season.1 <= (today.month(), today.day());
        let latest = self.seasons.iter().filter(begun).max_by_key(|season| season.1);
        let last = latest.or_else(|| self.seasons.iter().max_by_key(|season| season.1));
        last.map(|(_, _, week)| week.clone())
    }

    fn seasons(&self) -> Vec<u8> {
        let part = |part: i8| part.unsigned_abs();
        let row = |(name, (month, day), week): &(Vec<u8>, (i8, i8), Vec<u8>)| {
            let (month, day) = (part(*month), part(*day));
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
        let change = |(hour, minute, tariff): &(i8, i8, u16)| {
            let start = [hour.unsigned_abs(), minute.unsigned_abs(), 0, 0];
            data::structure(&[data::octets(&start), data::octets(&SCRIPTS), data::u16(*tariff)])
        };
        let row = |(number, changes): &(u8, Vec<(i8, i8, u16)>)| {
            let changes: Vec<Vec<u8>> = changes.iter().map(change).collect();
            data::structure(&[data::u8(*number), data::array(&changes)])
        };
        data::array(&self.days.iter().map(row).collect::<Vec<_>>())
    }
}

fn rows<T>(value: &Value, row: impl Fn(&[Value]) -> Option<T>) -> Option<Vec<T>> {
    value.list()?.iter().map(|it| row(it.list()?)).collect()
}

fn season(fields: &[Value]) -> Option<(Vec<u8>, (i8, i8), Vec<u8>)> {
    let [name, start, week] = fields else { return None };
    // Every year: no year is said.
    let [0xFF, 0xFF, month, day, ..] = *start.octets()? else { return None };
    let begins = (i8::try_from(month).ok()?, i8::try_from(day).ok()?);
    Some((name.octets()?.to_vec(), begins, week.octets()?.to_vec()))
}

fn week(fields: &[Value]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (name, days) = fields.split_first().filter(|(_, days)| days.len() == 7)?;
    let day = |day: &Value| u8::try_from(day.number()?).ok();
    Some((name.octets()?.to_vec(), days.iter().map(day).collect::<Option<_>>()?))
}

fn day(fields: &[Value]) -> Option<(u8, Vec<(i8, i8, u16)>)> {
    let [number, changes] = fields else { return None };
    let change = |fields: &[Value]| {
        let [start, script, selector] = fields else { return None };
        let [hour, minute, ..] = *start.octets()? else { return None };
        let known = script.octets()? == SCRIPTS;
        let at = (i8::try_from(hour).ok()?, i8::try_from(minute).ok()?);
        known.then_some((at.0, at.1, u16::try_from(selector.number()?).ok()?))
    };
    Some((u8::try_from(number.number()?).ok()?, rows(changes, change)?))
}
