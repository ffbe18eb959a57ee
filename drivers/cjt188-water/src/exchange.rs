//! One question to one meter, and the answer that is its own.
//!
//! Invariant: a question is sent once and has a serial number of its own. What comes back is listened
//! to a bounded number of times; an intact frame that answers another question is passed over.

use crate::settings::Settings;
use polymeter_codec::cjt188::{
    Address, FRAME_BYTES_MAX, Frame, control, decode, false_start, identifier, kind,
};
use polymeter_driver::codes::error;
use polymeter_driver::listening::Listening;
use polymeter_driver::{Call, DriverError, Host};

const LISTENING: Listening =
    Listening { receives_max: 16, bytes_max: 4 * FRAME_BYTES_MAX, false_start };

pub struct Exchange<'a> {
    pub host: &'a mut dyn Host,
    pub settings: Settings,
    serial: u8,
    /// Bytes that came behind the last answer, in the same piece: somebody else's.
    pub left_over: usize,
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
        Exchange { host, settings, serial, left_over: 0 }
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
        let question = self.send(control, identifier, payload)?;
        self.answer(question)
    }

    /// Who answers, and its type, in whichever dialect: only address and control code are looked at.
    pub fn who(&mut self) -> Result<(Address, u8), DriverError> {
        self.send(control::READ_ADDRESS, identifier::ADDRESS, &[])?;
        let asked = self.settings.address;
        let look = |bytes: &[u8]| decode(bytes).map(|frame| answerer(asked, &frame));
        let heard = LISTENING.hear(self.host, look)?;
        self.left_over = heard.left_over;
        Ok(heard.answer)
    }

    fn send(
        &mut self,
        control: u8,
        identifier: u16,
        payload: &[u8],
    ) -> Result<Question, DriverError> {
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
        Ok(question)
    }

    fn answer(&mut self, question: Question) -> Result<Answer, DriverError> {
        let settings = &self.settings;
        let other = |why: String| DriverError::new(error::OTHER_DEVICE, why);
        let look = |bytes: &[u8]| {
            decode(bytes).map(|frame| answer_in(question, settings, &frame).map_err(other))
        };
        let heard = LISTENING.hear(self.host, look)?;
        self.left_over = heard.left_over;
        Ok(heard.answer)
    }
}

/// A meter that refuses to tell its address has told it by refusing.
fn answerer(asked: Address, frame: &Frame<'_>) -> Result<(Address, u8), DriverError> {
    let (came, kind) = (frame.address, frame.kind);
    let answers = frame.control & !control::ERROR == control::READ_ADDRESS | control::REPLY;
    if answers && asked.matches(came) && came.is_one_meter() {
        return Ok((came, kind));
    }
    let detail =
        format!("{asked} was asked, a frame of {came} came, control code {:02X}", frame.control);
    Err(DriverError::new(error::OTHER_DEVICE, detail))
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
