//! One card reader, for everybody who wants to see its card or to have it for a while.
//!
//! Invariant: one thread owns what is behind it. Not here: which readers there are (`readers`).

use std::fmt;
use std::sync::{Arc, mpsc};

use tokio::sync::{oneshot, watch};

use super::error::CardError;
use super::lease::CardLease;
use super::limits::LEASE_WAIT;
use super::profile::{ReaderProfile, ReaderProfiles};
use super::slot::{CardSlot, SlotEvents};
use super::state::ReaderState;
use super::worker::{LeaseRequest, Order, Worker};

/// A reader: cheap to clone, all clones are the same reader.
#[derive(Clone)]
pub struct CardReader(Arc<Inside>);

struct Inside {
    name: String,
    orders: mpsc::Sender<Order>,
    state: watch::Receiver<ReaderState>,
}

impl fmt::Debug for CardReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CardReader").field("name", &self.0.name).finish_non_exhaustive()
    }
}

impl CardReader {
    /// A reader over any slot, which lies empty until the events say otherwise. Its commands are
    /// those of the profile that a PC/SC reader called `pcsc` has.
    pub fn over(
        name: &str,
        pcsc: &str,
        profiles: &ReaderProfiles,
        slot: impl CardSlot + 'static,
    ) -> (CardReader, SlotEvents) {
        CardReader::starting(name, profiles.of(pcsc), Box::new(slot), ReaderState::Empty)
    }

    pub(super) fn starting(
        name: &str,
        profile: Arc<ReaderProfile>,
        slot: Box<dyn CardSlot>,
        state: ReaderState,
    ) -> (CardReader, SlotEvents) {
        let (orders, taken) = mpsc::channel();
        let (shown, state) = watch::channel(state);
        let worker = Worker::new(slot, profile, taken, shown.clone());
        let thread = std::thread::Builder::new().name(format!("card {name}"));
        if let Err(error) = thread.spawn(move || worker.run()) {
            // What is asked of it is answered that its thread has ended.
            tracing::error!(%error, reader = name, "no thread for the card reader");
        }
        let events = SlotEvents { orders: orders.clone(), state: shown };
        (CardReader(Arc::new(Inside { name: name.to_owned(), orders, state })), events)
    }

    /// As the configuration calls it; its PC/SC name where that names none.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    pub fn state(&self) -> ReaderState {
        self.0.state.borrow().clone()
    }

    /// Tells each change of the state. A card that was taken out and put in again is a change even
    /// for whoever finds the state as it was.
    pub fn changes(&self) -> watch::Receiver<ReaderState> {
        self.0.state.clone()
    }

    /// The card for this caller alone, powered anew. Waits for whoever has it; [`CardError::Gone`]
    /// when there is no card, [`CardError::Unsupported`] when nobody knows its kind.
    pub async fn lease(&self) -> Result<CardLease, CardError> {
        let (reply, granted) = oneshot::channel();
        let request = LeaseRequest { reply, orders: self.0.orders.clone() };
        let ended = || CardError::Reader("the reader's thread has ended".to_owned());
        self.0.orders.send(Order::Lease(request)).map_err(|_| ended())?;
        match tokio::time::timeout(LEASE_WAIT, granted).await {
            Ok(granted) => granted.map_err(|_| ended())?,
            Err(_) => {
                let waited_s = LEASE_WAIT.as_secs();
                Err(CardError::Reader(format!("somebody else has had the card for {waited_s} s")))
            }
        }
    }
}
