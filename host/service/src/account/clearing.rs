//! Emptying the purse of a meter that no customer has (清零), so that what was carried over or paid out is
//! not used a second time.
//!
//! Invariant: above the site's limit nobody empties a meter that still holds money without a second
//! person's word for as much. Not here: the clearings of a swap and of a closing, whose money is booked.

use super::Why;
use super::money::money;
use crate::approvable::Approvable;
use crate::approval::{self, Asking};
use crate::audit::{self, Act, Actor};
use crate::clock::UnixMs;
use crate::driver::Kind;
use crate::error::{Result, ServiceError, bad_column, chain};
use crate::meter::{self, AccountState};
use crate::{Service, stored, to_the_end};
use polymeter_domain::{ApprovalId, Delivery, MeterClearingId, MeterId, Money};
use polymeter_ledger::{Connection, Transaction};
use polymeter_transport::Priority;
use sqlx::{AnyExecutor, AssertSqlSafe};

named! {
    MeterClearingState, "state":
    Waiting = "waiting",
    /// A second person agreed; the device has not said yes yet.
    Approved = "approved",
    Cleared = "cleared", Abandoned = "abandoned",
}

/// A clearing that took a second person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterClearing {
    pub clearing_id: MeterClearingId,
    pub meter_id: MeterId,
    /// What the device held when it was asked for; 0 where nobody knows what that is worth.
    pub held: Money,
    pub reason: String,
    pub operator: Actor,
    pub state: MeterClearingState,
}

/// What became of a wish to empty a meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clearing {
    /// The device says that it is empty.
    Done,
    /// A second person has to agree first.
    Waits(ApprovalId),
}

#[derive(sqlx::FromRow)]
struct Row {
    meter_clearing_id: String,
    meter_id: String,
    held_minor: i64,
    currency: String,
    reason: String,
    operator_id: Option<String>,
    state: String,
}

impl TryFrom<Row> for MeterClearing {
    type Error = ServiceError;
    fn try_from(row: Row) -> Result<MeterClearing> {
        Ok(MeterClearing {
            clearing_id: stored::parsed("meter_clearing_id", &row.meter_clearing_id)?,
            meter_id: stored::parsed("meter_id", &row.meter_id)?,
            held: Money::new(row.held_minor, stored::currency(&row.currency)?),
            reason: row.reason,
            operator: Actor::from_stored(row.operator_id.as_deref())?,
            state: MeterClearingState::from_name(&row.state)?,
        })
    }
}

const COLUMNS: &str =
    "select meter_clearing_id, meter_id, held_minor, currency, reason, operator_id, state
     from meter_clearing";

async fn find(executor: impl AnyExecutor<'_>, id: MeterClearingId) -> Result<MeterClearing> {
    let row: Option<Row> =
        sqlx::query_as(AssertSqlSafe(format!("{COLUMNS} where meter_clearing_id = $1")))
            .bind(id.to_string())
            .fetch_optional(executor)
            .await?;
    let (what, id) = ("clearing of a meter", id.to_string());
    row.ok_or(ServiceError::NotFound { what, id })?.try_into()
}

/// The one of a meter that waits, or that was agreed to and is not done.
async fn open_of(executor: impl AnyExecutor<'_>, meter: MeterId) -> Result<Option<MeterClearing>> {
    let row: Option<Row> = sqlx::query_as(AssertSqlSafe(format!(
        "{COLUMNS} where meter_id = $1 and state in ('waiting', 'approved')"
    )))
    .bind(meter.to_string())
    .fetch_optional(executor)
    .await?;
    row.map(MeterClearing::try_from).transpose()
}

impl Service {
    /// Empties the purse of a meter that no customer has (清零), by the driver, where the device can. Above
    /// the site's limit it waits for a second person. Safe to repeat.
    pub async fn clear_meter(&self, meter: MeterId, why: Why, actor: &Actor) -> Result<Clearing> {
        let why = why.checked()?;
        let (service, actor) = (self.clone(), actor.clone());
        to_the_end(async move {
            service.expire_approvals().await?;
            clear_or_ask(&service, meter, &why.reason, &actor).await
        })
        .await
    }

    pub async fn meter_clearing(&self, id: MeterClearingId) -> Result<MeterClearing> {
        find(self.reader(), id).await
    }

    /// Clearings that were agreed to and that a crash, or a silent device, left open.
    pub(crate) async fn resume_clearings(&self) -> Result<()> {
        let rows: Vec<Row> = sqlx::query_as(AssertSqlSafe(format!(
            "{COLUMNS} where state = 'approved' order by meter_clearing_id"
        )))
        .fetch_all(self.reader())
        .await?;
        for row in rows {
            let it = MeterClearing::try_from(row)?;
            if let Err(error) = follow(self, it.clearing_id).await {
                let why = chain(&error);
                tracing::error!(meter_id = %it.meter_id, why, "the clearing waits for a person");
            }
        }
        Ok(())
    }
}

async fn clear_or_ask(
    service: &Service,
    meter: MeterId,
    reason: &str,
    actor: &Actor,
) -> Result<Clearing> {
    if let Some(limit) = service.rules().approval.clear {
        let held = held(service, meter).await?;
        if service.rules().approval.is_needed_to_clear(held) {
            let held = held.unwrap_or(Money::new(0, limit.currency()));
            if let Some(waits) = ask(service, meter, held, reason, actor).await? {
                return Ok(Clearing::Waits(waits));
            }
        }
    }
    clear(service, meter, reason, actor).await?;
    Ok(Clearing::Done)
}

/// What a free meter says that it holds, in money; `None`: not nothing, and nobody knows its worth.
async fn held(service: &Service, meter: MeterId) -> Result<Option<Money>> {
    let reach = service.reach(meter, Kind::Read).await?;
    not_bound(service, meter).await?;
    let mut lease = reach.lease(Priority::Sale).await?;
    let evidence = service.check_device(&reach.pick, &reach.meter.device, &mut lease, None).await;
    service.keep_failure(&reach).await;
    drop(lease);
    Ok(match evidence?.balance {
        Some(credit) if credit.amount == 0 => Some(Money::new(0, service.currency())),
        balance => money(service, meter, balance).await?,
    })
}

async fn not_bound(service: &Service, meter: MeterId) -> Result<()> {
    let now = meter::record(service.reader(), meter).await?;
    if now.account == AccountState::None {
        return Ok(());
    }
    let what = format!("meter {}", now.serial_number);
    let why = "it is bound to a customer; only a free meter is cleared".to_owned();
    Err(ServiceError::Blocked { what, why })
}

/// `None`: a second person agreed to as much already.
async fn ask(
    service: &Service,
    meter: MeterId,
    held: Money,
    reason: &str,
    actor: &Actor,
) -> Result<Option<ApprovalId>> {
    let (inside, reason, actor) = (service.clone(), reason.to_owned(), actor.clone());
    service
        .database()
        .write(move |tx| {
            Box::pin(async move {
                let at = inside.clock().at();
                if let Some(open) = open_of(&mut *tx.connection(), meter).await? {
                    let enough = held.minor() <= open.held.minor();
                    if open.state == MeterClearingState::Approved && enough {
                        return Ok(None);
                    }
                    let object = Approvable::Clearing(open.clearing_id).to_string();
                    let waiting = approval::waiting_for(&mut *tx.connection(), &object).await?;
                    if let (Some(waiting), true) = (waiting, enough) {
                        return Ok(Some(waiting.approval_id));
                    }
                    // It holds more than anybody was asked about.
                    approval::withdraw(tx.connection(), &object, &actor, at).await?;
                    end(tx.connection(), open.clearing_id, MeterClearingState::Abandoned, at)
                        .await?;
                }
                let id = MeterClearingId::new(inside.clock().id());
                insert(tx.connection(), id, meter, held, &reason, &actor, at).await?;
                let object = Approvable::Clearing(id).to_string();
                let (act, reason, actor) = ("clearing", reason.as_str(), &actor);
                let asking = Asking { act, object, amount: held, reason, actor };
                Ok(Some(approval::ask(&inside, tx.connection(), asking).await?))
            })
        })
        .await
}

async fn insert(
    connection: &mut Connection,
    id: MeterClearingId,
    meter: MeterId,
    held: Money,
    reason: &str,
    actor: &Actor,
    at: UnixMs,
) -> Result<()> {
    sqlx::query(
        "insert into meter_clearing (meter_clearing_id, meter_id, held_minor, currency, reason,
                                     operator_id, created_at_ms, state)
         values ($1, $2, $3, $4, $5, $6, $7, 'waiting')",
    )
    .bind(id.to_string())
    .bind(meter.to_string())
    .bind(held.minor())
    .bind(held.currency().code())
    .bind(reason)
    .bind(actor.stored())
    .bind(at.0)
    .execute(connection)
    .await?;
    Ok(())
}

async fn end(
    connection: &mut Connection,
    id: MeterClearingId,
    state: MeterClearingState,
    at: UnixMs,
) -> Result<()> {
    sqlx::query(
        "update meter_clearing set state = $1, ended_at_ms = $2
         where meter_clearing_id = $3 and state in ('waiting', 'approved')",
    )
    .bind(state.name())
    .bind(at.0)
    .bind(id.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

/// A second person agreed.
pub(crate) async fn approved(tx: &mut Transaction, id: MeterClearingId) -> Result<()> {
    let it = find(&mut *tx.connection(), id).await?;
    if it.state != MeterClearingState::Waiting {
        let (what, id, state) = ("clearing of a meter", id.to_string(), it.state.name());
        return Err(ServiceError::WrongState { what, id, state, event: "approved" });
    }
    sqlx::query("update meter_clearing set state = 'approved' where meter_clearing_id = $1")
        .bind(id.to_string())
        .execute(tx.connection())
        .await?;
    Ok(())
}

pub(crate) async fn withdrawn(tx: &mut Transaction, id: MeterClearingId, at: UnixMs) -> Result<()> {
    end(tx.connection(), id, MeterClearingState::Abandoned, at).await
}

/// Empties what was agreed to. A meter that a customer has by now is not emptied any more.
pub(crate) async fn follow(service: &Service, id: MeterClearingId) -> Result<()> {
    let it = service.meter_clearing(id).await?;
    match clear_or_ask(service, it.meter_id, &it.reason, &it.operator).await {
        Ok(_) => Ok(()),
        Err(error @ ServiceError::Blocked { .. }) => {
            let at = service.clock().at();
            service
                .database()
                .write(move |tx| Box::pin(async move { withdrawn(tx, id, at).await }))
                .await?;
            Err(error)
        }
        Err(error) => Err(error),
    }
}

/// Asks the driver to empty the purse of a meter that has no customer, and keeps that it did.
pub(super) async fn clear(
    service: &Service,
    meter: MeterId,
    reason: &str,
    actor: &Actor,
) -> Result<()> {
    let reach = service.reach(meter, Kind::Change).await?;
    let mut lease = reach.lease(Priority::Sale).await?;
    // Under the lease: nothing opens it meanwhile.
    not_bound(service, meter).await?;
    let delivery = service.clear_device(&reach, &mut lease).await;
    service.keep_failure(&reach).await;
    let (detail, result) = match delivery {
        Delivery::Confirmed(receipt) => {
            if receipt.balance.is_some_and(|left| left.amount > 0) {
                let why = "the device says that it is cleared and still holds credit".to_owned();
                (why.clone(), Err(ServiceError::Unknown(why)))
            } else {
                ("confirmed".to_owned(), Ok(()))
            }
        }
        Delivery::Refused(refusal) => {
            let error = ServiceError::refused(&reach.pick.driver, "purse", refusal);
            (error.to_string(), Err(error))
        }
        Delivery::NotSent(why) => (format!("not sent: {why}"), Err(ServiceError::NotSent(why))),
        Delivery::Unknown(why) => (format!("unknown: {why}"), Err(ServiceError::Unknown(why))),
    };
    let (at, actor, is_cleared) = (service.clock().at(), actor.clone(), result.is_ok());
    let detail = format!("{reason}: {detail}");
    service
        .database()
        .write(move |tx| {
            Box::pin(async move {
                if is_cleared {
                    sqlx::query(
                        "update swap set old_purse = 'cleared'
                         where old_meter_id = $1 and state = 'switched'",
                    )
                    .bind(meter.to_string())
                    .execute(tx.connection())
                    .await?;
                    sqlx::query(
                        "update closing_meter set state = 'cleared'
                         where meter_id = $1 and state = 'kept'",
                    )
                    .bind(meter.to_string())
                    .execute(tx.connection())
                    .await?;
                    sqlx::query(
                        "update meter_clearing set state = 'cleared', ended_at_ms = $1
                         where meter_id = $2 and state = 'approved'",
                    )
                    .bind(at.0)
                    .bind(meter.to_string())
                    .execute(tx.connection())
                    .await?;
                    sqlx::query("update meter set purchase_count = null where meter_id = $1")
                        .bind(meter.to_string())
                        .execute(tx.connection())
                        .await?;
                }
                let (act, object) = ("meter-cleared", format!("meter/{meter}"));
                let act = Act { at, actor: &actor, act, object, detail: &detail };
                audit::record(tx.connection(), act).await
            })
        })
        .await?;
    drop(lease);
    service.look_again(&reach).await;
    result
}
