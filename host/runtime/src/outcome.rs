//! How an act that changes a device ended.
//!
//! Invariant: the host's own observation outranks the driver's word. No byte left: nothing
//! happened, whatever the driver claims. A byte left and no clear answer came: nobody knows.

use crate::error::CallError;
use polymeter_domain::{ControlOutcome, Delivery, Receipt, Refusal, SupplyState};

/// How a parameter write ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetOutcome {
    NotSent(String),
    Confirmed,
    Refused(Refusal),
    Unknown(String),
}

/// What the driver says, `T` being its proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Claim<T> {
    Confirmed(T),
    Refused(Refusal),
    Unknown(String),
}

/// A call that is over, and whether a byte may have left the host during it.
#[derive(Debug)]
pub(crate) struct Ended<T> {
    pub(crate) answer: Result<T, CallError>,
    pub(crate) sent: bool,
}

/// What the host makes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict<T> {
    NotSent(String),
    Confirmed(T),
    Refused(Refusal),
    Unknown(String),
}

impl<T> Ended<Claim<T>> {
    pub(crate) fn judge(self, driver: &str) -> Verdict<T> {
        match (self.sent, self.answer) {
            (false, Ok(Claim::Confirmed(_))) => {
                Verdict::NotSent(format!("{driver} claims success, but no byte left the host"))
            }
            (false, Ok(Claim::Refused(refusal))) => Verdict::NotSent(format!(
                "{driver} reports a refusal, but no byte left the host: {}",
                refusal.detail
            )),
            (false, Ok(Claim::Unknown(detail))) => Verdict::NotSent(detail),
            (false, Err(error)) => Verdict::NotSent(error.to_string()),
            (true, Ok(Claim::Confirmed(proof))) => Verdict::Confirmed(proof),
            (true, Ok(Claim::Refused(refusal))) => Verdict::Refused(refusal),
            (true, Ok(Claim::Unknown(detail))) => Verdict::Unknown(detail),
            (true, Err(error)) => Verdict::Unknown(error.to_string()),
        }
    }
}

impl From<Verdict<Receipt>> for Delivery {
    fn from(verdict: Verdict<Receipt>) -> Self {
        match verdict {
            Verdict::NotSent(reason) => Delivery::NotSent(reason),
            Verdict::Confirmed(receipt) => Delivery::Confirmed(receipt),
            Verdict::Refused(refusal) => Delivery::Refused(refusal),
            Verdict::Unknown(detail) => Delivery::Unknown(detail),
        }
    }
}

impl From<Verdict<SupplyState>> for ControlOutcome {
    fn from(verdict: Verdict<SupplyState>) -> Self {
        match verdict {
            Verdict::NotSent(reason) => ControlOutcome::NotSent(reason),
            Verdict::Confirmed(state) => ControlOutcome::Confirmed(state),
            Verdict::Refused(refusal) => ControlOutcome::Refused(refusal),
            Verdict::Unknown(detail) => ControlOutcome::Unknown(detail),
        }
    }
}

impl From<Verdict<()>> for SetOutcome {
    fn from(verdict: Verdict<()>) -> Self {
        match verdict {
            Verdict::NotSent(reason) => SetOutcome::NotSent(reason),
            Verdict::Confirmed(()) => SetOutcome::Confirmed,
            Verdict::Refused(refusal) => SetOutcome::Refused(refusal),
            Verdict::Unknown(detail) => SetOutcome::Unknown(detail),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ending_by_every_answer() {
        let refusal = Refusal { code: 3, detail: "wrong MAC".to_owned(), device_code: None };
        let trap = CallError::Trap { driver: "d".to_owned(), detail: "unreachable".to_owned() };
        let unknown = || Claim::Unknown("no reply".to_owned());
        let not_sent = |reason: &str| Verdict::NotSent(reason.to_owned());
        for (sent, answer, verdict) in [
            (true, Ok(Claim::Confirmed(7)), Verdict::Confirmed(7)),
            (true, Ok(Claim::Refused(refusal.clone())), Verdict::Refused(refusal.clone())),
            (true, Ok(unknown()), Verdict::Unknown("no reply".to_owned())),
            (true, Err(trap.clone()), Verdict::Unknown("d trapped: unreachable".to_owned())),
            (
                false,
                Ok(Claim::Confirmed(7)),
                not_sent("d claims success, but no byte left the host"),
            ),
            (
                false,
                Ok(Claim::Refused(refusal)),
                not_sent("d reports a refusal, but no byte left the host: wrong MAC"),
            ),
            (false, Ok(unknown()), not_sent("no reply")),
            (false, Err(trap), not_sent("d trapped: unreachable")),
        ] {
            assert_eq!(Ended { answer, sent }.judge("d"), verdict);
        }
    }
}
