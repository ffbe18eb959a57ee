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
//!
//! ```
//! use polymeter_codec::Decoded;
//! use polymeter_codec::modbus::{FRAME_BYTES_MAX, Reply, Request, Unit, decode_reply};
//!
//! let unit = Unit::new(1).expect("a device's address");
//! let question = Request::ReadHolding { start: 0x0000, count: 1 };
//! let mut bytes = [0; FRAME_BYTES_MAX];
//! let length = question.encode(unit, &mut bytes)?;
//! assert_eq!(bytes[..length], [0x01, 0x03, 0x00, 0x00, 0x00, 0x01, 0x84, 0x0A]);
//!
//! let heard = [0x01, 0x03, 0x02, 0x12, 0x34, 0xB5, 0x33];
//! let Decoded::Frame { frame, used } = decode_reply(&question, &heard) else { panic!("whole") };
//! assert_eq!(used, question.reply_bytes());
//! question.is_answered_by(unit, &frame)?;
//! let Reply::Read { values, .. } = frame.pdu else { panic!("a yes") };
//! assert_eq!(values.bytes(), [0x12, 0x34]);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod decode;

pub use decode::{decode_captured, decode_reply};

use crate::NoRoom;

/// AP 6.3 and 6.4: quantity of registers 1 to 125 (7DH).
pub const REGISTERS_READ_MAX: u16 = 125;
/// AP 6.12: quantity of registers 1 to 123 (7BH).
pub const REGISTERS_WRITTEN_MAX: u16 = 123;
/// SL 2.5.1: an RTU frame has at most 256 bytes.
pub const FRAME_BYTES_MAX: usize = 256;
/// SL 2.2: devices are 1 to 247; 0 is the broadcast, 248 to 255 are reserved.
pub const UNIT_MAX: u8 = 247;

/// Function code of reading holding registers (AP 6.3).
pub const READ_HOLDING: u8 = 0x03;
/// Function code of reading input registers (AP 6.4).
pub const READ_INPUT: u8 = 0x04;
/// Function code of writing one holding register (AP 6.6).
pub const WRITE_SINGLE: u8 = 0x06;
/// Function code of writing several holding registers (AP 6.12).
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
///
/// ```
/// use polymeter_codec::modbus::Unit;
///
/// assert_eq!(Unit::new(247).map(Unit::get), Some(247));
/// assert!(Unit::new(0).is_none() && Unit::new(248).is_none());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit(u8);

impl Unit {
    /// `None` for the broadcast, which nobody answers, and for reserved addresses.
    pub fn new(unit: u8) -> Option<Self> {
        (1..=UNIT_MAX).contains(&unit).then_some(Self(unit))
    }

    /// As on the wire.
    pub fn get(self) -> u8 {
        self.0
    }
}

/// Whole registers as they stand on the wire: 16 bits each, high byte first (AP 4.2).
///
/// ```
/// use polymeter_codec::modbus::Registers;
///
/// let registers = Registers::new(&[0x12, 0x34, 0x00, 0x01]).expect("two registers");
/// assert_eq!(registers.count(), 2);
/// assert!(Registers::new(&[0x12, 0x34, 0x00]).is_none());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registers<'a>(&'a [u8]);

impl<'a> Registers<'a> {
    /// `None` for half a register, and for more registers than any frame holds.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let fits = bytes.len() <= usize::from(REGISTERS_READ_MAX).saturating_mul(2);
        (fits && bytes.len().is_multiple_of(2)).then_some(Self(bytes))
    }

    /// The bytes on the wire, twice [`count`](Self::count).
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// How many registers, 0 to 125.
    pub fn count(self) -> u16 {
        u16::try_from(self.0.len() / 2).unwrap_or(REGISTERS_READ_MAX)
    }
}

/// What a master asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    /// Function 03.
    ReadHolding {
        /// The first register.
        start: u16,
        /// How many, 1 to 125.
        count: u16,
    },
    /// Function 04.
    ReadInput {
        /// The first register.
        start: u16,
        /// How many, 1 to 125.
        count: u16,
    },
    /// Function 06.
    WriteSingle {
        /// Which register.
        register: u16,
        /// What it shall hold.
        value: u16,
    },
    /// Function 10H.
    WriteMultiple {
        /// The first register.
        start: u16,
        /// What they shall hold, 1 to 123 of them.
        values: Registers<'a>,
    },
}

/// What a device answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply<'a> {
    /// To a read, by function 03 or 04.
    Read {
        /// 03 or 04.
        function: u8,
        /// What the registers hold.
        values: Registers<'a>,
    },
    /// To function 06: the question itself, come back.
    WroteSingle {
        /// Which register.
        register: u16,
        /// What it holds now.
        value: u16,
    },
    /// To function 10H.
    WroteMultiple {
        /// The first register that was written.
        start: u16,
        /// How many were.
        count: u16,
    },
    /// The device's no: the function it was asked, and why not (AP 7, table of exception codes).
    Exception {
        /// Without the exception bit.
        function: u8,
        /// 01 illegal function, 02 illegal address, 03 illegal value, 04 device failure, and more.
        code: u8,
    },
}

/// One captured frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Captured<'a> {
    /// What a master asked.
    Request(Request<'a>),
    /// What a device answered.
    Reply(Reply<'a>),
    /// A single write and the echo that answers it are the same bytes (AP 6.6).
    SingleWrite {
        /// Which register.
        register: u16,
        /// What it shall hold, or holds.
        value: u16,
    },
}

/// A frame: whose it is, and what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adu<P> {
    /// The unit asked, or answering; a captured one may be the broadcast or reserved.
    pub unit: u8,
    /// [`Request`], [`Reply`] or [`Captured`].
    pub pdu: P,
}

/// A request that the specification does not allow, or that its buffer does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unencodable {
    /// Not 1 to `max` registers.
    Count {
        /// Registers that were to be read or written.
        count: u16,
        /// The most that one frame may carry.
        max: u16,
    },
    /// Runs past register FFFFH.
    PastEnd {
        /// The first register.
        start: u16,
        /// How many from there.
        count: u16,
    },
    /// The buffer is too short.
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
    /// Of another device.
    Unit {
        /// The unit that was asked.
        asked: u8,
        /// The unit that replied.
        came: u8,
    },
    /// To another function.
    Function {
        /// The function code that was asked.
        asked: u8,
        /// The one that the reply answers, without the exception bit.
        came: u8,
    },
    /// With another number of registers.
    Count {
        /// Registers that were asked for.
        asked: u16,
        /// Registers that the reply holds.
        came: u16,
    },
    /// Another register, value, start or count than was written.
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
    /// The function code: 03, 04, 06 or 10H.
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
///
/// ```
/// use polymeter_codec::modbus::crc16;
///
/// // The check value of this CRC.
/// assert_eq!(crc16(b"123456789"), 0x4B37);
/// ```
pub fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| crc16_more(crc, *byte))
}

/// The CRC of one more byte than those that `crc` is of.
pub(crate) fn crc16_more(crc: u16, byte: u8) -> u16 {
    (0..8).fold(
        crc ^ u16::from(byte),
        |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xA001 } else { crc >> 1 }
        },
    )
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
