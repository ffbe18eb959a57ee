//! The records of a device's data (EN 13757-3:2013, clause 6 and annex C):
//!
//! ```text
//! DIF [DIFE ..10]  VIF [length text] [VIFE ..10]  [LVAR]  data
//! ```
//!
//! Invariant: a record is given out whole or an error says where it stops; behind an error nothing
//! is given out, because where the next record begins is not known any more.

use super::meaning::{Meaning, UNKNOWN, Unit, after_fb, after_fd, primary};
use super::qualifier::Qualifier;
use super::value::{Invalid, Order, Text, Value, bcd, low_first, real, signed, time, unsigned};
use core::fmt;

/// The most DIFEs or VIFEs of a record (EN 13757-3:2013, 6.3.1 and 6.4.1).
const EXTENSIONS_MAX: usize = 10;
const EXTENSION: u8 = 0x80;
const VENDOR_DATA: u8 = 0x0F;
const MORE_FOLLOWS: u8 = 0x1F;
const FILLER: u8 = 0x2F;
const READ_ALL: u8 = 0x7F;

/// One element of a device's data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Item<'a> {
    /// A record.
    Record(Record<'a>),
    /// What is left is the vendor's (DIF 0F).
    VendorData(&'a [u8]),
    /// What is left is the vendor's, and another telegram has more records (DIF 1F).
    MoreFollows(&'a [u8]),
    /// A question for all data (DIF 7F).
    ReadAll,
}

/// What kind of value a record has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// As it is now.
    Instantaneous,
    /// The highest.
    Maximum,
    /// The lowest.
    Minimum,
    /// While the device had an error.
    DuringError,
}

/// How the data is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Nothing,
    Binary,
    Real,
    Bcd { negative: bool },
    Text,
    Wide,
}

/// One record, still as bytes; see [`Record::value`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// What kind of value it is.
    pub function: Function,
    /// 0 is now; others are the device's store, e.g. 1 the last due day.
    pub storage: u64,
    /// 0 is the total.
    pub tariff: u32,
    /// Which part of the device.
    pub subunit: u16,
    /// The data, without the LVAR.
    pub data: &'a [u8],
    /// All that stands before it, from the DIF to the last VIFE.
    pub(super) head: &'a [u8],
    vif: u8,
    /// Of a plain-text VIF, as on the wire.
    text: &'a [u8],
    vifes: &'a [u8],
    coding: Coding,
    order: Order,
}

/// Why data is not records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// Where in the data, from 0.
    pub at: usize,
    /// What is wrong there.
    pub fault: Fault,
}

/// What is wrong with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The data ends in the middle of the record.
    Cut,
    /// More than ten DIFEs.
    TooManyDifes,
    /// More than ten VIFEs.
    TooManyVifes,
    /// A reserved DIF.
    ReservedDif(u8),
    /// A reserved LVAR.
    ReservedLvar(u8),
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at;
        match self.fault {
            Fault::Cut => write!(f, "the record at byte {at} is cut short"),
            Fault::TooManyDifes => write!(f, "the record at byte {at} has more than ten DIFEs"),
            Fault::TooManyVifes => write!(f, "the record at byte {at} has more than ten VIFEs"),
            Fault::ReservedDif(dif) => write!(f, "the DIF {dif:02X} at byte {at} is reserved"),
            Fault::ReservedLvar(lvar) => {
                write!(f, "the record at byte {at} has the reserved LVAR {lvar:02X}")
            }
        }
    }
}

impl core::error::Error for Malformed {}

/// The elements of a device's data, one after the other; ends behind an error.
///
/// ```
/// use polymeter_codec::mbus::{Item, Order, Quantity, Records, Unit, Value};
///
/// // 4 bytes of volume in litres, of the last due day; then a filler.
/// let mut records = Records::new(&[0x44, 0x13, 0x31, 0xD4, 0x00, 0x00, 0x2F], Order::LowFirst);
/// let Some(Ok(Item::Record(record))) = records.next() else { panic!("a record") };
/// assert_eq!((record.storage, record.value()), (1, Value::Number(54_321)));
/// let meaning = record.meaning();
/// assert_eq!((meaning.quantity, meaning.unit), (Quantity::Volume, Unit::CubicMetre));
/// assert_eq!(meaning.scale, -3);
/// assert_eq!(records.next(), None);
/// ```
#[derive(Debug, Clone)]
pub struct Records<'a> {
    all: &'a [u8],
    at: usize,
    order: Order,
}

impl<'a> Records<'a> {
    /// Of data behind its header, already deciphered.
    pub fn new(data: &'a [u8], order: Order) -> Records<'a> {
        Records { all: data, at: 0, order }
    }

    fn item(&mut self, dif: u8) -> Result<Item<'a>, Fault> {
        match dif {
            VENDOR_DATA => Ok(Item::VendorData(self.rest())),
            MORE_FOLLOWS => Ok(Item::MoreFollows(self.rest())),
            READ_ALL => Ok(Item::ReadAll),
            // Only the three and the filler have a low nibble F.
            _ if dif & 0x0F == 0x0F => Err(Fault::ReservedDif(dif)),
            _ => self.record(dif).map(Item::Record),
        }
    }

    fn record(&mut self, dif: u8) -> Result<Record<'a>, Fault> {
        // The DIF was taken.
        let begin = self.at.saturating_sub(1);
        let function = match dif >> 4 & 3 {
            0 => Function::Instantaneous,
            1 => Function::Maximum,
            2 => Function::Minimum,
            _ => Function::DuringError,
        };
        let (mut storage, mut tariff, mut subunit) = (u64::from(dif >> 6 & 1), 0_u32, 0_u16);
        let difes = self.chain(dif, Fault::TooManyDifes)?;
        for (nth, dife) in (0_u32..).zip(difes) {
            let moved = |bits: u8, by: u32| u64::from(bits).checked_shl(by).unwrap_or(0);
            storage |= moved(dife & 0x0F, nth.saturating_mul(4).saturating_add(1));
            let of_tariff = moved(dife >> 4 & 3, nth.saturating_mul(2));
            tariff |= u32::try_from(of_tariff).unwrap_or(0);
            subunit |= u16::try_from(moved(dife >> 6 & 1, nth)).unwrap_or(0);
        }
        let vif = self.byte()?;
        // The text stands between VIF and VIFEs, as devices in service send it.
        let text = if vif & !EXTENSION == 0x7C {
            let length = self.byte()?;
            self.take(usize::from(length))?
        } else {
            &[]
        };
        let vifes = self.chain(vif, Fault::TooManyVifes)?;
        let head = self.all.get(begin..self.at).unwrap_or_default();
        let (coding, data) = self.data(dif & 0x0F)?;
        let order = self.order;
        Ok(Record {
            function,
            storage,
            tariff,
            subunit,
            data,
            head,
            vif,
            text,
            vifes,
            coding,
            order,
        })
    }

    /// What stands behind the codes of a record with this low nibble of the DIF, its LVAR too.
    pub(super) fn raw(&mut self, nibble: u8) -> Result<&'a [u8], Fault> {
        let begin = self.at;
        self.data(nibble)?;
        Ok(self.all.get(begin..self.at).unwrap_or_default())
    }

    /// The extensions behind `first`, at most ten.
    fn chain(&mut self, first: u8, fault: Fault) -> Result<&'a [u8], Fault> {
        let begin = self.at;
        let mut more = first & EXTENSION != 0;
        while more {
            if self.at.saturating_sub(begin) >= EXTENSIONS_MAX {
                return Err(fault);
            }
            more = self.byte()? & EXTENSION != 0;
        }
        Ok(self.all.get(begin..self.at).unwrap_or_default())
    }

    /// By the low nibble of the DIF (EN 13757-3:2013, table 4).
    fn data(&mut self, nibble: u8) -> Result<(Coding, &'a [u8]), Fault> {
        let bcd = Coding::Bcd { negative: false };
        let (coding, length) = match nibble {
            // 8: selection for a readout, which has no data either.
            0x0 | 0x8 => (Coding::Nothing, 0),
            0x1 => (Coding::Binary, 1),
            0x2 => (Coding::Binary, 2),
            0x3 => (Coding::Binary, 3),
            0x4 => (Coding::Binary, 4),
            0x5 => (Coding::Real, 4),
            0x6 => (Coding::Binary, 6),
            0x7 => (Coding::Binary, 8),
            0x9 => (bcd, 1),
            0xA => (bcd, 2),
            0xB => (bcd, 3),
            0xC => (bcd, 4),
            0xE => (bcd, 6),
            _ => self.variable()?,
        };
        Ok((coding, self.take(length)?))
    }

    /// By the LVAR (EN 13757-3:2013, table 5).
    fn variable(&mut self) -> Result<(Coding, usize), Fault> {
        let lvar = self.byte()?;
        let length = |from: u8| usize::from(lvar.wrapping_sub(from));
        Ok(match lvar {
            0x00..=0xBF => (Coding::Text, length(0)),
            0xC0..=0xC9 => (Coding::Bcd { negative: false }, length(0xC0)),
            0xD0..=0xD9 => (Coding::Bcd { negative: true }, length(0xD0)),
            0xE0..=0xEF => (Coding::Binary, length(0xE0)),
            0xF0..=0xF4 => (Coding::Wide, length(0xEC).saturating_mul(4)),
            0xF5 => (Coding::Wide, 48),
            0xF6 => (Coding::Wide, 64),
            _ => return Err(Fault::ReservedLvar(lvar)),
        })
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        let byte = self.all.get(self.at).copied().ok_or(Fault::Cut)?;
        self.at = self.at.saturating_add(1);
        Ok(byte)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let end = self.at.saturating_add(length);
        let taken = self.all.get(self.at..end).ok_or(Fault::Cut)?;
        self.at = end;
        Ok(taken)
    }

    fn rest(&mut self) -> &'a [u8] {
        let rest = self.all.get(self.at..).unwrap_or_default();
        self.at = self.all.len();
        rest
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Item<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut start = self.at;
        let mut dif = self.byte().ok()?;
        while dif == FILLER {
            start = self.at;
            dif = self.byte().ok()?;
        }
        let item = self.item(dif);
        if item.is_err() {
            self.at = self.all.len();
        }
        Some(item.map_err(|fault| Malformed { at: start, fault }))
    }
}

/// A number with its power of ten: `mantissa` times ten to the `scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scaled {
    /// The digits.
    pub mantissa: i64,
    /// The power of ten.
    pub scale: i8,
}

impl<'a> Record<'a> {
    /// Quantity, unit and power of ten; corrections by factors are in the power. Behind
    /// [`Qualifier::VendorSpecific`] the vendor may mean a part of it, such as one phase: it is this
    /// quantity, but not the device's total.
    pub fn meaning(&self) -> Meaning {
        let mut meaning = self.base().0;
        for qualifier in self.qualifiers() {
            match qualifier {
                Qualifier::Times(power) => {
                    meaning.scale = meaning.scale.saturating_add(power);
                }
                Qualifier::ExceedDuration { unit, .. } | Qualifier::Duration { unit, .. } => {
                    meaning = Meaning { unit, scale: 0, ..meaning };
                }
                Qualifier::ExceedTime { .. }
                | Qualifier::EventTime { .. }
                | Qualifier::StartTime => {
                    meaning = Meaning { unit: Unit::Date, scale: 0, ..meaning };
                }
                Qualifier::Exceeds(_) => {
                    meaning = Meaning { unit: Unit::None, scale: 0, ..meaning };
                }
                _ => {}
            }
        }
        meaning
    }

    /// Codes behind the one that names the quantity, in their order. What follows
    /// [`Qualifier::VendorSpecific`] is the vendor's and not given out.
    pub fn qualifiers(&self) -> impl Iterator<Item = Qualifier> + '_ {
        let behind = if self.is_vendor_specific() { &[] } else { self.base().1 };
        let mut codes = behind.iter();
        let mut ended = false;
        core::iter::from_fn(move || {
            if ended {
                return None;
            }
            let code = codes.next()? & !EXTENSION;
            let qualifier = match code {
                0x7C => match codes.next() {
                    Some(second) => Qualifier::of_second_table(second & !EXTENSION),
                    None => Qualifier::Unknown(code),
                },
                _ => Qualifier::of(code),
            };
            ended = qualifier == Qualifier::VendorSpecific;
            Some(qualifier)
        })
    }

    /// VIF and VIFEs as on the wire.
    pub fn codes(&self) -> impl Iterator<Item = u8> + '_ {
        core::iter::once(self.vif).chain(self.vifes.iter().copied())
    }

    /// The unit in the words of the device, where its VIF is a text.
    pub fn plain_text(&self) -> Option<Text<'a>> {
        let is_text = self.vif & !EXTENSION == 0x7C;
        is_text.then_some(Text { bytes: self.text, order: self.order })
    }

    /// What the data says. A number is to be read with [`Record::meaning`], or see
    /// [`Record::scaled`].
    pub fn value(&self) -> Value<'a> {
        let meaning = self.meaning();
        let of_time = meaning.unit == Unit::Date;
        match self.coding {
            Coding::Nothing => Value::Nothing,
            Coding::Wide => Value::Bytes(self.data),
            Coding::Text if self.is_profile() => Value::Bytes(self.data),
            Coding::Text => Value::Text(Text { bytes: self.data, order: self.order }),
            Coding::Real => real(self.data, self.order),
            // A time is binary by definition, so BCD of its length is some other number.
            Coding::Binary if of_time => time(self.data, self.order),
            _ if of_time => Value::Invalid(Invalid::Size),
            Coding::Binary if self.is_unsigned(meaning) => unsigned(self.data, self.order),
            Coding::Binary => signed(self.data, self.order),
            Coding::Bcd { negative } => match bcd(self.data, self.order) {
                Value::Number(number) if negative => Value::Number(number.saturating_neg()),
                value => value,
            },
        }
    }

    /// The number with its power of ten and its constant added; `None` where the value is no whole
    /// number, or the sum does not fit.
    pub fn scaled(&self) -> Option<Scaled> {
        let Value::Number(mantissa) = self.value() else { return None };
        let meaning = self.meaning();
        let mut scaled = Scaled { mantissa, scale: meaning.scale };
        let unit = self.base().0.scale;
        for qualifier in self.qualifiers() {
            if let Qualifier::Plus(power) = qualifier {
                scaled = scaled.plus_one_at(unit.checked_add(power)?)?;
            }
        }
        Some(scaled)
    }

    /// Whether the device answers with an error instead of a value.
    pub fn error(&self) -> Option<super::qualifier::RecordError> {
        self.qualifiers().find_map(|qualifier| match qualifier {
            Qualifier::Error(error) => Some(error),
            _ => None,
        })
    }

    /// The digits of a BCD value from the highest one down, those above 9 too; nothing for other
    /// codings.
    pub fn digits(&self) -> impl Iterator<Item = u8> + '_ {
        let bytes = if matches!(self.coding, Coding::Bcd { .. }) { self.data } else { &[] };
        let high_first = match self.order {
            Order::LowFirst => Order::HighFirst,
            Order::HighFirst => Order::LowFirst,
        };
        low_first(bytes, high_first).flat_map(|byte| [byte >> 4, byte & 0x0F])
    }

    pub(super) fn order(&self) -> Order {
        self.order
    }

    fn is_profile(&self) -> bool {
        self.qualifiers().any(|qualifier| matches!(qualifier, Qualifier::Profile { .. }))
    }

    fn is_vendor_specific(&self) -> bool {
        self.vif & !EXTENSION == 0x7F
    }

    fn is_unsigned(&self, meaning: Meaning) -> bool {
        let told = |qualifier| matches!(qualifier, Qualifier::Unsigned | Qualifier::Bits);
        meaning.quantity.is_unsigned() || self.qualifiers().any(told)
    }

    /// By the first code, or the one behind FB or FD; and the codes behind it.
    fn base(&self) -> (Meaning, &'a [u8]) {
        let second = self.vifes.split_first().map(|(code, rest)| (code & !EXTENSION, rest));
        match (self.vif, second) {
            (0xFB, Some((code, rest))) => (after_fb(code), rest),
            // FD FD opens a table of which nothing is read here.
            (0xFD, Some((0x7D, _))) => (UNKNOWN, &[]),
            (0xFD, Some((code, rest))) => (after_fd(code), rest),
            // Reserved for a third table.
            (0xEF, _) => (UNKNOWN, &[]),
            (vif, _) => (primary(vif & !EXTENSION), self.vifes),
        }
    }
}

impl Scaled {
    /// Plus ten to the `power`, exactly.
    fn plus_one_at(self, power: i8) -> Option<Scaled> {
        let scale = self.scale.min(power);
        let raised = |from: i8| {
            let by = u32::try_from(from.checked_sub(scale)?).ok()?;
            10_i64.checked_pow(by)
        };
        let mantissa = self.mantissa.checked_mul(raised(self.scale)?)?;
        Some(Scaled { mantissa: mantissa.checked_add(raised(power)?)?, scale })
    }
}
