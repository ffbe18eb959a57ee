//! The trial balance (试算平衡): every account's sums, and the proof that both sides are equal.

use crate::Service;
use crate::error::Result;
use polymeter_domain::Money;

/// Per account: pending and posted, both sides. `difference` is zero or the ledger is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrialBalance {
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
    pub async fn trial_balance(&self) -> Result<TrialBalance> {
        let lines: Vec<TrialLine> = self
            .database()
            .trial_balance()
            .await?
            .into_iter()
            .map(|balance| TrialLine {
                account: balance.name,
                debits_pending: balance.debits_pending,
                credits_pending: balance.credits_pending,
                debits_posted: balance.debits_posted,
                credits_posted: balance.credits_posted,
            })
            .collect();
        let difference = Money::new(difference(&lines), self.inner.currency);
        Ok(TrialBalance { lines, difference })
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
