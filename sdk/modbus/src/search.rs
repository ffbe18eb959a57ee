//! Which units answer on a line: Modbus has no wildcard, so every unit is asked by its number.
//!
//! Invariant: where the search stands is in its position and nowhere else; a step asks no more than it
//! may. Not here: what a unit is asked, which is its driver's.

use crate::value::{number, whole};
use polymeter_codec::modbus::{UNIT_MAX, Unit};
use polymeter_driver::codes::error;
use polymeter_driver::{Argument, Call, Collision, DriverError, Found, Step, Value, Way};

const UNITS: &str = "units";
const FIRST: &str = "first-unit";
const LAST: &str = "last-unit";

/// What one unit made of a question.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// Nobody is there.
    Nobody,
    /// Somebody is there.
    One(Found),
    /// Noise, or an answer of somebody else, in words.
    Several(String),
}

impl Heard {
    /// What an answer that could not be read means: silence is nobody, a clear no is somebody else's
    /// model, noise is told. Any other error ends the search.
    pub fn of(unit: Unit, failed: DriverError) -> Result<Heard, DriverError> {
        match failed.code {
            error::NO_REPLY => Ok(Heard::Nobody),
            error::NO_SUCH_DATA | error::DEVICE_SAYS_NO => Ok(Heard::One(Found {
                address: unit.get().to_string(),
                model: String::new(),
                extras: vec![("says".to_owned(), Value::Text(failed.detail))],
            })),
            error::GARBLED | error::OTHER_DEVICE => Ok(Heard::Several(failed.detail)),
            _ => Err(failed),
        }
    }
}

/// The one way there is, for [`polymeter_driver::MeterDriver::ways`].
pub fn ways() -> Vec<Way> {
    let argument = |name: &str, title_en: &str, title_zh: &str, default: u8| Argument {
        name: name.to_owned(),
        title_en: title_en.to_owned(),
        title_zh: title_zh.to_owned(),
        default: number(i64::from(default), 0),
        minimum: Some(1),
        maximum: Some(i64::from(UNIT_MAX)),
    };
    vec![Way {
        name: UNITS.to_owned(),
        title_en: "Every unit by its number".to_owned(),
        title_zh: "逐个地址搜索".to_owned(),
        arguments: vec![
            argument(FIRST, "First unit", "起始地址", 1),
            argument(LAST, "Last unit", "结束地址", UNIT_MAX),
        ],
    }]
}

/// One step; `ask` puts at most `per_unit` questions to a unit. Error 6 for a way, position or bound that
/// is none, and whatever error `ask` gives.
pub fn search(
    call: &Call,
    way: &str,
    position: Option<&[u8]>,
    questions: u32,
    per_unit: u32,
    mut ask: impl FnMut(Unit) -> Result<Heard, DriverError>,
) -> Result<Step, DriverError> {
    if way != UNITS {
        return Err(bad(format!("there is no way `{way}`: {UNITS}")));
    }
    let (first, last) = (bound(call, FIRST, 1)?, bound(call, LAST, UNIT_MAX)?);
    if first > last {
        return Err(bad(format!("{FIRST} {first} lies behind {LAST} {last}")));
    }
    let mut number = match position {
        None => first,
        Some(&[unit]) if (first..=last).contains(&unit) => unit,
        Some(_) => return Err(bad("the position is none of this driver's")),
    };
    let mut step = Step { found: vec![], collisions: vec![], done: 0, total: 0, next: None };
    step.total = u32::from(last.saturating_sub(first)).saturating_add(1);
    for _ in 0..questions.checked_div(per_unit).unwrap_or(0).max(1) {
        let unit = Unit::new(number).ok_or_else(|| bad("no unit"))?;
        match ask(unit)? {
            Heard::Nobody => {}
            Heard::One(found) => step.found.push(found),
            Heard::Several(detail) => {
                let asked = number.to_string();
                step.collisions.push(Collision { asked, detail, narrowed: false });
            }
        }
        step.done = u32::from(number.saturating_sub(first)).saturating_add(1);
        if number == last {
            return Ok(step);
        }
        number = number.saturating_add(1);
    }
    step.next = Some(vec![number]);
    Ok(step)
}

fn bad(detail: impl Into<String>) -> DriverError {
    DriverError::new(error::BAD_PARAMETER, detail)
}

fn bound(call: &Call, name: &str, default: u8) -> Result<u8, DriverError> {
    let Some((_, value)) = call.parameters.iter().find(|(known, _)| known == name) else {
        return Ok(default);
    };
    let unit = whole(value).and_then(|unit| u8::try_from(unit).ok());
    unit.filter(|unit| (1..=UNIT_MAX).contains(unit))
        .ok_or_else(|| bad(format!("`{name}` must be 1 to {UNIT_MAX}")))
}
