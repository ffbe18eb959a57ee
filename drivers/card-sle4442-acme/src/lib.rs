//! Driver for customers' cards of the made-up maker ACME: an SLE4442 with a layout of our own making,
//! which stands in full in the README beside this crate.
//!
//! Invariant: nothing that counts is ever written over, so a card that is pulled within any byte holds
//! the old state whole or the new one. A code is presented only to a card that says which one it has
//! and whose MAC is ours.
//!
//! Not here: how a reader is told to read and write the chip (the host), what the device does.
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
mod card;
mod describe;
mod layout;
mod look;
mod written_back;

use polymeter_driver::{
    Call, CardContents, CardDriver, CardIdentity, CardOrder, Description, DriverError, Host,
    SellOutcome,
};

#[derive(Debug)]
pub struct CardSle4442Acme;

impl CardDriver for CardSle4442Acme {
    fn describe() -> Description {
        describe::description()
    }
    fn identify(host: &mut dyn Host, _: &Call) -> Result<Option<CardIdentity>, DriverError> {
        look::identify(host)
    }
    fn check(host: &mut dyn Host, _: &Call) -> Result<CardContents, DriverError> {
        look::check(host)
    }
    fn open(
        host: &mut dyn Host,
        call: &Call,
        order: &CardOrder,
    ) -> Result<SellOutcome, DriverError> {
        acts::open(host, call, order)
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
        acts::replace(host, call, order)
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
        acts::make(host, call, order)
    }
}

polymeter_driver::export_card!(CardSle4442Acme);
