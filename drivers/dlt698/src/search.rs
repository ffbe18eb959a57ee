//! Which meters answer on the line: the wildcard first, and where several answer, a walk over the
//! last digits, two at a time.
//!
//! Invariant: only the address is asked for. Not here: the walk itself (`polymeter_driver::walk`).

use crate::exchange::Exchange;
use crate::read::own_address;
use crate::settings::{Settings, bad};
use polymeter_codec::dlt698::ServerAddress;
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
        let asked = ServerAddress::from_digits(digits);
        exchange.settings.address = asked.ok_or_else(|| bad(format!("{digits} is no address")))?;
        ask(&mut exchange)
    })
}

fn ask(exchange: &mut Exchange<'_>) -> Result<Heard, DriverError> {
    let address = match own_address(exchange) {
        Ok(address) => address,
        Err(silent) if silent.code == error::NO_REPLY => return Ok(Heard::Nobody),
        Err(failed) if matches!(failed.code, error::LINE | error::BAD_PARAMETER) => {
            return Err(failed);
        }
        // Noise, or somebody who does not say its address: narrower questions tell.
        Err(noise) => return Ok(Heard::Several(noise.detail)),
    };
    let more = format!("more came after the answer of {address}");
    if exchange.left_over > 0 {
        return Ok(Heard::Several(more));
    }
    // A slower meter may answer after the first one has ended.
    match exchange.host.receive(1) {
        Ok(_) => Ok(Heard::Several(more)),
        Err(silent) if silent.code == line::SILENT => Ok(Heard::one(address)),
        Err(failed) => Err(failed.into()),
    }
}
