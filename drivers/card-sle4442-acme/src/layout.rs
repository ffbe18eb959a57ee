//! The mark cell, the state and the write-back of a card, from bytes and to bytes; the README has the
//! tables.
//!
//! Invariant: a slot is good by its sum or is none, and a state that is built parses as itself.

use crate::carried::{self, CARRIED_BYTES};
use polymeter_cards::{BroughtHome, Kind, State, field, filled, is_summed, letters, summed, word};
use polymeter_codec::gbcard::{Digits, Moment};

/// What is read at once: the mark cell, both states, both write-backs.
pub const IMAGE_AT: u32 = 0x08;
pub const IMAGE_BYTES: usize = 0xC8;
/// Places on the card.
pub const STATE_AT: [u32; 2] = [0x20, 0x54];
pub const STATE_BYTES: usize = 52;
pub const BACK_AT: [u32; 2] = [0x88, 0xAC];
pub const BACK_BYTES: usize = 36;
/// What a key-change card carries, read and written beside the rest.
pub const ANNEX_AT: u32 = 0xD0;
pub const ANNEX_BYTES: usize = 41;
pub const REGION_BYTES: usize = 8;

const VENDOR: &[u8; 4] = b"ACME";
const VERSION: u8 = 1;
const MARK_BYTES: usize = 18;
/// Bytes of a state under its MAC, and that MAC.
const SEALED_BYTES: usize = 44;
pub const MAC_BYTES: usize = 6;
/// Where a state has what a maintenance card carries.
const CARRIED_AT: usize = 36;
/// The highest purpose.
const PURPOSE_MAX: u8 = 9;

pub fn is_empty(bytes: &[u8]) -> bool {
    [0x00, 0xFF].iter().any(|empty| bytes.iter().all(|byte| byte == empty))
}

/// The card's number. `Ok(None)`: not a card of this vendor.
pub fn number(image: &[u8]) -> Result<Option<[u8; 8]>, String> {
    let Some(mark) = image.get(..MARK_BYTES).filter(|mark| mark.starts_with(VENDOR)) else {
        return Ok(None);
    };
    if !is_summed(mark) {
        return Err("the mark cell's sum is wrong".to_owned());
    }
    match (mark.get(4), field(mark, 8)) {
        (Some(&VERSION), Some(number)) => Ok(Some(number)),
        (version, _) => Err(format!("version {version:02X?} of the layout is not known here")),
    }
}

/// Which code the card has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    Published,
    Changing,
    Vault,
}

impl Code {
    const ALL: [Code; 3] = [Code::Published, Code::Changing, Code::Vault];

    fn byte(self) -> u8 {
        match self {
            Code::Published => 0,
            Code::Changing => 1,
            Code::Vault => 2,
        }
    }
}

/// One slot of the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    pub sequence: u16,
    pub code: Code,
    /// None: blank.
    pub state: Option<State>,
}

impl Slot {
    /// A good slot, with its MAC. `None`: its sum is wrong, or what stands there is nothing that could.
    pub fn parse(slot: &[u8]) -> Option<(Slot, [u8; MAC_BYTES])> {
        if slot.len() != STATE_BYTES || !is_summed(slot) {
            return None;
        }
        let [purpose, code] = field(slot, 2)?;
        let [kind] = field(slot, 32)?;
        let state = State {
            purpose: Some(purpose).filter(|purpose| *purpose <= PURPOSE_MAX)?.into(),
            region: letters(&field::<REGION_BYTES>(slot, 4)?)?,
            customer: Digits::from_bytes(field(slot, 12)?)?,
            device: Digits::from_bytes(field(slot, 18)?)?,
            count: word(slot, 24)?,
            amount: word(slot, 28)?,
            kind: Kind::from_code(kind)?,
            carried: carried::parse(purpose.into(), &field(slot, CARRIED_AT)?)?,
        };
        let slot_read = Slot {
            sequence: u16::from_be_bytes(field(slot, 0)?),
            code: *Code::ALL.get(usize::from(code))?,
            state: (purpose != 0).then_some(state),
        };
        Some((slot_read, field(slot, SEALED_BYTES)?))
    }

    /// What its MAC is taken over, behind the card's number.
    pub fn sealed(&self) -> Vec<u8> {
        let state = self.state.as_ref();
        let number = |number: Option<u32>| number.unwrap_or(0).to_be_bytes();
        let purpose = state.and_then(|state| u8::try_from(state.purpose).ok()).unwrap_or(0);
        let region: [u8; REGION_BYTES] =
            filled(state.map(|state| state.region.as_str()).unwrap_or_default());
        let digits = |digits: Option<Digits>| digits.map(Digits::bytes).unwrap_or_default();
        let kind = state.map_or(0, |state| state.kind.code());
        let carried = state.map_or([0xFF; CARRIED_BYTES], carried::build);
        let parts: [&[u8]; 9] = [
            &self.sequence.to_be_bytes(),
            &[purpose, self.code.byte()],
            &region,
            &digits(state.map(|state| state.customer)),
            &digits(state.map(|state| state.device)),
            &number(state.map(|state| state.count)),
            &number(state.map(|state| state.amount)),
            &[kind, 0, 0, 0],
            &carried,
        ];
        parts.concat()
    }

    /// The slot's bytes.
    pub fn build(&self, mac: [u8; MAC_BYTES]) -> Vec<u8> {
        summed([&self.sealed()[..], &mac].concat())
    }
}

/// A good slot of the write-back, with its sequence.
pub fn written_back(slot: &[u8]) -> Option<(u16, BroughtHome)> {
    if slot.len() != BACK_BYTES || !is_summed(slot) {
        return None;
    }
    let [status, error] = field(slot, 2)?;
    let [key_version] = field(slot, 33)?;
    let back = BroughtHome {
        status,
        error,
        device: Digits::from_bytes(field(slot, 4)?)?,
        customer: Digits::from_bytes(field(slot, 10)?)?,
        count: word(slot, 16)?,
        balance: word(slot, 20)?,
        overdrawn: Some(word(slot, 24)?),
        at: Moment::from_bytes(field(slot, 28)?),
        key_version,
    };
    Some((u16::from_be_bytes(field(slot, 0)?), back))
}
