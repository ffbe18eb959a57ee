//! Driver for customers' cards of the made-up maker NOVA: an AT88SC102 with a layout of our own making,
//! which stands in full in the README beside this crate.
//!
//! Invariant: the zone that counts is neither erased nor written to by an act, so a card that is pulled
//! within any byte holds the old state whole or the new one. A code is presented only to a card whose
//! key check and MAC are ours.
//!
//! Not here: how a reader is told to read, write and erase the chip (the host), what the device does,
//! what is made of an order (`polymeter_cards`).
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
mod describe;
mod layout;

use polymeter_cards::{Cards, Carries, Shape};
use polymeter_driver::Host;
use polymeter_driver::codes::card::purpose;
use polymeter_driver::ending::Stop;

#[derive(Debug)]
pub struct CardAt88sc102Nova;

impl Cards for CardAt88sc102Nova {
    type Card<'a> = card::NovaCard<'a>;
    const VENDOR: &'static str = "NOVA";
    const REGION_LETTERS: usize = layout::REGION_BYTES;
    const MAINTENANCE: &'static [u16] =
        &[purpose::SETTING, purpose::CHECK, purpose::CLEAR, purpose::RESET];
    const CARRIES: &'static [Carries] = &[Carries {
        name: describe::ALARM,
        purpose: purpose::SETTING,
        shape: Shape::Money,
        needed: true,
    }];
    fn begin(host: &mut dyn Host) -> Result<Option<Self::Card<'_>>, Stop> {
        card::NovaCard::begin(host)
    }
}

polymeter_cards::card_driver!(CardAt88sc102Nova, describe::description);
polymeter_driver::export_card!(CardAt88sc102Nova);
