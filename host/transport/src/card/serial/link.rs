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
        // What the answer was asked for again for.
        let mut wrong = None;
        for _ in 0..PORT_FRAMES_MAX {
            let why = match next(&mut lease, &mut unread).await? {
                Came::Frame(Heard::Answer { sequence, data }) if sequence == ours => {
                    return Ok(data);
                }
                Came::Frame(Heard::Taken) => continue,
                // The last answer that it has is of another question: this one it never heard.
                Came::Frame(Heard::Answer { .. }) if wrong.is_some() => None,
                // A late one, of a question that was given up.
                Came::Frame(Heard::Answer { .. }) => continue,
                Came::Frame(Heard::NotTaken(why)) => {
                    wrong = Some(Unanswered::NotTaken(why));
                    None
                }
                // A reader that is not there need not be asked twice; but what may have been done to a
                // card is worth the wait.
                Came::Nothing { waited_ms } if twice == Twice::Harmless || asked_again > 0 => {
                    return Err(Unanswered::Silent { waited_ms });
                }
                Came::Nothing { waited_ms } => Some(Unanswered::Silent { waited_ms }),
                Came::Garbled => Some(Unanswered::Garbled),
            };
            unread.clear();
            let is_unheard = why.is_none();
            wrong = why.or(wrong);
            if is_unheard && twice == Twice::Harmless && sends < PORT_SENDS_MAX {
                sends += 1;
                wrong = None;
                send(&mut lease, &order).await?;
            } else if !is_unheard && asked_again < PORT_AGAIN_MAX {
                asked_again += 1;
                send(&mut lease, &AGAIN).await?;
            } else {
                break;
            }
        }
        Err(wrong.unwrap_or(Unanswered::Garbled))
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, Instant};

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;
    use crate::settings::{Endpoint, LineSettings};
    use crate::stream::Opener;

    const REPLY_WAIT: Duration = Duration::from_millis(40);

    /// What a reader says to each frame in turn, and then no more; and the frames that it had.
    struct Reader {
        heard: Arc<Mutex<Vec<Vec<u8>>>>,
        link: Link,
    }

    impl Reader {
        fn saying(replies: Vec<Vec<u8>>) -> Reader {
            let heard = Arc::new(Mutex::new(Vec::new()));
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            tokio::spawn(play(theirs, replies, Arc::clone(&heard)));
            let ends = Mutex::new(Some(ours));
            let opener = Opener::new(move || {
                let end = ends.lock().expect("no panic").take();
                end.map(|end| Box::new(end) as _).ok_or_else(|| std::io::ErrorKind::NotFound.into())
            });
            let settings = LineSettings {
                name: "a reader".to_owned(),
                endpoint: Endpoint::Tcp { address: String::new() },
                inter_frame: Duration::ZERO,
                reply_timeout: REPLY_WAIT,
                byte_timeout: Duration::from_millis(5),
                total_timeout: Duration::from_millis(400),
            };
            Reader { heard, link: Link::new(Line::over(settings, opener)) }
        }

        async fn ask(&mut self, twice: Twice) -> Result<Vec<u8>, Unanswered> {
            self.link.ask(Order::Exchange, &[1, 2, 3], twice).await
        }

        /// How often the order was heard, and how often an answer was asked for again.
        fn heard(&self) -> (usize, usize) {
            let heard = self.heard.lock().expect("no panic");
            let again = heard.iter().filter(|frame| **frame == AGAIN).count();
            (heard.len() - again, again)
        }
    }

    async fn play(
        mut theirs: DuplexStream,
        replies: Vec<Vec<u8>>,
        heard: Arc<Mutex<Vec<Vec<u8>>>>,
    ) {
        let mut replies = replies.into_iter();
        let mut frame = vec![0; 64];
        while let Ok(bytes @ 1..) = theirs.read(&mut frame).await {
            heard.lock().expect("no panic").push(frame[..bytes].to_vec());
            let reply = replies.next().unwrap_or_default();
            if theirs.write_all(&reply).await.is_err() {
                return;
            }
        }
    }

    const TAKEN: [u8; 4] = [2, 0, 0, 3];
    const SUM: [u8; 4] = [2, 0xFF, 0xFF, 3];

    /// Data under a sequence; the first question's is 1.
    fn answer(sequence: u8, data: &[u8]) -> Vec<u8> {
        let length = u8::try_from(data.len()).expect("short");
        let body = [&[0x80, length, 0, 0, 0, 0, sequence, 0, 0, 0][..], data].concat();
        let sum = body.iter().fold(0, |sum, byte| sum ^ byte);
        [&[2][..], &body, &[sum, 3]].concat()
    }

    fn garbled(mut frame: Vec<u8>) -> Vec<u8> {
        frame[11] ^= 1;
        frame
    }

    #[tokio::test]
    async fn an_answer_is_found_through_whatever_stands_before_it() {
        let good = || answer(1, &[0x90, 0]);
        for (replies, heard) in [
            (vec![[&TAKEN[..], &good()].concat()], (1, 0)),
            // A late one of another question first; the status lost; the answer garbled.
            (vec![[&TAKEN[..], &answer(0, &[9]), &good()].concat()], (1, 0)),
            (vec![good()], (1, 0)),
            (vec![[&TAKEN[..], &garbled(good())].concat(), good()], (1, 1)),
            (vec![[&TAKEN[..], &good()[..9]].concat(), vec![2, 7], good()], (1, 2)),
        ] {
            for twice in [Twice::Harmless, Twice::Never] {
                let mut reader = Reader::saying(replies.clone());
                assert_eq!(reader.ask(twice).await, Ok(vec![0x90, 0]), "{replies:02X?}");
                assert_eq!(reader.heard(), heard, "{replies:02X?}");
            }
        }
    }

    #[tokio::test]
    async fn what_may_change_a_card_leaves_once() {
        let (good, other) = (answer(1, &[0x90, 0]), answer(9, &[9]));
        let silent = |again| if again { Ok(vec![0x90, 0]) } else { Err(()) };
        for (replies, harmless, never) in [
            // Not taken; silent, and then heard of; the last answer is of another question.
            (vec![SUM.to_vec(), good.clone()], (Ok(vec![0x90, 0]), (2, 0)), (Err(()), (1, 0))),
            (vec![Vec::new(), good.clone()], (silent(false), (1, 0)), (silent(true), (1, 1))),
            (
                vec![vec![2, 7], other.clone(), good.clone()],
                (Ok(vec![0x90, 0]), (2, 1)),
                (Err(()), (1, 1)),
            ),
            (vec![SUM.to_vec(); 9], (Err(()), (3, 0)), (Err(()), (1, 0))),
            (vec![vec![2, 7]; 9], (Err(()), (1, 3)), (Err(()), (1, 3))),
        ] {
            for (twice, want) in [(Twice::Harmless, harmless), (Twice::Never, never)] {
                let mut reader = Reader::saying(replies.clone());
                let got = reader.ask(twice).await.map_err(drop);
                assert_eq!((got, reader.heard()), want, "{twice:?} {replies:02X?}");
            }
        }
    }

    /// Status frames without an end, lengths without an end, noise: an error, soon, and few frames of ours.
    #[tokio::test]
    async fn no_reader_keeps_us_and_none_makes_us_send_without_end() {
        let mut said: Vec<Vec<u8>> = vec![
            TAKEN.repeat(2_000),
            SUM.repeat(2_000),
            answer(7, &[]).repeat(500),
            vec![2; 5_000],
            [&TAKEN[..], &[2, 0x80, 0xFF, 0xFF, 0xFF, 0xFF, 0, 1, 0, 0, 0]].concat(),
            [&TAKEN[..], &[2, 0x80, 0x0B, 1, 0, 0, 0, 1, 0, 0, 0]].concat(),
        ];
        let mut seed = 7_u64;
        for round in 0..200 {
            let random = std::iter::repeat_with(|| {
                // Knuth's linear congruence (MMIX).
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let [byte, kind, ..] = seed.to_be_bytes();
                if kind < 100 { [2, 3, 0x80, 0][usize::from(kind) % 4] } else { byte }
            });
            said.push(random.take(round).collect());
        }
        for reply in said {
            let (begun, mut reader) = (Instant::now(), Reader::saying(vec![reply.clone(); 50]));
            let got = reader.ask(Twice::Harmless).await;
            let shown = &reply[..reply.len().min(16)];
            assert!(got.is_err(), "{shown:02X?}: {got:?}");
            assert!(
                begun.elapsed() < Duration::from_secs(2),
                "{shown:02X?}: {:?}",
                begun.elapsed()
            );
            let (orders, again) = reader.heard();
            assert!(orders <= PORT_SENDS_MAX && again <= PORT_AGAIN_MAX, "{shown:02X?}");
        }
    }
}
