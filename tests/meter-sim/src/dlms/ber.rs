//! How an association is asked for and answered: AARQ and AARE in BER (IEC 62056-5-3, 9.4).

use super::data::{length, take_counted};

/// 2.16.756.5.8, the arc of DLMS.
const ARC: [u8; 5] = [0x60, 0x85, 0x74, 0x05, 0x08];
const CONTEXT: u8 = 1;
const MECHANISM: u8 = 2;

/// What an AARQ asks for.
#[derive(Debug, Default)]
pub struct Asked<'a> {
    /// 1 logical names, 3 the same ciphered.
    pub context: u8,
    pub title: Option<[u8; 8]>,
    /// 0 none, 1 low, 5 GMAC.
    pub mechanism: u8,
    /// A password, or a challenge.
    pub authentication: &'a [u8],
    /// The InitiateRequest, perhaps ciphered.
    pub proposal: &'a [u8],
}

/// An AARQ taken apart.
pub fn asked(apdu: &[u8]) -> Option<Asked<'_>> {
    let (mut fields, rest) = take_counted(apdu.strip_prefix(&[0x60])?)?;
    if !rest.is_empty() {
        return None;
    }
    let mut asked = Asked::default();
    while let Some((tag, after)) = fields.split_first() {
        let (content, rest) = take_counted(after)?;
        match tag {
            0xA1 => asked.context = oid(inner(0x06, content)?, CONTEXT)?,
            0xA6 => asked.title = Some(inner(0x04, content)?.try_into().ok()?),
            0x8B => asked.mechanism = oid(content, MECHANISM)?,
            0xAC => asked.authentication = inner(0x80, content)?,
            0xBE => asked.proposal = inner(0x04, content)?,
            _ => {}
        }
        fields = rest;
    }
    Some(asked)
}

fn inner(tag: u8, content: &[u8]) -> Option<&[u8]> {
    let (bytes, rest) = take_counted(content.strip_prefix(&[tag])?)?;
    rest.is_empty().then_some(bytes)
}

fn oid(bytes: &[u8], kind: u8) -> Option<u8> {
    match bytes.strip_prefix(&ARC)? {
        [found, last] if *found == kind => Some(*last),
        _ => None,
    }
}

/// The proposal in an InitiateRequest: conformance and the longest APDU that the client takes.
pub fn proposal(bytes: &[u8]) -> Option<([u8; 3], u16)> {
    // 01, no dedicated key, answers wanted, no quality, version 6, and the tag of the conformance.
    let rest = bytes.strip_prefix(&[0x01])?;
    let rest = optional(rest, |rest| take_counted(rest).map(|(_, rest)| rest))?;
    let rest = optional(rest, |rest| rest.get(1..))?;
    let rest = optional(rest, |rest| rest.get(1..))?;
    let rest = rest.strip_prefix(&[0x06, 0x5F, 0x1F, 0x04, 0x00])?;
    match rest {
        [a, b, c, high, low] => Some(([*a, *b, *c], u16::from_be_bytes([*high, *low]))),
        _ => None,
    }
}

/// What stands behind an optional field.
fn optional<'a>(
    bytes: &'a [u8],
    skip: impl FnOnce(&'a [u8]) -> Option<&'a [u8]>,
) -> Option<&'a [u8]> {
    match bytes.split_first()? {
        (0x00, rest) => Some(rest),
        (0x01, rest) => skip(rest),
        _ => None,
    }
}

/// What an AARE answers.
#[derive(Debug)]
pub struct Answered<'a> {
    pub context: u8,
    /// 0 accepted, 1 rejected for good.
    pub result: u8,
    /// 0 none, 1 no reason given, 2 context, 11 mechanism, 13 failure, 14 more is due.
    pub diagnostic: u8,
    pub title: Option<[u8; 8]>,
    /// The mechanism and the meter's challenge.
    pub challenge: Option<(u8, &'a [u8])>,
    /// An InitiateResponse, perhaps ciphered; none where it is rejected.
    pub agreed: &'a [u8],
}

impl Answered<'_> {
    pub fn bytes(&self) -> Vec<u8> {
        let oid = |kind, last| [&ARC[..], &[kind, last]].concat();
        let mut fields = field(0xA1, &field(0x06, &oid(CONTEXT, self.context)));
        fields.extend(field(0xA2, &field(0x02, &[self.result])));
        fields.extend(field(0xA3, &field(0xA1, &field(0x02, &[self.diagnostic]))));
        if let Some(title) = self.title {
            fields.extend(field(0xA4, &field(0x04, &title)));
        }
        if let Some((mechanism, challenge)) = self.challenge {
            fields.extend([0x88, 0x02, 0x07, 0x80]);
            fields.extend(field(0x89, &oid(MECHANISM, mechanism)));
            fields.extend(field(0xAA, &field(0x80, challenge)));
        }
        if !self.agreed.is_empty() {
            fields.extend(field(0xBE, &field(0x04, self.agreed)));
        }
        field(0x61, &fields)
    }
}

fn field(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag], length(content.len()).as_slice(), content].concat()
}

/// An InitiateResponse: version 6, what is agreed to, the longest APDU, logical names.
pub fn response(conformance: [u8; 3], apdu_max: u16) -> Vec<u8> {
    let [a, b, c] = conformance;
    let [high, low] = apdu_max.to_be_bytes();
    vec![0x08, 0x00, 0x06, 0x5F, 0x1F, 0x04, 0x00, a, b, c, high, low, 0x00, 0x07]
}
