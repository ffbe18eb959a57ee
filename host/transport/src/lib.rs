//! Lines and card readers: who may use the bus or the card now, and the bytes on it.
//!
//! Invariant: one task owns a line and lends it to one caller at a time by value, so Rust's
//! ownership proves that there are never two users, and never two frames in flight.
//! Not here: any protocol, any meter, and any retry. A failed exchange is the caller's to judge.
//!
//! A [`Line`] is asked for a [`LineLease`]; the lease sends and receives by itself, with no task
//! in between, and gives the line back when it is dropped, whatever state it is in.

mod card;
mod envelope;
mod error;
mod lease;
mod limits;
mod line;
mod owner;
mod queue;
mod settings;
mod stream;
mod wire;

#[cfg(test)]
mod tests;

pub use card::{
    CardError, CardLease, CardReader, CardReaders, CardSlot, InsertedCard, ReaderList, ReaderPlace,
    ReaderProfile, ReaderProfiles, ReaderSettings, ReaderState, SlotEvents,
};
pub use envelope::{Envelope, Part, SiteClock, SiteTime};
pub use error::LineError;
pub use lease::LineLease;
pub use line::{Line, LineCounters};
pub use queue::Priority;
pub use settings::{Endpoint, LineSettings, Parity, SerialSettings};
pub use stream::{Channel, Opener};
