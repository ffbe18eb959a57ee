//! A tariff tried on a sample before anybody is charged by it.

use crate::Service;
use crate::error::{Result, invalid};
use polymeter_domain::Money;
use polymeter_domain::tariff::{
    Amounts, Bought, Date, Explanation, Position, Tariff, Terms, Usage, buy, charge,
};

/// One month of somebody's use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// What the meter counts in that month, Wh or litres by period.
    pub metered: Amounts,
    /// Charged before in the same accumulation: the place in the steps.
    pub before: u64,
    pub terms: Terms,
    /// What somebody pays at the counter, where that is asked too.
    pub paid: Option<Money>,
}

/// What a definition makes of a sample. Nothing is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    pub tariff: Tariff,
    pub charge: Explanation,
    pub bought: Option<Bought>,
}

impl Service {
    /// The month is the one that `on` is in, whole.
    pub fn preview_tariff(&self, definition: &str, on: Date, sample: &Sample) -> Result<Preview> {
        preview(self.read_tariff(definition)?, on, sample)
    }
}

pub(crate) fn preview(tariff: Tariff, on: Date, sample: &Sample) -> Result<Preview> {
    sample.terms.check().map_err(|error| invalid("sample", error.to_string()))?;
    let first = on.first_of_month();
    let Some(to) = first.first_of_next_month() else {
        return Err(invalid("from", "the last month of the calendar"));
    };
    let mut position = Position::start(first);
    position.since = tariff.accumulation().start(first);
    if tariff.has_steps() {
        position.used = before(&tariff, sample.before);
    }
    let usage = Usage { to, from_reading: Amounts::default(), to_reading: sample.metered };
    let charged = charge(&tariff, &sample.terms, &position, &usage);
    let charged = charged.map_err(|why| invalid("sample", why.to_string()))?;
    let bought = match sample.paid {
        None => None,
        Some(paid) => {
            let bought = buy(&tariff, &sample.terms, sample.before, paid, 1);
            Some(bought.map_err(|why| invalid("sample", why.to_string()))?)
        }
    };
    Ok(Preview { tariff, charge: charged, bought })
}

/// Earlier use, in a period that the tariff has a price for.
fn before(tariff: &Tariff, amount: u64) -> Amounts {
    let rates = tariff.steps().first().map(|step| &step.rates);
    Amounts::in_first(amount, |period| rates.is_some_and(|rates| rates.of(period).is_some()))
}
