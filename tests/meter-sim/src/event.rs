//! What happens in the simulator, told to whoever listens, and the gate at which held requests
//! wait. With no listener nothing is built or sent.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::fault::{FaultKind, Kind};

/// One thing that happened, in the order it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A whole request was on the wire for this meter, nothing yet done.
    Request { meter: String, kind: Kind, hex: String },
    /// A scripted fault hits the request just told.
    Fault { meter: String, on: Kind, fault: FaultKind },
    /// A request or reply now waits for a release, after so many of all its bytes.
    Held { meter: String, bytes: usize, of: usize },
    /// Money came into the meter; its reply has not yet left.
    Credit { meter: String, count: u32, amount_fen: u32 },
}

/// How held requests and replies go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// The rest comes through. A torn request over TCP whose host is gone vanishes all the same.
    Deliver,
    /// The rest is lost.
    Vanish,
}

/// What all buses of a simulator share.
#[derive(Debug, Default)]
pub struct Hub {
    stopping: AtomicBool,
    watched: AtomicBool,
    listeners: Mutex<Vec<UnboundedSender<Event>>>,
    gate: Mutex<Gate>,
    opened: Condvar,
}

#[derive(Debug, Default)]
struct Gate {
    held: usize,
    releases: u64,
    last: Option<Release>,
}

impl Hub {
    pub fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Ends all waiting for good.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.release(Release::Vanish);
    }

    pub fn watched(&self) -> bool {
        self.watched.load(Ordering::Acquire)
    }

    pub fn listen(&self) -> UnboundedReceiver<Event> {
        let (sender, receiver) = unbounded_channel();
        lock(&self.listeners).push(sender);
        self.watched.store(true, Ordering::Release);
        receiver
    }

    pub fn tell(&self, event: Event) {
        let mut listeners = lock(&self.listeners);
        listeners.retain(|listener| listener.send(event.clone()).is_ok());
        if listeners.is_empty() {
            self.watched.store(false, Ordering::Release);
        }
    }

    /// Waits at the gate, `bytes` of the frame's `of` being through.
    pub fn hold(&self, meter: String, bytes: usize, of: usize) -> Release {
        let mut gate = lock(&self.gate);
        let before = gate.releases;
        gate.held += 1;
        if self.watched() {
            self.tell(Event::Held { meter, bytes, of });
        }
        while gate.releases == before && !self.stopping() {
            gate = self.opened.wait(gate).unwrap_or_else(PoisonError::into_inner);
        }
        gate.held -= 1;
        gate.last.unwrap_or(Release::Vanish)
    }

    /// How many wait at the gate.
    pub fn held(&self) -> usize {
        lock(&self.gate).held
    }

    pub fn release(&self, release: Release) {
        let mut gate = lock(&self.gate);
        gate.releases += 1;
        gate.last = Some(release);
        self.opened.notify_all();
    }
}

/// A lock whose earlier holder may have panicked: simulated state has no invariant that this
/// breaks.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
