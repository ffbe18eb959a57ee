//! Driver for the contactless cards of LUNA, a made-up maker: Mifare Classic, whose cipher is broken.
//!
//! Invariant: one whole slot of an act makes the new purchase count, and a card that is pulled at any
//! moment holds the old purchase whole or the new one. The layout stands in the README beside this crate.
//!
//! Not here: trust in the card. What was bought and how often is known in the books and in the device.
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
mod issue;
mod layout;
mod look;
mod session;
mod settings;

use polymeter_driver::codes::{proof, quantity, unit};
use polymeter_driver::{
    Call, CardContents, CardDriver, CardIdentity, CardOrder, Description, DriverError, Host,
    Parameter, SellOutcome,
};

#[derive(Debug)]
pub struct CardM1Luna;

fn money(name: &str, title_en: &str, title_zh: &str) -> Parameter {
    Parameter {
        name: name.to_owned(),
        title_en: title_en.to_owned(),
        title_zh: title_zh.to_owned(),
        unit: unit::CURRENCY,
        minimum: Some(0),
        maximum: Some(settings::LIMIT_MAX.into()),
        default: None,
        writable: true,
    }
}

impl CardDriver for CardM1Luna {
    fn describe() -> Description {
        Description {
            vendor_code: look::VENDOR.to_owned(),
            name: "card-m1-luna".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            models: vec!["LUNA card (Mifare Classic 1K)".to_owned()],
            proof: proof::PURCHASE_COUNT,
            purse: quantity::MONEY,
            parameters: vec![
                money(settings::ALARM, "Low credit alarm", "报警金额"),
                money(settings::OVERDRAFT, "Overdraft limit", "透支限额"),
            ],
        }
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

polymeter_driver::export_card!(CardM1Luna);
