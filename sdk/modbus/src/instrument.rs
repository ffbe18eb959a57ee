//! A whole plain instrument: what a driver answers to every call, from its `driver.toml` alone.
//!
//! Not here: the contract's trait, which each driver implements in a few lines; what a driver adds to
//! its maps.

use crate::embedded::Embedded;
use crate::exchange::{self, Block, Table};
use crate::explain::{self, Name};
use crate::face::{Face, unit};
use crate::map::Map;
use crate::read::{Held, measurements, supply_of};
use crate::relay;
use crate::search::{self, Heard};
use crate::value::number;
use polymeter_driver::codes::{error, supply};
use polymeter_driver::{
    Call, ControlOutcome, Description, DriverError, Explanation, Found, Host, Identity, LocalTime,
    Snapshot, Step, Value,
};
use std::sync::OnceLock;

/// A driver's `driver.toml` and what it says, read once in the life of an instance.
#[derive(Debug)]
pub struct Instrument {
    place: &'static Embedded,
    face: OnceLock<Result<Face, String>>,
}

impl Instrument {
    /// Of the `driver.toml` that stands in `place` when the first call comes.
    pub const fn new(place: &'static Embedded) -> Self {
        Self { place, face: OnceLock::new() }
    }

    /// What the file says; error 6 where it cannot be used.
    pub fn face(&self) -> Result<&Face, DriverError> {
        let read = self.face.get_or_init(|| Face::read(self.place.text()));
        read.as_ref().map_err(|why| DriverError::new(error::BAD_PARAMETER, why.clone()))
    }

    /// What the file says of the driver, and where it cannot be used, why.
    pub fn describe(&self) -> Description {
        match self.face() {
            Ok(face) => face.description(),
            Err(why) => Face::unusable(self.place.text(), why.detail),
        }
    }

    /// Asks for the map's first value.
    pub fn probe(&self, host: &mut dyn Host, call: &Call) -> Result<Identity, DriverError> {
        let map = self.face()?.map(call)?;
        let unit = unit(&call.address)?;
        first(map).map_or(Ok(()), |block| {
            exchange::read_table(host, unit, map.table(), block).map(|_| ())
        })?;
        Ok(Identity {
            address: unit.get().to_string(),
            model: map.model.clone(),
            extras: vec![
                ("evidence".to_owned(), Value::Text(map.evidence.name().to_owned())),
                ("values".to_owned(), number(i64::try_from(map.register.len()).unwrap_or(0), 0)),
            ],
        })
    }

    /// All values of the map, and the relay where it can be seen.
    pub fn read(&self, host: &mut dyn Host, call: &Call) -> Result<Snapshot, DriverError> {
        let map = self.face()?.map(call)?;
        let unit = unit(&call.address)?;
        let held = Held::of(host, unit, map)?;
        let supply = match map.relay.as_ref().and_then(|relay| relay.status) {
            None => supply::UNKNOWN,
            Some(status) if map.table() == Table::Holding => {
                held.word(status.address).map_or(supply::UNKNOWN, |word| supply_of(word, &status))
            }
            // Values from the other table, in which the status is another register.
            Some(status) => relay::seen(host, unit, &status)?,
        };
        Ok(Snapshot { measurements: measurements(&held, map), supply, extras: Vec::new() })
    }

    /// The map's relay.
    pub fn control(
        &self,
        host: &mut dyn Host,
        call: &Call,
        command: u16,
        valid_until: Option<LocalTime>,
    ) -> Result<ControlOutcome, DriverError> {
        let map = self.face()?.map(call)?;
        relay::control(host, call, unit(&call.address)?, map, command, valid_until)
    }

    /// A captured frame, with all maps' names of registers.
    pub fn decode(&self, frame: &[u8]) -> Result<Explanation, String> {
        let face = self.face().map_err(|why| why.detail)?;
        let mut names: Vec<Name> = Vec::new();
        for map in face.maps() {
            let of_map = map.register.iter().map(|register| {
                let count = register.kind.registers();
                (register.address, count, format!("{} {}", map.model, register.obis))
            });
            names.extend(of_map);
        }
        explain::explain(frame, &names)
    }

    /// Every unit that answers a question for the first value of the call's map.
    pub fn search(
        &self,
        host: &mut dyn Host,
        call: &Call,
        way: &str,
        position: Option<&[u8]>,
        questions: u32,
    ) -> Result<Step, DriverError> {
        let maps = self.face()?.maps();
        let Some((map, block)) = maps.first().and_then(|map| Some((map, first(map)?))) else {
            return Err(DriverError::new(error::UNSUPPORTED, "there is no map to search by"));
        };
        // That somebody answers says nothing of which of several models it is.
        let model = if maps.len() == 1 { map.model.as_str() } else { "" };
        search::search(call, way, position, questions, 1, |unit| {
            match exchange::read_table(host, unit, map.table(), block) {
                Ok(_) => Ok(Heard::One(Found {
                    address: unit.get().to_string(),
                    model: model.to_owned(),
                    extras: vec![],
                })),
                Err(failed) => Heard::of(unit, failed),
            }
        })
    }
}

fn first(map: &Map) -> Option<Block> {
    let register = map.register.first()?;
    Some(Block { start: register.address, count: register.kind.registers() })
}
