//! The sole right to a card for a while.
//!
//! Invariant: it ends when it is dropped, or with the card; then the card is without power, and has
//! forgotten which codes were proved to it. Not here: the thread that does it (`worker`).

use std::sync::mpsc;

use polymeter_domain::CardKind;
use tokio::sync::oneshot;

use super::conversation::Conversation;
use super::error::CardError;
use super::limits::CALL_WAIT;
use super::state::InsertedCard;
use super::worker::Order;

/// The sole right to a card. No other program can speak to it either, as far as PC/SC can see to
/// that.
///
/// A call that is dropped before it answers is still done to the card.
#[derive(Debug)]
pub struct CardLease {
    number: u64,
    card: InsertedCard,
    orders: mpsc::Sender<Order>,
    changed: bool,
}

/// Instructions of a processor card that change nothing on it (ISO/IEC 7816-4, table 4): SELECT,
/// READ BINARY, READ RECORD, GET DATA, GET RESPONSE, GET CHALLENGE, INTERNAL and EXTERNAL
/// AUTHENTICATE.
const CHANGES_NOTHING: [u8; 8] = [0xA4, 0xB0, 0xB2, 0xCA, 0xC0, 0x84, 0x88, 0x82];

impl CardLease {
    pub(super) fn new(number: u64, card: InsertedCard, orders: mpsc::Sender<Order>) -> CardLease {
        CardLease { number, card, orders, changed: false }
    }

    /// The lease itself, for whoever must own it for a while. What stays behind is answered
    /// [`CardError::Reader`], and its end ends nothing.
    #[must_use]
    pub fn take(&mut self) -> CardLease {
        let (nobody, _) = mpsc::channel();
        let rest = CardLease { orders: nobody, card: self.card.clone(), ..*self };
        std::mem::replace(self, rest)
    }

    pub fn card(&self) -> &InsertedCard {
        &self.card
    }

    /// A processor card: one command APDU of its own; the answer ends in the two status bytes, and
    /// one that says no is an answer. 61xx and 6Cxx are the caller's to follow.
    pub async fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, CardError> {
        self.changed |= !command.get(1).is_some_and(|second| CHANGES_NOTHING.contains(second));
        let command = command.to_vec();
        self.ask(move |card| card.transmit(&command)).await
    }

    /// Bytes of a memory card, from 0; of Mifare Classic, its blocks one after the other.
    pub async fn read(&mut self, offset: u32, length: u32) -> Result<Vec<u8>, CardError> {
        self.ask(move |card| card.read(offset, length)).await
    }

    /// As `read`, and read back. Where it ends in an error, some may have been written;
    /// [`CardError::Refused`] when the card did not take it.
    pub async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), CardError> {
        self.changed = true;
        let bytes = bytes.to_vec();
        self.ask(move |card| card.write(offset, &bytes)).await
    }

    /// Sets a zone's bits to 1 under its erase code, and looks whether they are.
    pub async fn erase(&mut self, zone: u16, code: &[u8]) -> Result<(), CardError> {
        self.changed = true;
        let code = code.to_vec();
        self.ask(move |card| card.erase(zone, &code)).await
    }

    /// How many wrong codes the card still bears. Never more than it does: of a card that has more
    /// tries on some makes than on others, the fewest.
    pub async fn tries_left(&mut self, code: u16) -> Result<u8, CardError> {
        self.ask(move |card| card.tries_left(code)).await
    }

    /// Presents a code, unless a wrong one could be the card's last ([`CardError::NoTries`]).
    pub async fn verify(&mut self, code: u16, presented: &[u8]) -> Result<(), CardError> {
        let presented = presented.to_vec();
        self.ask(move |card| card.verify(code, &presented)).await
    }

    /// Gives the card a new code in place of the one that was verified in this lease, and proves
    /// it.
    pub async fn set_code(&mut self, code: u16, presented: &[u8]) -> Result<(), CardError> {
        self.changed = true;
        let presented = presented.to_vec();
        self.ask(move |card| card.set_code(code, &presented)).await
    }

    /// Whether a command that may have changed the card was begun: everything but `read`,
    /// `tries_left`, `verify`, and of commands to a processor card those that only look.
    pub fn changed(&self) -> bool {
        self.changed
    }

    async fn ask<T: Send + 'static>(
        &mut self,
        what: impl FnOnce(&mut Conversation<'_>) -> Result<T, CardError> + Send + 'static,
    ) -> Result<T, CardError> {
        let (tell, told) = oneshot::channel();
        let act = Box::new(move |card: Result<&mut Conversation<'_>, CardError>| {
            // An error here: whoever asked has stopped waiting.
            let _ = tell.send(card.and_then(what));
        });
        let ended = || CardError::Reader("the reader's thread has ended".to_owned());
        self.orders.send(Order::Act(self.number, act)).map_err(|_| ended())?;
        let waited_ms = u64::try_from(CALL_WAIT.as_millis()).unwrap_or(u64::MAX);
        match tokio::time::timeout(CALL_WAIT, told).await {
            Ok(told) => told.map_err(|_| ended())?,
            Err(_) => Err(CardError::OutOfTime { waited_ms }),
        }
    }

    /// What kind of card this is.
    pub fn kind(&self) -> CardKind {
        self.card.kind
    }
}

impl Drop for CardLease {
    fn drop(&mut self) {
        // An error here: the reader is gone and the card with it.
        let _ = self.orders.send(Order::End(self.number));
    }
}
