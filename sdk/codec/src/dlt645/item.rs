//! A table of items: which data identifier holds what, in which format, under which OBIS code.
//! The tables themselves are `items_2007` and `items_1997`.
//!
//! Invariant: whatever an identifier and its data are, [`Found::for_each`] ends after at most one
//! look at each byte, and a value that it gives is one of the row's own format.
//!
//! Not here: what a maker's own identifiers mean (a driver).

use super::value::{Field, Format, NoValue, Unit, Value};
use crate::Obis;

/// A run of items whose identifiers are one `step` apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// What it is, e.g. "forward active energy".
    pub name: &'static str,
    /// The identifier of the first one.
    pub first: u32,
    /// From one to the next.
    pub step: u32,
    /// How many there are.
    pub count: u32,
    /// The identifier with all these bits set asks for the whole run; 0: there is no such block.
    pub block: u32,
    /// Where the past stands in the identifier.
    pub past: Past,
    /// Of each one.
    pub format: Format,
    /// Of a number.
    pub unit: Unit,
    /// Where its values go.
    pub place: Place,
    /// One identifier brings several values of the format, a total and its tariffs: frozen blocks.
    pub several: bool,
}

/// How an identifier says which of the past values it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Past {
    /// Only the present one.
    None,
    /// In its lowest byte: 0 now, else how many ago, up to so many.
    LowByte(u8),
    /// All items of the row are of so many months ago (DL/T 645-1997).
    Fixed(u8),
}

/// Where a value goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// OBIS codes of the run, one each.
    Registers(&'static [Obis]),
    /// Group E counts from 0 for the total; group F is 255 for now and else how many settlements
    /// ago.
    Tariffs(Obis),
    /// Group E counts from 1.
    Counted(Obis),
    /// No OBIS code is agreed on: the row's name is all.
    Name,
}

/// What an identifier asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// The row it stands in.
    pub row: &'static Row,
    /// Position in the row's run; of the first item where a block is asked for.
    pub index: u32,
    /// Whether all of the run are asked for.
    pub block: bool,
    /// 0 now, else how many ago.
    pub past: u8,
}

/// One value of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item<'a> {
    /// The row's name.
    pub name: &'static str,
    /// Which of the run, from 1; `None` where there is only one.
    pub nth: Option<u32>,
    /// Which of several in one frozen block: 0 for the total.
    pub of_block: Option<u32>,
    /// The field of a record.
    pub field: Option<&'static str>,
    /// Its neutral name, where one is agreed on.
    pub register: Option<Obis>,
    /// Of a number.
    pub unit: Unit,
    /// What stood there, or why there is nothing.
    pub value: Result<Value<'a>, NoValue>,
    /// The bytes, low byte first.
    pub bytes: &'a [u8],
}

/// More values than any answer has: a whole load profile does not come in one.
const VALUES_MAX: u32 = 4_096;

/// What stands in `rows` about `identifier`.
pub fn find(rows: &'static [Row], identifier: u32) -> Option<Found> {
    rows.iter().find_map(|row| row.find(identifier))
}

impl Row {
    fn find(&'static self, identifier: u32) -> Option<Found> {
        let (identifier, past) = match self.past {
            Past::None => (identifier, 0),
            Past::Fixed(past) => (identifier, past),
            Past::LowByte(most) => {
                let past = u8::try_from(identifier & 0xFF).ok()?;
                if past > most {
                    return None;
                }
                (identifier & !0xFF, past)
            }
        };
        let block = self.block != 0
            && identifier & self.block == self.block
            && identifier & !self.block == self.first & !self.block;
        if block {
            return Some(Found { row: self, index: 0, block, past });
        }
        let distance = identifier.checked_sub(self.first)?;
        let index = distance.checked_div(self.step)?;
        let exact = distance.checked_rem(self.step) == Some(0) && index < self.count;
        exact.then_some(Found { row: self, index, block, past })
    }
}

impl Found {
    /// Gives every value of `data`, which is an answer's data behind the identifier. A block has as
    /// many as there are bytes for; a remainder, or data of a wrong length, is given as no value.
    ///
    /// ```
    /// use polymeter_codec::dlt645::items_2007;
    ///
    /// let Some(found) = items_2007::find(0x0201_FF00) else { panic!("voltages of all phases") };
    /// let mut told = Vec::new();
    /// found.for_each(&[0x03, 0x23, 0xFF, 0xFF], |item| {
    ///     told.push((item.register.map(|obis| obis.to_string()), item.value.is_ok()));
    /// });
    /// assert_eq!(told[0], (Some("1.0.32.7.0.255".to_owned()), true));
    /// assert_eq!(told[1], (Some("1.0.52.7.0.255".to_owned()), false), "not measured");
    /// ```
    pub fn for_each<'a>(self, data: &'a [u8], mut take: impl FnMut(Item<'a>)) {
        let size = self.row.format.bytes().max(1);
        if !self.block && !self.row.several {
            self.one(data, self.index, None, &mut take);
            return;
        }
        // A block of 1997 ends in AA, which is no digit.
        let data = match data.split_last() {
            Some((0xAA, before)) if data.len().checked_rem(size) == Some(1) => before,
            _ => data,
        };
        let numbers = (0..VALUES_MAX).zip(data.chunks(size));
        for (number, bytes) in numbers {
            if self.row.several {
                self.one(bytes, self.index, Some(number), &mut take);
            } else if number < self.row.count {
                self.one(bytes, number, None, &mut take);
            } else {
                return;
            }
        }
    }

    fn one<'a>(
        self,
        bytes: &'a [u8],
        index: u32,
        of_block: Option<u32>,
        take: &mut impl FnMut(Item<'a>),
    ) {
        let item = Item {
            name: self.row.name,
            nth: (self.row.count > 1).then(|| index.saturating_add(1)),
            of_block,
            field: None,
            register: self.register(index),
            unit: self.row.unit,
            value: self.row.format.read(bytes),
            bytes,
        };
        match self.row.format {
            Format::Record(fields) if item.value.is_ok() => of_record(item, fields, take),
            _ => take(item),
        }
    }

    fn register(self, index: u32) -> Option<Obis> {
        let counted = |code: Obis, number: u32, last: u8| {
            let [a, b, c, d, _, _] = code.0;
            let number = u8::try_from(number).ok()?;
            Some(Obis([a, b, c, d, number, last]))
        };
        match self.row.place {
            Place::Registers(codes) => codes.get(usize::try_from(index).ok()?).copied(),
            Place::Tariffs(code) => {
                counted(code, index, if self.past == 0 { 255 } else { self.past })
            }
            Place::Counted(code) => counted(code, index.saturating_add(1), 255),
            Place::Name => None,
        }
    }
}

/// The first field of a record has the row's register; the others are named only.
fn of_record<'a>(whole: Item<'a>, fields: &'static [Field], take: &mut impl FnMut(Item<'a>)) {
    let mut rest = whole.bytes;
    for (number, field) in fields.iter().enumerate() {
        let Some((bytes, behind)) = rest.split_at_checked(field.format.bytes()) else { return };
        rest = behind;
        take(Item {
            field: Some(field.name),
            register: whole.register.filter(|_| number == 0),
            unit: field.unit,
            value: field.format.read(bytes),
            bytes,
            ..whole
        });
    }
}
