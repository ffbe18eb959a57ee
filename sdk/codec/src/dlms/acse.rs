//! Opening and closing an association (IEC 62056-5-3, 9.4): AARQ, AARE, RLRQ and RLRE in BER, and
//! what of DLMS is proposed and agreed to in them.

use super::Ciphered;
use super::service::optional;
use crate::axdr::{Malformed, Reader, Writer};
use crate::{NoRoom, Obis};

/// Application contexts and mechanisms are 2.16.756.5.8.x.y; this is all but the last two.
const OID: [u8; 5] = [0x60, 0x85, 0x74, 0x05, 0x08];

/// A message of the association itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Association<'a> {
    /// 1 logical names, 2 short names, 3 and 4 the same with ciphering; none where not said.
    pub context: Option<u8>,
    /// The system title of whoever sends it.
    pub title: Option<&'a [u8]>,
    /// 0 none, 1 low (password), 2 high, 3 MD5, 4 SHA-1, 5 GMAC, 6 SHA-256, 7 ECDSA.
    pub mechanism: Option<u8>,
    /// A password, or a challenge.
    pub authentication: Option<&'a [u8]>,
    /// AARE: 0 accepted, 1 rejected for good, 2 for now.
    pub result: Option<u8>,
    /// AARE: why; 0 for no reason, 1 none given, 2 context, 11 mechanism, 13 failure, 14 more of
    /// the authentication is due.
    pub diagnostic: Option<u8>,
    /// RLRQ, RLRE: 0 normal.
    pub reason: Option<u8>,
    /// What of DLMS is proposed or agreed to.
    pub user: Option<User<'a>>,
}

/// What of DLMS is proposed or agreed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum User<'a> {
    /// 01: proposed.
    Request(InitiateRequest<'a>),
    /// 08: agreed to.
    Response(InitiateResponse),
    /// 0E: not agreed to: which service, which kind of error, which error.
    Refused([u8; 3]),
    /// Either under a key.
    Ciphered(Ciphered<'a>),
}

/// What a client proposes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InitiateRequest<'a> {
    /// A key for this association alone.
    pub dedicated_key: Option<&'a [u8]>,
    /// Whether it wants answers.
    pub response_allowed: bool,
    /// Hardly used.
    pub quality: Option<u8>,
    /// 6.
    pub version: u8,
    /// Which services, 24 bits, the first in the top bit of the first byte.
    pub conformance: [u8; 3],
    /// The longest APDU that it takes; 0 for no limit.
    pub apdu_max: u16,
}

/// What a server agrees to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InitiateResponse {
    /// Hardly used.
    pub quality: Option<u8>,
    /// 6.
    pub version: u8,
    /// Which services.
    pub conformance: [u8; 3],
    /// The longest APDU that it takes.
    pub apdu_max: u16,
    /// 0007 with logical names.
    pub vaa_name: u16,
}

/// Bit strings of 24 bits are written so: application tag 31, length 4, no unused bits.
const CONFORMANCE: [u8; 4] = [0x5F, 0x1F, 0x04, 0x00];

impl<'a> InitiateRequest<'a> {
    /// Behind the tag 01.
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<InitiateRequest<'a>, Malformed> {
        let dedicated_key = optional(reader, |reader| reader.octets())?;
        let allowed = |reader: &mut Reader<'a>| reader.byte("whether answers are wanted");
        let response_allowed = optional(reader, allowed)?.is_none_or(|yes| yes != 0);
        let quality = optional(reader, |reader| reader.byte("a quality of service"))?;
        let (version, conformance, apdu_max) = agreed(reader)?;
        Ok(InitiateRequest {
            dedicated_key,
            response_allowed,
            quality,
            version,
            conformance,
            apdu_max,
        })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.byte(0x01);
        match self.dedicated_key {
            Some(key) => {
                writer.byte(1);
                writer.octets(key);
            }
            None => writer.byte(0),
        }
        writer.bytes(if self.response_allowed { &[0] } else { &[1, 0] });
        match self.quality {
            Some(quality) => writer.bytes(&[1, quality]),
            None => writer.byte(0),
        }
        writer.byte(self.version);
        writer.bytes(&CONFORMANCE);
        writer.bytes(&self.conformance);
        writer.bytes(&self.apdu_max.to_be_bytes());
    }

    /// Writes it with its tag; returns its length. This is what is ciphered, too.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, NoRoom> {
        let mut writer = Writer::new(out);
        self.write(&mut writer);
        writer.finish()
    }
}

impl InitiateResponse {
    /// Behind the tag 08.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<InitiateResponse, Malformed> {
        let quality = optional(reader, |reader| reader.byte("a quality of service"))?;
        let (version, conformance, apdu_max) = agreed(reader)?;
        let vaa_name = u16::from_be_bytes(reader.array("a VAA name")?);
        Ok(InitiateResponse { quality, version, conformance, apdu_max, vaa_name })
    }
}

fn agreed(reader: &mut Reader<'_>) -> Result<(u8, [u8; 3], u16), Malformed> {
    let version = reader.byte("the version of DLMS")?;
    for byte in CONFORMANCE {
        reader.skip(byte, "a conformance block of 24 bits")?;
    }
    let conformance = reader.array("a conformance block of 24 bits")?;
    Ok((version, conformance, u16::from_be_bytes(reader.array("the longest APDU")?)))
}

impl<'a> Association<'a> {
    /// Nothing said.
    pub const EMPTY: Association<'static> = Association {
        context: None,
        title: None,
        mechanism: None,
        authentication: None,
        result: None,
        diagnostic: None,
        reason: None,
        user: None,
    };

    /// Behind the tag 60H to 63H. Fields that nobody needs are passed over, as BER lets one.
    pub(super) fn read(tag: u8, reader: &mut Reader<'a>) -> Result<Association<'a>, Malformed> {
        let length = reader.length()?;
        if length != reader.rest().len() {
            return Err(reader.malformed("as many bytes as their length says"));
        }
        let mut association = Association::EMPTY;
        while !reader.rest().is_empty() {
            let field = reader.byte("a field")?;
            let length = reader.length()?;
            let end = reader.rest().len().checked_sub(length);
            let end = end.ok_or(reader.malformed("as many bytes as their length says"))?;
            match (field, tag) {
                (0xA1, 0x60 | 0x61) => association.context = Some(oid(reader, 0x06, 1)?),
                (0xA2, 0x61) => association.result = Some(short(reader)?),
                (0xA3, 0x61) => association.diagnostic = Some(diagnostic(reader)?),
                (0xA6, 0x60) | (0xA4, 0x61) => association.title = Some(within(reader, 0x04)?),
                (0x8B, 0x60) | (0x89, 0x61) => {
                    association.mechanism = Some(last_of_oid(reader, 2)?);
                }
                (0xAC, 0x60) | (0xAA, 0x61) => {
                    association.authentication = Some(within(reader, 0x80)?);
                }
                (0x80, 0x62 | 0x63) => association.reason = Some(reader.byte("a reason")?),
                (0xBE, _) => association.user = Some(user(reader)?),
                _ => drop(reader.take(length, "a field")?),
            }
            if reader.rest().len() != end {
                return Err(reader.malformed("the end of a field"));
            }
        }
        Ok(association)
    }
}

/// A field within a field, by its tag: its bytes.
fn within<'a>(reader: &mut Reader<'a>, tag: u8) -> Result<&'a [u8], Malformed> {
    reader.skip(tag, "the field that belongs here")?;
    reader.octets()
}

/// 02 01 and a byte.
fn short(reader: &mut Reader<'_>) -> Result<u8, Malformed> {
    reader.skip(0x02, "a number")?;
    reader.skip(0x01, "a number of one byte")?;
    reader.byte("a number of one byte")
}

/// A1 of the user or A2 of the provider, and in it a number.
fn diagnostic(reader: &mut Reader<'_>) -> Result<u8, Malformed> {
    let before = *reader;
    match reader.byte("a source of a diagnostic")? {
        0xA1 | 0xA2 => {}
        _ => return Err(before.malformed("a source of a diagnostic")),
    }
    reader.skip(0x03, "a number")?;
    short(reader)
}

/// An object identifier within a field.
fn oid(reader: &mut Reader<'_>, tag: u8, kind: u8) -> Result<u8, Malformed> {
    reader.skip(tag, "an object identifier")?;
    reader.skip(0x07, "an object identifier of 7 bytes")?;
    last_of_oid(reader, kind)
}

fn last_of_oid(reader: &mut Reader<'_>, kind: u8) -> Result<u8, Malformed> {
    for byte in OID.into_iter().chain([kind]) {
        reader.skip(byte, "an object identifier of DLMS")?;
    }
    reader.byte("an object identifier of DLMS")
}

fn user<'a>(reader: &mut Reader<'a>) -> Result<User<'a>, Malformed> {
    reader.skip(0x04, "user information")?;
    let length = reader.length()?;
    let before = *reader;
    let end = reader.rest().len().checked_sub(length);
    let user = match reader.byte("what is proposed")? {
        0x01 => User::Request(InitiateRequest::read(reader)?),
        0x08 => User::Response(InitiateResponse::read(reader)?),
        0x0E => User::Refused(reader.array("an error")?),
        tag if Ciphered::is_tag(tag) => User::Ciphered(Ciphered::read(tag, reader)?),
        _ => return Err(before.malformed("what is proposed")),
    };
    if Some(reader.rest().len()) != end {
        return Err(reader.malformed("the end of the user information"));
    }
    Ok(user)
}

/// AARQ: what a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open<'a> {
    /// 1 logical names, 3 the same with ciphering.
    pub context: u8,
    /// The client's system title; wanted with ciphering and high security.
    pub title: Option<[u8; 8]>,
    /// Mechanism, and a password or a challenge.
    pub authentication: Option<(u8, &'a [u8])>,
    /// The proposal, in the clear or ciphered, as an APDU.
    pub proposal: &'a [u8],
}

impl Open<'_> {
    /// Writes the AARQ; returns its length.
    ///
    /// ```
    /// use polymeter_codec::dlms::acse::{InitiateRequest, Open};
    ///
    /// let proposal = InitiateRequest {
    ///     dedicated_key: None,
    ///     response_allowed: true,
    ///     quality: None,
    ///     version: 6,
    ///     conformance: [0x00, 0x1E, 0x1D],
    ///     apdu_max: 0xFFFF,
    /// };
    /// let mut initiate = [0; 32];
    /// let length = proposal.encode(&mut initiate)?;
    /// let open =
    ///     Open { context: 1, title: None, authentication: None, proposal: &initiate[..length] };
    /// let mut aarq = [0; 64];
    /// let length = open.encode(&mut aarq)?;
    /// assert_eq!(aarq[..2], [0x60, 0x1D]);
    /// assert_eq!(length, 0x1D + 2);
    /// # Ok::<(), polymeter_codec::NoRoom>(())
    /// ```
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, NoRoom> {
        let mut content = [0; 512];
        let mut writer = Writer::new(&mut content);
        let oid = |writer: &mut Writer<'_>, kind: u8, last: u8| {
            writer.byte(0x07);
            writer.bytes(&OID);
            writer.bytes(&[kind, last]);
        };
        writer.bytes(&[0xA1, 0x09, 0x06]);
        oid(&mut writer, 1, self.context);
        if let Some(title) = self.title {
            writer.bytes(&[0xA6, 0x0A, 0x04, 0x08]);
            writer.bytes(&title);
        }
        if let Some((mechanism, value)) = self.authentication {
            // The requirement of authentication: a bit string of one bit.
            writer.bytes(&[0x8A, 0x02, 0x07, 0x80, 0x8B]);
            oid(&mut writer, 2, mechanism);
            nested(&mut writer, 0xAC, 0x80, value);
        }
        nested(&mut writer, 0xBE, 0x04, self.proposal);
        let length = writer.finish()?;
        let mut writer = Writer::new(out);
        writer.byte(0x60);
        writer.octets(content.get(..length).unwrap_or_default());
        writer.finish()
    }
}

/// A field in which another one stands alone.
fn nested(writer: &mut Writer<'_>, outer: u8, inner: u8, bytes: &[u8]) {
    let head = match bytes.len() {
        0..=0x7F => 2,
        0x80..=0xFF => 3,
        _ => 4,
    };
    writer.byte(outer);
    writer.length(bytes.len().saturating_add(head));
    writer.byte(inner);
    writer.octets(bytes);
}

/// The object of the association that a client is in; its method 1 answers a challenge.
pub const CURRENT_ASSOCIATION: Obis = Obis([0, 0, 40, 0, 0, 255]);
