//! The chain of the audit trail: how a row of the service's table `audit` is hashed, added and judged.
//!
//! The canonical form is eight lines and three texts, each line ended by a line feed:
//!
//! ```text
//! polymeter-audit-1
//! chain_hash          of the row before; 64 zeros before the first row that has one
//! audit_id            decimal
//! at_ms               decimal
//! operator_id         or `-`
//! act                 its length in bytes, a space, the text
//! object              likewise
//! detail              likewise: a text may hold line feeds
//! ```
//!
//! Invariant: rows are numbered without a gap from the first hashed one on, so one that is missing is
//! seen. Rows from before the chain have no hash, and stand before all that have. Not here: what an act
//! is (service).

use crate::chain::{GENESIS, hex};
use crate::connection::Connection;
use crate::error::LedgerError;
use crate::limits;
use sha2::{Digest, Sha256};
use sqlx::any::AnyRow;
use sqlx::{AnyExecutor, Row as _};

/// One act, as the trail keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailRow<'a> {
    pub at_ms: i64,
    /// `None`: the system itself.
    pub operator_id: Option<String>,
    pub act: &'a str,
    pub object: &'a str,
    pub detail: &'a str,
}

impl TrailRow<'_> {
    fn hash(&self, audit_id: i64, previous: &str) -> String {
        let TrailRow { at_ms, operator_id, act, object, detail } = self;
        let operator = operator_id.as_deref().unwrap_or("-");
        let text = |text: &str| format!("{} {text}\n", text.len());
        hex(&Sha256::digest(format!(
            "polymeter-audit-1\n{previous}\n{audit_id}\n{at_ms}\n{operator}\n{}{}{}",
            text(act),
            text(object),
            text(detail)
        )))
    }
}

/// The last row's number and hash; 0 and zeros where there is none.
pub(crate) async fn last(executor: impl AnyExecutor<'_>) -> Result<(i64, String), LedgerError> {
    let last: Option<(i64, Option<String>)> =
        sqlx::query_as("select audit_id, chain_hash from audit order by audit_id desc limit 1")
            .fetch_optional(executor)
            .await
            .map_err(LedgerError::storage("reading the last row of the audit trail"))?;
    let (audit_id, hash) = last.unwrap_or((0, None));
    Ok((audit_id, hash.unwrap_or_else(|| GENESIS.to_owned())))
}

/// Adds a row to the trail.
pub async fn audit(connection: &mut Connection, row: TrailRow<'_>) -> Result<(), LedgerError> {
    let (before, previous) = last(&mut *connection).await?;
    let audit_id = before.saturating_add(1);
    sqlx::query(
        "insert into audit (audit_id, at_ms, operator_id, act, object, detail, chain_hash)
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(audit_id)
    .bind(row.at_ms)
    .bind(&row.operator_id)
    .bind(row.act)
    .bind(row.object)
    .bind(row.detail)
    .bind(row.hash(audit_id, &previous))
    .execute(connection)
    .await
    .map_err(LedgerError::storage("adding to the audit trail"))?;
    Ok(())
}

/// How far the trail was followed.
#[derive(Debug)]
pub(crate) struct Trail {
    pub(crate) rows: u64,
    audit_id: i64,
    head: Option<String>,
}

impl Trail {
    fn step(&mut self, stored: &AnyRow) -> Result<(), LedgerError> {
        let audit_id: i64 = stored.try_get("audit_id").map_err(|error| {
            broken(self.audit_id.saturating_add(1), format!("cannot be read: {error}"))
        })?;
        let cannot_read = |error: sqlx::Error| broken(audit_id, format!("cannot be read: {error}"));
        let kept: Option<&str> = stored.try_get("chain_hash").map_err(cannot_read)?;
        match (&self.head, kept) {
            (None, None) => {}
            (Some(_), None) => return Err(broken(audit_id, "has no hash, and an earlier one has")),
            (head, Some(kept)) => {
                if head.is_some() && audit_id != self.audit_id.saturating_add(1) {
                    let missing = self.audit_id.saturating_add(1);
                    return Err(broken(missing, format!("is missing; the next is {audit_id}")));
                }
                let row = TrailRow {
                    at_ms: stored.try_get("at_ms").map_err(cannot_read)?,
                    operator_id: stored.try_get("operator_id").map_err(cannot_read)?,
                    act: stored.try_get("act").map_err(cannot_read)?,
                    object: stored.try_get("object").map_err(cannot_read)?,
                    detail: stored.try_get("detail").map_err(cannot_read)?,
                };
                let hash = row.hash(audit_id, head.as_deref().unwrap_or(GENESIS));
                if kept != hash {
                    let why = "hash does not follow from the row before and its content";
                    return Err(broken(audit_id, why));
                }
                self.head = Some(hash);
            }
        }
        self.rows += 1;
        self.audit_id = audit_id;
        Ok(())
    }
}

fn broken(audit_id: i64, why: impl Into<String>) -> LedgerError {
    LedgerError::Broken { row: format!("audit row {audit_id}"), why: why.into() }
}

/// Follows the trail; `closes` are the rows that day closes vouch for, in order, with their hashes and
/// the closes' days.
pub(crate) async fn check(
    snapshot: &mut Connection,
    closes: &[(i64, String, String)],
) -> Result<Trail, LedgerError> {
    let mut trail = Trail { rows: 0, audit_id: i64::MIN, head: None };
    let mut closes = closes.iter().peekable();
    loop {
        let rows =
            sqlx::query("select * from audit where audit_id > $1 order by audit_id limit $2")
                .bind(trail.audit_id)
                .bind(limits::VERIFY_PAGE_ROWS)
                .fetch_all(&mut *snapshot)
                .await
                .map_err(|error| unreadable(&trail, error))?;
        for stored in &rows {
            trail.step(stored)?;
            while let Some((_, hash, day)) =
                closes.next_if(|(audit_id, ..)| *audit_id == trail.audit_id)
            {
                check_close(&trail, hash, day)?;
            }
        }
        if rows.is_empty() {
            break;
        }
    }
    // A close of an empty trail vouches for nothing.
    let missing = closes.find(|(audit_id, ..)| *audit_id != 0);
    match missing {
        Some((audit_id, _, day)) => {
            Err(broken(*audit_id, format!("is missing; the close of {day} vouches for it")))
        }
        None => Ok(trail),
    }
}

/// Bytes that are no text fail the whole page; what SQLite's own check says of the file comes later.
fn unreadable(trail: &Trail, error: sqlx::Error) -> LedgerError {
    match error {
        sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => {
            let after = trail.audit_id.max(0);
            broken(after.saturating_add(1), format!("or one after it cannot be read: {error}"))
        }
        error => LedgerError::storage("reading the audit trail")(error),
    }
}

fn check_close(trail: &Trail, hash: &str, day: &str) -> Result<(), LedgerError> {
    if trail.head.as_deref().unwrap_or(GENESIS) == hash {
        return Ok(());
    }
    let why = format!("is not the row that the close of {day} vouches for");
    Err(broken(trail.audit_id, why))
}
