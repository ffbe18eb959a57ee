//! The mark cell, the state and the write-back of a card, from bytes and to bytes; the README has the
//! tables.
//!
//! Invariant: a slot is good by its sum or is none, and a state that is built parses as itself.

use polymeter_cards::{BroughtHome, Kind, State};
use polymeter_codec::gbcard::{Digits, Moment};
use polymeter_codec::x25;

/// What is read at once: the mark cell, both states, both write-backs.
pub const IMAGE_AT: u32 = 0x08;
pub const IMAGE_BYTES: usize = 0xC8;
/// Places on the card.
pub const STATE_AT: [u32; 2] = [0x20, 0x54];
pub const STATE_BYTES: usize = 52;
pub const BACK_AT: [u32; 2] = [0x88, 0xAC];
pub const BACK_BYTES: usize = 36;
pub const REGION_BYTES: usize = 8;

const VENDOR: &[u8; 4] = b"ACME";
const VERSION: u8 = 1;
const MARK_BYTES: usize = 18;
/// Bytes of a state under its MAC, and that MAC.
const SEALED_BYTES: usize = 44;
pub const MAC_BYTES: usize = 6;
/// The highest purpose.
const PURPOSE_MAX: u8 = 5;

/// The bytes at a place of the card, out of the image.
pub fn part(image: &[u8], at: u32, bytes: usize) -> &[u8] {
    let from = at.checked_sub(IMAGE_AT).and_then(|from| usize::try_from(from).ok());
    let rest = from.and_then(|from| image.get(from..));
    rest.and_then(|rest| rest.get(..bytes)).unwrap_or_default()
}

/// Whether the last two bytes are the sum of those before.
fn is_summed(bytes: &[u8]) -> bool {
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

const CODES: [Code; 3] = [Code::Published, Code::Changing, Code::Vault];
const KINDS: [Kind; 4] = [Kind::None, Kind::Open, Kind::Buy, Kind::Replace];

/// The place of a value among those that its byte counts through.
fn position<T: PartialEq>(all: &[T], value: &T) -> u8 {
    let found = all.iter().position(|known| known == value);
    found.and_then(|found| u8::try_from(found).ok()).unwrap_or(0)
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
        let number = |at| Some(u32::from_be_bytes(field(slot, at)?));
        // All ones leave what the device has.
        let carried = |at| Some(number(at)?).map(|fen| (fen != u32::MAX).then_some(fen));
        let [purpose, code] = field(slot, 2)?;
        let [kind] = field(slot, 32)?;
        let state = State {
            purpose: Some(purpose).filter(|purpose| *purpose <= PURPOSE_MAX)?.into(),
            region: region(&field::<REGION_BYTES>(slot, 4)?)?,
            customer: Digits::from_bytes(field(slot, 12)?)?,
            device: Digits::from_bytes(field(slot, 18)?)?,
            count: number(24)?,
            amount: number(28)?,
            kind: *KINDS.get(usize::from(kind))?,
            carried: vec![carried(36)?, carried(40)?],
        };
        let slot_read = Slot {
            sequence: u16::from_be_bytes(field(slot, 0)?),
            code: *CODES.get(usize::from(code))?,
            state: (purpose != 0).then_some(state),
        };
        Some((slot_read, field(slot, SEALED_BYTES)?))
    }

    /// What its MAC is taken over, behind the card's number.
    pub fn sealed(&self) -> Vec<u8> {
        let state = self.state.as_ref();
        let number = |number: Option<u32>| number.unwrap_or(0).to_be_bytes();
        let purpose = state.and_then(|state| u8::try_from(state.purpose).ok()).unwrap_or(0);
        let mut region = [0; REGION_BYTES];
        let letters = state.iter().flat_map(|state| state.region.bytes());
        region.iter_mut().zip(letters).for_each(|(place, letter)| *place = letter);
        let digits = |digits: Option<Digits>| digits.map(Digits::bytes).unwrap_or_default();
        let kind = state.map_or(0, |state| position(&KINDS, &state.kind));
        let carried = |index: usize| {
            let fen = state.and_then(|state| *state.carried.get(index)?);
            fen.unwrap_or(u32::MAX).to_be_bytes()
        };
        let parts: [&[u8]; 10] = [
            &self.sequence.to_be_bytes(),
            &[purpose, position(&CODES, &self.code)],
            &region,
            &digits(state.map(|state| state.customer)),
            &digits(state.map(|state| state.device)),
            &number(state.map(|state| state.count)),
            &number(state.map(|state| state.amount)),
            &[kind, 0, 0, 0],
            &carried(0),
            &carried(1),
        ];
        parts.concat()
    }

    /// The slot's bytes.
    pub fn build(&self, mac: [u8; MAC_BYTES]) -> Vec<u8> {
        let mut slot = self.sealed();
        slot.extend(mac);
        slot.extend(x25(&slot).to_be_bytes());
        slot
    }
}

/// Without the zeros that fill it; none where it holds what no region has.
fn region(bytes: &[u8]) -> Option<String> {
    let letters = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    let good = letters.iter().all(u8::is_ascii_graphic);
    good.then(|| letters.iter().map(|byte| char::from(*byte)).collect())
}

/// A good slot of the write-back, with its sequence.
pub fn written_back(slot: &[u8]) -> Option<(u16, BroughtHome)> {
    if slot.len() != BACK_BYTES || !is_summed(slot) {
        return None;
    }
    let number = |at| Some(u32::from_be_bytes(field(slot, at)?));
    let [status, error] = field(slot, 2)?;
    let back = BroughtHome {
        status,
        error,
        device: Digits::from_bytes(field(slot, 4)?)?,
        customer: Digits::from_bytes(field(slot, 10)?)?,
        count: number(16)?,
        balance: number(20)?,
        overdrawn: Some(number(24)?),
        at: Moment::from_bytes(field(slot, 28)?),
    };
    Some((u16::from_be_bytes(field(slot, 0)?), back))
}

fn field<const N: usize>(slot: &[u8], at: usize) -> Option<[u8; N]> {
    slot.get(at..)?.first_chunk().copied()
}
