//! One question to a meter and its answer, put together where it comes in parts.
//!
//! Invariant: what is returned answers the question that was asked: by address, by the number of
//! the question and by the service. Anything else on the line is passed over, within bounds. A
//! question is sent once; only the parts of its answer are confirmed.

use crate::settings::Settings;
use polymeter_codec::dlt698::{
    self, Apdu, Ask, Assembly, Body, Control, Fragment, Frame, Progress, Question, ServerAddress,
};
use polymeter_driver::codes::error;
use polymeter_driver::listening::Listening;
use polymeter_driver::{DriverError, Host};

const LISTENING: Listening =
    Listening { receives_max: 24, bytes_max: 8192, false_start: dlt698::false_start };
/// Parts of one answer.
const PARTS_MAX: usize = 32;
/// An answer put together.
const APDU_BYTES_MAX: usize = 8192;
/// A question's frame.
const QUESTION_BYTES_MAX: usize = 640;
/// The number of a question (DL/T 698.45-2017, 7.3.4.1: PIID, six bits).
const NUMBER: u8 = 0x3F;

pub struct Exchange<'a> {
    pub host: &'a mut dyn Host,
    pub settings: Settings,
    /// Of the next question.
    pub number: u8,
    /// Bytes that came behind the last answer, in the same piece: somebody else's.
    pub left_over: usize,
    /// Frames sent, of those that this call may send.
    sent: u32,
    pub most: u32,
}

/// An answer: who gave it, and its APDU, which decodes.
pub struct Answer {
    pub server: ServerAddress,
    apdu: Vec<u8>,
}

impl Answer {
    pub fn body(&self) -> Result<Body<'_>, DriverError> {
        let apdu = Apdu::decode(&self.apdu);
        apdu.map(|apdu| apdu.body).map_err(|why| DriverError::new(error::GARBLED, why.to_string()))
    }
}

/// A frame that is for us: its parts, or all of it.
enum Came {
    Whole(Answer),
    Part(ServerAddress, Vec<u8>),
}

impl<'a> Exchange<'a> {
    pub fn new(host: &'a mut dyn Host, settings: Settings) -> Exchange<'a> {
        Exchange { host, settings, number: 1, left_over: 0, sent: 0, most: u32::MAX }
    }

    pub fn ask(&mut self, ask: Ask<'_>) -> Result<Answer, DriverError> {
        let piid = self.number & NUMBER;
        self.number = self.number.wrapping_add(1);
        let mut bytes = [0; QUESTION_BYTES_MAX];
        let length = Question { piid, ask }
            .frame(self.settings.address, self.settings.client, &mut bytes)
            .map_err(|reason| DriverError::new(error::BAD_PARAMETER, reason.to_string()))?;
        self.send(bytes.get(..length).unwrap_or_default())?;
        let mut room = vec![0; APDU_BYTES_MAX];
        let mut assembly = Assembly::new(&mut room);
        for _ in 0..PARTS_MAX {
            let (server, part) = match self.frame(piid)? {
                Came::Whole(answer) => return Ok(answer),
                Came::Part(server, part) => (server, part),
            };
            let garbled = |why: String| DriverError::new(error::GARBLED, why);
            let part = Fragment::of(&part).map_err(|why| garbled(why.to_string()))?;
            match assembly.add(&part).map_err(|why| garbled(why.to_string()))? {
                Progress::Confirm { number } => self.confirm(server, number)?,
                Progress::Whole { .. } => {
                    let apdu = assembly.bytes().to_vec();
                    answers(piid, &apdu).map_err(|why| *why)?;
                    return Ok(Answer { server, apdu });
                }
            }
        }
        Err(DriverError::new(error::GARBLED, format!("an answer of more than {PARTS_MAX} parts")))
    }

    /// Frames that may still be sent.
    pub fn left(&self) -> u32 {
        self.most.saturating_sub(self.sent)
    }

    fn send(&mut self, frame: &[u8]) -> Result<(), DriverError> {
        if self.left() == 0 {
            let why = format!("more than the {} questions that this call may ask", self.most);
            return Err(DriverError::new(error::LINE, why));
        }
        self.sent = self.sent.saturating_add(1);
        let mut bytes = vec![0xFE; self.settings.wake_up];
        bytes.extend(frame);
        Ok(self.host.send(&bytes)?)
    }

    fn confirm(&mut self, server: ServerAddress, number: u16) -> Result<(), DriverError> {
        let part = Fragment { number, place: dlt698::Place::Confirm, data: &[] };
        let control = Control(Control::REQUEST.0 | 0x20);
        let client = self.settings.client;
        let mut bytes = [0; 64];
        let length = Frame { control, server, client, apdu: &part.head() }
            .encode(&mut bytes)
            .map_err(|reason| DriverError::new(error::BAD_PARAMETER, reason.to_string()))?;
        self.send(bytes.get(..length).unwrap_or_default())
    }

    /// The next frame that is for us.
    fn frame(&mut self, piid: u8) -> Result<Came, DriverError> {
        let settings = &self.settings;
        let look = |bytes: &[u8]| {
            dlt698::decode(bytes).map(|frame| for_us(settings, piid, &frame).map_err(|why| *why))
        };
        let heard = LISTENING.hear(self.host, look)?;
        self.left_over = heard.left_over;
        Ok(heard.answer)
    }
}

fn for_us(settings: &Settings, piid: u8, frame: &Frame<'_>) -> Result<Came, Box<DriverError>> {
    let other = |why: String| Box::new(DriverError::new(error::OTHER_DEVICE, why));
    let asked = &settings.address;
    if !asked.matches(&frame.server) {
        return Err(other(format!("{} answered, {asked} was asked", frame.server)));
    }
    if !frame.control.from_server() || frame.control.function() != 3 {
        return Err(other(format!("a frame of control {:02X}, no answer", frame.control.0)));
    }
    let apdu: Vec<u8> = frame.plain().collect();
    if frame.control.is_fragment() {
        return Ok(Came::Part(frame.server, apdu));
    }
    answers(piid, &apdu)?;
    Ok(Came::Whole(Answer { server: frame.server, apdu }))
}

/// Whether an APDU is an answer to the question of this number.
fn answers(piid: u8, apdu: &[u8]) -> Result<(), Box<DriverError>> {
    let refused = |code, why: String| Box::new(DriverError::new(code, why));
    let apdu = Apdu::decode(apdu).map_err(|why| refused(error::GARBLED, why.to_string()))?;
    let number = apdu.piid.unwrap_or(0) & NUMBER;
    match apdu.body {
        Body::Got(_) | Body::SetDone(_) | Body::ActionDone(_) if number == piid => Ok(()),
        Body::Got(_) | Body::SetDone(_) | Body::ActionDone(_) => Err(refused(
            error::OTHER_DEVICE,
            format!("the answer to question {number}, not {piid}"),
        )),
        Body::Unread(why) => {
            Err(refused(error::DEVICE_SAYS_NO, format!("the meter cannot read it, reason {why}")))
        }
        _ => Err(refused(error::OTHER_DEVICE, "a service that answers no question".to_owned())),
    }
}
