//! Modbus RTU frames: reading holding (03) and input (04) registers, writing one (06) and several
//! (10H), and exception replies.
//!
//! Invariant: a reply is decoded against the request that was asked, so its length is known and
//! never guessed; only a captured frame, of which nobody knows the question, is tried in every
//! shape with the CRC as judge.
//!
//! Not here: the silence between frames (the host's line), what a register means, coils, the other
//! functions, Modbus TCP.
//!
//! Sources: MODBUS Application Protocol V1.1b3 ("AP") and MODBUS over Serial Line V1.02 ("SL").

use crate::{Decoded, NoRoom};

/// AP 6.3 and 6.4: quantity of registers 1 to 125 (7DH).
pub const REGISTERS_READ_MAX: u16 = 125;
/// AP 6.12: quantity of registers 1 to 123 (7BH).
pub const REGISTERS_WRITTEN_MAX: u16 = 123;
/// SL 2.5.1: an RTU frame has at most 256 bytes.
pub const FRAME_BYTES_MAX: usize = 256;
/// SL 2.2: devices are 1 to 247; 0 is the broadcast, 248 to 255 are reserved.
pub const UNIT_MAX: u8 = 247;

/// AP 6.3, 6.4, 6.6 and 6.12.
pub const READ_HOLDING: u8 = 0x03;
pub const READ_INPUT: u8 = 0x04;
pub const WRITE_SINGLE: u8 = 0x06;
pub const WRITE_MULTIPLE: u8 = 0x10;
/// AP 7: a reply with this bit set in its function code is an exception.
const EXCEPTION: u8 = 0x80;

/// Unit, function, exception code and CRC (AP 7).
const EXCEPTION_BYTES: usize = 5;
/// Unit, function, two words and CRC: read requests, single writes, replies to multiple writes.
const TWO_WORD_BYTES: usize = 8;
/// Unit, function, byte count and CRC, around the registers of a read reply.
const READ_REPLY_BYTES: usize = 5;
/// Unit, function, start, count, byte count and CRC, around the registers of a multiple write.
const WRITE_REQUEST_BYTES: usize = 9;

/// The address of one device on a serial line, 1 to 247.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit(u8);

impl Unit {
    /// `None` for the broadcast, which nobody answers, and for reserved addresses.
    pub fn new(unit: u8) -> Option<Self> {
        (1..=UNIT_MAX).contains(&unit).then_some(Self(unit))
    }

    pub fn get(self) -> u8 {
        self.0
    }
}

/// Whole registers as they stand on the wire: 16 bits each, high byte first (AP 4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registers<'a>(&'a [u8]);

impl<'a> Registers<'a> {
    /// `None` for half a register, and for more registers than any frame holds.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let fits = bytes.len() <= usize::from(REGISTERS_READ_MAX).saturating_mul(2);
        (fits && bytes.len().is_multiple_of(2)).then_some(Self(bytes))
    }

    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    pub fn count(self) -> u16 {
        u16::try_from(self.0.len() / 2).unwrap_or(REGISTERS_READ_MAX)
    }
}

/// What a master asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    ReadHolding { start: u16, count: u16 },
    ReadInput { start: u16, count: u16 },
    WriteSingle { register: u16, value: u16 },
    WriteMultiple { start: u16, values: Registers<'a> },
}

/// What a device answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply<'a> {
    /// To a read, by function 03 or 04.
    Read {
        function: u8,
        values: Registers<'a>,
    },
    WroteSingle {
        register: u16,
        value: u16,
    },
    WroteMultiple {
        start: u16,
        count: u16,
    },
    /// The device's no: the function it was asked, and why not (AP 7, table of exception codes).
    Exception {
        function: u8,
        code: u8,
    },
}

/// One captured frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Captured<'a> {
    Request(Request<'a>),
    Reply(Reply<'a>),
    /// A single write and the echo that answers it are the same bytes (AP 6.6).
    SingleWrite {
        register: u16,
        value: u16,
    },
}

/// A frame: whose it is, and what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adu<P> {
    pub unit: u8,
    pub pdu: P,
}

/// A request that the specification does not allow, or that its buffer does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unencodable {
    /// Not 1 to `max` registers.
    Count {
        count: u16,
        max: u16,
    },
    /// Runs past register FFFFH.
    PastEnd {
        start: u16,
        count: u16,
    },
    Room(NoRoom),
}

impl core::fmt::Display for Unencodable {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Count { count, max } => write!(f, "{count} registers are not 1 to {max}"),
            Self::PastEnd { start, count } => {
                write!(f, "{count} registers from {start:04X}H run past FFFFH")
            }
            Self::Room(_) => f.write_str("the buffer is too short"),
        }
    }
}

impl core::error::Error for Unencodable {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Room(source) => Some(source),
            Self::Count { .. } | Self::PastEnd { .. } => None,
        }
    }
}

/// Why an intact reply is not the answer to what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mismatch {
    Unit { asked: u8, came: u8 },
    Function { asked: u8, came: u8 },
    Count { asked: u16, came: u16 },
    Echo,
}

impl core::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Unit { asked, came } => write!(f, "asked unit {asked}, unit {came} replied"),
            Self::Function { asked, came } => {
                write!(f, "asked by function {asked:02X}H, the reply is of {came:02X}H")
            }
            Self::Count { asked, came } => {
                write!(f, "asked for {asked} registers, {came} came")
            }
            Self::Echo => f.write_str("the reply echoes another write"),
        }
    }
}

impl core::error::Error for Mismatch {}

impl Request<'_> {
    pub fn function(&self) -> u8 {
        match self {
            Self::ReadHolding { .. } => READ_HOLDING,
            Self::ReadInput { .. } => READ_INPUT,
            Self::WriteSingle { .. } => WRITE_SINGLE,
            Self::WriteMultiple { .. } => WRITE_MULTIPLE,
        }
    }

    /// Bytes of the reply that says yes, CRC included. An exception takes 5.
    pub fn reply_bytes(&self) -> usize {
        match self {
            Self::ReadHolding { count, .. } | Self::ReadInput { count, .. } => {
                READ_REPLY_BYTES.saturating_add(usize::from(*count).saturating_mul(2))
            }
            Self::WriteSingle { .. } | Self::WriteMultiple { .. } => TWO_WORD_BYTES,
        }
    }

    /// Writes the frame to the beginning of `out` and returns its length, at most
    /// [`FRAME_BYTES_MAX`].
    pub fn encode(&self, unit: Unit, out: &mut [u8]) -> Result<usize, Unencodable> {
        let (first, second) = match *self {
            Self::ReadHolding { start, count } | Self::ReadInput { start, count } => {
                in_range(start, count, REGISTERS_READ_MAX)?;
                (start, count)
            }
            Self::WriteSingle { register, value } => (register, value),
            Self::WriteMultiple { start, values } => {
                in_range(start, values.count(), REGISTERS_WRITTEN_MAX)?;
                (start, values.count())
            }
        };
        let [first_high, first_low] = first.to_be_bytes();
        let [second_high, second_low] = second.to_be_bytes();
        let head = [unit.0, self.function(), first_high, first_low, second_high, second_low];
        match self {
            Self::WriteMultiple { values, .. } => {
                // At most 246, by the check above.
                let byte_count = u8::try_from(values.0.len()).unwrap_or(u8::MAX);
                seal(head.iter().chain(&[byte_count]).chain(values.0), out)
            }
            Self::ReadHolding { .. } | Self::ReadInput { .. } | Self::WriteSingle { .. } => {
                seal(head.iter(), out)
            }
        }
    }

    /// Whether an intact reply is the answer of `unit` to this request: the unit, the function, the
    /// number of registers read, the echo of what was written. An exception answers its function.
    pub fn is_answered_by(&self, unit: Unit, reply: &Adu<Reply<'_>>) -> Result<(), Mismatch> {
        if reply.unit != unit.0 {
            return Err(Mismatch::Unit { asked: unit.0, came: reply.unit });
        }
        if reply.pdu.function() != self.function() {
            let (asked, came) = (self.function(), reply.pdu.function());
            return Err(Mismatch::Function { asked, came });
        }
        let echoes = match (*self, reply.pdu) {
            (
                Self::ReadHolding { count: asked, .. } | Self::ReadInput { count: asked, .. },
                Reply::Read { values, .. },
            ) => {
                let came = values.count();
                return if came == asked { Ok(()) } else { Err(Mismatch::Count { asked, came }) };
            }
            (
                Self::WriteSingle { register, value },
                Reply::WroteSingle { register: r, value: v },
            ) => (register, value) == (r, v),
            (Self::WriteMultiple { start, values }, Reply::WroteMultiple { start: s, count }) => {
                (start, values.count()) == (s, count)
            }
            (_, Reply::Exception { .. }) => true,
            // The functions are equal, so no other pair is left.
            (_, Reply::Read { .. } | Reply::WroteSingle { .. } | Reply::WroteMultiple { .. }) => {
                false
            }
        };
        if echoes { Ok(()) } else { Err(Mismatch::Echo) }
    }
}

impl Reply<'_> {
    /// The function that this answers, without the exception bit.
    pub fn function(&self) -> u8 {
        match *self {
            Self::Read { function, .. } | Self::Exception { function, .. } => function,
            Self::WroteSingle { .. } => WRITE_SINGLE,
            Self::WroteMultiple { .. } => WRITE_MULTIPLE,
        }
    }
}

/// CRC-16/MODBUS: polynomial 8005H reflected, preset FFFFH (SL 6.2.2). It stands on the wire low
/// byte first (SL 2.5.1.2).
pub fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xA001 } else { crc >> 1 }
        })
    })
}

/// A reply to `request`, of any unit. While the bytes may still become that reply, more are asked
/// for; an intact reply to another question is given out too, so that the caller can say what came
/// ([`Request::is_answered_by`]), but never waited for.
pub fn decode_reply<'a>(request: &Request<'_>, bytes: &'a [u8]) -> Decoded<Adu<Reply<'a>>> {
    resync(bytes, |bytes| reply_at(request, bytes))
}

/// A captured frame of which nobody knows the question. Where a request and a reply are both
/// possible, the CRC is the judge.
pub fn decode_captured(bytes: &[u8]) -> Decoded<Adu<Captured<'_>>> {
    resync(bytes, captured_at)
}

fn in_range(start: u16, count: u16, max: u16) -> Result<(), Unencodable> {
    if !(1..=max).contains(&count) {
        return Err(Unencodable::Count { count, max });
    }
    match start.checked_add(count.saturating_sub(1)) {
        Some(_) => Ok(()),
        None => Err(Unencodable::PastEnd { start, count }),
    }
}

fn seal<'b>(
    body: impl Iterator<Item = &'b u8> + Clone,
    out: &mut [u8],
) -> Result<usize, Unencodable> {
    let needed = body.clone().count().saturating_add(2);
    let Some((room, crc)) = out.get_mut(..needed).and_then(|out| out.split_last_chunk_mut()) else {
        return Err(Unencodable::Room(NoRoom { needed }));
    };
    for (to, from) in room.iter_mut().zip(body) {
        *to = *from;
    }
    *crc = crc16(room).to_le_bytes();
    Ok(needed)
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
