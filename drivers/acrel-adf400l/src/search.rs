//! Which units answer on the line, and which of the two register maps each has.
//!
//! Invariant: only reads are sent. A unit that answers with an exception is there and is reported as
//! nobody's model; it may be a device of another maker.

use crate::registers::{MODEL, SINGLE_PHASE, THREE_PHASE};
use polymeter_codec::modbus::Unit;
use polymeter_driver::codes::error::NO_SUCH_DATA;
use polymeter_driver::{Call, DriverError, Found, Host, Step};
use polymeter_modbus::search::{self, Heard};
use polymeter_modbus::{Block, exchange};

/// Either register map, and then the other one.
const QUESTIONS_PER_UNIT: u32 = 2;

pub fn search(
    host: &mut dyn Host,
    call: &Call,
    way: &str,
    position: Option<&[u8]>,
    questions: u32,
) -> Result<Step, DriverError> {
    search::search(call, way, position, questions, QUESTIONS_PER_UNIT, |unit| ask(host, unit))
}

/// Three-phase registers first: a single-phase user does not have them, and says so.
fn ask(host: &mut dyn Host, unit: Unit) -> Result<Heard, DriverError> {
    let found = |suffix: &str| {
        let address = format!("{}{suffix}", unit.get());
        Heard::One(Found { address, model: MODEL.to_owned(), extras: vec![] })
    };
    let mut energy = |start| exchange::read(host, unit, Block { start, count: 2 });
    match energy(THREE_PHASE.energy) {
        Ok(_) => Ok(found(":3")),
        Err(none) if none.code == NO_SUCH_DATA => match energy(SINGLE_PHASE.energy) {
            Ok(_) => Ok(found("")),
            Err(failed) => Heard::of(unit, failed),
        },
        Err(failed) => Heard::of(unit, failed),
    }
}
