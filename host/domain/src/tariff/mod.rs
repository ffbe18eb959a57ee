//! What energy and water cost: plans of any shape, the charge for what was used, and what money buys.
//!
//! * [`Tariff`] is one version's prices: flat, by time of use, by steps, or both at once.
//! * [`charge`] and [`bill`] go from readings to money, [`buy`] from money to energy or water.
//! * Each answer is its own arithmetic as a value: it holds all that it was made from, and making it
//!   again from that gives an equal value, or somebody changed something.
//!
//! Invariant: whole numbers only, and every division names its [`Rounding`]. A charge is the
//! difference of two amounts that only grow, so that charging in parts is charging the whole.
//! Not here: which plan a meter has, where plans are kept (service), what day it is.

mod bill;
mod charge;
mod cost;
mod date;
mod limits;
mod notation;
mod period;
mod purchase;
mod rate;
mod schedule;
mod span;
mod terms;
mod value;

#[cfg(test)]
mod model;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use bill::{Bill, Timeline, Version, bill};
pub use charge::{Explanation, MonthSoFar, Position, Usage, charge};
pub use cost::{Cost, Share};
pub use date::{Date, NotADate};
pub use limits::{QUANTITY_MAX, RATE_MAX};
pub use notation::parse;
pub use period::{Amounts, Period};
pub use purchase::{Bought, NotSold, Origin, buy, carry, check_sellable, monthly_fee, price_of};
pub use rate::{NotARate, Rate, Rounding, scaled, unscaled};
pub use schedule::{Calendar, DayKind, DayPlan, MonthDay, Schedule, Season, Slot};
pub use span::{Counted, Moment, Registers, Stretch, charge_between};
pub use terms::Terms;
pub use value::{Accumulation, Commodity, Household, Rates, Step, Tariff, Tax};

/// A tariff that contradicts itself or says too little, in a sentence for whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadTariff(pub String);

/// Why something cannot be charged, in a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotCharged(pub String);
