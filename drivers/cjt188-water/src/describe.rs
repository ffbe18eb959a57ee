//! What this driver is, and the parameters it takes.

use crate::settings::{DAY_MAX, LOW, PLACES_MAX, PRICE_PLACES_MAX, WAKE_UP_MAX, name};
use polymeter_driver::codes::{proof, quantity, unit};
use polymeter_driver::{Decimal, Description, Parameter, Value};

pub const MODEL: &str = "CJ/T 188";

pub fn description() -> Description {
    let low = || Some(Value::Text(LOW.to_owned()));
    let text = |text: &str| Some(Value::Text(text.to_owned()));
    let flag = |flag| Some(Value::Flag(flag));
    let count = |name: &str, title_en: &str, title_zh: &str, default, maximum| Parameter {
        minimum: Some(0),
        maximum: Some(maximum),
        ..steering(name, title_en, title_zh, whole(default))
    };
    let writable = |name: &str, title_en: &str, title_zh: &str| Parameter {
        writable: true,
        ..steering(name, title_en, title_zh, None)
    };
    let day = |name: &str, title_en: &str, title_zh: &str| Parameter {
        minimum: Some(1),
        maximum: Some(DAY_MAX),
        ..writable(name, title_en, title_zh)
    };
    Description {
        vendor_code: "CJT188".to_owned(),
        name: "CJ/T 188 water or gas meter".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        models: vec![MODEL.to_owned()],
        proof: proof::PURCHASE_COUNT,
        purse: quantity::MONEY,
        parameters: vec![
            steering(name::KIND, "Type of meter", "仪表类型", text("10")),
            steering(name::IDENTIFIER, "Order of the data identifier", "数据标识字节序", low()),
            steering(name::SERIAL, "Frames have a serial number", "帧含序列号", flag(true)),
            steering(name::UNIT_FIRST, "Unit before its number", "单位在数值之前", flag(false)),
            steering(name::TIME, "Order of the time", "时间字节序", low()),
            count(name::PLACES, "Decimal places", "小数位数", 2, PLACES_MAX),
            count(name::LITRE_PLACES, "Decimal places in litres", "升的小数位数", 0, PLACES_MAX),
            steering(name::OPEN, "Code that opens the valve", "开阀代码", text("55")),
            steering(name::CLOSE, "Code that closes the valve", "关阀代码", text("99")),
            steering(name::PURSE, "Meter has a purse", "表内有钱包", flag(false)),
            count(name::WAKE_UP, "Wake-up bytes", "前导字节数", 3, WAKE_UP_MAX),
            steering(name::MAGNET, "Status bits of a magnet", "强磁干扰状态位", text("00")),
            steering(name::FAULT, "Status bits of a fault", "故障状态位", text("00")),
            count(
                name::PRICE_PLACES,
                "Decimal places of a price",
                "价格小数位数",
                2,
                PRICE_PLACES_MAX,
            ),
            Parameter {
                minimum: Some(1),
                ..count(
                    name::PRICE_START_DAY,
                    "Day from which prices hold",
                    "价格启用日",
                    1,
                    DAY_MAX,
                )
            },
            day(name::SETTLEMENT_DAY, "Day of settlement", "结算日"),
            day(name::READING_DAY, "Day of reading", "抄表日"),
            writable(name::LADDER_PRICES, "Ladder prices", "阶梯价格"),
            writable(name::LADDER_STEPS, "Ladder steps", "阶梯用量"),
        ],
    }
}

fn whole(mantissa: i64) -> Option<Value> {
    Some(Value::Number(Decimal { mantissa, scale: 0 }))
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
