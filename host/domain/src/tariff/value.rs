//! One version's prices as a checked value.

use super::limits::{MONTHLY_MAX, PEOPLE_MAX, STEPS_MAX};
use super::{BadTariff, Date, Period, QUANTITY_MAX, Rate, Schedule};
use crate::{Currency, Money};

/// What is sold. Prices are per kWh or per m³; amounts are whole Wh or litres.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Commodity {
    Energy,
    Water,
}

impl Commodity {
    /// What a price is for, and what a threshold is in.
    pub fn unit(self) -> &'static str {
        match self {
            Commodity::Energy => "kWh",
            Commodity::Water => "m³",
        }
    }
}

/// Over what time steps count, by the calendar (月阶梯, 年阶梯).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accumulation {
    Monthly,
    Yearly,
}

impl Accumulation {
    /// The day on which the counting that `date` is in began.
    pub fn start(self, date: Date) -> Date {
        match self {
            Accumulation::Monthly => date.first_of_month(),
            Accumulation::Yearly => date.first_of_year(),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Accumulation::Monthly => "monthly",
            Accumulation::Yearly => "yearly",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rates {
    One(Rate),
    /// In the order of [`Period::ALL`].
    ByPeriod([Option<Rate>; 5]),
}

impl Rates {
    pub fn of(&self, period: Period) -> Option<Rate> {
        match self {
            Rates::One(rate) => Some(*rate),
            Rates::ByPeriod(rates) => rates[period.index()],
        }
    }

    /// The highest; what a kWh costs at most.
    pub fn dearest(&self) -> Option<Rate> {
        match self {
            Rates::One(rate) => Some(*rate),
            Rates::ByPeriod(rates) => rates.iter().flatten().max().copied(),
        }
    }
}

/// Up to so much, from where the step before ends; the last step has no end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub up_to: Option<u64>,
    pub rates: Rates,
}

/// Each person above `above` adds `each` to every threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Household {
    pub above: u32,
    pub each: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tax {
    None,
    /// Hundredths of a percent that are in the prices already.
    Included(u32),
    /// Hundredths of a percent that come on top.
    Added(u32),
}

/// A year of prices: flat, by steps, by time of use, or both. Built only by `Tariff::new`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tariff {
    pub(super) commodity: Commodity,
    pub(super) currency: Currency,
    pub(super) accumulation: Accumulation,
    pub(super) steps: Vec<Step>,
    pub(super) household: Option<Household>,
    pub(super) schedule: Option<Schedule>,
    pub(super) fee: Money,
    pub(super) minimum: Money,
    pub(super) tax: Tax,
}

/// The parts of a tariff before they were checked against each other.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    pub commodity: Commodity,
    pub currency: Currency,
    pub accumulation: Option<Accumulation>,
    pub steps: Vec<Step>,
    pub household: Option<Household>,
    pub schedule: Option<Schedule>,
    pub fee: Money,
    pub minimum: Money,
    pub tax: Tax,
}

fn bad<T>(why: impl Into<String>) -> Result<T, BadTariff> {
    Err(BadTariff(why.into()))
}

impl Tariff {
    pub(super) fn new(parts: Parts) -> Result<Tariff, BadTariff> {
        check_steps(&parts)?;
        check_periods(&parts)?;
        check_household(&parts)?;
        for (what, money) in [("the fee", parts.fee), ("the minimum", parts.minimum)] {
            if !(0..=MONTHLY_MAX).contains(&money.minor()) {
                return bad(format!("{what} is {money}; it must not be negative nor absurd"));
            }
        }
        if let Tax::Included(rate) | Tax::Added(rate) = parts.tax
            && !(1..=10_000).contains(&rate)
        {
            return bad("the tax must be above 0 % and at most 100 %");
        }
        let Parts { commodity, currency, steps, household, schedule, fee, minimum, tax, .. } =
            parts;
        // Without steps it matters to nothing but where rounding begins anew.
        let accumulation = parts.accumulation.unwrap_or(Accumulation::Monthly);
        Ok(Tariff {
            commodity,
            currency,
            accumulation,
            steps,
            household,
            schedule,
            fee,
            minimum,
            tax,
        })
    }

    /// One price for everything.
    pub fn flat(commodity: Commodity, rate: Rate, currency: Currency) -> Tariff {
        let nothing = Money::new(0, currency);
        Tariff {
            commodity,
            currency,
            accumulation: Accumulation::Monthly,
            steps: vec![Step { up_to: None, rates: Rates::One(rate) }],
            household: None,
            schedule: None,
            fee: nothing,
            minimum: nothing,
            tax: Tax::None,
        }
    }

    pub fn commodity(&self) -> Commodity {
        self.commodity
    }
    pub fn currency(&self) -> Currency {
        self.currency
    }
    pub fn accumulation(&self) -> Accumulation {
        self.accumulation
    }
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
    pub fn household(&self) -> Option<Household> {
        self.household
    }
    pub fn schedule(&self) -> Option<&Schedule> {
        self.schedule.as_ref()
    }
    /// For each month.
    pub fn fee(&self) -> Money {
        self.fee
    }
    /// For each month.
    pub fn minimum(&self) -> Money {
        self.minimum
    }
    pub fn tax(&self) -> Tax {
        self.tax
    }

    pub fn has_steps(&self) -> bool {
        self.steps.len() > 1
    }

    /// Where losses by the day are charged: the flat period, or the cheapest where there is none.
    pub(super) fn loss_period(&self) -> Period {
        let Some(step) = self.steps.first() else { return Period::Flat };
        if step.rates.of(Period::Flat).is_some() {
            return Period::Flat;
        }
        let priced = Period::ALL.into_iter().filter(|period| step.rates.of(*period).is_some());
        priced.min_by_key(|period| step.rates.of(*period)).unwrap_or(Period::Flat)
    }

    /// Where a step ends for a household of `people`.
    pub fn threshold(&self, step: usize, people: u32) -> Option<u64> {
        let up_to = self.steps.get(step)?.up_to?;
        let more = self.household.map_or(0, |household| {
            u64::from(people.saturating_sub(household.above)) * household.each
        });
        Some(up_to + more)
    }
}

fn check_steps(parts: &Parts) -> Result<(), BadTariff> {
    let steps = &parts.steps;
    let unit = parts.commodity.unit();
    if steps.is_empty() {
        return bad("it has no price");
    }
    if steps.len() > STEPS_MAX {
        return bad(format!("it has more than {STEPS_MAX} steps"));
    }
    let mut end = 0;
    for (at, step) in steps.iter().enumerate() {
        let is_last = at + 1 == steps.len();
        let number = at + 1;
        match step.up_to {
            None if !is_last => return bad(format!("step {number} has no end, and others follow")),
            Some(_) if is_last => {
                return bad(format!(
                    "step {number} is the last and ends: say what a {unit} beyond \
                                    it costs (`price beyond: ...`)"
                ));
            }
            Some(up_to) if up_to <= end => {
                return bad(format!("step {number} must end above the end of the step before"));
            }
            Some(up_to) if up_to > QUANTITY_MAX => {
                return bad(format!("step {number} ends beyond what can be counted"));
            }
            Some(up_to) => end = up_to,
            None => {}
        }
    }
    match (steps.len() > 1, parts.accumulation) {
        (true, None) => {
            bad("it has steps: say whether they count `steps monthly` or `steps yearly`")
        }
        (false, Some(_)) => bad("it counts steps and has only one price"),
        _ => Ok(()),
    }
}

fn check_periods(parts: &Parts) -> Result<(), BadTariff> {
    let Some(schedule) = &parts.schedule else {
        let by_period = |step: &Step| matches!(step.rates, Rates::ByPeriod(_));
        return match parts.steps.iter().any(by_period) {
            true => bad("it has prices by period and no season that says when each period is"),
            false => Ok(()),
        };
    };
    if parts.commodity == Commodity::Water {
        return bad("water has no price by time of use");
    }
    let used = schedule.periods();
    for (at, step) in parts.steps.iter().enumerate() {
        let Rates::ByPeriod(_) = step.rates else {
            return bad(format!("step {} has one price, and the day has periods", at + 1));
        };
        for period in Period::ALL {
            match (used.contains(&period), step.rates.of(period).is_some()) {
                (true, false) => {
                    return bad(format!(
                        "step {} has no price for {period} ({})",
                        at + 1,
                        period.chinese()
                    ));
                }
                (false, true) => {
                    return bad(format!(
                        "step {} has a price for {period} ({}), and no time of any \
                                        day is in it",
                        at + 1,
                        period.chinese()
                    ));
                }
                _ => {}
            }
            // Each period's share in the dearer steps only grows: so a charge is never negative.
            let before = at.checked_sub(1).and_then(|before| parts.steps.get(before));
            if before.is_some_and(|before| before.rates.of(period) > step.rates.of(period)) {
                return bad(format!(
                    "step {} costs less than the step before in {period}; with \
                                    periods, prices must not fall from step to step",
                    at + 1
                ));
            }
        }
    }
    Ok(())
}

fn check_household(parts: &Parts) -> Result<(), BadTariff> {
    let Some(household) = parts.household else { return Ok(()) };
    if parts.steps.len() < 2 {
        return bad("it scales steps by the household and has none");
    }
    let most = u64::from(PEOPLE_MAX).saturating_mul(household.each);
    if household.above == 0 || household.above > PEOPLE_MAX || household.each == 0 {
        return bad("a household's scale is like `household above 4: 1200`, both above zero");
    }
    let last = parts.steps.iter().filter_map(|step| step.up_to).next_back().unwrap_or(0);
    if last.saturating_add(most) > QUANTITY_MAX {
        return bad("the household's scale goes beyond what can be counted");
    }
    Ok(())
}
