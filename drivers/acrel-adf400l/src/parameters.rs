//! The driver's parameters: what `describe` tells of them, and the steering ones as numbers.

use crate::registers::TARIFF;
use polymeter_driver::{Call, DriverError, Parameter, codes};
pub use polymeter_modbus::value::{number, whole};

/// Ends the forcing of the relay by the control word.
pub const AUTOMATIC_CONTROL: &str = "automatic-control";

/// A parameter that steers the driver and stands in no register.
#[derive(Debug)]
pub struct Steering {
    pub name: &'static str,
    title_en: &'static str,
    title_zh: &'static str,
    minimum: i64,
    maximum: i64,
    default: i64,
}

/// The value of register 0908H that means prepaid; the manual names the register, not its values.
pub const PREPAID_MODE: Steering = Steering {
    name: "prepaid-mode",
    title_en: "Value of register 0908H in prepaid mode",
    title_zh: "0908H寄存器预付费模式值",
    minimum: 0,
    maximum: 0xFFFF,
    default: 1,
};

/// How often a proof is looked for after a write, since a box may be slow to store what it took.
pub const READ_BACK_TRIES: Steering = Steering {
    name: "read-back-tries",
    title_en: "Read-backs after a write",
    title_zh: "写入后回读次数",
    minimum: 1,
    maximum: 5,
    default: 2,
};

impl Steering {
    /// As the meter's configuration has it, else the default.
    pub fn of(&self, call: &Call) -> Result<i64, DriverError> {
        let Some((_, value)) = call.parameters.iter().find(|(name, _)| name == self.name) else {
            return Ok(self.default);
        };
        let bounds = self.minimum..=self.maximum;
        whole(value).filter(|number| bounds.contains(number)).ok_or_else(|| {
            let detail = format!("`{}` must be {} to {}", self.name, self.minimum, self.maximum);
            DriverError::new(codes::error::BAD_PARAMETER, detail)
        })
    }

    fn described(&self) -> Parameter {
        Parameter {
            name: self.name.to_owned(),
            title_en: self.title_en.to_owned(),
            title_zh: self.title_zh.to_owned(),
            unit: codes::unit::NONE,
            minimum: Some(self.minimum),
            maximum: Some(self.maximum),
            default: Some(number(self.default, 0)),
            writable: false,
        }
    }
}

/// All parameters, the box's own first.
pub fn described() -> Vec<Parameter> {
    let mut parameters: Vec<Parameter> = TARIFF
        .iter()
        .map(|tariff| Parameter {
            name: tariff.name.to_owned(),
            title_en: tariff.title_en.to_owned(),
            title_zh: tariff.title_zh.to_owned(),
            unit: codes::unit::CURRENCY,
            minimum: Some(0),
            maximum: Some(i64::from(u32::MAX)),
            default: None,
            writable: true,
        })
        .collect();
    parameters.push(Parameter {
        name: AUTOMATIC_CONTROL.to_owned(),
        title_en: "End forced control of the relay".to_owned(),
        title_zh: "解除继电器强制控制".to_owned(),
        unit: codes::unit::NONE,
        minimum: None,
        maximum: None,
        default: None,
        writable: true,
    });
    parameters.extend([&PREPAID_MODE, &READ_BACK_TRIES].map(Steering::described));
    parameters
}
