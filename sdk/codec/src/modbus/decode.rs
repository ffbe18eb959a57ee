//! From bytes that came to frames: replies against their request, captured frames by trial.
//!
//! Invariant: at most one frame's worth of beginnings is looked at, so the work is bounded. Not here:
//! encoding, and whether a reply answers (the module above).

use super::{
    Adu, Captured, EXCEPTION, EXCEPTION_BYTES, FRAME_BYTES_MAX, READ_HOLDING, READ_INPUT,
    READ_REPLY_BYTES, REGISTERS_READ_MAX, REGISTERS_WRITTEN_MAX, Registers, Reply, Request,
    TWO_WORD_BYTES, WRITE_MULTIPLE, WRITE_REQUEST_BYTES, WRITE_SINGLE, crc16,
};
use crate::Decoded;

/// A reply to `request`, of any unit. While the bytes may still become that reply, more are asked
/// for; an intact reply to another question is given out too, so that the caller can say what came
/// ([`Request::is_answered_by`]), but never waited for.
///
/// ```
/// use polymeter_codec::Decoded;
/// use polymeter_codec::modbus::{Reply, Request, decode_reply};
///
/// let question = Request::WriteSingle { register: 0x0001, value: 0x0003 };
/// let echo = [0x11, 0x06, 0x00, 0x01, 0x00, 0x03, 0x9A, 0x9B];
/// let Decoded::Frame { frame, .. } = decode_reply(&question, &echo) else { panic!("whole") };
/// assert_eq!(frame.pdu, Reply::WroteSingle { register: 1, value: 3 });
/// assert_eq!(decode_reply(&question, &echo[..6]), Decoded::NeedMore { at_least: 8 });
/// ```
pub fn decode_reply<'a>(request: &Request<'_>, bytes: &'a [u8]) -> Decoded<Adu<Reply<'a>>> {
    resync(bytes, |bytes| reply_at(request, bytes))
}

/// A captured frame of which nobody knows the question. Where a request and a reply are both
/// possible, the CRC is the judge.
///
/// ```
/// use polymeter_codec::Decoded;
/// use polymeter_codec::modbus::{Captured, Request, decode_captured};
///
/// let heard = [0x01, 0x03, 0x00, 0x00, 0x00, 0x01, 0x84, 0x0A];
/// let Decoded::Frame { frame, .. } = decode_captured(&heard) else { panic!("a whole frame") };
/// assert_eq!(frame.pdu, Captured::Request(Request::ReadHolding { start: 0, count: 1 }));
/// ```
pub fn decode_captured(bytes: &[u8]) -> Decoded<Adu<Captured<'_>>> {
    resync(bytes, captured_at)
}

/// Decodes at the first byte; where nothing can begin there, says how far off the next possible
/// beginning is. Looks at no more than one frame's worth of beginnings, so the work is bounded.
fn resync<'a, T>(bytes: &'a [u8], at: impl Fn(&'a [u8]) -> Decoded<T>) -> Decoded<T> {
    let answer = at(bytes);
    if !matches!(answer, Decoded::Garbled { .. }) {
        return answer;
    }
    let begins = |skip: &usize| {
        bytes.get(*skip..).is_some_and(|rest| !matches!(at(rest), Decoded::Garbled { .. }))
    };
    let limit = bytes.len().min(FRAME_BYTES_MAX);
    Decoded::Garbled { skip: (1..limit).find(begins).unwrap_or(limit) }
}

/// Not the beginning of a frame.
const NOT_HERE: usize = 1;

fn reply_at<'a>(request: &Request<'_>, bytes: &'a [u8]) -> Decoded<Adu<Reply<'a>>> {
    let asked = request.function();
    let expected = match *bytes {
        [] | [_] => return Decoded::NeedMore { at_least: EXCEPTION_BYTES },
        [_, function, ..] if function == asked | EXCEPTION => EXCEPTION_BYTES,
        [_, function] if function == asked => {
            return Decoded::NeedMore { at_least: EXCEPTION_BYTES };
        }
        [_, function, third, ..] if function == asked && reads(asked) => {
            let length = READ_REPLY_BYTES.saturating_add(usize::from(third));
            if length == request.reply_bytes() { length } else { 0 }
        }
        [_, function, ..] if function == asked => TWO_WORD_BYTES,
        _ => 0,
    };
    match (sealed_reply(bytes), bytes.len() < expected) {
        // Another question's reply has to be whole already: nobody waits for it.
        (Decoded::NeedMore { .. }, false) => Decoded::Garbled { skip: NOT_HERE },
        (answer, _) => answer,
    }
}

fn reads(function: u8) -> bool {
    matches!(function, READ_HOLDING | READ_INPUT)
}

/// A reply by its own account of its length.
fn sealed_reply(bytes: &[u8]) -> Decoded<Adu<Reply<'_>>> {
    let [_, function, ..] = *bytes else {
        return Decoded::NeedMore { at_least: EXCEPTION_BYTES };
    };
    match (function, bytes.get(2)) {
        (READ_HOLDING | READ_INPUT, None) => Decoded::NeedMore { at_least: EXCEPTION_BYTES },
        (READ_HOLDING | READ_INPUT, Some(byte_count)) => {
            if *byte_count == 0 || !byte_count.is_multiple_of(2) {
                return Decoded::Garbled { skip: NOT_HERE };
            }
            let length = READ_REPLY_BYTES.saturating_add(usize::from(*byte_count));
            unseal(bytes, length, |body| {
                let values = Registers::new(body.get(3..)?)?;
                Some(Reply::Read { function, values })
            })
        }
        (WRITE_SINGLE, _) => unseal(bytes, TWO_WORD_BYTES, |body| {
            let (register, value) = two_words(body)?;
            Some(Reply::WroteSingle { register, value })
        }),
        (WRITE_MULTIPLE, _) => unseal(bytes, TWO_WORD_BYTES, |body| {
            let (start, count) = two_words(body)?;
            let possible = (1..=REGISTERS_WRITTEN_MAX).contains(&count);
            possible.then_some(Reply::WroteMultiple { start, count })
        }),
        (function, _) if function > EXCEPTION => unseal(bytes, EXCEPTION_BYTES, |body| {
            let [_, function, code] = *body else { return None };
            Some(Reply::Exception { function: function & !EXCEPTION, code })
        }),
        _ => Decoded::Garbled { skip: NOT_HERE },
    }
}

/// A request by its own account of its length. Single writes are left to the caller, who cannot
/// tell them from their echo.
fn sealed_request(bytes: &[u8]) -> Decoded<Adu<Request<'_>>> {
    let [_, function, ..] = *bytes else {
        return Decoded::NeedMore { at_least: TWO_WORD_BYTES };
    };
    match function {
        READ_HOLDING | READ_INPUT => unseal(bytes, TWO_WORD_BYTES, |body| {
            let (start, count) = two_words(body)?;
            let possible = (1..=REGISTERS_READ_MAX).contains(&count);
            possible.then_some(if function == READ_HOLDING {
                Request::ReadHolding { start, count }
            } else {
                Request::ReadInput { start, count }
            })
        }),
        WRITE_MULTIPLE => {
            let Some(byte_count) = bytes.get(6) else {
                return Decoded::NeedMore { at_least: WRITE_REQUEST_BYTES };
            };
            let length = WRITE_REQUEST_BYTES.saturating_add(usize::from(*byte_count));
            unseal(bytes, length, |body| {
                let (head, values) = body.split_at_checked(7)?;
                let (start, count) = two_words(head.get(..6)?)?;
                let values = Registers::new(values)?;
                let possible = (1..=REGISTERS_WRITTEN_MAX).contains(&count);
                let agrees = possible && values.count() == count;
                agrees.then_some(Request::WriteMultiple { start, values })
            })
        }
        _ => Decoded::Garbled { skip: NOT_HERE },
    }
}

fn captured_at(bytes: &[u8]) -> Decoded<Adu<Captured<'_>>> {
    let request = wrap(sealed_request(bytes), Captured::Request);
    if let Decoded::Frame { .. } = request {
        return request;
    }
    let reply = wrap(sealed_reply(bytes), |reply| match reply {
        Reply::WroteSingle { register, value } => Captured::SingleWrite { register, value },
        Reply::Read { .. } | Reply::WroteMultiple { .. } | Reply::Exception { .. } => {
            Captured::Reply(reply)
        }
    });
    match (&reply, &request) {
        (Decoded::Frame { .. }, _) | (_, Decoded::Garbled { .. }) => reply,
        (Decoded::Garbled { .. }, _) => request,
        (Decoded::NeedMore { at_least: one }, Decoded::NeedMore { at_least: other }) => {
            Decoded::NeedMore { at_least: *one.min(other) }
        }
        (Decoded::NeedMore { .. }, Decoded::Frame { .. }) => request,
    }
}

fn wrap<P, Q>(decoded: Decoded<Adu<P>>, pdu: impl Fn(P) -> Q) -> Decoded<Adu<Q>> {
    match decoded {
        Decoded::Frame { frame, used } => {
            Decoded::Frame { frame: Adu { unit: frame.unit, pdu: pdu(frame.pdu) }, used }
        }
        Decoded::NeedMore { at_least } => Decoded::NeedMore { at_least },
        Decoded::Garbled { skip } => Decoded::Garbled { skip },
    }
}

/// Checks the CRC of the first `length` bytes and lets `parse` read what stands before it, from the
/// unit on.
fn unseal<'a, P>(
    bytes: &'a [u8],
    length: usize,
    parse: impl Fn(&'a [u8]) -> Option<P>,
) -> Decoded<Adu<P>> {
    if length > FRAME_BYTES_MAX {
        return Decoded::Garbled { skip: NOT_HERE };
    }
    let Some(frame) = bytes.get(..length) else {
        return Decoded::NeedMore { at_least: length };
    };
    let sealed = frame.split_last_chunk().filter(|(body, crc)| crc16(body).to_le_bytes() == **crc);
    match sealed.and_then(|(body, _)| Some((*body.first()?, parse(body)?))) {
        Some((unit, pdu)) => Decoded::Frame { frame: Adu { unit, pdu }, used: length },
        None => Decoded::Garbled { skip: NOT_HERE },
    }
}

/// The two words after unit and function, where nothing else follows.
fn two_words(body: &[u8]) -> Option<(u16, u16)> {
    let [_, _, a, b, c, d] = *body else { return None };
    Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
}
