//! Which units answer on the line: Modbus has no wildcard, so every unit is asked by its number.
//!
//! Invariant: only reads are sent. A unit that answers with an exception is there and is reported as
//! nobody's model; it may be a device of another maker.

use crate::exchange;
use crate::parameters::{number, whole};
use crate::registers::{Block, MODEL, SINGLE_PHASE, THREE_PHASE};
use polymeter_codec::modbus::Unit;
use polymeter_driver::{
    Argument, Call, Collision, DriverError, Found, Host, Step, Value, Way, codes,
};

const UNITS: &str = "units";
const FIRST: &str = "first-unit";
const LAST: &str = "last-unit";
/// Modbus over serial line V1.02, clause 2.2: addresses of single devices.
const UNIT_MOST: u8 = 247;
/// Either register map, and then the other one.
const QUESTIONS_PER_UNIT: u32 = 2;

pub fn ways() -> Vec<Way> {
    let argument = |name: &str, title_en: &str, title_zh: &str, default: u8| Argument {
        name: name.to_owned(),
        title_en: title_en.to_owned(),
        title_zh: title_zh.to_owned(),
        default: number(i64::from(default), 0),
        minimum: Some(1),
        maximum: Some(i64::from(UNIT_MOST)),
    };
    vec![Way {
        name: UNITS.to_owned(),
        title_en: "Every unit by its number".to_owned(),
        title_zh: "逐个地址搜索".to_owned(),
        arguments: vec![
            argument(FIRST, "First unit", "起始地址", 1),
            argument(LAST, "Last unit", "结束地址", UNIT_MOST),
        ],
    }]
}

pub fn search(
    host: &mut dyn Host,
    call: &Call,
    way: &str,
    position: Option<&[u8]>,
    questions: u32,
) -> Result<Step, DriverError> {
    if way != UNITS {
        return Err(bad(format!("there is no way `{way}`: {UNITS}")));
    }
    let (first, last) = (bound(call, FIRST, 1)?, bound(call, LAST, UNIT_MOST)?);
    if first > last {
        return Err(bad(format!("{FIRST} {first} lies behind {LAST} {last}")));
    }
    let mut unit = match position {
        None => first,
        Some(&[unit]) if (first..=last).contains(&unit) => unit,
        Some(_) => return Err(bad("the position is none of this driver's")),
    };
    let mut step = Step { found: vec![], collisions: vec![], done: 0, total: 0, next: None };
    step.total = u32::from(last.saturating_sub(first)).saturating_add(1);
    for _ in 0..questions.checked_div(QUESTIONS_PER_UNIT).unwrap_or(0).max(1) {
        ask(host, unit, &mut step)?;
        step.done = u32::from(unit.saturating_sub(first)).saturating_add(1);
        if unit == last {
            return Ok(step);
        }
        unit = unit.saturating_add(1);
    }
    step.next = Some(vec![unit]);
    Ok(step)
}

fn bad(detail: impl Into<String>) -> DriverError {
    DriverError::new(codes::error::BAD_PARAMETER, detail)
}

fn bound(call: &Call, name: &str, default: u8) -> Result<u8, DriverError> {
    let Some((_, value)) = call.parameters.iter().find(|(known, _)| known == name) else {
        return Ok(default);
    };
    let unit = whole(value).and_then(|unit| u8::try_from(unit).ok());
    unit.filter(|unit| (1..=UNIT_MOST).contains(unit))
        .ok_or_else(|| bad(format!("`{name}` must be 1 to {UNIT_MOST}")))
}

/// Three-phase registers first: a single-phase user does not have them, and says so.
fn ask(host: &mut dyn Host, address: u8, step: &mut Step) -> Result<(), DriverError> {
    let Some(unit) = Unit::new(address) else { return Err(bad("no unit")) };
    for (map, suffix) in [(&THREE_PHASE, ":3"), (&SINGLE_PHASE, "")] {
        let found = |model: &str, extras: Vec<(String, Value)>| Found {
            address: format!("{address}{suffix}"),
            model: model.to_owned(),
            extras,
        };
        match exchange::read(host, unit, Block { start: map.energy, count: 2 }) {
            Ok(_) => {
                step.found.push(found(MODEL, vec![]));
                return Ok(());
            }
            Err(none) if none.code == codes::error::NO_SUCH_DATA && !suffix.is_empty() => {}
            Err(no)
                if matches!(no.code, codes::error::NO_SUCH_DATA | codes::error::DEVICE_SAYS_NO) =>
            {
                step.found.push(Found {
                    address: address.to_string(),
                    ..found("", vec![("says".to_owned(), Value::Text(no.detail))])
                });
                return Ok(());
            }
            Err(silent) if silent.code == codes::error::NO_REPLY => return Ok(()),
            Err(noise)
                if matches!(noise.code, codes::error::GARBLED | codes::error::OTHER_DEVICE) =>
            {
                step.collisions.push(Collision {
                    asked: address.to_string(),
                    detail: noise.detail,
                    narrowed: false,
                });
                return Ok(());
            }
            Err(failed) => return Err(failed),
        }
    }
    Ok(())
}
