//! What some gateways put around the bytes of a line: a start, a command, a check and an end, all of
//! them data. Bytes go through under one command; what a gateway says of itself under others is
//! answered here, also while nobody uses the line.
//!
//! Invariant: only what stands in a frame whose check is right is taken; one send is one frame; what
//! comes under another command never reaches a driver.
//! Not here: which gateways there are (the server's data), and any idea of what the bytes mean.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::limits::{CONNECT_TIMEOUT, DISCARD_BYTES, ENVELOPE_BYTES_MAX, ENVELOPES_WAITING_MAX};

/// One kind of gateway's envelope: start, command (a byte), payload, CRC-16/MODBUS of command and
/// payload with its low byte first, end. It has no length and no escapes, so a frame ends at the first
/// end before which the check is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// As the configuration names it.
    pub name: String,
    /// Not empty.
    pub start: Vec<u8>,
    /// Not empty.
    pub end: Vec<u8>,
    /// The command under which the bytes of the line go, both ways.
    pub through: u8,
    /// Commands that a gateway is answered under the same command, and with what.
    pub answers: Vec<(u8, Vec<Part>)>,
    /// What time it is told.
    pub clock: SiteClock,
}

/// The time of day at the site, as the program has it: this crate knows no calendar. A program has one
/// such clock, so any two are equal.
#[derive(Clone)]
pub struct SiteClock(Arc<dyn Fn() -> SiteTime + Send + Sync>);

/// A local time, in binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SiteTime {
    /// Its last two digits.
    pub year: u8,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 (Sunday) to 6.
    pub weekday: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
}

impl SiteClock {
    pub fn new(now: impl Fn() -> SiteTime + Send + Sync + 'static) -> SiteClock {
        SiteClock(Arc::new(now))
    }
}

impl fmt::Debug for SiteClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SiteClock")
    }
}

impl PartialEq for SiteClock {
    fn eq(&self, _: &SiteClock) -> bool {
        true
    }
}

impl Eq for SiteClock {}

/// One byte of an answer to a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// This one.
    Byte(u8),
    /// Of the local time.
    Year,
    Month,
    Day,
    Weekday,
    Hour,
    Minute,
    Second,
}

impl Envelope {
    fn wrap(&self, command: u8, payload: &[u8]) -> Vec<u8> {
        let crc = payload.iter().fold(crc_of(CRC_START, command), |crc, byte| crc_of(crc, *byte));
        [self.start.as_slice(), &[command], payload, &crc.to_le_bytes(), &self.end].concat()
    }

    /// What the gateway is told that came with this command.
    fn answer(&self, command: u8) -> Option<Vec<u8>> {
        let (_, parts) = self.answers.iter().find(|(known, _)| *known == command)?;
        let now = (self.clock.0)();
        let part = |part: &Part| match part {
            Part::Byte(byte) => *byte,
            Part::Year => now.year,
            Part::Month => now.month,
            Part::Day => now.day,
            Part::Weekday => now.weekday,
            Part::Hour => now.hour,
            Part::Minute => now.minute,
            Part::Second => now.second,
        };
        Some(self.wrap(command, &parts.iter().map(part).collect::<Vec<u8>>()))
    }

    /// Takes the first whole frame off `unread`, and what stands before it: its command and payload.
    /// `quiet`: nothing will complete a beginning, so one without an end is noise.
    fn next(&self, unread: &mut Vec<u8>, quiet: bool) -> Option<(u8, Vec<u8>)> {
        loop {
            let starts = unread.windows(self.start.len()).position(|bytes| bytes == self.start);
            let Some(at) = starts else {
                // The last bytes may be half of a start.
                let kept = if quiet { 0 } else { self.start.len().saturating_sub(1) };
                unread.drain(..unread.len().saturating_sub(kept));
                return None;
            };
            unread.drain(..at);
            if let Some((command, payload, used)) = self.whole(unread) {
                unread.drain(..used);
                return Some((command, payload));
            }
            if !quiet && unread.len() < ENVELOPE_BYTES_MAX {
                return None;
            }
            unread.drain(..1);
        }
    }

    /// Command, payload and length of the frame that `bytes` begins with.
    fn whole(&self, bytes: &[u8]) -> Option<(u8, Vec<u8>, usize)> {
        let body = bytes.strip_prefix(self.start.as_slice())?;
        let around = self.start.len() + CRC_BYTES + self.end.len();
        let (command, rest) = body.split_first()?;
        let mut crc = crc_of(CRC_START, *command);
        for length in 0..=rest.len().min(ENVELOPE_BYTES_MAX) {
            let (payload, behind) = rest.split_at_checked(length)?;
            let check = behind.strip_prefix(&crc.to_le_bytes());
            if check.is_some_and(|behind| behind.starts_with(&self.end)) {
                return Some((*command, payload.to_vec(), around + 1 + length));
            }
            crc = crc_of(crc, *behind.first()?);
        }
        None
    }
}

const CRC_START: u16 = 0xFFFF;
const CRC_BYTES: usize = 2;

/// CRC-16/MODBUS, one byte further (Modbus over serial line V1.02, 6.2.2).
fn crc_of(crc: u16, byte: u8) -> u16 {
    (0..8).fold(
        crc ^ u16::from(byte),
        |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xA001 } else { crc >> 1 }
        },
    )
}

/// The line's side of an enveloped connection.
#[derive(Debug)]
pub(crate) struct Enveloped {
    /// Payloads, as they came.
    heard: mpsc::Receiver<Vec<u8>>,
    /// What is sent, each a frame.
    said: mpsc::Sender<Vec<u8>>,
    /// Of the last payload, what nobody has read.
    unread: Vec<u8>,
}

impl Enveloped {
    /// Starts the task that has the connection. `quiet`: so long without a byte ends a frame that has
    /// begun. The task ends with this value or with the connection.
    pub(crate) fn new(socket: TcpStream, envelope: Envelope, quiet: Duration) -> Enveloped {
        let (said, to_far) = mpsc::channel(ENVELOPES_WAITING_MAX);
        let (from_far, heard) = mpsc::channel(ENVELOPES_WAITING_MAX);
        let carrier = Carrier { socket, envelope, quiet, from_far };
        tokio::spawn(async move {
            let name = carrier.envelope.name.clone();
            if let Err(error) = carrier.carry(to_far).await {
                tracing::debug!(envelope = name, %error, "the connection ended");
            }
        });
        Enveloped { heard, said, unread: Vec::new() }
    }
}

impl AsyncRead for Enveloped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.unread.is_empty() {
            match self.heard.poll_recv(context) {
                Poll::Ready(Some(payload)) => self.unread = payload,
                // The end of the stream.
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
            }
        }
        let count = self.unread.len().min(buffer.remaining());
        buffer.put_slice(&self.unread.drain(..count).collect::<Vec<u8>>());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Enveloped {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let sent = self.said.try_send(bytes.to_vec());
        Poll::Ready(sent.map(|()| bytes.len()).map_err(|error| match error {
            mpsc::error::TrySendError::Closed(_) => io::ErrorKind::BrokenPipe.into(),
            mpsc::error::TrySendError::Full(_) => io::Error::other("the gateway takes no more"),
        }))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The task that has the connection.
struct Carrier {
    socket: TcpStream,
    envelope: Envelope,
    quiet: Duration,
    from_far: mpsc::Sender<Vec<u8>>,
}

impl Carrier {
    /// Until the line lets go of its side, or the connection fails.
    async fn carry(mut self, mut to_far: mpsc::Receiver<Vec<u8>>) -> io::Result<()> {
        let mut unread = Vec::new();
        loop {
            let mut chunk = [0; DISCARD_BYTES];
            let half_a_frame = !unread.is_empty();
            let quiet = tokio::select! {
                bytes = to_far.recv() => {
                    let Some(bytes) = bytes else { return Ok(()) };
                    self.send(&self.envelope.wrap(self.envelope.through, &bytes)).await?;
                    false
                }
                read = self.socket.read(&mut chunk) => {
                    let count = read?;
                    if count == 0 {
                        return Ok(());
                    }
                    unread.extend(chunk.iter().take(count));
                    false
                }
                () = tokio::time::sleep(self.quiet), if half_a_frame => true,
            };
            while let Some((command, payload)) = self.envelope.next(&mut unread, quiet) {
                self.take(command, payload).await?;
            }
        }
    }

    async fn take(&mut self, command: u8, payload: Vec<u8>) -> io::Result<()> {
        let envelope = self.envelope.name.as_str();
        if command == self.envelope.through {
            // To a reader no bytes at all would be the end.
            if !payload.is_empty() && self.from_far.try_send(payload).is_err() {
                tracing::debug!(envelope, "nobody has read what came before: a frame is lost");
            }
            return Ok(());
        }
        let answer = self.envelope.answer(command);
        let command = format!("{command:02X}");
        tracing::debug!(
            envelope,
            command,
            bytes = payload.len(),
            answered = answer.is_some(),
            "the gateway speaks of itself"
        );
        match answer {
            Some(answer) => self.send(&answer).await,
            None => Ok(()),
        }
    }

    /// A far end that takes nothing must not hold the task for ever.
    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sent = tokio::time::timeout(CONNECT_TIMEOUT, self.socket.write_all(bytes)).await;
        sent.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn braces() -> Envelope {
        Envelope {
            name: "braces".to_owned(),
            start: vec![0x7B; 2],
            end: vec![0x7D; 2],
            through: 0x90,
            answers: vec![
                (0x84, vec![]),
                (0x93, vec![Part::Weekday, Part::Year, Part::Second]),
                (0x94, vec![Part::Byte(0x2A)]),
            ],
            clock: SiteClock::new(|| SiteTime {
                year: 26,
                month: 3,
                day: 2,
                weekday: 1,
                hour: 10,
                minute: 11,
                second: 12,
            }),
        }
    }

    /// All frames of `bytes`, which come in pieces of `piece` and then stop.
    fn frames(bytes: &[u8], piece: usize) -> Vec<(u8, Vec<u8>)> {
        let (mut unread, mut found) = (Vec::new(), Vec::new());
        for chunk in bytes.chunks(piece) {
            unread.extend(chunk);
            found.extend(std::iter::from_fn(|| braces().next(&mut unread, false)));
        }
        found.extend(std::iter::from_fn(|| braces().next(&mut unread, true)));
        assert!(unread.is_empty(), "{unread:02X?} is neither frame nor noise");
        found
    }

    #[track_caller]
    fn check(bytes: &[u8], expected: &[(u8, &[u8])]) {
        for piece in [1, 2, 3, 7, bytes.len().max(1)] {
            let found = frames(bytes, piece);
            let found: Vec<(u8, &[u8])> =
                found.iter().map(|(command, payload)| (*command, payload.as_slice())).collect();
            assert_eq!(found, expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn frames_are_found_in_any_pieces() {
        // The answer to a registration, as public servers have it.
        let published = [0x7B, 0x7B, 0x84, 0xBF, 0x23, 0x7D, 0x7D];
        assert_eq!(braces().wrap(0x84, &[]), published);
        check(&published, &[(0x84, &[])]);
        check(&[published, published].concat(), &[(0x84, &[]), (0x84, &[])]);
        // The marks may stand in a payload.
        let inside = [0x01, 0x7D, 0x7D, 0x7B, 0x7B, 0x02];
        check(&braces().wrap(0x90, &inside), &[(0x90, &inside)]);
        check(&[&[0x00, 0x7B][..], &published].concat(), &[(0x84, &[])]);
        check(&[&[0x7B, 0x7B, 0x11][..], &published].concat(), &[(0x84, &[])]);
        check(&[], &[]);
    }

    #[test]
    fn what_is_not_whole_is_no_frame() {
        let frame = braces().wrap(0x90, &[1, 2, 3]);
        for end in 0..frame.len() {
            check(&frame[..end], &[]);
        }
        for bit in 0..frame.len() * 8 {
            let mut flipped = frame.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            check(&flipped, &[]);
        }
    }

    #[test]
    fn a_beginning_without_an_end_is_dropped_at_the_limit() {
        let mut unread = [&[0x7B; 2][..], &[0; ENVELOPE_BYTES_MAX]].concat();
        assert_eq!(braces().next(&mut unread, false), None);
        assert!(unread.len() < 2, "{} bytes are kept", unread.len());
        let long = vec![0x55; ENVELOPE_BYTES_MAX / 2];
        check(&braces().wrap(0x90, &long), &[(0x90, &long)]);
    }

    #[test]
    fn answers_are_parts_and_times() {
        assert_eq!(braces().answer(0x84), Some(braces().wrap(0x84, &[])));
        assert_eq!(braces().answer(0x94), Some(braces().wrap(0x94, &[0x2A])));
        assert_eq!(braces().answer(0x90), None);
        assert_eq!(braces().answer(0x93), Some(braces().wrap(0x93, &[1, 26, 12])));
    }
}
