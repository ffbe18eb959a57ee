//! Driver for customers' cards of the made-up maker ACME: an SLE4442 with a layout of our own making,
//! which stands in full in the README beside this crate.
//!
//! Invariant: nothing that counts is ever written over, so a card that is pulled within any byte holds
//! the old state whole or the new one. A code is presented only to a card that says which one it has
//! and whose MAC is ours.
//!
//! Not here: how a reader is told to read and write the chip (the host), what the device does, what is
//! made of an order (`polymeter_cards`).
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used
)]

mod card;
mod carried;
mod describe;
mod layout;

use polymeter_cards::{Cards, Carries};
use polymeter_driver::Host;
use polymeter_driver::codes::card::purpose;
use polymeter_driver::ending::Stop;

#[derive(Debug)]
pub struct CardSle4442Acme;

impl Cards for CardSle4442Acme {
    type Card<'a> = card::AcmeCard<'a>;
    const VENDOR: &'static str = "ACME";
    const REGION_LETTERS: usize = layout::REGION_BYTES;
    const MAINTENANCE: &'static [u16] = &[
        purpose::SETTING,
        purpose::CHECK,
        purpose::CLEAR,
        purpose::RESET,
        purpose::PRICE,
        purpose::AREA,
        purpose::TEST,
        purpose::KEYS,
    ];
    const CARRIES: &'static [Carries] = &carried::CARRIES;
    fn begin(host: &mut dyn Host) -> Result<Option<Self::Card<'_>>, Stop> {
        card::AcmeCard::begin(host)
    }
}

polymeter_cards::card_driver!(CardSle4442Acme, describe::description);
polymeter_driver::export_card!(CardSle4442Acme);
