//! Meters out of service for a time: suspended (报停), so that nothing is sold or charged, and with a
//! bypassed switch (旁路), so that nothing is switched.
//!
//! Invariant: each lasts at most once per meter (a partial unique index), and has a reason at both
//! ends. Not here: who asks whether one lasts (sale, supply, billing).

use super::application;
use super::file::{self, Change, Why};
use crate::Service;
use crate::audit::{self, Act, Actor};
use crate::clock::UnixMs;
use crate::error::{Result, ServiceError, bad_column};
use crate::meter::{self, AccountState, MeterRecord};
use crate::stored;
use polymeter_domain::{HoldId, MeterId, SupplyCommand, SupplyState};
use polymeter_ledger::Transaction;
use sqlx::AnyExecutor;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldKind {
    /// 报停: no sales, no fees, supply disconnected.
    Suspended,
    /// The switch is taken out by hand after a fault, and put back later.
    Bypassed,
}

impl HoldKind {
    pub fn name(self) -> &'static str {
        match self {
            HoldKind::Suspended => "suspended",
            HoldKind::Bypassed => "bypassed",
        }
    }

    fn from_name(name: &str) -> Result<HoldKind> {
        match name {
            "suspended" => Ok(HoldKind::Suspended),
            "bypassed" => Ok(HoldKind::Bypassed),
            _ => Err(bad_column("kind", name)),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    pub hold_id: HoldId,
    pub meter_id: MeterId,
    pub kind: HoldKind,
    pub from: UnixMs,
    pub to: Option<UnixMs>,
    pub reason: String,
    /// Empty while it lasts.
    pub end_reason: String,
    pub operator: Actor,
}

/// A suspension or its end, and what became of the switch.
#[derive(Debug)]
pub struct Held {
    pub hold: Hold,
    /// What the device reported; an error where it did not switch: the hold counts all the same.
    pub supply: Result<SupplyState>,
}

#[derive(sqlx::FromRow)]
struct Row {
    hold_id: String,
    meter_id: String,
    kind: String,
    from_ms: i64,
    to_ms: Option<i64>,
    reason: String,
    end_reason: String,
    operator_id: Option<String>,
}

impl TryFrom<Row> for Hold {
    type Error = ServiceError;
    fn try_from(row: Row) -> Result<Hold> {
        Ok(Hold {
            hold_id: stored::parsed("hold_id", &row.hold_id)?,
            meter_id: stored::parsed("meter_id", &row.meter_id)?,
            kind: HoldKind::from_name(&row.kind)?,
            from: UnixMs(row.from_ms),
            to: row.to_ms.map(UnixMs),
            reason: row.reason,
            end_reason: row.end_reason,
            operator: Actor::from_stored(row.operator_id.as_deref())?,
        })
    }
}

async fn lasting(
    executor: impl AnyExecutor<'_>,
    meter: MeterId,
    kind: HoldKind,
) -> Result<Option<Hold>> {
    let row: Option<Row> =
        sqlx::query_as("select * from hold where meter_id = $1 and kind = $2 and to_ms is null")
            .bind(meter.to_string())
            .bind(kind.name())
            .fetch_optional(executor)
            .await?;
    row.map(Hold::try_from).transpose()
}

/// Refuses a suspended meter: nothing is sold to it, and nothing connects it but its resumption.
pub(crate) async fn not_suspended(
    executor: impl AnyExecutor<'_>,
    meter: &MeterRecord,
) -> Result<()> {
    let why = |reason| format!("it is suspended ({reason}); resume it first");
    not_held(executor, meter, HoldKind::Suspended, why).await
}

/// Refuses a meter whose switch is bypassed: a command to it would say what is not so.
pub(crate) async fn not_bypassed(
    executor: impl AnyExecutor<'_>,
    meter: &MeterRecord,
) -> Result<()> {
    let why = |reason| format!("its switch is bypassed ({reason}); put it back first");
    not_held(executor, meter, HoldKind::Bypassed, why).await
}

async fn not_held(
    executor: impl AnyExecutor<'_>,
    meter: &MeterRecord,
    kind: HoldKind,
    why: impl Fn(String) -> String,
) -> Result<()> {
    match lasting(executor, meter.meter_id, kind).await? {
        None => Ok(()),
        Some(hold) => Err(ServiceError::Blocked {
            what: format!("meter {}", meter.serial_number),
            why: why(hold.reason),
        }),
    }
}

impl Service {
    /// Every hold of a meter, newest first.
    pub async fn holds(&self, meter: MeterId) -> Result<Vec<Hold>> {
        meter::record(self.reader(), meter).await?;
        let rows: Vec<Row> = sqlx::query_as(
            "select * from hold where meter_id = $1 order by from_ms desc, hold_id desc",
        )
        .bind(meter.to_string())
        .fetch_all(self.reader())
        .await?;
        rows.into_iter().map(Hold::try_from).collect()
    }

    /// Suspends supply (报停): from now on nothing is sold, then the device is told to disconnect. One
    /// that does not answer is suspended all the same; the caller sees why and may switch it later.
    pub async fn suspend(&self, meter: MeterId, why: Why, actor: &Actor) -> Result<Held> {
        let hold = self.begin_hold(meter, HoldKind::Suspended, why, actor).await?;
        let supply = self.control(meter, SupplyCommand::Disconnect, actor).await;
        Ok(Held { hold, supply })
    }

    /// Resumes supply (复电). The customer closes the breaker by hand: nobody at the counter knows who
    /// stands at the wires. What is owed keeps it disconnected: then it comes back by payment.
    pub async fn resume_supply(&self, meter: MeterId, why: Why, actor: &Actor) -> Result<Held> {
        let hold = self.end_hold(meter, HoldKind::Suspended, why, actor).await?;
        let supply = match self.keep_cut(meter).await? {
            Some(unpaid) => Err(unpaid),
            None => self.control(meter, SupplyCommand::AllowConnection, actor).await,
        };
        Ok(Held { hold, supply })
    }

    /// Records that the switch was taken out by hand; nothing is sent to it until it is back.
    pub async fn bypass(&self, meter: MeterId, why: Why, actor: &Actor) -> Result<Hold> {
        self.begin_hold(meter, HoldKind::Bypassed, why, actor).await
    }

    pub async fn end_bypass(&self, meter: MeterId, why: Why, actor: &Actor) -> Result<Hold> {
        self.end_hold(meter, HoldKind::Bypassed, why, actor).await
    }

    async fn begin_hold(
        &self,
        meter: MeterId,
        kind: HoldKind,
        why: Why,
        actor: &Actor,
    ) -> Result<Hold> {
        let why = why.checked()?;
        let (id, at, actor) = (HoldId::new(self.clock().id()), self.clock().at(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    let meter = meter::record(&mut *tx.connection(), meter).await?;
                    if let Some(hold) = lasting(&mut *tx.connection(), meter.meter_id, kind).await?
                    {
                        let why = format!("it is {} already ({})", kind.name(), hold.reason);
                        let what = format!("meter {}", meter.serial_number);
                        return Err(ServiceError::Blocked { what, why });
                    }
                    if kind == HoldKind::Suspended {
                        if meter.account != AccountState::Open {
                            let serial_number = meter.serial_number;
                            return Err(ServiceError::NotOpened { serial_number });
                        }
                        crate::sale::none_unsettled(tx.connection(), &meter).await?;
                    }
                    insert(tx, id, at, kind, &meter, &why, &actor).await?;
                    note(tx, at, kind, &meter, &why, &actor, Turn::Begins).await?;
                    let hold = lasting(&mut *tx.connection(), meter.meter_id, kind).await?;
                    hold.ok_or_else(|| bad_column("hold_id", id.to_string()))
                })
            })
            .await
    }

    async fn end_hold(
        &self,
        meter: MeterId,
        kind: HoldKind,
        why: Why,
        actor: &Actor,
    ) -> Result<Hold> {
        let why = why.checked()?;
        let (at, actor) = (self.clock().at(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    let meter = meter::record(&mut *tx.connection(), meter).await?;
                    let held = lasting(&mut *tx.connection(), meter.meter_id, kind).await?;
                    let Some(held) = held else {
                        let what = format!("meter {}", meter.serial_number);
                        let why = format!("it is not {}", kind.name());
                        return Err(ServiceError::Blocked { what, why });
                    };
                    sqlx::query("update hold set to_ms = $1, end_reason = $2 where hold_id = $3")
                        .bind(at.0)
                        .bind(&why.reason)
                        .bind(held.hold_id.to_string())
                        .execute(tx.connection())
                        .await?;
                    note(tx, at, kind, &meter, &why, &actor, Turn::Ends).await?;
                    Ok(Hold { to: Some(at), end_reason: why.reason, ..held })
                })
            })
            .await
    }
}

async fn insert(
    tx: &mut Transaction,
    id: HoldId,
    at: UnixMs,
    kind: HoldKind,
    meter: &MeterRecord,
    why: &Why,
    actor: &Actor,
) -> Result<()> {
    sqlx::query(
        "insert into hold (hold_id, meter_id, kind, from_ms, reason, end_reason, operator_id)
         values ($1, $2, $3, $4, $5, '', $6)",
    )
    .bind(id.to_string())
    .bind(meter.meter_id.to_string())
    .bind(kind.name())
    .bind(at.0)
    .bind(&why.reason)
    .bind(actor.stored())
    .execute(tx.connection())
    .await?;
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Begins,
    Ends,
}

/// The lines of a hold in the file and in the trail, and the end of its application.
async fn note(
    tx: &mut Transaction,
    at: UnixMs,
    kind: HoldKind,
    meter: &MeterRecord,
    why: &Why,
    actor: &Actor,
    turn: Turn,
) -> Result<()> {
    let (was, is) = match turn {
        Turn::Begins => ("in service", kind.name()),
        Turn::Ends => (kind.name(), "in service"),
    };
    let (customer, id, field) = (meter.customer_id, Some(meter.meter_id), "service");
    let change = Change { at, actor, why, customer, meter: id, field, old: was, new: is };
    file::record(tx.connection(), change).await?;
    if let (HoldKind::Suspended, Some(customer)) = (kind, customer) {
        let asked: &[&str] =
            if turn == Turn::Begins { &["suspension"] } else { &["resumption", "suspension"] };
        let outcome = format!("meter {} is {is}", meter.serial_number);
        application::finish(tx, at, why, customer, asked, &outcome).await?;
    }
    let act = match (kind, turn) {
        (HoldKind::Suspended, Turn::Begins) => "meter-suspended",
        (HoldKind::Suspended, Turn::Ends) => "meter-resumed",
        (HoldKind::Bypassed, Turn::Begins) => "switch-bypassed",
        (HoldKind::Bypassed, Turn::Ends) => "switch-put-back",
    };
    let (object, detail) = (format!("meter/{}", meter.meter_id), &why.reason);
    audit::record(tx.connection(), Act { at, actor, act, object, detail }).await
}
