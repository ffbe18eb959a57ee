//! The files of a CPU user card of local prepayment (CPU用户卡), as State Grid's and South Grid's meters
//! read them: `68`, command, length, data, sum, `16`, and the purse without an envelope.
//!
//! Source: public firmwares of meters, which agree on every offset; they follow Q/GDW 1365, which is
//! not public. Offsets count from the 68. Numbers of several bytes stand high byte first.
//!
//! Invariant: a file is understood whole or named by what is wrong and where; what is built here is
//! what its parser gives back.
//!
//! Not here: commands of the card, keys, MACs, which file is written when (a driver).

mod envelope;
mod parameters;
mod prices;
mod written_back;

pub use envelope::{Digits, Envelope, Fault, Moment, is_empty};
pub use parameters::{
    Built, CardType, Family, Holder, PARAMETERS_BYTES, Parameters, SETTING_BYTES, updates,
};
pub use prices::{PRICES_BYTES, Prices, PricesNext};
pub use written_back::{WRITTEN_BACK_BYTES, WrittenBack};

/// Bytes of the purse.
pub const PURSE_BYTES: usize = 8;

/// What the purse of a card holds: a purchase, under its count.
///
/// ```
/// use polymeter_codec::gbcard::Purse;
///
/// let purse = Purse::parse(&[0, 0, 0x13, 0x88, 0, 0, 0, 17]).expect("eight bytes");
/// assert_eq!((purse.amount, purse.count), (5000, 17));
/// assert_eq!(purse.build(), [0, 0, 0x13, 0x88, 0, 0, 0, 17]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purse {
    /// In 0.01 yuan.
    pub amount: u32,
    /// The count of purchases that this one makes.
    pub count: u32,
}

impl Purse {
    /// The first eight bytes of the purse's file.
    ///
    /// # Errors
    /// Where there are fewer.
    pub fn parse(bytes: &[u8]) -> Result<Purse, Fault> {
        let short = Fault::Short { have: bytes.len(), want: PURSE_BYTES };
        let Some([a0, a1, a2, a3, c0, c1, c2, c3]) = bytes.first_chunk::<PURSE_BYTES>() else {
            return Err(short);
        };
        Ok(Purse {
            amount: u32::from_be_bytes([*a0, *a1, *a2, *a3]),
            count: u32::from_be_bytes([*c0, *c1, *c2, *c3]),
        })
    }

    /// The purse as it stands on the card.
    pub fn build(&self) -> [u8; PURSE_BYTES] {
        let ([a0, a1, a2, a3], [c0, c1, c2, c3]) =
            (self.amount.to_be_bytes(), self.count.to_be_bytes());
        [a0, a1, a2, a3, c0, c1, c2, c3]
    }
}
