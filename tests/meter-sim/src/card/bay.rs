//! A reader's place for a card, in this process.
//!
//! Invariant: whoever has taken a card out has it alone; nothing that the reader still does reaches it.

use std::sync::{Arc, Mutex};

use super::{Card, Pulled};
use crate::event::lock;

/// Clones are the same place.
#[derive(Debug, Clone, Default)]
pub struct Bay(Arc<Mutex<Option<Card>>>);

impl Bay {
    /// In the place of what lay there.
    pub fn put_in(&self, card: &Card) {
        *lock(&self.0) = Some(card.clone());
    }

    /// Waits for the end of a command that the card is answering.
    pub fn take_out(&self) {
        *lock(&self.0) = None;
    }

    pub fn is_empty(&self) -> bool {
        lock(&self.0).is_none()
    }

    /// The answer to reset of the card that lies here.
    pub fn power_on(&self) -> Result<Vec<u8>, Pulled> {
        let held = lock(&self.0);
        let card = held.as_ref().ok_or(Pulled)?;
        card.power_on();
        Ok(card.atr())
    }

    /// See [`Card::transmit`]. A card that was pulled lies here no more.
    pub fn transmit(&self, command: &[u8]) -> Result<Vec<u8>, Pulled> {
        let mut held = lock(&self.0);
        let answered = held.as_ref().ok_or(Pulled)?.transmit(command);
        if answered.is_err() {
            *held = None;
        }
        answered
    }

    pub fn power_off(&self) {
        if let Some(card) = lock(&self.0).as_ref() {
            card.power_off();
        }
    }
}
