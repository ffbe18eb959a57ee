//! The Sale machine: which state may follow which, and on what proof. No timer is in here, because
//! once bytes may have reached a device, time proves nothing.
//!
//! ```text
//! Quoted → Reserved → Dispatched → Confirmed | Refused | Unresolved      Reserved → Cancelled
//! ```

use crate::{Evidence, Purchase, Receipt, Refusal};

/// One sale. The data of a state is what that state is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sale {
    /// Priced; no money has moved.
    Quoted,
    /// A pending transfer stands in the ledger; nothing is on the wire.
    Reserved,
    /// Stored before the first byte leaves: this purchase may now be anywhere.
    Dispatched(Purchase),
    Confirmed(Receipt),
    Refused(Refusal),
    /// Nobody knows; the device's own record decides.
    Unresolved(Purchase),
    Cancelled,
}

/// How the one attempt ended, as the host saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// The host saw no byte leave.
    NotSent(String),
    Confirmed(Receipt),
    Refused(Refusal),
    /// It may or may not have been applied.
    Unknown(String),
}

/// What an operator found out where the device can prove nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Applied,
    NotApplied,
}

/// An event that this state does not take. Carries the sale back unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a {} sale cannot be {event}", .sale.name())]
pub struct OutOfOrder {
    pub sale: Sale,
    pub event: &'static str,
}

impl Sale {
    /// The state's name as it is stored and shown.
    pub fn name(&self) -> &'static str {
        match self {
            Sale::Quoted => "quoted",
            Sale::Reserved => "reserved",
            Sale::Dispatched(_) => "dispatched",
            Sale::Confirmed(_) => "confirmed",
            Sale::Refused(_) => "refused",
            Sale::Unresolved(_) => "unresolved",
            Sale::Cancelled => "cancelled",
        }
    }

    /// No event leads out of this state.
    pub fn is_settled(&self) -> bool {
        matches!(self, Sale::Confirmed(_) | Sale::Refused(_) | Sale::Cancelled)
    }

    pub fn reserve(self) -> Result<Sale, OutOfOrder> {
        match self {
            Sale::Quoted => Ok(Sale::Reserved),
            sale => Err(OutOfOrder { sale, event: "reserved" }),
        }
    }

    pub fn cancel(self) -> Result<Sale, OutOfOrder> {
        match self {
            Sale::Quoted | Sale::Reserved => Ok(Sale::Cancelled),
            sale => Err(OutOfOrder { sale, event: "cancelled" }),
        }
    }

    pub fn dispatch(self, purchase: Purchase) -> Result<Sale, OutOfOrder> {
        match self {
            Sale::Reserved => Ok(Sale::Dispatched(purchase)),
            sale => Err(OutOfOrder { sale, event: "dispatched" }),
        }
    }

    /// The answer to the one attempt just made. A refusal about the count settles nothing: an
    /// earlier copy may have landed.
    pub fn settle(self, delivery: Delivery) -> Result<Sale, OutOfOrder> {
        let Sale::Dispatched(asked) = self else {
            return Err(OutOfOrder { sale: self, event: "settled" });
        };
        Ok(match delivery {
            Delivery::NotSent(_) => Sale::Reserved,
            Delivery::Confirmed(receipt) if receipt.count == asked.count => {
                Sale::Confirmed(receipt)
            }
            Delivery::Refused(refusal) if !refusal.is_about_the_count() => Sale::Refused(refusal),
            Delivery::Confirmed(_) | Delivery::Refused(_) | Delivery::Unknown(_) => {
                Sale::Unresolved(asked)
            }
        })
    }

    /// The process died while this was dispatched: how the attempt ended is not known.
    pub fn interrupt(self) -> Result<Sale, OutOfOrder> {
        match self {
            Sale::Dispatched(asked) => Ok(Sale::Unresolved(asked)),
            sale => Err(OutOfOrder { sale, event: "interrupted" }),
        }
    }

    /// The device's own record is the only judge of an unresolved sale: count and amount, because
    /// another channel (a card, a rival system) may have used the same count.
    pub fn reconcile(self, on_device: &Evidence) -> Result<Sale, OutOfOrder> {
        let Sale::Unresolved(asked) = self else {
            return Err(OutOfOrder { sale: self, event: "reconciled" });
        };
        Ok(if on_device.purchase == Some(asked) {
            Sale::Confirmed(Receipt { count: asked.count, balance: on_device.balance })
        } else if asked.count.follows(on_device.count) {
            Sale::Reserved // Never arrived: the same count may be sent again.
        } else {
            Sale::Unresolved(asked) // Neither: an operator decides.
        })
    }

    /// No proof to be had: a person says what happened, and the audit trail says who and why.
    pub fn decide(self, decision: Decision) -> Result<Sale, OutOfOrder> {
        let Sale::Unresolved(asked) = self else {
            return Err(OutOfOrder { sale: self, event: "decided" });
        };
        Ok(match decision {
            Decision::Applied => Sale::Confirmed(Receipt { count: asked.count, balance: None }),
            Decision::NotApplied => Sale::Refused(Refusal {
                code: 1,
                detail: "an operator found that the device did not take it".to_owned(),
                device_code: None,
            }),
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

    fn receipt(count: u32) -> Receipt {
        Receipt { count: PurchaseCount::new(count), balance: None }
    }

    fn refusal(code: u16) -> Refusal {
        Refusal { code, detail: "no".to_owned(), device_code: None }
    }

    fn evidence(count: u32, found: Option<Purchase>) -> Evidence {
        Evidence { count: PurchaseCount::new(count), purchase: found, balance: None }
    }

    /// Every state, the purchase asked for being number 8 over 50.00.
    fn states() -> [Sale; 7] {
        [
            Sale::Quoted,
            Sale::Reserved,
            Sale::Dispatched(purchase(8, 5000)),
            Sale::Confirmed(receipt(8)),
            Sale::Refused(refusal(7)),
            Sale::Unresolved(purchase(8, 5000)),
            Sale::Cancelled,
        ]
    }

    type Event = fn(Sale) -> Result<Sale, OutOfOrder>;

    /// What `event` makes of each of the seven states, in the order of [`states`]; "-" is refused, and
    /// then the sale must come back unchanged.
    fn check(name: &str, event: Event, expected: [&str; 7]) {
        for (state, expected) in states().into_iter().zip(expected) {
            match event(state.clone()) {
                Ok(next) => assert_eq!(next.name(), expected, "{name} of a {} sale", state.name()),
                Err(error) => {
                    assert_eq!("-", expected, "{name} of a {} sale", state.name());
                    assert_eq!(error.sale, state);
                }
            }
        }
    }

    #[test]
    fn every_state_meets_every_event() {
        let dispatched_only = |end| ["-", "-", end, "-", "-", "-", "-"];
        let unresolved_only = |end| ["-", "-", "-", "-", "-", end, "-"];
        check("reserve", Sale::reserve, ["reserved", "-", "-", "-", "-", "-", "-"]);
        check("cancel", Sale::cancel, ["cancelled", "cancelled", "-", "-", "-", "-", "-"]);
        let dispatch: Event = |sale| sale.dispatch(purchase(8, 5000));
        check("dispatch", dispatch, ["-", "dispatched", "-", "-", "-", "-", "-"]);
        check("interrupt", Sale::interrupt, dispatched_only("unresolved"));

        let settle: [(&str, Event, &str); 8] = [
            ("not sent", |s| s.settle(Delivery::NotSent(String::new())), "reserved"),
            ("confirmed", |s| s.settle(Delivery::Confirmed(receipt(8))), "confirmed"),
            (
                "confirmed, count behind",
                |s| s.settle(Delivery::Confirmed(receipt(7))),
                "unresolved",
            ),
            ("confirmed, count ahead", |s| s.settle(Delivery::Confirmed(receipt(9))), "unresolved"),
            ("refused", |s| s.settle(Delivery::Refused(refusal(7))), "refused"),
            ("refused, taken before", |s| s.settle(Delivery::Refused(refusal(2))), "unresolved"),
            ("refused, other count", |s| s.settle(Delivery::Refused(refusal(6))), "unresolved"),
            ("unknown", |s| s.settle(Delivery::Unknown(String::new())), "unresolved"),
        ];
        for (name, event, end) in settle {
            check(name, event, dispatched_only(end));
        }

        let reconcile: [(&str, Event, &str); 7] = [
            ("found", |s| s.reconcile(&evidence(8, Some(purchase(8, 5000)))), "confirmed"),
            (
                "found, bought since",
                |s| s.reconcile(&evidence(9, Some(purchase(8, 5000)))),
                "confirmed",
            ),
            ("other amount", |s| s.reconcile(&evidence(8, Some(purchase(8, 100)))), "unresolved"),
            ("count without record", |s| s.reconcile(&evidence(8, None)), "unresolved"),
            ("never arrived", |s| s.reconcile(&evidence(7, Some(purchase(7, 5000)))), "reserved"),
            ("never arrived, no record", |s| s.reconcile(&evidence(7, None)), "reserved"),
            ("older count", |s| s.reconcile(&evidence(6, None)), "unresolved"),
        ];
        for (name, event, end) in reconcile {
            check(name, event, unresolved_only(end));
        }
        check("applied", |s| s.decide(Decision::Applied), unresolved_only("confirmed"));
        check("not applied", |s| s.decide(Decision::NotApplied), unresolved_only("refused"));
    }

    #[test]
    fn only_ends_are_settled() {
        let settled: Vec<_> = states().iter().filter(|s| s.is_settled()).map(Sale::name).collect();
        assert_eq!(settled, ["confirmed", "refused", "cancelled"]);
    }

    #[test]
    fn counts_do_not_wrap() {
        assert_eq!(PurchaseCount::new(u32::MAX).next(), None);
        assert!(!PurchaseCount::new(0).follows(PurchaseCount::new(u32::MAX)));
    }
}
