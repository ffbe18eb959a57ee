//! Questions, written by a client: the requests that drivers need.

use super::data::Data;
use super::service::{Attribute, Block, Method};
use crate::axdr::Writer;
use crate::{NoRoom, Obis};

/// A request and, first, its number and priority (C1H is number 1 with high priority).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    /// The value of an attribute.
    Get(u8, Attribute),
    /// A part of it: the selector and its parameters, [`range`] (1) or [`entries`] (2).
    GetSelected(u8, Attribute, (u8, &'a [u8])),
    /// The values of several.
    GetSeveral(u8, &'a [Attribute]),
    /// The block after this one.
    GetNext(u8, u32),
    /// Writes an attribute.
    Set(u8, Attribute, Data<'a>),
    /// Writes one whose value comes in blocks: the first of them.
    SetFirst(u8, Attribute, Block<'a>),
    /// The next.
    SetNext(u8, Block<'a>),
    /// Calls a method.
    Action(u8, Method, Option<Data<'a>>),
    /// Closes the association.
    Release,
}

impl Request<'_> {
    /// Writes the APDU; returns its length.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, NoRoom> {
        let mut writer = Writer::new(out);
        match *self {
            Request::Get(invoke, attribute) => {
                writer.bytes(&[0xC0, 0x01, invoke]);
                write(&mut writer, attribute);
                writer.byte(0);
            }
            Request::GetSelected(invoke, attribute, (selector, parameters)) => {
                writer.bytes(&[0xC0, 0x01, invoke]);
                write(&mut writer, attribute);
                writer.bytes(&[1, selector]);
                writer.bytes(parameters);
            }
            Request::GetSeveral(invoke, attributes) => {
                writer.bytes(&[0xC0, 0x03, invoke]);
                writer.length(attributes.len());
                for attribute in attributes {
                    write(&mut writer, *attribute);
                    writer.byte(0);
                }
            }
            Request::GetNext(invoke, block) => {
                writer.bytes(&[0xC0, 0x02, invoke]);
                writer.bytes(&block.to_be_bytes());
            }
            Request::Set(invoke, attribute, data) => {
                writer.bytes(&[0xC1, 0x01, invoke]);
                write(&mut writer, attribute);
                writer.byte(0);
                data.write(&mut writer);
            }
            Request::SetFirst(invoke, attribute, block) => {
                writer.bytes(&[0xC1, 0x02, invoke]);
                write(&mut writer, attribute);
                writer.byte(0);
                put(&mut writer, block);
            }
            Request::SetNext(invoke, block) => {
                writer.bytes(&[0xC1, 0x03, invoke]);
                put(&mut writer, block);
            }
            Request::Action(invoke, method, data) => {
                writer.bytes(&[0xC3, 0x01, invoke]);
                write(&mut writer, method);
                match data {
                    Some(data) => {
                        writer.byte(1);
                        data.write(&mut writer);
                    }
                    None => writer.byte(0),
                }
            }
            Request::Release => writer.bytes(&[0x62, 0x03, 0x80, 0x01, 0x00]),
        }
        writer.finish()
    }
}

fn write(writer: &mut Writer<'_>, attribute: Attribute) {
    let Attribute { class, object: Obis(name), attribute } = attribute;
    writer.bytes(&class.to_be_bytes());
    writer.bytes(&name);
    writer.bytes(&attribute.to_be_bytes());
}

fn put(writer: &mut Writer<'_>, block: Block<'_>) {
    writer.byte(u8::from(block.last));
    writer.bytes(&block.number.to_be_bytes());
    writer.octets(block.bytes);
}

/// The parameters that select a profile's rows by their places (selector 2, IEC 62056-6-2, 4.3.6):
/// from the first one, which is 1, to the last one, all columns. Returns their length.
pub fn entries(first: u32, last: u32, out: &mut [u8]) -> Result<usize, NoRoom> {
    let mut writer = Writer::new(out);
    writer.bytes(&[0x02, 0x04]);
    for place in [first, last] {
        writer.byte(0x06);
        writer.bytes(&place.to_be_bytes());
    }
    // From the first column to the last.
    writer.bytes(&[0x12, 0x00, 0x01, 0x12, 0x00, 0x00]);
    writer.finish()
}

/// The parameters that select a profile's rows from one time to another (selector 1, IEC 62056-6-2,
/// 4.3.6): by the clock, all columns. Returns their length.
pub fn range(from: [u8; 12], to: [u8; 12], out: &mut [u8]) -> Result<usize, NoRoom> {
    let mut writer = Writer::new(out);
    writer.bytes(&[0x02, 0x04]);
    // The column that is compared: class 8, the clock, attribute 2, index 0.
    writer.bytes(&[0x02, 0x04, 0x12, 0x00, 0x08, 0x09, 0x06, 0, 0, 1, 0, 0, 255]);
    writer.bytes(&[0x0F, 0x02, 0x12, 0x00, 0x00]);
    writer.byte(0x09);
    writer.octets(&from);
    writer.byte(0x09);
    writer.octets(&to);
    writer.bytes(&[0x01, 0x00]);
    writer.finish()
}
