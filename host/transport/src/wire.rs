//! One exchange on the open stream: what is thrown away, how long is waited, what is counted.
//!
//! Invariant: a frame leaves only when no answer is due and the line has been quiet for the gap.
//! What is known about the quiet outlives the stream, so that it holds across a reconnect too.
//! Not here: opening (`owner`), and any idea of what the bytes mean.

use std::io;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::error::LineError;
use crate::lease::Call;
use crate::limits::{DISCARD_BYTES, DISCARD_READS_MAX, RECEIVE_BYTES_MAX, RECEIVE_SLACK_BYTES};
use crate::line::Shared;
use crate::settings::SerialSettings;
use crate::stream::Stream;

/// The stream of a line and what is on its way there.
#[derive(Debug)]
pub(crate) struct Wire {
    /// `None` before the first open and after a failure.
    stream: Option<Stream>,
    /// The last byte either way. On a serial line it may lie ahead: the port is still sending.
    last_byte: Instant,
    answer: Answer,
    /// Exchanges without one byte of an answer since the last byte was heard.
    silent_exchanges: u32,
    /// Other settings than the line's own, until it is closed.
    tuned: Option<SerialSettings>,
}

/// The answer to the last frame, as far as nobody has received it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// Received, or given up after its time.
    Settled,
    /// Its first byte may come until then.
    Due(Instant),
    /// It has begun; quiet for `byte_timeout` ends it.
    Flowing,
}

/// What one round of throwing away found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Discarded {
    pub(crate) bytes: usize,
    /// False when there may be more.
    pub(crate) dry: bool,
}

impl Wire {
    /// Not open yet. The gap counts from now, for nobody knows what was on the bus before.
    pub(crate) fn new() -> Self {
        Self {
            stream: None,
            last_byte: Instant::now(),
            answer: Answer::Settled,
            silent_exchanges: 0,
            tuned: None,
        }
    }

    pub(crate) fn attach(&mut self, stream: Stream) {
        self.stream = Some(stream);
    }

    pub(crate) fn close(&mut self) {
        self.stream = None;
        self.silent_exchanges = 0;
        self.tuned = None;
    }

    /// An open port goes on with other settings.
    pub(crate) fn tune(&mut self, settings: SerialSettings) -> io::Result<()> {
        self.stream.as_mut().ok_or_else(closed)?.tune(settings)?;
        self.tuned = Some(settings);
        Ok(())
    }

    pub(crate) fn is_tuned(&self) -> bool {
        self.tuned.is_some()
    }

    pub(crate) fn is_open(&self) -> bool {
        self.stream.is_some()
    }

    #[cfg(test)]
    pub(crate) fn arrived(&self) -> usize {
        self.stream.as_ref().map_or(0, Stream::arrived)
    }

    #[cfg(test)]
    pub(crate) fn baud(&self) -> Option<u32> {
        self.stream.as_ref().and_then(Stream::baud)
    }

    pub(crate) fn silent_exchanges(&self) -> u32 {
        self.silent_exchanges
    }

    /// Throws away what is there now and counts it as late. A stream that has ended is closed.
    pub(crate) fn discard(&mut self, shared: &Shared) -> io::Result<Discarded> {
        let mut bytes = 0;
        for _ in 0..DISCARD_READS_MAX {
            let mut buffer = [0; DISCARD_BYTES];
            let Some(stream) = &mut self.stream else { return Err(closed()) };
            match stream.read_now(&mut buffer) {
                Ok(Some(length)) => {
                    bytes += length;
                    self.late(shared, buffer.get(..length).unwrap_or_default());
                }
                Ok(None) => return Ok(Discarded { bytes, dry: true }),
                Err(error) => {
                    self.close();
                    return Err(error);
                }
            }
        }
        Ok(Discarded { bytes, dry: false })
    }

    pub(crate) async fn send(&mut self, call: &Call, bytes: &[u8]) -> Result<(), LineError> {
        self.settle(call).await?;
        let settings = &call.shared.settings;
        let mut left = bytes;
        while !left.is_empty() {
            let stream = self.stream.as_mut().ok_or_else(|| call.shared.down(closed()))?;
            let written = match timeout_at(call.deadline, stream.write(left)).await {
                Err(_) => return Err(call.shared.out_of_time()),
                Ok(Err(error)) => return Err(self.broke(call, error)),
                Ok(Ok(written)) => written,
            };
            // No await between the write and here: a dropped call cannot lose count of a byte.
            call.sent(written);
            let taken = u32::try_from(written).unwrap_or(u32::MAX);
            let own = || settings.endpoint.byte_time();
            let byte_time = self.tuned.as_ref().map_or_else(own, SerialSettings::byte_time);
            let on_wire = byte_time.saturating_mul(taken);
            self.last_byte = after(self.last_byte.max(Instant::now()), on_wire);
            self.answer = Answer::Due(after(self.last_byte, settings.reply_timeout));
            left = left.get(written..).unwrap_or_default();
        }
        call.shared.tally.frame_sent();
        call.shared.trace("sent", bytes);
        Ok(())
    }

    pub(crate) async fn receive(&mut self, call: &Call, want: usize) -> Result<Vec<u8>, LineError> {
        let settings = &call.shared.settings;
        let want = want.clamp(1, RECEIVE_BYTES_MAX);
        let asked_at = Instant::now();
        let mut until = match self.answer {
            Answer::Due(at) => at,
            Answer::Settled | Answer::Flowing => after(asked_at, settings.reply_timeout),
        };
        // A thousand lines wait at the same time, most of them for less than a hundred bytes.
        let mut buffer = vec![0; (want + RECEIVE_SLACK_BYTES).min(RECEIVE_BYTES_MAX)];
        let mut length = 0;
        while length < want {
            let stream = self.stream.as_mut().ok_or_else(|| call.shared.down(closed()))?;
            let free = buffer.get_mut(length..).unwrap_or_default();
            match timeout_at(until.min(call.deadline), stream.read(free)).await {
                Ok(Ok(more)) => {
                    length += more;
                    call.shared.tally.received(more);
                    self.heard();
                    self.answer = Answer::Flowing;
                    until = after(self.last_byte, settings.byte_timeout);
                }
                Ok(Err(error)) => return Err(self.broke(call, error)),
                Err(_) if call.deadline <= until => return Err(call.shared.out_of_time()),
                Err(_) => break,
            }
        }
        self.answer = Answer::Settled;
        if length == 0 {
            self.silent_exchanges = self.silent_exchanges.saturating_add(1);
            return Err(call.shared.silent(asked_at.elapsed()));
        }
        buffer.truncate(length);
        call.shared.trace("received", &buffer);
        Ok(buffer)
    }

    /// Waits until no answer is due and the line has been quiet for the gap. What comes meanwhile
    /// is late: it belongs to an exchange that nobody follows any more.
    async fn settle(&mut self, call: &Call) -> Result<(), LineError> {
        let settings = &call.shared.settings;
        loop {
            let discarded = self.discard(&call.shared).map_err(|error| call.shared.down(error))?;
            let now = Instant::now();
            if now >= call.deadline {
                return Err(call.shared.out_of_time());
            }
            if !discarded.dry {
                tokio::task::yield_now().await;
                continue;
            }
            let gap_over = after(self.last_byte, settings.inter_frame);
            let quiet_at = match self.answer {
                Answer::Settled => gap_over,
                Answer::Due(at) => at.max(gap_over),
                Answer::Flowing => after(self.last_byte, settings.byte_timeout).max(gap_over),
            };
            if quiet_at <= now {
                self.answer = Answer::Settled;
                return Ok(());
            }
            let mut buffer = [0; DISCARD_BYTES];
            let stream = self.stream.as_mut().ok_or_else(|| call.shared.down(closed()))?;
            match timeout_at(quiet_at.min(call.deadline), stream.read(&mut buffer)).await {
                // Quiet until then; the next round proves it and leaves.
                Err(_) => {}
                Ok(Ok(length)) => {
                    self.late(&call.shared, buffer.get(..length).unwrap_or_default());
                }
                Ok(Err(error)) => return Err(self.broke(call, error)),
            }
        }
    }

    fn late(&mut self, shared: &Shared, bytes: &[u8]) {
        shared.tally.late(bytes.len());
        shared.trace("late", bytes);
        self.heard();
        if let Answer::Due(_) = self.answer {
            self.answer = Answer::Flowing;
        }
    }

    fn heard(&mut self) {
        self.last_byte = Instant::now();
        self.silent_exchanges = 0;
    }

    fn broke(&mut self, call: &Call, error: io::Error) -> LineError {
        tracing::debug!(line = %call.shared.settings.name, %error, "the stream broke");
        self.close();
        call.shared.down(error)
    }
}

/// `start` and `wait` later; a wait beyond what the clock can say is a year.
pub(crate) fn after(start: Instant, wait: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    start.checked_add(wait).unwrap_or_else(|| start + YEAR)
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the stream is closed")
}
