//! Two-person approval (双人复核): what one operator asked for, over the site's limit, waits for another.
//!
//! Invariants: nobody agrees to what they asked for (the database refuses it too); an approval is
//! decided once; what it allows is done in the very transaction that decides it, so that it happens
//! exactly once whatever crashes. Not here: what is approved and what follows (`approvable`).

use crate::approvable::Approvable;
use crate::audit::{self, Act, Actor};
use crate::clock::UnixMs;
use crate::customer::typed_not_empty;
use crate::error::{Result, ServiceError, bad_column};
use crate::limits::MAX_REASON_CHARS;
use crate::page::Page;
use crate::{Service, stored, to_the_end};
use polymeter_domain::{ApprovalId, Money, OperatorId};
use polymeter_ledger::{Connection, Transaction};
use sqlx::AnyExecutor;

/// One request for a second person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    pub approval_id: ApprovalId,
    /// What is to be done: "refund", "write-off", "closing" ...
    pub act: String,
    /// To what: an [`Approvable`].
    pub object: String,
    pub amount: Money,
    pub reason: String,
    pub asked_by: Actor,
    pub asked_at: UnixMs,
    pub expires_at: UnixMs,
    pub state: ApprovalState,
    pub decided_by: Option<OperatorId>,
    pub decided_at: Option<UnixMs>,
    pub decision_reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApprovalState {
    Waiting,
    Approved,
    Rejected,
    /// Nobody decided in time.
    Expired,
    /// Who asked took it back.
    Withdrawn,
}

impl ApprovalState {
    const ALL: [ApprovalState; 5] = [
        ApprovalState::Waiting,
        ApprovalState::Approved,
        ApprovalState::Rejected,
        ApprovalState::Expired,
        ApprovalState::Withdrawn,
    ];

    pub fn name(self) -> &'static str {
        match self {
            ApprovalState::Waiting => "waiting",
            ApprovalState::Approved => "approved",
            ApprovalState::Rejected => "rejected",
            ApprovalState::Expired => "expired",
            ApprovalState::Withdrawn => "withdrawn",
        }
    }
}

/// What the second person says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Approve,
    Reject,
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    approval_id: String,
    act: String,
    object: String,
    amount_minor: i64,
    currency: String,
    reason: String,
    asked_by: Option<String>,
    asked_at_ms: i64,
    expires_at_ms: i64,
    state: String,
    decided_by: Option<String>,
    decided_at_ms: Option<i64>,
    decision_reason: Option<String>,
}

impl TryFrom<Row> for Approval {
    type Error = ServiceError;
    fn try_from(row: Row) -> Result<Approval> {
        let state = ApprovalState::ALL.into_iter().find(|state| state.name() == row.state);
        let decided_by = match row.decided_by {
            None => None,
            Some(id) => Some(stored::parsed("decided_by", &id)?),
        };
        Ok(Approval {
            approval_id: row
                .approval_id
                .parse()
                .map_err(|_| bad_column("approval_id", &row.approval_id))?,
            act: row.act,
            object: row.object,
            amount: Money::new(row.amount_minor, stored::currency(&row.currency)?),
            reason: row.reason,
            asked_by: Actor::from_stored(row.asked_by.as_deref())?,
            asked_at: UnixMs(row.asked_at_ms),
            expires_at: UnixMs(row.expires_at_ms),
            state: state.ok_or_else(|| bad_column("state", &row.state))?,
            decided_by,
            decided_at: row.decided_at_ms.map(UnixMs),
            decision_reason: row.decision_reason,
        })
    }
}

async fn record(executor: impl AnyExecutor<'_>, id: ApprovalId) -> Result<Approval> {
    let row: Option<Row> = sqlx::query_as("select * from approval where approval_id = $1")
        .bind(id.to_string())
        .fetch_optional(executor)
        .await?;
    row.ok_or_else(|| ServiceError::NotFound { what: "approval", id: id.to_string() })?.try_into()
}

/// What waits is written down in the job that makes the act wait.
pub(crate) struct Asking<'a> {
    pub act: &'static str,
    pub object: String,
    pub amount: Money,
    pub reason: &'a str,
    pub actor: &'a Actor,
}

pub(crate) async fn ask(
    service: &Service,
    connection: &mut Connection,
    asking: Asking<'_>,
) -> Result<ApprovalId> {
    let (id, at) = (ApprovalId::new(service.clock().id()), service.clock().at());
    let expires_at_ms = at.0.saturating_add(service.rules().approval.expires_ms);
    sqlx::query(
        "insert into approval (approval_id, act, object, amount_minor, currency, reason, asked_by,
                               asked_at_ms, expires_at_ms, state)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'waiting')",
    )
    .bind(id.to_string())
    .bind(asking.act)
    .bind(&asking.object)
    .bind(asking.amount.minor())
    .bind(asking.amount.currency().code())
    .bind(asking.reason)
    .bind(asking.actor.stored())
    .bind(at.0)
    .bind(expires_at_ms)
    .execute(&mut *connection)
    .await?;
    let detail = format!(
        "{} of {} {} for {}: {}",
        asking.act,
        asking.amount,
        asking.amount.currency().code(),
        asking.object,
        asking.reason
    );
    note(connection, id, at, asking.actor, "approval-asked", &detail).await?;
    Ok(id)
}

/// The one that still waits for an object.
pub(crate) async fn waiting_for(
    executor: impl AnyExecutor<'_>,
    object: &str,
) -> Result<Option<Approval>> {
    let row: Option<Row> =
        sqlx::query_as("select * from approval where object = $1 and state = 'waiting'")
            .bind(object)
            .fetch_optional(executor)
            .await?;
    row.map(Approval::try_from).transpose()
}

/// The most that a second person agreed to for an object, in minor units.
pub(crate) async fn agreed_minor(
    executor: impl AnyExecutor<'_>,
    object: &str,
) -> Result<Option<i64>> {
    let most = sqlx::query_scalar(
        "select max(amount_minor) from approval where object = $1 and state = 'approved'",
    )
    .bind(object)
    .fetch_one(executor)
    .await?;
    Ok(most)
}

async fn note(
    connection: &mut Connection,
    id: ApprovalId,
    at: UnixMs,
    actor: &Actor,
    act: &'static str,
    detail: &str,
) -> Result<()> {
    let object = format!("approval/{id}");
    audit::record(connection, Act { at, actor, act, object, detail }).await
}

async fn end(
    connection: &mut Connection,
    id: ApprovalId,
    state: ApprovalState,
    decided_by: Option<OperatorId>,
    reason: &str,
    at: UnixMs,
) -> Result<()> {
    sqlx::query(
        "update approval set state = $1, decided_by = $2, decided_at_ms = $3, decision_reason = $4
         where approval_id = $5 and state = 'waiting'",
    )
    .bind(state.name())
    .bind(decided_by.map(|id| id.to_string()))
    .bind(at.0)
    .bind(reason)
    .bind(id.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

/// What nobody decided in time comes to nothing. Called before anything that depends on it.
pub(crate) async fn expire_due(tx: &mut Transaction, at: UnixMs) -> Result<()> {
    let due: Vec<Row> = sqlx::query_as(
        "select * from approval where state = 'waiting' and expires_at_ms <= $1
         order by asked_at_ms, approval_id",
    )
    .bind(at.0)
    .fetch_all(&mut *tx.connection())
    .await?;
    for row in due {
        let due = Approval::try_from(row)?;
        let reason = "nobody decided in time";
        end(tx.connection(), due.approval_id, ApprovalState::Expired, None, reason, at).await?;
        let actor = &Actor::System;
        note(tx.connection(), due.approval_id, at, actor, "approval-expired", &due.object).await?;
        approvable(&due.object)?.withdrawn(tx, reason, at).await?;
    }
    Ok(())
}

/// Who asked for an act takes it back.
pub(crate) async fn withdraw(
    connection: &mut Connection,
    object: &str,
    actor: &Actor,
    at: UnixMs,
) -> Result<()> {
    let Some(waiting) = waiting_for(&mut *connection, object).await? else { return Ok(()) };
    let id = waiting.approval_id;
    end(connection, id, ApprovalState::Withdrawn, None, "taken back", at).await?;
    note(connection, id, at, actor, "approval-withdrawn", object).await
}

fn approvable(object: &str) -> Result<Approvable> {
    Approvable::parse(object).ok_or_else(|| bad_column("object", object))
}

impl Service {
    pub async fn approval(&self, id: ApprovalId) -> Result<Approval> {
        record(self.reader(), id).await
    }

    /// Newest first; with `waiting`, only what a second person can still decide.
    pub async fn approvals(&self, waiting: bool, page: &Page) -> Result<Vec<Approval>> {
        let bound = page.bound()?;
        let rows: Vec<Row> = sqlx::query_as(
            "select * from approval
             where ($1 = 0 or (state = 'waiting' and expires_at_ms > $2))
               and ($3 is null or (asked_at_ms, approval_id) <
                    (select asked_at_ms, approval_id from approval where approval_id = $3))
             order by asked_at_ms desc, approval_id desc limit $4",
        )
        .bind(i64::from(waiting))
        .bind(self.clock().at().0)
        .bind(bound.after)
        .bind(bound.limit)
        .fetch_all(self.reader())
        .await?;
        rows.into_iter().map(Approval::try_from).collect()
    }

    /// The second person decides. What is approved is done in the same transaction; where a device has
    /// to be asked for it, that follows at once and after a crash again.
    pub async fn decide_approval(
        &self,
        id: ApprovalId,
        verdict: Verdict,
        reason: &str,
        actor: &Actor,
    ) -> Result<Approval> {
        let Actor::Operator(operator) = *actor else { return Err(ServiceError::SamePerson) };
        let reason = typed_not_empty("reason", reason, MAX_REASON_CHARS)?;
        let (service, actor) = (self.clone(), actor.clone());
        to_the_end(async move {
            let inside = service.clone();
            let follow = service
                .database()
                .write(move |tx| {
                    Box::pin(async move {
                        let decision = Decision { id, verdict, operator, reason };
                        decide(&inside, tx, decision, &actor).await
                    })
                })
                .await?;
            if let Some(approved) = follow {
                approved.follow(&service).await?;
            }
            service.approval(id).await
        })
        .await
    }

    /// Who asked takes it back, and what was asked for comes to nothing.
    pub async fn withdraw_approval(&self, id: ApprovalId, actor: &Actor) -> Result<Approval> {
        let (at, by) = (self.clock().at(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    let it = record(&mut *tx.connection(), id).await?;
                    match it.state {
                        ApprovalState::Withdrawn => return Ok(()),
                        ApprovalState::Waiting => {}
                        _ => return Err(out_of_order(&it, it.state.name(), "taken back")),
                    }
                    if it.asked_by != by {
                        let why = "only who asked for it takes it back; refuse it instead";
                        let (what, why) = (format!("approval {id}"), why.to_owned());
                        return Err(ServiceError::Blocked { what, why });
                    }
                    withdraw(tx.connection(), &it.object, &by, at).await?;
                    approvable(&it.object)?.withdrawn(tx, "taken back", at).await
                })
            })
            .await?;
        self.approval(id).await
    }

    /// See [`expire_due`].
    pub(crate) async fn expire_approvals(&self) -> Result<()> {
        let at = self.clock().at();
        self.database().write(move |tx| Box::pin(async move { expire_due(tx, at).await })).await
    }

    /// The one that still waits for this, if one does.
    pub async fn approval_of(&self, object: Approvable) -> Result<Option<Approval>> {
        waiting_for(self.reader(), &object.to_string()).await
    }
}

fn out_of_order(it: &Approval, state: &'static str, event: &'static str) -> ServiceError {
    ServiceError::WrongState { what: "approval", id: it.approval_id.to_string(), state, event }
}

struct Decision {
    id: ApprovalId,
    verdict: Verdict,
    operator: OperatorId,
    reason: String,
}

/// What is to be followed once this is stored, if anything is.
async fn decide(
    service: &Service,
    tx: &mut Transaction,
    decision: Decision,
    actor: &Actor,
) -> Result<Option<Approvable>> {
    let Decision { id, verdict, operator, reason } = decision;
    let at = service.clock().at();
    let approval = record(&mut *tx.connection(), id).await?;
    let (event, wanted) = match verdict {
        Verdict::Approve => ("approved", ApprovalState::Approved),
        Verdict::Reject => ("rejected", ApprovalState::Rejected),
    };
    // The same again is the same answer: a double click, or a lost reply.
    if (approval.state, approval.decided_by) == (wanted, Some(operator)) {
        return Ok(None);
    }
    let is_late = approval.state == ApprovalState::Waiting && approval.expires_at <= at;
    if approval.state != ApprovalState::Waiting || is_late {
        let state = if is_late { "expired" } else { approval.state.name() };
        return Err(out_of_order(&approval, state, event));
    }
    if verdict == Verdict::Approve && approval.asked_by == *actor {
        return Err(ServiceError::SamePerson);
    }
    end(tx.connection(), id, wanted, Some(operator), &reason, at).await?;
    let object = approvable(&approval.object)?;
    let detail = format!("{}: {reason}", approval.object);
    match verdict {
        Verdict::Approve => {
            note(tx.connection(), id, at, actor, "approval-given", &detail).await?;
            object.approved(service, tx).await
        }
        Verdict::Reject => {
            note(tx.connection(), id, at, actor, "approval-refused", &detail).await?;
            object.withdrawn(tx, &format!("rejected: {reason}"), at).await?;
            Ok(None)
        }
    }
}
