//! One question to a meter and its answer.
//!
//! Invariant: what is returned answers the question that was asked, by address, control code and
//! data identifier. A question is sent once, and so is that for a further part of an answer: the
//! standard of 1997 gives parts no number, so one that came twice could not be told apart.

use crate::settings::{Settings, bad};
use polymeter_codec::dlt645::answer::{Answer as Judged, Identifier, Question, Stranger};
use polymeter_codec::dlt645::{self, Address, Data, FRAME_BYTES_MAX, Frame, control_1997, request};
use polymeter_driver::codes::error;
use polymeter_driver::listening::Listening;
use polymeter_driver::{DriverError, Host};

const LISTENING: Listening = Listening {
    receives_max: 16,
    bytes_max: 4 * FRAME_BYTES_MAX,
    false_start: dlt645::false_start,
};
/// Parts of one answer beside the first: no item of the standard needs more.
const PARTS_MAX: usize = 32;
/// "Wrong identifier" in the error byte (DL/T 645-1997, 5.4.7).
const NO_SUCH_DATA: u8 = 0x02;

pub struct Exchange<'a> {
    pub host: &'a mut dyn Host,
    pub settings: Settings,
    /// Bytes that came behind the last answer, in the same piece: somebody else's.
    pub left_over: usize,
}

/// A meter's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Who answered, the data behind the identifier, and whether more follows.
    Yes { address: Address, data: Vec<u8>, more: bool },
    /// Who says no, and the error byte.
    No { address: Address, error: Vec<u8> },
}

impl<'a> Exchange<'a> {
    pub fn new(host: &'a mut dyn Host, settings: Settings) -> Exchange<'a> {
        Exchange { host, settings, left_over: 0 }
    }

    /// Reads an item, with who answered. `None`: the meter says that it has no such data.
    pub fn read(&mut self, identifier: u16) -> Result<Option<(Address, Vec<u8>)>, DriverError> {
        let data = request::read_1997(identifier).map_err(|reason| bad(reason.to_string()))?;
        let about = Identifier::Short(identifier);
        let mut answer = self.ask(control_1997::READ, data, about)?;
        let mut whole = Vec::new();
        for _ in 0..=PARTS_MAX {
            match answer {
                Answer::Yes { address, data, more } => {
                    whole.extend(data);
                    if !more {
                        return Ok(Some((address, whole)));
                    }
                }
                Answer::No { error, .. }
                    if whole.is_empty()
                        && error.first().is_some_and(|bits| bits & NO_SUCH_DATA != 0) =>
                {
                    return Ok(None);
                }
                Answer::No { error, .. } => return Err(device_error(identifier, &error)),
            }
            let data = request::read_1997(identifier).map_err(|reason| bad(reason.to_string()))?;
            answer = self.ask(control_1997::FOLLOW_UP, data, about)?;
        }
        Err(DriverError::new(error::GARBLED, "an answer without an end"))
    }

    /// One question, one frame.
    pub fn ask(
        &mut self,
        control: u8,
        data: Data,
        identifier: Identifier,
    ) -> Result<Answer, DriverError> {
        let question = Question { address: self.settings.address, control, identifier };
        let frame = Frame { address: question.address, control, data };
        let mut encoded = [0; FRAME_BYTES_MAX];
        let length = frame.encode(&mut encoded).map_err(|reason| bad(reason.to_string()))?;
        let mut bytes = vec![0xFE; self.settings.wake_up];
        bytes.extend(encoded.iter().take(length));
        self.host.send(&bytes)?;
        self.answer(question)
    }

    fn answer(&mut self, question: Question) -> Result<Answer, DriverError> {
        let anonymous = self.settings.anonymous;
        let other = |why: Stranger| DriverError::new(error::OTHER_DEVICE, why.to_string());
        let look = |bytes: &[u8]| {
            let judge = |frame| judged(question, anonymous, frame).map_err(other);
            dlt645::decode(bytes).map(judge)
        };
        let heard = LISTENING.hear(self.host, look)?;
        self.left_over = heard.left_over;
        Ok(heard.answer)
    }
}

/// A meter was captured that answers as AAAAAAAAAAAA: taken for the one that was asked only where
/// the parameters say that it is such a meter.
fn judged(question: Question, anonymous: bool, mut frame: Frame) -> Result<Answer, Stranger> {
    if anonymous && frame.address == Address::WILDCARD {
        frame.address = question.address;
    }
    Ok(match question.judge(&frame)? {
        Judged::Yes { data, more } => {
            Answer::Yes { address: frame.address, data: data.to_vec(), more }
        }
        Judged::No(error) => Answer::No { address: frame.address, error: error.to_vec() },
    })
}

/// The meter's own error as a device code.
pub fn device_code(error: &[u8]) -> String {
    error.iter().rev().map(|byte| format!("{byte:02X}")).collect()
}

fn device_error(identifier: u16, error: &[u8]) -> DriverError {
    DriverError {
        code: error::DEVICE_SAYS_NO,
        detail: format!("the meter refused reading {identifier:04X}"),
        device_code: Some(device_code(error)),
    }
}
