//! The relay, by the control word, and the status word as its proof.
//!
//! Not here: protection and permission to reconnect, for which the box has no word.

use crate::parameters::READ_BACK_TRIES;
use crate::registers::{CONNECT, DISCONNECT, FORCED};
use crate::snapshot::supply_of;
use crate::user::User;
use polymeter_codec::modbus::Request;
use polymeter_driver::codes::{command, refusal, supply};
use polymeter_driver::{Call, ControlOutcome, DriverError, Host, LocalTime, Refusal};
use polymeter_modbus::relay::{in_order, refused};
use polymeter_modbus::{Block, Written, exchange};

pub fn control(
    host: &mut dyn Host,
    call: &Call,
    command: u16,
    valid_until: Option<LocalTime>,
) -> Result<ControlOutcome, DriverError> {
    let user = User::parse(&call.address)?;
    let tries = READ_BACK_TRIES.of(call)?;
    let (word, wanted) = match command {
        command::DISCONNECT => (DISCONNECT, supply::DISCONNECTED),
        command::CONNECT => (CONNECT, supply::CONNECTED),
        _ => {
            let detail = "the box's control word opens and closes, nothing else".to_owned();
            let code = refusal::NO_SUCH_FUNCTION;
            return Ok(ControlOutcome::Refused(Refusal { code, detail, device_code: None }));
        }
    };
    // The box keeps no time of validity, so the driver does.
    if valid_until.is_some_and(|until| in_order(&until) < in_order(&call.now)) {
        let detail = "the time until which this command was valid is over".to_owned();
        let code = refusal::OUT_OF_TIME;
        return Ok(ControlOutcome::Refused(Refusal { code, detail, device_code: None }));
    }
    let request = Request::WriteSingle { register: user.map.control, value: word };
    let written = exchange::write(host, user.unit, &request);
    if let Written::No(exception) = written {
        return Ok(ControlOutcome::Refused(refused(exception)));
    }
    let acknowledged = matches!(written, Written::Acknowledged);
    let mut seen = String::new();
    for _ in 0..tries {
        seen = match status(host, &user) {
            Ok(status) => {
                let reached = supply_of(status) == wanted;
                // An open relay alone does not prove a lost command: the purse may be empty.
                if reached && (acknowledged || status & FORCED != 0) {
                    return Ok(ControlOutcome::Confirmed(wanted));
                }
                format!("the status word is {status:04X}")
            }
            Err(error) => format!("the status word could not be read: {}", error.detail),
        };
    }
    Ok(ControlOutcome::Unknown(exchange::unproved(&written, &seen)))
}

/// The status word alone.
pub fn status(host: &mut dyn Host, user: &User) -> Result<u16, DriverError> {
    let register = user.map.status;
    exchange::read(host, user.unit, Block { start: register, count: 1 })?.word(register)
}
