//! Reading the books: what every account has moved, and what was booked under one reference.
//! Invariant: one statement each, so the answer is of one moment. Not here: judging (verify).

use crate::book::{canonical_uuid, row_from};
use crate::chain::TransferKind;
use crate::connection::Reader;
use crate::error::LedgerError;
use polymeter_domain::{AccountId, Currency, Money, TransferId};
use sqlx::any::AnyRow;
use sqlx::{AnyExecutor, Row as _};
use uuid::Uuid;

/// The four sums of one account, each positive. Pending counts only what is neither posted nor
/// voided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balance {
    pub account_id: AccountId,
    pub name: String,
    pub debits_pending: Money,
    pub credits_pending: Money,
    pub debits_posted: Money,
    pub credits_posted: Money,
}

/// One transfer with its accounts' names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub transfer_id: TransferId,
    pub kind: TransferKind,
    pub debit: String,
    pub credit: String,
    pub amount: Money,
    /// Milliseconds since 1970 UTC.
    pub at_ms: i64,
}

/// Each sum is taken in two halves of 32 bits, which cannot overflow 64 bits for fewer than 2^31
/// rows of any amount; they are put together, and the overflow is found, in Rust.
const TRIAL_BALANCE: &str = "
    with counted as (
        select debit_account_id, credit_account_id, amount_minor,
               case kind when 'post' then 1 else 0 end as posted
        from transfer
        where kind = 'post'
           or kind = 'pending' and not exists (
                select 1 from transfer as later where later.pending_id = transfer.transfer_id)
    ), moved as (
        select debit_account_id as account_id, 0 as credit, posted, amount_minor from counted
        union all
        select credit_account_id, 1, posted, amount_minor from counted
    ), halves as (
        select account_id, credit, posted,
               cast(sum(amount_minor >> 32) as bigint) as high,
               cast(sum(amount_minor & 4294967295) as bigint) as low
        from moved group by account_id, credit, posted
    )
    select account.account_id, account.name, account.currency,
        coalesce(max(case when credit = 0 and posted = 0 then high end), 0) as debits_pending_high,
        coalesce(max(case when credit = 0 and posted = 0 then low end), 0) as debits_pending_low,
        coalesce(max(case when credit = 1 and posted = 0 then high end), 0) as credits_pending_high,
        coalesce(max(case when credit = 1 and posted = 0 then low end), 0) as credits_pending_low,
        coalesce(max(case when credit = 0 and posted = 1 then high end), 0) as debits_posted_high,
        coalesce(max(case when credit = 0 and posted = 1 then low end), 0) as debits_posted_low,
        coalesce(max(case when credit = 1 and posted = 1 then high end), 0) as credits_posted_high,
        coalesce(max(case when credit = 1 and posted = 1 then low end), 0) as credits_posted_low
    from account left join halves on halves.account_id = account.account_id
    group by account.account_id
    order by account.name";

pub(crate) async fn trial_balance(
    executor: impl AnyExecutor<'_>,
) -> Result<Vec<Balance>, LedgerError> {
    let rows = sqlx::query(TRIAL_BALANCE)
        .fetch_all(executor)
        .await
        .map_err(LedgerError::storage("summing the accounts"))?;
    rows.iter().map(balance_from).collect()
}

fn balance_from(stored: &AnyRow) -> Result<Balance, LedgerError> {
    let unreadable = || LedgerError::storage("reading the sums of an account");
    let name: String = stored.try_get("name").map_err(unreadable())?;
    let account_id = stored.try_get("account_id").and_then(canonical_uuid).map_err(unreadable())?;
    let code: &str = stored.try_get("currency").map_err(unreadable())?;
    let currency = Currency::from_code(code).ok_or_else(|| LedgerError::Broken {
        row: format!("account {name}"),
        why: format!("`{}` is not a currency of this program", code.escape_debug()),
    })?;
    let sum = |high: &str, low: &str| -> Result<Money, LedgerError> {
        let high: i64 = stored.try_get(high).map_err(unreadable())?;
        let low: i64 = stored.try_get(low).map_err(unreadable())?;
        let minor = i64::try_from((i128::from(high) << 32) + i128::from(low))
            .map_err(|_| LedgerError::Overflow { account: name.clone() })?;
        Ok(Money::new(minor, currency))
    };
    Ok(Balance {
        account_id: AccountId::new(account_id),
        debits_pending: sum("debits_pending_high", "debits_pending_low")?,
        credits_pending: sum("credits_pending_high", "credits_pending_low")?,
        debits_posted: sum("debits_posted_high", "debits_posted_low")?,
        credits_posted: sum("credits_posted_high", "credits_posted_low")?,
        name,
    })
}

pub(crate) async fn entries(reader: &Reader, reference: Uuid) -> Result<Vec<Entry>, LedgerError> {
    let unreadable = || LedgerError::storage("reading the transfers of a reference");
    let rows = sqlx::query(
        "select transfer.*, debit.name as debit_name, credit.name as credit_name
         from transfer
         join account as debit on debit.account_id = transfer.debit_account_id
         join account as credit on credit.account_id = transfer.credit_account_id
         where transfer.reference = $1
         order by transfer.sequence",
    )
    .bind(reference.to_string())
    .fetch_all(reader)
    .await
    .map_err(unreadable())?;
    rows.iter()
        .map(|stored| {
            let row = row_from(stored)?;
            Ok(Entry {
                transfer_id: row.transfer_id,
                kind: row.kind,
                debit: stored.try_get("debit_name")?,
                credit: stored.try_get("credit_name")?,
                amount: row.amount,
                at_ms: row.at_ms,
            })
        })
        .collect::<Result<_, sqlx::Error>>()
        .map_err(unreadable())
}
