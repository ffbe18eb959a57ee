//! Whose card lies in a reader: by its mark cell, where one of the configured ones has a mark; else every
//! driver of cards is asked. Needs no books, so that it can be told beside a running program.
//!
//! Invariant: presents no code that a card counts, and changes nothing. Not here: what the books say of
//! the card (finding).

use super::Finding;
use super::mark::Mark;
use crate::clock::Clock;
use crate::error::chain;
use polymeter_domain::{CardIdentity, CardPurpose, VendorCode};
use polymeter_runtime::Driver;
use polymeter_transport::{CardError, CardLease};
use std::sync::Arc;

/// Those whose cards can be told apart.
#[derive(Debug, Clone)]
pub struct CardOwners {
    drivers: Vec<Arc<Driver>>,
    marks: Vec<Mark>,
    clock: Clock,
}

/// A card that is somebody's, and the driver that knows it.
#[derive(Debug)]
pub struct Theirs {
    pub driver: Arc<Driver>,
    pub identity: CardIdentity,
}

/// Whose a card is, without looking into the books.
#[derive(Debug)]
pub enum Whose {
    Theirs(Theirs),
    Nobodys(Finding),
}

impl CardOwners {
    /// Of these drivers those that know cards.
    pub fn new(drivers: Vec<Arc<Driver>>, marks: Vec<Mark>, clock: Clock) -> CardOwners {
        let drivers = drivers.into_iter().filter(|driver| driver.cards()).collect();
        CardOwners { drivers, marks, clock }
    }

    pub async fn whose(&self, lease: &mut CardLease) -> Result<Whose, CardError> {
        let kind = lease.card().kind;
        let mut foreign: Option<(String, Option<VendorCode>)> = None;
        for mark in self.marks.iter().filter(|mark| mark.kind == kind) {
            match mark.read(lease).await {
                Ok(Some(text)) => match mark.vendor(&text).and_then(|vendor| self.of(&vendor)) {
                    Some(driver) => return Ok(self.by_mark(lease, driver, text).await),
                    // Where one vendor has its mark, another may have anything.
                    None => {
                        foreign = Some(match (foreign, mark.vendors.get(&text)) {
                            (Some((mark, Some(vendor))), _) => (mark, Some(vendor)),
                            (Some((marks, None)), None) => (format!("{marks}, {text}"), None),
                            (_, vendor) => (text, vendor.cloned()),
                        });
                    }
                },
                Ok(None) => {}
                // A place that this card does not show to everybody is no mark cell of its maker's.
                Err(error) if error.is_about_the_card() => {}
                Err(error) => return Err(error),
            }
        }
        match foreign {
            Some((mark, vendor)) => Ok(Whose::Nobodys(Finding::Foreign { kind, mark, vendor })),
            None => Ok(self.by_asking(lease).await),
        }
    }

    fn of(&self, vendor: &VendorCode) -> Option<Arc<Driver>> {
        self.drivers.iter().find(|driver| driver.vendor() == vendor).cloned()
    }

    async fn by_mark(&self, lease: &mut CardLease, driver: Arc<Driver>, text: String) -> Whose {
        let kind = lease.card().kind;
        let name = driver.name().to_owned();
        let why = match driver.identify_card(lease, None, self.clock.moment()).await {
            Ok(Some(identity)) if identity.purpose == CardPurpose::Blank => {
                return Whose::Nobodys(Finding::Blank { kind, vendors: vec![identity.vendor] });
            }
            Ok(Some(identity)) => return Whose::Theirs(Theirs { driver, identity }),
            Ok(None) => {
                format!("its mark is `{text}`, and driver {name} says that it is not its card")
            }
            Err(error) => format!("driver {name}: {}", chain(&error)),
        };
        Whose::Nobodys(Finding::Unknown { kind: Some(kind), why })
    }

    async fn by_asking(&self, lease: &mut CardLease) -> Whose {
        let kind = lease.card().kind;
        let (mut theirs, mut blank, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        for driver in &self.drivers {
            match driver.identify_card(lease, None, self.clock.moment()).await {
                Ok(Some(identity)) if identity.purpose == CardPurpose::Blank => {
                    blank.push(identity.vendor);
                }
                Ok(Some(identity)) => {
                    theirs.push(Theirs { driver: Arc::clone(driver), identity });
                }
                Ok(None) => {}
                Err(error) => failed.push(format!("driver {}: {}", driver.name(), chain(&error))),
            }
        }
        if theirs.len() > 1 {
            let vendors = theirs.into_iter().map(|it| it.identity.vendor).collect();
            return Whose::Nobodys(Finding::Ambiguous { kind, vendors });
        }
        let unknown = |why| Whose::Nobodys(Finding::Unknown { kind: Some(kind), why });
        match (theirs.pop(), blank.is_empty(), failed.is_empty()) {
            (Some(theirs), _, _) => Whose::Theirs(theirs),
            (None, false, _) => Whose::Nobodys(Finding::Blank { kind, vendors: blank }),
            (None, true, true) => unknown("no enabled driver knows it".to_owned()),
            (None, true, false) => unknown(failed.join("; ")),
        }
    }
}
