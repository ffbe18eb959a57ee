//! Judging the books: every row against every rule, the chain against the rows, the balances
//! against both, and the database's own guards against those this program made.
//!
//! Invariant: reads one snapshot, a page of rows at a time, and names the first thing that is
//! wrong; memory grows with accounts and days, not with transfers. What no one can see from the file
//! alone: rows cut off the end after the last day close, and a chain computed anew, with its closes, by
//! someone who knows how and has the key. A head kept elsewhere shows both.

use crate::balance::{self, Sums};
use crate::book::{account_id, is_account_name};
use crate::chain::{GENESIS, Row, TransferKind};
use crate::close::{self, DayClose, Head};
use crate::connection::Connection;
use crate::engine;
use crate::error::LedgerError;
use crate::limits;
use crate::table::row_from;
use crate::trail;
use polymeter_domain::{AccountId, Currency};
use sqlx::Row as _;
use sqlx::any::AnyRow;
use std::collections::BTreeMap;

/// What was checked, and the hash of the last row to be kept where nobody can change it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    pub accounts: u64,
    pub transfers: u64,
    /// 64 hex digits; all zero where there is no transfer yet.
    pub head: String,
    /// Rows of the audit trail.
    pub audit_rows: u64,
    /// Oldest first; whose signatures they bear is not judged here.
    pub closes: Vec<DayClose>,
}

/// How far the chain was followed, and what the rows came to.
struct Walk {
    transfers: u64,
    sequence: i64,
    head: String,
    /// The row before, which says what must follow where it is linked.
    before: Option<Row>,
    sums: BTreeMap<AccountId, Sums>,
}

/// Judges a snapshot, and closes its connection.
pub(crate) async fn verify(
    mut snapshot: Connection,
    kept: &[Head],
) -> Result<Verified, LedgerError> {
    let verified = verify_snapshot(&mut snapshot, kept).await;
    engine::close(snapshot).await;
    verified
}

async fn verify_snapshot(
    snapshot: &mut Connection,
    kept: &[Head],
) -> Result<Verified, LedgerError> {
    let changed = changed_schema(snapshot).await?;
    // Without its tables and keys the rows cannot even be read on trust; without a trigger they
    // can.
    if let Some((object, why)) = changed.iter().find(|(object, _)| !object.starts_with("trigger")) {
        return Err(broken(object.clone(), *why));
    }
    let accounts = check_accounts(snapshot).await?;
    let mut closes = Closes::read(snapshot, kept).await?;
    let walk = check_transfers(snapshot, &mut closes).await?;
    closes.end(&walk)?;
    check_balances(snapshot, &walk).await?;
    let trail = trail::check(snapshot, &closes.audit_heads()).await?;
    if let Some((object, why)) = changed.into_iter().next() {
        return Err(broken(object, why));
    }
    if let Some((table, why)) = engine::storage(snapshot).await? {
        return Err(broken(table, why));
    }
    let (transfers, head, audit_rows) = (walk.transfers, walk.head, trail.rows);
    Ok(Verified { accounts, transfers, head, audit_rows, closes: closes.kept_here })
}

/// The last row follows from the one before: what a writer re-checks after a failed commit.
pub(crate) async fn check_tail(connection: &mut Connection) -> Result<(), LedgerError> {
    let doing = "reading the last transfers";
    let last: Option<i64> = sqlx::query_scalar("select max(sequence) from transfer")
        .fetch_one(&mut *connection)
        .await
        .map_err(LedgerError::storage(doing))?;
    let Some(last) = last else { return Ok(()) };
    let before = sqlx::query("select * from transfer where sequence = $1 - 1")
        .bind(last)
        .fetch_optional(&mut *connection)
        .await
        .map_err(LedgerError::storage(doing))?;
    let mut walk = Walk::from(last.saturating_sub(1), GENESIS.to_owned());
    if let Some(stored) = before {
        walk.head = stored.try_get("chain_hash").map_err(LedgerError::storage(doing))?;
        walk.before = Some(row_from(&stored).map_err(LedgerError::storage(doing))?);
    }
    let rows = page(connection, walk.sequence, 1).await;
    for stored in rows.map_err(LedgerError::storage(READING_TRANSFERS))? {
        walk.step(&stored)?;
    }
    walk.end()
}

fn broken(row: impl Into<String>, why: impl Into<String>) -> LedgerError {
    LedgerError::Broken { row: row.into(), why: why.into() }
}

/// What differs from a database that this program's migrations have just made.
async fn changed_schema(
    snapshot: &mut Connection,
) -> Result<Vec<(String, &'static str)>, LedgerError> {
    let (found, made) = engine::schemas(snapshot).await?;
    let missing_or_other = made.iter().filter_map(|(object, text)| match found.get(object) {
        None => Some((object.clone(), "is missing")),
        Some(other) if other != text => Some((object.clone(), "is not as this program made it")),
        Some(_) => None,
    });
    let foreign = found.keys().filter(|object| !made.contains_key(*object));
    let foreign = foreign.map(|object| (object.clone(), "was not made by this program"));
    Ok(missing_or_other.chain(foreign).collect())
}

async fn check_accounts(snapshot: &mut Connection) -> Result<u64, LedgerError> {
    let mut accounts = 0;
    let mut after = String::new();
    loop {
        let rows = sqlx::query(
            "select account_id, name, currency from account where account_id > $1
             order by account_id limit $2",
        )
        .bind(&after)
        .bind(limits::VERIFY_PAGE_ROWS)
        .fetch_all(&mut *snapshot)
        .await
        .map_err(LedgerError::storage("reading the accounts"))?;
        let Some(last) = rows.last() else { return Ok(accounts) };
        after = last.try_get("account_id").map_err(LedgerError::storage("reading an account"))?;
        for stored in &rows {
            check_account(stored)?;
            accounts += 1;
        }
    }
}

fn check_account(stored: &AnyRow) -> Result<(), LedgerError> {
    let column = |name| {
        let text: Result<String, sqlx::Error> = stored.try_get(name);
        text.map_err(|error| broken("account", format!("cannot be read: {error}")))
    };
    let (id, name, currency) = (column("account_id")?, column("name")?, column("currency")?);
    let row = || format!("account {} (id {})", name.escape_debug(), id.escape_debug());
    if !is_account_name(&name) || Currency::from_code(&currency).is_none() {
        return Err(broken(row(), "its name or currency is not one that this program would store"));
    }
    if account_id(&name, &currency).to_string() != id {
        return Err(broken(row(), "its id does not follow from its name and currency"));
    }
    Ok(())
}

async fn check_transfers(
    snapshot: &mut Connection,
    closes: &mut Closes,
) -> Result<Walk, LedgerError> {
    let mut walk = Walk::from(0, GENESIS.to_owned());
    closes.pass(snapshot, &walk).await?;
    let mut rows_at_a_time = limits::VERIFY_PAGE_ROWS;
    loop {
        let rows = match page(snapshot, walk.sequence, rows_at_a_time).await {
            Ok(rows) => rows,
            // One of them cannot even be fetched (bytes that are no text): one by one shows which.
            Err(error) if is_unreadable(&error) && rows_at_a_time > 1 => {
                rows_at_a_time = 1;
                continue;
            }
            Err(error) if is_unreadable(&error) => {
                let sequence = walk.sequence.saturating_add(1);
                let why = format!("cannot be read: {error}");
                return Err(broken(format!("transfer sequence {sequence}"), why));
            }
            Err(error) => return Err(LedgerError::storage(READING_TRANSFERS)(error)),
        };
        if rows.is_empty() {
            walk.end()?;
            return Ok(walk);
        }
        for stored in &rows {
            walk.step(stored)?;
            closes.pass(snapshot, &walk).await?;
        }
    }
}

/// The next rows, each with what its rules need of other rows.
async fn page(
    connection: &mut Connection,
    after: i64,
    at_most: i64,
) -> Result<Vec<AnyRow>, sqlx::Error> {
    sqlx::query(
        "select transfer.*,
                debit.currency as debit_currency, credit.currency as credit_currency,
                reserved.sequence as pending_sequence, reserved.kind as pending_kind,
                reserved.next_id as pending_next_id, earlier.transfer_id as pending_earlier_id,
                taken.sequence as taken_sequence, taken.kind as taken_kind,
                case when taken.debit_account_id = transfer.credit_account_id
                    and taken.credit_account_id = transfer.debit_account_id
                    and taken.amount_minor = transfer.amount_minor
                    and taken.currency = transfer.currency
                    then 1 else 0 end as taken_agrees,
                case when reserved.debit_account_id = transfer.debit_account_id
                    and reserved.credit_account_id = transfer.credit_account_id
                    and reserved.amount_minor = transfer.amount_minor
                    and reserved.currency = transfer.currency
                    and reserved.reference = transfer.reference
                    then 1 else 0 end as pending_agrees
         from transfer
         left join account as debit on debit.account_id = transfer.debit_account_id
         left join account as credit on credit.account_id = transfer.credit_account_id
         left join transfer as reserved on reserved.transfer_id = transfer.pending_id
         left join transfer as earlier on earlier.next_id = transfer.pending_id
         left join transfer as taken on taken.transfer_id = transfer.contra_id
         where transfer.sequence > $1
         order by transfer.sequence limit $2",
    )
    .bind(after)
    .bind(at_most)
    .fetch_all(connection)
    .await
}

const READING_TRANSFERS: &str = "reading the transfers";

/// The database gave something, and it is no value of any kind that we know.
fn is_unreadable(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. })
}

impl Walk {
    fn from(sequence: i64, head: String) -> Walk {
        Walk { transfers: 0, sequence, head, before: None, sums: BTreeMap::new() }
    }

    fn step(&mut self, stored: &AnyRow) -> Result<(), LedgerError> {
        let expected = self.sequence.saturating_add(1);
        let name = |sequence: i64| match stored.try_get::<&str, _>("transfer_id") {
            Ok(id) => format!("transfer sequence {sequence} (id {})", id.escape_debug()),
            Err(_) => format!("transfer sequence {sequence}"),
        };
        let cannot_read =
            |error: sqlx::Error| broken(name(expected), format!("cannot be read: {error}"));
        let sequence: i64 = stored.try_get("sequence").map_err(cannot_read)?;
        if sequence != expected {
            let why = format!("is missing; the next is {}", name(sequence));
            return Err(broken(format!("transfer sequence {expected}"), why));
        }
        let row = row_from(stored).map_err(cannot_read)?;
        if let Some(why) = broken_rule(&row, stored).map_err(cannot_read)? {
            return Err(broken(name(expected), why));
        }
        let hash = row.chain_hash(&self.head);
        if stored.try_get::<&str, _>("chain_hash").map_err(cannot_read)? != hash {
            let why = match self.sequence {
                0 => "hash does not follow from its content".to_owned(),
                before => format!("hash does not follow from row {before} and its content"),
            };
            return Err(broken(name(expected), why));
        }
        if let Some(why) = self.broken_link(&row, stored).map_err(cannot_read)? {
            return Err(broken(name(expected), why));
        }
        self.count(row, hash);
        Ok(())
    }

    /// What the row before asks of this one, and what the link of its pending row does.
    fn broken_link(&self, row: &Row, stored: &AnyRow) -> Result<Option<&'static str>, sqlx::Error> {
        let linked = self.before.as_ref().filter(|before| before.next.is_some());
        if let Some(before) = linked
            && (before.next != Some(row.transfer_id)
                || before.reference != row.reference
                || !row.kind.follows(before.kind))
        {
            return Ok(Some("is not the row that the row before is linked to"));
        }
        if !row.kind.ends() {
            return Ok(None);
        }
        let goes_on: Option<&str> = stored.try_get("pending_next_id")?;
        let earlier: Option<&str> = stored.try_get("pending_earlier_id")?;
        let ended_before = linked.and_then(|before| before.pending).map(|id| id.to_string());
        let is_whole =
            goes_on.is_some() == row.next.is_some() && earlier == ended_before.as_deref();
        Ok((!is_whole).then_some("ends a part of a link, which is posted or voided as a whole"))
    }

    /// An i128 holds the sum of 2^63 rows of any amount.
    fn count(&mut self, row: Row, hash: String) {
        let amount = i128::from(row.amount.minor());
        for (side, account) in [row.debit, row.credit].into_iter().enumerate() {
            self.sums.entry(account).or_default().add(side, row.kind, amount);
        }
        self.transfers += 1;
        self.sequence = row.sequence;
        self.head = hash;
        self.before = Some(row);
    }

    /// After the last row.
    fn end(&self) -> Result<(), LedgerError> {
        match &self.before {
            Some(Row { sequence, next: Some(next), .. }) => {
                let row = format!("transfer sequence {}", sequence.saturating_add(1));
                Err(broken(row, format!("is missing; row {sequence} is linked to it (id {next})")))
            }
            _ => Ok(()),
        }
    }
}

fn broken_rule(row: &Row, stored: &AnyRow) -> Result<Option<&'static str>, sqlx::Error> {
    let currency = row.amount.currency();
    let kept_in: [Option<&str>; 2] =
        [stored.try_get("debit_currency")?, stored.try_get("credit_currency")?];
    if row.amount.minor() <= 0 {
        return Ok(Some("amount is not positive"));
    }
    if row.debit == row.credit {
        return Ok(Some("debit and credit are the same account"));
    }
    if kept_in.contains(&None) {
        return Ok(Some("debit or credit account does not exist"));
    }
    if kept_in.iter().any(|kept| *kept != Some(currency.code())) {
        return Ok(Some("currency differs from that of its accounts"));
    }
    if row.kind.ends() != row.pending.is_some() {
        return Ok(Some("a post or void, and no other row, names a pending row"));
    }
    if (row.kind == TransferKind::Contra) != row.contra.is_some() {
        return Ok(Some("a contra, and no other row, names a row that it takes back"));
    }
    if row.contra.is_some() {
        return broken_contra(row, stored);
    }
    if row.pending.is_none() {
        return Ok(None);
    }
    let pending_kind: Option<&str> = stored.try_get("pending_kind")?;
    let pending_sequence: Option<i64> = stored.try_get("pending_sequence")?;
    if pending_kind != Some(TransferKind::Pending.name())
        || pending_sequence.is_none_or(|sequence| sequence >= row.sequence)
    {
        return Ok(Some("no earlier pending row has the id that it names"));
    }
    let agrees: i64 = stored.try_get("pending_agrees")?;
    Ok((agrees != 1).then_some("amount, accounts or reference differ from its pending row"))
}

fn broken_contra(row: &Row, stored: &AnyRow) -> Result<Option<&'static str>, sqlx::Error> {
    let kind: Option<&str> = stored.try_get("taken_kind")?;
    let sequence: Option<i64> = stored.try_get("taken_sequence")?;
    let posted = [TransferKind::Post.name(), TransferKind::Book.name()];
    if !kind.is_some_and(|kind| posted.contains(&kind))
        || sequence.is_none_or(|sequence| sequence >= row.sequence)
    {
        return Ok(Some("no earlier posted row has the id that it takes back"));
    }
    let agrees: i64 = stored.try_get("taken_agrees")?;
    Ok((agrees != 1).then_some("is not the reverse of the row that it takes back"))
}

/// The balances as everyone sees them, against the rows as just walked.
async fn check_balances(snapshot: &mut Connection, walk: &Walk) -> Result<(), LedgerError> {
    for account in balance::moved(&mut *snapshot, 0, i64::MAX).await? {
        let walked = walk.sums.get(&account.account_id).copied().unwrap_or_default();
        let found = account.sums.unwrap_or_default();
        if found != walked {
            let why = format!(
                "the sums of account {} are {found:?} minor units where its rows come to {walked:?}",
                account.name
            );
            return Err(broken("trial balance", why));
        }
        account.balance()?;
    }
    Ok(())
}

/// The heads that the walk has to pass: of the day closes that are kept here, and of others.
struct Closes {
    kept_here: Vec<DayClose>,
    /// All of them, last transfer first; whether its sums are kept here too.
    ahead: Vec<(Head, bool)>,
    audit: Vec<(i64, String, String)>,
    /// What the accounts had come to by the rows of the closes passed so far.
    sums: BTreeMap<AccountId, Sums>,
}

impl Closes {
    async fn read(snapshot: &mut Connection, kept: &[Head]) -> Result<Closes, LedgerError> {
        let mut kept_here = close::closes(snapshot, i64::MAX, i64::MAX).await?;
        kept_here.reverse();
        let mut before: Option<&Head> = None;
        for (number, DayClose { head, .. }) in (1..).zip(&kept_here) {
            if head.number != number {
                let why = format!("is missing; the next is {}", head.number);
                return Err(broken(format!("day close {number}"), why));
            }
            if before.is_some_and(|it| it.day >= head.day || it.sequence > head.sequence) {
                let why = "comes before the close that it follows";
                return Err(broken(name_of(head), why));
            }
            before = Some(head);
        }
        let here = kept_here.iter().map(|close| (close.head.clone(), true));
        let mut ahead: Vec<(Head, bool)> =
            here.chain(kept.iter().map(|head| (head.clone(), false))).collect();
        ahead.sort_by_key(|(head, is_here)| (-head.sequence, -head.number, *is_here));
        let audit_head = |head: &Head| (head.audit_id, head.audit_hash.clone(), head.day.clone());
        let mut audit: Vec<_> = ahead.iter().map(|(head, _)| audit_head(head)).collect();
        audit.sort();
        Ok(Closes { kept_here, ahead, audit, sums: BTreeMap::new() })
    }

    fn audit_heads(&self) -> Vec<(i64, String, String)> {
        self.audit.clone()
    }

    /// Judges the heads whose last transfer the walk has just passed.
    async fn pass(&mut self, snapshot: &mut Connection, walk: &Walk) -> Result<(), LedgerError> {
        while let Some((head, is_here)) =
            self.ahead.pop_if(|(head, _)| head.sequence == walk.sequence)
        {
            if head.chain_hash != walk.head {
                let why = format!("has another hash for transfer {}", head.sequence);
                return Err(broken(name_of(&head), why));
            }
            if head.sums_digest != close::digest_of(&walk.sums) {
                let why = format!("has other sums than the rows up to {}", head.sequence);
                return Err(broken(name_of(&head), why));
            }
            if is_here {
                self.sums.extend(close::sums_of(&mut *snapshot, head.number).await?);
                if self.sums != walk.sums {
                    return Err(broken(name_of(&head), "its kept sums are not those of its rows"));
                }
            }
        }
        Ok(())
    }

    /// After the last row: a head that vouches for more shows that rows were cut off.
    fn end(&self, walk: &Walk) -> Result<(), LedgerError> {
        let Some((head, _)) = self.ahead.last() else { return Ok(()) };
        let row = format!("transfer sequence {}", walk.sequence.saturating_add(1));
        let why = format!(
            "is missing; the close of {} vouches for rows up to {}",
            head.day, head.sequence
        );
        Err(broken(row, why))
    }
}

fn name_of(head: &Head) -> String {
    format!("day close {} of {}", head.number, head.day)
}
