//! Listening for the answer to one question: pieces come, frames are found in them, and the first
//! that is an answer is it. For protocols whose decoder is one of `polymeter-codec`.
//!
//! Invariant: a bounded number of listenings and bytes; every turn takes at least one byte off. What
//! has come behind the answer is counted, so that a search does not lose somebody else's.
//! Not here: what is asked, and whether a frame answers it; that is the driver's.

use crate::codes::{error, line};
use crate::{DriverError, Host, Level};
use polymeter_codec::Decoded;

/// How long, and what is dropped where a beginning is not completed.
#[derive(Debug, Clone, Copy)]
pub struct Listening {
    /// An answer comes in a few pieces; a late frame or some noise may come before it.
    pub receives_max: usize,
    /// More bytes than this without an answer are a line that babbles.
    pub bytes_max: usize,
    /// The codec's function of this name.
    pub false_start: fn(&[u8]) -> usize,
}

/// What was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard<T> {
    /// The answer.
    pub answer: T,
    /// Bytes that came behind it in the same piece: somebody else's.
    pub left_over: usize,
}

/// Bytes that came and have not been understood yet.
#[derive(Default)]
struct Unread {
    bytes: Vec<u8>,
    /// The line has fallen quiet: nothing will complete what is not complete.
    quiet: bool,
    /// Bytes that were no frame; why the last frame was no answer.
    noise: usize,
    stranger: Option<DriverError>,
}

impl Listening {
    /// `look` decodes the first frame and judges it: the answer, or why it is none. Where none came,
    /// the error says why, a frame before noise and noise before silence: the last judgement, error 2
    /// (garbled) or error 1 (no reply).
    pub fn hear<T>(
        &self,
        host: &mut dyn Host,
        mut look: impl FnMut(&[u8]) -> Decoded<Result<T, DriverError>>,
    ) -> Result<Heard<T>, DriverError> {
        let mut unread = Unread::default();
        for _ in 0..self.receives_max {
            let want = match self.next(&mut unread, &mut look) {
                Ok(answer) => return Ok(Heard { answer, left_over: unread.bytes.len() }),
                Err(want) => want,
            };
            match host.receive(want) {
                Ok(more) => unread.bytes.extend(more),
                Err(silent) if silent.code == line::SILENT => break,
                Err(other) => return Err(other.into()),
            }
            if unread.bytes.len() > self.bytes_max {
                break;
            }
        }
        // What the silence has cut off may still hold a whole frame behind a false start.
        unread.quiet = true;
        match self.next(&mut unread, &mut look) {
            Ok(answer) => Ok(Heard { answer, left_over: unread.bytes.len() }),
            Err(_) => {
                let failure = unread.failure();
                host.log(Level::Debug, &failure.detail);
                Err(failure)
            }
        }
    }

    /// The answer, or how many bytes are wanted.
    fn next<T>(
        &self,
        unread: &mut Unread,
        look: &mut impl FnMut(&[u8]) -> Decoded<Result<T, DriverError>>,
    ) -> Result<T, u32> {
        loop {
            let noise = match look(&unread.bytes) {
                Decoded::Frame { frame: judged, used } => {
                    unread.drop_bytes(used);
                    match judged {
                        Ok(answer) => return Ok(answer),
                        Err(why) => unread.stranger = Some(why),
                    }
                    continue;
                }
                Decoded::Garbled { skip } if !unread.bytes.is_empty() => skip,
                Decoded::Garbled { .. } => return Err(1),
                Decoded::NeedMore { .. } if unread.quiet && !unread.bytes.is_empty() => {
                    (self.false_start)(&unread.bytes)
                }
                Decoded::NeedMore { at_least } => {
                    let missing = at_least.saturating_sub(unread.bytes.len());
                    return Err(u32::try_from(missing).unwrap_or(1));
                }
            };
            unread.noise = unread.noise.saturating_add(noise);
            unread.drop_bytes(noise);
        }
    }
}

impl Unread {
    fn drop_bytes(&mut self, count: usize) {
        self.bytes.drain(..count.max(1).min(self.bytes.len()));
    }

    fn failure(&self) -> DriverError {
        match (&self.stranger, self.noise) {
            (Some(why), _) => why.clone(),
            (None, 0) => DriverError::new(error::NO_REPLY, "the meter did not answer"),
            (None, noise) => {
                DriverError::new(error::GARBLED, format!("{noise} bytes that are no frame"))
            }
        }
    }
}
