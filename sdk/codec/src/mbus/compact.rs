//! Compact frames: the values of a telegram without their codes, which an earlier full telegram of the
//! same meter told (EN 13757-3:2018, annex on compact frames; CI 73, 79 and 7B).
//!
//! ```text
//! signature  check  data of each record, one behind the other
//! ```
//!
//! Invariant: values are given out only beside codes whose signature is the frame's, and only where the
//! checksum of the full telegram, which the meter sent, is that of what was put together.
//!
//! Not here: keeping full telegrams of each meter (whoever hears them).

use super::message::{BadMessage, Data, Header};
use super::record::{Item, Malformed, Record, Records};
use super::value::Order;
use super::wireless::crc;
use core::fmt;

/// The message of a compact frame, which may be encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compact<'a>(pub(super) Data<'a>);

/// A compact frame in the clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompactFrame<'a> {
    /// Of the codes: see [`signature`].
    pub signature: u16,
    /// Of the full telegram's records.
    pub check: u16,
    values: &'a [u8],
}

/// Why values and codes do not come together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotExpanded {
    /// The codes are those of another format.
    OtherFormat {
        /// The frame's.
        told: u16,
        /// That of the codes.
        made: u16,
    },
    /// The codes are no records, or no ones of a format.
    Codes(Malformed),
    /// The vendor's own data has no place in a format.
    VendorData,
    /// There are fewer values than codes; the first one that is missing.
    Cut {
        /// Its number, from 1.
        record: usize,
    },
    /// What was put together is not what the meter measured.
    Checksum {
        /// The frame's.
        told: u16,
        /// Ours.
        made: u16,
    },
    /// The room is too small.
    Room,
}

impl fmt::Display for NotExpanded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotExpanded::OtherFormat { told, made } => {
                write!(f, "the compact frame has format {told:04X}, the full one {made:04X}")
            }
            NotExpanded::Codes(why) => write!(f, "the full telegram: {why}"),
            NotExpanded::VendorData => f.write_str("the full telegram has data of the vendor"),
            NotExpanded::Cut { record } => write!(f, "the value of record {record} is cut short"),
            NotExpanded::Checksum { told, made } => {
                write!(
                    f,
                    "the full telegram's checksum is {told:04X}, that of the values {made:04X}"
                )
            }
            NotExpanded::Room => f.write_str("the values do not fit"),
        }
    }
}

impl core::error::Error for NotExpanded {}

impl<'a> Compact<'a> {
    /// Header and body, of which the body is no records.
    pub fn data(&self) -> Data<'a> {
        self.0
    }

    /// `None` where CI says that there is none.
    pub fn header(&self) -> Option<Header> {
        self.0.header
    }
}

impl<'a> CompactFrame<'a> {
    /// Of a body in the clear, or of what was deciphered.
    pub fn new(body: &'a [u8]) -> Result<CompactFrame<'a>, BadMessage> {
        // Deciphered data begins with the fillers by which it is known.
        let body = body.strip_prefix(&[0x2F, 0x2F]).unwrap_or(body);
        let cut = BadMessage::HeaderCut { needed: 4, came: body.len() };
        let ([a, b, c, d], values) = body.split_first_chunk::<4>().ok_or(cut)?;
        let (signature, check) = (u16::from_le_bytes([*a, *b]), u16::from_le_bytes([*c, *d]));
        Ok(CompactFrame { signature, check, values })
    }

    /// Puts the values behind the codes of `full`, the records of a full telegram.
    ///
    /// ```
    /// use polymeter_codec::mbus::{CompactFrame, signature};
    ///
    /// // A volume of 7 l, in full; then a compact frame of 9 l.
    /// let full = [0x01, 0x13, 0x07];
    /// assert_eq!(signature(&full), Ok(0xDD77));
    /// let frame = CompactFrame::new(&[0x77, 0xDD, 0x86, 0xF8, 0x09])?;
    /// let mut room = [0; 256];
    /// assert_eq!(frame.expanded(&full, &mut room), Ok(&[0x01, 0x13, 0x09][..]));
    /// # Ok::<(), polymeter_codec::mbus::BadMessage>(())
    /// ```
    pub fn expanded<'b>(&self, full: &[u8], room: &'b mut [u8]) -> Result<&'b [u8], NotExpanded> {
        let (told, made) = (self.signature, signature(full)?);
        if told != made {
            return Err(NotExpanded::OtherFormat { told, made });
        }
        let mut values = Records::new(self.values, Order::LowFirst);
        let mut filled = 0_usize;
        for (nth, record) in (1_usize..).zip(codes_of(full)) {
            let head = record?.head;
            let nibble = head.first().copied().unwrap_or(0) & 0x0F;
            let value = values.raw(nibble).map_err(|_| NotExpanded::Cut { record: nth })?;
            for part in [head, value] {
                let end = filled.saturating_add(part.len());
                let place = room.get_mut(filled..end).ok_or(NotExpanded::Room)?;
                place.copy_from_slice(part);
                filled = end;
            }
        }
        let full = room.get(..filled).unwrap_or_default();
        let (told, made) = (self.check, crc(full));
        if told == made { Ok(full) } else { Err(NotExpanded::Checksum { told, made }) }
    }
}

/// The checksum of the codes of records, without their data: which format a telegram has.
pub fn signature(full: &[u8]) -> Result<u16, NotExpanded> {
    let mut codes = [0_u8; 256];
    let mut filled = 0_usize;
    for record in codes_of(full) {
        let head = record?.head;
        let end = filled.saturating_add(head.len());
        codes.get_mut(filled..end).ok_or(NotExpanded::Room)?.copy_from_slice(head);
        filled = end;
    }
    Ok(crc(codes.get(..filled).unwrap_or_default()))
}

fn codes_of(full: &[u8]) -> impl Iterator<Item = Result<Record<'_>, NotExpanded>> {
    Records::new(full, Order::LowFirst).map(|item| match item {
        Ok(Item::Record(record)) => Ok(record),
        Ok(Item::VendorData(_) | Item::MoreFollows(_) | Item::ReadAll) => {
            Err(NotExpanded::VendorData)
        }
        Err(why) => Err(NotExpanded::Codes(why)),
    })
}
