//! What an ACME device writes onto a card; the README has the table.
//!
//! Invariant: a slot is good by its sum or is none. Not here: what the host makes of it.

use crate::layout::{BACK_BYTES, field, is_summed};
use polymeter_codec::gbcard::{Digits, Moment};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrittenBack {
    pub sequence: u16,
    /// Bits: 01 the relay is open, 02 little credit is left, 04 overdrawn.
    pub status: u8,
    /// The last error that the device showed; 0 for none.
    pub error: u8,
    pub device: Digits,
    pub customer: Digits,
    pub count: u32,
    /// In fen, as what is overdrawn.
    pub balance: u32,
    pub overdrawn: u32,
    pub at: Option<Moment>,
}

impl WrittenBack {
    pub fn parse(slot: &[u8]) -> Option<WrittenBack> {
        if slot.len() != BACK_BYTES || !is_summed(slot) {
            return None;
        }
        let number = |at| Some(u32::from_be_bytes(field(slot, at)?));
        let [status, error] = field(slot, 2)?;
        Some(WrittenBack {
            sequence: u16::from_be_bytes(field(slot, 0)?),
            status,
            error,
            device: Digits::from_bytes(field(slot, 4)?)?,
            customer: Digits::from_bytes(field(slot, 10)?)?,
            count: number(16)?,
            balance: number(20)?,
            overdrawn: number(24)?,
            at: Moment::from_bytes(field(slot, 28)?),
        })
    }
}
