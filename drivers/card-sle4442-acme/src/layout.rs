//! The mark cell and the state of a card, from bytes and to bytes; the README has the tables.
//!
//! Invariant: a slot is good by its sum or is none, and a state that is built parses as itself.

use polymeter_codec::gbcard::Digits;
use polymeter_codec::x25;

/// What is read at once: the mark cell, both states, both write-backs.
pub const IMAGE_AT: u32 = 0x08;
pub const IMAGE_BYTES: usize = 0xC8;
/// Places on the card.
pub const STATE_AT: [u32; 2] = [0x20, 0x54];
pub const STATE_BYTES: usize = 52;
pub const BACK_AT: [u32; 2] = [0x88, 0xAC];
pub const BACK_BYTES: usize = 36;

const VENDOR: &[u8; 4] = b"ACME";
const VERSION: u8 = 1;
const MARK_BYTES: usize = 18;
/// Bytes of a state under its MAC, and that MAC.
pub const SEALED_BYTES: usize = 44;
pub const MAC_BYTES: usize = 6;
/// An alarm or limit that a setting card leaves as it is.
pub const LEFT: u32 = u32::MAX;

/// The bytes at a place of the card, out of the image.
pub fn part(image: &[u8], at: u32, bytes: usize) -> Option<&[u8]> {
    let from = usize::try_from(at.checked_sub(IMAGE_AT)?).ok()?;
    image.get(from..)?.get(..bytes)
}

/// Whether the last two bytes are the sum of those before.
pub fn is_summed(bytes: &[u8]) -> bool {
    bytes.split_last_chunk::<2>().is_some_and(|(data, sum)| x25(data).to_be_bytes() == *sum)
}

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
    match (mark.get(4), mark.get(8..).and_then(|rest| rest.first_chunk::<8>())) {
        (Some(&VERSION), Some(number)) => Ok(Some(*number)),
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

/// What a user card does in its device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    None,
    Open,
    Buy,
    Replace,
}

const CODES: [Code; 3] = [Code::Published, Code::Changing, Code::Vault];
const KINDS: [Kind; 4] = [Kind::None, Kind::Open, Kind::Buy, Kind::Replace];

/// The place of a value among those that its byte counts through.
fn position<T: PartialEq>(all: &[T], value: &T) -> u8 {
    let found = all.iter().position(|known| known == value);
    found.and_then(|found| u8::try_from(found).ok()).unwrap_or(0)
}

/// One slot's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    pub sequence: u16,
    /// As the contract counts purposes, 0 to 5.
    pub purpose: u8,
    pub code: Code,
    pub region: [u8; 8],
    pub customer: Digits,
    pub device: Digits,
    pub count: u32,
    /// In fen.
    pub amount: u32,
    pub kind: Kind,
    pub alarm: u32,
    pub limit: u32,
}

/// The highest purpose.
const PURPOSE_MAX: u8 = 5;

/// Twelve zeros: nobody, or every device.
pub fn nobody() -> Option<Digits> {
    Digits::from_bytes([0; 6])
}

impl State {
    /// A good slot, with its MAC. `None`: its sum is wrong, or what stands there is nothing that could.
    pub fn parse(slot: &[u8]) -> Option<(State, [u8; MAC_BYTES])> {
        if slot.len() != STATE_BYTES || !is_summed(slot) {
            return None;
        }
        let number = |at| Some(u32::from_be_bytes(field(slot, at)?));
        let [purpose, code] = field(slot, 2)?;
        let [kind] = field(slot, 32)?;
        let state = State {
            sequence: u16::from_be_bytes(field(slot, 0)?),
            purpose: Some(purpose).filter(|purpose| *purpose <= PURPOSE_MAX)?,
            code: *CODES.get(usize::from(code))?,
            region: field(slot, 4)?,
            customer: Digits::from_bytes(field(slot, 12)?)?,
            device: Digits::from_bytes(field(slot, 18)?)?,
            count: number(24)?,
            amount: number(28)?,
            kind: *KINDS.get(usize::from(kind))?,
            alarm: number(36)?,
            limit: number(40)?,
        };
        Some((state, field(slot, SEALED_BYTES)?))
    }

    /// What its MAC is taken over, behind the card's number.
    pub fn sealed(&self) -> Vec<u8> {
        let head = [self.purpose, position(&CODES, &self.code)];
        let kind = [position(&KINDS, &self.kind), 0, 0, 0];
        let parts: [&[u8]; 10] = [
            &self.sequence.to_be_bytes(),
            &head,
            &self.region,
            &self.customer.bytes(),
            &self.device.bytes(),
            &self.count.to_be_bytes(),
            &self.amount.to_be_bytes(),
            &kind,
            &self.alarm.to_be_bytes(),
            &self.limit.to_be_bytes(),
        ];
        parts.concat()
    }

    /// The slot.
    pub fn build(&self, mac: [u8; MAC_BYTES]) -> Vec<u8> {
        let mut slot = self.sealed();
        slot.extend(mac);
        slot.extend(x25(&slot).to_be_bytes());
        slot
    }

    /// Without the zeros that fill it.
    pub fn region_text(&self) -> String {
        let letters = self.region.iter().take_while(|byte| **byte != 0);
        letters.map(|byte| char::from(*byte)).collect()
    }
}

pub fn field<const N: usize>(slot: &[u8], at: usize) -> Option<[u8; N]> {
    slot.get(at..)?.first_chunk().copied()
}

/// Whether `one` comes after `other`: FFFF is followed by 0000.
pub fn is_ahead(one: u16, other: u16) -> bool {
    (1..0x8000).contains(&one.wrapping_sub(other))
}

/// The one of two slots that counts, and which it is.
pub fn newest<T: Copy>(slots: [Option<T>; 2], sequence: impl Fn(&T) -> u16) -> Option<(T, usize)> {
    match slots {
        [Some(first), Some(second)] if is_ahead(sequence(&second), sequence(&first)) => {
            Some((second, 1))
        }
        [Some(first), _] => Some((first, 0)),
        [None, Some(second)] => Some((second, 1)),
        [None, None] => None,
    }
}
