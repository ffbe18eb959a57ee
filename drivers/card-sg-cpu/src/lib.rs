//! Driver for CPU user cards of local prepayment (CPU用户卡), as meters of State Grid and South Grid
//! take them.
//!
//! Invariant: one command of an act makes the new purchase count, and a card that is pulled at any
//! moment holds the old purchase whole or the new one. No try of a card's counter is spent on a card
//! of other keys. What is known, assumed and unknown stands in the README beside this crate.
//!
//! Not here: cards with SM1, making the files and loading the keys of a card from the factory.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used
)]

mod acts;
mod carried;
mod describe;
mod issue;
mod look;
mod session;
mod settings;

use polymeter_driver::{
    Call, CardContents, CardDriver, CardIdentity, CardOrder, Description, DriverError, Host,
    SellOutcome,
};

#[derive(Debug)]
pub struct CardSgCpu;

impl CardDriver for CardSgCpu {
    fn describe() -> Description {
        describe::description()
    }
    fn identify(host: &mut dyn Host, call: &Call) -> Result<Option<CardIdentity>, DriverError> {
        look::identify(host, call)
    }
    fn check(host: &mut dyn Host, call: &Call) -> Result<CardContents, DriverError> {
        look::check(host, call)
    }
    fn open(
        host: &mut dyn Host,
        call: &Call,
        order: &CardOrder,
    ) -> Result<SellOutcome, DriverError> {
        issue::open(host, call, order)
    }
    fn sell(
        host: &mut dyn Host,
        call: &Call,
        order: &CardOrder,
    ) -> Result<SellOutcome, DriverError> {
        acts::sell(host, call, order)
    }
    fn replace(
        host: &mut dyn Host,
        call: &Call,
        order: &CardOrder,
    ) -> Result<SellOutcome, DriverError> {
        issue::replace(host, call, order)
    }
    fn take_back(
        host: &mut dyn Host,
        call: &Call,
        order: &CardOrder,
    ) -> Result<SellOutcome, DriverError> {
        acts::take_back(host, call, order)
    }
    fn clear(host: &mut dyn Host, call: &Call) -> Result<SellOutcome, DriverError> {
        acts::clear(host, call)
    }
    fn make(
        host: &mut dyn Host,
        call: &Call,
        order: &CardOrder,
    ) -> Result<SellOutcome, DriverError> {
        issue::make(host, call, order)
    }
}

polymeter_driver::export_card!(CardSgCpu);
