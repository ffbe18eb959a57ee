//! The valve, and the meter's status as its proof.
//!
//! Not here: protection and permission to reconnect, for which the standard has no word.

use crate::exchange::{Answer, Exchange, device_code};
use crate::read::{supply_of, water};
use crate::settings::Settings;
use polymeter_codec::cjt188::{control, identifier};
use polymeter_driver::codes::{command, refusal, supply};
use polymeter_driver::{Call, ControlOutcome, DriverError, Host, LocalTime, Refusal};

/// A valve turns for some seconds.
const LOOKS: usize = 3;

pub fn control(
    host: &mut dyn Host,
    call: &Call,
    command: u16,
    valid_until: Option<LocalTime>,
) -> Result<ControlOutcome, DriverError> {
    let settings = Settings::one_meter(call)?;
    let no = |code, detail: &str| {
        let detail = detail.to_owned();
        Ok(ControlOutcome::Refused(Refusal { code, detail, device_code: None }))
    };
    let (code, wanted) = match command {
        command::DISCONNECT => (settings.close_code, supply::DISCONNECTED),
        command::CONNECT => (settings.open_code, supply::CONNECTED),
        _ => return no(refusal::NO_SUCH_FUNCTION, "a valve opens and closes, nothing else"),
    };
    // The meter keeps no time of validity, so the driver does.
    if valid_until.is_some_and(|until| in_order(&until) < in_order(&call.now)) {
        return no(refusal::OUT_OF_TIME, "the time until which this command was valid is over");
    }
    let mut exchange = Exchange::new(host, call, settings);
    let written = match exchange.ask(control::WRITE, identifier::VALVE, &[code]) {
        Ok(Answer::Yes(..)) => "the command was acknowledged".to_owned(),
        Ok(Answer::No(status)) => {
            return Ok(ControlOutcome::Refused(Refusal {
                code: refusal::OTHER,
                detail: "the meter refused the command to its valve".to_owned(),
                device_code: Some(device_code(&status)),
            }));
        }
        Err(error) => format!("the command was not acknowledged ({})", error.detail),
    };
    let mut seen = String::new();
    for _ in 0..LOOKS {
        seen = match water(&mut exchange) {
            Ok(water) if supply_of(water.status) == wanted => {
                return Ok(ControlOutcome::Confirmed(wanted));
            }
            Ok(water) => {
                let [first, second] = water.status.0;
                format!("the status is {first:02X}{second:02X}")
            }
            Err(error) => format!("the status could not be read: {}", error.detail),
        };
    }
    Ok(ControlOutcome::Unknown(format!("{written}, and {seen}")))
}

fn in_order(time: &LocalTime) -> (u16, u8, u8, u8, u8, u8) {
    (time.year, time.month, time.day, time.hour, time.minute, time.second)
}
