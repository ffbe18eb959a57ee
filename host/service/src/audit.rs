//! The audit trail: who did which risky act to what, and why. A table and not a log; the database
//! refuses to change or delete a row of it. An act and its row are one transaction, so that neither
//! exists without the other.
//!
//! Not here: customers' names and secrets, which a row never holds; what a sale went through (its
//! history).

use crate::Service;
use crate::clock::UnixMs;
use crate::error::{Result, bad_column};
use crate::page::Page;
use polymeter_domain::OperatorId;
use polymeter_ledger::{Connection, TrailRow};

/// Who asked, for the audit trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    Operator(OperatorId),
    System,
}

impl Actor {
    pub(crate) fn stored(&self) -> Option<String> {
        match self {
            Actor::Operator(id) => Some(id.to_string()),
            Actor::System => None,
        }
    }

    pub(crate) fn from_stored(text: Option<&str>) -> Result<Actor> {
        match text {
            None => Ok(Actor::System),
            Some(text) => match text.parse() {
                Ok(id) => Ok(Actor::Operator(id)),
                Err(_) => Err(bad_column("operator_id", text)),
            },
        }
    }
}

/// One row of the trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    pub audit_id: i64,
    pub at: UnixMs,
    pub actor: Actor,
    /// What was done, e.g. "sale-made".
    pub act: String,
    /// To what, e.g. "sale/0197...".
    pub object: String,
    pub detail: String,
}

/// One act on its way into the trail.
pub(crate) struct Act<'a> {
    pub at: UnixMs,
    pub actor: &'a Actor,
    pub act: &'static str,
    pub object: String,
    pub detail: &'a str,
}

pub(crate) async fn record(connection: &mut Connection, act: Act<'_>) -> Result<()> {
    let row = TrailRow {
        at_ms: act.at.0,
        operator_id: act.actor.stored(),
        act: act.act,
        object: &act.object,
        detail: act.detail,
    };
    Ok(polymeter_ledger::audit(connection, row).await?)
}

#[derive(sqlx::FromRow)]
struct Row {
    audit_id: i64,
    at_ms: i64,
    operator_id: Option<String>,
    act: String,
    object: String,
    detail: String,
}

impl Service {
    /// The trail, newest first, of one operator or of all. `query` looks into act, object and
    /// detail; `after` is an `audit_id`.
    pub async fn audit_trail(
        &self,
        by: Option<OperatorId>,
        page: &Page,
    ) -> Result<Vec<AuditEntry>> {
        let after = page.after_number()?;
        let rows: Vec<Row> = sqlx::query_as(
            r"select audit_id, at_ms, operator_id, act, object, detail from audit
              where ($1 is null or audit_id < $1)
                and (lower(act) like $2 escape '\' or lower(object) like $2 escape '\'
                     or lower(detail) like $2 escape '\')
                and ($4 is null or operator_id = $4)
              order by audit_id desc limit $3",
        )
        .bind(after)
        .bind(page.pattern())
        .bind(page.row_limit()?)
        .bind(by.map(|id| id.to_string()))
        .fetch_all(self.reader())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(AuditEntry {
                    audit_id: row.audit_id,
                    at: UnixMs(row.at_ms),
                    actor: Actor::from_stored(row.operator_id.as_deref())?,
                    act: row.act,
                    object: row.object,
                    detail: row.detail,
                })
            })
            .collect()
    }
}
