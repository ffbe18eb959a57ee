//! The day close (日结): the head of the books at the end of a day, to be signed, and every account's sums
//! up to it, from which the next close and every trial balance go on.
//!
//! Invariant: a close is of a place in the order of booking, so whatever is booked later belongs to the
//! next one; a close reads the rows since the one before, and holds accounts in memory, never transfers.
//! Not here: the key that signs (server), judging the closes that are kept (verify).

use crate::balance::{self, Moved, Sums};
use crate::chain::{GENESIS, hex};
use crate::connection::Reader;
use crate::error::LedgerError;
use crate::trail;
use crate::writer::Transaction;
use polymeter_domain::{AccountId, Currency, Money};
use sha2::{Digest, Sha256};
use sqlx::any::AnyRow;
use sqlx::{AnyExecutor, Row as _};
use std::collections::BTreeMap;

/// What is signed at a close: whoever keeps its text and signature elsewhere can later tell whether the
/// books still begin with what they were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// 1, 2, 3 ...
    pub number: i64,
    /// The site's day, YYYY-MM-DD.
    pub day: String,
    /// The last transfer in it; 0 where there is none.
    pub sequence: i64,
    pub chain_hash: String,
    /// Over every account's sums.
    pub sums_digest: String,
    /// The last row of the audit trail; 0 where there is none.
    pub audit_id: i64,
    pub audit_hash: String,
    /// Milliseconds since 1970 UTC.
    pub at_ms: i64,
}

impl Head {
    /// Nine lines, each ended by a line feed. This is what the signature is of.
    pub fn text(&self) -> String {
        let Head { number, day, sequence, chain_hash, sums_digest, .. } = self;
        let Head { audit_id, audit_hash, at_ms, .. } = self;
        format!(
            "polymeter-head-1\nnumber {number}\nday {day}\nsequence {sequence}\n\
             chain-hash {chain_hash}\nsums {sums_digest}\naudit {audit_id}\n\
             audit-hash {audit_hash}\nat {at_ms}\n"
        )
    }

    /// From such a text.
    pub fn parse(text: &str) -> Option<Head> {
        let mut lines = text.lines();
        (lines.next()? == "polymeter-head-1").then_some(())?;
        let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let head = Head {
            number: field("number")?.parse().ok()?,
            day: field("day")?.to_owned(),
            sequence: field("sequence")?.parse().ok()?,
            chain_hash: field("chain-hash")?.to_owned(),
            sums_digest: field("sums")?.to_owned(),
            audit_id: field("audit")?.parse().ok()?,
            audit_hash: field("audit-hash")?.to_owned(),
            at_ms: field("at")?.parse().ok()?,
        };
        (head.text() == text && head.day.len() == "2026-03-02".len()).then_some(head)
    }
}

/// A close as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayClose {
    pub head: Head,
    /// Of the head's text: the text of a `.minisig` file.
    pub signature: String,
}

/// A close that has been reckoned and is not kept yet: sign the text of its head, then [`close_day`].
#[derive(Debug)]
pub struct PreparedClose {
    pub head: Head,
    /// Of the accounts that have moved since the close before.
    changed: BTreeMap<AccountId, Sums>,
}

/// What an account has moved at the close of a day: since the close before, and in all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayMoved {
    pub name: String,
    pub debits_posted: Money,
    pub credits_posted: Money,
}

/// SHA-256 over `polymeter-sums-1` and a line for every account that has ever moved, by id: the id,
/// debits and credits pending, debits and credits posted, in minor units with one space between; a line
/// feed after each.
pub(crate) fn digest_of(sums: &BTreeMap<AccountId, Sums>) -> String {
    let mut hasher = Sha256::new();
    hasher.update("polymeter-sums-1\n");
    for (account_id, Sums { pending, posted }) in sums {
        let [debits, credits] = pending;
        let [posted_debits, posted_credits] = posted;
        hasher
            .update(format!("{account_id} {debits} {credits} {posted_debits} {posted_credits}\n"));
    }
    hex(&hasher.finalize())
}

fn close_from(stored: &AnyRow) -> Result<DayClose, sqlx::Error> {
    Ok(DayClose {
        head: Head {
            number: stored.try_get("number")?,
            day: stored.try_get("day")?,
            sequence: stored.try_get("sequence")?,
            chain_hash: stored.try_get("chain_hash")?,
            sums_digest: stored.try_get("sums_digest")?,
            audit_id: stored.try_get("audit_id")?,
            audit_hash: stored.try_get("audit_hash")?,
            at_ms: stored.try_get("at_ms")?,
        },
        signature: stored.try_get("signature")?,
    })
}

const READING: &str = "reading the day closes";

/// The closes before a number, newest first.
pub(crate) async fn closes(
    executor: impl AnyExecutor<'_>,
    before: i64,
    at_most: i64,
) -> Result<Vec<DayClose>, LedgerError> {
    let rows =
        sqlx::query("select * from day_close where number < $1 order by number desc limit $2")
            .bind(before)
            .bind(at_most)
            .fetch_all(executor)
            .await
            .map_err(LedgerError::storage(READING))?;
    let closes: Result<_, sqlx::Error> = rows.iter().map(close_from).collect();
    closes.map_err(LedgerError::storage(READING))
}

/// The close of a day.
pub(crate) async fn of_day(
    executor: impl AnyExecutor<'_>,
    day: &str,
) -> Result<Option<DayClose>, LedgerError> {
    let row = sqlx::query("select * from day_close where day = $1")
        .bind(day)
        .fetch_optional(executor)
        .await
        .map_err(LedgerError::storage(READING))?;
    row.as_ref().map(close_from).transpose().map_err(LedgerError::storage(READING))
}

/// The last close that has nothing after the transfer `sequence` in it.
async fn last_within(reader: &Reader, sequence: i64) -> Result<Option<DayClose>, LedgerError> {
    let row =
        sqlx::query("select * from day_close where sequence <= $1 order by number desc limit 1")
            .bind(sequence)
            .fetch_optional(reader)
            .await
            .map_err(LedgerError::storage(READING))?;
    row.as_ref().map(close_from).transpose().map_err(LedgerError::storage(READING))
}

pub(crate) fn sums_from(stored: &AnyRow) -> Result<(AccountId, Sums), sqlx::Error> {
    let account_id = crate::table::canonical_uuid(stored.try_get("account_id")?)?;
    let minor = |column: &str| -> Result<i128, sqlx::Error> {
        let minor: i64 = stored.try_get(column)?;
        Ok(i128::from(minor))
    };
    let sums = Sums {
        pending: [minor("debits_pending_minor")?, minor("credits_pending_minor")?],
        posted: [minor("debits_posted_minor")?, minor("credits_posted_minor")?],
    };
    Ok((AccountId::new(account_id), sums))
}

/// What every account had come to at a close, held to the digest that was signed.
async fn sums_at(
    reader: &Reader,
    close: &DayClose,
) -> Result<BTreeMap<AccountId, Sums>, LedgerError> {
    let rows = sqlx::query(
        "select * from day_close_sum as kept
         where number = (select max(number) from day_close_sum as later
                         where later.account_id = kept.account_id and later.number <= $1)",
    )
    .bind(close.head.number)
    .fetch_all(reader)
    .await
    .map_err(LedgerError::storage("reading the sums of a day close"))?;
    let sums: Result<BTreeMap<_, _>, sqlx::Error> = rows.iter().map(sums_from).collect();
    let sums = sums.map_err(LedgerError::storage("reading the sums of a day close"))?;
    if digest_of(&sums) == close.head.sums_digest {
        return Ok(sums);
    }
    let why = "its kept sums are not those that were signed: run `polymeter ledger verify`";
    Err(LedgerError::Broken { row: format!("day close {}", close.head.day), why: why.to_owned() })
}

/// What the accounts that moved in a day had come to at its close.
pub(crate) async fn sums_of(
    executor: impl AnyExecutor<'_>,
    number: i64,
) -> Result<BTreeMap<AccountId, Sums>, LedgerError> {
    let doing = "reading the sums of a day close";
    let rows = sqlx::query("select * from day_close_sum where number = $1")
        .bind(number)
        .fetch_all(executor)
        .await
        .map_err(LedgerError::storage(doing))?;
    let sums: Result<_, sqlx::Error> = rows.iter().map(sums_from).collect();
    sums.map_err(LedgerError::storage(doing))
}

/// What every account had moved by a transfer: the last close within, and what came after it.
pub(crate) async fn moved_by(reader: &Reader, sequence: i64) -> Result<Vec<Moved>, LedgerError> {
    let Some(close) = last_within(reader, sequence).await? else {
        return balance::moved(reader, 0, sequence).await;
    };
    let mut kept = sums_at(reader, &close).await?;
    let mut accounts = balance::moved(reader, close.head.sequence, sequence).await?;
    for account in &mut accounts {
        if let Some(before) = kept.remove(&account.account_id) {
            account.sums = Some(before.plus(account.sums.unwrap_or_default()));
        }
    }
    Ok(accounts)
}

/// Reckons the close of a day up to the last transfer that is committed.
pub(crate) async fn prepare(
    reader: &Reader,
    day: &str,
    at_ms: i64,
) -> Result<PreparedClose, LedgerError> {
    let last = closes(reader, i64::MAX, 1).await?.pop();
    check_order(last.as_ref(), day)?;
    let (mut sums, from) = match &last {
        Some(close) => (sums_at(reader, close).await?, close.head.sequence),
        None => (BTreeMap::new(), 0),
    };
    let (sequence, chain_hash) = end_of_chain(reader).await?;
    let mut changed = BTreeMap::new();
    for account in balance::moved(reader, from, sequence).await? {
        let Some(since) = account.sums else { continue };
        let all = sums.entry(account.account_id).or_default();
        *all = all.plus(since);
        changed.insert(account.account_id, *all);
    }
    let (audit_id, audit_hash) = trail::last(reader).await?;
    let head = Head {
        number: last.map_or(1, |close| close.head.number.saturating_add(1)),
        day: day.to_owned(),
        sequence,
        chain_hash,
        sums_digest: digest_of(&sums),
        audit_id,
        audit_hash,
        at_ms,
    };
    Ok(PreparedClose { head, changed })
}

fn check_order(last: Option<&DayClose>, day: &str) -> Result<(), LedgerError> {
    match last {
        Some(close) if close.head.day.as_str() >= day => {
            Err(LedgerError::DayNotNext { day: day.to_owned(), last: close.head.day.clone() })
        }
        _ => Ok(()),
    }
}

async fn end_of_chain(reader: &Reader) -> Result<(i64, String), LedgerError> {
    let last: Option<(i64, String)> =
        sqlx::query_as("select sequence, chain_hash from transfer order by sequence desc limit 1")
            .fetch_optional(reader)
            .await
            .map_err(LedgerError::storage("reading the last transfer"))?;
    Ok(last.unwrap_or_else(|| (0, GENESIS.to_owned())))
}

/// Keeps a close under the signature of its head's text. One that was overtaken by another is refused.
pub async fn close_day(
    tx: &mut Transaction,
    prepared: &PreparedClose,
    signature: &str,
) -> Result<(), LedgerError> {
    let PreparedClose { head, changed } = prepared;
    let last = closes(&mut *tx.connection(), i64::MAX, 1).await?.pop();
    check_order(last.as_ref(), &head.day)?;
    if last.map_or(0, |close| close.head.number).saturating_add(1) != head.number {
        return Err(LedgerError::CloseOvertaken(head.day.clone()));
    }
    sqlx::query("insert into day_close values ($1, $2, $3, $4, $5, $6, $7, $8, $9)")
        .bind(head.number)
        .bind(&head.day)
        .bind(head.sequence)
        .bind(&head.chain_hash)
        .bind(&head.sums_digest)
        .bind(head.audit_id)
        .bind(&head.audit_hash)
        .bind(head.at_ms)
        .bind(signature)
        .execute(tx.connection())
        .await
        .map_err(LedgerError::storage("keeping a day close"))?;
    for (account_id, sums) in changed {
        let minor = |minor: i128| {
            let account = account_id.to_string();
            i64::try_from(minor).map_err(|_| LedgerError::Overflow { account })
        };
        let [debits_pending, credits_pending] = sums.pending;
        let [debits_posted, credits_posted] = sums.posted;
        sqlx::query("insert into day_close_sum values ($1, $2, $3, $4, $5, $6)")
            .bind(account_id.to_string())
            .bind(head.number)
            .bind(minor(debits_pending)?)
            .bind(minor(credits_pending)?)
            .bind(minor(debits_posted)?)
            .bind(minor(credits_posted)?)
            .execute(tx.connection())
            .await
            .map_err(LedgerError::storage("keeping the sums of a day close"))?;
    }
    Ok(())
}

/// What each account whose name is wanted has posted in a closed day: since the close before.
pub(crate) async fn day_moved(
    reader: &Reader,
    number: i64,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<Vec<DayMoved>, LedgerError> {
    let doing = "reading what a day has moved";
    let rows: Vec<(String, String, i64, i64, i64, i64)> = sqlx::query_as(
        "select account.name, account.currency, now.debits_posted_minor, now.credits_posted_minor,
                coalesce(earlier.debits_posted_minor, 0), coalesce(earlier.credits_posted_minor, 0)
         from day_close_sum as now
         join account on account.account_id = now.account_id
         left join day_close_sum as earlier on earlier.account_id = now.account_id
            and earlier.number = (select max(number) from day_close_sum as before
                                  where before.account_id = now.account_id
                                    and before.number < now.number)
         where now.number = $1
         order by account.name",
    )
    .bind(number)
    .fetch_all(reader)
    .await
    .map_err(LedgerError::storage(doing))?;
    let mut all = Vec::new();
    for (name, currency, debits, credits, debits_before, credits_before) in rows {
        if !is_wanted(&name) {
            continue;
        }
        let Some(currency) = Currency::from_code(&currency) else { continue };
        let money = |now: i64, before: i64| Money::new(now.saturating_sub(before), currency);
        let debits_posted = money(debits, debits_before);
        let credits_posted = money(credits, credits_before);
        all.push(DayMoved { name, debits_posted, credits_posted });
    }
    Ok(all)
}
