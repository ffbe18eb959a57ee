//! The mark cell, the state and the write-back of a card, from bytes and to bytes; the README has the
//! tables.
//!
//! Invariant: a slot is good by its sum or is none, and a state that is built parses as itself.

use polymeter_cards::{BroughtHome, Kind, State, field, filled, is_summed, letters, summed, word};
use polymeter_codec::gbcard::{Digits, Moment};

/// What is read at once: all that has a meaning.
pub const IMAGE_BYTES: u32 = 0xC0;
/// Places on the card.
pub const STATE_AT: [u32; 2] = [0x10, 0x40];
pub const STATE_BYTES: usize = 48;
pub const BACK_AT: [u32; 2] = [0x70, 0x98];
pub const BACK_BYTES: usize = 40;
pub const REGION_BYTES: usize = 8;
pub const MAC_BYTES: usize = 8;

/// By these the cards are known: choose four of your own.
const MARK: [u8; 4] = [0x7E, 0x41, 0x24, 0x02];
const VERSION: u8 = 1;
const MARK_BYTES: usize = 16;
/// Bytes of a state under its MAC.
const SEALED_BYTES: usize = 38;
/// Blank, user, check and clear, as the contract counts purposes.
const PURPOSES: [u8; 4] = [0, 1, 3, 4];

pub fn is_empty(bytes: &[u8]) -> bool {
    [0x00, 0xFF].iter().any(|empty| bytes.iter().all(|byte| byte == empty))
}

/// The card's number. `Ok(None)`: not a card of this vendor.
pub fn number(image: &[u8]) -> Result<Option<[u8; 8]>, String> {
    let Some(mark) = image.get(..MARK_BYTES).filter(|mark| mark.starts_with(&MARK)) else {
        return Ok(None);
    };
    if !is_summed(mark) {
        return Err("the mark cell's sum is wrong".to_owned());
    }
    match (mark.get(4), field(mark, 6)) {
        (Some(&VERSION), Some(number)) => Ok(Some(number)),
        (version, _) => Err(format!("version {version:02X?} of the layout is not known here")),
    }
}

/// One slot of the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    pub sequence: u16,
    /// None: blank.
    pub state: Option<State>,
}

impl Slot {
    /// A good slot, with its MAC. `None`: its sum is wrong, or what stands there is nothing that could.
    pub fn parse(slot: &[u8]) -> Option<(Slot, [u8; MAC_BYTES])> {
        if slot.len() != STATE_BYTES || !is_summed(slot) {
            return None;
        }
        let [purpose, kind] = field(slot, 2)?;
        let state = State {
            purpose: Some(purpose).filter(|purpose| PURPOSES.contains(purpose))?.into(),
            region: letters(&field::<REGION_BYTES>(slot, 4)?)?,
            customer: Digits::from_bytes(field(slot, 12)?)?,
            device: Digits::from_bytes(field(slot, 18)?)?,
            count: word(slot, 24)?,
            amount: word(slot, 28)?,
            kind: Kind::from_code(kind)?,
            carried: Vec::new(),
        };
        let sequence = u16::from_be_bytes(field(slot, 0)?);
        let read = Slot { sequence, state: (purpose != 0).then_some(state) };
        Some((read, field(slot, SEALED_BYTES)?))
    }

    /// What its MAC is taken over, behind the card's number.
    pub fn sealed(&self) -> Vec<u8> {
        let mut sealed = self.sequence.to_be_bytes().to_vec();
        if let Some(state) = &self.state {
            sealed.push(u8::try_from(state.purpose).unwrap_or(0));
            sealed.push(state.kind.code());
            sealed.extend(filled::<REGION_BYTES>(&state.region));
            sealed.extend(state.customer.bytes());
            sealed.extend(state.device.bytes());
            sealed.extend(state.count.to_be_bytes());
            sealed.extend(state.amount.to_be_bytes());
        }
        sealed.resize(SEALED_BYTES, 0);
        sealed
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
    let back = BroughtHome {
        status,
        error,
        device: Digits::from_bytes(field(slot, 4)?)?,
        customer: Digits::from_bytes(field(slot, 10)?)?,
        count: word(slot, 16)?,
        balance: word(slot, 20)?,
        overdrawn: Some(word(slot, 24)?),
        at: Moment::from_bytes(field(slot, 28)?),
        // No card gives these devices another key.
        key_version: 0,
    };
    Some((u16::from_be_bytes(field(slot, 0)?), back))
}
