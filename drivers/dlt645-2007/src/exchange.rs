//! One question to a meter and its answer.
//!
//! Invariant: what is returned answers the question that was asked: [`Asked::judge`] alone decides
//! that, by address, control code, data identifier and, in an answer of several frames, the number
//! of the part. Anything else on the line is passed over, within bounds. A question is sent once;
//! whether to ask again is the host's to decide. Only a lost part of an answer is asked for again:
//! that changes nothing in a meter.

use crate::settings::Settings;
use polymeter_codec::dlt645::answer::{Answer as Judged, Identifier, Question as Judge, Stranger};
use polymeter_codec::dlt645::{self, Address, Data, FRAME_BYTES_MAX, Frame, control, request};
use polymeter_driver::codes::error;
use polymeter_driver::listening::Listening;
use polymeter_driver::{DriverError, Host};

const LISTENING: Listening = Listening {
    receives_max: 16,
    bytes_max: 4 * FRAME_BYTES_MAX,
    false_start: dlt645::false_start,
};
/// Parts of one answer, the first not counted: their number has one byte, and 0 is none.
const PARTS_MAX: u8 = 255;
/// How often one part is asked for.
const PART_TRIES: usize = 2;

pub struct Exchange<'a> {
    pub host: &'a mut dyn Host,
    pub settings: Settings,
    /// Bytes that came behind the last answer, in the same piece: somebody else's.
    pub left_over: usize,
    /// Further frames that one answer may have.
    pub parts_most: u8,
    /// Frames that left.
    pub sent: u32,
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

impl<'a> Exchange<'a> {
    pub fn new(host: &'a mut dyn Host, settings: Settings) -> Exchange<'a> {
        Exchange { host, settings, left_over: 0, parts_most: PARTS_MAX, sent: 0 }
    }

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

    /// Says something that nobody answers.
    pub fn tell(&mut self, to: Address, control: u8, data: Data) -> Result<(), DriverError> {
        self.send(&Frame { address: to, control, data })
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
        for part in 1..=self.parts_most {
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
        self.send(&Frame { address, control, data })?;
        self.answer(asked)
    }

    fn send(&mut self, frame: &Frame) -> Result<(), DriverError> {
        let mut encoded = [0; FRAME_BYTES_MAX];
        let length = frame
            .encode(&mut encoded)
            .map_err(|reason| DriverError::new(error::BAD_PARAMETER, reason.to_string()))?;
        let mut bytes = vec![0xFE; self.settings.wake_up];
        bytes.extend(encoded.iter().take(length));
        self.sent = self.sent.saturating_add(1);
        Ok(self.host.send(&bytes)?)
    }

    fn answer(&mut self, asked: Asked) -> Result<Heard, DriverError> {
        let other = |why: Stranger| DriverError::new(error::OTHER_DEVICE, why.to_string());
        let look = |bytes: &[u8]| {
            dlt645::decode(bytes).map(|frame: Frame| asked.judge(&frame).map_err(other))
        };
        let heard = LISTENING.hear(self.host, look)?;
        self.left_over = heard.left_over;
        Ok(heard.answer)
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
