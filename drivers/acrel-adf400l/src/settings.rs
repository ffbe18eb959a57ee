//! What may be written into the box: prices, amounts, plans, time control and load control, and the end
//! of forced control. Each is a run of registers that is written, read back and compared.
//!
//! Invariant: every parameter is understood before the first is written, and `confirmed` is said only
//! after the registers read back what was asked.

use crate::parameters::{
    AUTOMATIC_CONTROL, BASIC_AMOUNT, DATE_PLAN, DAY_PLANS, LOAD_CONTROL, REST_DAY_TIMES, REST_DAYS,
    TIME_CONTROL, WORKING_DAY_TIMES, whole,
};
use crate::registers::{self, AUTOMATIC, FORCED, LIMITS, TARIFF};
use crate::supply;
use crate::user::User;
use polymeter_codec::modbus::Request;
use polymeter_driver::{Call, DriverError, Extras, Host, SetOutcome, Value};
use polymeter_modbus::face::bad;
use polymeter_modbus::plans::Table;
use polymeter_modbus::relay::refused;
use polymeter_modbus::settings::{self, Setting};
use polymeter_modbus::{Written, exchange};

pub fn set_parameters(
    host: &mut dyn Host,
    call: &Call,
    parameters: &Extras,
) -> Result<SetOutcome, DriverError> {
    let user = User::parse(&call.address)?;
    let (settings, automatic) = understood(&user, parameters)?;
    let outcome = settings::set(host, user.unit, &settings)?;
    if automatic && outcome == SetOutcome::Confirmed {
        return end_forcing(host, &user, settings.is_empty());
    }
    Ok(outcome)
}

/// The control word's status is its proof.
fn end_forcing(host: &mut dyn Host, user: &User, alone: bool) -> Result<SetOutcome, DriverError> {
    let request = Request::WriteSingle { register: user.map.control, value: AUTOMATIC };
    let written = exchange::write(host, user.unit, &request);
    if let (Written::No(exception), true) = (&written, alone) {
        return Ok(SetOutcome::Refused(refused(*exception)));
    }
    let seen = match supply::status(host, user) {
        Ok(status) if status & FORCED == 0 => return Ok(SetOutcome::Confirmed),
        Ok(status) => format!("{AUTOMATIC_CONTROL}: the status word is {status:04X}"),
        Err(error) => format!("{AUTOMATIC_CONTROL} could not be read back: {}", error.detail),
    };
    Ok(SetOutcome::Unknown(exchange::unproved(&written, &seen)))
}

/// The registers, and whether the forcing of the relay shall end.
fn understood(user: &User, parameters: &Extras) -> Result<(Vec<Setting>, bool), DriverError> {
    if parameters.is_empty() {
        return Err(bad("no parameter to set"));
    }
    let (mut settings, mut automatic) = (Vec::<Setting>::new(), false);
    for (name, value) in parameters {
        if settings.iter().any(|known| known.name == name)
            || (automatic && name == AUTOMATIC_CONTROL)
        {
            return Err(bad(format!("`{name}` stands there twice")));
        }
        match value {
            Value::Flag(true) if name == AUTOMATIC_CONTROL => automatic = true,
            _ if name == AUTOMATIC_CONTROL => {
                let detail = format!("`{name}` can only be true; forcing is a control command");
                return Err(bad(detail));
            }
            value => settings.push(setting(user, name, value)?),
        }
    }
    Ok((settings, automatic))
}

fn setting(user: &User, name: &str, value: &Value) -> Result<Setting, DriverError> {
    let map = user.map;
    if let Some(tariff) = TARIFF.iter().find(|tariff| tariff.name == name) {
        let start = map.tariff.start.saturating_add(tariff.offset);
        return Ok(Setting { name: tariff.name, start, bytes: fen(name, value)? });
    }
    if let Some(limit) = LIMITS.iter().find(|limit| limit.name == name) {
        let start = map.load.saturating_add(limit.offset);
        return Ok(Setting { name: limit.name, start, bytes: steps(name, value, limit.step)? });
    }
    let times = |offset: u16| map.times.saturating_add(offset);
    let (name, start, bytes) = match name {
        BASIC_AMOUNT => (BASIC_AMOUNT, map.basic_amount, fen(name, value)?),
        TIME_CONTROL => (TIME_CONTROL, map.times, switch(name, value)?),
        WORKING_DAY_TIMES => {
            let bytes = table(name, value, &registers::TIMES_TABLE)?;
            (WORKING_DAY_TIMES, times(registers::WORKING_DAYS), bytes)
        }
        REST_DAY_TIMES => {
            let bytes = table(name, value, &registers::TIMES_TABLE)?;
            (REST_DAY_TIMES, times(registers::REST_DAYS), bytes)
        }
        REST_DAYS => (REST_DAYS, times(registers::REST_DAY_WORD), days(name, value)?),
        LOAD_CONTROL => (LOAD_CONTROL, map.load, switch(name, value)?),
        DATE_PLAN => {
            let bytes = table(name, value, &registers::DATE_PLAN_TABLE)?;
            (DATE_PLAN, registers::DATE_PLAN, bytes)
        }
        _ => {
            let mut plans = DAY_PLANS.into_iter().zip(registers::DAY_PLANS);
            let Some((name, start)) = plans.find(|(known, _)| *known == name) else {
                return Err(bad(format!("this box has no parameter `{name}` to set")));
            };
            (name, start, table(name, value, &registers::DAY_PLAN_TABLE)?)
        }
    };
    Ok(Setting { name, start, bytes })
}

fn fen(name: &str, value: &Value) -> Result<Vec<u8>, DriverError> {
    let fen = whole(value).and_then(|fen| u32::try_from(fen).ok());
    let wrong = || bad(format!("`{name}` must be 0 to {} whole fen", u32::MAX));
    fen.map(|fen| fen.to_be_bytes().to_vec()).ok_or_else(wrong)
}

fn steps(name: &str, value: &Value, step: i64) -> Result<Vec<u8>, DriverError> {
    let most = i64::from(u16::MAX).saturating_mul(step);
    let wrong = || bad(format!("`{name}` must be 0 to {most}, in steps of {step}"));
    let given = whole(value).filter(|given| given.checked_rem(step) == Some(0));
    let steps = given.and_then(|given| given.checked_div(step));
    let steps = steps.and_then(|steps| u16::try_from(steps).ok());
    steps.map(|steps| steps.to_be_bytes().to_vec()).ok_or_else(wrong)
}

fn switch(name: &str, value: &Value) -> Result<Vec<u8>, DriverError> {
    match value {
        Value::Flag(on) => Ok(u16::from(*on).to_be_bytes().to_vec()),
        _ => Err(bad(format!("`{name}` is true or false"))),
    }
}

fn table(name: &str, value: &Value, table: &Table) -> Result<Vec<u8>, DriverError> {
    let Value::Text(text) = value else { return Err(bad(format!("`{name}` is a text"))) };
    table.bytes(text)
}

/// `6 7`: bit 6 and bit 7, as the maker's set-up program has the days of the DDSY1352.
fn days(name: &str, value: &Value) -> Result<Vec<u8>, DriverError> {
    let wrong =
        || bad(format!("`{name}` is days of the week between blanks, 1 Monday to 7 Sunday"));
    let Value::Text(text) = value else { return Err(wrong()) };
    let mut word = 0_u16;
    for day in text.split_ascii_whitespace() {
        let bit: u32 = day.parse().ok().filter(|day| (1..=7).contains(day)).ok_or_else(wrong)?;
        word |= 1_u16.checked_shl(bit).unwrap_or(0);
    }
    Ok(word.to_be_bytes().to_vec())
}
