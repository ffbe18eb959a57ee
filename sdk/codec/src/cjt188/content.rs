//! What stands in the data of a frame (CJ/T 188-2004, annex A), and in which ways vendors write it
//! otherwise.
//!
//! Invariant: data is understood whole, to its last byte, or not at all.

use super::identifier;
use crate::bcd::{self, BcdError, Sign};
use crate::mbus::{Meaning, Unit, unit_code};
use core::fmt;

/// In which order the bytes of something come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Low byte first, as the standard has it.
    LowFirst,
    /// High byte first.
    HighFirst,
}

/// How one make of meter writes what the standard leaves open, or otherwise than it.
///
/// ```
/// use polymeter_codec::cjt188::{Dialect, Order};
///
/// let dialect = Dialect { identifier: Order::HighFirst, ..Dialect::STANDARD };
/// let content = dialect.content(&[0x90, 0x1F, 0x05]).expect("an identifier and a serial number");
/// assert_eq!((content.identifier, content.serial), (0x901F, Some(5)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// Of the data identifier: 901FH is `1F 90` low first.
    pub identifier: Order,
    /// Whether a serial number follows the identifier.
    pub serial: bool,
    /// Whether the unit's code stands before its number instead of behind it.
    pub unit_first: bool,
    /// Of the time: low first is `ss mm hh DD MM YY CC`.
    pub time: Order,
    /// Decimal places of a number in m3, kWh and so on.
    pub places: u8,
    /// Decimal places of a number in litres.
    pub litre_places: u8,
}

impl Dialect {
    /// What the standard says.
    pub const STANDARD: Dialect = Dialect {
        identifier: Order::LowFirst,
        serial: true,
        unit_first: false,
        time: Order::LowFirst,
        places: 2,
        litre_places: 0,
    };

    /// Takes identifier and serial number off; `None` where there are too few bytes.
    pub fn content<'a>(&self, data: &'a [u8]) -> Option<Content<'a>> {
        let ([first, second], rest) = data.split_first_chunk::<2>()?;
        let identifier = match self.identifier {
            Order::LowFirst => u16::from_le_bytes([*first, *second]),
            Order::HighFirst => u16::from_be_bytes([*first, *second]),
        };
        let (serial, payload) = if self.serial {
            let (serial, payload) = rest.split_first()?;
            (Some(*serial), payload)
        } else {
            (None, rest)
        };
        Some(Content { identifier, serial, payload })
    }

    /// The identifier as on the wire.
    pub fn identifier_bytes(&self, identifier: u16) -> [u8; 2] {
        match self.identifier {
            Order::LowFirst => identifier.to_le_bytes(),
            Order::HighFirst => identifier.to_be_bytes(),
        }
    }

    fn amount(&self, bytes: [u8; 5]) -> Amount {
        let [a, b, c, d, e] = bytes;
        let (digits, unit) = if self.unit_first { ([b, c, d, e], a) } else { ([a, b, c, d], e) };
        let litre = matches!(unit, 0x29 | 0x32);
        let places = if litre { self.litre_places } else { self.places };
        Amount { digits, unit, places }
    }

    /// A time as on the wire, as 901FH tells it and A015H takes it; `None` for a part that two digits
    /// do not hold.
    ///
    /// ```
    /// use polymeter_codec::cjt188::Dialect;
    ///
    /// let bytes = Dialect::STANDARD.time_bytes((2015, 5, 11, 22, 1, 31));
    /// assert_eq!(bytes, Some([0x31, 0x01, 0x22, 0x11, 0x05, 0x15, 0x20]));
    /// ```
    pub fn time_bytes(&self, parts: (u16, u8, u8, u8, u8, u8)) -> Option<[u8; 7]> {
        let (year, month, day, hour, minute, second) = parts;
        let (century, year) = (year.checked_div(100)?, year.checked_rem(100)?);
        let of_day = [second, minute, hour, day, month].into_iter().map(u64::from);
        let parts = of_day.chain([u64::from(year), u64::from(century)]);
        let mut bytes = [0; 7];
        for (byte, part) in bytes.chunks_mut(1).zip(parts) {
            bcd::encode(part, byte).ok()?;
        }
        if self.time == Order::HighFirst {
            bytes.reverse();
        }
        Some(bytes)
    }

    fn time(&self, bytes: [u8; 7]) -> Time {
        let [second, minute, hour, day, month, year, century] = match self.time {
            Order::LowFirst => bytes,
            Order::HighFirst => {
                let [century, year, month, day, hour, minute, second] = bytes;
                [second, minute, hour, day, month, year, century]
            }
        };
        Time { century, year, month, day, hour, minute, second }
    }
}

/// The data identifier that any data begins with, and its order on the wire, where exactly one order
/// gives an identifier of the standard: for frames of which nobody said whose they are.
///
/// ```
/// use polymeter_codec::cjt188::{Order, identified};
///
/// assert_eq!(identified(&[0x1F, 0x90, 0x00]), Some((0x901F, Order::LowFirst)));
/// assert_eq!(identified(&[0xA0, 0x17, 0x01]), Some((0xA017, Order::HighFirst)));
/// assert_eq!(identified(&[0x12, 0x34, 0x00]), None);
/// ```
pub fn identified(data: &[u8]) -> Option<(u16, Order)> {
    let bytes = data.first_chunk::<2>()?;
    let (low, high) = (u16::from_le_bytes(*bytes), u16::from_be_bytes(*bytes));
    match (is_known(low), is_known(high)) {
        (true, false) => Some((low, Order::LowFirst)),
        (false, true) => Some((high, Order::HighFirst)),
        _ => None,
    }
}

fn is_known(identifier: u16) -> bool {
    matches!(
        identifier,
        identifier::CURRENT
            | identifier::PRICES..=identifier::KEY_VERSION
            | identifier::ADDRESS
            | identifier::MONTHS..=0xD12B
            | identifier::WRITE_PRICES..=identifier::LEAVE_FACTORY
    )
}

/// Data without its identifier and serial number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content<'a> {
    /// E.g. 901FH.
    pub identifier: u16,
    /// The number of the exchange, which a reply repeats; `None` in a dialect without it.
    pub serial: Option<u8>,
    /// What follows.
    pub payload: &'a [u8],
}

/// Why a payload is not what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotContent {
    /// It has another length.
    Length {
        /// Bytes that it should have.
        needed: usize,
        /// Bytes that came.
        came: usize,
    },
    /// A nibble is no decimal digit.
    NotDecimal,
}

impl fmt::Display for NotContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotContent::Length { needed, came } => {
                write!(f, "{came} bytes of data where the standard has {needed}")
            }
            NotContent::NotDecimal => f.write_str("a nibble is not a decimal digit"),
        }
    }
}

impl core::error::Error for NotContent {}

/// Four bytes of BCD with a code of their unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount {
    digits: [u8; 4],
    /// As on the wire (CJ/T 188-2004, table A.4; the codes are those of EN 1434-3).
    pub unit: u8,
    places: u8,
}

impl Amount {
    /// The digits as one number, without their decimal point.
    pub fn mantissa(&self) -> Result<i64, BcdError> {
        // All FF is no number of these meters.
        bcd::decode(&self.digits, Sign::None)?.ok_or(BcdError::NotDecimal)
    }

    /// Quantity, unit and power of ten; `None` for a code that is not in the table.
    pub fn meaning(&self) -> Option<Meaning> {
        let meaning = unit_code(self.unit);
        let places = i8::try_from(self.places).ok()?;
        let scale = meaning.scale.checked_sub(places)?;
        (meaning.unit != Unit::None).then_some(Meaning { scale, ..meaning })
    }
}

/// A time in BCD as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    century: u8,
    year: u8,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
}

impl Time {
    /// Year of four digits, month, day, hour, minute, second; `None` where that is no time, which all
    /// zeros are not either.
    pub fn parts(&self) -> Option<(u16, u8, u8, u8, u8, u8)> {
        let pair = bcd::pair;
        let century = u16::from(pair(self.century)?).checked_mul(100)?;
        let year = century.checked_add(u16::from(pair(self.year)?))?;
        let (month, day) = (pair(self.month)?, pair(self.day)?);
        let (hour, minute, second) = (pair(self.hour)?, pair(self.minute)?, pair(self.second)?);
        let leap = year.checked_rem(4) == Some(0)
            && (year.checked_rem(100) != Some(0) || year.checked_rem(400) == Some(0));
        let days = match month {
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            1..=12 => 31,
            _ => return None,
        };
        let good = (1..=days).contains(&day) && hour < 24 && minute < 60 && second < 60;
        (good && year > 0).then_some((year, month, day, hour, minute, second))
    }
}

/// The two status bytes (CJ/T 188-2004, table A.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(pub [u8; 2]);

/// What the status says of the valve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Valve {
    /// Water flows.
    Open,
    /// It does not.
    Closed,
    /// It is stuck.
    Faulty,
    /// The standard has no meaning for these bits.
    Reserved,
}

impl Status {
    /// Bits 0 and 1 of the first byte.
    pub fn valve(self) -> Valve {
        let [first, _] = self.0;
        match first & 3 {
            0 => Valve::Open,
            1 => Valve::Closed,
            3 => Valve::Faulty,
            _ => Valve::Reserved,
        }
    }

    /// Bit 2 of the first byte.
    pub fn battery_low(self) -> bool {
        let [first, _] = self.0;
        first & 4 != 0
    }
}

/// What a water or gas meter shows (901FH).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Water {
    /// Now.
    pub total: Amount,
    /// On the last day of settlement.
    pub settled: Amount,
    /// The meter's clock.
    pub time: Time,
    /// How it is.
    pub status: Status,
}

/// What a heat meter shows (901FH).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heat {
    /// On the last day of settlement.
    pub settled: Amount,
    /// Now.
    pub energy: Amount,
    /// Thermal power.
    pub power: Amount,
    /// Flow.
    pub flow: Amount,
    /// Volume.
    pub volume: Amount,
    /// Supply and return temperature, hundredths of a degree.
    pub temperatures: [Result<i64, BcdError>; 2],
    /// Hours of work.
    pub hours: Result<i64, BcdError>,
    /// The meter's clock.
    pub time: Time,
    /// How it is.
    pub status: Status,
}

/// Three prices and the two volumes at which the next one begins (A010H, 8102H), as whole numbers:
/// where their decimal points stand is the make's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prices {
    /// For the first volume, for what is between the two, for all beyond the second.
    pub prices: [u64; 3],
    /// Where the second price begins, and the third.
    pub steps: [u64; 2],
}

impl Prices {
    /// Price, volume, price, volume, price, each three bytes of BCD, low pair first.
    ///
    /// ```
    /// use polymeter_codec::cjt188::Prices;
    ///
    /// let table = Prices { prices: [250, 320, 480], steps: [15, 30] };
    /// let bytes = table.to_wire()?;
    /// assert_eq!(bytes[..6], [0x50, 0x02, 0x00, 0x15, 0x00, 0x00]);
    /// # Ok::<(), polymeter_codec::bcd::BcdError>(())
    /// ```
    pub fn to_wire(&self) -> Result<[u8; PRICES_BYTES], BcdError> {
        let [first, second, third] = self.prices;
        let [to_second, to_third] = self.steps;
        let mut bytes = [0; PRICES_BYTES];
        let numbers = [first, to_second, second, to_third, third];
        for (place, number) in bytes.chunks_mut(3).zip(numbers) {
            bcd::encode(number, place)?;
        }
        Ok(bytes)
    }
}

/// A price table without the day from which it holds.
pub const PRICES_BYTES: usize = 15;

/// The purse: what a purchase is answered with, and what 8105H reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purchase {
    /// The number of the last purchase.
    pub serial: u8,
    /// Its amount, in hundredths.
    pub amount: i64,
    /// All that was ever bought, in hundredths.
    pub total: i64,
    /// What is left, in hundredths.
    pub left: i64,
    /// How the meter is.
    pub status: Status,
}

impl Content<'_> {
    /// The data of a water or gas meter.
    pub fn water(&self, dialect: &Dialect) -> Result<Water, NotContent> {
        let [t0, t1, t2, t3, t4, s0, s1, s2, s3, s4, a, b, c, d, e, f, g, low, high] =
            self.exactly::<19>()?;
        Ok(Water {
            total: dialect.amount([t0, t1, t2, t3, t4]),
            settled: dialect.amount([s0, s1, s2, s3, s4]),
            time: dialect.time([a, b, c, d, e, f, g]),
            status: Status([low, high]),
        })
    }

    /// The data of a heat or cooling meter.
    pub fn heat(&self, dialect: &Dialect) -> Result<Heat, NotContent> {
        let all = self.exactly::<43>()?;
        let amount = |nth: usize| {
            let from = nth.saturating_mul(5);
            let bytes = all.get(from..).and_then(|rest| rest.first_chunk::<5>());
            dialect.amount(bytes.copied().unwrap_or_default())
        };
        let triple = |nth: usize| {
            let from = nth.saturating_mul(3).saturating_add(25);
            let bytes = all.get(from..).and_then(|rest| rest.first_chunk::<3>());
            let number = bcd::decode(&bytes.copied().unwrap_or_default(), Sign::None)?;
            number.ok_or(BcdError::NotDecimal)
        };
        let [.., a, b, c, d, e, f, g, low, high] = all;
        Ok(Heat {
            settled: amount(0),
            energy: amount(1),
            power: amount(2),
            flow: amount(3),
            volume: amount(4),
            temperatures: [triple(0), triple(1)],
            hours: triple(2),
            time: dialect.time([a, b, c, d, e, f, g]),
            status: Status([low, high]),
        })
    }

    /// The purse.
    pub fn purchase(&self) -> Result<Purchase, NotContent> {
        let [serial, a0, a1, a2, a3, t0, t1, t2, t3, l0, l1, l2, l3, low, high] =
            self.exactly::<15>()?;
        let number = |bytes: [u8; 4]| {
            bcd::decode(&bytes, Sign::None).ok().flatten().ok_or(NotContent::NotDecimal)
        };
        Ok(Purchase {
            serial,
            amount: number([a0, a1, a2, a3])?,
            total: number([t0, t1, t2, t3])?,
            left: number([l0, l1, l2, l3])?,
            status: Status([low, high]),
        })
    }

    /// The settlement of a month (D120H to D12BH): a number and its unit.
    pub fn month(&self, dialect: &Dialect) -> Result<Amount, NotContent> {
        self.exactly::<5>().map(|bytes| dialect.amount(bytes))
    }

    /// Two status bytes, as most writes are answered.
    pub fn status(&self) -> Result<Status, NotContent> {
        self.exactly::<2>().map(Status)
    }

    fn exactly<const LENGTH: usize>(&self) -> Result<[u8; LENGTH], NotContent> {
        let wrong = NotContent::Length { needed: LENGTH, came: self.payload.len() };
        <[u8; LENGTH]>::try_from(self.payload).map_err(|_| wrong)
    }
}
