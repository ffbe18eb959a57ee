//! What this driver is, and the parameters it takes.

use crate::carried::{ALARM_MAX, RATIO_MAX, name};
use crate::look::VENDOR;
use crate::settings::{GRID, STATE};
use polymeter_driver::codes::{proof, quantity, unit};
use polymeter_driver::{Description, Parameter, Value};

pub fn description() -> Description {
    Description {
        vendor_code: VENDOR.to_owned(),
        name: "card-sg-cpu".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        models: vec!["CPU user card (State Grid, South Grid)".to_owned()],
        proof: proof::PURCHASE_COUNT,
        purse: quantity::MONEY,
        parameters: vec![
            Parameter {
                default: Some(Value::Text(STATE.to_owned())),
                writable: false,
                ..carried(GRID, "Grid", "电网")
            },
            money(name::ALARM_1, "Low credit alarm 1", "报警金额1"),
            money(name::ALARM_2, "Low credit alarm 2", "报警金额2"),
            ratio(name::CURRENT_RATIO, "Ratio of current", "电流互感器变比"),
            ratio(name::VOLTAGE_RATIO, "Ratio of voltage", "电压互感器变比"),
            money(name::PRESET_AMOUNT, "Amount of a setting card", "预置金额"),
            carried(name::TARIFF_PRICES, "Tariff prices", "费率电价"),
            carried(name::TARIFF_SWITCH_TIME, "Tariff prices switch at", "费率电价切换时间"),
            carried(name::LADDER_STEPS, "Ladder steps", "阶梯值"),
            carried(name::LADDER_PRICES, "Ladder prices", "阶梯电价"),
            carried(name::LADDER_SWITCH_TIME, "Ladder switches at", "阶梯切换时间"),
        ],
    }
}

/// What a card carries to its meter.
fn carried(name: &str, title_en: &str, title_zh: &str) -> Parameter {
    Parameter {
        name: name.to_owned(),
        title_en: title_en.to_owned(),
        title_zh: title_zh.to_owned(),
        unit: unit::NONE,
        minimum: None,
        maximum: None,
        default: None,
        writable: true,
    }
}

fn money(name: &str, title_en: &str, title_zh: &str) -> Parameter {
    Parameter {
        unit: unit::CURRENCY,
        minimum: Some(0),
        maximum: Some(ALARM_MAX),
        ..carried(name, title_en, title_zh)
    }
}

fn ratio(name: &str, title_en: &str, title_zh: &str) -> Parameter {
    Parameter { minimum: Some(1), maximum: Some(RATIO_MAX), ..carried(name, title_en, title_zh) }
}
