//! The task that owns one line: it opens the stream and decides who of those who wait has it next.
//!
//! Invariant: the wire is at home (`line::Shared`), here, or in exactly one lease; while it is lent
//! this task cannot touch it. Who finds it at home, open and nobody waiting takes it without this
//! task. No failure ends the task: only the last handle does.
//! Not here: a read or write of a lessee's, which never passes through this task.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::error::LineError;
use crate::lease::LineLease;
use crate::limits::{REOPEN_WAIT_MAX, REOPEN_WAIT_MIN, SILENT_EXCHANGES_MAX};
use crate::line::Shared;
use crate::queue::{Priority, Queue};
use crate::wire::Wire;

type Grant = oneshot::Sender<Result<LineLease, LineError>>;

#[derive(Debug)]
pub(crate) enum Message {
    Ask {
        priority: Priority,
        answer: Grant,
    },
    /// The wire is at home again and somebody waits.
    Returned,
}

#[derive(Debug)]
pub(crate) struct Owner {
    shared: Arc<Shared>,
    inbox: mpsc::UnboundedReceiver<Message>,
    /// For the leases to come back by. Weak, or this task would keep itself alive.
    home: mpsc::WeakUnboundedSender<Message>,
    queue: Queue<Grant>,
    opened_before: bool,
    failure: Option<Failure>,
}

/// The last open that failed, kept to answer those who ask too soon after it.
#[derive(Debug)]
struct Failure {
    retry_at: Instant,
    wait: Duration,
    kind: io::ErrorKind,
    text: String,
}

impl Owner {
    pub(crate) fn new(
        shared: Arc<Shared>,
        inbox: mpsc::UnboundedReceiver<Message>,
        home: mpsc::WeakUnboundedSender<Message>,
    ) -> Self {
        Self {
            shared,
            inbox,
            home,
            queue: Queue::new(Grant::is_closed),
            opened_before: false,
            failure: None,
        }
    }

    pub(crate) async fn run(mut self) {
        while let Some(message) = self.inbox.recv().await {
            self.accept(message);
            self.serve().await;
        }
    }

    fn accept(&mut self, message: Message) {
        match message {
            Message::Ask { priority, answer } => self.queue.push(priority, answer),
            Message::Returned => {}
        }
    }

    /// All that has come by now, so that the order is by class and not by who was heard first.
    fn collect(&mut self) {
        while let Ok(message) = self.inbox.try_recv() {
            self.accept(message);
        }
    }

    /// Lends the wire to the next in the queue, if it is at home and somebody waits.
    async fn serve(&mut self) {
        if self.queue.is_empty() {
            return;
        }
        let Some(mut wire) = self.shared.take_wire() else { return };
        let ready = self.make_ready(&mut wire).await;
        // A sale may have come meanwhile, or in the same moment as the wire.
        self.collect();
        match ready {
            Ok(()) => self.lend(wire),
            Err(source) => {
                self.shared.come_home(wire);
                while let Some(answer) = self.queue.pop() {
                    let source = io::Error::new(source.kind(), source.to_string());
                    // An error here: the asker has left, and needs no answer.
                    let _ = answer.send(Err(self.shared.down(source)));
                }
            }
        }
    }

    fn lend(&mut self, wire: Wire) {
        let (Some(answer), Some(home)) = (self.queue.pop(), self.home.upgrade()) else {
            self.shared.come_home(wire);
            return;
        };
        let lease = LineLease::new(wire, Arc::clone(&self.shared), home);
        // If the asker leaves just now, the lease is dropped and the wire comes back by itself.
        let _ = answer.send(Ok(lease));
    }

    /// Sees to it that the wire has a living stream.
    async fn make_ready(&mut self, wire: &mut Wire) -> io::Result<()> {
        let line = self.shared.settings.name.as_str();
        if wire.silent_exchanges() >= SILENT_EXCHANGES_MAX {
            tracing::debug!(line, "opening anew: nothing was heard for long");
            wire.close();
        }
        // Many gateways close an idle connection. Seen here, it costs the next call nothing.
        if wire.is_open()
            && let Err(error) = wire.discard(&self.shared)
        {
            tracing::debug!(line, %error, "the idle stream ended");
        }
        if wire.is_open() {
            return Ok(());
        }
        if let Some(failure) = &self.failure
            && Instant::now() < failure.retry_at
        {
            return Err(io::Error::new(failure.kind, failure.text.clone()));
        }
        match self.shared.open().await {
            Ok(stream) => {
                wire.attach(stream);
                if std::mem::replace(&mut self.opened_before, true) {
                    self.shared.tally.reconnected();
                }
                match self.failure.take() {
                    Some(_) => tracing::warn!(line, "the line is up again"),
                    None => tracing::debug!(line, "opened"),
                }
                Ok(())
            }
            Err(error) => {
                let wait = self.failure.as_ref().map_or(REOPEN_WAIT_MIN, |last| last.wait * 2);
                let wait = wait.min(REOPEN_WAIT_MAX);
                self.failure = Some(Failure {
                    retry_at: Instant::now() + wait,
                    wait,
                    kind: error.kind(),
                    text: error.to_string(),
                });
                tracing::debug!(line, %error, wait_ms = wait.as_millis(), "could not open");
                Err(error)
            }
        }
    }
}
