//! Meters without a line: whoever has them hands them bytes, and decides what becomes of their
//! answers. For simulations that are to go the same way each time.
//!
//! Not here: waiting, threads, scripted faults' queues (bus).

use crate::SimulatorError;
use crate::alone::next;
use crate::device::{Device, Protocol, State, of_one_protocol};
use crate::fault::{FaultKind, Kind};
use crate::plan::Meters;

/// The meters of one bus.
#[derive(Debug)]
pub struct Offline {
    protocol: Protocol,
    devices: Vec<Device>,
    /// The beginning of a request.
    buffer: Vec<u8>,
    /// Whom the last request was for.
    addressed: Option<usize>,
}

impl Offline {
    pub fn new(meters: Meters) -> Result<Self, SimulatorError> {
        let (protocol, devices) = of_one_protocol(meters)
            .map_err(|reason| SimulatorError::Plan { bus: "offline".to_owned(), reason })?;
        Ok(Self { protocol, devices, buffer: Vec::new(), addressed: None })
    }

    /// The whole requests that these bytes complete.
    pub fn hear(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.buffer.extend_from_slice(bytes);
        std::iter::from_fn(|| next(self.protocol, &mut self.buffer)).collect()
    }

    /// What a request is to the first meter that it is for, which notices it and does nothing yet.
    pub fn notice(&mut self, request: &[u8]) -> Option<Kind> {
        let heard = self.protocol.hear(request)?;
        let mut devices = self.devices.iter_mut().enumerate();
        let found = devices.find_map(|(at, device)| Some((at, device.notice(&heard)?)));
        self.addressed = found.map(|(at, _)| at);
        found.map(|(_, kind)| kind)
    }

    /// Does what was noticed last, and answers.
    pub fn answer(&mut self, request: &[u8]) -> Option<Vec<u8>> {
        let heard = self.protocol.hear(request)?;
        self.devices.get_mut(self.addressed?)?.answer(&heard).reply
    }

    /// A no instead of the answer to what was noticed last.
    pub fn refuse(&self, request: &[u8], word: u16) -> Option<Vec<u8>> {
        let heard = self.protocol.hear(request)?;
        self.devices.get(self.addressed?)?.refuse(&heard, word)
    }

    /// Puts a fault into an answer.
    pub fn spoil(&self, reply: &mut Vec<u8>, fault: &FaultKind) {
        self.protocol.spoil(reply, fault);
    }

    /// The truth about each meter.
    pub fn states(&self) -> Vec<State> {
        self.devices.iter().map(|device| device.state("offline")).collect()
    }
}
