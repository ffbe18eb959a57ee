//! Tariff plans and the end of the relay's forcing, written and read back.
//!
//! Invariant: every parameter is understood before the first is written, and `confirmed` is said only
//! after the registers read back what was asked.

use crate::plans;
use polymeter_codec::modbus::{Registers, Request, Unit};
use polymeter_driver::{Call, DriverError, Extras, Host, SetOutcome, Value};
use polymeter_modbus::exchange::{self, unproved};
use polymeter_modbus::face::{bad, unit};
use polymeter_modbus::relay::refused;
use polymeter_modbus::{Block, Written};

/// Force on or off, then which way it is forced: zeros give the relay back to the meter.
const FORCING: u16 = 0x0057;

/// One run of registers to be written.
struct Setting {
    name: &'static str,
    start: u16,
    bytes: Vec<u8>,
}

/// Where a model has its plans: first and second day plan, date plan (two public programs, which differ
/// by the model).
fn places(model: &str) -> [(&'static str, u16); 3] {
    let [first, second, dates] =
        if model == "DDSY1352" { [0x2006, 0x201B, 0x2000] } else { [0x2000, 0x2015, 0x0028] };
    [("day-plan-1", first), ("day-plan-2", second), ("date-plan", dates)]
}

pub fn set_parameters(
    host: &mut dyn Host,
    call: &Call,
    model: &str,
    parameters: &Extras,
) -> Result<SetOutcome, DriverError> {
    let unit = unit(&call.address)?;
    let settings = understood(model, parameters)?;
    for (done, setting) in settings.iter().enumerate() {
        let written = write(host, unit, setting)?;
        if let (Written::No(exception), 0) = (&written, done) {
            return Ok(SetOutcome::Refused(refused(*exception)));
        }
        let seen = match held(host, unit, setting) {
            Ok(bytes) if bytes == setting.bytes => continue,
            Ok(_) => format!("{} reads back as something else", setting.name),
            Err(error) => format!("{} could not be read back: {}", setting.name, error.detail),
        };
        // Those before it stand in the meter by now, so this is no refusal of the whole.
        return Ok(SetOutcome::Unknown(unproved(&written, &seen)));
    }
    Ok(SetOutcome::Confirmed)
}

fn understood(model: &str, parameters: &Extras) -> Result<Vec<Setting>, DriverError> {
    if parameters.is_empty() {
        return Err(bad("no parameter to set"));
    }
    let mut settings: Vec<Setting> = Vec::new();
    for (name, value) in parameters {
        if settings.iter().any(|known| known.name == name) {
            return Err(bad(format!("`{name}` stands there twice")));
        }
        settings.push(setting(model, name, value)?);
    }
    Ok(settings)
}

fn setting(model: &str, name: &str, value: &Value) -> Result<Setting, DriverError> {
    const AUTOMATIC: &str = "automatic-control";
    if name == AUTOMATIC {
        return match value {
            Value::Flag(true) => Ok(Setting { name: AUTOMATIC, start: FORCING, bytes: vec![0; 4] }),
            _ => Err(bad(format!("`{name}` can only be true; forcing is a control command"))),
        };
    }
    let Some((name, start)) = places(model).into_iter().find(|(known, _)| *known == name) else {
        return Err(bad(format!("this meter has no parameter `{name}` to set")));
    };
    let Value::Text(text) = value else { return Err(bad(format!("`{name}` is a text"))) };
    let bytes = if name == "date-plan" { plans::dates(text)? } else { plans::day(text)? };
    Ok(Setting { name, start, bytes })
}

fn write(host: &mut dyn Host, unit: Unit, setting: &Setting) -> Result<Written, DriverError> {
    let values =
        Registers::new(&setting.bytes).ok_or_else(|| bad("more registers than a frame"))?;
    Ok(exchange::write(host, unit, &Request::WriteMultiple { start: setting.start, values }))
}

fn held(host: &mut dyn Host, unit: Unit, setting: &Setting) -> Result<Vec<u8>, DriverError> {
    let count = u16::try_from(setting.bytes.len() / 2).unwrap_or(u16::MAX);
    let words = exchange::read(host, unit, Block { start: setting.start, count })?;
    Ok(words.each().flat_map(|(_, word)| word.to_be_bytes()).collect())
}
