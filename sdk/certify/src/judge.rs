//! Whether what a driver said is true. Every rule compares its word with the simulator's.
//!
//! Invariant: `unknown` and a plain error are always true on a line that was disturbed, and never good
//! enough on one that was not.

use crate::act::{Act, Answer};
use crate::device::Truth;
use crate::settings::Settings;
use polymeter_domain::{
    ControlOutcome, Credit, Decimal, Delivery, Evidence, Quality, Quantity, Receipt, Snapshot,
    SupplyCommand, SupplyState, Value,
};
use polymeter_runtime::{Acted, CallError, SetOutcome};

/// OBIS code of what the purse holds, as codes::register::CREDIT_REMAINING of the SDK has it.
const CREDIT_REMAINING: &str = "0.0.19.10.0.255";
/// `driver-error.code`: this device cannot do that; `refusal.code`: no such function.
const UNSUPPORTED: u16 = 9;
const NO_SUCH_FUNCTION: u16 = 13;

/// One call that is over.
#[derive(Debug)]
pub struct Ended<'a> {
    pub act: &'a Act,
    pub address: &'a str,
    pub before: &'a Truth,
    pub after: &'a Truth,
    pub answer: &'a Answer,
    /// Frames that add credit and were lost before the device.
    pub credit_unheard: u64,
    /// Something was wrong with the line.
    pub disturbed: bool,
    pub quantity: Quantity,
    pub settings: &'a Settings,
}

/// Everything that is wrong, a sentence each.
pub fn complaints(ended: &Ended<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    let heard = ended.after.credit_frames.saturating_sub(ended.before.credit_frames);
    let frames = heard + ended.credit_unheard;
    let allowed = u64::from(ended.act.credits().is_some());
    if frames > allowed {
        wrong.push(format!("{frames} frames that add credit in one call, {allowed} allowed"));
    }
    wrong.extend(ended.answer.fault());
    wrong.extend(match ended.answer {
        Answer::Failed(error) => ended.failed(error),
        Answer::Identity(identity) => {
            differs("the address", &identity.address.as_str(), &ended.address)
        }
        Answer::Snapshot(snapshot) => ended.snapshot(snapshot),
        Answer::Evidence(evidence) => ended.evidence(evidence),
        Answer::Delivery(acted) => ended.delivery(&acted.outcome),
        Answer::Control(acted) => ended.control(&acted.outcome),
        Answer::Set(acted) => ended.set(&acted.outcome),
    });
    if !ended.act.changes() && (ended.money(ended.before) != ended.money(ended.after)) {
        wrong.push("a call that only asks has changed the purse".to_owned());
    }
    wrong
}

/// The driver says that its device cannot do this, and did nothing.
pub fn is_unsupported(answer: &Answer) -> bool {
    match answer {
        Answer::Failed(CallError::Driver { code, .. }) => *code == UNSUPPORTED,
        Answer::Failed(CallError::Unable { .. }) => true,
        Answer::Delivery(Acted { outcome: Delivery::NotSent(_), .. })
        | Answer::Control(Acted { outcome: ControlOutcome::NotSent(_), .. })
        | Answer::Set(Acted { outcome: SetOutcome::NotSent(_), .. }) => true,
        Answer::Delivery(Acted { outcome: Delivery::Refused(refusal), .. })
        | Answer::Control(Acted { outcome: ControlOutcome::Refused(refusal), .. })
        | Answer::Set(Acted { outcome: SetOutcome::Refused(refusal), .. }) => {
            refusal.code == NO_SUCH_FUNCTION
        }
        _ => false,
    }
}

impl Ended<'_> {
    fn failed(&self, error: &CallError) -> Vec<String> {
        let told = matches!(error, CallError::Driver { .. });
        if self.disturbed || !told { Vec::new() } else { vec![format!("on a good line: {error}")] }
    }

    fn not_done(&self, how: &str) -> Vec<String> {
        if self.disturbed { Vec::new() } else { vec![format!("on a good line: {how}")] }
    }

    fn money(&self, truth: &Truth) -> (u32, u64, Option<(u32, u64)>) {
        (truth.count, truth.balance, truth.last.map(|last| (last.count, last.amount)))
    }

    /// The device has done what was asked.
    fn applied(&self) -> bool {
        let after = self.after;
        match self.act {
            Act::Open { purchase, customer } | Act::Sell { purchase, customer } => {
                let amount = purchase.credit.amount;
                let count = purchase.count.get();
                let last = after.last.map_or((0, 0), |last| (last.count, last.amount));
                // A device that stores no customer tells none, however it is opened.
                let known = after.customer.as_ref().is_none_or(|known| same(known, customer));
                last == (count, amount) && after.count == count && known
            }
            Act::Refund { taken, .. } => {
                let (count, amount) = (taken.count.get(), taken.credit.amount);
                after.last.is_some_and(|last| (last.count, last.amount) == (count, amount))
                    && after.count == count
                    && self.before.balance.checked_sub(amount) == Some(after.balance)
            }
            Act::Clear => after.balance == 0 && after.customer.is_none(),
            Act::Set { values } => values.iter().all(|(name, value)| {
                let known = after.parameters.get(name).copied();
                known.is_some() && known == whole(value)
            }),
            Act::Control { .. } | Act::Probe | Act::Read | Act::Check { .. } => true,
        }
    }

    fn delivery(&self, delivery: &Delivery) -> Vec<String> {
        let changed = self.money(self.before) != self.money(self.after)
            || self.before.customer != self.after.customer;
        match delivery {
            Delivery::Confirmed(receipt) => {
                let mut wrong = self.receipt(receipt);
                if !self.applied() {
                    wrong.insert(0, "confirmed, and the device did not do it".to_owned());
                }
                wrong
            }
            Delivery::Refused(refusal) if changed => {
                vec![format!("refused ({}), and the device did it", refusal.detail)]
            }
            Delivery::NotSent(text) if changed => {
                vec![format!("not sent ({text}), and the device did it")]
            }
            Delivery::Refused(refusal) => self.not_done(&format!("refused: {}", refusal.detail)),
            Delivery::NotSent(text) => self.not_done(&format!("nothing was sent: {text}")),
            Delivery::Unknown(text) => self.not_done(&format!("unknown: {text}")),
        }
    }

    fn receipt(&self, receipt: &Receipt) -> Vec<String> {
        let mut wrong = differs("the receipt's count", &receipt.count.get(), &self.after.count);
        let truth = self.credit(self.after.balance);
        wrong.extend(
            receipt
                .balance
                .iter()
                .flat_map(|told| differs("the receipt's balance", &told.amount, &truth.amount)),
        );
        wrong
    }

    fn credit(&self, amount: u64) -> Credit {
        Credit { quantity: self.quantity, amount }
    }

    fn evidence(&self, evidence: &Evidence) -> Vec<String> {
        let mut wrong = differs("the count", &evidence.count.get(), &self.after.count);
        if let Some(balance) = evidence.balance {
            wrong.extend(differs("the balance", &balance, &self.credit(self.after.balance)));
        }
        let Act::Check { count } = self.act else { return wrong };
        let last = self.after.last.filter(|last| count.is_none_or(|count| count == last.count));
        match (evidence.purchase, last) {
            (Some(told), Some(last)) => {
                let told = (told.count.get(), told.credit);
                wrong.extend(differs(
                    "the purchase",
                    &told,
                    &(last.count, self.credit(last.amount)),
                ));
            }
            (None, Some(last)) => wrong.push(format!(
                "no evidence of purchase {} of {}, which the device has",
                last.count, last.amount
            )),
            (Some(told), None)
                if *count == Some(told.count.get()) && self.after.count < told.count.get() =>
            {
                wrong.push(format!(
                    "evidence of purchase {}, which the device never had",
                    told.count
                ));
            }
            // A device with a list may remember purchases that the simulator does not tell of.
            (Some(_) | None, None) => {}
        }
        wrong
    }

    fn snapshot(&self, snapshot: &Snapshot) -> Vec<String> {
        let mut wrong = Vec::new();
        for (register, reading) in &self.settings.readings {
            let truth = self.after.readings.as_ref().and_then(|readings| readings.get(register));
            let Some(truth) = truth.copied() else {
                wrong.push(format!("the simulator does not tell {register}"));
                continue;
            };
            let truth = (i128::from(truth), reading.scale);
            let told = snapshot.measurements.iter().find(|told| told.register.as_str() == register);
            match told {
                None => wrong.push(format!("{register} is not told")),
                Some(told) if told.quality != Quality::Measured => {
                    wrong.push(format!("{register} is told as {:?}", told.quality));
                }
                Some(told) if told.unit.0 != reading.unit => wrong.push(format!(
                    "{register} is told in unit {}, not {}",
                    told.unit.0, reading.unit
                )),
                Some(told) => match told.value {
                    Value::Number(number) if equal(number, truth) => {}
                    ref value => wrong.push(format!("{register} is {value:?}, in truth {truth:?}")),
                },
            }
        }
        wrong.extend(self.purse_register(snapshot));
        if snapshot.supply != SupplyState::Unknown {
            wrong.extend(differs("the supply", &snapshot.supply, &supply(self.after.supply)));
        }
        wrong
    }

    /// The purse in a reading, where it is told: yuan for a purse of fen.
    fn purse_register(&self, snapshot: &Snapshot) -> Option<String> {
        let told = snapshot.measurements.iter().find(|told| {
            told.register.as_str() == CREDIT_REMAINING && told.quality == Quality::Measured
        })?;
        let Value::Number(number) = told.value else {
            return Some(format!("{CREDIT_REMAINING} is no number"));
        };
        let scale = match (self.quantity, told.unit.0) {
            (Quantity::Money, _) => -2,
            (Quantity::Energy, 256) => -3,
            (Quantity::Energy, _) => 0,
            (Quantity::Volume, _) => -3,
        };
        let truth = (i128::from(self.after.balance), scale);
        (!equal(number, truth))
            .then(|| format!("{CREDIT_REMAINING} is {number}, in truth {truth:?}"))
    }

    fn control(&self, outcome: &ControlOutcome) -> Vec<String> {
        let Act::Control { command } = self.act else { return Vec::new() };
        let truth = supply(self.after.supply);
        let wanted = match command {
            SupplyCommand::Disconnect => Some(SupplyState::Disconnected),
            SupplyCommand::Connect => Some(SupplyState::Connected),
            _ => None,
        };
        match outcome {
            ControlOutcome::Confirmed(told) => {
                let mut wrong = differs("the supply", told, &truth);
                if wanted.is_some_and(|wanted| wanted != truth) {
                    wrong.push(format!("confirmed, and the supply is {truth:?}"));
                }
                wrong
            }
            ControlOutcome::Refused(refusal) if self.before.supply != self.after.supply => {
                vec![format!("refused ({}), and the supply is {truth:?} now", refusal.detail)]
            }
            ControlOutcome::NotSent(text) if self.before.supply != self.after.supply => {
                vec![format!("not sent ({text}), and the supply is {truth:?} now")]
            }
            ControlOutcome::Refused(refusal) => {
                self.not_done(&format!("refused: {}", refusal.detail))
            }
            ControlOutcome::NotSent(text) => self.not_done(&format!("nothing was sent: {text}")),
            ControlOutcome::Unknown(text) => self.not_done(&format!("unknown: {text}")),
        }
    }

    fn set(&self, outcome: &SetOutcome) -> Vec<String> {
        let changed = self.before.parameters != self.after.parameters;
        match outcome {
            SetOutcome::Confirmed if !self.applied() => {
                vec![format!("confirmed, and the device has {:?}", self.after.parameters)]
            }
            SetOutcome::Confirmed => Vec::new(),
            SetOutcome::Refused(refusal) if changed => {
                vec![format!("refused ({}), and the device took some", refusal.detail)]
            }
            SetOutcome::NotSent(text) if changed => {
                vec![format!("not sent ({text}), and the device took some")]
            }
            SetOutcome::Refused(refusal) => self.not_done(&format!("refused: {}", refusal.detail)),
            SetOutcome::NotSent(text) => self.not_done(&format!("nothing was sent: {text}")),
            SetOutcome::Unknown(text) => self.not_done(&format!("unknown: {text}")),
        }
    }
}

fn differs<T: PartialEq + std::fmt::Debug>(what: &str, told: &T, truth: &T) -> Vec<String> {
    if told == truth {
        Vec::new()
    } else {
        vec![format!("{what} is told as {told:?}, in truth {truth:?}")]
    }
}

/// Customer numbers, with or without zeros in front.
fn same(one: &str, other: &str) -> bool {
    one.trim_start_matches('0') == other.trim_start_matches('0')
}

fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Number(Decimal { mantissa, scale: 0 }) => Some(*mantissa),
        _ => None,
    }
}

/// Whether two decimals are the same number.
fn equal(told: Decimal, (mantissa, scale): (i128, i8)) -> bool {
    let apart = i16::from(told.scale) - i16::from(scale);
    let Some(factor) = 10_i128.checked_pow(u32::from(apart.unsigned_abs())) else { return false };
    let told = i128::from(told.mantissa);
    if apart >= 0 {
        told.checked_mul(factor) == Some(mantissa)
    } else {
        mantissa.checked_mul(factor) == Some(told)
    }
}

fn supply(code: u16) -> SupplyState {
    match code {
        1 => SupplyState::Disconnected,
        2 => SupplyState::Connected,
        3 => SupplyState::ReadyForReconnection,
        _ => SupplyState::Unknown,
    }
}
