//! What this driver is, and the parameters it takes.

use crate::parameters::FEN_MAX;
use crate::settings::{WAKE_UP_MAX, default, name};
use polymeter_driver::codes::{proof, quantity, unit};
use polymeter_driver::{Decimal, Description, Parameter, Value};

pub fn description() -> Description {
    let text = |text: &str| Some(Value::Text(text.to_owned()));
    let whole = |mantissa| Some(Value::Number(Decimal { mantissa, scale: 0 }));
    let wake_up = Parameter {
        minimum: Some(0),
        maximum: Some(WAKE_UP_MAX),
        ..steering(name::WAKE_UP, "Wake-up bytes", "前导字节数", whole(default::WAKE_UP))
    };
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
            wake_up,
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
            alarm(name::ALARM_1, "Low credit alarm 1", "报警金额1"),
            alarm(name::ALARM_2, "Low credit alarm 2", "报警金额2"),
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

fn alarm(name: &str, title_en: &str, title_zh: &str) -> Parameter {
    Parameter {
        unit: unit::CURRENCY,
        minimum: Some(0),
        maximum: Some(FEN_MAX),
        writable: true,
        ..steering(name, title_en, title_zh, None)
    }
}
