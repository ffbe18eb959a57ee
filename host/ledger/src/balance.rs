//! Reading the books: what every account had moved by a moment, and what was booked under one reference.
//! Invariant: rows are never changed, so a sum up to a sequence is the same whenever it is taken. Not
//! here: judging (verify).

use crate::chain::TransferKind;
use crate::connection::Reader;
use crate::error::LedgerError;
use crate::table::{canonical_uuid, row_from};
use polymeter_domain::{AccountId, Currency, Money, TransferId};
use sqlx::any::AnyRow;
use sqlx::{AnyExecutor, Row as _};
use uuid::Uuid;

/// A moment of the books. Their order is the order of booking, so a moment is a place in it: everything
/// up to a sequence. A time stands for the last sequence that was booked at or before it; where a clock
/// was set back, rows before that one may bear a later time, and they count too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    Sequence(i64),
    /// Milliseconds since 1970 UTC.
    Time(i64),
    /// The last sequence.
    Now,
}

/// All accounts at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balances {
    /// The last row that is in them; 0 where there is none.
    pub sequence: i64,
    /// When that row was booked.
    pub at_ms: Option<i64>,
    /// By name. Of a past moment only those that had moved by then.
    pub balances: Vec<Balance>,
}

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

/// What moved on each account, by side and kind, after $1 and up to $2. A post or void repeats accounts
/// and amount of its pending row, so that what is still pending is a difference of sums.
///
/// Each sum is taken in two halves of 32 bits, which cannot overflow 64 bits for fewer than 2^31
/// rows of any amount; they are put together, and an overflow is found, in Rust.
const MOVED: &str = "
    with moved as (
        select debit_account_id as account_id, 0 as credit, kind, amount_minor
        from transfer where sequence > $1 and sequence <= $2
        union all
        select credit_account_id, 1, kind, amount_minor
        from transfer where sequence > $1 and sequence <= $2
    ), halves as (
        select account_id, credit, kind,
               cast(sum(amount_minor >> 32) as bigint) as high,
               cast(sum(amount_minor & 4294967295) as bigint) as low
        from moved group by account_id, credit, kind
    )
    select account.account_id, account.name, account.currency,
           halves.credit, halves.kind, halves.high, halves.low
    from account left join halves on halves.account_id = account.account_id
    order by account.name, account.account_id";

/// Of one account: minor units per side, debit first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) pending: [i128; 2],
    pub(crate) posted: [i128; 2],
}

impl Sums {
    pub(crate) fn plus(self, more: Sums) -> Sums {
        let add = |[a, b]: [i128; 2], [c, d]: [i128; 2]| [a + c, b + d];
        Sums { pending: add(self.pending, more.pending), posted: add(self.posted, more.posted) }
    }

    pub(crate) fn add(&mut self, side: usize, kind: TransferKind, minor: i128) {
        let (Some(pending), Some(posted)) = (self.pending.get_mut(side), self.posted.get_mut(side))
        else {
            return;
        };
        match kind {
            TransferKind::Pending => *pending += minor,
            TransferKind::Post => {
                *pending -= minor;
                *posted += minor;
            }
            TransferKind::Void => *pending -= minor,
            TransferKind::Book | TransferKind::Contra => *posted += minor,
        }
    }
}

/// An account as stored, and what it moved in a span.
pub(crate) struct Moved {
    pub(crate) account_id: AccountId,
    pub(crate) name: String,
    pub(crate) currency: Currency,
    /// `None`: nothing.
    pub(crate) sums: Option<Sums>,
}

impl Moved {
    pub(crate) fn balance(self) -> Result<Balance, LedgerError> {
        let Moved { account_id, name, currency, sums } = self;
        let Sums { pending, posted } = sums.unwrap_or_default();
        let money = |minor: i128| match i64::try_from(minor) {
            Ok(minor) => Ok(Money::new(minor, currency)),
            Err(_) => Err(LedgerError::Overflow { account: name.clone() }),
        };
        let [debits_pending, credits_pending] = pending;
        let [debits_posted, credits_posted] = posted;
        Ok(Balance {
            account_id,
            debits_pending: money(debits_pending)?,
            credits_pending: money(credits_pending)?,
            debits_posted: money(debits_posted)?,
            credits_posted: money(credits_posted)?,
            name,
        })
    }
}

/// What every account moved after `after` and up to `upto`, by name.
pub(crate) async fn moved(
    executor: impl AnyExecutor<'_>,
    after: i64,
    upto: i64,
) -> Result<Vec<Moved>, LedgerError> {
    let rows = sqlx::query(MOVED)
        .bind(after)
        .bind(upto)
        .fetch_all(executor)
        .await
        .map_err(LedgerError::storage("summing the accounts"))?;
    let mut accounts: Vec<Moved> = Vec::new();
    for stored in &rows {
        let account = account_from(stored)?;
        if accounts.last().is_none_or(|last| last.account_id != account.account_id) {
            accounts.push(account);
        }
        let Some((side, kind, minor)) =
            sum_from(stored).map_err(LedgerError::storage("reading the sums of an account"))?
        else {
            continue;
        };
        if let Some(account) = accounts.last_mut() {
            account.sums.get_or_insert_default().add(side, kind, minor);
        }
    }
    Ok(accounts)
}

fn account_from(stored: &AnyRow) -> Result<Moved, LedgerError> {
    let unreadable = || LedgerError::storage("reading the sums of an account");
    let name: String = stored.try_get("name").map_err(unreadable())?;
    let account_id = stored.try_get("account_id").and_then(canonical_uuid).map_err(unreadable())?;
    let code: &str = stored.try_get("currency").map_err(unreadable())?;
    let currency = Currency::from_code(code).ok_or_else(|| LedgerError::Broken {
        row: format!("account {name}"),
        why: format!("`{}` is not a currency of this program", code.escape_debug()),
    })?;
    Ok(Moved { account_id: AccountId::new(account_id), name, currency, sums: None })
}

fn sum_from(stored: &AnyRow) -> Result<Option<(usize, TransferKind, i128)>, sqlx::Error> {
    let kind: Option<&str> = stored.try_get("kind")?;
    let Some(kind) = kind else { return Ok(None) };
    let Some(kind) = TransferKind::from_name(kind) else {
        let why = format!("`{}` is no kind of a transfer", kind.escape_debug());
        return Err(sqlx::Error::Decode(why.into()));
    };
    let credit: i64 = stored.try_get("credit")?;
    let (high, low): (i64, i64) = (stored.try_get("high")?, stored.try_get("low")?);
    let minor = (i128::from(high) << 32) + i128::from(low);
    Ok(Some((usize::from(credit == 1), kind, minor)))
}

/// The row that is the last of a moment, and when it was booked.
pub(crate) async fn last_of(
    executor: impl AnyExecutor<'_>,
    moment: Moment,
) -> Result<(i64, Option<i64>), LedgerError> {
    let (sequence, at_ms) = match moment {
        Moment::Sequence(sequence) => (sequence, i64::MAX),
        Moment::Time(at_ms) => (i64::MAX, at_ms),
        Moment::Now => (i64::MAX, i64::MAX),
    };
    let last: Option<(i64, i64)> = sqlx::query_as(
        "select sequence, at_ms from transfer where sequence <= $1 and at_ms <= $2
         order by sequence desc limit 1",
    )
    .bind(sequence)
    .bind(at_ms)
    .fetch_optional(executor)
    .await
    .map_err(LedgerError::storage("looking for a moment of the books"))?;
    Ok(last.map_or((0, None), |(sequence, at_ms)| (sequence, Some(at_ms))))
}

/// All accounts by the row `sequence`, from what they moved until then.
pub(crate) fn balances_by(
    accounts: Vec<Moved>,
    (sequence, at_ms): (i64, Option<i64>),
    moment: Moment,
) -> Result<Balances, LedgerError> {
    let counts = |account: &Moved| moment == Moment::Now || account.sums.is_some();
    let balances =
        accounts.into_iter().filter(counts).map(Moved::balance).collect::<Result<_, _>>()?;
    Ok(Balances { sequence, at_ms, balances })
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
