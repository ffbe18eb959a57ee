//! What one account has moved, as a job sees it: asked before money is taken from an account that must
//! not go below nothing. One statement, so the answer is of one moment. Not here: all accounts (balance).

use crate::book::account_id;
use crate::error::LedgerError;
use polymeter_domain::{Currency, Money};
use sqlx::{AnyExecutor, Row as _};

/// One account's sums. An account that was never moved stands at nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub debits: Money,
    pub credits: Money,
    /// Reservations that are neither posted nor voided.
    pub pending: i64,
}

impl Standing {
    /// Credits less debits; below zero where more was taken than given.
    pub fn credit_balance(&self) -> Money {
        // Both are sums of positive amounts, so their difference cannot leave the range.
        Money::new(self.credits.minor() - self.debits.minor(), self.credits.currency())
    }
}

/// Each sum is taken in two halves of 32 bits, as in the trial balance.
const STANDING: &str = "
    with moved as (
        select 0 as credit, kind, amount_minor, transfer_id from transfer
        where debit_account_id = $1
        union all
        select 1, kind, amount_minor, transfer_id from transfer where credit_account_id = $1
    )
    select credit,
        cast(coalesce(sum(case when kind not in ('pending', 'void')
                          then amount_minor >> 32 else 0 end), 0) as bigint) as high,
        cast(coalesce(sum(case when kind not in ('pending', 'void')
                          then amount_minor & 4294967295 else 0 end), 0) as bigint) as low,
        cast(coalesce(sum(case when kind = 'pending' and not exists (
            select 1 from transfer as later where later.pending_id = moved.transfer_id)
                          then 1 else 0 end), 0) as bigint) as waiting
    from moved group by credit";

pub async fn standing(
    executor: impl AnyExecutor<'_>,
    name: &str,
    currency: Currency,
) -> Result<Standing, LedgerError> {
    let unreadable = || LedgerError::storage("summing an account");
    let rows = sqlx::query(STANDING)
        .bind(account_id(name, currency.code()).to_string())
        .fetch_all(executor)
        .await
        .map_err(unreadable())?;
    let nothing = Money::new(0, currency);
    let mut standing = Standing { debits: nothing, credits: nothing, pending: 0 };
    for row in rows {
        let number = |column: &str| -> Result<i64, LedgerError> {
            row.try_get(column).map_err(unreadable())
        };
        let sum = (i128::from(number("high")?) << 32) + i128::from(number("low")?);
        let sum =
            i64::try_from(sum).map_err(|_| LedgerError::Overflow { account: name.to_owned() })?;
        let side =
            if number("credit")? == 1 { &mut standing.credits } else { &mut standing.debits };
        *side = Money::new(sum, currency);
        standing.pending += number("waiting")?;
    }
    Ok(standing)
}
