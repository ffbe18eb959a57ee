//! One question to a serial reader and its answer, over a line of its own.
//!
//! Invariant: an order that may change a card leaves at most once, whatever comes back. The reader asks
//! for a frame again that it did not take (4.1 B, page 9), but its *no* is four bytes on a noisy wire,
//! and a second write is a second act: whether one is wanted the card's own record decides, and who
//! reads that (driver, service) is above. An answer is asked for again, which repeats nothing on the
//! card (4.1 C, page 10). All of it has an end, in frames and in time.
//! Not here: what is asked (`desk`).

use std::error::Error;

use super::frame::{AGAIN, Decoded, Heard, NotTaken, Order, decode, frame};
use crate::card::error::CardError;
use crate::card::limits::{PORT_AGAIN_MAX, PORT_FRAMES_MAX, PORT_SENDS_MAX};
use crate::error::LineError;
use crate::lease::LineLease;
use crate::line::Line;
use crate::queue::Priority;

/// Whether the reader may be told to do it a second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Twice {
    Harmless,
    Never,
}

#[derive(Debug)]
pub(super) struct Link {
    line: Line,
    sequence: u8,
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unanswered {
    /// The port cannot be opened, or broke.
    #[error("{0}")]
    Down(String),
    #[error("the reader does not answer: is it switched on, and is this its port?")]
    Silent { waited_ms: u64 },
    /// It sent, but no frame that is the answer.
    #[error("what the reader sends is garbled: are baud rate and cable right?")]
    Garbled,
    /// It did nothing.
    #[error("the reader did not take a frame: {0}")]
    NotTaken(NotTaken),
}

impl Unanswered {
    /// Nobody is there who could be asked something else.
    pub(super) fn is_the_end(&self) -> bool {
        match self {
            Unanswered::Down(_) | Unanswered::Silent { .. } => true,
            Unanswered::Garbled | Unanswered::NotTaken(_) => false,
        }
    }
}

impl From<Unanswered> for CardError {
    fn from(why: Unanswered) -> CardError {
        match why {
            Unanswered::Silent { waited_ms } => CardError::OutOfTime { waited_ms },
            other => CardError::Reader(other.to_string()),
        }
    }
}

/// What the wire brought next.
enum Came {
    Frame(Heard),
    Garbled,
    Nothing { waited_ms: u64 },
}

impl Link {
    pub(super) fn new(line: Line) -> Link {
        Link { line, sequence: 0 }
    }

    /// The data of the answer.
    pub(super) async fn ask(
        &mut self,
        order: Order,
        data: &[u8],
        twice: Twice,
    ) -> Result<Vec<u8>, Unanswered> {
        self.sequence = self.sequence.wrapping_add(1);
        let ours = self.sequence;
        let order = frame(order, ours, data);
        // Nobody else has this line.
        let mut lease = self.line.lease(Priority::Sale).await.map_err(|error| down(&error))?;
        send(&mut lease, &order).await?;
        let (mut sends, mut asked_again, mut unread) = (1, 0, Vec::new());
        for _ in 0..PORT_FRAMES_MAX {
            let why = match next(&mut lease, &mut unread).await? {
                Came::Frame(Heard::Answer { sequence, data }) if sequence == ours => {
                    return Ok(data);
                }
                // Its answer is to come; or this is a late one, of a question that was given up.
                Came::Frame(Heard::Taken | Heard::Answer { .. }) => continue,
                Came::Frame(Heard::NotTaken(_)) if twice == Twice::Harmless && sends < PORT_SENDS_MAX => {
                    sends += 1;
                    unread.clear();
                    send(&mut lease, &order).await?;
                    continue;
                }
                Came::Frame(Heard::NotTaken(why)) => return Err(Unanswered::NotTaken(why)),
                // A reader that is not there need not be asked twice; but what may have been done to a
                // card is worth the wait.
                Came::Nothing { waited_ms } if twice == Twice::Harmless || asked_again > 0 => {
                    return Err(Unanswered::Silent { waited_ms });
                }
                Came::Nothing { waited_ms } => Unanswered::Silent { waited_ms },
                Came::Garbled => Unanswered::Garbled,
            };
            if asked_again >= PORT_AGAIN_MAX {
                return Err(why);
            }
            asked_again += 1;
            unread.clear();
            send(&mut lease, &AGAIN).await?;
        }
        Err(Unanswered::Garbled)
    }
}

async fn send(lease: &mut LineLease, bytes: &[u8]) -> Result<(), Unanswered> {
    lease.send(bytes).await.map_err(|error| down(&error))
}

/// The next frame, of what was heard and what comes.
async fn next(lease: &mut LineLease, unread: &mut Vec<u8>) -> Result<Came, Unanswered> {
    loop {
        let more = match decode(unread) {
            Decoded::Frame { heard, used } => {
                unread.drain(..used);
                return Ok(Came::Frame(heard));
            }
            Decoded::Garbled { .. } => return Ok(Came::Garbled),
            Decoded::NeedMore { more } => more,
        };
        match lease.receive(more).await {
            Ok(bytes) => {
                let short = bytes.len() < more;
                unread.extend(bytes);
                // Quiet in the middle of a frame ends it.
                if short && matches!(decode(unread), Decoded::NeedMore { .. }) {
                    return Ok(Came::Garbled);
                }
            }
            Err(LineError::Silent { waited_ms, .. }) if unread.is_empty() => {
                return Ok(Came::Nothing { waited_ms });
            }
            Err(LineError::Silent { .. }) => return Ok(Came::Garbled),
            Err(LineError::OutOfTime { total_ms, .. }) => {
                return Err(Unanswered::Silent { waited_ms: total_ms });
            }
            Err(error) => return Err(down(&error)),
        }
    }
}

fn down(error: &LineError) -> Unanswered {
    let why = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    Unanswered::Down(format!("its port is down: {why}"))
}
