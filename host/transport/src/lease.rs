//! The sole right to a line for a while.
//!
//! Invariant: at most one lease of a line holds its wire; a lease without it is spent and can do
//! nothing but say how many bytes had left. Dropping the holder gives the wire back.
//! Not here: how the bytes are timed (`wire`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::error::LineError;
use crate::line::{Shared, add};
use crate::owner::Message;
use crate::settings::SerialSettings;
use crate::wire::{Wire, after};

/// The sole right to a line. Dropping it gives the line back, whatever state it is in: an answer
/// still on its way is waited out before the next frame leaves.
#[derive(Debug)]
pub struct LineLease {
    /// `None` when spent.
    wire: Option<Wire>,
    call: Call,
    home: mpsc::UnboundedSender<Message>,
}

/// What one lease may do and has done; it is the same for the lease and for what `take` made.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) shared: Arc<Shared>,
    /// The end of `total_timeout`.
    pub(crate) deadline: Instant,
    sent: Arc<AtomicU64>,
    heard: Arc<AtomicU64>,
}

impl Call {
    /// The operating system has taken that many bytes.
    pub(crate) fn sent(&self, bytes: usize) {
        add(&self.sent, bytes);
        self.shared.tally.sent(bytes);
    }
}

impl LineLease {
    pub(crate) fn new(
        wire: Wire,
        shared: Arc<Shared>,
        home: mpsc::UnboundedSender<Message>,
    ) -> Self {
        let deadline = after(Instant::now(), shared.settings.total_timeout);
        let call = Call { shared, deadline, sent: Arc::default(), heard: Arc::default() };
        Self { wire: Some(wire), call, home }
    }

    /// Drains, keeps the gap, waits out an answer that is still due, then writes all of it. On a
    /// serial line the last byte may still be in the port's buffer on return; `reply_timeout` and
    /// the gap are reckoned from when it leaves.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), LineError> {
        let wire = self.wire.as_mut().ok_or_else(|| self.call.shared.lent())?;
        wire.send(&self.call, bytes).await
    }

    /// Until `want` bytes, or some and then quiet for `byte_timeout`, or the reply timeout, which
    /// runs from the end of `send` for the first call and from the call for a further one. Never
    /// empty; may be more than `want`, and is at most 4 KiB. A call that is dropped loses what it
    /// had heard.
    pub async fn receive(&mut self, want: usize) -> Result<Vec<u8>, LineError> {
        let wire = self.wire.as_mut().ok_or_else(|| self.call.shared.lent())?;
        let bytes = wire.receive(&self.call, want).await?;
        add(&self.call.heard, bytes.len());
        Ok(bytes)
    }

    /// Goes on with other settings, on a serial line alone. They end with the lease: the next one
    /// finds the line as it is configured.
    pub fn tune(&mut self, settings: SerialSettings) -> Result<(), LineError> {
        let wire = self.wire.as_mut().ok_or_else(|| self.call.shared.lent())?;
        wire.tune(settings).map_err(|source| self.call.shared.down(source))
    }

    /// Throws away what has arrived, without waiting; returns how many bytes that was.
    pub async fn drain(&mut self) -> Result<usize, LineError> {
        let wire = self.wire.as_mut().ok_or_else(|| self.call.shared.lent())?;
        let drained = wire.discard(&self.call.shared);
        Ok(drained.map_err(|source| self.call.shared.down(source))?.bytes)
    }

    /// Moves the right to the line into a value of its own and leaves this one spent (every use of
    /// it is `LineError::Lent`) until the other is put back by assignment. The runtime lends the
    /// line to a store, which must own what it holds.
    pub fn take(&mut self) -> LineLease {
        LineLease { wire: self.wire.take(), call: self.call.clone(), home: self.home.clone() }
    }

    /// Until that many unread bytes, or the end of the stream, lie in the kernel.
    #[cfg(test)]
    pub(crate) async fn until_arrived(&self, bytes: usize) {
        while self.wire.as_ref().is_none_or(|wire| wire.arrived() < bytes) {
            tokio::task::yield_now().await;
        }
    }

    /// What the open port is set to, if it is one.
    #[cfg(test)]
    pub(crate) fn baud(&self) -> Option<u32> {
        self.wire.as_ref().and_then(Wire::baud)
    }

    /// The name of its line.
    pub fn name(&self) -> &str {
        &self.call.shared.settings.name
    }

    /// Bytes that the operating system has taken during this lease, on the far side of `take` too.
    /// 0 proves that nothing left.
    pub fn bytes_sent(&self) -> u64 {
        self.call.sent.load(Ordering::Relaxed)
    }

    /// Bytes that were handed on from the line during this lease, on the far side of `take` too. 0
    /// proves that whoever used it has heard nothing.
    pub fn bytes_heard(&self) -> u64 {
        self.call.heard.load(Ordering::Relaxed)
    }
}

impl Drop for LineLease {
    fn drop(&mut self) {
        let Some(mut wire) = self.wire.take() else { return };
        // Opened anew, it has the line's own settings again.
        if wire.is_tuned() {
            wire.close();
        }
        if self.call.shared.come_home(wire) {
            // An error here: the runtime is going down and the owner went first.
            let _ = self.home.send(Message::Returned);
        }
    }
}
