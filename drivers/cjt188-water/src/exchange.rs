//! One question to one meter, and the answer that is its own.
//!
//! Invariant: a question is sent once and has a serial number of its own. What comes back is listened
//! to a bounded number of times; an intact frame that answers another question is passed over.

use crate::settings::Settings;
use polymeter_codec::Decoded;
use polymeter_codec::cjt188::{
    Address, FRAME_BYTES_MAX, Frame, control, decode, false_start, kind,
};
use polymeter_driver::codes::{error, line};
use polymeter_driver::{Call, DriverError, Host};

/// A reply comes in a few pieces; a late frame or some noise may come before it.
const RECEIVES_MAX: usize = 16;
const BYTES_MAX: usize = 4 * FRAME_BYTES_MAX;
/// The shortest reply: 68, type, address, C, L, CS, 16.
const REPLY_BYTES_MIN: usize = 13;

pub struct Exchange<'a> {
    host: &'a mut dyn Host,
    pub settings: Settings,
    serial: u8,
}

/// A meter's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Who answered, and what follows identifier and serial number.
    Yes(Address, u8, Vec<u8>),
    /// The data of the error frame, without the serial number.
    No(Vec<u8>),
}

#[derive(Clone, Copy)]
struct Question {
    control: u8,
    identifier: u16,
    serial: u8,
}

impl<'a> Exchange<'a> {
    pub fn new(host: &'a mut dyn Host, call: &Call, settings: Settings) -> Exchange<'a> {
        // An answer that comes late from the call before has another number.
        let serial = call.nonce.first().copied().unwrap_or(0);
        Exchange { host, settings, serial }
    }

    /// Reads an item; a *no* is an error.
    pub fn read(&mut self, identifier: u16) -> Result<Vec<u8>, DriverError> {
        match self.ask(control::READ, identifier, &[])? {
            Answer::Yes(_, _, payload) => Ok(payload),
            Answer::No(status) => Err(DriverError {
                code: error::DEVICE_SAYS_NO,
                detail: format!("the meter refused reading {identifier:04X}"),
                device_code: Some(device_code(&status)),
            }),
        }
    }

    pub fn ask(
        &mut self,
        control: u8,
        identifier: u16,
        payload: &[u8],
    ) -> Result<Answer, DriverError> {
        let question = Question { control, identifier, serial: self.serial };
        self.serial = self.serial.wrapping_add(1);
        let dialect = self.settings.dialect;
        let serial = [question.serial];
        let serial = if dialect.serial { serial.as_slice() } else { &[] };
        let data = [&dialect.identifier_bytes(identifier), serial, payload].concat();
        let (kind, address) = (self.settings.kind, self.settings.address);
        let mut encoded = [0; FRAME_BYTES_MAX];
        let length = Frame { kind, address, control, data: &data }
            .encode(&mut encoded)
            .map_err(|why| DriverError::new(error::BAD_PARAMETER, why.to_string()))?;
        let mut bytes = vec![0xFE; self.settings.wake_up];
        bytes.extend(encoded.iter().take(length));
        self.host.send(&bytes)?;
        self.answer(question)
    }

    fn answer(&mut self, question: Question) -> Result<Answer, DriverError> {
        let mut heard = Heard::default();
        for _ in 0..RECEIVES_MAX {
            let want = match heard.next(question, &self.settings, false) {
                Next::Answer(answer) => return Ok(answer),
                Next::Want(want) => u32::try_from(want).unwrap_or(u32::MAX),
            };
            match self.host.receive(want) {
                Ok(more) => heard.bytes.extend(more),
                Err(silent) if silent.code == line::SILENT => break,
                Err(other) => return Err(other.into()),
            }
            if heard.bytes.len() > BYTES_MAX {
                break;
            }
        }
        // What the silence has cut off may still hold a whole frame behind a false start.
        match heard.next(question, &self.settings, true) {
            Next::Answer(answer) => Ok(answer),
            Next::Want(_) => Err(heard.failure()),
        }
    }
}

/// Bytes that came and have not been understood yet, and what was no answer.
#[derive(Default)]
struct Heard {
    bytes: Vec<u8>,
    noise: usize,
    stranger: Option<String>,
}

enum Next {
    Answer(Answer),
    /// So many bytes more.
    Want(usize),
}

impl Heard {
    /// Every turn takes at least one byte off, so this ends.
    fn next(&mut self, question: Question, settings: &Settings, quiet: bool) -> Next {
        loop {
            let skip = match decode(&self.bytes) {
                Decoded::Frame { frame, used } => {
                    match answer_in(question, settings, &frame) {
                        Ok(answer) => return Next::Answer(answer),
                        Err(why) => self.stranger = Some(why),
                    }
                    used
                }
                Decoded::NeedMore { at_least } if !quiet || self.bytes.is_empty() => {
                    return Next::Want(at_least.saturating_sub(self.bytes.len()));
                }
                Decoded::NeedMore { .. } => self.garbled(false_start(&self.bytes)),
                Decoded::Garbled { skip } if self.bytes.is_empty() => {
                    return Next::Want(REPLY_BYTES_MIN.max(skip));
                }
                Decoded::Garbled { skip } => self.garbled(skip),
            };
            self.bytes.drain(..skip.min(self.bytes.len()));
        }
    }

    fn garbled(&mut self, skip: usize) -> usize {
        self.noise = self.noise.saturating_add(skip);
        skip
    }

    /// An intact frame of somebody else says more than noise, and noise more than silence.
    fn failure(self) -> DriverError {
        match (self.stranger, self.noise) {
            (Some(why), _) => DriverError::new(error::OTHER_DEVICE, why),
            (None, 0) => DriverError::new(error::NO_REPLY, "the meter did not answer"),
            (None, noise) => {
                let detail = format!("{noise} bytes came that are no frame");
                DriverError::new(error::GARBLED, detail)
            }
        }
    }
}

/// `Err`: why this frame answers another question.
fn answer_in(question: Question, settings: &Settings, frame: &Frame<'_>) -> Result<Answer, String> {
    if !settings.address.matches(frame.address)
        || (settings.kind != kind::ANY && settings.kind != frame.kind)
    {
        let (kind, address) = (frame.kind, frame.address);
        return Err(format!("the meter {address} of type {kind:02X} answered"));
    }
    let good = question.control | control::REPLY;
    let dialect = settings.dialect;
    if frame.control == good | control::ERROR {
        let own = !dialect.serial || frame.data.first() == Some(&question.serial);
        let status = if dialect.serial { frame.data.get(1..) } else { Some(frame.data) };
        return match status {
            Some(status) if own => Ok(Answer::No(status.to_vec())),
            _ => Err("a refusal of another question came".to_owned()),
        };
    }
    if frame.control != good {
        let (asked, came) = (question.control, frame.control);
        return Err(format!("asked with control code {asked:02X}, but {came:02X} answered"));
    }
    let Some(content) = dialect.content(frame.data) else {
        return Err("a reply without data identifier came".to_owned());
    };
    if content.identifier != question.identifier {
        let (asked, came) = (question.identifier, content.identifier);
        return Err(format!("asked about {asked:04X}, but {came:04X} was answered"));
    }
    if content.serial.is_some_and(|serial| serial != question.serial) {
        return Err("the reply has the serial number of another question".to_owned());
    }
    Ok(Answer::Yes(frame.address, frame.kind, content.payload.to_vec()))
}

/// The status of an error frame as it stood on the wire.
pub fn device_code(status: &[u8]) -> String {
    status.iter().map(|byte| format!("{byte:02X}")).collect()
}
