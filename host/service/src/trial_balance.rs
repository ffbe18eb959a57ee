//! The trial balance (试算平衡): every account's sums at a moment of the books, and the proof that both
//! sides are equal.

use crate::Service;
use crate::clock::UnixMs;
use crate::error::Result;
use polymeter_domain::{Currency, Money};
use polymeter_ledger::{Balances, Moment};

/// Per account: pending and posted, both sides. `difference` is zero or the ledger is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrialBalance {
    /// The last transfer that is in it; 0 where there is none.
    pub sequence: i64,
    /// When that one was booked.
    pub booked_at: Option<UnixMs>,
    pub lines: Vec<TrialLine>,
    pub difference: Money,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrialLine {
    pub account: String,
    pub debits_pending: Money,
    pub credits_pending: Money,
    pub debits_posted: Money,
    pub credits_posted: Money,
}

impl Service {
    /// As the books stand now.
    pub async fn trial_balance(&self) -> Result<TrialBalance> {
        self.trial_balance_at(Moment::Now).await
    }

    /// As the books stood at a moment.
    pub async fn trial_balance_at(&self, moment: Moment) -> Result<TrialBalance> {
        let balances = self.database().balances(moment).await?;
        Ok(TrialBalance::of(balances, self.inner.currency))
    }
}

impl TrialBalance {
    pub fn of(balances: Balances, currency: Currency) -> TrialBalance {
        let Balances { sequence, at_ms, balances } = balances;
        let lines: Vec<TrialLine> = balances
            .into_iter()
            .map(|balance| TrialLine {
                account: balance.name,
                debits_pending: balance.debits_pending,
                credits_pending: balance.credits_pending,
                debits_posted: balance.debits_posted,
                credits_posted: balance.credits_posted,
            })
            .collect();
        let difference = Money::new(difference(&lines), currency);
        TrialBalance { sequence, booked_at: at_ms.map(UnixMs), lines, difference }
    }
}

/// Pending and posted differences are added as magnitudes, so that an error in the one never hides
/// an opposite error in the other.
fn difference(lines: &[TrialLine]) -> i64 {
    let sum = |side: fn(&TrialLine) -> Money| -> i128 {
        lines.iter().map(|line| i128::from(side(line).minor())).sum()
    };
    let pending = sum(|line| line.debits_pending) - sum(|line| line.credits_pending);
    let posted = sum(|line| line.debits_posted) - sum(|line| line.credits_posted);
    i64::try_from(pending.abs() + posted.abs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use polymeter_domain::Currency;

    #[test]
    fn opposite_errors_do_not_cancel() {
        let line = |sums: [i64; 4]| {
            let [debits_pending, credits_pending, debits_posted, credits_posted] =
                sums.map(|minor| Money::new(minor, Currency::CNY));
            let account = String::new();
            TrialLine { account, debits_pending, credits_pending, debits_posted, credits_posted }
        };
        assert_eq!(difference(&[line([5, 0, 7, 0]), line([0, 5, 0, 7])]), 0);
        assert_eq!(difference(&[line([5, 0, 0, 5])]), 10);
        assert_eq!(difference(&[line([i64::MAX, 0, i64::MAX, 0])]), i64::MAX);
    }
}
