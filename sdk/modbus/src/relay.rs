//! A relay by a map: written once, and seen where the map says the relay itself is seen.
//!
//! Invariant: `confirmed` is said of what the status shows after the write, never of an
//! acknowledgement alone; and of a write whose answer was lost only if the relay was seen the other way
//! round before it.

use crate::exchange::{self, Block, Written, unproved};
use crate::map::{Map, Relay, Status};
use crate::read::supply_of;
use polymeter_codec::modbus::{Registers, Request, Unit};
use polymeter_driver::codes::{command, error, refusal, supply};
use polymeter_driver::{Call, ControlOutcome, DriverError, Host, LocalTime, Refusal};

/// How often the status is read after a write: a relay takes its time.
const TRIES: u8 = 3;

/// Opens or closes. Error 9 where the map has no relay; refusal 13 for any other command, 12 when its
/// time is over.
pub fn control(
    host: &mut dyn Host,
    call: &Call,
    unit: Unit,
    map: &Map,
    command: u16,
    valid_until: Option<LocalTime>,
) -> Result<ControlOutcome, DriverError> {
    let Some(relay) = &map.relay else {
        let detail = format!("the map of {} has no relay", map.model);
        return Err(DriverError::new(error::UNSUPPORTED, detail));
    };
    let (words, wanted) = match command {
        command::DISCONNECT => (&relay.open, supply::DISCONNECTED),
        command::CONNECT => (&relay.close, supply::CONNECTED),
        _ => return Ok(no(refusal::NO_SUCH_FUNCTION, "this relay opens and closes, nothing else")),
    };
    if valid_until.is_some_and(|until| in_order(&until) < in_order(&call.now)) {
        let detail = "the time until which this command was valid is over";
        return Ok(no(refusal::OUT_OF_TIME, detail));
    }
    let Some(status) = relay.status else {
        let written = write(host, unit, relay, words)?;
        if let Written::No(exception) = written {
            return Ok(ControlOutcome::Refused(refused(exception)));
        }
        return Ok(ControlOutcome::Unknown(unproved(
            &written,
            "the map has no status of the relay",
        )));
    };
    let before = seen(host, unit, &status)?;
    let written = write(host, unit, relay, words)?;
    if let Written::No(exception) = written {
        return Ok(ControlOutcome::Refused(refused(exception)));
    }
    let counts = matches!(written, Written::Acknowledged) || before != wanted;
    let mut told = String::new();
    for _ in 0..TRIES {
        told = match seen(host, unit, &status) {
            Ok(found) if found == wanted && counts => return Ok(ControlOutcome::Confirmed(wanted)),
            Ok(found) => format!("the relay is {}", name(found)),
            Err(failed) => format!("the status could not be read: {}", failed.detail),
        };
    }
    Ok(ControlOutcome::Unknown(unproved(&written, &told)))
}

/// How the relay stands: 0 unknown, 1 disconnected, 2 connected.
pub(crate) fn seen(host: &mut dyn Host, unit: Unit, status: &Status) -> Result<u16, DriverError> {
    let block = Block { start: status.address, count: 1 };
    let word = exchange::read(host, unit, block)?.word(status.address)?;
    Ok(supply_of(word, status))
}

fn write(
    host: &mut dyn Host,
    unit: Unit,
    relay: &Relay,
    words: &[u16],
) -> Result<Written, DriverError> {
    if let (6, [value]) = (relay.function, words) {
        let request = Request::WriteSingle { register: relay.address, value: *value };
        return Ok(exchange::write(host, unit, &request));
    }
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    let Some(values) = Registers::new(&bytes) else {
        let detail = "the map's relay has more registers than a frame";
        return Err(DriverError::new(error::BAD_PARAMETER, detail));
    };
    let request = Request::WriteMultiple { start: relay.address, values };
    Ok(exchange::write(host, unit, &request))
}

fn name(supply: u16) -> &'static str {
    match supply {
        supply::DISCONNECTED => "open",
        supply::CONNECTED => "closed",
        _ => "neither open nor closed",
    }
}

/// The device's no to a write.
pub fn refused(exception: u8) -> Refusal {
    let code = match exception {
        1 => refusal::NO_SUCH_FUNCTION,
        3 => refusal::BAD_VALUE,
        _ => refusal::OTHER,
    };
    let detail = exchange::exception_name(exception).to_owned();
    Refusal { code, detail, device_code: exchange::device_code(exception) }
}

fn no(code: u16, detail: &str) -> ControlOutcome {
    ControlOutcome::Refused(Refusal { code, detail: detail.to_owned(), device_code: None })
}

/// So that two times can be compared.
pub fn in_order(time: &LocalTime) -> (u16, u8, u8, u8, u8, u8) {
    (time.year, time.month, time.day, time.hour, time.minute, time.second)
}
