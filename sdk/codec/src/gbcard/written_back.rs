//! The file of the write-back (回写): what a meter wrote onto the card when it was last in it.
//!
//! Invariant: as in the module above. Not here: what the host makes of it.

use super::envelope::{AROUND_BYTES, Digits, Envelope, Fault, Moment, decimal, sealed};
use crate::bcd::BcdError;

/// Bytes of the file.
pub const WRITTEN_BACK_BYTES: usize = 49;
const COMMAND: u8 = 0x11;

/// What a meter wrote back.
///
/// ```
/// use polymeter_codec::gbcard::{Digits, WrittenBack};
///
/// let back = WrittenBack {
///     ratios: [1, 1],
///     meter: Digits::from_text("000000000001").unwrap(),
///     customer: Digits::from_text("000000000007").unwrap(),
///     balance: 7350,
///     count: 17,
///     overdrawn: 0,
///     wrong_cards: 2,
///     at: None,
/// };
/// let file = back.build().expect("digits that fit");
/// assert_eq!(file[..4], [0x68, 0x11, 0x00, 0x2B]);
/// assert_eq!(WrittenBack::parse(&file), Ok(back));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrittenBack {
    /// Ratios of the transformers of current and voltage.
    pub ratios: [u32; 2],
    /// The meter that wrote it.
    pub meter: Digits,
    /// The customer whose it is.
    pub customer: Digits,
    /// What its purse holds, in 0.01 yuan.
    pub balance: u32,
    /// Its purchase count.
    pub count: u32,
    /// What was used beyond the purse, in 0.01 yuan.
    pub overdrawn: u32,
    /// How often a wrong card was inserted.
    pub wrong_cards: u32,
    /// When, by its clock; none where it had no time.
    pub at: Option<Moment>,
}

impl WrittenBack {
    /// The file of a card.
    ///
    /// # Errors
    /// What is wrong with it, and where. A time that is none is no error: its meter lost its clock,
    /// and all else still stands.
    pub fn parse(bytes: &[u8]) -> Result<WrittenBack, Fault> {
        let length = WRITTEN_BACK_BYTES.saturating_sub(AROUND_BYTES);
        let envelope = Envelope::open(bytes)?.expect(COMMAND, length)?;
        Ok(WrittenBack {
            ratios: [envelope.decimal::<3>(5)?, envelope.decimal::<3>(8)?],
            meter: envelope.digits(11)?,
            customer: envelope.digits(17)?,
            balance: envelope.binary(23)?,
            count: envelope.binary(27)?,
            overdrawn: envelope.decimal::<4>(31)?,
            wrong_cards: envelope.decimal::<3>(39)?,
            at: envelope.moment(42).unwrap_or(None),
        })
    }

    /// The file as a meter writes it.
    ///
    /// # Errors
    /// A number with more digits than its field.
    pub fn build(&self) -> Result<[u8; WRITTEN_BACK_BYTES], BcdError> {
        let [current, voltage] = self.ratios;
        let (current, voltage) = (decimal::<3>(current)?, decimal::<3>(voltage)?);
        let (meter, customer) = (self.meter.bytes(), self.customer.bytes());
        let (balance, count) = (self.balance.to_be_bytes(), self.count.to_be_bytes());
        let overdrawn = decimal::<4>(self.overdrawn)?;
        let wrong_cards = decimal::<3>(self.wrong_cards)?;
        let at = self.at.map_or(Ok([0; 5]), Moment::bytes)?;
        let parts: [&[u8]; 11] = [
            &[0],
            &current,
            &voltage,
            &meter,
            &customer,
            &balance,
            &count,
            &overdrawn,
            &[0; 4],
            &wrong_cards,
            &at,
        ];
        Ok(sealed(COMMAND, &parts))
    }
}
