//! Where the reading of records stopped: which profile, what is known of it, which rows are next.
//!
//! Invariant: all of it is in the position that the host gives back; what is none of this driver's is
//! refused.

use crate::profile::{Column, Meaning, Profile};
use polymeter_codec::Obis;
use polymeter_codec::dlms::Attribute;

/// First byte of a position; another one is of another version of this driver.
const VERSION: u8 = 1;
const HEAD_BYTES: usize = 18;
const COLUMN_BYTES: usize = 14;

/// Which rows are next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Those from this time on, by range.
    From(i64),
    /// Those older than this many of the newest, by their places.
    Behind(u32),
}

/// In the profile `list` of those of its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub list: u8,
    /// None: nothing is known of it yet.
    pub profile: Option<Profile>,
    pub next: Next,
    /// More rows at once came in more frames than a page may have.
    pub rows_most: u16,
}

impl Place {
    /// The beginning of a profile, for rows since a time.
    pub fn beginning(list: u8, since: i64) -> Place {
        Place { list, profile: None, next: Next::From(since), rows_most: u16::MAX }
    }

    pub fn written(&self) -> Vec<u8> {
        let (kind, next) = match self.next {
            Next::From(time) => (0, time),
            Next::Behind(rows) => (1, rows.into()),
        };
        let empty = Profile::default();
        let profile = self.profile.as_ref().unwrap_or(&empty);
        let mut bytes = vec![VERSION, self.list, kind | u8::from(profile.newest_first) << 1];
        bytes.extend(next.to_le_bytes());
        bytes.extend(self.rows_most.to_le_bytes());
        bytes.extend(profile.period.to_le_bytes());
        bytes.push(u8::from(self.profile.is_some()));
        profile.columns.iter().for_each(|column| put(column, &mut bytes));
        bytes
    }

    pub fn read(bytes: &[u8]) -> Option<Place> {
        let (head, columns) = bytes.split_first_chunk::<HEAD_BYTES>()?;
        let &[VERSION, list, kind, t0, t1, t2, t3, t4, t5, t6, t7, r0, r1, p0, p1, p2, p3, known] =
            head
        else {
            return None;
        };
        let next = i64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]);
        let (columns, rest) = columns.as_chunks::<COLUMN_BYTES>();
        let columns = columns.iter().map(column).collect::<Option<Vec<Column>>>()?;
        if !rest.is_empty() || (known == 0) != columns.is_empty() {
            return None;
        }
        Some(Place {
            list,
            profile: (known == 1).then_some(Profile {
                columns,
                period: u32::from_le_bytes([p0, p1, p2, p3]),
                newest_first: kind & 2 != 0,
            }),
            next: match kind & 1 {
                0 => Next::From(next),
                _ => Next::Behind(u32::try_from(next).ok()?),
            },
            rows_most: u16::from_le_bytes([r0, r1]),
        })
    }
}

fn put(column: &Column, bytes: &mut Vec<u8>) {
    let Attribute { class, object: Obis(name), attribute } = column.of;
    let (kind, scale, unit) = match column.meaning {
        Meaning::Unasked => (0, 0, 0),
        Meaning::None => (1, 0, 0),
        Meaning::Scaled(scale, unit) => (2, scale, unit),
    };
    bytes.extend(class.to_le_bytes());
    bytes.extend(name);
    bytes.extend(attribute.to_le_bytes());
    bytes.extend(column.index.to_le_bytes());
    bytes.push(kind);
    bytes.extend(scale.to_le_bytes());
    bytes.push(unit);
}

fn column(bytes: &[u8; COLUMN_BYTES]) -> Option<Column> {
    let &[c0, c1, a, b, c, d, e, f, attribute, i0, i1, kind, scale, unit] = bytes;
    let class = u16::from_le_bytes([c0, c1]);
    let attribute = i8::from_le_bytes([attribute]);
    Some(Column {
        of: Attribute { class, object: Obis([a, b, c, d, e, f]), attribute },
        index: u16::from_le_bytes([i0, i1]),
        meaning: match kind {
            0 => Meaning::Unasked,
            1 => Meaning::None,
            2 => Meaning::Scaled(i8::from_le_bytes([scale]), unit),
            _ => return None,
        },
    })
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a test may say so by failing")]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_back_and_no_other_is_taken() {
        let of = Attribute { class: 3, object: Obis([1, 0, 1, 8, 0, 255]), attribute: 2 };
        let column = |meaning| Column { of, index: 0x0102, meaning };
        let meanings = [Meaning::Unasked, Meaning::None, Meaning::Scaled(-3, 30)];
        let columns = meanings.map(column).to_vec();
        let profile = Profile { columns, period: 900, newest_first: true };
        for place in [
            Place::beginning(2, 63_000_000_000),
            Place { list: 0, profile: Some(profile), next: Next::Behind(70_000), rows_most: 12 },
        ] {
            let written = place.written();
            assert_eq!(Place::read(&written), Some(place));
            for cut in (0..written.len()).filter(|cut| !(cut - cut.min(&18)).is_multiple_of(14)) {
                assert_eq!(Place::read(&written[..cut]), None, "{cut}");
            }
            assert_eq!(Place::read(&[&[2], &written[1..]].concat()), None);
            assert_eq!(Place::read(&[written.as_slice(), &[0]].concat()), None);
        }
    }
}
