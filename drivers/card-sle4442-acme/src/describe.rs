//! What this driver is, and what its maintenance cards carry.

use crate::carried::{
    ALARM, AREA, KEY_FROM, KEY_TO, KEY_VERSION_MAX, OVERDRAFT_LIMIT, PRICE_FLAT, PRICE_PEAK,
    PRICE_SHARP, PRICE_VALLEY,
};
use polymeter_cards::{Cards, PRICE_MAX, carried_parameter, money_parameter};
use polymeter_driver::codes::{proof, quantity};
use polymeter_driver::{Description, Parameter};

pub fn description() -> Description {
    let price = |name, en, zh| carried_parameter(name, en, zh, Some((0, PRICE_MAX)));
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
            price(PRICE_SHARP, "Price per kWh, sharp", "尖时段电价"),
            price(PRICE_PEAK, "Price per kWh, peak", "峰时段电价"),
            price(PRICE_FLAT, "Price per kWh, flat", "平时段电价"),
            price(PRICE_VALLEY, "Price per kWh, valley", "谷时段电价"),
            carried_parameter(AREA, "The device's new region", "新区域", None),
            version(KEY_FROM, "Version of the key that devices have", "设备现有密钥版本"),
            version(KEY_TO, "Version of the key that they get", "设备新密钥版本"),
        ],
    }
}

fn version(name: &str, title_en: &str, title_zh: &str) -> Parameter {
    carried_parameter(name, title_en, title_zh, Some((1, KEY_VERSION_MAX.into())))
}
