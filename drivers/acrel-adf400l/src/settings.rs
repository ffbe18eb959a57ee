//! Prices and alarm amounts in the box, and the end of forced control.
//!
//! Invariant: every parameter is understood before the first is written, and `confirmed` is said
//! only after the registers read back what was asked.

use crate::parameters::{AUTOMATIC_CONTROL, whole};
use crate::registers::{AUTOMATIC, FORCED, TARIFF};
use crate::supply;
use crate::user::User;
use polymeter_codec::modbus::{Registers, Request};
use polymeter_driver::{Call, DriverError, Extras, Host, SetOutcome, Value, codes};
use polymeter_modbus::relay::refused;
use polymeter_modbus::{Written, exchange};

/// One register pair to be written, or the control word.
enum Setting {
    Tariff { name: &'static str, register: u16, fen: u32 },
    Automatic,
}

pub fn set_parameters(
    host: &mut dyn Host,
    call: &Call,
    parameters: &Extras,
) -> Result<SetOutcome, DriverError> {
    let user = User::parse(&call.address)?;
    let settings = understood(&user, parameters)?;
    let mut worst = Written::Acknowledged;
    for (done, setting) in settings.iter().enumerate() {
        match write(host, &user, setting)? {
            Written::Acknowledged => {}
            lost @ Written::Lost(_) => worst = lost,
            Written::No(exception) if done == 0 => {
                return Ok(SetOutcome::Refused(refused(exception)));
            }
            // Those before it may stand in the box by now, so this is no refusal of the whole.
            no @ Written::No(_) => {
                let seen = format!("{} was not written", setting.name());
                return Ok(SetOutcome::Unknown(exchange::unproved(&no, &seen)));
            }
        }
    }
    let seen = match unproved(host, &user, &settings) {
        Ok(None) => return Ok(SetOutcome::Confirmed),
        Ok(Some(seen)) => seen,
        Err(error) => format!("it could not be read back: {}", error.detail),
    };
    Ok(SetOutcome::Unknown(exchange::unproved(&worst, &seen)))
}

impl Setting {
    fn name(&self) -> &'static str {
        match self {
            Self::Tariff { name, .. } => name,
            Self::Automatic => AUTOMATIC_CONTROL,
        }
    }
}

fn understood(user: &User, parameters: &Extras) -> Result<Vec<Setting>, DriverError> {
    let bad = |detail: String| Err(DriverError::new(codes::error::BAD_PARAMETER, detail));
    if parameters.is_empty() {
        return bad("no parameter to set".to_owned());
    }
    let mut settings: Vec<Setting> = Vec::new();
    for (name, value) in parameters {
        if settings.iter().any(|known| known.name() == name) {
            return bad(format!("`{name}` stands there twice"));
        }
        let tariff = TARIFF.iter().find(|tariff| tariff.name == name);
        settings.push(match (tariff, value) {
            (Some(tariff), value) => {
                let Some(fen) = whole(value).and_then(|fen| u32::try_from(fen).ok()) else {
                    return bad(format!("`{name}` must be 0 to {} whole fen", u32::MAX));
                };
                let register = user.map.tariff.start.saturating_add(tariff.offset);
                Setting::Tariff { name: tariff.name, register, fen }
            }
            (None, Value::Flag(true)) if name == AUTOMATIC_CONTROL => Setting::Automatic,
            (None, _) if name == AUTOMATIC_CONTROL => {
                return bad(format!("`{name}` can only be true; forcing is a control command"));
            }
            (None, _) => return bad(format!("this box has no parameter `{name}` to set")),
        });
    }
    Ok(settings)
}

fn write(host: &mut dyn Host, user: &User, setting: &Setting) -> Result<Written, DriverError> {
    let (register, fen) = match setting {
        Setting::Automatic => {
            let request = Request::WriteSingle { register: user.map.control, value: AUTOMATIC };
            return Ok(exchange::write(host, user.unit, &request));
        }
        Setting::Tariff { register, fen, .. } => (*register, fen.to_be_bytes()),
    };
    let Some(values) = Registers::new(&fen) else {
        return Err(DriverError::new(codes::error::BAD_PARAMETER, "an amount is two registers"));
    };
    let request = Request::WriteMultiple { start: register, values };
    Ok(exchange::write(host, user.unit, &request))
}

/// The first setting that the box does not hold, and what it holds instead.
fn unproved(
    host: &mut dyn Host,
    user: &User,
    settings: &[Setting],
) -> Result<Option<String>, DriverError> {
    if settings.iter().any(|setting| matches!(setting, Setting::Tariff { .. })) {
        let words = exchange::read(host, user.unit, user.map.tariff)?;
        for setting in settings {
            if let Setting::Tariff { name, register, fen } = setting {
                let held = words.long(*register)?;
                if held != *fen {
                    return Ok(Some(format!("{name}: the box holds {held} fen, not {fen}")));
                }
            }
        }
    }
    if settings.iter().any(|setting| matches!(setting, Setting::Automatic)) {
        let status = supply::status(host, user)?;
        if status & FORCED != 0 {
            return Ok(Some(format!("{AUTOMATIC_CONTROL}: the status word is {status:04X}")));
        }
    }
    Ok(None)
}
