//! Tariff plans and the end of the relay's forcing: what each parameter is in registers.
//!
//! Invariant: every parameter is understood before the first is written. Not here: writing and reading
//! back (`polymeter_modbus::settings`); which tariff a plan's number stands for, which the maker does
//! not say.

use polymeter_driver::{Call, DriverError, Extras, Host, SetOutcome, Value};
use polymeter_modbus::face::{bad, unit};
use polymeter_modbus::plans::{At, Field, Holds, Rest, Table};
use polymeter_modbus::settings::{self, Setting};

/// Force on or off, then which way it is forced: zeros give the relay back to the meter.
const FORCING: u16 = 0x0057;

/// Tariff, minute, hour (both public programs); the meter has five tariffs.
const DAY_PLAN: Table = Table {
    entries: 14,
    at: At::OfDay,
    holds: Holds::Number(5),
    order: [Field::Held, Field::Second, Field::First],
    rest: Rest::Nothing,
};
/// Day plan, day, month (the maker's set-up program; another public program has them the other way
/// round, README).
const DATE_PLAN: Table = Table {
    entries: 4,
    at: At::OfYear,
    holds: Holds::Number(2),
    order: [Field::Held, Field::Second, Field::First],
    rest: Rest::Nothing,
};

/// Where a model has its plans: first and second day plan, date plan (two public programs, which differ
/// by the model).
fn places(model: &str) -> [(&'static str, u16, Table); 3] {
    let [first, second, dates] =
        if model == "DDSY1352" { [0x2006, 0x201B, 0x2000] } else { [0x2000, 0x2015, 0x0028] };
    [
        ("day-plan-1", first, DAY_PLAN),
        ("day-plan-2", second, DAY_PLAN),
        ("date-plan", dates, DATE_PLAN),
    ]
}

pub fn set_parameters(
    host: &mut dyn Host,
    call: &Call,
    model: &str,
    parameters: &Extras,
) -> Result<SetOutcome, DriverError> {
    let unit = unit(&call.address)?;
    settings::set(host, unit, &understood(model, parameters)?)
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
    let place = places(model).into_iter().find(|(known, ..)| *known == name);
    let Some((name, start, table)) = place else {
        return Err(bad(format!("this meter has no parameter `{name}` to set")));
    };
    let Value::Text(text) = value else { return Err(bad(format!("`{name}` is a text"))) };
    Ok(Setting { name, start, bytes: table.bytes(text)? })
}
