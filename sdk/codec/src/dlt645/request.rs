//! What a master asks and orders: the data of DL/T 645 requests, both editions.
//!
//! Invariant: each function makes the data of one control code, in the standard's order and length;
//! what does not fit its digits is refused and never cut.
//!
//! Not here: purchases and their MACs (C=03H: a driver, with the vault).

use super::value::{MINUTE, SECOND, Time};
use super::{Data, TooLong};
use crate::bcd;
use core::fmt;

/// Who writes, and how it is proved (DL/T 645-2007, 5.2.4; PA 98H and 99H by its 2013 extension).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// A password of a level from 0 to 9: 04 for programming, 02 for orders, mostly.
    Password {
        /// PA.
        level: u8,
        /// P0 to P2, low pair first.
        digits: [u8; 3],
    },
    /// PA 99H: plain data, and a MAC behind it, as the vault made it.
    Mac([u8; 4]),
    /// PA 98H: data that the caller has encrypted, and a MAC behind it.
    CipherAndMac([u8; 4]),
}

/// Why there is no such request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadRequest {
    /// More than a frame's data holds.
    TooLong,
    /// A password level above 9, or digits that are none.
    BadPassword,
    /// A time that does not exist, or lacks a part.
    NoSuchTime,
    /// A number with more digits than its place.
    TooWide,
}

impl fmt::Display for BadRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BadRequest::TooLong => "more data than a frame holds",
            BadRequest::BadPassword => "a password has a level from 0 to 9 and six digits",
            BadRequest::NoSuchTime => "there is no such time",
            BadRequest::TooWide => "the number has too many digits",
        })
    }
}

impl core::error::Error for BadRequest {}

impl From<TooLong> for BadRequest {
    fn from(_: TooLong) -> BadRequest {
        BadRequest::TooLong
    }
}

/// Bytes put behind one another.
struct Parts {
    data: Data,
}

impl Parts {
    fn new() -> Parts {
        Parts { data: Data::EMPTY }
    }

    fn put(mut self, bytes: &[u8]) -> Result<Parts, BadRequest> {
        self.data.append(bytes)?;
        Ok(self)
    }
}

/// C=11H: the data of an identifier.
pub fn read(identifier: u32) -> Result<Data, BadRequest> {
    Ok(Parts::new().put(&identifier.to_le_bytes())?.data)
}

/// C=11H for a load profile (06xxxxxxH): so many records, from `since` on where it is given.
///
/// ```
/// use polymeter_codec::dlt645::request::read_records;
/// use polymeter_codec::dlt645::value::Time;
///
/// let since = Time {
///     year: Some(2026), month: Some(3), day: Some(2), hour: Some(10), minute: Some(15), second: None,
/// };
/// let data = read_records(0x0600_0001, 4, Some(since)).unwrap();
/// assert_eq!(data.as_slice(), [1, 0, 0, 6, 4, 0x15, 0x10, 0x02, 0x03, 0x26]);
/// ```
pub fn read_records(identifier: u32, count: u8, since: Option<Time>) -> Result<Data, BadRequest> {
    if count > 99 {
        return Err(BadRequest::TooWide);
    }
    let mut number = [0];
    bcd::encode(count.into(), &mut number).map_err(|_| BadRequest::TooWide)?;
    let parts = Parts::new().put(&identifier.to_le_bytes())?.put(&number)?;
    match since {
        None => Ok(parts.data),
        Some(time) => Ok(parts.put(&minute(time)?)?.data),
    }
}

fn minute(time: Time) -> Result<[u8; 5], BadRequest> {
    let mut bytes = [0; 5];
    let whole = [time.year.is_some(), time.month.is_some(), time.day.is_some()];
    if whole.contains(&false) {
        return Err(BadRequest::NoSuchTime);
    }
    time.write(MINUTE, &mut bytes).ok_or(BadRequest::NoSuchTime)?;
    Ok(bytes)
}

/// C=12H: the next part of an answer; `sequence` from 1.
pub fn follow_up(identifier: u32, sequence: u8) -> Result<Data, BadRequest> {
    Ok(Parts::new().put(&identifier.to_le_bytes())?.put(&[sequence])?.data)
}

/// C=14H: `value`, low byte first, into an identifier. The operator's code is low pair first.
///
/// ```
/// use polymeter_codec::dlt645::request::{Proof, write};
///
/// let proof = Proof::Password { level: 4, digits: [0x56, 0x34, 0x12] };
/// let data = write(0x0400_1001, proof, [0; 4], &[0, 0x50, 0, 0]).unwrap();
/// assert_eq!(data.as_slice()[..8], [1, 0x10, 0, 4, 4, 0x56, 0x34, 0x12]);
/// assert_eq!(data.as_slice().len(), 16);
/// ```
pub fn write(
    identifier: u32,
    proof: Proof,
    operator: [u8; 4],
    value: &[u8],
) -> Result<Data, BadRequest> {
    proven(Parts::new().put(&identifier.to_le_bytes())?, proof, operator, value)
}

/// C=19H and C=1AH: nothing but who orders it; C=1BH: an identifier of events, or all FF; C=1CH: the
/// order for the relay.
pub fn order(proof: Proof, operator: [u8; 4], order: &[u8]) -> Result<Data, BadRequest> {
    proven(Parts::new(), proof, operator, order)
}

fn proven(parts: Parts, proof: Proof, operator: [u8; 4], value: &[u8]) -> Result<Data, BadRequest> {
    let (head, mac) = match proof {
        Proof::Password { level, digits } => {
            if level > 9 || digits.iter().any(|pair| bcd::pair(*pair).is_none()) {
                return Err(BadRequest::BadPassword);
            }
            let [p0, p1, p2] = digits;
            ([level, p0, p1, p2], None)
        }
        Proof::Mac(mac) => ([0x99, 0, 0, 0], Some(mac)),
        Proof::CipherAndMac(mac) => ([0x98, 0, 0, 0], Some(mac)),
    };
    let parts = parts.put(&head)?.put(&operator)?.put(value)?;
    match mac {
        Some(mac) => Ok(parts.put(&mac)?.data),
        None => Ok(parts.data),
    }
}

/// C=18H: a new password in the place of an old one; the identifier is 04000C0nH, n the level + 1.
pub fn change_password(level: u8, old: [u8; 3], new: [u8; 3]) -> Result<Data, BadRequest> {
    let digits = old.iter().chain(&new).all(|pair| bcd::pair(*pair).is_some());
    if level > 9 || !digits {
        return Err(BadRequest::BadPassword);
    }
    let identifier = 0x0400_0C01_u32.saturating_add(level.into());
    let parts = Parts::new().put(&identifier.to_le_bytes())?;
    Ok(parts.put(&[level])?.put(&old)?.put(&[level])?.put(&new)?.data)
}

/// C=08H, to [`super::Address::BROADCAST`]: the time, which no meter answers. A meter takes it once
/// a day, not near midnight, and only to mend a small drift.
pub fn broadcast_time(time: Time) -> Result<Data, BadRequest> {
    let mut bytes = [0; 6];
    let whole = [
        time.year.is_some(),
        time.month.is_some(),
        time.day.is_some(),
        time.hour.is_some(),
        time.minute.is_some(),
        time.second.is_some(),
    ];
    if whole.contains(&false) {
        return Err(BadRequest::NoSuchTime);
    }
    time.write(SECOND, &mut bytes).ok_or(BadRequest::NoSuchTime)?;
    Ok(Parts::new().put(&bytes)?.data)
}

/// When to freeze: a part that is not given is "every".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freeze {
    /// At once.
    Now,
    /// In every hour.
    Hourly {
        /// 0 to 59.
        minute: u8,
    },
    /// On every day.
    Daily {
        /// 0 to 23.
        hour: u8,
        /// 0 to 59.
        minute: u8,
    },
    /// In every month.
    Monthly {
        /// 1 to 28: a day that every month has.
        day: u8,
        /// 0 to 23.
        hour: u8,
        /// 0 to 59.
        minute: u8,
    },
}

/// C=16H (DL/T 645-2007, 7.1: 冻结命令): `mm hh DD MM`, 99 for "every".
///
/// ```
/// use polymeter_codec::dlt645::request::{Freeze, freeze};
///
/// assert_eq!(freeze(Freeze::Daily { hour: 23, minute: 59 }).unwrap().as_slice(), [0x59, 0x23, 0x99, 0x99]);
/// assert!(freeze(Freeze::Hourly { minute: 60 }).is_err());
/// ```
pub fn freeze(when: Freeze) -> Result<Data, BadRequest> {
    let (minute, hour, day) = match when {
        Freeze::Now => (None, None, None),
        Freeze::Hourly { minute } => (Some(minute), None, None),
        Freeze::Daily { hour, minute } => (Some(minute), Some(hour), None),
        Freeze::Monthly { day, hour, minute } => (Some(minute), Some(hour), Some(day)),
    };
    let exists = minute.is_none_or(|minute| minute < 60)
        && hour.is_none_or(|hour| hour < 24)
        && day.is_none_or(|day| (1..=28).contains(&day));
    if !exists {
        return Err(BadRequest::NoSuchTime);
    }
    let mut bytes = [0x99; 4];
    for (byte, part) in bytes.iter_mut().zip([minute, hour, day, None]) {
        if let Some(part) = part {
            bcd::encode(part.into(), core::slice::from_mut(byte))
                .map_err(|_| BadRequest::TooWide)?;
        }
    }
    Ok(Parts::new().put(&bytes)?.data)
}

/// Bits per second that C=17H can set, and its byte (DL/T 645-2007, 7.1: 更改通信速率).
pub const BAUD_RATES: &[(u32, u8)] =
    &[(600, 0x02), (1_200, 0x04), (2_400, 0x08), (4_800, 0x10), (9_600, 0x20), (19_200, 0x40)];

/// C=17H. The meter answers at the old rate, then changes.
pub fn change_baud(bits_per_second: u32) -> Result<Data, BadRequest> {
    let known = BAUD_RATES.iter().find(|(rate, _)| *rate == bits_per_second);
    let (_, byte) = known.ok_or(BadRequest::TooWide)?;
    Ok(Parts::new().put(&[*byte])?.data)
}

/// C=01H of DL/T 645-1997, and C=02H and C=03H there: the data of an identifier of two bytes.
pub fn read_1997(identifier: u16) -> Result<Data, BadRequest> {
    Ok(Parts::new().put(&identifier.to_le_bytes())?.data)
}

/// C=04H of DL/T 645-1997: identifier, password of four bytes (its level last on the wire), value.
pub fn write_1997(identifier: u16, password: [u8; 4], value: &[u8]) -> Result<Data, BadRequest> {
    Ok(Parts::new().put(&identifier.to_le_bytes())?.put(&password)?.put(value)?.data)
}
