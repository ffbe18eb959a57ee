//! One question to a meter and its answer.
//!
//! Invariant: what is returned answers the question that was asked: [`answer_in`] alone decides
//! that, by address, control code and data identifier. Anything else on the line is passed over,
//! within bounds. A question is sent once; whether to ask again is the host's to decide.

use crate::settings::Settings;
use polymeter_codec::Decoded;
use polymeter_codec::dlt645::{self, Address, Data, FRAME_BYTES_MAX, Frame, control};
use polymeter_driver::codes::{error, line};
use polymeter_driver::{DriverError, Host, Level};

/// A reply comes in a few pieces; a late frame or some noise may come before it.
const RECEIVES_MAX: usize = 16;
const BYTES_MAX: usize = 4 * FRAME_BYTES_MAX;

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

    fn exchange(&mut self, question: Question<'_>) -> Result<Answer, DriverError> {
        let data = Data::new(question.data)
            .map_err(|_| DriverError::new(error::BAD_PARAMETER, "more data than a frame holds"))?;
        let frame = Frame { address: self.settings.address, control: question.control, data };
        let mut encoded = [0; FRAME_BYTES_MAX];
        let length = frame
            .encode(&mut encoded)
            .map_err(|reason| DriverError::new(error::BAD_PARAMETER, reason.to_string()))?;
        let mut bytes = vec![0xFE; self.settings.wake_up];
        bytes.extend(encoded.iter().take(length));
        self.host.send(&bytes)?;
        self.answer(question)
    }

    fn answer(&mut self, question: Question<'_>) -> Result<Answer, DriverError> {
        let mut unread = Unread::default();
        for _ in 0..RECEIVES_MAX {
            let want = match unread.next(question, self.settings.address) {
                Next::Answer(answer) => return answer,
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
        match unread.next(question, self.settings.address) {
            Next::Answer(answer) => answer,
            Next::Want(_) => {
                let failure = unread.failure();
                self.host.log(Level::Debug, &failure.detail);
                Err(failure)
            }
        }
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
    Answer(Result<Answer, DriverError>),
    Want(u32),
}

impl Unread {
    /// Every turn takes at least one byte off, so this ends.
    fn next(&mut self, question: Question<'_>, asked: Address) -> Next {
        loop {
            match dlt645::decode(&self.bytes) {
                Decoded::Frame { frame, used } => {
                    self.drop_bytes(used);
                    match answer_in(question, asked, &frame) {
                        Ok(answer) => return Next::Answer(answer),
                        Err(why) => self.stranger = Some(why),
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

/// Whether `frame` answers `question`. `Err`: it does not, and why.
fn answer_in(
    question: Question<'_>,
    asked: Address,
    frame: &Frame,
) -> Result<Result<Answer, DriverError>, String> {
    if !asked.matches(frame.address) {
        return Err(format!("asked {asked}, but {} answered", frame.address));
    }
    let good = question.control | control::REPLY;
    let data = frame.data.as_slice();
    if frame.control == good | control::ERROR {
        return Ok(Ok(Answer::No(data.to_vec())));
    }
    if frame.control & !control::MORE != good {
        let (asked, came) = (question.control, frame.control);
        return Err(format!("asked with control code {asked:02X}, but {came:02X} answered"));
    }
    let data = match question.identifier {
        Some(identifier) if frame.data_identifier() != Some(identifier) => {
            return Err(format!("asked about {identifier:08X}, but another item was answered"));
        }
        Some(_) => data.get(4..).unwrap_or_default(),
        None => data,
    };
    if frame.control & control::MORE != 0 {
        let detail = "the answer goes on in further frames, which this driver does not fetch";
        return Ok(Err(DriverError::new(error::UNSUPPORTED, detail)));
    }
    Ok(Ok(Answer::Yes(frame.address, data.to_vec())))
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
