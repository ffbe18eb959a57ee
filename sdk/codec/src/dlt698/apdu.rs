//! What is said: one byte of service, then what it is about (DL/T 698.45-2017, 7.3.4, appendix B).

use super::data::DateTime;
use super::record::RecordResult;
use super::service::{ActionResult, Change, Changed, Get, Got, Oad, SetResult, Value};
use crate::axdr::{List, Malformed, Reader};

/// One APDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Apdu<'a> {
    /// Number and priority of the question, come back in its answer; with the bits of an answer's
    /// ACD. None in a wrapped APDU.
    pub piid: Option<u8>,
    /// What is said.
    pub body: Body<'a>,
    /// Values that a server adds to an answer of its own accord.
    pub report: Option<Report<'a>>,
    /// Until when a question is worth answering.
    pub time_tag: Option<TimeTag>,
}

/// Values of a server's own accord.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report<'a> {
    /// 1: of attributes.
    Values(List<'a, Value<'a>>),
    /// 2: of tables.
    Records(List<'a, RecordResult<'a>>),
}

/// When a question was sent, and how long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeTag {
    /// When it was sent.
    pub sent: DateTime,
    /// Unit and count, as [`Data::Interval`](super::Data::Interval).
    pub delay: (u8, u16),
}

/// What is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body<'a> {
    /// 01: a terminal logs in, is still there, logs out.
    LinkRequest(LinkRequest),
    /// 81: the answer.
    LinkResponse(LinkResponse),
    /// 02: a client asks for an association.
    Connect(ConnectRequest<'a>),
    /// 82: the answer.
    Connected(ConnectResponse<'a>),
    /// 03: a client ends it.
    Release,
    /// 83: the answer; 0 is yes.
    Released(u8),
    /// 84: the server ended it: since when it stood, and when it ended.
    ReleaseNotice {
        /// When it began.
        began: DateTime,
        /// When it ended.
        ended: DateTime,
    },
    /// 05.
    Get(Get<'a>),
    /// 85.
    Got(Got<'a>),
    /// 06.
    Set(Change<'a>),
    /// 86.
    SetDone(Changed<'a, SetResult>),
    /// 07.
    Action(Change<'a>),
    /// 87.
    ActionDone(Changed<'a, ActionResult<'a>>),
    /// 88: a server reports by itself.
    Reported(Report<'a>),
    /// 08: the client has it: of attributes (1) or tables (2), which ones.
    ReportTaken {
        /// 1 or 2.
        kind: u8,
        /// Which attributes or tables.
        of: List<'a, Oad>,
    },
    /// 09 and 89: through a terminal to meters behind it, as it stands.
    Proxy {
        /// Whether it is the answer.
        answer: bool,
        /// Its kind, 1 to 7.
        kind: u8,
        /// The rest, the time tag included.
        bytes: &'a [u8],
    },
    /// 10H and 90H: wrapped by a security module.
    Secured(Secured<'a>),
    /// 6E and EE: the other side could not read the APDU; by which reason.
    Unread(u8),
}

/// A terminal that logs in, is still there, or logs out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkRequest {
    /// 0 logs in, 1 is still there, 2 logs out.
    pub kind: u8,
    /// Seconds between two signs of life.
    pub period_s: u16,
    /// Its time.
    pub time: DateTime,
}

/// The answer to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkResponse {
    /// Bits 2 to 0: 0 yes, 1 address repeated, 2 unlawful, 3 no room. Bit 7: the clock is right.
    pub result: u8,
    /// When the terminal asked, when the question came, when the answer went.
    pub times: [DateTime; 3],
}

/// What a client wants to be let in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication<'a> {
    /// 0.
    Public,
    /// 1.
    Password(&'a [u8]),
    /// 2: symmetric keys: cipher text and MAC.
    Symmetric(&'a [u8], &'a [u8]),
    /// 3: certificates: cipher text and signature.
    Signed(&'a [u8], &'a [u8]),
}

/// What a client proposes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectRequest<'a> {
    /// Of the protocol, 0010H.
    pub version: u16,
    /// Which services, bit by bit.
    pub services: [u8; 8],
    /// Which functions, bit by bit.
    pub functions: [u8; 16],
    /// The longest frames that it sends and takes, how many at once, the longest APDU.
    pub limits: Limits,
    /// After how many silent seconds the association ends.
    pub timeout_s: u32,
    /// By what it wants to be let in.
    pub authentication: Authentication<'a>,
}

/// How long frames and APDUs may be, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Frames that are sent.
    pub send: u16,
    /// Frames that are taken.
    pub receive: u16,
    /// Frames that are taken at once.
    pub window: u8,
    /// An APDU.
    pub apdu: u16,
}

/// What a server agrees to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectResponse<'a> {
    /// Vendor (4), software version and date (4, 6), hardware version and date (4, 6), extension
    /// (8): ASCII.
    pub vendor_version: [u8; 32],
    /// Of the protocol.
    pub version: u16,
    /// Which services.
    pub services: [u8; 8],
    /// Which functions.
    pub functions: [u8; 16],
    /// As in the request.
    pub limits: Limits,
    /// After how many silent seconds the association ends.
    pub timeout_s: u32,
    /// 0 let in, 1 wrong password, 2 wrong symmetric key, 3 wrong certificate or signature, 4 wrong
    /// version, 255 other.
    pub result: u8,
    /// The server's random number and its signature or MAC.
    pub proof: Option<(&'a [u8], &'a [u8])>,
}

/// An APDU within a wrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protected<'a> {
    /// 0: as it is.
    Plain(&'a [u8]),
    /// 1: encrypted.
    Sealed(&'a [u8]),
    /// 2, in answers: the device's no (DAR).
    Refused(u8),
}

/// What the wrap is checked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection<'a> {
    /// Nothing, in answers alone.
    None,
    /// 0 of a question: identifier and MAC.
    IdMac(u32, &'a [u8], &'a [u8]),
    /// 1: a random number.
    Random(&'a [u8]),
    /// 2: that and a MAC.
    RandomMac(&'a [u8], &'a [u8]),
    /// 3: an identifier.
    Id(u32, &'a [u8]),
    /// 0 of an answer: a MAC.
    Mac(&'a [u8]),
}

/// A wrapped APDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Secured<'a> {
    /// Whether it is an answer (90H).
    pub answer: bool,
    /// What is wrapped.
    pub apdu: Protected<'a>,
    /// What it is checked by.
    pub protection: Protection<'a>,
}

const QUESTION_SECURED: u8 = 0x10;
const ANSWER_SECURED: u8 = 0x90;
const KIND: &str = "a kind of the service";

impl<'a> Apdu<'a> {
    /// Reads a whole APDU: nothing may follow it.
    pub fn decode(bytes: &'a [u8]) -> Result<Apdu<'a>, Malformed> {
        let mut reader = Reader::new(bytes);
        let start = reader;
        let service = reader.byte("a service")?;
        if let QUESTION_SECURED | ANSWER_SECURED = service {
            let secured = secured(service == ANSWER_SECURED, &mut reader)?;
            reader.end()?;
            let body = Body::Secured(secured);
            return Ok(Apdu { piid: None, body, report: None, time_tag: None });
        }
        let has_kind = matches!(service, 0x05..=0x09 | 0x85..=0x89);
        let before = reader;
        let kind = if has_kind { reader.byte(KIND)? } else { 0 };
        let piid = Some(reader.byte("the number of a question")?);
        let body = body(service, kind, &mut reader)?.ok_or_else(|| {
            if has_kind { before.malformed(KIND) } else { start.malformed("a service") }
        })?;
        // Management of the link carries neither; a proxy's are in its bytes.
        if let Body::LinkRequest(_) | Body::LinkResponse(_) | Body::Proxy { .. } = body {
            reader.end()?;
            return Ok(Apdu { piid, body, report: None, time_tag: None });
        }
        let has_report = matches!(service, 0x82..=0x87);
        let report = if has_report { optional(&mut reader, report)? } else { None };
        let time_tag = optional(&mut reader, time_tag)?;
        reader.end()?;
        Ok(Apdu { piid, body, report, time_tag })
    }
}

fn body<'a>(service: u8, kind: u8, reader: &mut Reader<'a>) -> Result<Option<Body<'a>>, Malformed> {
    Ok(Some(match service {
        0x01 => {
            let kind = reader.byte("a kind of link request")?;
            let period_s = u16::from_be_bytes(reader.array("a period")?);
            let time = DateTime::long(reader)?;
            Body::LinkRequest(LinkRequest { kind, period_s, time })
        }
        0x81 => {
            let result = reader.byte("a result")?;
            let times = [DateTime::long(reader)?, DateTime::long(reader)?, DateTime::long(reader)?];
            Body::LinkResponse(LinkResponse { result, times })
        }
        0x02 => Body::Connect(connect(reader)?),
        0x82 => Body::Connected(connected(reader)?),
        0x03 => Body::Release,
        0x83 => Body::Released(reader.byte("a result")?),
        0x84 => {
            let (began, ended) = (DateTime::short(reader)?, DateTime::short(reader)?);
            Body::ReleaseNotice { began, ended }
        }
        0x05 => return Ok(Get::read(kind, reader)?.map(Body::Get)),
        0x85 => return Ok(Got::read(kind, reader)?.map(Body::Got)),
        0x06 => return Ok(Change::read(kind, reader)?.map(Body::Set)),
        0x86 => return Ok(Changed::read(kind, reader)?.map(Body::SetDone)),
        0x07 => return Ok(Change::read(kind, reader)?.map(Body::Action)),
        0x87 => return Ok(Changed::read(kind, reader)?.map(Body::ActionDone)),
        0x88 if kind == 1 => Body::Reported(Report::Values(reader.counted()?)),
        0x88 if kind == 2 => Body::Reported(Report::Records(reader.counted()?)),
        0x08 if matches!(kind, 1 | 2) => Body::ReportTaken { kind, of: reader.counted()? },
        0x09 | 0x89 if matches!(kind, 1..=7) => {
            let bytes = reader.take(reader.rest().len(), "the rest")?;
            Body::Proxy { answer: service == 0x89, kind, bytes }
        }
        0x6E | 0xEE => Body::Unread(reader.byte("a reason")?),
        _ => return Ok(None),
    }))
}

fn limits(reader: &mut Reader<'_>) -> Result<Limits, Malformed> {
    let [a, b, c, d, window, e, f] = reader.array("limits of frames and APDUs")?;
    let [send, receive, apdu] = [[a, b], [c, d], [e, f]].map(u16::from_be_bytes);
    Ok(Limits { send, receive, window, apdu })
}

fn connect<'a>(reader: &mut Reader<'a>) -> Result<ConnectRequest<'a>, Malformed> {
    let version = u16::from_be_bytes(reader.array("the version of the protocol")?);
    let services = reader.array("the services wanted")?;
    let functions = reader.array("the functions wanted")?;
    let limits = limits(reader)?;
    let timeout_s = u32::from_be_bytes(reader.array("a time-out")?);
    let before = *reader;
    let authentication = match reader.byte("a kind of authentication")? {
        0 => Authentication::Public,
        1 => Authentication::Password(reader.octets()?),
        2 => Authentication::Symmetric(reader.octets()?, reader.octets()?),
        3 => Authentication::Signed(reader.octets()?, reader.octets()?),
        _ => return Err(before.malformed("a kind of authentication")),
    };
    Ok(ConnectRequest { version, services, functions, limits, timeout_s, authentication })
}

fn connected<'a>(reader: &mut Reader<'a>) -> Result<ConnectResponse<'a>, Malformed> {
    Ok(ConnectResponse {
        vendor_version: reader.array("the version of the vendor")?,
        version: u16::from_be_bytes(reader.array("the version of the protocol")?),
        services: reader.array("the services agreed to")?,
        functions: reader.array("the functions agreed to")?,
        limits: limits(reader)?,
        timeout_s: u32::from_be_bytes(reader.array("a time-out")?),
        result: reader.byte("a result")?,
        proof: optional(reader, |reader| Ok((reader.octets()?, reader.octets()?)))?,
    })
}

fn optional<'a, T>(
    reader: &mut Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, Malformed>,
) -> Result<Option<T>, Malformed> {
    let before = *reader;
    match reader.byte("whether something follows")? {
        0 => Ok(None),
        1 => read(reader).map(Some),
        _ => Err(before.malformed("whether something follows")),
    }
}

fn report<'a>(reader: &mut Reader<'a>) -> Result<Report<'a>, Malformed> {
    let before = *reader;
    match reader.byte("a kind of report")? {
        1 => Ok(Report::Values(reader.counted()?)),
        2 => Ok(Report::Records(reader.counted()?)),
        _ => Err(before.malformed("a kind of report")),
    }
}

fn time_tag(reader: &mut Reader<'_>) -> Result<TimeTag, Malformed> {
    let sent = DateTime::short(reader)?;
    let [unit, a, b] = reader.array("an interval")?;
    Ok(TimeTag { sent, delay: (unit, u16::from_be_bytes([a, b])) })
}

fn secured<'a>(answer: bool, reader: &mut Reader<'a>) -> Result<Secured<'a>, Malformed> {
    let before = *reader;
    let apdu = match reader.byte("a kind of wrap")? {
        0 => Protected::Plain(reader.octets()?),
        1 => Protected::Sealed(reader.octets()?),
        2 if answer => Protected::Refused(reader.byte("the reason of a refusal")?),
        _ => return Err(before.malformed("a kind of wrap")),
    };
    let before = *reader;
    let protection = if answer {
        optional(reader, |reader| {
            reader.skip(0, "a MAC")?;
            Ok(Protection::Mac(reader.octets()?))
        })?
        .unwrap_or(Protection::None)
    } else {
        let identifier = |reader: &mut Reader<'a>| -> Result<(u32, &'a [u8]), Malformed> {
            let id = u32::from_be_bytes(reader.array("a security identifier")?);
            Ok((id, reader.octets()?))
        };
        match reader.byte("a kind of protection")? {
            0 => {
                let (id, data) = identifier(reader)?;
                Protection::IdMac(id, data, reader.octets()?)
            }
            1 => Protection::Random(reader.octets()?),
            2 => Protection::RandomMac(reader.octets()?, reader.octets()?),
            3 => identifier(reader).map(|(id, data)| Protection::Id(id, data))?,
            _ => return Err(before.malformed("a kind of protection")),
        }
    };
    Ok(Secured { answer, apdu, protection })
}
