//! The machine of an act at the counter that moves money and is no sale: refund, reversal, deposit,
//! arrears, write-off. And what a device's own record proves of a purchase that shall be taken back.
//!
//! ```text
//! Waiting → Reserved → Confirmed | Refused | Unresolved      Waiting, Reserved → Cancelled
//! ```
//!
//! An act that touches no device goes from Reserved to Confirmed in the step that reserves it. Asking a
//! device changes nothing in it, so there is no Dispatched here: asking again is always safe.

use crate::{Evidence, Purchase};

/// What a device says of a purchase that somebody wants to take back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// It stands right before it: the credit is not in the device.
    Absent,
    /// Its record has count and amount: the credit is, or was, in the device.
    Held,
    /// Neither, and why.
    Nothing(String),
}

impl Proof {
    pub fn of(asked: Purchase, on_device: &Evidence) -> Proof {
        let (count, stands) = (asked.count, on_device.count);
        match on_device.purchase {
            Some(found) if found == asked => Proof::Held,
            _ if count.follows(stands) => Proof::Absent,
            Some(found) if found.count == count => Proof::Nothing(format!(
                "the device's record of purchase {count} has another amount"
            )),
            _ if stands < count => Proof::Nothing(format!(
                "the device stands at purchase {stands}: it was reset or is another one"
            )),
            _ => Proof::Nothing(format!(
                "the device stands at purchase {stands} and has no record of purchase {count}"
            )),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActState {
    /// A second person has to agree; no money has moved.
    Waiting,
    /// Pending transfers stand in the ledger.
    Reserved,
    Confirmed,
    Refused,
    /// The device proves nothing: an operator decides.
    Unresolved,
    Cancelled,
}

/// What can happen to an act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActEvent {
    /// The second person agreed.
    Approved,
    /// The second person said no, nobody said anything in time, or who asked took it back.
    Withdrawn,
    /// No device has a say in it.
    Booked,
    Proved(Proof),
    /// A person found out whether the device holds the credit.
    Decided {
        is_held: bool,
    },
}

impl ActState {
    pub const ALL: [ActState; 6] = [
        ActState::Waiting,
        ActState::Reserved,
        ActState::Confirmed,
        ActState::Refused,
        ActState::Unresolved,
        ActState::Cancelled,
    ];

    /// As it is stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            ActState::Waiting => "waiting",
            ActState::Reserved => "reserved",
            ActState::Confirmed => "confirmed",
            ActState::Refused => "refused",
            ActState::Unresolved => "unresolved",
            ActState::Cancelled => "cancelled",
        }
    }

    pub fn from_name(name: &str) -> Option<ActState> {
        ActState::ALL.into_iter().find(|state| state.name() == name)
    }

    pub fn is_settled(self) -> bool {
        matches!(self, ActState::Confirmed | ActState::Refused | ActState::Cancelled)
    }

    /// `None`: this state does not take this event.
    pub fn after(self, event: &ActEvent) -> Option<ActState> {
        use ActState::{Cancelled, Confirmed, Refused, Reserved, Unresolved, Waiting};
        Some(match (self, event) {
            (Waiting, ActEvent::Approved) => Reserved,
            (Waiting | Reserved, ActEvent::Withdrawn) => Cancelled,
            (Reserved, ActEvent::Booked) => Confirmed,
            (Reserved | Unresolved, ActEvent::Proved(Proof::Absent)) => Confirmed,
            (Reserved | Unresolved, ActEvent::Proved(Proof::Held)) => Refused,
            (Reserved | Unresolved, ActEvent::Proved(Proof::Nothing(_))) => Unresolved,
            (Unresolved, ActEvent::Decided { is_held: false }) => Confirmed,
            (Unresolved, ActEvent::Decided { is_held: true }) => Refused,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Credit, PurchaseCount, Quantity};

    fn purchase(count: u32, fen: u64) -> Purchase {
        let credit = Credit { quantity: Quantity::Money, amount: fen };
        Purchase { count: PurchaseCount::new(count), credit }
    }

    fn evidence(count: u32, purchase: Option<Purchase>) -> Evidence {
        Evidence { count: PurchaseCount::new(count), purchase, balance: None }
    }

    #[test]
    fn every_state_meets_every_event() {
        let nothing = || ActEvent::Proved(Proof::Nothing(String::new()));
        for (event, expected) in [
            (ActEvent::Approved, ["reserved", "-", "-", "-", "-", "-"]),
            (ActEvent::Withdrawn, ["cancelled", "cancelled", "-", "-", "-", "-"]),
            (ActEvent::Booked, ["-", "confirmed", "-", "-", "-", "-"]),
            (ActEvent::Proved(Proof::Absent), ["-", "confirmed", "-", "-", "confirmed", "-"]),
            (ActEvent::Proved(Proof::Held), ["-", "refused", "-", "-", "refused", "-"]),
            (nothing(), ["-", "unresolved", "-", "-", "unresolved", "-"]),
            (ActEvent::Decided { is_held: false }, ["-", "-", "-", "-", "confirmed", "-"]),
            (ActEvent::Decided { is_held: true }, ["-", "-", "-", "-", "refused", "-"]),
        ] {
            for (state, expected) in ActState::ALL.into_iter().zip(expected) {
                let next = state.after(&event).map_or("-", ActState::name);
                assert_eq!(next, expected, "{event:?} of {}", state.name());
                assert!(!state.is_settled() || next == "-");
            }
        }
    }

    #[test]
    fn only_count_and_amount_prove_anything() {
        let asked = purchase(8, 5000);
        let of = |count, found| Proof::of(asked, &evidence(count, found));
        assert_eq!(of(8, Some(asked)), Proof::Held);
        assert_eq!(of(9, Some(asked)), Proof::Held);
        assert_eq!(of(7, Some(purchase(7, 5000))), Proof::Absent);
        assert_eq!(of(7, None), Proof::Absent);
        for (count, found) in [
            (8, Some(purchase(8, 4999))),
            (8, None),
            (0, None),
            (6, None),
            (9, Some(purchase(9, 1))),
            (u32::MAX, None),
        ] {
            assert!(matches!(of(count, found), Proof::Nothing(_)), "{count} {found:?}");
        }
    }

    #[test]
    fn states_are_found_by_their_names() {
        for state in ActState::ALL {
            assert_eq!(ActState::from_name(state.name()), Some(state));
        }
        assert_eq!(ActState::from_name("dispatched"), None);
    }
}
