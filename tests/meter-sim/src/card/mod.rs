//! Simulated IC cards (protocols.md chapter 9), as a reader finds them: a chip that answers commands,
//! with scripted faults and a truth that tests look at. A card goes into a virtual reader of pcscd
//! ([`Inserted`]), is laid onto a serial reader ([`SerialReader`]), is spoken to in this process
//! ([`Card::transmit`]), or is put into a card meter ([`AcmeMeter`], [`SgMeter`], [`LunaMeter`],
//! [`RdkMeter`]).
//!
//! Invariant: a pulled card answers nothing more, and what it holds is what it held at that moment.
//!
//! Deliberately not here: readers as PC/SC knows them, drivers' views of a card, collisions of two
//! contactless cards.

pub mod acme;
mod apdu;
mod at24c;
mod at88sc102;
mod bay;
mod cpu;
mod desfire;
mod fault;
mod field;
mod field_chip;
mod hand;
mod keys;
pub mod luna;
mod mifare;
mod random;
mod reader;
mod serial;
pub mod sg;
mod sle4428;
mod sle4442;
mod vpcd;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::event::lock;
use apdu::{Command, answer};

pub use at24c::At24c;
pub use at88sc102::At88sc102;
pub use bay::Bay;
pub use cpu::{CpuCard, PARAMETERS, PRICES_1, PRICES_2, PURSE, WRITTEN_BACK};
pub use desfire::DesFire;
pub use fault::{CardFault, CardFaultKind};
pub use field::acme::AcmeMeter;
pub use field::luna::LunaMeter;
pub use field::rdk::RdkMeter;
pub use field::sg::SgMeter;
pub use field::{CardError, Purse, Shown, Stage, Trouble};
pub use field_chip::Contactless;
pub use hand::{Readers, serve as serve_hand};
pub use keys::CpuKeys;
pub use mifare::MifareClassic;
pub use serial::{ReaderFault, ReaderFaultKind, SerialReader};
pub use sle4428::Sle4428;
pub use sle4442::Sle4442;
pub use vpcd::{Inserted, PORT as VPCD_PORT};

/// What answers on a card.
#[derive(Debug, Clone)]
pub enum Chip {
    Cpu(Box<CpuCard>),
    Sle4442(Box<Sle4442>),
    Sle4428(Box<Sle4428>),
    At24c(Box<At24c>),
    At88sc102(Box<At88sc102>),
    MifareClassic(Box<MifareClassic>),
    DesFire(Box<DesFire>),
}

/// What all chips do, each with its reader before it.
trait Acts {
    /// The answer to reset, as the reader tells it.
    fn atr(&self) -> Vec<u8>;
    /// Power comes or goes, or a reset: the session is over.
    fn power(&mut self);
    fn serve(&mut self, command: &Command<'_>) -> Vec<u8>;
    /// What it says through an antenna, if it has one.
    fn contactless(&self) -> Option<Contactless> {
        None
    }
    /// Power goes when `bytes` of what the command writes are in.
    fn tear(&mut self, command: &Command<'_>, bytes: usize);
    fn truth(&self) -> Truth;
}

/// What a card truly holds, whoever may read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    pub memory: Vec<u8>,
    /// Of the code that dies first; none where the chip does not count.
    pub tries_left: Option<u8>,
    /// How often a code was presented, and how often a wrong one.
    pub presented: u32,
    pub wrong: u32,
}

/// The card is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the card was pulled")]
pub struct Pulled;

/// One card. A clone is the same card; a copy of what it holds is [`Card::image`].
#[derive(Debug, Clone)]
pub struct Card(Arc<Mutex<Held>>);

#[derive(Debug)]
struct Held {
    chip: Chip,
    /// With the number of the command that each waits for.
    faults: Vec<CardFault>,
    commands: u64,
}

impl Card {
    pub fn new(chip: Chip) -> Self {
        Self(Arc::new(Mutex::new(Held { chip, faults: Vec::new(), commands: 0 })))
    }

    pub fn cpu(card: CpuCard) -> Self {
        Self::new(Chip::Cpu(Box::new(card)))
    }

    pub fn sle4442(card: Sle4442) -> Self {
        Self::new(Chip::Sle4442(Box::new(card)))
    }

    /// Another card with all that this one holds now: yesterday's image, once this one goes on.
    pub fn image(&self) -> Self {
        let mut chip = lock(&self.0).chip.clone();
        chip.acts_mut().power();
        Self::new(chip)
    }

    /// Lets something go wrong with a later command.
    pub fn fault(&self, fault: CardFault) {
        let mut held = lock(&self.0);
        let at = held.commands.saturating_add(fault.at);
        held.faults.push(CardFault { at, ..fault });
    }

    /// Takes back what still waits.
    pub fn clear_faults(&self) {
        lock(&self.0).faults.clear();
    }

    /// How many commands have come, pulled ones counted.
    pub fn commands(&self) -> u64 {
        lock(&self.0).commands
    }

    pub fn truth(&self) -> Truth {
        lock(&self.0).chip.acts().truth()
    }

    /// What a file of a CPU card truly holds.
    pub fn file(&self, file: u8) -> Option<Vec<u8>> {
        match &lock(&self.0).chip {
            Chip::Cpu(card) => card.file(file).map(<[u8]>::to_vec),
            _ => None,
        }
    }

    /// Changes the chip behind everybody's back, as a soldering iron would.
    pub fn alter<T>(&self, change: impl FnOnce(&mut Chip) -> T) -> T {
        change(&mut lock(&self.0).chip)
    }

    /// As the reader tells it.
    pub fn atr(&self) -> Vec<u8> {
        lock(&self.0).chip.acts().atr()
    }

    /// What it says of itself in a field, if it has an antenna.
    pub fn contactless(&self) -> Option<Contactless> {
        lock(&self.0).chip.acts().contactless()
    }

    /// Power, or a reset: whatever a session had is gone.
    pub fn power_on(&self) {
        lock(&self.0).chip.acts_mut().power();
    }

    pub fn power_off(&self) {
        lock(&self.0).chip.acts_mut().power();
    }

    /// One command and its answer; waits where a fault says so. Memory cards take pseudo-APDUs, as
    /// their reader does.
    pub fn transmit(&self, command: &[u8]) -> Result<Vec<u8>, Pulled> {
        let (answered, wait) = lock(&self.0).transmit(command);
        if let Some(wait) = wait {
            std::thread::sleep(wait);
        }
        answered
    }
}

impl Held {
    fn transmit(&mut self, bytes: &[u8]) -> (Result<Vec<u8>, Pulled>, Option<Duration>) {
        self.commands += 1;
        let found = self.faults.iter().position(|fault| fault.at == self.commands);
        let fault = found.map(|at| self.faults.swap_remove(at).kind);
        let command = Command::parse(bytes);
        match fault {
            Some(CardFaultKind::PulledBefore) => return (Err(self.pulled()), None),
            Some(CardFaultKind::PulledWithin { bytes }) => {
                if let Some(command) = command {
                    self.chip.acts_mut().tear(&command, bytes);
                }
                return (Err(self.pulled()), None);
            }
            Some(CardFaultKind::Refused { status }) => return (Ok(status.to_vec()), None),
            _ => {}
        }
        let mut answered = match command {
            Some(command) => self.chip.acts_mut().serve(&command),
            None => answer(&[], apdu::WRONG_LENGTH),
        };
        match fault {
            Some(CardFaultKind::PulledAfter) => return (Err(self.pulled()), None),
            Some(CardFaultKind::Slow { wait_ms }) => {
                return (Ok(answered), Some(Duration::from_millis(wait_ms)));
            }
            Some(CardFaultKind::Garbled { status }) => {
                answered.truncate(answered.len().saturating_sub(2));
                answered.extend(status);
            }
            _ => {}
        }
        (Ok(answered), None)
    }

    fn pulled(&mut self) -> Pulled {
        self.chip.acts_mut().power();
        Pulled
    }
}

impl Chip {
    fn acts(&self) -> &dyn Acts {
        match self {
            Chip::Cpu(card) => card.as_ref(),
            Chip::Sle4442(card) => card.as_ref(),
            Chip::Sle4428(card) => card.as_ref(),
            Chip::At24c(card) => card.as_ref(),
            Chip::At88sc102(card) => card.as_ref(),
            Chip::MifareClassic(card) => card.as_ref(),
            Chip::DesFire(card) => card.as_ref(),
        }
    }

    /// What stands on a card of memory, past its reader and its codes.
    pub fn memory_mut(&mut self) -> Option<&mut [u8]> {
        match self {
            Chip::Sle4442(card) => Some(card.memory_mut()),
            Chip::Sle4428(card) => Some(card.memory_mut()),
            Chip::At24c(card) => Some(card.memory_mut()),
            Chip::At88sc102(card) => Some(card.memory_mut()),
            Chip::MifareClassic(card) => Some(card.memory_mut()),
            Chip::Cpu(_) | Chip::DesFire(_) => None,
        }
    }

    fn acts_mut(&mut self) -> &mut dyn Acts {
        match self {
            Chip::Cpu(card) => card.as_mut(),
            Chip::Sle4442(card) => card.as_mut(),
            Chip::Sle4428(card) => card.as_mut(),
            Chip::At24c(card) => card.as_mut(),
            Chip::At88sc102(card) => card.as_mut(),
            Chip::MifareClassic(card) => card.as_mut(),
            Chip::DesFire(card) => card.as_mut(),
        }
    }
}
