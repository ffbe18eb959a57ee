//! Which period each minute is in: by season, kind of day and time of day.
//!
//! Invariant: every minute of every day is in exactly one period; what would leave a gap or an
//! overlap is refused with a sentence that names it.

use super::date::days_in_month;
use super::limits::{SEASONS_MAX, SLOTS_MAX, SPECIAL_DAYS_MAX};
use super::{BadTariff, Date, Period};
use std::collections::BTreeSet;
use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DayKind {
    Workday,
    Weekend,
    Holiday,
}

impl DayKind {
    pub const ALL: [DayKind; 3] = [DayKind::Workday, DayKind::Weekend, DayKind::Holiday];

    pub fn name(self) -> &'static str {
        match self {
            DayKind::Workday => "workday",
            DayKind::Weekend => "weekend",
            DayKind::Holiday => "holiday",
        }
    }
}

/// A day of any year; 02-29 is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MonthDay {
    month: u8,
    day: u8,
}

impl MonthDay {
    pub fn new(month: u8, day: u8) -> Option<MonthDay> {
        let good = (1..=12).contains(&month) && (1..=days_in_month(2000, month)).contains(&day);
        good.then_some(MonthDay { month, day })
    }

    /// Among the 366 days of a leap year.
    fn index(self) -> usize {
        let before = (1..self.month).map(|month| usize::from(days_in_month(2000, month)));
        before.sum::<usize>() + usize::from(self.day) - 1
    }

    fn at(index: usize) -> MonthDay {
        let mut day = index;
        let mut month = 1;
        while day >= usize::from(days_in_month(2000, month)) {
            day -= usize::from(days_in_month(2000, month));
            month += 1;
        }
        MonthDay { month, day: u8::try_from(day + 1).expect("a day of a month") }
    }
}

impl fmt::Display for MonthDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}-{:02}", self.month, self.day)
    }
}

/// Minutes since midnight; `to` is the first one after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    pub from: u16,
    pub to: u16,
    pub period: Period,
}

pub(super) const DAY_MINUTES: u16 = 24 * 60;

pub(super) fn clock(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// The same day for some kinds of day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayPlan {
    pub kinds: Vec<DayKind>,
    pub slots: Vec<Slot>,
}

/// Both days belong to it; one that ends before it begins goes over the new year.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Season {
    pub name: String,
    pub from: MonthDay,
    pub to: MonthDay,
    pub days: Vec<DayPlan>,
}

/// Days that are not what their weekday says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Calendar {
    pub holidays: BTreeSet<Date>,
    /// Weekend days on which people work in exchange (调休).
    pub workdays: BTreeSet<Date>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    seasons: Vec<Season>,
    calendar: Calendar,
}

fn bad<T>(why: String) -> Result<T, BadTariff> {
    Err(BadTariff(why))
}

impl Schedule {
    pub fn new(seasons: Vec<Season>, calendar: Calendar) -> Result<Schedule, BadTariff> {
        if seasons.is_empty() || seasons.len() > SEASONS_MAX {
            return bad(format!("a tariff by time of use has 1 to {SEASONS_MAX} seasons"));
        }
        if calendar.holidays.len() + calendar.workdays.len() > SPECIAL_DAYS_MAX {
            return bad(format!("more than {SPECIAL_DAYS_MAX} holidays and workdays"));
        }
        if let Some(both) = calendar.holidays.intersection(&calendar.workdays).next() {
            return bad(format!("{both} is both a holiday and a workday"));
        }
        check_year(&seasons)?;
        for season in &seasons {
            check_days(season)?;
        }
        Ok(Schedule { seasons, calendar })
    }

    pub fn seasons(&self) -> &[Season] {
        &self.seasons
    }

    pub fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    pub fn kind_of(&self, date: Date) -> DayKind {
        if self.calendar.holidays.contains(&date) {
            DayKind::Holiday
        } else if date.weekday() >= 5 && !self.calendar.workdays.contains(&date) {
            DayKind::Weekend
        } else {
            DayKind::Workday
        }
    }

    /// `minute` since midnight, below 1440; what is above it counts as the day's last.
    pub fn period_at(&self, date: Date, minute: u16) -> Period {
        let minute = minute.min(DAY_MINUTES - 1);
        let day = MonthDay { month: date.month(), day: date.day() }.index();
        let kind = self.kind_of(date);
        let season = self.seasons.iter().find(|season| season.covers(day));
        let season = season.expect("the seasons cover the year");
        let plan = season.days.iter().find(|plan| plan.kinds.contains(&kind));
        let slots = &plan.expect("every kind of day has its plan").slots;
        let slot = slots.iter().find(|slot| (slot.from..slot.to).contains(&minute));
        slot.expect("the slots cover the day").period
    }

    /// Those that any slot is in.
    pub fn periods(&self) -> BTreeSet<Period> {
        let days = self.seasons.iter().flat_map(|season| &season.days);
        days.flat_map(|plan| &plan.slots).map(|slot| slot.period).collect()
    }
}

impl Season {
    fn covers(&self, day: usize) -> bool {
        let (from, to) = (self.from.index(), self.to.index());
        if from <= to { (from..=to).contains(&day) } else { day >= from || day <= to }
    }
}

fn check_year(seasons: &[Season]) -> Result<(), BadTariff> {
    for (at, season) in seasons.iter().enumerate() {
        let name = &season.name;
        if name.is_empty() || !name.chars().all(|it| it.is_alphanumeric() || "-_".contains(it)) {
            return bad(format!("season `{name}` needs a name of letters, digits, - and _"));
        }
        if seasons.iter().take(at).any(|earlier| earlier.name == *name) {
            return bad(format!("two seasons are named {name}"));
        }
    }
    for index in 0..366 {
        let mut covering = seasons.iter().filter(|season| season.covers(index));
        let day = MonthDay::at(index);
        match (covering.next(), covering.next()) {
            (None, _) => return bad(format!("no season covers {day}")),
            (Some(one), Some(other)) => {
                let (one, other) = (&one.name, &other.name);
                return bad(format!("the seasons {one} and {other} both cover {day}"));
            }
            (Some(_), None) => {}
        }
    }
    Ok(())
}

fn check_days(season: &Season) -> Result<(), BadTariff> {
    let name = &season.name;
    for kind in DayKind::ALL {
        let plans = season.days.iter().flat_map(|plan| &plan.kinds);
        match plans.filter(|it| **it == kind).count() {
            0 => return bad(format!("season {name} says nothing of a {}", kind.name())),
            1 => {}
            _ => return bad(format!("season {name} says twice what a {} is", kind.name())),
        }
    }
    for plan in &season.days {
        let kinds: Vec<_> = plan.kinds.iter().map(|kind| kind.name()).collect();
        check_slots(&plan.slots, &format!("season {name}, {}", kinds.join(" ")))?;
    }
    Ok(())
}

fn check_slots(slots: &[Slot], place: &str) -> Result<(), BadTariff> {
    if slots.len() > SLOTS_MAX {
        return bad(format!("{place}: more than {SLOTS_MAX} slots"));
    }
    let mut covered = 0;
    for slot in slots {
        let (from, to) = (clock(slot.from), clock(slot.to));
        if slot.from >= slot.to || slot.to > DAY_MINUTES {
            return bad(format!("{place}: {from}-{to} must end after it begins, by 24:00"));
        }
        if slot.from < covered {
            let until = clock(covered);
            return bad(format!(
                "{place}: {from}-{to} begins before {until}, where the one before \
                                it ends"
            ));
        }
        if slot.from > covered {
            return bad(format!("{place}: nothing is said of {}-{from}", clock(covered)));
        }
        covered = slot.to;
    }
    if covered < DAY_MINUTES {
        return bad(format!("{place}: nothing is said of {}-24:00", clock(covered)));
    }
    Ok(())
}
