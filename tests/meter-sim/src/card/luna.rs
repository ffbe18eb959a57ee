//! What stands on a card of LUNA, the made-up maker of `drivers/card-m1-luna`, written from the layout
//! in that folder's README: mark cell, state and write-back, each of the latter twice, and the keys of
//! the sectors.

use super::acme::{ahead, crc, first, summed};
use super::mifare::MifareClassic;

/// Sectors of the states and of the write-backs.
pub const STATES: [u8; 2] = [2, 3];
pub const WRITE_BACKS: [u8; 2] = [4, 5];
pub const SLOT_BYTES: usize = 48;
const MARK_KEY: [u8; 6] = [0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0xA5];

/// The keys of an issuer, as its vault has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LunaKeys {
    pub read: Vec<u8>,
    /// Devices do not have it.
    pub write: Vec<u8>,
    pub data: Vec<u8>,
}

impl LunaKeys {
    pub fn key_a(&self, uid: [u8; 4], sector: u8) -> [u8; 6] {
        first(&self.read, &[&uid, &[sector]])
    }

    pub fn key_b(&self, uid: [u8; 4], sector: u8) -> [u8; 6] {
        first(&self.write, &[&uid, &[sector]])
    }

    /// Content under its MAC and its sum.
    pub fn slot(&self, uid: [u8; 4], content: &[u8]) -> [u8; SLOT_BYTES] {
        let seal: [u8; 8] = first(&self.data, &[&uid, content]);
        summed(&[content, &seal].concat())
    }

    /// The content of a good slot.
    pub fn content<'a>(&self, uid: [u8; 4], slot: &'a [u8]) -> Option<&'a [u8]> {
        let content = slot.get(..38)?;
        (self.slot(uid, content) == *slot).then_some(content)
    }
}

/// The state of a card. Numbers of devices and customers are BCD, amounts 0.01 yuan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LunaState {
    pub sequence: u16,
    pub purpose: u8,
    /// What a user card does: 1 opens, 2 buys, 3 replaces.
    pub act: u8,
    pub customer: [u8; 6],
    pub device: [u8; 6],
    pub count: u32,
    pub amount_fen: u32,
    pub alarm_fen: Option<u32>,
    pub overdraft_fen: Option<u32>,
}

impl LunaState {
    pub fn content(&self) -> Vec<u8> {
        let optional = |fen: Option<u32>| fen.unwrap_or(u32::MAX).to_be_bytes();
        [
            &self.sequence.to_be_bytes()[..],
            &[self.purpose, self.act],
            &self.customer,
            &self.device,
            &self.count.to_be_bytes(),
            &self.amount_fen.to_be_bytes(),
            &optional(self.alarm_fen),
            &optional(self.overdraft_fen),
            &[0; 6],
        ]
        .concat()
    }

    pub fn read(content: &[u8]) -> Option<Self> {
        let word = |at: usize| content.get(at..)?.first_chunk().copied().map(u32::from_be_bytes);
        let optional = |at| word(at).map(|fen| (fen != u32::MAX).then_some(fen));
        Some(Self {
            sequence: sequence(content)?,
            purpose: *content.get(2)?,
            act: *content.get(3)?,
            customer: *content.get(4..)?.first_chunk()?,
            device: *content.get(10..)?.first_chunk()?,
            count: word(16)?,
            amount_fen: word(20)?,
            alarm_fen: optional(24)?,
            overdraft_fen: optional(28)?,
        })
    }
}

/// The first two bytes of a content.
pub fn sequence(content: &[u8]) -> Option<u16> {
    content.first_chunk().copied().map(u16::from_be_bytes)
}

/// Of two slots' contents the one that counts: its place, 0 or 1.
pub fn counting(contents: [Option<&[u8]>; 2]) -> Option<usize> {
    match contents.map(|content| content.and_then(sequence)) {
        [Some(a), Some(b)] => Some(usize::from(ahead(b, a))),
        [Some(_), None] => Some(0),
        [None, Some(_)] => Some(1),
        [None, None] => None,
    }
}

/// A card as its maker delivers it.
pub fn blank(uid: [u8; 4]) -> MifareClassic {
    let mut mark = [0; 14];
    mark[..5].copy_from_slice(b"LUNA\x01");
    let mut block = [0; 16];
    block[..14].copy_from_slice(&mark);
    block[14..].copy_from_slice(&crc(&mark).to_be_bytes());
    let mut card = MifareClassic::blank(uid).with_block(4, block);
    for sector in 1..=5_u8 {
        let access =
            if WRITE_BACKS.contains(&sector) { [0x7F, 0x07, 0x88] } else { [0x78, 0x77, 0x88] };
        let key_a = if sector == 1 { MARK_KEY } else { [0xFF; 6] };
        let mut trailer = [0xFF; 16];
        trailer[..6].copy_from_slice(&key_a);
        trailer[6..9].copy_from_slice(&access);
        trailer[9] = 0x69;
        card = card.with_block(sector * 4 + 3, trailer);
    }
    card
}

/// Whether a block is LUNA's mark.
pub fn is_mark(block: &[u8]) -> bool {
    block.starts_with(b"LUNA\x01")
        && block.get(..14).map(|body| crc(body).to_be_bytes()).as_ref().map(|sum| &sum[..])
            == block.get(14..16)
}
