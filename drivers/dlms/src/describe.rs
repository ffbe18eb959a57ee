//! What the driver says of itself; `driver.toml` says the same, with explanations.

use crate::settings::{CLIENT_MAX, default, name};
use polymeter_driver::codes::{proof, quantity, unit};
use polymeter_driver::{Decimal, Description, Parameter, Value};

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
            parameter(name::REGISTERS, "Registers read", "抄读寄存器", text(default::REGISTERS)),
        ],
    }
}
