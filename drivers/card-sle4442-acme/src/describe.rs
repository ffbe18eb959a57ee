//! What this driver is, and what its setting cards carry.

use polymeter_cards::{Cards, money_parameter};
use polymeter_driver::Description;
use polymeter_driver::codes::{proof, quantity};

pub const ALARM: &str = "alarm";
pub const OVERDRAFT_LIMIT: &str = "overdraft-limit";

pub fn description() -> Description {
    Description {
        vendor_code: crate::CardSle4442Acme::VENDOR.to_owned(),
        name: "card-sle4442-acme".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        models: vec!["ACME customer card (SLE4442)".to_owned()],
        proof: proof::PURCHASE_COUNT,
        purse: quantity::MONEY,
        parameters: vec![
            money_parameter(ALARM, "Low credit alarm", "报警金额"),
            money_parameter(OVERDRAFT_LIMIT, "Overdraft limit", "透支金额限值"),
        ],
    }
}
