//! An HDLC link (IEC 62056-46): begun with SNRM, one frame at a time, numbered both ways, long
//! APDUs in segments.
//!
//! Invariant: only the frame with the next number is taken; so an answer that comes twice or late is
//! no answer. Where one was lost, the meter is asked for it by its number and not for the act.

use crate::link::Line;
use polymeter_codec::hdlc::{self, Address, Control, Frame, LLC_REQUEST, without_llc};
use polymeter_driver::DriverError;
use polymeter_driver::codes::error;
use polymeter_driver::listening::Listening;

const LISTENING: Listening =
    Listening { receives_max: 24, bytes_max: 8_192, false_start: hdlc::false_start };
/// Bytes of information in a frame where nothing else was agreed (6.4.4.4.3.2).
const INFORMATION_BYTES: usize = 128;
/// Segments of one answer, and its bytes.
const SEGMENTS_MAX: usize = 64;
const ANSWER_BYTES_MAX: usize = 8_192;
/// How often a meter is asked for an answer that did not come.
const POLLS_MAX: usize = 2;

pub struct Hdlc {
    server: Address,
    client: Address,
    /// The number of our next frame, and of the meter's.
    send: u8,
    receive: u8,
    /// What one frame may carry to the meter.
    segment_bytes: usize,
    /// What one frame carries to us.
    pub answer_bytes: usize,
}

/// A frame from the meter to us.
struct Heard {
    control: Control,
    segmented: bool,
    information: Vec<u8>,
}

impl Hdlc {
    pub fn open(line: &mut Line<'_>, server: Address, client: u8) -> Result<Hdlc, DriverError> {
        let client = Address::client(client);
        let client =
            client.ok_or_else(|| DriverError::new(error::BAD_PARAMETER, "a client above 127"))?;
        let mut link =
            Hdlc { server, client, send: 0, receive: 0, segment_bytes: 0, answer_bytes: 0 };
        link.send(line, Control::Snrm, false, &[])?;
        let heard = link.hear(line, |control| matches!(control, Control::Acknowledge))?;
        let agreed = |tag| agreed(&heard.information, tag).clamp(8, INFORMATION_BYTES);
        (link.segment_bytes, link.answer_bytes) = (agreed(TAKES), agreed(SENDS));
        Ok(link)
    }

    /// The APDU that the meter answers to this one.
    pub fn ask(&mut self, line: &mut Line<'_>, apdu: &[u8]) -> Result<Vec<u8>, DriverError> {
        let information = [&LLC_REQUEST[..], apdu].concat();
        let mut segments = information.chunks(self.segment_bytes).peekable();
        let mut heard = None;
        while let Some(segment) = segments.next() {
            let more = segments.peek().is_some();
            heard = Some(self.deliver(line, segment, more)?);
        }
        let mut answer = Vec::new();
        for _ in 0..SEGMENTS_MAX {
            let Some(frame) = heard.take() else { break };
            answer.extend(frame.information);
            if !frame.segmented {
                let apdu = without_llc(&answer).map(<[u8]>::to_vec);
                return apdu.ok_or_else(|| garbled("an answer without an LLC header"));
            }
            if answer.len() > ANSWER_BYTES_MAX {
                return Err(garbled("an answer without an end"));
            }
            heard = Some(self.poll(line)?);
        }
        Err(garbled("an answer of too many segments"))
    }

    /// Sends one numbered frame. What comes is the meter's yes where more follows, else its answer.
    fn deliver(
        &mut self,
        line: &mut Line<'_>,
        segment: &[u8],
        more: bool,
    ) -> Result<Heard, DriverError> {
        let number = self.send;
        self.send = next(self.send);
        let question = Control::Information { send: number, receive: self.receive };
        self.send(line, question, more, segment)?;
        let mut came = self.answer(line, more);
        for _ in 0..POLLS_MAX {
            match &came {
                // It has not got the frame: this is the same frame once more.
                Ok(Heard { control: Control::ReceiveReady(wanted), .. }) if *wanted == number => {
                    self.send(line, question, more, segment)?;
                }
                Ok(Heard { control: Control::ReceiveReady(_), .. }) if more => return came,
                Ok(Heard { control: Control::Information { .. }, .. }) => return came,
                // It is not ready yet, or what it said was lost.
                Ok(_) => self.send(line, Control::ReceiveReady(self.receive), false, &[])?,
                Err(lost) if matches!(lost.code, error::NO_REPLY | error::GARBLED) => {
                    self.send(line, Control::ReceiveReady(self.receive), false, &[])?;
                }
                Err(_) => return came,
            }
            came = self.answer(line, more);
        }
        match came {
            Ok(Heard { control: Control::ReceiveReady(wanted), .. })
                if more && wanted != number =>
            {
                came
            }
            Ok(Heard { control: Control::Information { .. }, .. }) => came,
            Ok(_) => Err(DriverError::new(error::NO_REPLY, "the meter has no answer yet")),
            Err(why) => Err(why),
        }
    }

    /// The next segment of an answer.
    fn poll(&mut self, line: &mut Line<'_>) -> Result<Heard, DriverError> {
        let mut came = Err(garbled("nothing was asked"));
        for _ in 0..=POLLS_MAX {
            self.send(line, Control::ReceiveReady(self.receive), false, &[])?;
            came = self.answer(line, false);
            match &came {
                Ok(Heard { control: Control::Information { .. }, .. }) => return came,
                Ok(_) => {}
                Err(lost) if matches!(lost.code, error::NO_REPLY | error::GARBLED) => {}
                Err(_) => return came,
            }
        }
        came.and(Err(garbled("a segment that does not come")))
    }

    /// The meter's next numbered frame, which counts, or its readiness.
    fn answer(&mut self, line: &mut Line<'_>, more: bool) -> Result<Heard, DriverError> {
        let (wanted, acknowledged) = (self.receive, self.send);
        let heard = self.hear(line, |control| match control {
            Control::Information { send, receive } => {
                !more && send == wanted && receive == acknowledged
            }
            Control::ReceiveReady(_) | Control::ReceiveNotReady(_) => true,
            _ => false,
        })?;
        if let Control::Information { .. } = heard.control {
            self.receive = next(self.receive);
        }
        Ok(heard)
    }

    fn send(
        &self,
        line: &mut Line<'_>,
        control: Control,
        segmented: bool,
        information: &[u8],
    ) -> Result<(), DriverError> {
        let (destination, source) = (self.server, self.client);
        let frame = Frame { segmented, destination, source, control, poll: true, information };
        let mut bytes = vec![0; information.len().saturating_add(32)];
        let length = frame
            .encode(&mut bytes)
            .map_err(|why| DriverError::new(error::BAD_PARAMETER, why.to_string()))?;
        line.send(bytes.get(..length).unwrap_or_default())
    }

    /// The first frame from the meter to us that is one of those.
    fn hear(
        &self,
        line: &mut Line<'_>,
        wanted: impl Fn(Control) -> bool,
    ) -> Result<Heard, DriverError> {
        let look = |bytes: &[u8]| {
            hdlc::decode(bytes).map(|frame| self.for_us(&frame, &wanted).map_err(|why| *why))
        };
        Ok(LISTENING.hear(line.host, look)?.answer)
    }

    fn for_us(
        &self,
        frame: &Frame<'_>,
        wanted: &impl Fn(Control) -> bool,
    ) -> Result<Heard, Box<DriverError>> {
        let refused = |code, why: String| Err(Box::new(DriverError::new(code, why)));
        if (frame.source, frame.destination) != (self.server, self.client) {
            let why = format!("{} answered, {} was asked", frame.source, self.server);
            return refused(error::OTHER_DEVICE, why);
        }
        let control = frame.control;
        if wanted(control) {
            let information = frame.information.to_vec();
            return Ok(Heard { control, segmented: frame.segmented, information });
        }
        match control {
            Control::DisconnectedMode => refused(
                error::DEVICE_SAYS_NO,
                "the meter has no link with this client (DM)".to_owned(),
            ),
            Control::Reject => {
                refused(error::DEVICE_SAYS_NO, "the meter rejects the frame (FRMR)".to_owned())
            }
            other => {
                refused(error::OTHER_DEVICE, format!("a frame that answers nothing: {other:?}"))
            }
        }
    }

    /// DISC. Whatever comes, or does not, the link is over for us.
    pub fn close(self, line: &mut Line<'_>) {
        if self.send(line, Control::Disconnect, false, &[]).is_ok() {
            let ended =
                |control| matches!(control, Control::Acknowledge | Control::DisconnectedMode);
            let _ = self.hear(line, ended);
        }
    }
}

fn next(number: u8) -> u8 {
    number.wrapping_add(1) & 7
}

fn garbled(why: &str) -> DriverError {
    DriverError::new(error::GARBLED, why)
}

/// Parameters of UA: how much information the meter sends in a frame, and takes (6.4.4.4.3.2).
const SENDS: u8 = 0x05;
const TAKES: u8 = 0x06;

/// What a meter says of one of them; 128 where it does not say.
fn agreed(information: &[u8], wanted: u8) -> usize {
    // Format 81, group 80, a length, then tag, length and value of each.
    let [0x81, 0x80, _, rest @ ..] = information else { return INFORMATION_BYTES };
    let mut rest = rest;
    while let [tag, length, after @ ..] = rest {
        let Some((value, behind)) = after.split_at_checked(usize::from(*length)) else { break };
        if *tag == wanted && value.len() <= 2 {
            return value
                .iter()
                .fold(0, |number: usize, byte| number.wrapping_shl(8) | usize::from(*byte));
        }
        rest = behind;
    }
    INFORMATION_BYTES
}
