//! The handle to a line, and what its owner and its lessees share.
//!
//! Invariant: no more than `WAITING_MAX` requests wait at once; the next is refused at once.
//! Not here: the order of the waiting (`queue`) and the lending (`owner`).

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::error::LineError;
use crate::lease::LineLease;
use crate::limits::{SILENT_EXCHANGES_MAX, WAITING_MAX};
use crate::owner::{Message, Owner};
use crate::queue::Priority;
use crate::settings::LineSettings;
use crate::stream::{Opener, Stream};
use crate::wire::Wire;

/// A handle to one line's owning task; cheap to clone; the task ends with the last handle.
#[derive(Debug, Clone)]
pub struct Line {
    shared: Arc<Shared>,
    owner: mpsc::UnboundedSender<Message>,
}

impl Line {
    /// Starts the owning task. The far end is opened at the first lease and again after a failure.
    ///
    /// Must be called within a tokio runtime, which the line then lives in.
    pub fn spawn(settings: LineSettings) -> Line {
        Self::spawn_with(settings, None, true)
    }

    /// The same, and no byte that passes over it is ever logged.
    pub(crate) fn unlogged(settings: LineSettings) -> Line {
        Self::spawn_with(settings, None, false)
    }

    /// The same over whatever `opener` opens; the settings' endpoint is its name and no more.
    pub fn over(settings: LineSettings, opener: Opener) -> Line {
        Self::spawn_with(settings, Some(opener), true)
    }

    fn spawn_with(settings: LineSettings, opener: Option<Opener>, is_logged: bool) -> Line {
        let shared = Arc::new(Shared {
            settings,
            opener,
            is_logged,
            tally: Tally::default(),
            waiting: AtomicUsize::new(0),
            home: Mutex::new(Some(Wire::new())),
        });
        // Unbounded, yet bounded by `Place`: at most one request per place and one return.
        let (owner, inbox) = mpsc::unbounded_channel();
        tokio::spawn(Owner::new(Arc::clone(&shared), inbox, owner.downgrade()).run());
        Line { shared, owner }
    }

    pub fn settings(&self) -> &LineSettings {
        &self.shared.settings
    }

    /// Waits in the line's bounded queue for the sole right to use it. The lease's
    /// `total_timeout` begins when it is granted. A caller that stops waiting loses its place.
    pub async fn lease(&self, priority: Priority) -> Result<LineLease, LineError> {
        let place = self.shared.place()?;
        if place.is_first
            && let Some(wire) = self.shared.take_ready()
        {
            return Ok(LineLease::new(wire, Arc::clone(&self.shared), self.owner.clone()));
        }
        let (answer, granted) = oneshot::channel();
        let gone = || self.shared.down(io::Error::other("the line's task has ended"));
        self.owner.send(Message::Ask { priority, answer }).map_err(|_| gone())?;
        granted.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Until that many requests wait.
    #[cfg(test)]
    pub(crate) async fn until_waiting(&self, count: usize) {
        while self.shared.waiting.load(Ordering::Relaxed) != count {
            tokio::task::yield_now().await;
        }
    }

    pub fn counters(&self) -> LineCounters {
        let tally = &self.shared.tally;
        LineCounters {
            frames_sent: tally.frames_sent.load(Ordering::Relaxed),
            bytes_sent: tally.bytes_sent.load(Ordering::Relaxed),
            bytes_received: tally.bytes_received.load(Ordering::Relaxed),
            bytes_late: tally.bytes_late.load(Ordering::Relaxed),
            reconnects: tally.reconnects.load(Ordering::Relaxed),
        }
    }
}

/// What happened on a line since it was spawned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LineCounters {
    /// Frames that the operating system took whole.
    pub frames_sent: u64,
    /// Bytes that the operating system took.
    pub bytes_sent: u64,
    /// Bytes that came as an answer was waited for.
    pub bytes_received: u64,
    /// Bytes that came when no answer was waited for, and were thrown away.
    pub bytes_late: u64,
    /// Times the stream was opened, but for the first.
    pub reconnects: u64,
}

/// The counters while they count. Each stands alone, so their order among threads is free.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    frames_sent: AtomicU64,
    bytes_sent: AtomicU64,
    bytes_received: AtomicU64,
    bytes_late: AtomicU64,
    reconnects: AtomicU64,
}

impl Tally {
    pub(crate) fn frame_sent(&self) {
        self.frames_sent.fetch_add(1, Ordering::Relaxed);
    }
    pub(crate) fn sent(&self, bytes: usize) {
        add(&self.bytes_sent, bytes);
    }
    pub(crate) fn received(&self, bytes: usize) {
        add(&self.bytes_received, bytes);
    }
    pub(crate) fn late(&self, bytes: usize) {
        add(&self.bytes_late, bytes);
    }
    pub(crate) fn reconnected(&self) {
        self.reconnects.fetch_add(1, Ordering::Relaxed);
    }
}

/// A byte count as it is kept. No buffer here is longer than 64 bits can say.
pub(crate) fn add(counter: &AtomicU64, bytes: usize) {
    counter.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// What the handles, the owner and the lease of one line have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: LineSettings,
    /// Opens the far end instead of the settings' endpoint.
    opener: Option<Opener>,
    is_logged: bool,
    pub(crate) tally: Tally,
    waiting: AtomicUsize,
    /// Where the wire rests while nobody has it: `None` while it is lent or being opened.
    home: Mutex<Option<Wire>>,
}

impl Shared {
    fn place(&self) -> Result<Place<'_>, LineError> {
        // In one order with `come_home` for all threads, or a return and an ask could miss each other.
        let waiting = self.waiting.fetch_add(1, Ordering::SeqCst);
        let place = Place { waiting: &self.waiting, is_first: waiting == 0 };
        if waiting >= WAITING_MAX {
            drop(place);
            return Err(LineError::Busy { line: self.name(), waiting });
        }
        Ok(place)
    }

    pub(crate) async fn open(&self) -> io::Result<Stream> {
        match &self.opener {
            Some(opener) => Stream::of(opener),
            None => Stream::open(&self.settings.endpoint, self.settings.byte_timeout).await,
        }
    }

    pub(crate) fn take_wire(&self) -> Option<Wire> {
        self.home.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Puts the wire to rest; true if somebody waits, whom the owner must then serve.
    pub(crate) fn come_home(&self, wire: Wire) -> bool {
        *self.home.lock().unwrap_or_else(PoisonError::into_inner) = Some(wire);
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// The wire, if it rests, is open and has nothing against it: then the owner has nothing to decide.
    fn take_ready(&self) -> Option<Wire> {
        let mut wire = self.take_wire()?;
        let is_ready = wire.is_open()
            && wire.silent_exchanges() < SILENT_EXCHANGES_MAX
            && wire.discard(self).is_ok()
            && wire.is_open();
        if is_ready {
            return Some(wire);
        }
        self.come_home(wire);
        None
    }

    /// What passed, for whoever follows the bytes.
    pub(crate) fn trace(&self, what: &'static str, bytes: &[u8]) {
        if self.is_logged {
            tracing::trace!(line = %self.settings.name, bytes = %Hex(bytes), "{what}");
        }
    }

    fn name(&self) -> String {
        self.settings.name.clone()
    }

    pub(crate) fn down(&self, source: io::Error) -> LineError {
        LineError::Down { line: self.name(), source }
    }

    pub(crate) fn silent(&self, waited: Duration) -> LineError {
        LineError::Silent { line: self.name(), waited_ms: whole_ms(waited) }
    }

    pub(crate) fn out_of_time(&self) -> LineError {
        LineError::OutOfTime { line: self.name(), total_ms: whole_ms(self.settings.total_timeout) }
    }

    pub(crate) fn lent(&self) -> LineError {
        LineError::Lent { line: self.name() }
    }
}

/// Bytes as a person reads them in a log.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(place, byte)| {
            let space = if place == 0 { "" } else { " " };
            write!(out, "{space}{byte:02X}")
        })
    }
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// One place in the queue, left when dropped: by the grant, or by a caller that gave up.
struct Place<'a> {
    waiting: &'a AtomicUsize,
    /// Nobody waited before.
    is_first: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}
