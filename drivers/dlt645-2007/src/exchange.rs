//! One question to a meter and its answer.
//!
//! Invariant: what is returned answers the question that was asked: [`Asked::judge`] alone decides
//! that, by address, control code, data identifier and, in an answer of several frames, the number
//! of the part. Anything else on the line is passed over, within bounds. A question is sent once;
//! whether to ask again is the host's to decide. Only a lost part of an answer is asked for again:
//! that changes nothing in a meter.

use crate::settings::Settings;
use polymeter_codec::Decoded;
use polymeter_codec::dlt645::answer::{Answer as Judged, Identifier, Question as Judge, Stranger};
use polymeter_codec::dlt645::{self, Address, Data, FRAME_BYTES_MAX, Frame, control, request};
use polymeter_driver::codes::{error, line};
use polymeter_driver::{DriverError, Host, Level};

/// A reply comes in a few pieces; a late frame or some noise may come before it.
const RECEIVES_MAX: usize = 16;
const BYTES_MAX: usize = 4 * FRAME_BYTES_MAX;
/// Parts of one answer, the first not counted: their number has one byte, and 0 is none.
const PARTS_MAX: u8 = 255;
/// How often one part is asked for.
const PART_TRIES: usize = 2;

pub struct Exchange<'a> {
    pub host: &'a mut dyn Host,
    pub settings: Settings,
}

/// A meter's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The address that answered, and its data after the data identifier, where there is one.
    Yes(Address, Vec<u8>),
    /// The data of the error frame: one or two bytes, low one first.
    No(Vec<u8>),
}

/// A question's control code and data, and whether the data begins with an identifier that the good
/// reply repeats.
#[derive(Debug, Clone, Copy)]
struct Question<'a> {
    control: u8,
    data: &'a [u8],
    identifier: Option<u32>,
}

impl Exchange<'_> {
    /// Reads an item. `None`: the meter says that it has no such data.
    pub fn read(&mut self, identifier: u32) -> Result<Option<Vec<u8>>, DriverError> {
        match self.ask_about(control::READ, identifier, &[])? {
            Answer::Yes(_, data) => Ok(Some(data)),
            Answer::No(error) if error.first().is_some_and(|bits| bits & NO_SUCH_DATA != 0) => {
                Ok(None)
            }
            Answer::No(error) => Err(device_error(&format!("reading {identifier:08X}"), &error)),
        }
    }

    /// A question whose data begins with an identifier and whose good reply repeats it.
    pub fn ask_about(
        &mut self,
        control: u8,
        identifier: u32,
        rest: &[u8],
    ) -> Result<Answer, DriverError> {
        let data = [&identifier.to_le_bytes(), rest].concat();
        self.exchange(Question { control, data: &data, identifier: Some(identifier) })
    }

    /// A question whose good reply repeats no identifier.
    pub fn ask(&mut self, control: u8, data: &[u8]) -> Result<Answer, DriverError> {
        self.exchange(Question { control, data, identifier: None })
    }

    /// So many load records from `since` on, in as many frames as the meter wants.
    pub fn read_with(&mut self, data: &Data) -> Result<Option<Vec<u8>>, DriverError> {
        let bytes = data.as_slice();
        let identifier = bytes.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
        let question = Question { control: control::READ, data: bytes, identifier };
        match self.exchange(question)? {
            Answer::Yes(_, data) => Ok(Some(data)),
            Answer::No(error) if error.first().is_some_and(|bits| bits & NO_SUCH_DATA != 0) => {
                Ok(None)
            }
            Answer::No(error) => Err(device_error("reading load records", &error)),
        }
    }

    fn exchange(&mut self, question: Question<'_>) -> Result<Answer, DriverError> {
        let identifier = question.identifier.map_or(Identifier::None, Identifier::Long);
        let judge = Judge { address: self.settings.address, control: question.control, identifier };
        let first = self.ask_frame(question.data, Asked { judge, part: None })?;
        match (first, question.identifier) {
            (Heard::No(error), _) => Ok(Answer::No(error)),
            (Heard::Yes { address, data, more: false }, _) => Ok(Answer::Yes(address, data)),
            (Heard::Yes { address, data, more: true }, Some(identifier))
                if question.control == control::READ =>
            {
                self.parts(identifier, address, data)
            }
            (Heard::Yes { more: true, .. }, _) => {
                let detail = "the answer goes on in further frames, which only reading has";
                Err(DriverError::new(error::UNSUPPORTED, detail))
            }
        }
    }

    /// The further frames of an answer (C=12H), from the meter that gave the first one.
    fn parts(
        &mut self,
        identifier: u32,
        address: Address,
        mut whole: Vec<u8>,
    ) -> Result<Answer, DriverError> {
        let asked = std::mem::replace(&mut self.settings.address, address);
        let judge = Judge {
            address,
            control: control::FOLLOW_UP,
            identifier: Identifier::Long(identifier),
        };
        let mut ended = Err(DriverError::new(error::GARBLED, "an answer without an end"));
        for part in 1..=PARTS_MAX {
            match self.part(judge, identifier, part) {
                Ok(Heard::Yes { data, more, .. }) => {
                    whole.extend(data);
                    if !more {
                        ended = Ok(Answer::Yes(address, std::mem::take(&mut whole)));
                        break;
                    }
                }
                Ok(Heard::No(error)) => {
                    let doing = format!("part {part} of {identifier:08X}");
                    ended = Err(device_error(&doing, &error));
                    break;
                }
                Err(failed) => {
                    ended = Err(failed);
                    break;
                }
            }
        }
        self.settings.address = asked;
        ended
    }

    fn part(&mut self, judge: Judge, identifier: u32, part: u8) -> Result<Heard, DriverError> {
        let data = request::follow_up(identifier, part)
            .map_err(|reason| DriverError::new(error::BAD_PARAMETER, reason.to_string()))?;
        let asked = Asked { judge, part: Some(part) };
        let mut heard = self.ask_frame(data.as_slice(), asked);
        for _ in 1..PART_TRIES {
            match &heard {
                Err(lost) if lost.code != error::LINE => {
                    heard = self.ask_frame(data.as_slice(), asked);
                }
                _ => break,
            }
        }
        heard
    }

    fn ask_frame(&mut self, data: &[u8], asked: Asked) -> Result<Heard, DriverError> {
        let data = Data::new(data)
            .map_err(|_| DriverError::new(error::BAD_PARAMETER, "more data than a frame holds"))?;
        let Judge { address, control, .. } = asked.judge;
        let frame = Frame { address, control, data };
        let mut encoded = [0; FRAME_BYTES_MAX];
        let length = frame
            .encode(&mut encoded)
            .map_err(|reason| DriverError::new(error::BAD_PARAMETER, reason.to_string()))?;
        let mut bytes = vec![0xFE; self.settings.wake_up];
        bytes.extend(encoded.iter().take(length));
        self.host.send(&bytes)?;
        self.answer(asked)
    }

    fn answer(&mut self, asked: Asked) -> Result<Heard, DriverError> {
        let mut unread = Unread::default();
        for _ in 0..RECEIVES_MAX {
            let want = match unread.next(asked) {
                Next::Answer(heard) => return Ok(heard),
                Next::Want(want) => want,
            };
            match self.host.receive(want) {
                Ok(more) => unread.bytes.extend(more),
                Err(silent) if silent.code == line::SILENT => break,
                Err(other) => return Err(other.into()),
            }
            if unread.bytes.len() > BYTES_MAX {
                break;
            }
        }
        // What the silence has cut off may still hold a whole frame behind a false start.
        unread.quiet = true;
        match unread.next(asked) {
            Next::Answer(heard) => Ok(heard),
            Next::Want(_) => {
                let failure = unread.failure();
                self.host.log(Level::Debug, &failure.detail);
                Err(failure)
            }
        }
    }
}

/// One frame's question: of a whole answer, or of one of its further parts.
#[derive(Debug, Clone, Copy)]
struct Asked {
    judge: Judge,
    part: Option<u8>,
}

/// One frame's answer.
enum Heard {
    Yes { address: Address, data: Vec<u8>, more: bool },
    No(Vec<u8>),
}

impl Asked {
    fn judge(self, frame: &Frame) -> Result<Heard, Stranger> {
        let judged = match self.part {
            None => self.judge.judge(frame)?,
            Some(part) => self.judge.judge_part(part, frame)?,
        };
        Ok(match judged {
            Judged::Yes { data, more } => {
                Heard::Yes { address: frame.address, data: data.to_vec(), more }
            }
            Judged::No(error) => Heard::No(error.to_vec()),
        })
    }
}

/// "No such data" in the error byte of a read (DL/T 645-2007, C.1: 无请求数据).
const NO_SUCH_DATA: u8 = 0x02;

/// Bytes that came and have not been understood yet.
#[derive(Default)]
struct Unread {
    bytes: Vec<u8>,
    /// The line has fallen quiet: nothing will complete what is not complete.
    quiet: bool,
    /// Bytes that were no frame; frames that answered another question, and why.
    noise: usize,
    stranger: Option<String>,
}

enum Next {
    Answer(Heard),
    Want(u32),
}

impl Unread {
    /// Every turn takes at least one byte off, so this ends.
    fn next(&mut self, asked: Asked) -> Next {
        loop {
            match dlt645::decode(&self.bytes) {
                Decoded::Frame { frame, used } => {
                    self.drop_bytes(used);
                    match asked.judge(&frame) {
                        Ok(heard) => return Next::Answer(heard),
                        Err(why) => self.stranger = Some(why.to_string()),
                    }
                }
                Decoded::Garbled { skip } => self.skip(skip),
                Decoded::NeedMore { .. } if self.quiet && !self.bytes.is_empty() => {
                    self.skip(dlt645::false_start(&self.bytes));
                }
                Decoded::NeedMore { at_least } => {
                    let missing = at_least.saturating_sub(self.bytes.len());
                    return Next::Want(u32::try_from(missing).unwrap_or(1));
                }
            }
        }
    }

    fn skip(&mut self, count: usize) {
        self.noise = self.noise.saturating_add(count);
        self.drop_bytes(count);
    }

    fn drop_bytes(&mut self, count: usize) {
        self.bytes.drain(..count.min(self.bytes.len()));
    }

    fn failure(&self) -> DriverError {
        match &self.stranger {
            Some(why) => DriverError::new(error::OTHER_DEVICE, why),
            None if self.noise > 0 => {
                DriverError::new(error::GARBLED, format!("{} bytes that are no frame", self.noise))
            }
            None => DriverError::new(error::NO_REPLY, "the meter did not answer"),
        }
    }
}

/// The meter's own error as a device code: high byte first, two digits a byte.
pub fn device_code(error: &[u8]) -> String {
    error.iter().rev().map(|byte| format!("{byte:02X}")).collect()
}

/// A meter's *no* to a call that has no refusal.
pub fn device_error(doing: &str, error: &[u8]) -> DriverError {
    DriverError {
        code: error::DEVICE_SAYS_NO,
        detail: format!("the meter refused {doing}"),
        device_code: Some(device_code(error)),
    }
}
