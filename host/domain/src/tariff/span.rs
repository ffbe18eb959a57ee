//! A charge from one reading to the next. Readings come at any minute of a day, prices change at
//! midnight: where a change or a new month lies between two readings, what was counted is laid over
//! the time between them, rounded down; the last part has what is left, so the parts' sum is what
//! was counted.
//!
//! Not here: whether a reading can be believed (service), what each part costs (charge).

use super::{
    Amounts, Date, Explanation, NotCharged, Period, Position, Rounding, Tariff, Terms, Usage,
    charge,
};
use crate::LocalTime;

const DAY_SECONDS: i64 = 86_400;

/// A moment as the clock on the site's wall has it. Days have 24 hours here, whatever the clock does:
/// an hour more or less moves what is laid over it by less than a reading would.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    pub day: Date,
    /// Since midnight.
    pub second: u32,
}

impl Moment {
    /// `None` for what no calendar has.
    pub fn of(at: LocalTime) -> Option<Moment> {
        let LocalTime { year, month, day, hour, minute, second } = at;
        let (hour, minute) = (u32::from(hour), u32::from(minute));
        let second = hour * 3_600 + minute * 60 + u32::from(second);
        Some(Moment { day: Date::new(year, month, day)?, second: second.min(86_399) })
    }

    fn seconds(self) -> i64 {
        self.day.number() * DAY_SECONDS + i64::from(self.second)
    }
}

/// What a meter's registers showed at once, in Wh or litres.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Registers {
    pub total: Option<u64>,
    pub periods: Option<Amounts>,
}

impl Registers {
    /// As a tariff counts: by period where it has periods, in one sum where it has not.
    pub fn of(&self, tariff: &Tariff) -> Result<Amounts, NotCharged> {
        let no = |why: &str| NotCharged(why.to_owned());
        if tariff.schedule().is_some() {
            return self.periods.ok_or_else(|| {
                no("the prices go by the time of day, and the meter told no registers by period")
            });
        }
        let sum = self.total.or_else(|| self.periods.and_then(|periods| periods.total()));
        sum.map(Amounts::one).ok_or_else(|| no("the meter told no register that can be charged"))
    }

    /// The first register that is lower than in `before`, in words; `None` where all only grew.
    pub fn went_back(&self, before: &Registers) -> Option<String> {
        let back = |name: &str, from: u64, to: u64| {
            (to < from).then(|| format!("{name} went back from {from} to {to}"))
        };
        let total = before.total.zip(self.total);
        let total = total.and_then(|(from, to)| back("the register", from, to));
        let periods = before.periods.zip(self.periods);
        let periods = periods.and_then(|(from, to)| {
            let each = |it: Period| back(&format!("the register of {it}"), from.of(it), to.of(it));
            Period::ALL.into_iter().find_map(each)
        });
        total.or(periods)
    }

    /// How much was counted since `before`, whichever register tells the most.
    pub fn counted_since(&self, before: &Registers) -> u64 {
        let sum = |it: &Registers| it.periods.and_then(|periods| periods.total());
        let more = |from: Option<u64>, to: Option<u64>| {
            from.zip(to).map_or(0, |(from, to)| to.saturating_sub(from))
        };
        more(before.total, self.total).max(more(sum(before), sum(self)))
    }

    fn laid(&self, to: &Registers, share: (i64, i64)) -> Registers {
        let at = |from: u64, to: u64| {
            let counted = i128::from(to.saturating_sub(from)) * i128::from(share.0);
            let part = Rounding::Down.divide(counted, i128::from(share.1));
            from + u64::try_from(part).expect("a part of what was counted")
        };
        Registers {
            total: self.total.zip(to.total).map(|(from, to)| at(from, to)),
            periods: self.periods.zip(to.periods).map(|(from, to)| {
                Amounts::new(Period::ALL.map(|period| at(from.of(period), to.of(period))))
            }),
        }
    }
}

/// Prices and terms from a day on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    pub from: Date,
    pub tariff: Tariff,
    pub terms: Terms,
}

/// A reading and when it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    pub at: Moment,
    pub registers: Registers,
}

/// The parts in the order of time, each with the place of its stretch in `stretches`, which are in
/// the order of their days. No part at all where nothing was used and no day has passed.
pub fn charge_between(
    stretches: &[Stretch],
    before: &Position,
    from: &Counted,
    to: &Counted,
) -> Result<Vec<(usize, Explanation)>, NotCharged> {
    if to.at < from.at || to.at.day < before.at {
        return Err(NotCharged("the reading is older than what is charged already".to_owned()));
    }
    if let Some(why) = to.registers.went_back(&from.registers) {
        return Err(NotCharged(why));
    }
    let mut walk = Walk { stretches, position: before.clone(), at: from.registers, parts: vec![] };
    for cut in cuts(stretches, from.at.day, to.at.day) {
        let (begin, end) = (from.at.seconds(), to.at.seconds());
        let share = (cut.number() * DAY_SECONDS - begin, (end - begin).max(1));
        walk.to(cut, from.registers.laid(&to.registers, share))?;
    }
    walk.to(to.at.day, to.registers)?;
    Ok(walk.parts)
}

/// The days after `from`, up to `to`, at whose midnight a month or other prices begin.
fn cuts(stretches: &[Stretch], from: Date, to: Date) -> Vec<Date> {
    let firsts = std::iter::successors(from.first_of_next_month(), |it| it.first_of_next_month());
    let mut cuts: Vec<Date> = firsts.take_while(|first| *first <= to).collect();
    let changes = stretches.iter().map(|stretch| stretch.from);
    cuts.extend(changes.filter(|day| from < *day && *day <= to));
    cuts.sort_unstable();
    cuts.dedup();
    cuts
}

struct Walk<'a> {
    stretches: &'a [Stretch],
    position: Position,
    at: Registers,
    parts: Vec<(usize, Explanation)>,
}

impl Walk<'_> {
    fn to(&mut self, day: Date, registers: Registers) -> Result<(), NotCharged> {
        let position = &self.position;
        let place = self.stretches.iter().rposition(|stretch| stretch.from <= position.at);
        let place = place
            .ok_or_else(|| NotCharged(format!("there is no tariff plan on {}", position.at)))?;
        let Stretch { tariff, terms, .. } = &self.stretches[place];
        let usage =
            Usage { to: day, from_reading: self.at.of(tariff)?, to_reading: registers.of(tariff)? };
        self.at = registers;
        if day == position.at && usage.from_reading == usage.to_reading {
            return Ok(());
        }
        let part = charge(tariff, terms, position, &usage)?;
        self.position = part.after.clone();
        self.parts.push((place, part));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Currency;
    use crate::tariff::parse;
    use proptest::prelude::*;

    fn date(text: &str) -> Date {
        text.parse().expect("a day")
    }

    fn at(day: &str, hour: u32) -> Moment {
        Moment { day: date(day), second: hour * 3_600 }
    }

    fn one(at: Moment, total: u64) -> Counted {
        Counted { at, registers: Registers { total: Some(total), periods: None } }
    }

    fn prices(from: &str, text: &str) -> Stretch {
        let tariff = parse(text, Currency::CNY).expect("a tariff");
        Stretch { from: date(from), tariff, terms: Terms::default() }
    }

    #[test]
    fn a_change_of_price_splits_what_was_counted_over_midnight() {
        let stretches = [
            prices("2026-01-01", "unit kWh\nprice 0.50\n"),
            prices("2026-03-03", "unit kWh\nprice 1.00\n"),
        ];
        let start = Position::start(date("2026-03-02"));
        // Twelve hours, nine of them before the change.
        let (from, to) = (one(at("2026-03-02", 15), 7_000), one(at("2026-03-03", 3), 19_000));
        let parts = charge_between(&stretches, &start, &from, &to).expect("charged");
        let told: Vec<_> = parts
            .iter()
            .map(|(place, part)| (*place, part.metered.total(), part.total.minor()))
            .collect();
        assert_eq!(told, [(0, Some(9_000), 450), (1, Some(3_000), 300)]);
        assert_eq!(parts[1].1.after.at, date("2026-03-03"));
        // The same reading again is nothing.
        let after = &parts[1].1.after;
        assert_eq!(charge_between(&stretches, after, &to, &to), Ok(vec![]));
        let back = one(at("2026-03-03", 4), 18_999);
        let error = charge_between(&stretches, after, &to, &back).expect_err("no");
        assert_eq!(error.to_string(), "the register went back from 19000 to 18999");
        let none = charge_between(&stretches[1..], &start, &from, &to).expect_err("no");
        assert_eq!(none.to_string(), "there is no tariff plan on 2026-03-02");
    }

    #[test]
    fn a_month_ends_at_midnight_and_its_fee_is_whole() {
        let stretches = [prices("2026-01-01", "unit kWh\nprice 0.50\nfee 31.00\n")];
        let start = Position::start(date("2026-01-01"));
        let (from, to) = (one(at("2026-01-01", 0), 0), one(at("2026-02-02", 0), 0));
        let parts = charge_between(&stretches, &start, &from, &to).expect("charged");
        let fees: Vec<_> = parts.iter().map(|(_, part)| part.fee.minor()).collect();
        assert_eq!(fees, [3_100, 111]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn parts_sum_to_what_was_counted(
            steps in prop::collection::vec((0..200_000_u32, 0..90_000_u64), 1..20),
            change in 1..60_i64, first in 1..9_999_u32, second in 1..9_999_u32,
        ) {
            let begin = date("2026-01-15");
            let day = |number: i64| {
                (0..number).fold(begin, |day, _| {
                    let next = Date::new(day.year(), day.month(), day.day() + 1);
                    next.or_else(|| day.first_of_next_month()).expect("a day")
                })
            };
            let text = |price: u32| format!("unit kWh\nprice 0.{price:04}\nfee 3.00\n");
            let tariff = |price| parse(&text(price), Currency::CNY).expect("a tariff");
            let terms = Terms::default();
            let stretches = [
                Stretch { from: begin, tariff: tariff(first), terms },
                Stretch { from: day(change), tariff: tariff(second), terms },
            ];
            let mut position = Position::start(begin);
            let mut before = one(Moment { day: begin, second: 0 }, 0);
            let (mut metered, mut seconds, mut fees) = (0, 0_i64, 0);
            for (later, more) in steps {
                seconds += i64::from(later);
                let second = u32::try_from(seconds % 86_400).expect("small");
                let moment = Moment { day: day(seconds / 86_400), second };
                let total = before.registers.total.expect("one") + more;
                let now = one(moment, total);
                for (_, part) in charge_between(&stretches, &position, &before, &now).expect("ok") {
                    prop_assert!(part.total.minor() >= 0);
                    prop_assert_eq!(&part.rerun().expect("again"), &part);
                    metered += part.metered.total().expect("small");
                    fees += part.fee.minor();
                    position = part.after;
                }
                prop_assert_eq!(Some(metered), now.registers.total);
                before = now;
            }
            // However often it was read, the fee is that of one charge over all the days.
            let whole = charge_between(
                &stretches,
                &Position::start(begin),
                &one(Moment { day: begin, second: 0 }, 0),
                &before,
            );
            let whole: i64 = whole.expect("ok").iter().map(|(_, part)| part.fee.minor()).sum();
            prop_assert_eq!(whole, fees);
        }
    }
}
