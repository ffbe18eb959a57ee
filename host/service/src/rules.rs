//! What the site's configuration decides about selling: handed in at the start, the same until the
//! end. Not here: what a tariff says, and who may do what (operators' rights).

use crate::counter_act::ActKind;
use polymeter_domain::{CardPurpose, Money};

/// Everything has a default that asks for nothing, so that a small site writes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Cash is taken and given by an operator with an open shift only.
    pub cash_needs_shift: bool,
    /// The most money that a meter may hold after a sale, where it has no limit of its own.
    pub max_credit: Option<Money>,
    /// Percent of every payment that goes into what the customer owes.
    pub arrears_share_percent: u32,
    /// The most that one sale may give free; `None`: nothing.
    pub gift_max: Option<Money>,
    pub approval: ApprovalRules,
}

/// Above which amount an act takes a second person; `None`: never.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalRules {
    /// Of a refund, also of a deposit or out of a purse.
    pub refund: Option<Money>,
    pub reversal: Option<Money>,
    pub write_off: Option<Money>,
    /// Of what a closing pays out, and of what a free meter holds that is cleared. Where it is set, cards
    /// that take money away or change keys take two people too.
    pub clear: Option<Money>,
    /// Of the seconds by which a clock is moved with authority.
    pub clock_s: Option<u32>,
    /// What waits longer comes to nothing.
    pub expires_ms: i64,
}

/// A working day and the night after it.
const EXPIRES_MS: i64 = 24 * 3_600_000;

impl Default for ApprovalRules {
    fn default() -> Self {
        let (refund, reversal, write_off, clear, clock_s) = (None, None, None, None, None);
        ApprovalRules { refund, reversal, write_off, clear, clock_s, expires_ms: EXPIRES_MS }
    }
}

impl ApprovalRules {
    pub(crate) fn is_needed(&self, kind: ActKind, amount: Money) -> bool {
        let limit = match kind {
            ActKind::Refund | ActKind::DepositRefund => self.refund,
            ActKind::Reversal => self.reversal,
            ActKind::WriteOff => self.write_off,
            ActKind::Deposit | ActKind::Arrears | ActKind::ArrearsPayment => None,
        };
        is_above(limit, amount)
    }

    /// Of what a closing pays out and writes off.
    pub(crate) fn is_needed_to_close(&self, paid_out: Money, written_off: Money) -> bool {
        is_above(self.clear, paid_out) || is_above(self.write_off, written_off)
    }

    /// Of what a free meter holds. `None`: it does not say it in money, which is above any limit.
    pub(crate) fn is_needed_to_clear(&self, held: Option<Money>) -> bool {
        held.map_or(self.clear.is_some(), |held| is_above(self.clear, held))
    }

    /// `None`: the clock showed no time, and how far it moves is above any limit.
    pub(crate) fn is_needed_to_set_a_clock(&self, drift_s: Option<i64>) -> bool {
        let is_above = |limit| drift_s.is_none_or(|off| off.unsigned_abs() > u64::from(limit));
        self.clock_s.is_some_and(is_above)
    }

    /// Of a card that empties devices, ends their trial or changes their keys: whoever has it can do so
    /// to any of them.
    pub(crate) fn is_needed_for_a_card(&self, purpose: CardPurpose) -> bool {
        let is_risky =
            matches!(purpose, CardPurpose::Clear | CardPurpose::Reset | CardPurpose::KeyChange);
        is_risky && self.clear.is_some()
    }

    /// Of money given back out of a purse.
    pub(crate) fn is_needed_to_give_back(&self, amount: Money) -> bool {
        is_above(self.refund, amount)
    }
}

fn is_above(limit: Option<Money>, amount: Money) -> bool {
    limit.is_some_and(|limit| amount.minor() > limit.minor())
}
