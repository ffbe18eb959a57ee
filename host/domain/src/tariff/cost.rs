//! What an amount costs from the start of its accumulation: the one function under every charge and
//! every purchase.
//!
//! It is a function of the amounts alone and only grows with them. Steps count all periods together;
//! where a day has periods too, each period's part of a step is its part of the whole.

use super::{Amounts, NotCharged, Period, QUANTITY_MAX, Rate, Rates, Rounding, Tariff};

/// Parts of a minor unit: a rate is in ten-thousandths of one, for a thousand Wh or litres.
pub(super) const PARTS_PER_MINOR: i128 = 10_000 * 1_000;

/// `step_amount x period_amount / total x rate`. Without periods, `period_amount` is the total;
/// without steps, `step_amount` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// From 1.
    pub step: u8,
    pub period: Option<Period>,
    pub step_amount: u64,
    pub period_amount: u64,
    pub rate: Rate,
}

/// All that was used so far in this accumulation, and its exact cost as a fraction: ten-millionths
/// of a minor unit are `numerator / total`, or nothing where the total is 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cost {
    pub total: u64,
    pub shares: Vec<Share>,
    pub numerator: i128,
}

impl Cost {
    /// As it was kept; the numerator follows from the shares.
    pub fn kept(total: u64, shares: Vec<Share>) -> Cost {
        Cost {
            total,
            numerator: shares.iter().fold(0_i128, |sum, it| sum.saturating_add(it.numerator())),
            shares,
        }
    }

    pub fn minor(&self, rounding: Rounding) -> i128 {
        match self.total {
            0 => 0,
            total => rounding.divide(self.numerator, i128::from(total) * PARTS_PER_MINOR),
        }
    }

    /// Ten-millionths of a minor unit; exact wherever there are no periods.
    pub(super) fn parts(&self, rounding: Rounding) -> i128 {
        match self.total {
            0 => 0,
            total => rounding.divide(self.numerator, i128::from(total)),
        }
    }
}

impl Tariff {
    /// `None` beyond what can be counted.
    fn total(used: &Amounts) -> Result<u64, NotCharged> {
        let total = used.total().filter(|total| *total <= QUANTITY_MAX);
        total.ok_or_else(|| NotCharged("more was used than can be counted".to_owned()))
    }

    /// How much of `total` lies in each step.
    fn step_amounts(&self, total: u64, people: u32) -> Vec<u64> {
        let mut from = 0;
        let ends = (0..self.steps.len()).map(|step| self.threshold(step, people));
        ends.map(|end| {
            let end = end.map_or(total, |end| end.min(total));
            let amount = end.saturating_sub(from);
            from = from.max(end);
            amount
        })
        .collect()
    }

    pub fn cost(&self, used: &Amounts, people: u32) -> Result<Cost, NotCharged> {
        let total = Self::total(used)?;
        let mut shares = Vec::new();
        for (at, step_amount) in self.step_amounts(total, people).into_iter().enumerate() {
            let step = u8::try_from(at + 1).expect("few steps");
            match self.steps[at].rates {
                _ if step_amount == 0 => {}
                Rates::One(rate) => shares.push(Share {
                    step,
                    period: None,
                    step_amount,
                    period_amount: total,
                    rate,
                }),
                Rates::ByPeriod(rates) => {
                    for period in Period::ALL {
                        let period_amount = used.of(period);
                        if period_amount == 0 {
                            continue;
                        }
                        let rate = rates[period.index()].ok_or_else(|| {
                            NotCharged(format!("the tariff has no price for {period}"))
                        })?;
                        let period = Some(period);
                        shares.push(Share { step, period, step_amount, period_amount, rate });
                    }
                }
            }
        }
        Ok(Cost::kept(total, shares))
    }

    /// As if all of it were used in the dearest period of each step: what it costs at most.
    pub(super) fn cost_at_most(&self, total: u64, people: u32) -> Result<Cost, NotCharged> {
        let total = Self::total(&Amounts::one(total))?;
        let mut shares = Vec::new();
        for (at, step_amount) in self.step_amounts(total, people).into_iter().enumerate() {
            if step_amount == 0 {
                continue;
            }
            let step = u8::try_from(at + 1).expect("few steps");
            let rate = self.steps[at].rates.dearest();
            let rate = rate.ok_or_else(|| NotCharged("the tariff has no price".to_owned()))?;
            let period_amount = total;
            shares.push(Share { step, period: None, step_amount, period_amount, rate });
        }
        Ok(Cost::kept(total, shares))
    }
}

impl Share {
    /// Below 2^120 for two amounts up to [`QUANTITY_MAX`] and a rate up to `RATE_MAX`; what was kept
    /// may be anything.
    fn numerator(&self) -> i128 {
        let amounts = i128::from(self.step_amount).saturating_mul(self.period_amount.into());
        amounts.saturating_mul(self.rate.ten_thousandths().into())
    }
}
