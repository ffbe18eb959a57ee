//! The machine of an act at the counter that moves money and is no sale: refund, reversal, deposit,
//! arrears, write-off. And what a device's own record proves of a purchase that shall be taken back,
//! or of credit that it was told to give back.
//!
//! ```text
//! Waiting → Reserved → Confirmed | Refused | Unresolved      Waiting, Reserved → Cancelled
//!                    → Dispatched → Confirmed | Refused | Unresolved, or Reserved again
//! ```
//!
//! An act that touches no device goes from Reserved to Confirmed in the step that reserves it. Asking a
//! device changes nothing in it and may be repeated; telling it to give credit back is Dispatched
//! first, like a sale, and is never repeated blindly.

use crate::{Credit, Delivery, Evidence, Purchase};

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

/// What a device was told to give back. A device on a line counts that as the purchase `purchase`, and
/// holds at most `before` less that afterwards. A card gives back what it has not brought to its meter:
/// its purchase of `before` has nothing left then, which is `purchase`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taking {
    pub purchase: Purchase,
    pub before: Credit,
}

impl Taking {
    /// `None`: the device holds less, or something else, or can count no further.
    pub fn of(credit: Credit, on_device: &Evidence) -> Option<Taking> {
        let before = on_device.balance?;
        let enough = before.quantity == credit.quantity && before.amount >= credit.amount;
        let purchase = Purchase { count: on_device.count.next()?, credit };
        enough.then_some(Taking { purchase, before })
    }

    /// Off a card whose purchase its meter has not taken.
    pub fn off_card(sold: Purchase) -> Taking {
        let credit = Credit { amount: 0, ..sold.credit };
        Taking { purchase: Purchase { credit, ..sold }, before: sold.credit }
    }

    pub fn is_off_card(self) -> bool {
        self.purchase.credit.amount == 0
    }

    /// What goes back.
    pub fn credit(self) -> Credit {
        if self.is_off_card() { self.before } else { self.purchase.credit }
    }

    /// What the device's own record says of it. Its balance only sinks by itself, so one that holds
    /// more than can be left was not taken from, whatever its record says.
    pub fn proved(self, on_device: &Evidence) -> Taken {
        if self.is_off_card() {
            return self.proved_by_card(on_device);
        }
        match Proof::of(self.purchase, on_device) {
            Proof::Absent => Taken::No("the device has no record of it".to_owned()),
            Proof::Nothing(why) => Taken::Unknown(why),
            Proof::Held => {
                let left = self.before.amount.saturating_sub(self.purchase.credit.amount);
                match on_device.balance {
                    Some(now) if now.quantity != self.before.quantity || now.amount > left => {
                        Taken::Unknown(format!(
                            "the device lists purchase {}, but holds more than is left after it",
                            self.purchase.count
                        ))
                    }
                    _ => Taken::Yes,
                }
            }
        }
    }

    fn proved_by_card(self, on_card: &Evidence) -> Taken {
        let count = self.purchase.count;
        match on_card.purchase {
            Some(found) if found == self.purchase => Taken::Yes,
            Some(found) if found == (Purchase { count, credit: self.before }) => {
                Taken::No(format!("the card still holds purchase {count}"))
            }
            _ => Taken::Unknown(format!(
                "the card stands at purchase {}, and not at {count} as it was or without its credit",
                on_card.count
            )),
        }
    }
}

/// Whether a device gave credit back, and why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    Yes,
    No(String),
    /// Provably nothing reached it.
    NotSent(String),
    Unknown(String),
}

impl From<Delivery> for Taken {
    fn from(delivery: Delivery) -> Taken {
        match delivery {
            Delivery::Confirmed(_) => Taken::Yes,
            Delivery::Refused(refusal) => Taken::No(refusal.detail),
            Delivery::NotSent(why) => Taken::NotSent(why),
            Delivery::Unknown(why) => Taken::Unknown(why),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActState {
    /// A second person has to agree; no money has moved.
    Waiting,
    /// Pending transfers stand in the ledger.
    Reserved,
    /// Stored before the device is told to give credit back.
    Dispatched,
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
    /// The device holds the credit and is told to give it back.
    Dispatched,
    Taken(Taken),
    /// A person found out whether the device holds the credit.
    Decided {
        is_held: bool,
    },
}

impl ActState {
    pub const ALL: [ActState; 7] = [
        ActState::Waiting,
        ActState::Reserved,
        ActState::Dispatched,
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
            ActState::Dispatched => "dispatched",
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
        use ActState::{Cancelled, Confirmed, Dispatched, Refused, Reserved, Unresolved, Waiting};
        Some(match (self, event) {
            (Waiting, ActEvent::Approved) => Reserved,
            (Waiting | Reserved, ActEvent::Withdrawn) => Cancelled,
            (Reserved, ActEvent::Booked) => Confirmed,
            (Reserved | Unresolved, ActEvent::Proved(Proof::Absent)) => Confirmed,
            (Reserved | Unresolved, ActEvent::Proved(Proof::Held)) => Refused,
            (Reserved | Unresolved, ActEvent::Proved(Proof::Nothing(_))) => Unresolved,
            (Reserved | Unresolved, ActEvent::Dispatched) => Dispatched,
            (Dispatched, ActEvent::Taken(Taken::NotSent(_))) => Reserved,
            (Dispatched | Unresolved, ActEvent::Taken(Taken::Yes)) => Confirmed,
            (Dispatched | Unresolved, ActEvent::Taken(Taken::No(_))) => Refused,
            (Dispatched | Unresolved, ActEvent::Taken(Taken::Unknown(_))) => Unresolved,
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
        let taken = |how: fn(String) -> Taken| ActEvent::Taken(how(String::new()));
        for (event, expected) in [
            (ActEvent::Approved, ["reserved", "-", "-", "-", "-", "-", "-"]),
            (ActEvent::Withdrawn, ["cancelled", "cancelled", "-", "-", "-", "-", "-"]),
            (ActEvent::Booked, ["-", "confirmed", "-", "-", "-", "-", "-"]),
            (ActEvent::Proved(Proof::Absent), ["-", "confirmed", "-", "-", "-", "confirmed", "-"]),
            (ActEvent::Proved(Proof::Held), ["-", "refused", "-", "-", "-", "refused", "-"]),
            (nothing(), ["-", "unresolved", "-", "-", "-", "unresolved", "-"]),
            (ActEvent::Dispatched, ["-", "dispatched", "-", "-", "-", "dispatched", "-"]),
            (ActEvent::Taken(Taken::Yes), ["-", "-", "confirmed", "-", "-", "confirmed", "-"]),
            (taken(Taken::No), ["-", "-", "refused", "-", "-", "refused", "-"]),
            (taken(Taken::NotSent), ["-", "-", "reserved", "-", "-", "-", "-"]),
            (taken(Taken::Unknown), ["-", "-", "unresolved", "-", "-", "unresolved", "-"]),
            (ActEvent::Decided { is_held: false }, ["-", "-", "-", "-", "-", "confirmed", "-"]),
            (ActEvent::Decided { is_held: true }, ["-", "-", "-", "-", "-", "refused", "-"]),
        ] {
            for (state, expected) in ActState::ALL.into_iter().zip(expected) {
                let next = state.after(&event).map_or("-", ActState::name);
                assert_eq!(next, expected, "{event:?} of {}", state.name());
                assert!(!state.is_settled() || next == "-");
            }
        }
    }

    #[test]
    fn a_card_tells_itself_whether_it_gave_back() {
        let taking = Taking::off_card(purchase(8, 5000));
        assert_eq!((taking.credit().amount, taking.purchase.count.get()), (5000, 8));
        let of = |count, found| taking.proved(&evidence(count, found));
        assert_eq!(of(8, Some(purchase(8, 0))), Taken::Yes);
        assert!(matches!(of(8, Some(purchase(8, 5000))), Taken::No(_)));
        for other in [Some(purchase(8, 4999)), Some(purchase(9, 0)), Some(purchase(7, 5000)), None]
        {
            assert!(matches!(of(8, other), Taken::Unknown(_)), "{other:?}");
        }
        // A device on a line that gives nothing back is told nothing.
        let on_line = Taking::of(
            purchase(8, 100).credit,
            &Evidence { balance: Some(purchase(0, 300).credit), ..evidence(8, None) },
        );
        assert_eq!(on_line.map(Taking::credit), Some(purchase(0, 100).credit));
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
    fn what_was_taken_is_proved_by_count_amount_and_balance() {
        let credit = |amount| Credit { quantity: Quantity::Money, amount };
        let holding = |count, last, balance: u64| {
            let balance = Some(credit(balance));
            Evidence { balance, ..evidence(count, Some(purchase(count, last))) }
        };
        let taking = Taking::of(credit(400), &holding(7, 900, 1000)).expect("enough");
        assert_eq!(taking.purchase, purchase(8, 400));
        assert_eq!(Taking::of(credit(1001), &holding(7, 900, 1000)), None, "it holds less");
        assert_eq!(Taking::of(credit(1), &evidence(7, None)), None, "it does not say");
        assert_eq!(Taking::of(credit(1), &holding(u32::MAX, 1, 10)), None, "no next count");
        let energy = Credit { quantity: Quantity::Energy, amount: 400 };
        assert_eq!(Taking::of(energy, &holding(7, 900, 1000)), None, "something else");
        assert_eq!(taking.proved(&holding(8, 400, 600)), Taken::Yes);
        assert_eq!(taking.proved(&holding(8, 400, 0)), Taken::Yes, "used meanwhile");
        assert!(matches!(taking.proved(&holding(7, 900, 1000)), Taken::No(_)));
        // A purchase of that amount by somebody else.
        assert!(matches!(taking.proved(&holding(8, 400, 1400)), Taken::Unknown(_)));
        assert!(matches!(taking.proved(&holding(8, 401, 599)), Taken::Unknown(_)));
    }

    #[test]
    fn states_are_found_by_their_names() {
        for state in ActState::ALL {
            assert_eq!(ActState::from_name(state.name()), Some(state));
        }
        assert_eq!(ActState::from_name("sent"), None);
    }
}
