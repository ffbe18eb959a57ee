//! The two files of prices: 32 prices, a ladder, and in the second when that ladder begins.
//!
//! Source: as in the module above; the ladder's parts by two firmwares. Not here: whether a meter may
//! take a set over (its decision), which prices there are (the host).

use super::envelope::{AROUND_BYTES, Envelope, Fault, Moment, decimal, sealed};
use crate::bcd::{BcdError, pair};

/// Bytes of the file of the set in use. That of the set that follows has five more.
pub const PRICES_BYTES: usize = 198;
/// Bytes of the file of the set that follows.
const NEXT_BYTES: usize = 203;

/// Offsets from the 68.
const SETTLEMENT: usize = 184;
const BEGIN: usize = 196;
const NO_DAY: [u8; 3] = [0x99; 3];

/// One set of prices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prices {
    /// Of tariffs 1 to 32, in 0.0001 yuan per kWh.
    pub prices: [u32; 32],
    /// Where the steps of the ladder end, in 0.01 kWh.
    pub steps: [u32; 6],
    /// The price below the first step and above each, in 0.0001 yuan per kWh.
    pub step_prices: [u32; 7],
    /// When the year of the ladder ends: month, day, hour.
    pub settlement: [Option<[u8; 3]>; 4],
}

impl Prices {
    /// Nothing at all, from which a set is made.
    pub const NONE: Prices =
        Prices { prices: [0; 32], steps: [0; 6], step_prices: [0; 7], settlement: [None; 4] };

    /// The file of the set in use; of any command, since firmwares do not look at it.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(bytes: &[u8]) -> Result<Prices, Fault> {
        let envelope = Envelope::open(bytes)?;
        let length = PRICES_BYTES.saturating_sub(AROUND_BYTES);
        Self::of(&envelope.expect(envelope.command, length)?)
    }

    fn of(envelope: &Envelope<'_>) -> Result<Prices, Fault> {
        let mut read = Prices::NONE;
        let mut at = 4_usize;
        let numbers = read.prices.iter_mut().chain(&mut read.steps).chain(&mut read.step_prices);
        for number in numbers {
            *number = envelope.decimal::<4>(at)?;
            at = at.saturating_add(4);
        }
        for (day, at) in read.settlement.iter_mut().zip((SETTLEMENT..BEGIN).step_by(3)) {
            *day = settlement(envelope.field(at)?, at)?;
        }
        Ok(read)
    }

    /// The file of the set in use.
    ///
    /// # Errors
    /// A number with more than eight digits.
    pub fn build(&self, command: u8) -> Result<[u8; PRICES_BYTES], BcdError> {
        Ok(sealed(command, &[&self.data()?]))
    }

    fn data(&self) -> Result<[u8; PRICES_BYTES - AROUND_BYTES], BcdError> {
        let mut data = [0; PRICES_BYTES - AROUND_BYTES];
        let mut places = data.iter_mut();
        for number in self.prices.iter().chain(&self.steps).chain(&self.step_prices) {
            let digits = decimal::<4>(*number)?;
            digits.iter().zip(places.by_ref()).for_each(|(byte, place)| *place = *byte);
        }
        for day in self.settlement {
            let mut bytes = NO_DAY;
            if let Some(day) = day {
                for (place, part) in bytes.iter_mut().zip(day) {
                    let [digits] = decimal::<1>(part.into())?;
                    *place = digits;
                }
            }
            bytes.iter().zip(places.by_ref()).for_each(|(byte, place)| *place = *byte);
        }
        Ok(data)
    }
}

/// A day of the year with its hour; none of all 00, 99 or FF.
fn settlement(bytes: [u8; 3], at: usize) -> Result<Option<[u8; 3]>, Fault> {
    if [[0x00; 3], NO_DAY, [0xFF; 3]].contains(&bytes) {
        return Ok(None);
    }
    let [month, day, hour] = bytes.map(pair);
    match (month, day, hour) {
        (Some(month @ 1..=12), Some(day @ 1..=31), Some(hour @ 0..=23)) => {
            Ok(Some([month, day, hour]))
        }
        _ => Err(Fault::NoTime { at }),
    }
}

/// The set that follows, and when its ladder begins.
///
/// ```
/// use polymeter_codec::gbcard::{Moment, Prices, PricesNext};
///
/// let mut set = Prices::NONE;
/// set.prices[0] = 6_543;
/// let begin = Moment { year: 27, month: 1, day: 1, hour: 0, minute: 0 };
/// let next = PricesNext { set, ladder_begins: Some(begin) };
/// let file = next.build(0x01).expect("eight digits");
/// assert_eq!((file.len(), file[4..8].to_vec()), (203, vec![0x00, 0x00, 0x65, 0x43]));
/// assert_eq!(PricesNext::parse(&file), Ok(next));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PricesNext {
    /// The prices.
    pub set: Prices,
    /// When its ladder begins.
    pub ladder_begins: Option<Moment>,
}

impl PricesNext {
    /// Bytes of the file.
    pub const BYTES: usize = NEXT_BYTES;

    /// The file of the set that follows.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(bytes: &[u8]) -> Result<PricesNext, Fault> {
        let envelope = Envelope::open(bytes)?;
        let length = NEXT_BYTES.saturating_sub(AROUND_BYTES);
        let envelope = envelope.expect(envelope.command, length)?;
        Ok(PricesNext { set: Prices::of(&envelope)?, ladder_begins: envelope.moment(BEGIN)? })
    }

    /// The file as it stands on the card.
    ///
    /// # Errors
    /// A number with more than eight digits.
    pub fn build(&self, command: u8) -> Result<[u8; NEXT_BYTES], BcdError> {
        let begin = self.ladder_begins.map_or(Ok([0; 5]), Moment::bytes)?;
        Ok(sealed(command, &[&self.set.data()?, &begin]))
    }
}
