//! What the driver says of itself; `driver.toml` says the same, with explanations.

use crate::settings::{CLIENT_MAX, default, name};
use polymeter_driver::codes::{proof, quantity, unit};
use polymeter_driver::{Decimal, Description, Parameter, Value};

/// The most that a double-long holds; a day, which no overload lasts.
const DOUBLE_LONG_MAX: i64 = 0x7FFF_FFFF;
const DELAY_MAX: i64 = 86_400;

pub fn describe() -> Description {
    let parameter = |name: &str, title_en: &str, title_zh: &str, default| Parameter {
        name: name.to_owned(),
        title_en: title_en.to_owned(),
        title_zh: title_zh.to_owned(),
        unit: unit::NONE,
        minimum: None,
        maximum: None,
        default,
        writable: false,
    };
    let text = |text: &str| Some(Value::Text(text.to_owned()));
    let profile = |name: &str, title_en: &str, title_zh: &str, default: &str| {
        parameter(name, title_en, title_zh, text(default))
    };
    // What is written into the meter.
    let held = |name: &str, title_en: &str, title_zh: &str, maximum| Parameter {
        minimum: Some(0),
        maximum: Some(maximum),
        writable: true,
        ..parameter(name, title_en, title_zh, None)
    };
    let table = |name: &str, title_en: &str, title_zh: &str| Parameter {
        writable: true,
        ..parameter(name, title_en, title_zh, None)
    };
    let client = Some(Value::Number(Decimal { mantissa: default::CLIENT, scale: 0 }));
    Description {
        vendor_code: "DLMS".to_owned(),
        name: "DLMS/COSEM meter".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        models: vec!["DLMS/COSEM".to_owned()],
        proof: proof::NONE,
        purse: quantity::NONE,
        parameters: vec![
            parameter(name::CONNECTION, "Connection", "连接方式", text(default::CONNECTION)),
            Parameter {
                minimum: Some(1),
                maximum: Some(CLIENT_MAX),
                ..parameter(name::CLIENT, "Client address", "客户端地址", client)
            },
            parameter(name::SECURITY, "Security", "安全级别", text(default::SECURITY)),
            parameter(name::PASSWORD, "Password", "密码", None),
            parameter(name::KEY_LABEL, "Key label", "密钥标签", text(default::KEY_LABEL)),
            parameter(
                name::COUNTER,
                "Object of the key's counter",
                "密钥计数器对象",
                text(default::COUNTER),
            ),
            parameter(name::CLIENT_TITLE, "Client system title", "客户端系统标题", None),
            parameter(
                name::FOUR_BYTES,
                "Address of four bytes",
                "四字节地址",
                Some(Value::Flag(false)),
            ),
            parameter(name::SWITCH, "Disconnect control", "断路器对象", text(default::SWITCH)),
            parameter(name::ACCOUNT, "Account", "账户对象", text(default::ACCOUNT)),
            parameter(name::GATEWAY, "Token gateway", "充值码网关对象", text(default::GATEWAY)),
            parameter(
                name::TOKEN_FORMAT,
                "Digits of a token",
                "充值码格式",
                text(default::TOKEN_FORMAT),
            ),
            parameter(name::REGISTERS, "Registers read", "抄读寄存器", text(default::REGISTERS)),
            profile(name::LOAD_PROFILE, "Load profile", "负荷曲线对象", default::LOAD_PROFILE),
            profile(name::DAILY_PROFILE, "Daily profile", "日冻结对象", default::DAILY_PROFILE),
            profile(
                name::BILLING_PROFILE,
                "Billing profile",
                "结算冻结对象",
                default::BILLING_PROFILE,
            ),
            profile(name::EVENT_LOGS, "Event logs", "事件记录对象", default::EVENT_LOGS),
            profile(name::COMPANION, "Companion specification", "配套规范", default::COMPANION),
            profile(name::LIMITER, "Limiter", "限荷对象", default::LIMITER),
            profile(name::CREDIT, "Credit", "余额对象", default::CREDIT),
            profile(name::CHARGE, "Charge", "费用对象", default::CHARGE),
            profile(name::CALENDAR, "Activity calendar", "时段表对象", default::CALENDAR),
            profile(
                name::TARIFF_SCRIPTS,
                "Tariff scripts",
                "费率脚本对象",
                default::TARIFF_SCRIPTS,
            ),
            Parameter {
                unit: unit::WATT,
                ..held(name::OVERLOAD_POWER, "Overload power", "过载功率", DOUBLE_LONG_MAX)
            },
            held(name::OVERLOAD_DELAY, "Overload delay in seconds", "过载延时(秒)", DELAY_MAX),
            Parameter {
                unit: unit::CURRENCY,
                ..held(name::CREDIT_WARNING, "Low credit warning", "低余额报警", DOUBLE_LONG_MAX)
            },
            table(name::TARIFF_PRICES, "Tariff prices, next", "费率电价(备用)"),
            table(name::TARIFF_SWITCH_TIME, "Tariff prices switch at", "费率电价切换时间"),
            table(name::CALENDAR_DAYS, "Days of tariffs, next", "日时段表(备用)"),
            table(name::CALENDAR_WEEKS, "Weeks of tariffs, next", "周时段表(备用)"),
            table(name::CALENDAR_SEASONS, "Seasons of tariffs, next", "季节表(备用)"),
            table(name::CALENDAR_SWITCH_TIME, "Calendar switches at", "时段表切换时间"),
        ],
    }
}
