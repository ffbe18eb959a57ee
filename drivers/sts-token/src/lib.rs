//! Driver for keypad meters after IEC 62055-41 (STS): digits that a customer types, for credit and
//! for orders to the meter. It has no line; keys stay in the vault, by whose hand every block is
//! encrypted.
//!
//! Invariant: the same order under the same identifier has the same digits, whenever it is issued. What
//! is known of these meters, what was chosen and what nobody knows stands in the README beside this
//! crate.
//!
//! Not here: reading, switching or selling over a line, which such a meter has not.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used
)]

mod explain;
mod issue;
mod settings;

use polymeter_driver::codes::{error, proof, quantity, unit};
use polymeter_driver::{
    Call, ControlOutcome, Decimal, Description, Draft, DriverError, Evidence, Explanation, Extras,
    Host, Identity, Issued, LocalTime, MeterDriver, Opening, Order, Parameter, SellOutcome,
    SetOutcome, Snapshot, TokenOrder, Value,
};

#[derive(Debug)]
pub struct StsToken;

impl MeterDriver for StsToken {
    fn describe() -> Description {
        use settings as it;
        Description {
            vendor_code: "STS".to_owned(),
            name: "STS keypad meter".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            models: vec!["IEC 62055-41 (STS)".to_owned()],
            proof: proof::NONE,
            purse: quantity::NONE,
            parameters: vec![
                text(it::SUPPLY_GROUP, "Supply group code (SGC)", "供电组代码(SGC)", None),
                number(it::TARIFF_INDEX, "Tariff index (TI)", "费率索引(TI)"),
                number(it::KEY_REVISION, "Key revision number (KRN)", "密钥版本号(KRN)"),
                number(
                    it::KEY_TYPE,
                    "Key type (KT): 0 initialization, 1 default, 2 unique, 3 common",
                    "密钥类型(KT)：0初始 1缺省 2唯一 3公共",
                ),
                number(
                    it::KEY_EXPIRY,
                    "Key expiry number (KEN); 255 is for ever",
                    "密钥到期号(KEN)，255为永久",
                ),
                number(it::BASE_DATE, "Base date: 1993, 2014 or 2035", "基准日：1993、2014或2035"),
                number(it::ENCRYPTION, "Encryption algorithm (EA): 7 or 11", "加密算法(EA)：7或11"),
                number(it::DERIVATION, "Key derivation (DKGA): 2 or 4", "密钥生成算法(DKGA)：2或4"),
                text(
                    it::ISSUER,
                    "Issuer (IIN), for a meter that is known by its 11 digits",
                    "发行方(IIN)，用于11位表号",
                    Some(it::ISSUER_DEFAULT),
                ),
                text(
                    it::SERVICE,
                    "What is sold: electricity, water or gas",
                    "售卖种类：electricity电、water水、gas气",
                    Some(it::SERVICE_DEFAULT),
                ),
                text(
                    it::KEY_LABEL,
                    "Label of the vending key; empty: vending-SGC-KRN",
                    "售电密钥标签；空为 vending-SGC-KRN",
                    Some(""),
                ),
            ],
        }
    }
    fn probe(_: &mut dyn Host, _: &Call) -> Result<Identity, DriverError> {
        Err(no_line())
    }
    fn read(_: &mut dyn Host, _: &Call) -> Result<Snapshot, DriverError> {
        Err(no_line())
    }
    fn open(_: &mut dyn Host, _: &Call, _: &Opening) -> Result<SellOutcome, DriverError> {
        Err(no_line())
    }
    fn sell(_: &mut dyn Host, _: &Call, _: &Order) -> Result<SellOutcome, DriverError> {
        Err(no_line())
    }
    fn clear(_: &mut dyn Host, _: &Call) -> Result<SellOutcome, DriverError> {
        Err(no_line())
    }
    fn check(_: &mut dyn Host, _: &Call, _: Option<u32>) -> Result<Evidence, DriverError> {
        Err(no_line())
    }
    fn control(
        _: &mut dyn Host,
        _: &Call,
        _: u16,
        _: Option<LocalTime>,
    ) -> Result<ControlOutcome, DriverError> {
        Err(no_line())
    }
    fn set_parameters(_: &mut dyn Host, _: &Call, _: &Extras) -> Result<SetOutcome, DriverError> {
        Err(no_line())
    }
    fn decode(frame: &[u8]) -> Result<Explanation, String> {
        explain::explain(frame)
    }
    fn plan(call: &Call, order: &TokenOrder, last: Option<u32>) -> Result<Draft, DriverError> {
        issue::plan(call, order, last)
    }
    fn issue(
        host: &mut dyn Host,
        call: &Call,
        order: &TokenOrder,
        identifier: Option<u32>,
    ) -> Result<Issued, DriverError> {
        issue::issue(host, call, order, identifier)
    }
}

fn number(bounded: settings::Number, title_en: &str, title_zh: &str) -> Parameter {
    Parameter {
        name: bounded.name.to_owned(),
        title_en: title_en.to_owned(),
        title_zh: title_zh.to_owned(),
        unit: unit::NONE,
        minimum: Some(bounded.minimum),
        maximum: Some(bounded.maximum),
        default: Some(Value::Number(Decimal { mantissa: bounded.default, scale: 0 })),
        writable: false,
    }
}

fn text(name: &str, title_en: &str, title_zh: &str, default: Option<&str>) -> Parameter {
    Parameter {
        name: name.to_owned(),
        title_en: title_en.to_owned(),
        title_zh: title_zh.to_owned(),
        unit: unit::NONE,
        minimum: None,
        maximum: None,
        default: default.map(|text| Value::Text(text.to_owned())),
        writable: false,
    }
}

fn no_line() -> DriverError {
    DriverError::new(error::UNSUPPORTED, "an STS meter has no line: its tokens are typed into it")
}

polymeter_driver::export!(StsToken, with token);
