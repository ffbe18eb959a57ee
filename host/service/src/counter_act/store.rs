//! The rows of counter acts. [`advance_in`] is the only place that changes one's state: it lets
//! `domain::ActState` say what follows, and moves the money in the same transaction.

use super::effect::{confirmed, take_back};
use super::{ActKind, ActNote, ActRequest, Subject};
use crate::Service;
use crate::audit::{self, Act, Actor};
use crate::clock::UnixMs;
use crate::error::{Result, ServiceError, bad_column};
use crate::page::Bound;
use crate::{approval, stored};
use polymeter_domain::tariff::Date;
use polymeter_domain::{
    ActEvent, ActState, Channel, CounterActId, Credit, CustomerId, MeterId, Money, Purchase,
    PurchaseCount, SaleId, Taking, TransferId,
};
use polymeter_ledger::{Connection, Transaction};
use sqlx::AnyExecutor;
use uuid::Uuid;

/// One act as its row has it.
#[derive(Debug, Clone)]
pub(super) struct StoredAct {
    pub act_id: CounterActId,
    pub kind: ActKind,
    pub sale_id: Option<SaleId>,
    pub meter_id: Option<MeterId>,
    pub customer_id: CustomerId,
    pub channel: Option<Channel>,
    pub amount: Money,
    pub reason: String,
    pub operator: Actor,
    pub day: Date,
    pub pending: Option<TransferId>,
    /// The act that a reversal takes back, where it is no sale's.
    pub of_act: Option<CounterActId>,
    /// What its device was told to give back.
    pub taking: Option<Taking>,
    pub state: ActState,
    pub created_at: UnixMs,
    pub settled_at: Option<UnixMs>,
}

impl StoredAct {
    /// The same id with another body is an error, never another act.
    pub(super) fn must_be(&self, request: &ActRequest) -> Result<()> {
        let is_subject = match request.subject {
            Subject::Sale(sale) => self.sale_id == Some(sale),
            Subject::Act(act) => self.of_act == Some(act),
            Subject::Meter(meter, amount) => {
                self.sale_id.is_none() && (self.meter_id, self.amount) == (Some(meter), amount)
            }
            Subject::Customer(customer, amount) => {
                (self.meter_id, self.of_act) == (None, None)
                    && (self.customer_id, self.amount) == (customer, amount)
            }
        };
        let is_channel = request.channel.is_none() || request.channel == self.channel;
        if is_subject && is_channel && (self.kind, &self.reason) == (request.kind, &request.reason)
        {
            Ok(())
        } else {
            Err(ServiceError::Differs { what: "counter act", id: self.act_id.to_string() })
        }
    }
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    counter_act_id: String,
    kind: String,
    sale_id: Option<String>,
    meter_id: Option<String>,
    customer_id: String,
    channel: Option<String>,
    amount_minor: i64,
    currency: String,
    reason: String,
    operator_id: Option<String>,
    day: String,
    pending_transfer_id: Option<String>,
    of_act_id: Option<String>,
    taken_count: Option<i64>,
    taken_quantity: Option<String>,
    taken_amount: Option<i64>,
    balance_before: Option<i64>,
    state: String,
    created_at_ms: i64,
    settled_at_ms: Option<i64>,
}

fn maybe<T: std::str::FromStr>(column: &'static str, text: Option<String>) -> Result<Option<T>> {
    match text {
        None => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| bad_column(column, text)),
    }
}

impl Row {
    fn taking(&self) -> Result<Option<Taking>> {
        let (Some(count), Some(quantity), Some(amount), Some(before)) =
            (self.taken_count, &self.taken_quantity, self.taken_amount, self.balance_before)
        else {
            return Ok(None);
        };
        let quantity = stored::quantity(quantity)?;
        let credit = |column, amount: i64| match u64::try_from(amount) {
            Ok(amount) => Ok(Credit { quantity, amount }),
            Err(_) => Err(bad_column(column, amount.to_string())),
        };
        let count =
            u32::try_from(count).map_err(|_| bad_column("taken_count", count.to_string()))?;
        let purchase =
            Purchase { count: PurchaseCount::new(count), credit: credit("taken_amount", amount)? };
        Ok(Some(Taking { purchase, before: credit("balance_before", before)? }))
    }
}

fn state(name: &str) -> Result<ActState> {
    ActState::from_name(name).ok_or_else(|| bad_column("state", name))
}

impl TryFrom<Row> for StoredAct {
    type Error = ServiceError;
    fn try_from(row: Row) -> Result<StoredAct> {
        let currency = stored::currency(&row.currency)?;
        let taking = row.taking()?;
        Ok(StoredAct {
            taking,
            of_act: maybe("of_act_id", row.of_act_id)?,
            act_id: row
                .counter_act_id
                .parse()
                .map_err(|_| bad_column("counter_act_id", &row.counter_act_id))?,
            kind: ActKind::from_name(&row.kind).ok_or_else(|| bad_column("kind", &row.kind))?,
            sale_id: maybe("sale_id", row.sale_id)?,
            meter_id: maybe("meter_id", row.meter_id)?,
            customer_id: row
                .customer_id
                .parse()
                .map_err(|_| bad_column("customer_id", &row.customer_id))?,
            channel: row.channel.as_deref().map(stored::channel).transpose()?,
            amount: Money::new(row.amount_minor, currency),
            reason: row.reason,
            operator: Actor::from_stored(row.operator_id.as_deref())?,
            day: stored::parsed("day", &row.day)?,
            pending: maybe("pending_transfer_id", row.pending_transfer_id)?,
            state: state(&row.state)?,
            created_at: UnixMs(row.created_at_ms),
            settled_at: row.settled_at_ms.map(UnixMs),
        })
    }
}

pub(super) async fn find(
    executor: impl AnyExecutor<'_>,
    id: CounterActId,
) -> Result<Option<StoredAct>> {
    let row: Option<Row> = sqlx::query_as("select * from counter_act where counter_act_id = $1")
        .bind(id.to_string())
        .fetch_optional(executor)
        .await?;
    row.map(StoredAct::try_from).transpose()
}

pub(super) async fn record(executor: impl AnyExecutor<'_>, id: CounterActId) -> Result<StoredAct> {
    let found = find(executor, id).await?;
    found.ok_or_else(|| ServiceError::NotFound { what: "counter act", id: id.to_string() })
}

/// The one that has taken a sale or another act back, or that asks to.
pub(super) async fn taking_back(
    executor: impl AnyExecutor<'_>,
    sale_or_act: Uuid,
) -> Result<Option<StoredAct>> {
    let row: Option<Row> = sqlx::query_as(
        "select * from counter_act
         where (sale_id = $1 or of_act_id = $1) and state not in ('refused', 'cancelled')",
    )
    .bind(sale_or_act.to_string())
    .fetch_optional(executor)
    .await?;
    row.map(StoredAct::try_from).transpose()
}

pub(super) async fn list(
    executor: impl AnyExecutor<'_>,
    customer: Option<CustomerId>,
    page: &Bound,
) -> Result<Vec<StoredAct>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select * from counter_act
         where ($1 is null or customer_id = $1)
           and ($2 is null or (created_at_ms, counter_act_id) <
                (select created_at_ms, counter_act_id from counter_act
                 where counter_act_id = $2))
         order by created_at_ms desc, counter_act_id desc limit $3",
    )
    .bind(customer.map(|id| id.to_string()))
    .bind(&page.after)
    .bind(page.limit)
    .fetch_all(executor)
    .await?;
    rows.into_iter().map(StoredAct::try_from).collect()
}

pub(super) async fn unsettled(executor: impl AnyExecutor<'_>) -> Result<Vec<StoredAct>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select * from counter_act where state in ('waiting', 'reserved', 'dispatched', 'unresolved')
         order by created_at_ms, counter_act_id",
    )
    .fetch_all(executor)
    .await?;
    rows.into_iter().map(StoredAct::try_from).collect()
}

/// One whose outcome depends on the device's record as it stands, so that nothing may be sold meanwhile.
pub(crate) async fn unsettled_of_meter(
    executor: impl AnyExecutor<'_>,
    meter: MeterId,
) -> Result<Option<CounterActId>> {
    let id: Option<String> = sqlx::query_scalar(
        "select counter_act_id from counter_act
         where meter_id = $1 and state in ('reserved', 'dispatched', 'unresolved')",
    )
    .bind(meter.to_string())
    .fetch_optional(executor)
    .await?;
    maybe("counter_act_id", id)
}

pub(super) async fn insert(connection: &mut Connection, act: &StoredAct) -> Result<()> {
    sqlx::query(
        "insert into counter_act (counter_act_id, kind, sale_id, meter_id, customer_id, channel,
                                  amount_minor, currency, reason, operator_id, day, state,
                                  created_at_ms, of_act_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
    )
    .bind(act.act_id.to_string())
    .bind(act.kind.name())
    .bind(act.sale_id.map(|id| id.to_string()))
    .bind(act.meter_id.map(|id| id.to_string()))
    .bind(act.customer_id.to_string())
    .bind(act.channel.map(Channel::name))
    .bind(act.amount.minor())
    .bind(act.amount.currency().code())
    .bind(&act.reason)
    .bind(act.operator.stored())
    .bind(act.day.to_string())
    .bind(act.state.name())
    .bind(act.created_at.0)
    .bind(act.of_act.map(|id| id.to_string()))
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn keep_pending(
    connection: &mut Connection,
    id: CounterActId,
    pending: TransferId,
) -> Result<()> {
    sqlx::query("update counter_act set pending_transfer_id = $1 where counter_act_id = $2")
        .bind(pending.to_string())
        .bind(id.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn history(
    executor: impl AnyExecutor<'_>,
    id: CounterActId,
) -> Result<Vec<ActNote>> {
    let rows: Vec<(i64, String, String)> = sqlx::query_as(
        "select at_ms, state, detail from counter_act_event
         where counter_act_id = $1 order by counter_act_event_id",
    )
    .bind(id.to_string())
    .fetch_all(executor)
    .await?;
    let note = |(at_ms, name, detail): (i64, String, String)| {
        Ok(ActNote { at: UnixMs(at_ms), state: state(&name)?, detail })
    };
    rows.into_iter().map(note).collect()
}

/// One event on its way to an act.
#[derive(Debug)]
pub(super) struct Step {
    id: CounterActId,
    pub(super) at: UnixMs,
    /// Of the post or void, where the event leads to one; a random one where it cannot.
    pub(super) transfer_id: TransferId,
    detail: String,
    audit: Option<(Actor, &'static str)>,
    /// Where the device stands afterwards, if it was asked.
    count: Option<PurchaseCount>,
    /// Kept when the act is dispatched.
    taking: Option<Taking>,
}

impl Step {
    pub(super) fn new(service: &Service, id: CounterActId, detail: impl Into<String>) -> Step {
        let transfer_id = TransferId::new(service.clock().id());
        let (at, detail) = (service.clock().at(), detail.into());
        Step { id, at, transfer_id, detail, audit: None, count: None, taking: None }
    }

    /// For what ends an act that waits: nothing of it is in the ledger.
    pub(super) fn at(id: CounterActId, detail: &str, at: UnixMs) -> Step {
        let (transfer_id, detail) = (TransferId::new(Uuid::nil()), detail.to_owned());
        Step { id, at, transfer_id, detail, audit: None, count: None, taking: None }
    }

    pub(super) fn act_id(&self) -> CounterActId {
        self.id
    }

    pub(super) fn at_count(self, count: PurchaseCount) -> Step {
        Step { count: Some(count), ..self }
    }

    pub(super) fn taking(self, taking: Taking) -> Step {
        Step { taking: Some(taking), ..self }
    }

    /// A person's act: it goes into the trail in the same transaction.
    pub(super) fn audited(mut self, actor: &Actor, act: &'static str) -> Step {
        self.audit = Some((actor.clone(), act));
        self
    }
}

/// One line of an act's history, and of the trail where a person acts.
pub(super) async fn note(tx: &mut Transaction, step: &Step, state: ActState) -> Result<()> {
    sqlx::query(
        "insert into counter_act_event (counter_act_id, at_ms, state, detail)
         values ($1, $2, $3, $4)",
    )
    .bind(step.id.to_string())
    .bind(step.at.0)
    .bind(state.name())
    .bind(&step.detail)
    .execute(tx.connection())
    .await?;
    if let Some((actor, act)) = &step.audit {
        let object = format!("counter-act/{}", step.id);
        let act = Act { at: step.at, actor, act, object, detail: &step.detail };
        audit::record(tx.connection(), act).await?;
    }
    Ok(())
}

/// The state stays; the history says what was tried.
pub(super) async fn note_only(service: &Service, step: Step) -> Result<()> {
    service
        .database()
        .write(move |tx| {
            Box::pin(async move {
                let state = record(&mut *tx.connection(), step.id).await?.state;
                note(tx, &step, state).await
            })
        })
        .await
}

/// One transaction: what `domain::ActState` says follows, its history, and its money.
pub(super) async fn advance(service: &Service, step: Step, event: ActEvent) -> Result<ActState> {
    service
        .database()
        .write(move |tx| Box::pin(async move { advance_in(tx, step, event).await }))
        .await
}

pub(super) async fn advance_in(
    tx: &mut Transaction,
    step: Step,
    event: ActEvent,
) -> Result<ActState> {
    let act = record(&mut *tx.connection(), step.id).await?;
    let Some(next) = act.state.after(&event) else {
        let event = match event {
            ActEvent::Approved => "approved",
            ActEvent::Withdrawn => "taken back",
            ActEvent::Booked => "booked",
            ActEvent::Proved(_) => "proved",
            ActEvent::Dispatched => "told to its device",
            ActEvent::Taken(_) => "ended by its device",
            ActEvent::Decided { .. } => "decided",
        };
        return Err(super::out_of_order(&act, event));
    };
    let taking = if next == ActState::Reserved { None } else { step.taking.or(act.taking) };
    update(tx.connection(), &act, next, taking, step.at).await?;
    note(tx, &step, next).await?;
    match (next, act.pending) {
        (ActState::Confirmed, Some(pending)) => {
            polymeter_ledger::post(tx, step.transfer_id, pending, step.at.0).await?;
            confirmed(tx.connection(), &act, step.count, step.at).await?;
        }
        (ActState::Confirmed, None) => {
            take_back(tx, &act, &step).await?;
            if let Some(sale) = act.sale_id {
                let sale = crate::sale::stored(&mut *tx.connection(), sale).await?;
                sale.owe_again(tx.connection()).await?;
            }
            confirmed(tx.connection(), &act, step.count, step.at).await?;
        }
        (ActState::Refused | ActState::Cancelled, Some(pending)) => {
            polymeter_ledger::void(tx, step.transfer_id, pending, step.at.0).await?;
        }
        (ActState::Cancelled, None) => {
            let actor = step.audit.as_ref().map_or(&Actor::System, |(actor, _)| actor);
            let object = format!("counter-act/{}", act.act_id);
            approval::withdraw(tx.connection(), &object, actor, step.at).await?;
        }
        _ => {}
    }
    Ok(next)
}

/// Guarded by the state that the event was given, so that no two writers can follow one state.
async fn update(
    connection: &mut Connection,
    act: &StoredAct,
    next: ActState,
    taking: Option<Taking>,
    at: UnixMs,
) -> Result<()> {
    let whole = |column, amount: u64| {
        i64::try_from(amount).map_err(|_| bad_column(column, amount.to_string()))
    };
    let amount = taking.map(|it| whole("taken_amount", it.purchase.credit.amount)).transpose()?;
    let before = taking.map(|it| whole("balance_before", it.before.amount)).transpose()?;
    let updated = sqlx::query(
        "update counter_act set state = $1, settled_at_ms = $2, taken_count = $5,
                taken_quantity = $6, taken_amount = $7, balance_before = $8
         where counter_act_id = $3 and state = $4",
    )
    .bind(next.name())
    .bind(next.is_settled().then_some(at.0))
    .bind(act.act_id.to_string())
    .bind(act.state.name())
    .bind(taking.map(|it| i64::from(it.purchase.count.get())))
    .bind(taking.map(|it| stored::quantity_name(it.purchase.credit.quantity)))
    .bind(amount)
    .bind(before)
    .execute(connection)
    .await?;
    if updated.rows_affected() == 1 {
        return Ok(());
    }
    Err(super::out_of_order(act, "carried on twice at once"))
}
