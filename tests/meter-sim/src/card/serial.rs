//! A contactless reader on a serial line, written from ACS's manual (ACR122S Communication Protocol 2.01:
//! frames on pages 8 to 10, orders on 11 to 13, direct transmit on 16, error codes on 56; examples also in
//! ACR122L Communication Protocol 1.03, pages 41 to 46). It is served on a TCP port or a pseudo-terminal,
//! cards are put onto it, and each order can go wrong as a script says.
//!
//! Invariant: what an order does to the card is done once, however often its answer is asked for.
//!
//! Deliberately not here: the module in the slot (it answers its reset and nothing else), lights and
//! buzzer, baud rates, the frame for an order that stopped half way, cards without an antenna.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::Card;
use super::field_chip::FieldChip;
use crate::bus::Port;
use crate::event::{Hub, lock};
use crate::lines::{Endpoint, Line};

const STX: u8 = 0x02;
const ETX: u8 = 0x03;
/// Header, and what stands around it and the data.
const FRAME_BYTES: usize = 10 + 3;
/// Page 10: a length above that is an error.
const DATA_BYTES_MAX: usize = 0x105;
/// Page 9: the answer to reset of the manual's module, and its status.
const MODULE: [u8; 13] =
    [0x3B, 0x2A, 0x00, 0x80, 0x65, 0x24, 0xB0, 0x00, 0x02, 0x00, 0x82, 0x90, 0x00];

/// Something that goes wrong with one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderFault {
    /// With which order from now on; 1 is the next one.
    pub at: u64,
    pub kind: ReaderFaultKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReaderFaultKind {
    /// It came with a wrong sum: not done, and said so.
    Unheard,
    /// Done, and its answer has a wrong sum so many times.
    Corrupt { times: u32 },
    /// Neither taken nor answered; done or not. The last answer can still be asked for.
    Mute { done: bool },
    /// Done and answered late.
    Slow { wait_ms: u64 },
    /// The cable is pulled, before it is done or after.
    Unplugged { done: bool },
    /// Not done, and this is sent in place of an answer.
    Says(Vec<u8>),
}

/// The reader. Its line ends with it.
#[derive(Debug)]
pub struct SerialReader {
    desk: Arc<Mutex<Desk>>,
    line: Line,
}

#[derive(Debug, Default)]
struct Desk {
    chip: FieldChip,
    module_is_on: bool,
    last_answer: Vec<u8>,
    faults: Vec<ReaderFault>,
    /// The data of each order that came whole.
    orders: Vec<Vec<u8>>,
    corrupt: u32,
    is_unplugged: bool,
}

/// What goes back onto the wire.
struct Reply {
    bytes: Vec<u8>,
    wait: Duration,
    hangs_up: bool,
}

impl SerialReader {
    /// On this port of the loopback; 0 takes a free one.
    pub fn tcp(port: u16) -> std::io::Result<Self> {
        let (desk, hub) = (Arc::new(Mutex::new(Desk::default())), Arc::new(Hub::default()));
        let (serving, stop) = (Arc::clone(&desk), Arc::clone(&hub));
        let line = Line::tcp(port, hub, move |stream| serve(&serving, &stop, Port::Tcp(stream)))?;
        Ok(Self { desk, line })
    }

    /// On a pseudo-terminal.
    pub fn pty() -> std::io::Result<Self> {
        let (desk, hub) = (Arc::new(Mutex::new(Desk::default())), Arc::new(Hub::default()));
        let (serving, stop) = (Arc::clone(&desk), Arc::clone(&hub));
        let line = Line::pty(hub, move |port| serve(&serving, &stop, port))?;
        Ok(Self { desk, line })
    }

    /// Where a host finds it.
    pub fn endpoint(&self) -> Endpoint {
        self.line.endpoint()
    }

    /// Lays a card onto it, in place of what lies there.
    pub fn put(&self, card: &Card) {
        lock(&self.desk).chip.put(Some(card.clone()));
    }

    pub fn pull(&self) {
        lock(&self.desk).chip.put(None);
    }

    /// Whether a card lies there: a fault may have pulled it.
    pub fn has_card(&self) -> bool {
        lock(&self.desk).chip.has_card()
    }

    /// Whether whatever lies there has power.
    pub fn has_field(&self) -> bool {
        lock(&self.desk).chip.has_field()
    }

    /// Lets something go wrong with a later order.
    pub fn fault(&self, fault: ReaderFault) {
        let mut desk = lock(&self.desk);
        let come = u64::try_from(desk.orders.len()).unwrap_or(u64::MAX);
        let at = come.saturating_add(fault.at);
        desk.faults.push(ReaderFault { at, ..fault });
    }

    /// Takes back what still waits.
    pub fn clear_faults(&self) {
        lock(&self.desk).faults.clear();
    }

    /// The data of all orders that came whole.
    pub fn orders(&self) -> Vec<Vec<u8>> {
        lock(&self.desk).orders.clone()
    }

    /// Pulls the cable: no connection is kept on which something is said, and on a pseudo-terminal it is
    /// silent. Without power it forgets what it was told.
    pub fn unplug(&self) {
        lock(&self.desk).unplug();
    }

    pub fn plug(&self) {
        lock(&self.desk).is_unplugged = false;
    }
}

fn serve(desk: &Mutex<Desk>, hub: &Hub, mut port: Port) {
    let mut heard: Vec<u8> = Vec::new();
    let mut chunk = [0; 512];
    let is_terminal = matches!(port, Port::Pty { .. });
    if !is_terminal && lock(desk).is_unplugged {
        return;
    }
    while !hub.stopping() {
        let count = match port.read(&mut chunk) {
            Ok(0) | Err(_) => return,
            Ok(count) => count,
        };
        heard.extend_from_slice(chunk.get(..count).unwrap_or_default());
        loop {
            if lock(desk).is_unplugged {
                heard.clear();
                if is_terminal {
                    break;
                }
                return;
            }
            let Some((used, frame)) = cut(&heard) else { break };
            heard.drain(..used);
            // A whole answer is sent before the next frame is heard, as the manual says.
            let reply = lock(desk).reply(&frame);
            std::thread::sleep(reply.wait);
            if port.write_all(&reply.bytes).is_err() || (reply.hangs_up && !is_terminal) {
                return;
            }
        }
    }
}

/// A frame of the host's.
enum Frame {
    Again,
    Order { kind: u8, slot: u8, sequence: u8, data: Vec<u8> },
    Wrong(u8),
}

/// The first frame, and how many bytes it took; none: more has to come.
fn cut(heard: &[u8]) -> Option<(usize, Frame)> {
    let skipped = heard.iter().position(|byte| *byte == STX)?;
    let heard = heard.get(skipped..)?;
    let header = heard.get(1..11)?;
    let length = u32::from_le_bytes(*header.get(1..)?.first_chunk()?);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > DATA_BYTES_MAX {
        return Some((skipped + heard.len(), Frame::Wrong(0xFE)));
    }
    let whole = FRAME_BYTES + length;
    let frame = heard.get(..whole)?;
    let used = skipped + whole;
    let sum = frame.get(1..whole - 1)?.iter().fold(0, |sum, byte| sum ^ byte);
    let data = header_and_data(frame, length)?;
    Some((
        used,
        match (frame.last(), sum) {
            (Some(&ETX), 0) if header.iter().all(|byte| *byte == 0) => Frame::Again,
            (Some(&ETX), 0) => Frame::Order {
                kind: *header.first()?,
                slot: *header.get(5)?,
                sequence: *header.get(6)?,
                data,
            },
            (Some(&ETX), _) => Frame::Wrong(0xFF),
            _ => Frame::Wrong(0xFD),
        },
    ))
}

fn header_and_data(frame: &[u8], length: usize) -> Option<Vec<u8>> {
    frame.get(11..11 + length).map(<[u8]>::to_vec)
}

impl Desk {
    fn unplug(&mut self) {
        self.is_unplugged = true;
        self.module_is_on = false;
        self.last_answer.clear();
        self.chip.lose_power();
    }

    fn reply(&mut self, frame: &Frame) -> Reply {
        let at_once = |bytes| Reply { bytes, wait: Duration::ZERO, hangs_up: false };
        match frame {
            Frame::Again => at_once(self.answer_now()),
            Frame::Wrong(why) => at_once(vec![STX, *why, *why, ETX]),
            Frame::Order { kind, slot, sequence, data } => {
                self.orders.push(data.clone());
                let come = u64::try_from(self.orders.len()).unwrap_or(u64::MAX);
                let found = self.faults.iter().position(|fault| fault.at == come);
                let fault = found.map(|at| self.faults.swap_remove(at).kind);
                self.order(fault, [*kind, *slot, *sequence], data)
            }
        }
    }

    /// Does an order, as far as the fault lets it.
    fn order(&mut self, fault: Option<ReaderFaultKind>, head: [u8; 3], data: &[u8]) -> Reply {
        let mut reply = Reply { bytes: Vec::new(), wait: Duration::ZERO, hangs_up: false };
        match &fault {
            Some(ReaderFaultKind::Unheard) => {
                reply.bytes = vec![STX, 0xFF, 0xFF, ETX];
                return reply;
            }
            Some(ReaderFaultKind::Says(bytes)) => {
                reply.bytes.clone_from(bytes);
                return reply;
            }
            Some(ReaderFaultKind::Mute { done: false }) => return reply,
            Some(ReaderFaultKind::Unplugged { done: false }) => {
                self.unplug();
                return Reply { hangs_up: true, ..reply };
            }
            _ => {}
        }
        let Some(answer) = self.done(head, data) else {
            reply.bytes = vec![STX, 0, 0, ETX];
            return reply;
        };
        self.last_answer = answer;
        match fault {
            Some(ReaderFaultKind::Unplugged { .. }) => {
                self.unplug();
                return Reply { hangs_up: true, ..reply };
            }
            Some(ReaderFaultKind::Mute { .. }) => return reply,
            Some(ReaderFaultKind::Corrupt { times }) => self.corrupt = times,
            Some(ReaderFaultKind::Slow { wait_ms }) => reply.wait = Duration::from_millis(wait_ms),
            _ => {}
        }
        reply.bytes = [&[STX, 0, 0, ETX][..], &self.answer_now()].concat();
        reply
    }

    /// The last answer as it goes onto the wire.
    fn answer_now(&mut self) -> Vec<u8> {
        let mut answer = self.last_answer.clone();
        if self.corrupt > 0 {
            self.corrupt -= 1;
            let sum = answer.len().saturating_sub(2);
            if let Some(sum) = answer.get_mut(sum) {
                *sum ^= 0x5A;
            }
        }
        answer
    }

    /// None: it works for ever.
    fn done(&mut self, [kind, slot, sequence]: [u8; 3], data: &[u8]) -> Option<Vec<u8>> {
        let (kind, data) = match kind {
            0x62 => {
                self.module_is_on = true;
                (0x80, MODULE.to_vec())
            }
            0x63 => {
                self.module_is_on = false;
                (0x81, Vec::new())
            }
            0x6F => (0x80, self.apdu(data)?),
            // No order of the manual's.
            _ => (0x80, vec![0x63, 0x00]),
        };
        let length = u32::try_from(data.len()).unwrap_or(u32::MAX).to_le_bytes();
        let body = [&[kind][..], &length, &[slot, sequence, 0, 0, 0], &data].concat();
        let sum = body.iter().fold(0, |sum, byte| sum ^ byte);
        Some([&[STX][..], &body, &[sum, ETX]].concat())
    }

    fn apdu(&mut self, apdu: &[u8]) -> Option<Vec<u8>> {
        // All goes through the module's interface, which has to be on (page 8).
        if !self.module_is_on {
            return Some(vec![0x63, 0x00]);
        }
        match apdu {
            [0xFF, 0, 0, 0, length, command @ ..] if command.len() == usize::from(*length) => {
                self.chip.tell(command)
            }
            [0xFF, ..] => Some(vec![0x63, 0x7F]),
            _ => Some(vec![0x6E, 0x00]),
        }
    }
}
