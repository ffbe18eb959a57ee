//! The meter's clock, written and read back.
//!
//! Not here: *adjust*, for which CJ/T 188 has neither a broadcast nor a rule; whether the clock is
//! right, which the host judges.

use crate::exchange::{Answer, Exchange, device_code};
use crate::read::{clock_of, water};
use crate::settings::{Settings, bad};
use polymeter_codec::cjt188::{control, identifier};
use polymeter_driver::codes::{clock, error, refusal};
use polymeter_driver::{Call, ClockOutcome, DriverError, Host, LocalTime, Refusal};

pub fn set(host: &mut dyn Host, call: &Call, way: u16) -> Result<ClockOutcome, DriverError> {
    let settings = Settings::one_meter(call)?;
    match way {
        clock::SET => {}
        clock::ADJUST => {
            let detail = "CJ/T 188 has no way to adjust a clock, only to set it";
            return Err(DriverError::new(error::UNSUPPORTED, detail));
        }
        other => return Err(bad(format!("there is no way {other} of setting a clock"))),
    }
    let LocalTime { year, month, day, hour, minute, second } = call.now;
    let bytes = settings.dialect.time_bytes((year, month, day, hour, minute, second));
    let bytes = bytes.ok_or_else(|| bad("the time to set does not exist".to_owned()))?;
    let mut exchange = Exchange::new(host, call, settings);
    match exchange.ask(control::WRITE, identifier::WRITE_TIME, &bytes) {
        Ok(Answer::No(status)) => {
            return Ok(ClockOutcome::Refused(Refusal {
                code: refusal::OTHER,
                detail: "the meter refused the time".to_owned(),
                device_code: Some(device_code(&status)),
            }));
        }
        Err(down) if down.code == error::LINE => return Err(down),
        // A lost answer is no matter: the clock is read back.
        Ok(Answer::Yes(..)) | Err(_) => {}
    }
    Ok(match water(&mut exchange) {
        Ok(water) => match clock_of(&water) {
            Some(shown) => ClockOutcome::Confirmed(shown),
            None => ClockOutcome::Unknown("the clock shows no time afterwards".to_owned()),
        },
        Err(unread) => {
            ClockOutcome::Unknown(format!("the clock was not read back: {}", unread.detail))
        }
    })
}
