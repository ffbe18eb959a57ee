//! Compact profiles: many values of one quantity at even distances, in one record (EN 13757-3:2018,
//! annex on compact profiles; VIFE 13, 1E and 1F).
//!
//! ```text
//! control  distance  element ..       control: increments [2]  unit of the distance [2]  size [4]
//! ```
//!
//! The record with the same storage, tariff and codes, but for the profile's, is where it begins; the
//! date with the same storage is when.
//!
//! Invariant: at most as many elements as there are bytes. Behind an increment that is none, no value is
//! known any more, and none is told.
//!
//! Not here: which record is the base (the driver); the calendar.

use super::qualifier::Qualifier;
use super::record::Record;
use super::value::{Invalid, Order, Value, bcd, signed, unsigned};
use core::fmt;

/// How far two values are apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distance {
    /// So many seconds.
    Seconds(u32),
    /// So many days.
    Days(u8),
    /// Half a month.
    HalfMonth,
    /// A month.
    Month,
}

/// What an element is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Increment {
    /// The value itself.
    Absolute,
    /// To be added to the value before it.
    Up,
    /// To be taken from the value before it.
    Down,
    /// To be added, with its sign.
    Signed,
}

/// A compact profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile<'a> {
    /// The values go back in time from the base (VIFE 13), not on from it.
    pub backwards: bool,
    /// Between two values, and between the base and the first one.
    pub distance: Distance,
    /// What the elements are.
    pub increment: Increment,
    bcd: bool,
    size: usize,
    elements: &'a [u8],
    order: Order,
}

/// Why a record is no profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadProfile {
    /// Control and distance are missing.
    Cut,
    /// Elements of this code have no even size.
    Size(u8),
    /// A distance that is reserved.
    Distance {
        /// Unit by the control byte.
        unit: u8,
        /// The byte behind it.
        value: u8,
    },
    /// The last element is cut.
    Uneven {
        /// Bytes of elements.
        came: usize,
        /// Bytes of one.
        size: usize,
    },
}

impl fmt::Display for BadProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadProfile::Cut => f.write_str("the profile has no control byte and distance"),
            BadProfile::Size(code) => write!(f, "elements of size {code:X} are none of a profile"),
            BadProfile::Distance { unit, value } => {
                write!(f, "the distance {value:02X} of unit {unit} is reserved")
            }
            BadProfile::Uneven { came, size } => {
                write!(f, "{came} bytes are no whole number of elements of {size}")
            }
        }
    }
}

impl core::error::Error for BadProfile {}

impl<'a> Record<'a> {
    /// `None`: it is an ordinary record.
    ///
    /// ```
    /// use polymeter_codec::mbus::{Distance, Item, Order, Records, Value};
    ///
    /// // Two monthly increments of 3 and 22 after a base of 10 litres.
    /// let data = [0x0D, 0x93, 0x1F, 0x06, 0x72, 0xFE, 0x03, 0x00, 0x16, 0x00];
    /// let Some(Ok(Item::Record(record))) = Records::new(&data, Order::LowFirst).next() else {
    ///     panic!("a record")
    /// };
    /// let profile = record.profile().expect("it says so")?;
    /// assert_eq!(profile.distance, Distance::Month);
    /// let values: Vec<_> = profile.values(Some(10)).collect();
    /// assert_eq!(values, [Value::Number(13), Value::Number(35)]);
    /// # Ok::<(), polymeter_codec::mbus::BadProfile>(())
    /// ```
    pub fn profile(&self) -> Option<Result<Profile<'a>, BadProfile>> {
        let backwards = self.qualifiers().find_map(|qualifier| match qualifier {
            Qualifier::Profile { backwards } => Some(backwards),
            _ => None,
        })?;
        Some(Profile::new(self.data, backwards, self.order()))
    }
}

impl<'a> Profile<'a> {
    fn new(data: &'a [u8], backwards: bool, order: Order) -> Result<Profile<'a>, BadProfile> {
        let ([control, value], elements) = data.split_first_chunk::<2>().ok_or(BadProfile::Cut)?;
        let increment = match control >> 6 {
            0 => Increment::Absolute,
            1 => Increment::Up,
            2 => Increment::Down,
            _ => Increment::Signed,
        };
        let (bcd, size) = match control & 0x0F {
            0x1 => (false, 1),
            0x2 => (false, 2),
            0x3 => (false, 3),
            0x4 => (false, 4),
            0x6 => (false, 6),
            0x7 => (false, 8),
            0x9 => (true, 1),
            0xA => (true, 2),
            0xB => (true, 3),
            0xC => (true, 4),
            0xE => (true, 6),
            code => return Err(BadProfile::Size(code)),
        };
        let unit = control >> 4 & 3;
        let times = |seconds: u32| Distance::Seconds(u32::from(*value).saturating_mul(seconds));
        let distance = match (unit, *value) {
            (3, 253) => Distance::HalfMonth,
            (3, 254) => Distance::Month,
            (_, 0 | 251..) => return Err(BadProfile::Distance { unit, value: *value }),
            (0, _) => times(1),
            (1, _) => times(60),
            (2, _) => times(3_600),
            (_, days) => Distance::Days(days),
        };
        let came = elements.len();
        if came.checked_rem(size) != Some(0) {
            return Err(BadProfile::Uneven { came, size });
        }
        Ok(Profile { backwards, distance, increment, bcd, size, elements, order })
    }

    /// The values one after the other, away from the base. Increments need its number.
    pub fn values(&self, base: Option<i64>) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let (this, mut last) = (*self, base);
        this.elements.chunks_exact(this.size).map(move |element| {
            let told = this.element(element);
            let Value::Number(number) = told else {
                last = None;
                return told;
            };
            let next = match this.increment {
                Increment::Absolute => Some(number),
                Increment::Up | Increment::Signed => last.and_then(|last| last.checked_add(number)),
                Increment::Down => last.and_then(|last| last.checked_sub(number)),
            };
            last = next;
            next.map_or(Value::Invalid(Invalid::NotAvailable), Value::Number)
        })
    }

    fn element(&self, bytes: &'a [u8]) -> Value<'a> {
        if self.bcd {
            return bcd(bytes, self.order);
        }
        match self.increment {
            Increment::Absolute | Increment::Signed => signed(bytes, self.order),
            // Where there is no sign, all ones are the pattern for none.
            Increment::Up | Increment::Down if bytes.iter().all(|byte| *byte == 0xFF) => {
                Value::Invalid(Invalid::NotAvailable)
            }
            Increment::Up | Increment::Down => unsigned(bytes, self.order),
        }
    }
}
