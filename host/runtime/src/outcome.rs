//! How an act that changes a device ended.
//!
//! Invariant: the host's own observation outranks the driver's word. No byte left: nothing
//! happened, whatever the driver claims. A byte left and no clear answer came: nobody knows.

use crate::error::CallError;
use polymeter_domain::{ControlOutcome, Delivery, LocalTime, Receipt, Refusal, SupplyState};

/// How a parameter write ended, or the entry of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetOutcome {
    NotSent(String),
    Confirmed,
    Refused(Refusal),
    Unknown(String),
}

/// How the setting of a clock ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClockOutcome {
    NotSent(String),
    /// What the clock showed when it was read back, right or wrong.
    Shows(LocalTime),
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

/// An act that may have changed a device: its ending, and apart from that what the driver itself did
/// wrong. A device that says no and a line that stays silent are nobody's fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acted<T> {
    pub outcome: T,
    pub fault: Option<String>,
}

impl<T> Acted<T> {
    pub(crate) fn unable(outcome: T) -> Self {
        Self { outcome, fault: None }
    }
}

impl<T> Ended<Claim<T>> {
    /// As the host judges it; `heard` as in [`Ended::if_heard`].
    pub(crate) fn acted<O: From<Verdict<T>>>(self, heard: bool, driver: &str) -> Acted<O> {
        let fault = self.fault(heard, driver);
        Acted { outcome: self.if_heard(heard, driver).judge(driver).into(), fault }
    }

    fn fault(&self, heard: bool, driver: &str) -> Option<String> {
        match &self.answer {
            Err(error) => error.is_fault().then(|| error.to_string()),
            Ok(Claim::Confirmed(_)) if !(self.sent && heard) => {
                Some(format!("{driver} claims success that no device can have told it"))
            }
            Ok(Claim::Refused(_)) if self.sent && !heard => {
                Some(format!("{driver} reports a refusal that no device can have told it"))
            }
            Ok(Claim::Confirmed(_) | Claim::Refused(_) | Claim::Unknown(_)) => None,
        }
    }

    /// `heard`: the driver was handed at least one byte from the line. Where it was not, the device's
    /// yes or no is the driver's invention: a purchase left, and nobody knows what became of it.
    fn if_heard(self, heard: bool, driver: &str) -> Self {
        let answer = match self.answer {
            Ok(Claim::Confirmed(_)) if self.sent && !heard => Ok(Claim::Unknown(format!(
                "{driver} claims success, but nothing came back on the line"
            ))),
            Ok(Claim::Refused(refusal)) if self.sent && !heard => Ok(Claim::Unknown(format!(
                "{driver} reports a refusal, but nothing came back on the line: {}",
                refusal.detail
            ))),
            answer => answer,
        };
        Self { answer, sent: self.sent }
    }

    fn judge(self, driver: &str) -> Verdict<T> {
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

impl From<Verdict<LocalTime>> for ClockOutcome {
    fn from(verdict: Verdict<LocalTime>) -> Self {
        match verdict {
            Verdict::NotSent(reason) => ClockOutcome::NotSent(reason),
            Verdict::Confirmed(shown) => ClockOutcome::Shows(shown),
            Verdict::Refused(refusal) => ClockOutcome::Refused(refusal),
            Verdict::Unknown(detail) => ClockOutcome::Unknown(detail),
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
    fn an_answer_that_nobody_heard_is_unknown() {
        let refusal = Refusal { code: 3, detail: "wrong MAC".to_owned(), device_code: None };
        for (answer, sent, heard, verdict) in [
            (Claim::Confirmed(7), true, true, Verdict::Confirmed(7)),
            (
                Claim::Confirmed(7),
                true,
                false,
                Verdict::Unknown("d claims success, but nothing came back on the line".to_owned()),
            ),
            (
                Claim::Refused(refusal),
                true,
                false,
                Verdict::Unknown(
                    "d reports a refusal, but nothing came back on the line: wrong MAC".to_owned(),
                ),
            ),
            (
                Claim::Confirmed(7),
                false,
                false,
                Verdict::NotSent("d claims success, but no byte left the host".to_owned()),
            ),
        ] {
            let ended = Ended { answer: Ok(answer), sent }.if_heard(heard, "d");
            assert_eq!(ended.judge("d"), verdict);
        }
    }

    #[test]
    fn only_what_the_driver_did_is_its_fault() {
        let d = || "d".to_owned();
        let refusal = Refusal { code: 3, detail: "wrong MAC".to_owned(), device_code: None };
        let silent = CallError::Driver {
            driver: d(),
            code: 1,
            detail: "no reply".to_owned(),
            device_code: None,
        };
        let quarantined =
            CallError::Quarantined { driver: d(), reason: "3 traps".to_owned(), more_seconds: 9 };
        for (answer, sent, heard, is_fault) in [
            (Ok(Claim::Confirmed(7)), true, true, false),
            (Ok(Claim::Confirmed(7)), true, false, true),
            (Ok(Claim::Confirmed(7)), false, false, true),
            (Ok(Claim::Refused(refusal.clone())), true, true, false),
            (Ok(Claim::Refused(refusal.clone())), true, false, true),
            // Declined before a byte left: nobody was asked, and nothing is invented.
            (Ok(Claim::Refused(refusal)), false, false, false),
            (Ok(Claim::Unknown("no reply".to_owned())), true, false, false),
            (Err(silent.clone()), true, false, false),
            (Err(silent), false, false, false),
            (Err(CallError::Unable { driver: d(), ability: "sell" }), false, false, false),
            (Err(CallError::Trap { driver: d(), detail: d() }), true, true, true),
            (Err(CallError::BadResult { driver: d(), what: d() }), true, true, true),
            (Err(quarantined), false, false, true),
        ] {
            let ended = Ended { answer, sent };
            assert_eq!(ended.fault(heard, "d").is_some(), is_fault, "{ended:?} {heard}");
        }
    }

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
