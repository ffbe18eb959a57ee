//! One message: its tag says which (IEC 62056-5-3, 9.5).

use super::acse::{Association, InitiateRequest, InitiateResponse};
use super::cipher::Ciphered;
use super::data::Data;
use super::service::{
    ActionRequest, ActionResponse, Attribute, GetRequest, GetResponse, SetRequest, SetResponse,
    optional,
};
use crate::axdr::{Element, Malformed, Reader};

/// One message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Apdu<'a> {
    /// 01: what a client proposes, by itself.
    InitiateRequest(InitiateRequest<'a>),
    /// 08: what a server agrees to, by itself.
    InitiateResponse(InitiateResponse),
    /// 0E: a service failed: which, which kind of error, which error.
    ServiceError([u8; 3]),
    /// 0F: values that a server sends by itself.
    DataNotification(Notification<'a>),
    /// 60: a client opens an association.
    Aarq(Association<'a>),
    /// 61: the answer.
    Aare(Association<'a>),
    /// 62: a client closes it.
    Rlrq(Association<'a>),
    /// 63: the answer.
    Rlre(Association<'a>),
    /// C0.
    GetRequest(GetRequest<'a>),
    /// C1.
    SetRequest(SetRequest<'a>),
    /// C2: an attribute that a server sends by itself.
    EventNotification {
        /// When it happened, 12 bytes.
        time: Option<&'a [u8]>,
        /// Which attribute.
        attribute: Attribute,
        /// Its value.
        data: Data<'a>,
    },
    /// C3.
    ActionRequest(ActionRequest<'a>),
    /// C4.
    GetResponse(GetResponse<'a>),
    /// C5.
    SetResponse(SetResponse<'a>),
    /// C7.
    ActionResponse(ActionResponse<'a>),
    /// D8: a question that cannot be answered: 1 not allowed, 2 unknown service; then 1 operation
    /// impossible, 2 not supported, 3 other, 5 ciphering, 6 counter.
    Exception {
        /// Of the association.
        state: u8,
        /// Of the service.
        service: u8,
        /// The counter that was expected, with error 6.
        counter: Option<u32>,
    },
    /// An APDU under a key.
    Ciphered(Ciphered<'a>),
    /// E0: a part of any APDU.
    GeneralBlock {
        /// Bit 7 the last block, bit 6 streaming, bits 5 to 0 the window.
        control: u8,
        /// Its number.
        number: u16,
        /// The number of the other side's that came.
        acknowledged: u16,
        /// Its bytes.
        bytes: &'a [u8],
    },
}

/// Values that a server sends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notification<'a> {
    /// Number and priority.
    pub invoke: u32,
    /// When it was made: 12 bytes, as they stand.
    pub time: Option<&'a [u8]>,
    /// The values.
    pub data: Data<'a>,
}

impl<'a> Apdu<'a> {
    /// Reads a whole APDU: nothing may follow it.
    pub fn decode(bytes: &'a [u8]) -> Result<Apdu<'a>, Malformed> {
        let mut reader = Reader::new(bytes);
        let apdu = Apdu::read(&mut reader)?;
        reader.end()?;
        Ok(apdu)
    }

    fn read(reader: &mut Reader<'a>) -> Result<Apdu<'a>, Malformed> {
        let before = *reader;
        Ok(match reader.byte("an APDU")? {
            0x01 => Apdu::InitiateRequest(InitiateRequest::read(reader)?),
            0x08 => Apdu::InitiateResponse(InitiateResponse::read(reader)?),
            0x0E => Apdu::ServiceError(reader.array("an error")?),
            0x0F => Apdu::DataNotification(notification(reader)?),
            0x60 => Apdu::Aarq(Association::read(0x60, reader)?),
            0x61 => Apdu::Aare(Association::read(0x61, reader)?),
            0x62 => Apdu::Rlrq(Association::read(0x62, reader)?),
            0x63 => Apdu::Rlre(Association::read(0x63, reader)?),
            0xC0 => Apdu::GetRequest(GetRequest::read(reader)?),
            0xC1 => Apdu::SetRequest(SetRequest::read(reader)?),
            0xC2 => Apdu::EventNotification {
                time: optional(reader, time)?.flatten(),
                attribute: Attribute::read(reader)?,
                data: Data::read(reader)?,
            },
            0xC3 => Apdu::ActionRequest(ActionRequest::read(reader)?),
            0xC4 => Apdu::GetResponse(GetResponse::read(reader)?),
            0xC5 => Apdu::SetResponse(SetResponse::read(reader)?),
            0xC7 => Apdu::ActionResponse(ActionResponse::read(reader)?),
            0xD8 => {
                let [state, service] = reader.array("an exception")?;
                let counter = if service == 6 && !reader.rest().is_empty() {
                    Some(u32::from_be_bytes(reader.array("a counter")?))
                } else {
                    None
                };
                Apdu::Exception { state, service, counter }
            }
            0xE0 => {
                let [control, a, b, c, d] = reader.array("the head of a block")?;
                let [number, acknowledged] = [[a, b], [c, d]].map(u16::from_be_bytes);
                Apdu::GeneralBlock { control, number, acknowledged, bytes: reader.octets()? }
            }
            tag if Ciphered::is_tag(tag) => Apdu::Ciphered(Ciphered::read(tag, reader)?),
            _ => return Err(before.malformed("an APDU")),
        })
    }
}

fn notification<'a>(reader: &mut Reader<'a>) -> Result<Notification<'a>, Malformed> {
    let invoke = u32::from_be_bytes(reader.array("a long number of a question")?);
    Ok(Notification { invoke, time: time(reader)?, data: Data::read(reader)? })
}

/// 12 bytes behind their length, or none.
fn time<'a>(reader: &mut Reader<'a>) -> Result<Option<&'a [u8]>, Malformed> {
    let before = *reader;
    match reader.octets()? {
        [] => Ok(None),
        time if time.len() == 12 => Ok(Some(time)),
        _ => Err(before.malformed("a time of 12 bytes, or none")),
    }
}
