//! From readings to money, within one version of a plan and one month.
//!
//! Everything is the difference of what is due in all before and after: energy since the start of
//! its accumulation, fees, minimum and tax since the start of the month. So charging day by day
//! gives the same sum as charging once. Not here: spans over months and versions (bill).

use super::{Amounts, Cost, Date, NotCharged, Period, Rounding, Tariff, Tax, Terms};
use crate::Money;

/// What was charged already: all that a charge needs to know of the past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The first day that is not wholly charged.
    pub at: Date,
    /// Where the present accumulation of steps began.
    pub since: Date,
    /// Charged in it, losses and ratios included.
    pub used: Amounts,
    /// Millionths of a Wh of losses not charged yet, for each period.
    pub loss_rest_ppm: [u64; 5],
    pub month: MonthSoFar,
}

/// Sums since the first of the month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MonthSoFar {
    pub first: Date,
    /// Minor units for energy or water alone.
    pub energy_minor: i128,
    /// Minor units x days: a fee or a minimum is for the whole month.
    pub fee_days: i128,
    pub minimum_days: i128,
    /// Minor units that `tax` was taken of.
    pub taxed_minor: i128,
    pub tax: Tax,
}

impl Position {
    /// Nothing was ever charged before `at`.
    pub fn start(at: Date) -> Position {
        Position {
            at,
            since: at.first_of_month(),
            used: Amounts::default(),
            loss_rest_ppm: [0; 5],
            month: MonthSoFar::new(at.first_of_month()),
        }
    }

    /// The same, with what a new accumulation or a new month begins anew.
    fn rolled(&self, tariff: &Tariff) -> Position {
        let mut rolled = self.clone();
        let since = tariff.accumulation.start(self.at);
        if since > self.since || (since < self.since && self.used == Amounts::default()) {
            rolled.used = Amounts::default();
            rolled.since = since;
        }
        if self.month.first != self.at.first_of_month() {
            rolled.month = MonthSoFar::new(self.at.first_of_month());
        }
        if rolled.month.tax != tariff.tax {
            rolled.month.tax = tariff.tax;
            rolled.month.taxed_minor = 0;
        }
        rolled
    }
}

impl MonthSoFar {
    fn new(first: Date) -> MonthSoFar {
        MonthSoFar {
            first,
            energy_minor: 0,
            fee_days: 0,
            minimum_days: 0,
            taxed_minor: 0,
            tax: Tax::None,
        }
    }

    fn days(&self) -> i128 {
        i128::from(self.first.days_in_month())
    }

    fn fee(&self) -> i128 {
        Rounding::HalfUp.divide(self.fee_days, self.days())
    }

    fn minimum(&self) -> i128 {
        Rounding::HalfUp.divide(self.minimum_days, self.days())
    }

    fn tax(&self) -> i128 {
        let taxed = self.taxed_minor;
        match self.tax {
            Tax::None => 0,
            Tax::Added(rate) => Rounding::HalfUp.divide(taxed * i128::from(rate), 10_000),
            Tax::Included(rate) => {
                let rate = i128::from(rate);
                Rounding::HalfUp.divide(taxed * rate, 10_000 + rate)
            }
        }
    }
}

/// Two readings of one installation of a meter, its registers by period, in Wh or litres; and the day
/// to which they lead, itself not included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    pub to: Date,
    pub from_reading: Amounts,
    pub to_reading: Amounts,
}

impl Usage {
    /// A register that counted backwards is another meter's, or a broken one.
    pub fn metered(&self) -> Result<Amounts, NotCharged> {
        for period in Period::ALL {
            let (from, to) = (self.from_reading.of(period), self.to_reading.of(period));
            if to < from {
                return Err(NotCharged(format!(
                    "the register of {period} went back from {from} to {to}: a swapped meter is \
                     charged up to its last reading and from the new one's first"
                )));
            }
        }
        let metered = self.to_reading.zip(&self.from_reading, u64::checked_sub);
        metered.ok_or_else(|| NotCharged("the readings cannot be subtracted".to_owned()))
    }
}

/// A charge and its arithmetic. The first four fields are what it was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    pub tariff: Tariff,
    pub terms: Terms,
    pub before: Position,
    pub usage: Usage,
    /// What the meter counted, by period.
    pub metered: Amounts,
    /// That with ratios and losses, by period.
    pub billed: Amounts,
    /// Since the start of the accumulation: without and with this charge. Each is rounded half-up,
    /// and `energy` is the difference.
    pub cost_before: Cost,
    pub cost_after: Cost,
    pub energy: Money,
    pub fee: Money,
    /// What the minimum adds; below zero where later use takes back what an earlier part of the
    /// month was charged for want of it.
    pub minimum: Money,
    /// Of the three, on top of them or in them as the tariff says.
    pub tax: Money,
    pub total: Money,
    pub after: Position,
}

impl Explanation {
    /// Made again from what it was made from.
    pub fn rerun(&self) -> Result<Explanation, NotCharged> {
        charge(&self.tariff, &self.terms, &self.before, &self.usage)
    }
}

/// `[before.at, usage.to)` must be within one month; it may be no day at all.
pub fn charge(
    tariff: &Tariff,
    terms: &Terms,
    before: &Position,
    usage: &Usage,
) -> Result<Explanation, NotCharged> {
    let rolled = before.rolled(tariff);
    let days = days(before.at, usage.to)?;
    let metered = usage.metered()?;
    let (billed, loss_rest_ppm) = terms
        .billed_all(&metered, rolled.loss_rest_ppm, days, tariff.loss_period())
        .ok_or_else(|| NotCharged("more was used than can be counted".to_owned()))?;
    let used = rolled
        .used
        .zip(&billed, u64::checked_add)
        .ok_or_else(|| NotCharged("more was used than can be counted".to_owned()))?;
    let cost_before = tariff.cost(&rolled.used, terms.people)?;
    let cost_after = tariff.cost(&used, terms.people)?;
    let cost_of = |cost: &Cost| cost.minor(Rounding::HalfUp);
    let energy = cost_of(&cost_after) - cost_of(&cost_before);

    let mut month = rolled.month;
    let days = i128::from(days);
    month.energy_minor += energy;
    month.fee_days += i128::from(tariff.fee.minor()) * days;
    month.minimum_days += i128::from(tariff.minimum.minor()) * days;
    let fee = month.fee() - rolled.month.fee();
    let covered = |month: &MonthSoFar| month.energy_minor.max(month.minimum());
    let minimum = covered(&month) - covered(&rolled.month) - energy;
    let net = energy + minimum + fee;
    month.taxed_minor += net;
    let tax = month.tax() - rolled.month.tax();
    let total = if matches!(tariff.tax, Tax::Added(_)) { net + tax } else { net };

    let money = |minor: i128| match i64::try_from(minor) {
        Ok(minor) => Ok(Money::new(minor, tariff.currency)),
        Err(_) => Err(NotCharged("the charge is beyond what money holds".to_owned())),
    };
    Ok(Explanation {
        tariff: tariff.clone(),
        terms: *terms,
        before: before.clone(),
        usage: *usage,
        metered,
        billed,
        cost_before,
        cost_after,
        energy: money(energy)?,
        fee: money(fee)?,
        minimum: money(minimum)?,
        tax: money(tax)?,
        total: money(total)?,
        after: Position { at: usage.to, used, loss_rest_ppm, month, ..rolled },
    })
}

fn days(at: Date, to: Date) -> Result<u64, NotCharged> {
    let ends_by = at.first_of_next_month();
    if to < at || ends_by.is_some_and(|end| to > end) {
        return Err(NotCharged(format!("{at} to {to} is not within one month")));
    }
    u64::try_from(at.days_until(to)).map_err(|_| NotCharged(format!("{to} is before {at}")))
}
