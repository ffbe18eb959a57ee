//! Numbers, dates and texts as M-Bus sends them (EN 13757-3:2013, annexes A and B).
//!
//! Invariant: whole numbers and decimals are exact; a pattern that stands for no number or no day is
//! [`Value::Invalid`], never a number.

use core::fmt;

/// In which order the bytes of one value come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Mode 1, which is the usual one.
    LowFirst,
    /// Mode 2, which CI 76 and 77 announce (EN 1434-3:1997).
    HighFirst,
}

/// What the data of a record says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// The record has no data.
    Nothing,
    /// A whole number, of which the record's meaning knows the power of ten.
    Number(i64),
    /// The only number that is not exact: it came as a real one.
    Real(f32),
    /// A day.
    Date(Date),
    /// A day and time.
    DateTime(DateTime),
    /// A time of day.
    Time(Time),
    /// Characters.
    Text(Text<'a>),
    /// Bits or a number of more than 8 bytes, as on the wire.
    Bytes(&'a [u8]),
    /// No value, and why; the bytes stand in the record.
    Invalid(Invalid),
}

/// Why bytes are no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invalid {
    /// A nibble above 9 that is no sign: what a display shows of an error.
    NotDecimal,
    /// The pattern by which a device says that it has no value.
    NotAvailable,
    /// The device marks the time as invalid.
    TimeInvalid,
    /// There is no such day or time.
    NoSuchTime,
    /// This many bytes are nothing that the quantity can be.
    Size,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Invalid::NotDecimal => "a nibble is not a decimal digit",
            Invalid::NotAvailable => "the device has no value",
            Invalid::TimeInvalid => "the device marks the time as invalid",
            Invalid::NoSuchTime => "there is no such day or time",
            Invalid::Size => "the quantity does not come in this many bytes",
        })
    }
}

impl core::error::Error for Invalid {}

/// A day. The device may leave parts open: see [`Date::is_one_day`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    /// Four digits; `None`: every year.
    pub year: Option<u16>,
    /// 1 to 12; `None`: every month.
    pub month: Option<u8>,
    /// 1 to 31; `None`: every day.
    pub day: Option<u8>,
}

/// A time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    /// 0 to 23; `None`: every hour.
    pub hour: Option<u8>,
    /// 0 to 59; `None`: every minute.
    pub minute: Option<u8>,
    /// 0 to 59; 0 where the device does not say; `None`: every second.
    pub second: Option<u8>,
}

/// A day and time, in the device's own local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateTime {
    /// The day.
    pub date: Date,
    /// The time.
    pub time: Time,
    /// The device says that this is summer time.
    pub summer: bool,
}

impl Date {
    /// Names one day of one year.
    pub fn is_one_day(self) -> bool {
        self.year.is_some() && self.month.is_some() && self.day.is_some()
    }

    /// Seven bits of year and, from the standard's edition of 2013 on, two of century.
    fn new(year: u8, century: u8, month: u8, day: u8) -> Result<Date, Invalid> {
        // Without a century, years up to 80 are of ours (EN 13757-3:2013, annex A, type F).
        let year = match (year, century) {
            (127, _) => None,
            (100.., _) => return Err(Invalid::NoSuchTime),
            (0..=80, 0) => Some(2000_u16.saturating_add(u16::from(year))),
            _ => {
                let base = 1900_u16.saturating_add(u16::from(century).saturating_mul(100));
                Some(base.saturating_add(u16::from(year)))
            }
        };
        let month = match month {
            15 => None,
            1..=12 => Some(month),
            _ => return Err(Invalid::NoSuchTime),
        };
        let day = if day == 0 { None } else { Some(day) };
        if day.is_some_and(|day| day > days_in(year, month)) {
            return Err(Invalid::NoSuchTime);
        }
        Ok(Date { year, month, day })
    }
}

impl DateTime {
    /// Four bytes, of which none is a second (type F). A century that older meters do not know is not
    /// written, so the year is one of 2000 to 2080; a part that is left open has no bytes here.
    ///
    /// ```
    /// use polymeter_codec::mbus::{Date, DateTime, Time};
    ///
    /// let date = Date { year: Some(2026), month: Some(3), day: Some(2) };
    /// let time = Time { hour: Some(10), minute: Some(11), second: Some(12) };
    /// let moment = DateTime { date, time, summer: false };
    /// assert_eq!(moment.to_type_f(), Some([0x0B, 0x0A, 0x42, 0x33]));
    /// assert_eq!(moment.to_type_i(), Some([0x0C, 0x0B, 0x0A, 0x42, 0x33, 0x00]));
    /// ```
    pub fn to_type_f(self) -> Option<[u8; 4]> {
        let [_, minute, hour, day, month, _] = self.to_type_i()?;
        let summer = if self.summer { 0x80 } else { 0 };
        Some([minute, hour | summer, day, month])
    }

    /// Six bytes, with seconds and without day of the week and week (type I).
    pub fn to_type_i(self) -> Option<[u8; 6]> {
        let DateTime { date, time, summer } = self;
        let year = u8::try_from(date.year?.checked_sub(2000)?).ok().filter(|year| *year <= 80)?;
        let date = Date::new(year, 0, date.month?, date.day.filter(|day| *day > 0)?).ok()?;
        let (hour, minute, second) = (time.hour?, time.minute?, time.second?);
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let summer = if summer { 0x40 } else { 0 };
        let (low, high) = ((year & 7) << 5, (year >> 3) << 4);
        Some([second | summer, minute, hour, date.day? | low, date.month? | high, 0])
    }
}

/// The most that a month may have, where month or year are left open.
fn days_in(year: Option<u16>, month: Option<u8>) -> u8 {
    let leap = year.is_none_or(|year| {
        let by = |divisor| year.checked_rem(divisor) == Some(0);
        by(4) && (!by(100) || by(400))
    });
    match month {
        Some(4 | 6 | 9 | 11) => 30,
        Some(2) => {
            if leap {
                29
            } else {
                28
            }
        }
        _ => 31,
    }
}

impl Time {
    fn new(hour: u8, minute: u8, second: u8) -> Result<Time, Invalid> {
        let part = |value: u8, every: u8, max: u8| match value {
            value if value == every => Ok(None),
            value if value <= max => Ok(Some(value)),
            _ => Err(Invalid::NoSuchTime),
        };
        Ok(Time {
            hour: part(hour, 31, 23)?,
            minute: part(minute, 63, 59)?,
            second: part(second, 63, 59)?,
        })
    }
}

/// A number with `*` or digits.
struct Part(Option<u16>, usize);

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.1;
        match self.0 {
            Some(number) => write!(f, "{number:0width$}"),
            None => (0..width).try_for_each(|_| f.write_str("*")),
        }
    }
}

/// As in ISO 8601; a part that is left open is asterisks.
impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (month, day) = (self.month.map(u16::from), self.day.map(u16::from));
        write!(f, "{}-{}-{}", Part(self.year, 4), Part(month, 2), Part(day, 2))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |part: Option<u8>| Part(part.map(u16::from), 2);
        write!(f, "{}:{}:{}", part(self.hour), part(self.minute), part(self.second))
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}T{}", self.date, self.time)
    }
}

/// Characters as on the wire, which has the last one first in mode 1.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) order: Order,
}

/// In reading order, as ISO 8859-1; a control character is U+FFFD.
impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        let mut bytes = self.bytes.iter();
        loop {
            let byte = match self.order {
                Order::LowFirst => bytes.next_back(),
                Order::HighFirst => bytes.next(),
            };
            let Some(byte) = byte else { return Ok(()) };
            let character = char::from(*byte);
            f.write_char(if character.is_control() { '\u{FFFD}' } else { character })?;
        }
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// The bytes from the low one up.
pub(super) fn low_first(bytes: &[u8], order: Order) -> impl Iterator<Item = u8> + Clone {
    let forward = order == Order::LowFirst;
    let count = bytes.len();
    (0..count).filter_map(move |nth| {
        let place = if forward { Some(nth) } else { count.checked_sub(nth)?.checked_sub(1) };
        place.and_then(|place| bytes.get(place)).copied()
    })
}

/// Up to 8 bytes as a whole number with sign (type B). The lowest number is the pattern for none.
pub(super) fn signed(bytes: &[u8], order: Order) -> Value<'_> {
    let Some(number) = bits(bytes, order) else { return Value::Bytes(bytes) };
    let width = u32::try_from(bytes.len()).unwrap_or(8).saturating_mul(8);
    let unused = 64_u32.saturating_sub(width);
    // A bit pattern moved up and down again spreads its sign.
    let number = i64::from_ne_bytes(number.checked_shl(unused).unwrap_or(0).to_ne_bytes());
    let number = number.checked_shr(unused).unwrap_or(0);
    let lowest = i64::MIN.checked_shr(unused).unwrap_or(i64::MIN);
    if number == lowest && !bytes.is_empty() {
        return Value::Invalid(Invalid::NotAvailable);
    }
    Value::Number(number)
}

/// Up to 8 bytes as a whole number without sign (types C and D).
pub(super) fn unsigned(bytes: &[u8], order: Order) -> Value<'_> {
    let number = bits(bytes, order).and_then(|bits| i64::try_from(bits).ok());
    number.map_or(Value::Bytes(bytes), Value::Number)
}

fn bits(bytes: &[u8], order: Order) -> Option<u64> {
    if bytes.len() > 8 {
        return None;
    }
    let mut number = 0_u64;
    let mut place = 0_u32;
    for byte in low_first(bytes, order) {
        number |= u64::from(byte).checked_shl(place)?;
        place = place.saturating_add(8);
    }
    Some(number)
}

/// BCD of up to 9 bytes (type A); a highest nibble F is a minus sign.
pub(super) fn bcd(bytes: &[u8], order: Order) -> Value<'static> {
    let mut number = 0_i64;
    let mut place = 1_i64;
    let mut negative = false;
    let last = bytes.len().saturating_mul(2).saturating_sub(1);
    let nibbles = low_first(bytes, order).flat_map(|byte| [byte & 0xF, byte >> 4]);
    if bytes.len() > 9 {
        return Value::Invalid(Invalid::Size);
    }
    for (nth, nibble) in nibbles.enumerate() {
        if nibble == 0xF && nth == last {
            negative = true;
        } else if nibble > 9 {
            return Value::Invalid(Invalid::NotDecimal);
        } else {
            // 18 digits fit; the last place to be moved up is not used any more.
            number = number.saturating_add(i64::from(nibble).saturating_mul(place));
            place = place.saturating_mul(10);
        }
    }
    Value::Number(if negative { number.saturating_neg() } else { number })
}

/// Four bytes of a real number (type H); what is no finite number is none.
pub(super) fn real(bytes: &[u8], order: Order) -> Value<'_> {
    let mut low = low_first(bytes, order);
    let (Some(a), Some(b), Some(c), Some(d)) = (low.next(), low.next(), low.next(), low.next())
    else {
        return Value::Invalid(Invalid::Size);
    };
    let number = f32::from_le_bytes([a, b, c, d]);
    if number.is_finite() { Value::Real(number) } else { Value::Invalid(Invalid::NotAvailable) }
}

/// Type G of two bytes, type J of three, type F of four, type I of six; others are no time.
pub(super) fn time(bytes: &[u8], order: Order) -> Value<'_> {
    let mut low = [0_u8; 6];
    let length = bytes.len();
    low.iter_mut().zip(low_first(bytes, order)).for_each(|(place, byte)| *place = byte);
    let ones = bytes.iter().all(|byte| *byte == 0xFF);
    let [a, b, c, d, e, _] = low;
    let told = match length {
        _ if ones && length > 0 => return Value::Invalid(Invalid::NotAvailable),
        2 => type_g(a, b, 0).map(Value::Date),
        3 => Time::new(c & 0x1F, b & 0x3F, a & 0x3F).map(Value::Time),
        4 if a & 0x80 != 0 => Err(Invalid::TimeInvalid),
        4 => type_g(c, d, b >> 5 & 3).and_then(|date| {
            let time = Time::new(b & 0x1F, a & 0x3F, 0)?;
            Ok(Value::DateTime(DateTime { date, time, summer: b & 0x80 != 0 }))
        }),
        6 if b & 0x80 != 0 => Err(Invalid::TimeInvalid),
        6 => type_g(d, e, 0).and_then(|date| {
            let time = Time::new(c & 0x1F, b & 0x3F, a & 0x3F)?;
            Ok(Value::DateTime(DateTime { date, time, summer: a & 0x40 != 0 }))
        }),
        _ => Err(Invalid::Size),
    };
    told.unwrap_or_else(Value::Invalid)
}

fn type_g(low: u8, high: u8, century: u8) -> Result<Date, Invalid> {
    let year = (low >> 5) | (high >> 4 << 3);
    Date::new(year, century, high & 0x0F, low & 0x1F)
}
