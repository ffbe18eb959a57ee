//! A card reader on a serial port, or behind a serial server: ACS's ACR122S and those that speak alike,
//! with a contactless chip inside.
//!
//! Invariant: one thread owns the port and alone speaks on it; nothing on it is logged, for keys of
//! cards go over it. While a card is lent nobody looks whether it still lies there: its next command
//! tells. Not here: readers that pcscd has (`pcsc_slot`), the reader's other lights, sounds
//! and slots, cards of type B.

mod chip;
mod desk;
mod frame;
mod link;
mod pseudo;
mod target;

use std::convert::Infallible;

use tokio::sync::{mpsc, oneshot};

use super::error::CardError;
use super::limits::{PORT_BYTE_WAIT, PORT_CALL_WAIT, PORT_REPLY_WAIT};
use super::profile::ReaderProfiles;
use super::reader::CardReader;
use super::slot::{CardSlot, SlotEvents};
use super::state::{LOOKING, ReaderState};
use crate::line::Line;
use crate::settings::{Endpoint, LineSettings};
use desk::{Ask, Desk, Reply};
use link::Link;

/// By this name its profile is found, as by a PC/SC reader's: what PC/SC says of contactless cards.
const PROFILE: &str = "ACR122S";

/// Keeps the port open, until it is dropped.
pub(super) type Keeper = oneshot::Sender<Infallible>;

/// A reader at that port, which is looked for from now on.
pub(super) fn start(
    name: &str,
    endpoint: Endpoint,
    profiles: &ReaderProfiles,
) -> (CardReader, Keeper) {
    let (asks, asked) = mpsc::unbounded_channel();
    let looking = ReaderState::Gone(LOOKING.to_owned());
    let slot = Box::new(PortSlot { asks });
    let (reader, events) = CardReader::starting(name, profiles.of(PROFILE), slot, looking);
    let (keeper, stop) = oneshot::channel();
    let settings = LineSettings {
        name: name.to_owned(),
        endpoint,
        inter_frame: std::time::Duration::ZERO,
        reply_timeout: PORT_REPLY_WAIT,
        byte_timeout: PORT_BYTE_WAIT,
        total_timeout: PORT_CALL_WAIT,
    };
    let thread = std::thread::Builder::new().name(format!("port {name}"));
    let of_thread = events.clone();
    if let Err(error) = thread.spawn(move || serve(settings, of_thread, asked, stop)) {
        events.gone(format!("no thread for its port: {error}"));
    }
    (reader, keeper)
}

fn serve(
    settings: LineSettings,
    events: SlotEvents,
    asked: mpsc::UnboundedReceiver<Ask>,
    stop: oneshot::Receiver<Infallible>,
) {
    // Of its own: whoever uses the reader may have none, and one that ends would end this in the middle.
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(async {
            Desk::new(Link::new(Line::unlogged(settings)), events).run(asked, stop).await;
        }),
        Err(error) => events.gone(format!("its port cannot be served: {error}")),
    }
}

/// The place for a card, as the reader's thread has it.
struct PortSlot {
    asks: mpsc::UnboundedSender<Ask>,
}

impl PortSlot {
    fn ask(&self, ask: impl FnOnce(Reply) -> Ask) -> Result<Vec<u8>, CardError> {
        let (reply, answer) = oneshot::channel();
        let closed = || CardError::Reader("its port is closed".to_owned());
        self.asks.send(ask(reply)).map_err(|_| closed())?;
        // Whoever answers has an end to each of its waits.
        answer.blocking_recv().unwrap_or_else(|_| Err(closed()))
    }
}

impl CardSlot for PortSlot {
    fn begin(&mut self) -> Result<Vec<u8>, CardError> {
        self.ask(Ask::Begin)
    }

    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, CardError> {
        let command = command.to_vec();
        self.ask(|reply| Ask::Transmit(command, reply))
    }

    fn end(&mut self) {
        // An error here: the port is closed, and the field went off before.
        let _ = self.asks.send(Ask::End);
    }
}
