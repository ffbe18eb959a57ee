//! Questions, written by a client: the requests that drivers need.

use super::apdu::{Authentication, ConnectRequest};
use super::data::{Data, DateTime};
use super::{Control, Frame, Oad, ServerAddress};
use crate::NoRoom;
use crate::axdr::Writer;

/// A request and its number, which comes back in the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question<'a> {
    /// Bits 5 to 0 the number, bit 7 high priority.
    pub piid: u8,
    /// What is asked.
    pub ask: Ask<'a>,
}

/// A value to write: one, or elements put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Term<'a> {
    /// One value.
    One(Data<'a>),
    /// A structure of these.
    Structure(&'a [Data<'a>]),
    /// An array of these.
    Array(&'a [Data<'a>]),
    /// An array of structures, each of these.
    Structures(&'a [&'a [Data<'a>]]),
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask<'a> {
    /// The value of one attribute.
    Get(Oad),
    /// The values of several.
    GetSeveral(&'a [Oad]),
    /// Columns of the n-th last row of a table; 1 is the last.
    NthLast {
        /// The table.
        table: Oad,
        /// Which row.
        nth: u8,
        /// Which columns.
        columns: &'a [Oad],
    },
    /// Columns of the rows in which a column, a time, is from one to another.
    Between {
        /// The table.
        table: Oad,
        /// The column that is compared.
        by: Oad,
        /// From when to when, and in what steps: unit and count, as [`Data::Interval`].
        span: (DateTime, DateTime, (u8, u16)),
        /// Which columns.
        columns: &'a [Oad],
    },
    /// The part after this one.
    Next(u16),
    /// Writes an attribute.
    Set(Oad, Term<'a>),
    /// Calls a method.
    Action(Oad, Term<'a>),
    /// An association.
    Connect(ConnectRequest<'a>),
    /// Its end.
    Release,
}

impl Question<'_> {
    /// Writes the APDU, without a time tag; returns its length.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, NoRoom> {
        let mut writer = Writer::new(out);
        match self.ask {
            Ask::Get(attribute) => {
                writer.bytes(&[0x05, 0x01, self.piid]);
                oad(&mut writer, attribute);
            }
            Ask::GetSeveral(attributes) => {
                writer.bytes(&[0x05, 0x02, self.piid]);
                writer.length(attributes.len());
                attributes.iter().for_each(|attribute| oad(&mut writer, *attribute));
            }
            Ask::NthLast { table, nth, columns } => {
                writer.bytes(&[0x05, 0x03, self.piid]);
                oad(&mut writer, table);
                writer.bytes(&[0x09, nth]);
                chosen(&mut writer, columns);
            }
            Ask::Between { table, by, span: (from, to, (unit, count)), columns } => {
                writer.bytes(&[0x05, 0x03, self.piid]);
                oad(&mut writer, table);
                writer.byte(0x02);
                oad(&mut writer, by);
                Data::DateTime(from).write(&mut writer);
                Data::DateTime(to).write(&mut writer);
                Data::Interval { unit, count }.write(&mut writer);
                chosen(&mut writer, columns);
            }
            Ask::Next(number) => {
                writer.bytes(&[0x05, 0x05, self.piid]);
                writer.bytes(&number.to_be_bytes());
            }
            Ask::Set(attribute, ref value) => {
                writer.bytes(&[0x06, 0x01, self.piid]);
                oad(&mut writer, attribute);
                term(&mut writer, value);
            }
            Ask::Action(method, ref argument) => {
                writer.bytes(&[0x07, 0x01, self.piid]);
                oad(&mut writer, method);
                term(&mut writer, argument);
            }
            Ask::Connect(ref request) => {
                writer.bytes(&[0x02, self.piid]);
                connect(&mut writer, request);
            }
            Ask::Release => writer.bytes(&[0x03, self.piid]),
        }
        writer.byte(0); // No time tag.
        writer.finish()
    }

    /// Writes the frame that carries the APDU to a server; returns its length. The APDU may have
    /// 512 bytes, which is more than a meter must take in one frame.
    pub fn frame(
        &self,
        server: ServerAddress,
        client: u8,
        out: &mut [u8],
    ) -> Result<usize, NoRoom> {
        let mut apdu = [0; 512];
        let length = self.encode(&mut apdu)?;
        let apdu = apdu.get(..length).unwrap_or_default();
        Frame { control: Control::REQUEST, server, client, apdu }.encode(out)
    }
}

fn oad(writer: &mut Writer<'_>, attribute: Oad) {
    writer.bytes(&attribute.0.to_be_bytes());
}

/// Columns, each by its attribute (RCSD).
fn chosen(writer: &mut Writer<'_>, columns: &[Oad]) {
    writer.length(columns.len());
    for column in columns {
        writer.byte(0);
        oad(writer, *column);
    }
}

fn term(writer: &mut Writer<'_>, value: &Term<'_>) {
    match value {
        Term::One(data) => data.write(writer),
        Term::Array(elements) => several(writer, 1, elements),
        Term::Structure(elements) => several(writer, 2, elements),
        Term::Structures(structures) => {
            writer.byte(1);
            writer.length(structures.len());
            structures.iter().for_each(|elements| several(writer, 2, elements));
        }
    }
}

fn several(writer: &mut Writer<'_>, kind: u8, elements: &[Data<'_>]) {
    writer.byte(kind);
    writer.length(elements.len());
    elements.iter().for_each(|element| element.write(writer));
}

fn connect(writer: &mut Writer<'_>, request: &ConnectRequest<'_>) {
    writer.bytes(&request.version.to_be_bytes());
    writer.bytes(&request.services);
    writer.bytes(&request.functions);
    let limits = &request.limits;
    writer.bytes(&limits.send.to_be_bytes());
    writer.bytes(&limits.receive.to_be_bytes());
    writer.byte(limits.window);
    writer.bytes(&limits.apdu.to_be_bytes());
    writer.bytes(&request.timeout_s.to_be_bytes());
    let (kind, first, second) = match request.authentication {
        Authentication::Public => (0, None, None),
        Authentication::Password(password) => (1, Some(password), None),
        Authentication::Symmetric(cipher, mac) => (2, Some(cipher), Some(mac)),
        Authentication::Signed(cipher, signature) => (3, Some(cipher), Some(signature)),
    };
    writer.byte(kind);
    first.into_iter().chain(second).for_each(|octets| writer.octets(octets));
}
