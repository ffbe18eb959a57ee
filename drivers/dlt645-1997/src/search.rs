//! Who is on the line: the wildcard first, and where several answer, shortened addresses, two digits at
//! a time from the low end (DL/T 645-1997, 5.2.2: AAH above real digits).
//!
//! Invariant: only the energy in total is read, which every meter has: the standard of 1997 has no
//! question for an address, so who answers is told by the frame of the answer. Not here: the walk
//! itself (`polymeter_driver::walk`).

use crate::exchange::{Answer, Exchange};
use crate::read::ENERGY;
use crate::settings::{Settings, bad};
use polymeter_codec::dlt645::answer::Identifier;
use polymeter_codec::dlt645::{control_1997, request};
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
    let data = request::read_1997(ENERGY).map_err(|reason| bad(reason.to_string()))?;
    let asked = exchange.settings.address;
    let (address, is_ours) = match exchange.ask(control_1997::READ, data, Identifier::Short(ENERGY))
    {
        Ok(Answer::Yes { address, .. }) if address.is_one_meter() => (address, true),
        // A meter of 2007 does not know this question and may say so.
        Ok(Answer::No { address, .. }) if address.is_one_meter() => (address, false),
        // By now it is known whole.
        Ok(_) if asked.is_one_meter() => (asked, true),
        Ok(_) => return Ok(Heard::Several("an answer without an address came".to_owned())),
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
        Err(failed) if failed.code != line::SILENT => Err(failed.into()),
        Err(_) if is_ours => Ok(Heard::one(address.to_string())),
        Err(_) => Ok(Heard::Nobody),
    }
}
