//! Card readers: which card lies in which, and the right to speak to it.
//!
//! Invariant: one thread owns one reader and lends its card to one caller at a time. No command
//! leaves that could cost a card its last try. Not here: whose card it is (drivers), what is sold
//! on it.
//!
//! A [`CardReader`] is asked for a [`CardLease`], which does with the card what the contract's
//! `card-slot` says (`wit/1.1.0/card.wit`).

mod conversation;
mod error;
mod lease;
mod libpcsclite;
mod limits;
mod pcsc_slot;
mod profile;
mod reader;
mod readers;
mod sectors;
mod serial;
mod slot;
mod state;
mod template;
#[cfg(test)]
mod tests;
mod worker;

pub use error::CardError;
pub use lease::CardLease;
pub use profile::{ReaderProfile, ReaderProfiles};
pub use reader::CardReader;
pub use readers::{CardReaders, ReaderList, ReaderPlace, ReaderSettings};
pub use slot::{CardSlot, SlotEvents};
pub use state::{InsertedCard, ReaderState};
