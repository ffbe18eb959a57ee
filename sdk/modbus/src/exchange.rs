//! One question to one unit, and the answer that is its own.
//!
//! Invariant: a request is sent once. What comes back is listened to a bounded number of times; an
//! intact frame of another unit or another question is never taken for the answer, and never ends
//! the listening either, since the right one may follow it.

use polymeter_codec::Decoded;
use polymeter_codec::modbus::{
    Adu, FRAME_BYTES_MAX, Registers, Reply, Request, Unit, decode_reply,
};
use polymeter_driver::{DriverError, Host, codes};

/// A run of registers that is read in one exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// The first register.
    pub start: u16,
    /// How many, 1 to 125.
    pub count: u16,
}

/// Which of a device's two tables of registers is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Table {
    /// Read by function 03, written by 06 and 10H.
    #[default]
    Holding,
    /// Read by function 04.
    Input,
}

/// Listenings for one answer: a gateway may cut a reply into a few pieces, and noise may stand
/// before it.
const RECEIVES_MAX: usize = 4;
/// A line that has brought this much without an answer brings noise.
const HEARD_BYTES_MAX: usize = 4 * FRAME_BYTES_MAX;

/// Registers as they were read, by their own addresses.
#[derive(Debug)]
pub struct Words {
    start: u16,
    words: Vec<u16>,
}

impl Words {
    fn new(start: u16, values: Registers<'_>) -> Self {
        let (pairs, _) = values.bytes().as_chunks();
        Self { start, words: pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect() }
    }

    /// One register; error 2 where the answer does not hold it.
    pub fn word(&self, register: u16) -> Result<u16, DriverError> {
        let index = register.checked_sub(self.start).map(usize::from);
        index.and_then(|index| self.words.get(index)).copied().ok_or_else(|| {
            let detail = format!("register {register:04X}H is not in the reply");
            DriverError::new(codes::error::GARBLED, detail)
        })
    }

    /// Two registers, high word first.
    pub fn long(&self, register: u16) -> Result<u32, DriverError> {
        let high = self.word(register)?;
        let low = self.word(register.saturating_add(1))?;
        Ok(u32::from(high) << 16 | u32::from(low))
    }

    /// The same in two's complement.
    pub fn signed_long(&self, register: u16) -> Result<i32, DriverError> {
        Ok(self.long(register)?.cast_signed())
    }

    /// Every register with its value.
    pub fn each(&self) -> impl Iterator<Item = (u16, u16)> {
        (self.start..=u16::MAX).zip(self.words.iter().copied())
    }

    /// Every register reads FFFFH: erased memory, not values.
    pub fn is_erased(&self) -> bool {
        self.words.iter().all(|word| *word == u16::MAX)
    }

    /// Every register reads 0.
    pub fn is_zero(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }
}

/// How a write ended.
#[derive(Debug)]
pub enum Written {
    /// The device echoed it. That is no proof that it acted on it.
    Acknowledged,
    /// The device's clear no, by its exception code: it did nothing.
    No(u8),
    /// The request may have been carried out; why that is not known.
    Lost(String),
}

/// Reads holding registers. Errors: 1 silence, 2 noise, 3 another unit's or question's answer, 4 no
/// such registers (exception 2), 5 any other exception, 6 what no frame can ask, 8 the line.
pub fn read(host: &mut dyn Host, unit: Unit, block: Block) -> Result<Words, DriverError> {
    read_table(host, unit, Table::Holding, block)
}

/// The same from either table.
pub fn read_table(
    host: &mut dyn Host,
    unit: Unit,
    table: Table,
    Block { start, count }: Block,
) -> Result<Words, DriverError> {
    let request = match table {
        Table::Holding => Request::ReadHolding { start, count },
        Table::Input => Request::ReadInput { start, count },
    };
    match ask(host, unit, &request)? {
        Answer::Read(words) => Ok(words),
        Answer::Exception(code) => Err(no(code)),
        Answer::Wrote => Err(DriverError::new(codes::error::GARBLED, "a read was not answered")),
    }
}

/// Writes once, whatever comes back. Exceptions 1 to 3 are given before anything is done, and 6 in
/// place of it; after the others (a failure on the way, a gateway that gave up waiting) it may have
/// been done (Modbus Application Protocol V1.1b3, clause 7).
pub fn write(host: &mut dyn Host, unit: Unit, request: &Request<'_>) -> Written {
    match ask(host, unit, request) {
        Ok(Answer::Exception(code @ (1..=3 | 6))) => Written::No(code),
        Ok(Answer::Exception(code)) => {
            Written::Lost(format!("exception {code}: {}", exception_name(code)))
        }
        Ok(Answer::Wrote | Answer::Read(_)) => Written::Acknowledged,
        Err(error) => Written::Lost(error.detail),
    }
}

/// What is known of a write that its proof did not bear out.
pub fn unproved(written: &Written, seen: &str) -> String {
    match written {
        Written::Acknowledged => format!("the write was acknowledged, but {seen}"),
        Written::No(code) => format!("exception {code}: {}; {seen}", exception_name(*code)),
        Written::Lost(why) => format!("the write was not acknowledged ({why}), and {seen}"),
    }
}

/// Names an exception code (Modbus Application Protocol V1.1b3, clause 7).
pub fn exception_name(code: u8) -> &'static str {
    match code {
        1 => "illegal function",
        2 => "illegal data address",
        3 => "illegal data value",
        4 => "device failure",
        5 => "acknowledged, still at work",
        6 => "device busy",
        8 => "memory parity error",
        10 => "gateway path unavailable",
        11 => "gateway target did not respond",
        _ => "unknown exception",
    }
}

/// An exception code as the contract's `device-code`.
pub fn device_code(code: u8) -> Option<String> {
    Some(format!("{code:02X}"))
}

enum Answer {
    Read(Words),
    Wrote,
    Exception(u8),
}

fn no(code: u8) -> DriverError {
    // Exception 2: the registers are not there, in this model or in this mode of it.
    let kind = if code == 2 { codes::error::NO_SUCH_DATA } else { codes::error::DEVICE_SAYS_NO };
    DriverError {
        code: kind,
        detail: format!("exception {code}: {}", exception_name(code)),
        device_code: device_code(code),
    }
}

fn ask(host: &mut dyn Host, unit: Unit, request: &Request<'_>) -> Result<Answer, DriverError> {
    let mut frame = [0; FRAME_BYTES_MAX];
    let sent = request.encode(unit, &mut frame).map(|length| frame.get(..length));
    let Ok(Some(sent)) = sent else {
        let detail = "the request is beyond the limits of Modbus";
        return Err(DriverError::new(codes::error::BAD_PARAMETER, detail));
    };
    host.send(sent)?;
    let mut heard = Heard { bytes: Vec::new(), problem: None };
    for _ in 0..RECEIVES_MAX {
        let want = request.reply_bytes().saturating_sub(heard.bytes.len()).max(1);
        let fell_quiet = match host.receive(u32::try_from(want).unwrap_or(u32::MAX)) {
            Ok(bytes) => {
                heard.bytes.extend(bytes);
                false
            }
            Err(error) if error.code == codes::line::SILENT => {
                heard.note(error.into());
                true
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(answer) = heard.answer(request, unit, fell_quiet) {
            return Ok(answer);
        }
        if fell_quiet || heard.bytes.len() > HEARD_BYTES_MAX {
            break;
        }
    }
    // What is still held may hide the answer behind noise that looked like its beginning.
    if let Some(answer) = heard.answer(request, unit, true) {
        return Ok(answer);
    }
    Err(heard.problem.unwrap_or_else(|| {
        DriverError::new(codes::error::GARBLED, "no whole answer among what came")
    }))
}

/// What has come since the request left, and the best reason so far why it is no answer.
struct Heard {
    bytes: Vec<u8>,
    problem: Option<DriverError>,
}

impl Heard {
    /// Takes frames and noise off the front until the answer is found or more must come. Once the
    /// line fell quiet nothing more comes, and what looked like a beginning is noise too.
    fn answer(&mut self, request: &Request<'_>, unit: Unit, fell_quiet: bool) -> Option<Answer> {
        let mut rest = self.bytes.as_slice();
        let mut problem = None;
        let answer = loop {
            if rest.is_empty() {
                break None;
            }
            let drop = match decode_reply(request, rest) {
                Decoded::Frame { frame, used } => match request.is_answered_by(unit, &frame) {
                    Ok(()) => break Some(understood(request, &frame)),
                    Err(other) => {
                        let code = codes::error::OTHER_DEVICE;
                        problem = Some(DriverError::new(code, other.to_string()));
                        used
                    }
                },
                Decoded::NeedMore { .. } if !fell_quiet => break None,
                Decoded::NeedMore { .. } => {
                    problem = problem.or_else(|| Some(garbled(rest)));
                    1
                }
                Decoded::Garbled { skip } => {
                    problem = problem.or_else(|| Some(garbled(rest)));
                    skip
                }
            };
            rest = rest.get(drop..).unwrap_or_default();
        };
        let kept = rest.to_vec();
        self.bytes = kept;
        if let Some(problem) = problem {
            self.note(problem);
        }
        answer
    }

    /// An intact frame of somebody else says more than noise, and noise more than silence.
    fn note(&mut self, problem: DriverError) {
        let weight = |error: &DriverError| match error.code {
            codes::error::OTHER_DEVICE => 2,
            codes::error::GARBLED => 1,
            _ => 0,
        };
        if self.problem.as_ref().is_none_or(|known| weight(known) < weight(&problem)) {
            self.problem = Some(problem);
        }
    }
}

fn garbled(bytes: &[u8]) -> DriverError {
    let detail = format!("{} bytes came that are no intact answer", bytes.len());
    DriverError::new(codes::error::GARBLED, detail)
}

fn understood(request: &Request<'_>, reply: &Adu<Reply<'_>>) -> Answer {
    match (request, reply.pdu) {
        (_, Reply::Exception { code, .. }) => Answer::Exception(code),
        (
            Request::ReadHolding { start, .. } | Request::ReadInput { start, .. },
            Reply::Read { values, .. },
        ) => Answer::Read(Words::new(*start, values)),
        _ => Answer::Wrote,
    }
}
