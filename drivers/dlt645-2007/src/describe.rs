//! What this driver is, and the parameters it takes.

use crate::dialect;
use crate::settings::{DAILY_FREEZES_MAX, LOAD_RECORDS_MAX, WAKE_UP_MAX, default, name};
use crate::writes::FEN_MAX;
use polymeter_driver::codes::{proof, quantity, unit};
use polymeter_driver::{Decimal, Description, Parameter, Value};

pub fn description() -> Description {
    let text = |text: &str| Some(Value::Text(text.to_owned()));
    let clock = Some(Value::Flag(true));
    Description {
        vendor_code: "DLT645".to_owned(),
        name: "DL/T 645-2007 prepaid meter".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        models: ["DDSY666", "DTSY666"].map(str::to_owned).to_vec(),
        proof: proof::PURCHASE_COUNT,
        purse: quantity::MONEY,
        parameters: vec![
            steering(name::KEY_LABEL, "Key label", "密钥标签", text(default::KEY_LABEL)),
            steering(name::METER_NUMBER, "Meter number", "表号", None),
            steering(name::PASSWORD, "Password", "密码", text(default::PASSWORD)),
            steering(
                name::OPERATOR_CODE,
                "Operator code",
                "操作者代码",
                text(default::OPERATOR_CODE),
            ),
            steering(name::CLOCK, "Meter has a clock", "电表带时钟", clock),
            bounded(name::WAKE_UP, "Wake-up bytes", "前导字节数", default::WAKE_UP, WAKE_UP_MAX),
            steering(
                name::LAST_COUNT,
                "Last purchase: count item",
                "购电记录次数标识",
                text(default::LAST_COUNT),
            ),
            steering(
                name::LAST_AMOUNT,
                "Last purchase: amount item",
                "购电记录金额标识",
                text(default::LAST_AMOUNT),
            ),
            steering(name::DIALECT, "Dialect", "方言", text(dialect::STANDARD.name)),
            bounded(name::DAILY_FREEZES, "Daily freezes read", "读日冻结数", 0, DAILY_FREEZES_MAX),
            bounded(name::LOAD_RECORDS, "Load records read", "读负荷记录数", 0, LOAD_RECORDS_MAX),
            steering(name::EVENTS, "Events read", "读事件", Some(Value::Flag(false))),
            alarm(name::ALARM_1, "Low credit alarm 1", "报警金额1"),
            alarm(name::ALARM_2, "Low credit alarm 2", "报警金额2"),
            kept(name::OVERDRAFT_LIMIT, "Overdraft limit", "透支金额限值", unit::CURRENCY),
            kept(name::HOARDING_LIMIT, "Hoarding limit", "囤积金额限值", unit::CURRENCY),
            kept(
                name::RECONNECTION_MINIMUM,
                "Reconnection minimum",
                "合闸允许金额",
                unit::CURRENCY,
            ),
            kept(name::TRIP_DELAY, "Trip delay in minutes", "跳闸延时(分)", unit::NONE),
            kept(name::OVERLOAD_POWER, "Overload power", "过载功率", unit::WATT),
            kept(name::TARIFF_PRICES, "Tariff prices, set 2", "费率电价(备用套)", unit::NONE),
            kept(
                name::TARIFF_SWITCH_TIME,
                "Tariff prices switch at",
                "费率电价切换时间",
                unit::NONE,
            ),
            kept(name::LADDER_STEPS, "Ladder steps, set 2", "阶梯值(备用套)", unit::NONE),
            kept(name::LADDER_PRICES, "Ladder prices, set 2", "阶梯电价(备用套)", unit::NONE),
            kept(name::LADDER_SWITCH_TIME, "Ladder switches at", "阶梯切换时间", unit::NONE),
        ],
    }
}

fn steering(name: &str, title_en: &str, title_zh: &str, default: Option<Value>) -> Parameter {
    Parameter {
        name: name.to_owned(),
        title_en: title_en.to_owned(),
        title_zh: title_zh.to_owned(),
        unit: unit::NONE,
        minimum: None,
        maximum: None,
        default,
        writable: false,
    }
}

fn bounded(name: &str, title_en: &str, title_zh: &str, default: i64, most: i64) -> Parameter {
    let default = Some(Value::Number(Decimal { mantissa: default, scale: 0 }));
    Parameter {
        minimum: Some(0),
        maximum: Some(most),
        ..steering(name, title_en, title_zh, default)
    }
}

/// Lives in the meter; its values are checked when they are set.
fn kept(name: &str, title_en: &str, title_zh: &str, unit: u16) -> Parameter {
    Parameter { unit, writable: true, ..steering(name, title_en, title_zh, None) }
}

fn alarm(name: &str, title_en: &str, title_zh: &str) -> Parameter {
    Parameter {
        unit: unit::CURRENCY,
        minimum: Some(0),
        maximum: Some(FEN_MAX),
        writable: true,
        ..steering(name, title_en, title_zh, None)
    }
}
