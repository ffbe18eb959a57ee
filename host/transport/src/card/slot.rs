//! What a reader's thread speaks to a card through, and how it is told that one came or went.
//!
//! Not here: PC/SC, which is one such slot (`pcsc`).

use std::sync::mpsc;

use tokio::sync::watch;

use super::error::CardError;
use super::state::ReaderState;
use super::worker::Order;

/// A place for one card. Used by one thread, which may wait in it.
pub trait CardSlot: Send {
    /// Takes the card for this program alone, powered and freshly reset; its answer to reset.
    /// [`CardError::Gone`]: there is none. [`CardError::Refused`]: there is one and it does not
    /// answer.
    fn begin(&mut self) -> Result<Vec<u8>, CardError>;

    /// One command APDU to the card, or to the reader where its class is FF; the answer with its
    /// two status bytes.
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, CardError>;

    /// Gives the card back, without power or reset, so that it forgets which codes were proved to
    /// it. Also called when `begin` failed, or the card is gone.
    fn end(&mut self);
}

/// Tells a reader what happens in its slot. The reader ends when all its clones and this are gone.
#[derive(Debug, Clone)]
pub struct SlotEvents {
    pub(super) orders: mpsc::Sender<Order>,
    pub(super) state: watch::Sender<ReaderState>,
}

impl SlotEvents {
    /// A card came. Said of a slot that had one: another came in its place.
    pub fn inserted(&self) {
        self.tell(Order::Inserted);
    }

    pub fn removed(&self) {
        self.tell(Order::Removed);
    }

    /// The reader cannot be used, and why.
    pub fn gone(&self, reason: impl Into<String>) {
        self.tell(Order::Gone(reason.into()));
    }

    /// The reader's thread waits in the slot and cannot say so itself. It sets the state right when
    /// it has waited enough.
    pub(super) fn busy(&self, reason: &str) {
        let state = ReaderState::Gone(reason.to_owned());
        self.state.send_if_modified(|old| {
            let other = *old != state;
            *old = state;
            other
        });
    }

    pub(super) fn tell(&self, order: Order) {
        // An error here: the thread has ended by a panic of the slot's, and `lease` says so.
        let _ = self.orders.send(order);
    }
}
