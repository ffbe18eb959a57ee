//! How an APDU goes to a meter and its answer comes back: behind a wrapper, or in HDLC frames.
//!
//! Invariant: a question is sent once, unless the meter itself says that it has not got it; an answer
//! that was lost is asked for again by its number (HDLC alone). What is not between these two
//! addresses is passed over, within bounds.
//! Not here: what an APDU says, but for the caller's word whether it answers the question.

use crate::hdlc::Hdlc;
use crate::settings::{Connection, Settings, bad};
use polymeter_codec::dlms::wrapper::{self, Wrapped};
use polymeter_driver::codes::error;
use polymeter_driver::listening::Listening;
use polymeter_driver::{DriverError, Host};

/// The longest APDU that is asked for, and some noise before it.
pub const APDU_BYTES_MAX: u16 = 2_048;
const LISTENING: Listening =
    Listening { receives_max: 24, bytes_max: 8_192, false_start: next_version };

/// A beginning that nothing completed goes up to the next byte that may begin a header.
fn next_version(bytes: &[u8]) -> usize {
    let next = bytes.iter().skip(1).position(|byte| *byte == 0);
    next.map_or(bytes.len(), |distance| distance.saturating_add(1))
}

/// Whether an APDU answers the question, or why not.
pub type Judge<'a> = &'a dyn Fn(&[u8]) -> Result<(), Box<DriverError>>;

/// The call's line, and how many frames it has sent of those that it may.
pub struct Line<'a> {
    pub host: &'a mut dyn Host,
    sent: u32,
    most: u32,
}

impl<'a> Line<'a> {
    /// For a call that may send as many frames as it needs.
    pub fn new(host: &'a mut dyn Host) -> Line<'a> {
        Line::within(host, u32::MAX)
    }

    /// For one that may send so many.
    pub fn within(host: &'a mut dyn Host, most: u32) -> Line<'a> {
        Line { host, sent: 0, most }
    }

    /// The same line to another link; what that one sends counts here once it is told (`spend`).
    pub fn lent(&mut self) -> Line<'_> {
        Line { host: self.host, sent: self.sent, most: self.most }
    }

    pub fn spend(&mut self, sent: u32) {
        self.sent = sent;
    }

    /// Frames that may still be sent.
    pub fn left(&self) -> u32 {
        self.most.saturating_sub(self.sent)
    }

    pub fn send(&mut self, frame: &[u8]) -> Result<(), DriverError> {
        if self.left() == 0 {
            let why = format!("more than the {} questions that this call may ask", self.most);
            return Err(DriverError::new(error::LINE, why));
        }
        self.sent = self.sent.saturating_add(1);
        Ok(self.host.send(frame)?)
    }
}

pub struct Link<'a> {
    pub line: Line<'a>,
    way: Way,
}

enum Way {
    Wrapper { client: u16, device: u16 },
    Hdlc(Hdlc),
}

impl<'a> Link<'a> {
    /// As this client; an HDLC link is begun anew, whatever was before.
    pub fn open(
        mut line: Line<'a>,
        settings: &Settings,
        client: u8,
    ) -> Result<Link<'a>, DriverError> {
        let way = match settings.connection {
            Connection::Wrapper { device } => Way::Wrapper { client: client.into(), device },
            Connection::Hdlc { server } => Way::Hdlc(Hdlc::open(&mut line, server, client)?),
        };
        Ok(Link { line, way })
    }

    /// Bytes of an answer that come for one frame of ours, where the meter fills what it may.
    pub fn bytes_a_frame(&self, apdu_bytes_max: usize) -> usize {
        match &self.way {
            Way::Wrapper { .. } => apdu_bytes_max,
            Way::Hdlc(hdlc) => apdu_bytes_max.min(hdlc.answer_bytes),
        }
    }

    pub fn is_wrapper(&self) -> bool {
        matches!(self.way, Way::Wrapper { .. })
    }

    /// The APDU that answers.
    pub fn ask(&mut self, apdu: &[u8], judge: Judge<'_>) -> Result<Vec<u8>, DriverError> {
        match &mut self.way {
            Way::Wrapper { client, device } => {
                let (source, destination) = (*client, *device);
                let question = Wrapped { source, destination, apdu };
                let mut bytes = vec![0; apdu.len().saturating_add(8)];
                let length = question.encode(&mut bytes).map_err(|why| bad(why.to_string()))?;
                self.line.send(bytes.get(..length).unwrap_or_default())?;
                let look = |bytes: &[u8]| {
                    wrapper::decode(bytes)
                        .map(|frame| for_us(&question, &frame, judge).map_err(|why| *why))
                };
                Ok(LISTENING.hear(self.line.host, look)?.answer)
            }
            Way::Hdlc(hdlc) => {
                let answer = hdlc.ask(&mut self.line, apdu)?;
                judge(&answer).map_err(|why| *why)?;
                Ok(answer)
            }
        }
    }

    /// Ends an HDLC link, whatever may still be sent; how many frames there were. Nothing hangs on its
    /// answer: the next link begins anew.
    pub fn close(mut self) -> u32 {
        self.line.most = u32::MAX;
        if let Way::Hdlc(hdlc) = self.way {
            hdlc.close(&mut self.line);
        }
        self.line.sent
    }

    /// Lets one more frame be sent.
    pub fn allow_one(&mut self) {
        self.line.most = self.line.sent.saturating_add(1);
    }
}

fn for_us(
    question: &Wrapped<'_>,
    frame: &Wrapped<'_>,
    judge: Judge<'_>,
) -> Result<Vec<u8>, Box<DriverError>> {
    if (frame.source, frame.destination) != (question.destination, question.source) {
        let why = format!(
            "{} answered {}, and {} was asked by {}",
            frame.source, frame.destination, question.destination, question.source
        );
        return Err(Box::new(DriverError::new(error::OTHER_DEVICE, why)));
    }
    judge(frame.apdu)?;
    Ok(frame.apdu.to_vec())
}
