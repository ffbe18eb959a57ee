//! What stands on a card: mark cell, state and write-back, as the README lays them out.
//!
//! Invariant: bytes whose sum is wrong are no slot. Not here: MACs and keys (`session`).

use polymeter_codec::gbcard::{Digits, Moment};
use polymeter_codec::x25;

pub const MARK: &[u8; 4] = b"LUNA";
const LAYOUT: u8 = 1;
/// Of each slot: 38 bytes of content, 8 of MAC, 2 of sum.
pub const SLOT_BYTES: usize = 48;
const CONTENT_BYTES: usize = 38;
const MAC_BYTES: usize = 8;

/// What a user card does in a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    None,
    Open,
    Buy,
    Replace,
}

impl Kind {
    fn of(byte: u8) -> Option<Kind> {
        Some(match byte {
            0 => Kind::None,
            1 => Kind::Open,
            2 => Kind::Buy,
            3 => Kind::Replace,
            _ => return None,
        })
    }

    fn byte(self) -> u8 {
        match self {
            Kind::None => 0,
            Kind::Open => 1,
            Kind::Buy => 2,
            Kind::Replace => 3,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Kind::None => "none",
            Kind::Open => "open",
            Kind::Buy => "buy",
            Kind::Replace => "replace",
        }
    }
}

/// The state of a card; `purpose` as in the contract, 0 to 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    pub purpose: u8,
    pub kind: Kind,
    pub customer: Option<Digits>,
    pub device: Option<Digits>,
    pub count: u32,
    /// 0.01 yuan.
    pub amount: u32,
    /// None: the device keeps its own. 0.01 yuan.
    pub alarm: Option<u32>,
    pub overdraft: Option<u32>,
}

impl State {
    pub const BLANK: State = State {
        purpose: 0,
        kind: Kind::None,
        customer: None,
        device: None,
        count: 0,
        amount: 0,
        alarm: None,
        overdraft: None,
    };

    /// The content of a slot, without its MAC and its sum.
    pub fn content(&self, sequence: u16) -> Vec<u8> {
        let number = |digits: Option<Digits>| digits.map_or([0; 6], Digits::bytes);
        let optional = |fen: Option<u32>| fen.unwrap_or(u32::MAX).to_be_bytes();
        [
            &sequence.to_be_bytes()[..],
            &[self.purpose, self.kind.byte()],
            &number(self.customer),
            &number(self.device),
            &self.count.to_be_bytes(),
            &self.amount.to_be_bytes(),
            &optional(self.alarm),
            &optional(self.overdraft),
            &[0; 6],
        ]
        .concat()
    }

    /// None: no content that these cards have.
    pub fn parse(content: &[u8]) -> Option<State> {
        let rest = content.get(2..)?;
        let (&[purpose, kind], rest) = rest.split_first_chunk()?;
        let (customer, rest) = rest.split_first_chunk::<6>()?;
        let (device, rest) = rest.split_first_chunk::<6>()?;
        let (count, rest) = rest.split_first_chunk::<4>()?;
        let (amount, rest) = rest.split_first_chunk::<4>()?;
        let (alarm, rest) = rest.split_first_chunk::<4>()?;
        let (overdraft, _) = rest.split_first_chunk::<4>()?;
        let optional = |bytes: &[u8; 4]| {
            let fen = u32::from_be_bytes(*bytes);
            (fen != u32::MAX).then_some(fen)
        };
        if purpose > 5 {
            return None;
        }
        Some(State {
            purpose,
            kind: Kind::of(kind)?,
            customer: number(*customer)?,
            device: number(*device)?,
            count: u32::from_be_bytes(*count),
            amount: u32::from_be_bytes(*amount),
            alarm: optional(alarm),
            overdraft: optional(overdraft),
        })
    }
}

/// What a device wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Back {
    /// 1 the relay is open, 2 little credit is left, 4 overdrawn.
    pub bits: u8,
    pub last_error: u8,
    pub device: Option<Digits>,
    pub customer: Option<Digits>,
    pub count: u32,
    /// 0.01 yuan.
    pub balance: u32,
    pub overdrawn: u32,
    pub at: Option<Moment>,
}

impl Back {
    /// None: no content that these cards have.
    pub fn parse(content: &[u8]) -> Option<Back> {
        let rest = content.get(2..)?;
        let (&[bits, last_error], rest) = rest.split_first_chunk()?;
        let (device, rest) = rest.split_first_chunk::<6>()?;
        let (customer, rest) = rest.split_first_chunk::<6>()?;
        let (count, rest) = rest.split_first_chunk::<4>()?;
        let (balance, rest) = rest.split_first_chunk::<4>()?;
        let (overdrawn, rest) = rest.split_first_chunk::<4>()?;
        let (at, _) = rest.split_first_chunk::<5>()?;
        Some(Back {
            bits,
            last_error,
            device: number(*device)?,
            customer: number(*customer)?,
            count: u32::from_be_bytes(*count),
            balance: u32::from_be_bytes(*balance),
            overdrawn: u32::from_be_bytes(*overdrawn),
            at: Moment::from_bytes(*at),
        })
    }
}

/// Digits, or none where there are zeros. The outer none: no digits.
fn number(bytes: [u8; 6]) -> Option<Option<Digits>> {
    if bytes == [0; 6] {
        return Some(None);
    }
    Digits::from_bytes(bytes).map(Some)
}

/// A slot whose sum is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    pub sequence: u16,
    pub content: Vec<u8>,
    pub mac: Vec<u8>,
}

impl Slot {
    pub fn parse(bytes: &[u8]) -> Option<Slot> {
        let (body, sum) = bytes.split_last_chunk::<2>()?;
        if bytes.len() != SLOT_BYTES || x25(body).to_be_bytes() != *sum {
            return None;
        }
        let (content, mac) = body.split_at_checked(CONTENT_BYTES)?;
        let sequence = content.first_chunk().copied().map(u16::from_be_bytes)?;
        Some(Slot { sequence, content: content.to_vec(), mac: mac.to_vec() })
    }

    /// The bytes of a slot of this content under this MAC.
    pub fn build(content: &[u8], mac: &[u8]) -> Vec<u8> {
        let mac = mac.get(..MAC_BYTES).unwrap_or(mac);
        let body = [content, mac].concat();
        [&body[..], &x25(&body).to_be_bytes()].concat()
    }

    /// Whether this MAC, of whatever length, begins with the slot's.
    pub fn has_mac(&self, mac: &[u8]) -> bool {
        mac.len() >= MAC_BYTES && mac.starts_with(&self.mac)
    }
}

/// Whether a sequence comes after another, however often they have begun anew.
pub fn ahead(this: u16, other: u16) -> bool {
    (1..0x8000).contains(&this.wrapping_sub(other))
}

/// Whether a block is this vendor's mark.
pub fn is_mark(block: &[u8]) -> bool {
    let Some((body, sum)) = block.split_last_chunk::<2>() else { return false };
    let begins = body.strip_prefix(MARK).and_then(<[u8]>::first) == Some(&LAYOUT);
    begins && x25(body).to_be_bytes() == *sum
}

/// The text of block 5; none that is no text.
pub fn region(block: &[u8]) -> String {
    let text = std::str::from_utf8(block).unwrap_or_default().trim_end_matches('\0');
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_plain { text.to_owned() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_comes_back_from_its_slot_and_no_broken_slot_does() {
        let state = State {
            purpose: 1,
            kind: Kind::Buy,
            customer: Digits::from_text("77"),
            device: Digits::from_text("42"),
            count: 3,
            amount: 12_345,
            alarm: None,
            overdraft: Some(7),
        };
        let slot = Slot::build(&state.content(9), &[5; 32]);
        assert_eq!(slot.len(), SLOT_BYTES);
        let read = Slot::parse(&slot);
        let told = read.as_ref().map(|read| (read.sequence, State::parse(&read.content)));
        assert_eq!(told, Some((9, Some(state))));
        let has = |mac: &[u8]| read.as_ref().is_some_and(|read| read.has_mac(mac));
        assert!(has(&[5; 32]) && !has(&[5, 5]) && !has(&[6; 32]));
        for at in 0..SLOT_BYTES {
            let other = |(place, byte): (usize, &u8)| if place == at { byte ^ 1 } else { *byte };
            let broken: Vec<u8> = slot.iter().enumerate().map(other).collect();
            assert_eq!(Slot::parse(&broken), None, "byte {at}");
            assert_eq!(Slot::parse(slot.get(..at).unwrap_or_default()), None, "{at} bytes");
        }
        assert!(ahead(0, 0xFFFF) && !ahead(0xFFFF, 0) && !ahead(4, 4) && ahead(5, 4));
        assert_eq!(State::parse(&[0xFF; 38]), None);
        assert_eq!(State::parse(&[]), None);
    }

    #[test]
    fn a_mark_has_its_sum_and_a_region_is_text() {
        let mut mark = b"LUNA\x01\0\0\0\0\0\0\0\0\0".to_vec();
        mark.extend(x25(&mark).to_be_bytes());
        assert!(is_mark(&mark));
        assert!(
            !is_mark(&[0; 16]) && !is_mark(b"LUNA") && !is_mark(mark.get(..15).unwrap_or_default())
        );
        assert_eq!(region(b"north\0\0\0\0\0\0\0\0\0\0\0"), "north");
        assert_eq!(region(&[0xFF; 16]), "");
    }
}
