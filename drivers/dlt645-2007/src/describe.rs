//! What this driver is, and the parameters it takes.

use crate::dialect;
use crate::held::HELD;
use crate::settings::{WAKE_UP_MAX, default, name};
use crate::writes::PRICED;
use polymeter_driver::codes::{proof, unit};
use polymeter_driver::{Decimal, Description, Parameter, Value};

pub fn description() -> Description {
    Description {
        vendor_code: HELD.vendor_code.to_owned(),
        name: HELD.driver_name.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        models: HELD.models.iter().map(|&model| model.to_owned()).collect(),
        proof: proof::PURCHASE_COUNT,
        purse: HELD.quantity,
        parameters: parameters(),
    }
}

fn parameters() -> Vec<Parameter> {
    let text = |text: &str| Some(Value::Text(text.to_owned()));
    let title = |before: &str, after: &str| format!("{before}{}{after}", HELD.title_zh);
    let limit =
        |name: &str, title_en: &str, title_zh: String| kept(name, title_en, &title_zh, HELD.unit);
    let alarm = |name: &str, title_en: &str, title_zh: String| Parameter {
        minimum: Some(0),
        maximum: Some(HELD.limit_max),
        ..limit(name, title_en, title_zh)
    };
    let mut all = vec![
        steering(name::KEY_LABEL, "Key label", "密钥标签", text(default::KEY_LABEL)),
        steering(name::METER_NUMBER, "Meter number", "表号", None),
        steering(name::PASSWORD, "Password", "密码", text(default::PASSWORD)),
        steering(name::OPERATOR_CODE, "Operator code", "操作者代码", text(default::OPERATOR_CODE)),
        steering(name::CLOCK, "Meter has a clock", "电表带时钟", Some(Value::Flag(true))),
        bounded(name::WAKE_UP, "Wake-up bytes", "前导字节数", default::WAKE_UP, WAKE_UP_MAX),
        steering(
            name::LAST_COUNT,
            "Last purchase: count item",
            "购电记录次数标识",
            text(HELD.last_count),
        ),
        steering(
            name::LAST_AMOUNT,
            "Last purchase: amount item",
            &title("购电记录", "标识"),
            text(HELD.last_amount),
        ),
        steering(name::DIALECT, "Dialect", "方言", text(dialect::STANDARD.name)),
        alarm(name::ALARM_1, "Low credit alarm 1", title("报警", "1")),
        alarm(name::ALARM_2, "Low credit alarm 2", title("报警", "2")),
        limit(name::OVERDRAFT_LIMIT, "Overdraft limit", title("透支", "限值")),
        limit(name::HOARDING_LIMIT, "Hoarding limit", title("囤积", "限值")),
        limit(name::RECONNECTION_MINIMUM, "Reconnection minimum", title("合闸允许", "")),
        kept(name::TRIP_DELAY, "Trip delay in minutes", "跳闸延时(分)", unit::NONE),
        kept(name::OVERLOAD_POWER, "Overload power", "过载功率", unit::WATT),
        kept(name::TARIFF_PRICES, "Tariff prices, set 2", "费率电价(备用套)", unit::NONE),
        kept(name::TARIFF_SWITCH_TIME, "Tariff prices switch at", "费率电价切换时间", unit::NONE),
        kept(name::LADDER_STEPS, "Ladder steps, set 2", "阶梯值(备用套)", unit::NONE),
        kept(name::LADDER_PRICES, "Ladder prices, set 2", "阶梯电价(备用套)", unit::NONE),
        kept(name::LADDER_SWITCH_TIME, "Ladder switches at", "阶梯切换时间", unit::NONE),
    ];
    all.retain(|it| HELD.has_prices || !PRICED.contains(&it.name.as_str()));
    all
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
