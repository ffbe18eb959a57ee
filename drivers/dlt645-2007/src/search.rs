//! Who is on the line. The wildcard finds a meter that is alone in one question; where several answer
//! at once, shortened addresses tell them apart, two digits at a time from the low end, because the
//! standard allows wildcards above real digits and not below them (DL/T 645-2007, 5.2.2).
//!
//! Invariant: only reads are sent.
//!
//! Not here: the walk itself (`polymeter_driver::walk`), two meters of the same twelve digits, which no
//! question can tell apart, and a meter that drowns out another one completely.

use crate::exchange::{Answer, Exchange};
use crate::items;
use crate::read::own_address;
use crate::settings::{Settings, bad};
use polymeter_codec::dlt645::{Address, control};
use polymeter_driver::codes::{error, line};
use polymeter_driver::walk::{Heard, TWELVE_DIGITS, Walk};
use polymeter_driver::{Call, DriverError, Host, Step};

pub fn search(
    host: &mut dyn Host,
    call: &Call,
    way: &str,
    position: Option<&[u8]>,
    questions: u32,
) -> Result<Step, DriverError> {
    let walk = Walk::new(way, position, TWELVE_DIGITS)?;
    let settings = Settings::asking(&Call { address: "AA".repeat(6), ..call.clone() })?;
    let mut exchange = Exchange::new(host, settings);
    walk.step(questions, |digits| {
        let asked = digits.parse();
        exchange.settings.address = asked.map_err(|_| bad(format!("{digits} is no address")))?;
        ask(&mut exchange)
    })
}

fn ask(exchange: &mut Exchange<'_>) -> Result<Heard, DriverError> {
    let asked = exchange.settings.address;
    let answer = if asked == Address::WILDCARD {
        exchange.ask(control::READ_ADDRESS, &[])
    } else {
        exchange.ask_about(control::READ, items::ADDRESS, &[])
    };
    let one = match answer {
        Ok(Answer::Yes(frame, data)) => own_address(frame, &data).map_err(|error| error.detail),
        // Whoever has no such item has an address nevertheless, and by now it is known whole.
        Ok(Answer::No(_)) if asked.is_one_meter() => Ok(asked),
        Ok(Answer::No(_)) => Err("somebody says no".to_owned()),
        Err(silent) if silent.code == error::NO_REPLY => return Ok(Heard::Nobody),
        Err(noise) if matches!(noise.code, error::GARBLED | error::OTHER_DEVICE) => {
            Err(noise.detail)
        }
        Err(failed) => return Err(failed),
    };
    let address = match one {
        Ok(address) => address,
        Err(detail) => return Ok(Heard::Several(detail)),
    };
    if exchange.left_over > 0 {
        return Ok(Heard::Several(format!("more came after the answer of {address}")));
    }
    // A slower meter may answer after the first one has ended.
    match exchange.host.receive(1) {
        Ok(_) => Ok(Heard::Several(format!("more came after the answer of {address}"))),
        Err(silent) if silent.code == line::SILENT => Ok(Heard::one(address.to_string())),
        Err(failed) => Err(failed.into()),
    }
}
