//! The driver's parameters: what `describe` tells of them, and the steering ones as numbers.

use crate::registers::{LIMITS, TARIFF};
use polymeter_driver::{Call, DriverError, Parameter, Value, codes};
use polymeter_modbus::face::bad;
pub use polymeter_modbus::value::{number, whole};

/// Ends the forcing of the relay by the control word.
pub const AUTOMATIC_CONTROL: &str = "automatic-control";

/// What a user has without buying it.
pub const BASIC_AMOUNT: &str = "basic-amount";
pub const TIME_CONTROL: &str = "time-control";
pub const WORKING_DAY_TIMES: &str = "working-day-times";
pub const REST_DAY_TIMES: &str = "rest-day-times";
pub const REST_DAYS: &str = "rest-days";
pub const LOAD_CONTROL: &str = "load-control";
pub const DAY_PLANS: [&str; 2] = ["day-plan-1", "day-plan-2"];
pub const DATE_PLAN: &str = "date-plan";

/// Texts and switches that are written into the box.
const WRITTEN: [(&str, &str, &str); 8] = [
    (TIME_CONTROL, "Time control", "时间控制"),
    (WORKING_DAY_TIMES, "Times of working days", "工作日时控表"),
    (REST_DAY_TIMES, "Times of days of rest", "休息日时控表"),
    (REST_DAYS, "Days of rest", "休息日"),
    (LOAD_CONTROL, "Load control", "负荷控制"),
    (DAY_PLANS[0], "Periods of day plan 1", "第一套日时段表"),
    (DAY_PLANS[1], "Periods of day plan 2", "第二套日时段表"),
    (DATE_PLAN, "Which day plan from when on", "日期方案"),
];

/// What a reading asks for beside the one block, each by an exchange of its own.
pub const CLOCK: Beside =
    Beside { name: "clock", title_en: "Read the clock", title_zh: "读取时钟" };
pub const TARIFF_ENERGIES: Beside = Beside {
    name: "tariff-energies",
    title_en: "Read the energies by tariff",
    title_zh: "读取分时电能",
};

/// Whether a reading asks for it; yes where nothing is configured.
#[derive(Debug)]
pub struct Beside {
    pub name: &'static str,
    title_en: &'static str,
    title_zh: &'static str,
}

impl Beside {
    pub fn of(&self, call: &Call) -> Result<bool, DriverError> {
        match call.parameters.iter().find(|(name, _)| name == self.name) {
            None => Ok(true),
            Some((_, Value::Flag(asked))) => Ok(*asked),
            Some(_) => Err(bad(format!("`{}` is true or false", self.name))),
        }
    }

    fn described(&self) -> Parameter {
        Parameter {
            default: Some(Value::Flag(true)),
            writable: false,
            ..written(self.name, self.title_en, self.title_zh)
        }
    }
}

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

/// The value of register 0908H that means prepaid: both bytes 0 by the manual.
pub const PREPAID_MODE: Steering = Steering {
    name: "prepaid-mode",
    title_en: "Value of register 0908H in prepaid mode",
    title_zh: "0908H寄存器预付费模式值",
    minimum: 0,
    maximum: 0xFFFF,
    default: 0,
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
    let money = |name: &str, title_en: &str, title_zh: &str| Parameter {
        unit: codes::unit::CURRENCY,
        minimum: Some(0),
        maximum: Some(i64::from(u32::MAX)),
        ..written(name, title_en, title_zh)
    };
    let mut parameters: Vec<Parameter> =
        TARIFF.iter().map(|tariff| money(tariff.name, tariff.title_en, tariff.title_zh)).collect();
    let automatic = ("End forced control of the relay", "解除继电器强制控制");
    parameters.push(written(AUTOMATIC_CONTROL, automatic.0, automatic.1));
    parameters.push(Parameter {
        unit: codes::unit::CURRENCY,
        ..written(BASIC_AMOUNT, "Basic amount", "基础金额")
    });
    parameters.extend(LIMITS.iter().map(|limit| Parameter {
        unit: limit.unit,
        ..written(limit.name, limit.title_en, limit.title_zh)
    }));
    parameters.extend(WRITTEN.map(|(name, title_en, title_zh)| written(name, title_en, title_zh)));
    parameters.extend([&CLOCK, &TARIFF_ENERGIES].map(Beside::described));
    parameters.extend([&PREPAID_MODE, &READ_BACK_TRIES].map(Steering::described));
    parameters
}

fn written(name: &str, title_en: &str, title_zh: &str) -> Parameter {
    Parameter {
        name: name.to_owned(),
        title_en: title_en.to_owned(),
        title_zh: title_zh.to_owned(),
        unit: codes::unit::NONE,
        minimum: None,
        maximum: None,
        default: None,
        writable: true,
    }
}
