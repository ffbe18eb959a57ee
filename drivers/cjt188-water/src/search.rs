//! Who is on the line: the wildcard in type and address first, and where several answer, shortened
//! addresses, two digits at a time from the low end.
//!
//! Invariant: only the address is asked for, and an answer counts in whichever dialect it comes. Not
//! here: the walk itself (`polymeter_driver::walk`).

use crate::describe::MODEL;
use crate::exchange::Exchange;
use crate::settings::{Settings, name};
use polymeter_codec::cjt188::kind;
use polymeter_driver::codes::{error, line};
use polymeter_driver::walk::{FOURTEEN_DIGITS, Heard, Walk};
use polymeter_driver::{Call, DriverError, Found, Host, Step, Value};

pub fn search(
    host: &mut dyn Host,
    call: &Call,
    way: &str,
    position: Option<&[u8]>,
    questions: u32,
) -> Result<Step, DriverError> {
    let walk = Walk::new(way, position, FOURTEEN_DIGITS)?;
    let settings = Settings::of(&Call { address: "AA".repeat(7), ..call.clone() })?;
    let mut exchange = Exchange::new(host, call, Settings { kind: kind::ANY, ..settings });
    walk.step(questions, |digits| {
        let asked = digits.parse();
        exchange.settings.address = asked.map_err(|_| {
            DriverError::new(error::BAD_PARAMETER, format!("{digits} is no address"))
        })?;
        ask(&mut exchange)
    })
}

fn ask(exchange: &mut Exchange<'_>) -> Result<Heard, DriverError> {
    let (address, kind) = match exchange.who() {
        Ok(one) => one,
        Err(silent) if silent.code == error::NO_REPLY => return Ok(Heard::Nobody),
        Err(noise) if matches!(noise.code, error::GARBLED | error::OTHER_DEVICE) => {
            return Ok(Heard::Several(noise.detail));
        }
        Err(failed) => return Err(failed),
    };
    let more = format!("more came after the answer of {address}");
    if exchange.left_over > 0 {
        return Ok(Heard::Several(more));
    }
    // A slower meter may answer after the first one has ended.
    match exchange.host.receive(1) {
        Ok(_) => Ok(Heard::Several(more)),
        Err(silent) if silent.code == line::SILENT => Ok(Heard::One(Found {
            address: address.to_string(),
            model: MODEL.to_owned(),
            extras: vec![(name::KIND.to_owned(), Value::Text(format!("{kind:02X}")))],
        })),
        Err(failed) => Err(failed.into()),
    }
}
