//! Frames: the wrapper over TCP (IEC 62056-47) and HDLC of type 3 (IEC 62056-46). What an APDU says
//! is not read here.

use crate::device::Scan;
use crate::fault::{FaultKind, Parts, spoil};

/// One frame to a meter.
#[derive(Debug, Clone, Copy)]
pub enum Request<'a> {
    Wrapped { client: u16, device: u16, apdu: &'a [u8] },
    Hdlc(Frame<'a>),
}

/// An HDLC frame to a meter.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// The meter's address as it stands in the frame: 1, 2 or 4 bytes.
    pub server: &'a [u8],
    pub client: u8,
    /// Without the poll bit.
    pub control: u8,
    /// The information goes on in the next frame.
    pub segmented: bool,
    pub information: &'a [u8],
}

impl Frame<'_> {
    /// The logical device, and the physical one where the address has it.
    pub fn device(&self) -> Option<(u16, Option<u16>)> {
        let pair = |high: u8, low: u8| u16::from(high >> 1) << 7 | u16::from(low >> 1);
        match *self.server {
            [a] => Some((u16::from(a >> 1), None)),
            [a, b] => Some((u16::from(a >> 1), Some(u16::from(b >> 1)))),
            [a, b, c, d] => Some((pair(a, b), Some(pair(c, d)))),
            _ => None,
        }
    }

    /// The answer to this frame: addresses turned round, the final bit set.
    pub fn answer(&self, control: u8, segmented: bool, information: &[u8]) -> Vec<u8> {
        let head = [&[self.client << 1 | 1], self.server, &[control | POLL]].concat();
        let checked = if information.is_empty() { 0 } else { 2 + information.len() };
        let length = u16::try_from(2 + head.len() + checked + 2).unwrap_or(LENGTH) & LENGTH;
        let format = FORMAT | length | if segmented { SEGMENTED } else { 0 };
        let mut frame = [&[FLAG], &format.to_be_bytes()[..], &head].concat();
        if !information.is_empty() {
            frame.extend([0, 0]);
            frame.extend(information);
        }
        frame.extend([0, 0, FLAG]);
        seal_hdlc(&mut frame);
        frame
    }
}

const FLAG: u8 = 0x7E;
const FORMAT: u16 = 0xA000;
const SEGMENTED: u16 = 0x0800;
const LENGTH: u16 = 0x07FF;
const POLL: u8 = 0x10;
/// Format, two addresses of one byte, control, FCS.
const LENGTH_MIN: usize = 7;
/// The wrapper's version, two ports and a length.
const HEADER: usize = 8;

/// The first whole frame of a wrapper.
pub fn scan_wrapped(buffer: &[u8]) -> Scan {
    if buffer.iter().zip([0x00, 0x01]).any(|(byte, version)| *byte != version) {
        let next = buffer.iter().skip(1).position(|byte| *byte == 0);
        return Scan::Skip(next.map_or(buffer.len(), |distance| distance + 1));
    }
    let Some([.., high, low]) = buffer.first_chunk::<HEADER>() else { return Scan::NeedMore };
    let end = HEADER + usize::from(u16::from_be_bytes([*high, *low]));
    if buffer.len() < end { Scan::NeedMore } else { Scan::Frame { start: 0, end } }
}

pub fn parse_wrapped(frame: &[u8]) -> Option<Request<'_>> {
    let ([_, _, a, b, c, d, _, _], apdu) = frame.split_first_chunk::<HEADER>()?;
    let [client, device] = [[*a, *b], [*c, *d]].map(u16::from_be_bytes);
    Some(Request::Wrapped { client, device, apdu })
}

/// An APDU from a device to a client.
pub fn wrapped(device: u16, client: u16, apdu: &[u8]) -> Vec<u8> {
    let length = u16::try_from(apdu.len()).unwrap_or(u16::MAX);
    let head = [1, device, client, length].map(u16::to_be_bytes);
    [head.as_flattened(), apdu].concat()
}

/// The first whole frame between two flags whose check is right.
pub fn scan_hdlc(buffer: &[u8]) -> Scan {
    for start in 0..buffer.len() {
        let rest = buffer.get(start..).unwrap_or_default();
        if let Some(length) = whole(rest) {
            return Scan::Frame { start, end: start + length };
        }
    }
    Scan::NeedMore
}

fn whole(bytes: &[u8]) -> Option<usize> {
    let [FLAG, high, low, ..] = bytes else { return None };
    let format = u16::from_be_bytes([*high, *low]);
    let length = usize::from(format & LENGTH);
    if format & 0xF000 != FORMAT || length < LENGTH_MIN {
        return None;
    }
    let frame = bytes.get(..length + 2)?;
    let (checked, rest) = frame.get(1..)?.split_at_checked(length - 2)?;
    let good = rest.first_chunk() == Some(&check(checked)) && rest.last() == Some(&FLAG);
    good.then_some(frame.len())
}

/// A frame that [`scan_hdlc`] found; none where the check of its head is wrong.
pub fn parse_hdlc(frame: &[u8]) -> Option<Request<'_>> {
    let [FLAG, high, .., _, _, FLAG] = frame else { return None };
    let body = frame.get(1..frame.len().checked_sub(3)?)?;
    let rest = body.get(2..)?;
    let (server, rest) = rest.split_at_checked(address_bytes(rest)?)?;
    let (&client, rest) = rest.split_first().filter(|(client, _)| **client & 1 == 1)?;
    let (&control, rest) = rest.split_first()?;
    let information = match rest.split_first_chunk::<2>() {
        Some((head_check, information)) => {
            let head = body.get(..body.len() - rest.len())?;
            (*head_check == check(head)).then_some(information)?
        }
        None => &[],
    };
    Some(Request::Hdlc(Frame {
        server,
        client: client >> 1,
        control: control & !POLL,
        segmented: high & 0x08 != 0,
        information,
    }))
}

/// An address ends with the first odd byte.
fn address_bytes(bytes: &[u8]) -> Option<usize> {
    let last = bytes.iter().take(4).position(|byte| byte & 1 == 1)?;
    matches!(last, 0 | 1 | 3).then_some(last + 1)
}

/// Puts a scripted fault into an answer. Another meter's address is another logical device: adding
/// one, as other protocols have it, would end an address where it does not end.
pub fn spoil_hdlc(reply: &mut Vec<u8>, fault: &FaultKind) {
    if let (FaultKind::ReplyFromOtherMeter, Some(logical)) = (fault, reply.get_mut(4)) {
        *logical ^= 0x02;
        return seal_hdlc(reply);
    }
    let server = address_bytes(reply.get(4..).unwrap_or_default()).unwrap_or(1);
    let control = 4 + server;
    // Both checks and a flag, and LLC and the head of an APDU before the values.
    let data = control + 9..reply.len().saturating_sub(3);
    let parts =
        Parts { start: 0, address: 4, function: control, data, offset: 0, seal: &seal_hdlc };
    spoil(reply, fault, &parts);
}

/// Puts both checks of an answer right.
fn seal_hdlc(frame: &mut [u8]) {
    let end = frame.len().saturating_sub(3);
    // Flag, format, the client's byte, the server's address, control.
    let server = address_bytes(frame.get(4..).unwrap_or_default()).unwrap_or(1);
    let head = 5 + server;
    if head + 2 < end {
        let head_check = check(frame.get(1..head).unwrap_or_default());
        if let Some(place) = frame.get_mut(head..head + 2) {
            place.copy_from_slice(&head_check);
        }
    }
    let whole_check = check(frame.get(1..end).unwrap_or_default());
    if let Some(place) = frame.get_mut(end..end + 2) {
        place.copy_from_slice(&whole_check);
    }
}

/// CRC-16 of ISO/IEC 13239 by long division, low byte first.
fn check(bytes: &[u8]) -> [u8; 2] {
    let mut register = 0xFFFF_u16;
    for byte in bytes {
        register ^= u16::from(*byte);
        for _ in 0..8 {
            let carry = register & 1 == 1;
            register >>= 1;
            if carry {
                register ^= 0x8408;
            }
        }
    }
    (!register).to_le_bytes()
}
