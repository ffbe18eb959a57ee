//! What stands on a card of ACME, the made-up maker of `drivers/card-sle4442-acme`, written from the
//! layout in that folder's README: mark cell, state and write-back, each of the latter twice.
//!
//! Invariant: of two good slots the one counts whose sequence is ahead.

use aes_gcm::aes::Aes128;
use aes_gcm::aes::cipher::BlockCipherDecrypt;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::sle4442::Sle4442;
use crate::dlt645::frame::{bcd, reversed};

const VENDOR: &[u8; 4] = b"ACME";
const LAYOUT: u8 = 1;
const MARK_CELL: usize = 0x08;
const NUMBER: usize = 0x10;
pub const STATES: [usize; 2] = [0x20, 0x54];
pub const STATE_BYTES: usize = 52;
pub const WRITE_BACKS: [usize; 2] = [0x88, 0xAC];
pub const WRITE_BACK_BYTES: usize = 36;
/// Of a key-change card: length, wrapped key, zeros.
const ANNEX: std::ops::Range<usize> = 0xD0..0xF9;
/// The purpose of such a card.
const KEY_CHANGE: u8 = 9;

/// The keys of an issuer, as its vault has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcmeKeys {
    /// Of the cards' codes.
    pub psc: Vec<u8>,
    /// Of the MAC over a state.
    pub data: Vec<u8>,
}

impl AcmeKeys {
    /// The code of the card with this number.
    pub fn code(&self, number: [u8; 8]) -> [u8; 3] {
        first(&self.psc, &[&number])
    }
}

/// The state of a card. Numbers of devices and customers are BCD, amounts 0.01 yuan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcmeState {
    pub sequence: u16,
    /// 0 blank, 1 user, 2 setting, 3 check, 4 clear, 5 reset, 6 price, 7 area, 8 test, 9 key change.
    pub purpose: u8,
    /// Which code the card has: 0 the published one, 1 it is being changed, 2 the vault's.
    pub code: u8,
    pub region: [u8; 8],
    pub customer: [u8; 6],
    pub device: [u8; 6],
    pub count: u32,
    pub amount_fen: u32,
    /// What a user card does: 1 opens, 2 buys, 3 replaces.
    pub act: u8,
    /// What a maintenance card carries; all ones leave it.
    pub carried: [u8; 8],
}

impl AcmeState {
    /// A card of this purpose for this device, with the vault's code and nothing bought.
    pub fn new(purpose: u8, device: [u8; 6]) -> Self {
        Self {
            sequence: 0,
            purpose,
            code: 2,
            region: [0; 8],
            customer: [0; 6],
            device,
            count: 0,
            amount_fen: 0,
            act: 0,
            carried: [0xFF; 8],
        }
    }

    /// Of any card but one that changes keys.
    pub fn slot(&self, number: [u8; 8], keys: &AcmeKeys) -> [u8; STATE_BYTES] {
        self.sealed(number, keys, &[])
    }

    fn sealed(&self, number: [u8; 8], keys: &AcmeKeys, annex: &[u8]) -> [u8; STATE_BYTES] {
        let body = [
            &self.sequence.to_be_bytes()[..],
            &[self.purpose, self.code],
            &self.region,
            &self.customer,
            &self.device,
            &self.count.to_be_bytes(),
            &self.amount_fen.to_be_bytes(),
            &[self.act, 0, 0, 0],
            &self.carried,
        ]
        .concat();
        let seal: [u8; 6] = first(&keys.data, &[&number, &body, annex]);
        summed(&[&body[..], &seal].concat())
    }

    /// The state that counts; none: no slot is good, or its MAC is another issuer's.
    pub fn read(memory: &[u8], number: [u8; 8], keys: &AcmeKeys) -> Option<Self> {
        let (at, _) = counting(memory, STATES, STATE_BYTES);
        let slot: [u8; STATE_BYTES] = memory.get(at?..)?.first_chunk().copied()?;
        let state = Self::parts(&slot)?;
        let annex = if state.purpose == KEY_CHANGE { memory.get(ANNEX)? } else { &[] };
        (state.sealed(number, keys, annex) == slot).then_some(state)
    }

    /// A number that a card carries, from a byte of `carried` on; none: it leaves what there is.
    pub fn carried_word(&self, at: usize) -> Option<u32> {
        let word = self.carried.get(at..)?.first_chunk().copied().map(u32::from_be_bytes);
        word.filter(|number| *number != u32::MAX)
    }

    /// As `carried_word`, of two bytes.
    pub fn carried_short(&self, at: usize) -> Option<u16> {
        let short = self.carried.get(at..)?.first_chunk().copied().map(u16::from_be_bytes);
        short.filter(|number| *number != u16::MAX)
    }

    fn parts(slot: &[u8; STATE_BYTES]) -> Option<Self> {
        let word = |at: usize| slot[at..].first_chunk().copied().map(u32::from_be_bytes);
        Some(Self {
            sequence: u16::from_be_bytes([slot[0], slot[1]]),
            purpose: slot[2],
            code: slot[3],
            region: *slot[4..].first_chunk()?,
            customer: *slot[12..].first_chunk()?,
            device: *slot[18..].first_chunk()?,
            count: word(24)?,
            amount_fen: word(28)?,
            act: slot[32],
            carried: *slot[36..].first_chunk()?,
        })
    }
}

/// What a device writes on a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcmeWrittenBack {
    /// Bits: 1 the relay is open, 2 little credit is left, 4 overdrawn.
    pub state: u8,
    pub last_error: u8,
    pub device: [u8; 6],
    pub customer: [u8; 6],
    pub count: u32,
    pub balance_fen: u32,
    pub overdrawn_fen: u32,
    /// YY MM DD hh mm, BCD.
    pub at: [u8; 5],
    /// Version of its key that a card brought; 0: its maker's.
    pub key_version: u8,
}

impl AcmeWrittenBack {
    pub fn slot(&self, sequence: u16) -> [u8; WRITE_BACK_BYTES] {
        summed(
            &[
                &sequence.to_be_bytes()[..],
                &[self.state, self.last_error],
                &self.device,
                &self.customer,
                &self.count.to_be_bytes(),
                &self.balance_fen.to_be_bytes(),
                &self.overdrawn_fen.to_be_bytes(),
                &self.at,
                &[self.key_version],
            ]
            .concat(),
        )
    }

    /// The write-back that counts; none: there is none.
    pub fn read(memory: &[u8]) -> Option<Self> {
        let (at, _) = counting(memory, WRITE_BACKS, WRITE_BACK_BYTES);
        let slot: &[u8; WRITE_BACK_BYTES] = memory.get(at?..)?.first_chunk()?;
        let word = |at: usize| slot[at..].first_chunk().copied().map(u32::from_be_bytes);
        Some(Self {
            state: slot[2],
            last_error: slot[3],
            device: *slot[4..].first_chunk()?,
            customer: *slot[10..].first_chunk()?,
            count: word(16)?,
            balance_fen: word(20)?,
            overdrawn_fen: word(24)?,
            at: *slot[28..].first_chunk()?,
            key_version: slot[33],
        })
    }
}

/// The wrapped key on a key-change card; none: no length that there is.
pub fn wrapped_key(memory: &[u8]) -> Option<&[u8]> {
    let (length, rest) = memory.get(ANNEX)?.split_first()?;
    rest.get(..usize::from(*length)).filter(|wrapped| matches!(wrapped.len(), 24 | 32 | 40))
}

/// AES key wrap backwards (RFC 3394, 2.2.2); none where it was not wrapped under this key.
pub fn unwrapped(wrapped: &[u8], under: [u8; 16]) -> Option<Vec<u8>> {
    let cipher = Aes128::new(&under.into());
    let (check, halves) = wrapped.split_first_chunk::<8>()?;
    let mut check = u64::from_be_bytes(*check);
    let (halves, []) = halves.as_chunks::<8>() else { return None };
    let mut halves = halves.to_vec();
    let mut step = 6 * u64::try_from(halves.len()).ok()?;
    for _ in 0..6 {
        for half in halves.iter_mut().rev() {
            let mut block = [0; 16];
            block[..8].copy_from_slice(&(check ^ step).to_be_bytes());
            block[8..].copy_from_slice(half);
            let mut block = block.into();
            cipher.decrypt_block(&mut block);
            let block: [u8; 16] = block.into();
            check = u64::from_be_bytes(*block.first_chunk()?);
            half.copy_from_slice(&block[8..]);
            step -= 1;
        }
    }
    (check == 0xA6A6_A6A6_A6A6_A6A6).then(|| halves.concat())
}

/// The card's number, if its mark cell is ACME's and good.
pub fn number(memory: &[u8]) -> Option<[u8; 8]> {
    let cell = memory.get(MARK_CELL..NUMBER + 10)?;
    let is_ours = cell.starts_with(VENDOR) && cell[4] == LAYOUT && is_good(cell);
    if is_ours { memory.get(NUMBER..)?.first_chunk().copied() } else { None }
}

/// A card as its maker delivers it: the mark cell written and protected, the code as published.
pub fn blank(number: [u8; 8]) -> Sle4442 {
    let cell: [u8; 18] = summed(&[&VENDOR[..], &[LAYOUT, 0xFF, 0xFF, 0xFF], &number].concat());
    let mut card = Sle4442::blank();
    card.memory_mut()[MARK_CELL..MARK_CELL + cell.len()].copy_from_slice(&cell);
    card.protecting(MARK_CELL..STATES[0])
}

/// A card with this state and no write-back, its code as the state says.
pub fn written(number: [u8; 8], state: &AcmeState, keys: &AcmeKeys) -> Sle4442 {
    let mut card = blank(number);
    card.memory_mut()[STATES[0]..][..STATE_BYTES].copy_from_slice(&state.slot(number, keys));
    if state.code == 2 { card.with_code(keys.code(number)) } else { card }
}

/// Where the slot that counts stands, and the other one with the sequence that comes next.
pub fn counting(memory: &[u8], slots: [usize; 2], bytes: usize) -> (Option<usize>, (usize, u16)) {
    let sequence = |at: usize| {
        let slot = memory.get(at..at + bytes).filter(|slot| is_good(slot))?;
        slot.first_chunk().copied().map(u16::from_be_bytes)
    };
    match (sequence(slots[0]), sequence(slots[1])) {
        (Some(a), Some(b)) if ahead(b, a) => (Some(slots[1]), (slots[0], b.wrapping_add(1))),
        (Some(a), _) => (Some(slots[0]), (slots[1], a.wrapping_add(1))),
        (None, Some(b)) => (Some(slots[1]), (slots[0], b.wrapping_add(1))),
        (None, None) => (None, (slots[0], 0)),
    }
}

pub(super) fn ahead(this: u16, other: u16) -> bool {
    (1..0x8000).contains(&this.wrapping_sub(other))
}

/// All but the last two bytes of a part and their sum.
fn is_good(part: &[u8]) -> bool {
    part.split_last_chunk::<2>().is_some_and(|(body, sum)| crc(body).to_be_bytes() == *sum)
}

/// A part of `N` bytes with its sum at the end.
pub(super) fn summed<const N: usize>(body: &[u8]) -> [u8; N] {
    let mut part = [0; N];
    part[..N - 2].copy_from_slice(body);
    part[N - 2..].copy_from_slice(&crc(body).to_be_bytes());
    part
}

/// CRC-16/X-25.
pub(super) fn crc(bytes: &[u8]) -> u16 {
    let crc =
        bytes.iter().fold(0xFFFF_u16, |crc, byte| {
            (0..8).fold(crc ^ u16::from(*byte), |crc, _| {
                if crc & 1 == 1 { crc >> 1 ^ 0x8408 } else { crc >> 1 }
            })
        });
    !crc
}

/// The first bytes of HMAC-SHA-256 over parts.
pub(super) fn first<const N: usize>(key: &[u8], parts: &[&[u8]]) -> [u8; N] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    let whole = mac.finalize().into_bytes();
    let mut first = [0; N];
    first.copy_from_slice(&whole[..N]);
    first
}

/// A number of twelve digits as devices hold it.
pub fn six_bytes(number: u64) -> [u8; 6] {
    let mut field = [0; 6];
    field.copy_from_slice(&bcd(number, 6));
    reversed(field)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::Acts as _;

    #[test]
    fn a_wrapped_key_is_opened_by_the_key_that_wrapped_it() {
        // RFC 3394, 4.1.
        let wrapped: [u8; 24] = [
            0x1F, 0xA6, 0x8B, 0x0A, 0x81, 0x12, 0xB4, 0x47, 0xAE, 0xF3, 0x4B, 0xD8, 0xFB, 0x5A,
            0x7B, 0x82, 0x9D, 0x3E, 0x86, 0x23, 0x71, 0xD2, 0xCF, 0xE5,
        ];
        let under = std::array::from_fn(|at| u8::try_from(at).unwrap_or_default());
        let key = [0x11_u8; 16].iter().zip(0..).map(|(eleven, at)| eleven * at).collect::<Vec<_>>();
        assert_eq!(unwrapped(&wrapped, under), Some(key));
        assert_eq!(unwrapped(&wrapped, [0; 16]), None);
        assert_eq!(unwrapped(&wrapped[..23], under), None);
    }

    #[test]
    fn the_slot_ahead_counts_and_a_torn_one_does_not() {
        // The check value of CRC-16/X-25.
        assert_eq!(crc(b"123456789"), 0x906E);
        let keys = AcmeKeys { psc: vec![1; 32], data: vec![2; 32] };
        let number = [7; 8];
        let state = AcmeState { count: 3, ..AcmeState::new(1, six_bytes(42)) };
        let mut memory = written(number, &state, &keys).truth().memory;
        assert_eq!(super::number(&memory), Some(number));
        assert_eq!(AcmeState::read(&memory, number, &keys), Some(state));
        assert_eq!(AcmeState::read(&memory, [8; 8], &keys), None);
        let others = AcmeKeys { data: vec![3; 32], ..keys.clone() };
        assert_eq!(AcmeState::read(&memory, number, &others), None);

        for sequence in [1, 0x7FFF] {
            let next = AcmeState { sequence, count: 4, ..state };
            memory[0x54..0x88].copy_from_slice(&next.slot(number, &keys));
            assert_eq!(AcmeState::read(&memory, number, &keys), Some(next));
        }
        memory[0x54 + 51] ^= 1;
        assert_eq!(AcmeState::read(&memory, number, &keys), Some(state));
        assert_eq!(counting(&memory, STATES, STATE_BYTES), (Some(0x20), (0x54, 1)));
        assert!(ahead(0, 0xFFFF) && !ahead(0xFFFF, 0) && !ahead(5, 5));
    }
}
