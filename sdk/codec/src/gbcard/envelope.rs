//! What the files of a card are made of: the envelope, decimals, numbers of twelve digits, times.
//!
//! Invariant: an envelope that opens has its sum, and a field that is read lies in it.
//!
//! Not here: which field means what (the files).

use crate::bcd::{self, BcdError};
use core::fmt;

const START: u8 = 0x68;
const END: u8 = 0x16;
/// 68, command, length (2); sum, 16.
const HEAD_BYTES: usize = 4;
pub(super) const AROUND_BYTES: usize = 6;

/// Why bytes are no file of such a card; each says where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The bytes end too early.
    Short {
        /// Bytes there are.
        have: usize,
        /// Bytes it would take.
        want: usize,
    },
    /// The first byte is not 68.
    Start(u8),
    /// The byte at 1 is not the command of this file.
    Command(u8),
    /// The length at 2 is not the one of this file.
    Length {
        /// What stands there.
        found: u16,
        /// What this file has.
        want: u16,
    },
    /// The sum is another.
    Sum {
        /// What stands there.
        found: u8,
        /// What the bytes add up to.
        want: u8,
    },
    /// The byte behind the sum is not 16.
    End(u8),
    /// A nibble is no digit.
    NotDecimal {
        /// Where the field begins.
        at: usize,
    },
    /// A field that is no date or time.
    NoTime {
        /// Where the field begins.
        at: usize,
    },
    /// The type at 42 is none of the four.
    CardType(u8),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Short { have, want } => write!(f, "{have} bytes where {want} are needed"),
            Fault::Start(byte) => write!(f, "begins with {byte:02X} instead of 68"),
            Fault::Command(byte) => write!(f, "command {byte:02X} at 1 is not this file's"),
            Fault::Length { found, want } => write!(f, "length {found} at 2 instead of {want}"),
            Fault::Sum { found, want } => write!(f, "sum {found:02X} instead of {want:02X}"),
            Fault::End(byte) => write!(f, "ends in {byte:02X} instead of 16"),
            Fault::NotDecimal { at } => write!(f, "no decimal digits at {at}"),
            Fault::NoTime { at } => write!(f, "no time at {at}"),
            Fault::CardType(byte) => write!(f, "card type {byte:02X} at 42 is not known"),
        }
    }
}

impl core::error::Error for Fault {}

/// A file that nothing was written into: all 00, or all FF as it comes from the factory. No bytes at
/// all are empty too.
pub fn is_empty(bytes: &[u8]) -> bool {
    [0x00, 0xFF].iter().any(|empty| bytes.iter().all(|byte| byte == empty))
}

/// An envelope that was opened.
///
/// ```
/// use polymeter_codec::gbcard::{Envelope, Fault};
///
/// // More bytes may follow: a file is as long as it was made.
/// let file = [0x68, 0x01, 0x00, 0x01, 0x07, 0x09, 0x16, 0xFF];
/// let envelope = Envelope::open(&file).expect("the sum is right");
/// assert_eq!((envelope.command, envelope.data), (1, &[7][..]));
/// assert_eq!(Envelope::open(&file[..6]), Err(Fault::Short { have: 6, want: 7 }));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// Which file of which card it is.
    pub command: u8,
    /// What stands between length and sum.
    pub data: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Opens the envelope that begins at the first byte.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn open(bytes: &'a [u8]) -> Result<Envelope<'a>, Fault> {
        let short = |want| Fault::Short { have: bytes.len(), want };
        let ([start, command, high, low], rest) =
            bytes.split_first_chunk::<HEAD_BYTES>().ok_or(short(AROUND_BYTES))?;
        if *start != START {
            return Err(Fault::Start(*start));
        }
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (data, behind) =
            rest.split_at_checked(length).ok_or(short(length.saturating_add(AROUND_BYTES)))?;
        let [sum, end, ..] = behind else {
            return Err(short(length.saturating_add(AROUND_BYTES)));
        };
        let want =
            data.iter().fold(added([*command, *high, *low]), |sum, byte| sum.wrapping_add(*byte));
        if *sum != want {
            return Err(Fault::Sum { found: *sum, want });
        }
        if *end != END {
            return Err(Fault::End(*end));
        }
        Ok(Envelope { command: *command, data })
    }

    /// Of this command and length, or the fault of another.
    pub(super) fn expect(self, command: u8, length: usize) -> Result<Self, Fault> {
        if self.command != command {
            return Err(Fault::Command(self.command));
        }
        if self.data.len() != length {
            let count = |length| u16::try_from(length).unwrap_or(u16::MAX);
            return Err(Fault::Length { found: count(self.data.len()), want: count(length) });
        }
        Ok(self)
    }

    /// The field of `N` bytes at `at`, counted from the 68.
    pub(super) fn field<const N: usize>(&self, at: usize) -> Result<[u8; N], Fault> {
        let want = at.saturating_add(N);
        let short = Fault::Short { have: self.data.len().saturating_add(HEAD_BYTES), want };
        let from = at.checked_sub(HEAD_BYTES).ok_or(short)?;
        let found = self.data.get(from..).and_then(|rest| rest.first_chunk());
        found.copied().ok_or(short)
    }

    /// The decimal number in `N` bytes at `at`.
    pub(super) fn decimal<const N: usize>(&self, at: usize) -> Result<u32, Fault> {
        let mut number = 0_u32;
        for byte in self.field::<N>(at)? {
            let pair = bcd::pair(byte).ok_or(Fault::NotDecimal { at })?;
            // Eight digits at most are read here, which fit.
            number = number.saturating_mul(100).saturating_add(pair.into());
        }
        Ok(number)
    }

    pub(super) fn binary(&self, at: usize) -> Result<u32, Fault> {
        Ok(u32::from_be_bytes(self.field(at)?))
    }

    pub(super) fn digits(&self, at: usize) -> Result<Digits, Fault> {
        Digits::from_bytes(self.field(at)?).ok_or(Fault::NotDecimal { at })
    }

    /// The time at `at`; none where all is 00, FF or 99.
    pub(super) fn moment(&self, at: usize) -> Result<Option<Moment>, Fault> {
        let bytes = self.field::<5>(at)?;
        if is_empty(&bytes) || bytes == [0x99; 5] {
            return Ok(None);
        }
        Moment::from_bytes(bytes).map(Some).ok_or(Fault::NoTime { at })
    }
}

fn added(bytes: [u8; 3]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

/// A file of `N` bytes around `parts`, which are cut or filled with 00 to its length.
pub(super) fn sealed<const N: usize>(command: u8, parts: &[&[u8]]) -> [u8; N] {
    let length = N.saturating_sub(AROUND_BYTES);
    let [high, low] = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
    let data = parts.iter().flat_map(|part| part.iter().copied()).take(length);
    let mut file = [0; N];
    let bytes = [START, command, high, low].into_iter().chain(data);
    file.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
    if let Some((before, last)) = file.split_last_chunk_mut::<2>() {
        let sum = before.iter().skip(1).fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        *last = [sum, END];
    }
    file
}

/// `number` in `N` bytes of decimal digits, high pair first.
pub(super) fn decimal<const N: usize>(number: u32) -> Result<[u8; N], BcdError> {
    let mut bytes = [0; N];
    bcd::encode(number.into(), &mut bytes)?;
    bytes.reverse();
    Ok(bytes)
}

/// A number of twelve digits, as meters and customers have one on the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digits([u8; 6]);

impl Digits {
    /// Six bytes of two digits each; none where a nibble is no digit.
    pub fn from_bytes(bytes: [u8; 6]) -> Option<Digits> {
        bytes.iter().all(|byte| bcd::pair(*byte).is_some()).then_some(Digits(bytes))
    }

    /// One to twelve decimal digits; zeros come before fewer.
    ///
    /// ```
    /// use polymeter_codec::gbcard::Digits;
    ///
    /// let digits = Digits::from_text("42").expect("two digits");
    /// assert_eq!(digits.bytes(), [0, 0, 0, 0, 0, 0x42]);
    /// assert_eq!(digits.to_string(), "000000000042");
    /// assert_eq!(Digits::from_text("4x"), None);
    /// ```
    pub fn from_text(text: &str) -> Option<Digits> {
        let good =
            (1..=12).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_digit());
        let mut bytes = [0; 6];
        for (place, pair) in bytes.iter_mut().rev().zip(text.as_bytes().rchunks(2)) {
            *place = pair.iter().fold(0, |byte, digit| byte << 4 | (digit & 0x0F));
        }
        good.then_some(Digits(bytes))
    }

    /// As they stand on the card.
    pub fn bytes(self) -> [u8; 6] {
        self.0
    }
}

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

/// A minute of the years 2000 to 2099.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Year behind 2000.
    pub year: u8,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
}

impl Moment {
    /// `YY MM DD hh mm`; none where that is no time. A day that its month has not is one here.
    pub fn from_bytes(bytes: [u8; 5]) -> Option<Moment> {
        let [year, month, day, hour, minute] = bytes.map(bcd::pair);
        Moment { year: year?, month: month?, day: day?, hour: hour?, minute: minute? }.checked()
    }

    /// The same where it is within its bounds.
    pub fn checked(self) -> Option<Moment> {
        let good = self.year <= 99
            && (1..=12).contains(&self.month)
            && (1..=31).contains(&self.day)
            && self.hour <= 23
            && self.minute <= 59;
        good.then_some(self)
    }

    /// `YY MM DD hh mm` on the card.
    ///
    /// # Errors
    /// Where a part has more than two digits.
    pub fn bytes(self) -> Result<[u8; 5], BcdError> {
        let mut bytes = [self.year, self.month, self.day, self.hour, self.minute];
        for byte in &mut bytes {
            let [digits] = decimal::<1>((*byte).into())?;
            *byte = digits;
        }
        Ok(bytes)
    }
}
