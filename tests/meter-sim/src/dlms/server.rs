//! What a client has of a meter: an HDLC link with its numbers and segments, an association with
//! its security and the blocks that are not fetched yet.

use std::collections::VecDeque;

use super::wire::Frame;

/// LLC headers (IEC 62056-46, 5.3.2).
const FROM_CLIENT: [u8; 3] = [0xE6, 0xE6, 0x00];
const FROM_SERVER: [u8; 3] = [0xE6, 0xE7, 0x00];
/// Control bytes without the poll bit.
pub const SNRM: u8 = 0x83;
pub const DISC: u8 = 0x43;
pub const UA: u8 = 0x63;
pub const DM: u8 = 0x0F;
const FRMR: u8 = 0x87;
/// What a client takes that does not say.
pub const INFORMATION_BYTES: usize = 128;
/// A question of more bytes is none.
const QUESTION_BYTES_MAX: usize = 4_096;

/// One client.
#[derive(Debug, Default)]
pub struct Client {
    pub link: Option<Link>,
    pub association: Option<Association>,
}

/// An association that was accepted.
#[derive(Debug)]
pub struct Association {
    /// 0 none, 1 low, 5 GMAC.
    pub mechanism: u8,
    /// The client has proved who it is, or need not.
    pub open: bool,
    pub ciphered: bool,
    pub title: [u8; 8],
    /// The client's challenge and ours.
    pub challenges: (Vec<u8>, Vec<u8>),
    /// Longer answers come in blocks.
    pub apdu_bytes_max: usize,
    pub several: bool,
    /// A value may be written in blocks.
    pub blocks_of_set: bool,
    pub blocks: Option<Blocks>,
    pub writing: Option<Writing>,
}

/// A value that is fetched block by block.
#[derive(Debug)]
pub struct Blocks {
    pub invoke: u8,
    /// Of the block that went out last.
    pub number: u32,
    pub rest: Vec<u8>,
}

/// A value that is written block by block.
#[derive(Debug)]
pub struct Writing {
    pub invoke: u8,
    /// Class, logical name, attribute.
    pub to: (u16, [u8; 6], i8),
    /// Of the block that came last.
    pub number: u32,
    pub value: Vec<u8>,
}

/// A link: the numbers of the next frame either way, a question that is not whole yet, and the
/// segments of an answer.
#[derive(Debug)]
pub struct Link {
    send: u8,
    receive: u8,
    segment_bytes: usize,
    question: Vec<u8>,
    segments: VecDeque<Vec<u8>>,
    /// The frame that the client has not acknowledged: its number, information, more follow.
    last: Option<(u8, Vec<u8>, bool)>,
}

/// What a frame is to a link.
pub enum Step {
    /// An answer that the link makes by itself.
    Reply(Vec<u8>),
    /// A whole question.
    Question(Vec<u8>),
}

impl Link {
    pub fn new(segment_bytes: usize) -> Self {
        Self {
            send: 0,
            receive: 0,
            segment_bytes: segment_bytes.max(8),
            question: Vec::new(),
            segments: VecDeque::new(),
            last: None,
        }
    }

    /// An I or an RR frame.
    pub fn step(&mut self, frame: &Frame<'_>) -> Step {
        let next = frame.control >> 5;
        if self.last.as_ref().is_some_and(|(number, ..)| (number + 1) & 7 == next) {
            self.last = None;
        }
        if frame.control & 1 == 0 {
            return self.information(frame, frame.control >> 1 & 7);
        }
        if frame.control & 0x0F != 1 {
            return Step::Reply(frame.answer(FRMR, false, &[]));
        }
        Step::Reply(self.again(frame).or_else(|| self.segment(frame)).unwrap_or(self.ready(frame)))
    }

    fn information(&mut self, frame: &Frame<'_>, number: u8) -> Step {
        if number != self.receive {
            // Said twice: what was answered is answered again.
            return Step::Reply(self.again(frame).unwrap_or(self.ready(frame)));
        }
        self.receive = (self.receive + 1) & 7;
        self.segments.clear();
        self.last = None;
        self.question.extend(frame.information);
        if frame.segmented && self.question.len() <= QUESTION_BYTES_MAX {
            return Step::Reply(self.ready(frame));
        }
        let question = std::mem::take(&mut self.question);
        match question.strip_prefix(&FROM_CLIENT) {
            Some(apdu) if question.len() <= QUESTION_BYTES_MAX => Step::Question(apdu.to_vec()),
            _ => Step::Reply(frame.answer(FRMR, false, &[])),
        }
    }

    /// The first frame of an answer.
    pub fn answer(&mut self, frame: &Frame<'_>, apdu: Option<Vec<u8>>) -> Vec<u8> {
        let Some(apdu) = apdu else { return self.ready(frame) };
        let whole = [&FROM_SERVER[..], &apdu].concat();
        self.segments = whole.chunks(self.segment_bytes).map(<[u8]>::to_vec).collect();
        self.segment(frame).unwrap_or(self.ready(frame))
    }

    fn segment(&mut self, frame: &Frame<'_>) -> Option<Vec<u8>> {
        let information = self.segments.pop_front()?;
        let number = self.send;
        self.send = (self.send + 1) & 7;
        self.last = Some((number, information, !self.segments.is_empty()));
        self.again(frame)
    }

    fn again(&self, frame: &Frame<'_>) -> Option<Vec<u8>> {
        let (number, information, more) = self.last.as_ref()?;
        Some(frame.answer(self.receive << 5 | number << 1, *more, information))
    }

    fn ready(&self, frame: &Frame<'_>) -> Vec<u8> {
        frame.answer(self.receive << 5 | 0x01, false, &[])
    }
}

/// What a client says in SNRM that it takes, in bytes of information.
pub fn takes(parameters: &[u8]) -> usize {
    let mut rest = parameters.get(3..).unwrap_or_default();
    while let [tag, length, after @ ..] = rest {
        let Some((value, behind)) = after.split_at_checked(usize::from(*length)) else { break };
        if *tag == 0x06 {
            return value.iter().fold(0, |number, byte| number << 8 | usize::from(*byte));
        }
        rest = behind;
    }
    INFORMATION_BYTES
}

/// What a meter says in UA: so many bytes of information both ways, windows of one frame.
pub fn agreed(information_bytes: u16) -> Vec<u8> {
    let bytes = match u8::try_from(information_bytes) {
        Ok(byte) => vec![0x01, byte],
        Err(_) => [&[0x02], &information_bytes.to_be_bytes()[..]].concat(),
    };
    let fields = [
        &[0x05],
        bytes.as_slice(),
        &[0x06],
        bytes.as_slice(),
        &[0x07, 0x04, 0, 0, 0, 1, 0x08, 0x04, 0, 0, 0, 1],
    ]
    .concat();
    let length = u8::try_from(fields.len()).unwrap_or(u8::MAX);
    [&[0x81, 0x80, length], fields.as_slice()].concat()
}
