//! A plan's versions in time, and a bill over any span of days: cut where a month or a version begins.
//!
//! Nobody read the meter at a cut, so the counts between two readings are laid evenly over the days,
//! rounded down at each cut: the last part has what is left, and the parts' sum is what was counted.

use super::limits::BILL_DAYS_MAX;
use super::{
    Amounts, Date, Explanation, NotCharged, Period, Position, Rounding, Tariff, Terms, Usage,
    charge,
};
use crate::Money;

/// One version of a plan's prices, from a day on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    pub number: u32,
    pub from: Date,
    pub tariff: Tariff,
}

/// All versions of one plan, in any order. At a day, the one that began last counts, of two that
/// began together the one with the higher number.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Timeline(pub Vec<Version>);

impl Timeline {
    pub fn at(&self, date: Date) -> Option<&Version> {
        let begun = self.0.iter().filter(|version| version.from <= date);
        begun.max_by_key(|version| (version.from, version.number))
    }

    /// Where another version begins, after `from` and before `to`.
    fn changes(&self, from: Date, to: Date) -> impl Iterator<Item = Date> {
        self.0.iter().map(|version| version.from).filter(move |date| from < *date && *date < to)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bill {
    /// In the order of time; each with the number of the version it was made by.
    pub parts: Vec<(u32, Explanation)>,
    pub total: Money,
    pub after: Position,
}

pub fn bill(
    plan: &Timeline,
    terms: &Terms,
    before: &Position,
    usage: &Usage,
) -> Result<Bill, NotCharged> {
    let (from, to) = (before.at, usage.to);
    let days = from.days_until(to);
    if !(0..=BILL_DAYS_MAX).contains(&days) {
        return Err(NotCharged(format!(
            "{from} to {to} is not a span to bill: at most {BILL_DAYS_MAX} days, forwards"
        )));
    }
    usage.metered()?;
    let mut cuts = months_within(from, to);
    cuts.extend(plan.changes(from, to));
    cuts.push(to);
    cuts.sort_unstable();
    cuts.dedup();
    let mut parts: Vec<(u32, Explanation)> = Vec::new();
    let (mut position, mut reading) = (before.clone(), usage.from_reading);
    let mut sum: i64 = 0;
    for cut in cuts {
        let version = plan
            .at(position.at)
            .ok_or_else(|| NotCharged(format!("the plan has no version for {}", position.at)))?;
        let to_reading = reading_at(usage, from.days_until(cut), days);
        let part = Usage { to: cut, from_reading: reading, to_reading };
        let charged = charge(&version.tariff, terms, &position, &part)?;
        (position, reading) = (charged.after.clone(), to_reading);
        sum = sum
            .checked_add(charged.total.minor())
            .ok_or_else(|| NotCharged("the bill is beyond what money holds".to_owned()))?;
        parts.push((version.number, charged));
    }
    let currency = parts.first().map(|(_, part)| part.total.currency());
    let currency = currency.ok_or_else(|| NotCharged("the span has no end".to_owned()))?;
    Ok(Bill { parts, total: Money::new(sum, currency), after: position })
}

fn months_within(from: Date, to: Date) -> Vec<Date> {
    let firsts = std::iter::successors(from.first_of_next_month(), |it| it.first_of_next_month());
    firsts.take_while(|first| *first < to).collect()
}

fn reading_at(usage: &Usage, day: i64, days: i64) -> Amounts {
    if day >= days {
        return usage.to_reading;
    }
    let at = |period: Period| {
        let (from, to) = (usage.from_reading.of(period), usage.to_reading.of(period));
        let counted = i128::from(to.saturating_sub(from)) * i128::from(day);
        let part = Rounding::Down.divide(counted, i128::from(days));
        from + u64::try_from(part).expect("a part of what was counted")
    };
    Amounts::new(Period::ALL.map(at))
}
