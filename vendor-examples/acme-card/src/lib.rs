//! Driver for the customers' cards of ACME: an AT24C02 whose layout stands in the README.
//!
//! Invariant: what counts on a card is never written over, so one that is pulled within any byte holds
//! the old purchase whole or the new one.
//!
//! Not here: what is made of an order, and what is refused (`polymeter_cards`); how a reader is told to
//! read and write the chip (the host).

mod card;
mod layout;

use polymeter_cards::{Cards, Carries};
use polymeter_driver::codes::card::purpose;
use polymeter_driver::codes::{proof, quantity};
use polymeter_driver::ending::Stop;
use polymeter_driver::{Description, Host};

/// The driver.
#[derive(Debug)]
pub struct Acme;

impl Cards for Acme {
    type Card<'a> = card::AcmeCard<'a>;
    const VENDOR: &'static str = "ACME";
    const REGION_LETTERS: usize = layout::REGION_BYTES;
    /// Cards for whoever looks after the meters: these two carry no values.
    const MAINTENANCE: &'static [u16] = &[purpose::CHECK, purpose::CLEAR];
    const CARRIES: &'static [Carries] = &[];

    fn begin(host: &mut dyn Host) -> Result<Option<Self::Card<'_>>, Stop> {
        card::AcmeCard::begin(host)
    }
}

/// The same as in driver.toml: the host compares.
fn description() -> Description {
    Description {
        vendor_code: Acme::VENDOR.to_owned(),
        name: env!("CARGO_PKG_NAME").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        models: vec!["ACME customer card (AT24C02)".to_owned()],
        proof: proof::PURCHASE_COUNT,
        purse: quantity::MONEY,
        parameters: Vec::new(),
    }
}

polymeter_cards::card_driver!(Acme, description);
polymeter_driver::export_card!(Acme);
