//! What this driver is, and what its setting cards carry.

use polymeter_cards::{Cards, money_parameter};
use polymeter_driver::Description;
use polymeter_driver::codes::{proof, quantity};

pub const ALARM: &str = "alarm";

pub fn description() -> Description {
    Description {
        vendor_code: crate::CardAt88sc102Nova::VENDOR.to_owned(),
        name: "card-at88sc102-nova".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        models: vec!["NOVA customer card (AT88SC102)".to_owned()],
        proof: proof::PURCHASE_COUNT,
        purse: quantity::MONEY,
        parameters: vec![money_parameter(ALARM, "Low credit alarm", "报警金额")],
    }
}
