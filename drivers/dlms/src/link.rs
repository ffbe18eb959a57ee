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

pub struct Link<'a> {
    pub host: &'a mut dyn Host,
    way: Way,
}

enum Way {
    Wrapper { client: u16, device: u16 },
    Hdlc(Hdlc),
}

impl<'a> Link<'a> {
    /// As this client; an HDLC link is begun anew, whatever was before.
    pub fn open(
        host: &'a mut dyn Host,
        settings: &Settings,
        client: u8,
    ) -> Result<Link<'a>, DriverError> {
        let way = match settings.connection {
            Connection::Wrapper { device } => Way::Wrapper { client: client.into(), device },
            Connection::Hdlc { server } => Way::Hdlc(Hdlc::open(host, server, client)?),
        };
        Ok(Link { host, way })
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
                self.host.send(bytes.get(..length).unwrap_or_default())?;
                let look = |bytes: &[u8]| {
                    wrapper::decode(bytes)
                        .map(|frame| for_us(&question, &frame, judge).map_err(|why| *why))
                };
                Ok(LISTENING.hear(self.host, look)?.answer)
            }
            Way::Hdlc(hdlc) => {
                let answer = hdlc.ask(self.host, apdu)?;
                judge(&answer).map_err(|why| *why)?;
                Ok(answer)
            }
        }
    }

    /// Ends an HDLC link. Nothing hangs on its answer: the next link begins anew.
    pub fn close(self) {
        if let Way::Hdlc(hdlc) = self.way {
            hdlc.close(self.host);
        }
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
