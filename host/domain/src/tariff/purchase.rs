//! From money to what it buys, for meters that are paid before. The same costs as a charge's, asked
//! the other way round: the most that costs no more than was paid.
//!
//! Rounded down to what the purse counts in at every purchase, so that buying in parts gives at most what
//! buying at once gives, and no part gives more than was paid for.
//!
//! What moves from one purse of energy or volume into another is no purchase: it stays the same amount,
//! whatever it would cost now.

use super::cost::PARTS_PER_MINOR;
use super::{Commodity, Cost, NotCharged, QUANTITY_MAX, Rounding, Tariff, Tax, Terms};
use crate::{Money, Quantity};

/// A purchase and its arithmetic. The first five fields are what it was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bought {
    pub tariff: Tariff,
    pub terms: Terms,
    /// Bought before in the same accumulation, Wh or litres with ratios and losses: the position in
    /// the steps. 0 where there are none.
    pub before: u64,
    pub paid: Money,
    pub origin: Origin,
    /// What the meter counts of it, which is what a purse of energy or volume is given.
    pub metered: u64,
    /// That with ratios and losses.
    pub billed: u64,
    pub cost_before: Cost,
    pub cost_after: Cost,
    /// What it costs, rounded up: at most what was paid, unless it was carried.
    pub price: Money,
    /// Of it, tax.
    pub tax: Money,
    /// The price changes over the day, so that this is what it buys at the least: all of it in the
    /// dearest period.
    pub is_least: bool,
}

impl Bought {
    pub fn rerun(&self) -> Result<Bought, NotSold> {
        let Bought { tariff, terms, before, paid, .. } = self;
        match self.origin {
            Origin::Bought { step } => buy(tariff, terms, *before, *paid, step),
            Origin::Carried { metered } => carry(tariff, terms, *before, *paid, metered),
        }
    }
}

/// How the amount came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// For what was paid, rounded down to a multiple of `step`: what the purse counts in, Wh or litres.
    Bought { step: u64 },
    /// So much was left in another purse, and was paid for before.
    Carried { metered: u64 },
}

/// Why nothing can be sold, in a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotSold(pub String);

impl From<NotCharged> for NotSold {
    fn from(NotCharged(why): NotCharged) -> NotSold {
        NotSold(why)
    }
}

/// Whether a sale alone can charge this tariff into a purse that holds `quantity`. What takes a bill
/// at the month's end would otherwise never be charged.
pub fn check_sellable(tariff: &Tariff, terms: &Terms, quantity: Quantity) -> Result<(), NotSold> {
    let no = |why: &str| Err(NotSold(why.to_owned()));
    if tariff.minimum.minor() > 0 {
        return no("it has a monthly minimum, which a bill charges and a sale cannot");
    }
    if terms.iron_loss_wh_per_day > 0 {
        return no("the meter has iron losses by the day, which a bill charges and a sale cannot");
    }
    match (quantity, tariff.commodity) {
        (Quantity::Energy, Commodity::Energy) if tariff.schedule.is_some() => {
            no("the meter holds energy, and what a kWh costs changes over the day")
        }
        (Quantity::Volume, Commodity::Energy) => {
            no("the meter holds litres, and the price is per kWh")
        }
        (Quantity::Energy, Commodity::Water) => {
            no("the meter holds energy, and the price is per m³")
        }
        (Quantity::Money | Quantity::Energy, Commodity::Energy)
        | (Quantity::Money | Quantity::Volume, Commodity::Water) => Ok(()),
    }
}

/// The most that `paid` buys after `before` was bought in the same accumulation, in whole steps of the
/// purse.
pub fn buy(
    tariff: &Tariff,
    terms: &Terms,
    before: u64,
    paid: Money,
    step: u64,
) -> Result<Bought, NotSold> {
    if paid.currency() != tariff.currency {
        return Err(NotSold(format!("the price is in {}", tariff.currency.code())));
    }
    if paid.minor() < 0 {
        return Err(NotSold("the amount is below zero".to_owned()));
    }
    let before = if tariff.has_steps() { before } else { 0 };
    let cost_before = tariff.cost_at_most(before, terms.people)?;
    let affordable = |metered: u64| -> bool {
        after(tariff, terms, before, metered)
            .is_some_and(|cost| taxed(tariff, &cost_before, &cost) <= paid_parts(paid))
    };
    let metered = most(affordable);
    if after(tariff, terms, before, metered.saturating_add(1)).is_none() {
        return Err(NotSold("it buys more than can be counted".to_owned()));
    }
    let metered = metered - metered.checked_rem(step).unwrap_or_default();
    reckoned(tariff, terms, before, paid, metered, Origin::Bought { step })
}

/// `metered` of a purse that holds energy or volume, for which `paid` was paid before.
pub fn carry(
    tariff: &Tariff,
    terms: &Terms,
    before: u64,
    paid: Money,
    metered: u64,
) -> Result<Bought, NotSold> {
    let before = if tariff.has_steps() { before } else { 0 };
    reckoned(tariff, terms, before, paid, metered, Origin::Carried { metered })
}

fn reckoned(
    tariff: &Tariff,
    terms: &Terms,
    before: u64,
    paid: Money,
    metered: u64,
    origin: Origin,
) -> Result<Bought, NotSold> {
    let cost_before = tariff.cost_at_most(before, terms.people)?;
    let cost_after = after(tariff, terms, before, metered)
        .ok_or_else(|| NotSold("more was bought already than can be counted".to_owned()))?;
    let billed = cost_after.total - before;
    let (price, tax) = price(tariff, &cost_before, &cost_after)?;
    Ok(Bought {
        origin,
        tariff: tariff.clone(),
        terms: *terms,
        before,
        paid,
        metered,
        billed,
        cost_before,
        cost_after,
        price,
        tax,
        is_least: tariff.schedule.is_some(),
    })
}

/// The fee of a month with its tax, as the first sale of the month charges it.
pub fn monthly_fee(tariff: &Tariff) -> Money {
    let fee = i128::from(tariff.fee.minor());
    let tax = match tariff.tax {
        Tax::Added(rate) => Rounding::HalfUp.divide(fee * i128::from(rate), FINE),
        Tax::None | Tax::Included(_) => 0,
    };
    // A fee is bounded far below what money holds (`MONTHLY_MAX`).
    Money::new(i64::try_from(fee + tax).unwrap_or(i64::MAX), tariff.currency)
}

/// What `metered` costs after `before`, rounded up: the least that buys it.
pub fn price_of(
    tariff: &Tariff,
    terms: &Terms,
    before: u64,
    metered: u64,
) -> Result<Money, NotSold> {
    let before = if tariff.has_steps() { before } else { 0 };
    let cost_before = tariff.cost_at_most(before, terms.people)?;
    let cost_after = after(tariff, terms, before, metered)
        .ok_or_else(|| NotSold("more than can be counted".to_owned()))?;
    Ok(price(tariff, &cost_before, &cost_after)?.0)
}

/// Losses are rounded up at a purchase, so that parts do not come cheaper than the whole.
const LOSS_UP_PPM: u64 = 999_999;

/// `None` beyond what can be counted.
fn after(tariff: &Tariff, terms: &Terms, before: u64, metered: u64) -> Option<Cost> {
    let (billed, _) = terms.billed(metered, LOSS_UP_PPM)?;
    tariff.cost_at_most(before.checked_add(billed)?, terms.people).ok()
}

/// Ten-thousandths of the ten-millionths that costs are in, so that a tax on top is exact.
const FINE: i128 = 10_000;

fn paid_parts(paid: Money) -> i128 {
    i128::from(paid.minor()) * PARTS_PER_MINOR * FINE
}

/// Without periods costs are exact here, and so is this.
fn taxed(tariff: &Tariff, before: &Cost, after: &Cost) -> i128 {
    let cost = after.parts(Rounding::Up) - before.parts(Rounding::Up);
    match tariff.tax {
        Tax::None | Tax::Included(_) => cost * FINE,
        Tax::Added(rate) => cost * (FINE + i128::from(rate)),
    }
}

fn price(tariff: &Tariff, before: &Cost, after: &Cost) -> Result<(Money, Money), NotSold> {
    let price = Rounding::Up.divide(taxed(tariff, before, after), PARTS_PER_MINOR * FINE);
    let tax = match tariff.tax {
        Tax::None => 0,
        Tax::Included(rate) | Tax::Added(rate) => {
            let rate = i128::from(rate);
            Rounding::HalfUp.divide(price * rate, FINE + rate)
        }
    };
    let money = |minor: i128| match i64::try_from(minor) {
        Ok(minor) => Ok(Money::new(minor, tariff.currency)),
        Err(_) => Err(NotSold("the price is beyond what money holds".to_owned())),
    };
    Ok((money(price)?, money(tax)?))
}

/// The largest amount for which `fits` holds; it holds for 0, and never again once it failed.
fn most(fits: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, QUANTITY_MAX + 1);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}
