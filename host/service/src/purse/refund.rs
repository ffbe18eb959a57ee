//! Money that goes back out of a purse and takes a second person (双人复核).
//!
//! Invariant: a refund that waits books nothing; the payment is made in the transaction that agrees to
//! it, under the same id, by the till of whoever asked. Not here: how it is booked (`super::pay`).

use super::{Direction, NewPayment, PursePayment, after, balance, pay};
use crate::Service;
use crate::approvable::Approvable;
use crate::approval::{self, Asking};
use crate::audit::Actor;
use crate::clock::UnixMs;
use crate::error::{Result, ServiceError, bad_column};
use crate::stored;
use polymeter_domain::{ApprovalId, Channel, CustomerId, Money, PursePaymentId};
use polymeter_ledger::{Connection, Transaction};
use sqlx::{AnyExecutor, AssertSqlSafe};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundState {
    Waiting,
    /// The payment stands under the same id.
    Paid,
    Abandoned,
}

impl RefundState {
    pub fn name(self) -> &'static str {
        match self {
            RefundState::Waiting => "waiting",
            RefundState::Paid => "paid",
            RefundState::Abandoned => "abandoned",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurseRefund {
    pub payment_id: PursePaymentId,
    pub customer_id: CustomerId,
    pub channel: Channel,
    pub amount: Money,
    pub reason: String,
    pub operator: Actor,
    pub created_at: UnixMs,
    pub state: RefundState,
}

#[derive(sqlx::FromRow)]
struct Row {
    purse_payment_id: String,
    customer_id: String,
    channel: String,
    amount_minor: i64,
    currency: String,
    reason: String,
    operator_id: Option<String>,
    created_at_ms: i64,
    state: String,
}

impl TryFrom<Row> for PurseRefund {
    type Error = ServiceError;
    fn try_from(row: Row) -> Result<PurseRefund> {
        Ok(PurseRefund {
            payment_id: stored::parsed("purse_payment_id", &row.purse_payment_id)?,
            customer_id: stored::parsed("customer_id", &row.customer_id)?,
            channel: stored::channel(&row.channel)?,
            amount: Money::new(row.amount_minor, stored::currency(&row.currency)?),
            reason: row.reason,
            operator: Actor::from_stored(row.operator_id.as_deref())?,
            created_at: UnixMs(row.created_at_ms),
            state: match row.state.as_str() {
                "waiting" => RefundState::Waiting,
                "paid" => RefundState::Paid,
                "abandoned" => RefundState::Abandoned,
                other => return Err(bad_column("state", other)),
            },
        })
    }
}

const COLUMNS: &str =
    "select purse_payment_id, customer_id, channel, amount_minor, currency, reason,
                              operator_id, created_at_ms, state
                       from purse_refund";

impl Service {
    /// A refund that took a second person, or still does.
    pub async fn purse_refund(&self, id: PursePaymentId) -> Result<PurseRefund> {
        existing(self.reader(), id).await
    }

    /// A customer's refunds that wait for a second person, oldest first.
    pub async fn waiting_refunds(&self, customer: CustomerId) -> Result<Vec<PurseRefund>> {
        let rows: Vec<Row> = sqlx::query_as(AssertSqlSafe(format!(
            "{COLUMNS} where customer_id = $1 and state = 'waiting'
             order by created_at_ms, purse_payment_id"
        )))
        .bind(customer.to_string())
        .fetch_all(self.reader())
        .await?;
        rows.into_iter().map(PurseRefund::try_from).collect()
    }
}

async fn find(executor: impl AnyExecutor<'_>, id: PursePaymentId) -> Result<Option<PurseRefund>> {
    let row: Option<Row> =
        sqlx::query_as(AssertSqlSafe(format!("{COLUMNS} where purse_payment_id = $1")))
            .bind(id.to_string())
            .fetch_optional(executor)
            .await?;
    row.map(PurseRefund::try_from).transpose()
}

async fn existing(executor: impl AnyExecutor<'_>, id: PursePaymentId) -> Result<PurseRefund> {
    let found = find(executor, id).await?;
    found.ok_or_else(|| ServiceError::NotFound { what: "purse refund", id: id.to_string() })
}

fn out_of_order(it: &PurseRefund, event: &'static str) -> ServiceError {
    let (what, id, state) = ("purse refund", it.payment_id.to_string(), it.state.name());
    ServiceError::WrongState { what, id, state, event }
}

/// The approval that the same refund, asked for earlier, still waits for. What came to nothing is asked for
/// under another id.
pub(super) async fn asked_already(
    tx: &mut Transaction,
    id: PursePaymentId,
    new: &NewPayment,
) -> Result<Option<ApprovalId>> {
    let Some(earlier) = find(&mut *tx.connection(), id).await? else { return Ok(None) };
    let same = new.direction == Direction::Out
        && earlier.customer_id == new.customer_id
        && earlier.channel == new.channel
        && earlier.amount == new.amount;
    if !same {
        return Err(ServiceError::Differs { what: "purse refund", id: id.to_string() });
    }
    let object = Approvable::PurseRefund(id).to_string();
    match approval::waiting_for(&mut *tx.connection(), &object).await? {
        Some(waiting) => Ok(Some(waiting.approval_id)),
        None => Err(out_of_order(&earlier, "asked for again")),
    }
}

/// Writes down that it waits, after the checks that the payment itself will make again.
pub(super) async fn ask(
    service: &Service,
    tx: &mut Transaction,
    id: PursePaymentId,
    new: &NewPayment,
    actor: &Actor,
) -> Result<ApprovalId> {
    crate::customer::exists(tx.connection(), new.customer_id).await?;
    service.check_shift(tx, new.channel, actor).await?;
    let purse = balance(&mut *tx.connection(), new.customer_id, new.amount.currency()).await?;
    after(&purse, new)?;
    sqlx::query(
        "insert into purse_refund (purse_payment_id, customer_id, channel, amount_minor, currency,
                                   reason, operator_id, created_at_ms, state)
         values ($1, $2, $3, $4, $5, $6, $7, $8, 'waiting')",
    )
    .bind(id.to_string())
    .bind(new.customer_id.to_string())
    .bind(new.channel.name())
    .bind(new.amount.minor())
    .bind(new.amount.currency().code())
    .bind(&new.reason)
    .bind(actor.stored())
    .bind(service.clock().at().0)
    .execute(tx.connection())
    .await?;
    let (act, object) = ("purse-refund", Approvable::PurseRefund(id).to_string());
    let asking = Asking { act, object, amount: new.amount, reason: &new.reason, actor };
    approval::ask(service, tx.connection(), asking).await
}

async fn end(
    connection: &mut Connection,
    id: PursePaymentId,
    state: RefundState,
    at: UnixMs,
) -> Result<()> {
    sqlx::query(
        "update purse_refund set state = $1, ended_at_ms = $2
         where purse_payment_id = $3 and state = 'waiting'",
    )
    .bind(state.name())
    .bind(at.0)
    .bind(id.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

/// A second person agreed: the same checks again, and the payment.
pub(crate) async fn approved(
    service: &Service,
    tx: &mut Transaction,
    id: PursePaymentId,
) -> Result<PursePayment> {
    let it = existing(&mut *tx.connection(), id).await?;
    if it.state != RefundState::Waiting {
        return Err(out_of_order(&it, "approved"));
    }
    end(tx.connection(), id, RefundState::Paid, service.clock().at()).await?;
    let PurseRefund { customer_id, channel, amount, reason, .. } = it;
    let direction = Direction::Out;
    let new = NewPayment { customer_id, direction, channel, amount, reason };
    pay(service, tx, id, new, it.operator).await
}

pub(crate) async fn withdrawn(tx: &mut Transaction, id: PursePaymentId, at: UnixMs) -> Result<()> {
    end(tx.connection(), id, RefundState::Abandoned, at).await
}
