//! What this driver is, and what its setting cards carry.

use crate::look::VENDOR;
use polymeter_driver::codes::{proof, quantity, unit};
use polymeter_driver::{Description, Parameter};

pub mod name {
    pub const ALARM: &str = "alarm";
    pub const OVERDRAFT_LIMIT: &str = "overdraft-limit";
    pub const FEN_MAX: i64 = 99_999_999;
}

pub fn description() -> Description {
    Description {
        vendor_code: VENDOR.to_owned(),
        name: "card-sle4442-acme".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        models: vec!["ACME customer card (SLE4442)".to_owned()],
        proof: proof::PURCHASE_COUNT,
        purse: quantity::MONEY,
        parameters: vec![
            money(name::ALARM, "Low credit alarm", "报警金额"),
            money(name::OVERDRAFT_LIMIT, "Overdraft limit", "透支金额限值"),
        ],
    }
}

fn money(name: &str, title_en: &str, title_zh: &str) -> Parameter {
    Parameter {
        name: name.to_owned(),
        title_en: title_en.to_owned(),
        title_zh: title_zh.to_owned(),
        unit: unit::CURRENCY,
        minimum: Some(0),
        maximum: Some(name::FEN_MAX),
        default: None,
        writable: true,
    }
}
