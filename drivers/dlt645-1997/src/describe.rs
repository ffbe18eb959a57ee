//! What this driver is, and the parameters it takes.

use crate::settings::{MONTHS_MAX, WAKE_UP, WAKE_UP_MAX, name};
use polymeter_driver::codes::{proof, quantity, unit};
use polymeter_driver::{Decimal, Description, Parameter, Value};

pub fn description() -> Description {
    let text = |text: &str| Some(Value::Text(text.to_owned()));
    Description {
        vendor_code: "DLT645-97".to_owned(),
        name: "DL/T 645-1997 meter".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        models: Vec::new(),
        proof: proof::NONE,
        purse: quantity::NONE,
        parameters: vec![
            one(name::PASSWORD, ["Password", "密码"], text("00000000")),
            bounded(name::WAKE_UP, ["Wake-up bytes", "前导字节数"], WAKE_UP, WAKE_UP_MAX),
            one(
                name::ANONYMOUS,
                ["Meter answers as AAAAAAAAAAAA", "电表以通配地址应答"],
                Some(Value::Flag(false)),
            ),
            bounded(name::MONTHS, ["Past months read", "读历史月数"], 0, MONTHS_MAX),
            kept(name::CUSTOMER_NUMBER, ["Customer number", "用户号"]),
            kept(name::READING_DAY, ["Day of automatic reading", "自动抄表日"]),
        ],
    }
}

fn one(name: &str, [title_en, title_zh]: [&str; 2], default: Option<Value>) -> Parameter {
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

fn bounded(name: &str, titles: [&str; 2], default: i64, most: i64) -> Parameter {
    let default = Some(Value::Number(Decimal { mantissa: default, scale: 0 }));
    Parameter { minimum: Some(0), maximum: Some(most), ..one(name, titles, default) }
}

/// Lives in the meter; its values are checked when they are set.
fn kept(name: &str, titles: [&str; 2]) -> Parameter {
    Parameter { writable: true, ..one(name, titles, None) }
}
