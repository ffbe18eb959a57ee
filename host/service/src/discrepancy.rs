//! Discrepancies: a meter's figures that are not ours, opened on whatever contact shows them, closed by
//! an operator with a reason.
//!
//! Invariant: one open record for each story of a meter; what was closed is not opened again by the same
//! figures. Nothing is refused because of one: the device's count rules, and a person looks into it.
//! Not here: what a difference means (`domain::Story`).

use crate::Service;
use crate::audit::{self, Act, Actor};
use crate::clock::UnixMs;
use crate::customer::typed_not_empty;
use crate::error::{Result, ServiceError, bad_column};
use crate::limits::MAX_REASON_CHARS;
use crate::page::Page;
use crate::stored;
use polymeter_domain::{Credit, DiscrepancyId, Evidence, MeterId, Purchase, PurchaseCount, Story};
use polymeter_ledger::Connection;
use sqlx::AnyExecutor;

/// One difference, as it was seen last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discrepancy {
    pub discrepancy_id: DiscrepancyId,
    pub meter_id: MeterId,
    pub story: Story,
    /// What was being done when it was seen first: `sale/<id>`, `reading/<id>` ...
    pub seen_by: String,
    pub known_count: Option<u32>,
    pub device_count: u32,
    pub known: Option<Credit>,
    pub device: Option<Credit>,
    pub times: u64,
    pub opened_at: UnixMs,
    pub last_at: UnixMs,
    pub closed: Option<Closed>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    pub at: UnixMs,
    pub by: Actor,
    pub reason: String,
}

/// A difference on its way into the table.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub meter_id: MeterId,
    pub story: Story,
    pub by: String,
    pub known_count: Option<u32>,
    pub device_count: u32,
    pub known: Option<Credit>,
    pub device: Option<Credit>,
}

impl Seen {
    /// Of a purchase that the device's record neither proves nor disproves.
    pub(crate) fn unproved(
        meter_id: MeterId,
        by: String,
        asked: Purchase,
        seen: &Evidence,
    ) -> Seen {
        Seen {
            meter_id,
            story: Story::of_unproved(asked, seen),
            by,
            known_count: Some(asked.count.get()),
            device_count: seen.count.get(),
            known: Some(asked.credit),
            device: seen.purchase.map(|found| found.credit),
        }
    }
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    discrepancy_id: String,
    meter_id: String,
    story: String,
    seen_by: String,
    known_count: Option<i64>,
    device_count: i64,
    known_amount: Option<i64>,
    device_amount: Option<i64>,
    quantity: Option<String>,
    times: i64,
    opened_at_ms: i64,
    last_at_ms: i64,
    closed_at_ms: Option<i64>,
    operator_id: Option<String>,
    reason: Option<String>,
}

fn count(column: &'static str, number: i64) -> Result<u32> {
    u32::try_from(number).map_err(|_| bad_column(column, number.to_string()))
}

impl TryFrom<Row> for Discrepancy {
    type Error = ServiceError;
    fn try_from(row: Row) -> Result<Discrepancy> {
        let quantity = row.quantity.as_deref().map(stored::quantity).transpose()?;
        let credit = |amount: Option<i64>| {
            let amount = u64::try_from(amount?).ok()?;
            Some(Credit { quantity: quantity?, amount })
        };
        let closed = match (row.closed_at_ms, row.reason) {
            (Some(at_ms), Some(reason)) => {
                let by = Actor::from_stored(row.operator_id.as_deref())?;
                Some(Closed { at: UnixMs(at_ms), by, reason })
            }
            _ => None,
        };
        Ok(Discrepancy {
            discrepancy_id: row
                .discrepancy_id
                .parse()
                .map_err(|_| bad_column("discrepancy_id", &row.discrepancy_id))?,
            meter_id: stored::parsed("meter_id", &row.meter_id)?,
            story: Story::from_name(&row.story).ok_or_else(|| bad_column("story", &row.story))?,
            seen_by: row.seen_by,
            known_count: row.known_count.map(|it| count("known_count", it)).transpose()?,
            device_count: count("device_count", row.device_count)?,
            known: credit(row.known_amount),
            device: credit(row.device_amount),
            times: u64::try_from(row.times).unwrap_or_default(),
            opened_at: UnixMs(row.opened_at_ms),
            last_at: UnixMs(row.last_at_ms),
            closed,
        })
    }
}

async fn record(executor: impl AnyExecutor<'_>, id: DiscrepancyId) -> Result<Discrepancy> {
    let row: Option<Row> = sqlx::query_as("select * from discrepancy where discrepancy_id = $1")
        .bind(id.to_string())
        .fetch_optional(executor)
        .await?;
    row.ok_or_else(|| ServiceError::NotFound { what: "discrepancy", id: id.to_string() })?
        .try_into()
}

/// An amount beyond 63 bits is left out: the story stands without it.
fn amount(credit: Option<Credit>) -> Option<i64> {
    i64::try_from(credit?.amount).ok()
}

/// Opens the record, or counts it up where it is open already.
pub(crate) async fn see(service: &Service, connection: &mut Connection, seen: &Seen) -> Result<()> {
    let at = service.clock().at();
    let id = DiscrepancyId::new(service.clock().id());
    let again = sqlx::query(
        "update discrepancy set times = times + 1, last_at_ms = $1, known_count = $2,
                device_count = $3, known_amount = $4, device_amount = $5
         where meter_id = $6 and story = $7 and closed_at_ms is null",
    )
    .bind(at.0)
    .bind(seen.known_count.map(i64::from))
    .bind(i64::from(seen.device_count))
    .bind(amount(seen.known))
    .bind(amount(seen.device))
    .bind(seen.meter_id.to_string())
    .bind(seen.story.name())
    .execute(&mut *connection)
    .await?;
    if again.rows_affected() > 0 || is_explained(connection, seen).await? {
        return Ok(());
    }
    let quantity = seen.device.or(seen.known).map(|it| stored::quantity_name(it.quantity));
    sqlx::query(
        "insert into discrepancy (discrepancy_id, meter_id, story, seen_by, known_count,
                                  device_count, known_amount, device_amount, quantity, times,
                                  opened_at_ms, last_at_ms)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1, $10, $10)",
    )
    .bind(id.to_string())
    .bind(seen.meter_id.to_string())
    .bind(seen.story.name())
    .bind(&seen.by)
    .bind(seen.known_count.map(i64::from))
    .bind(i64::from(seen.device_count))
    .bind(amount(seen.known))
    .bind(amount(seen.device))
    .bind(quantity)
    .bind(at.0)
    .execute(&mut *connection)
    .await?;
    let (meter, story) = (seen.meter_id, seen.story.name());
    tracing::warn!(meter_id = %meter, story, "the device's story is not ours");
    let known = seen.known_count.map_or_else(|| "none".to_owned(), |it| it.to_string());
    let detail = format!(
        "{story} at meter/{meter}: count {known} known, {} in the device, found by {}",
        seen.device_count, seen.by
    );
    let (actor, object) = (&Actor::System, format!("discrepancy/{id}"));
    let act = Act { at, actor, act: "discrepancy-opened", object, detail: &detail };
    audit::record(connection, act).await
}

/// Somebody closed the very same figures before.
async fn is_explained(connection: &mut Connection, seen: &Seen) -> Result<bool> {
    let closed: Option<i64> = sqlx::query_scalar(
        "select times from discrepancy
         where meter_id = $1 and story = $2 and closed_at_ms is not null
           and coalesce(known_count, -1) = $3 and device_count = $4
           and coalesce(device_amount, -1) = $5 limit 1",
    )
    .bind(seen.meter_id.to_string())
    .bind(seen.story.name())
    .bind(seen.known_count.map_or(-1, i64::from))
    .bind(i64::from(seen.device_count))
    .bind(amount(seen.device).unwrap_or(-1))
    .fetch_optional(connection)
    .await?;
    Ok(closed.is_some())
}

/// What the last purchase was that we proved, under the count that we know.
pub(crate) async fn known_last(
    executor: impl AnyExecutor<'_>,
    meter: MeterId,
    known: i64,
) -> Result<Option<Credit>> {
    let last: Option<(String, i64)> = sqlx::query_as(
        "select quantity, amount from
             (select quantity, amount, created_at_ms from sale
              where meter_id = $1 and state = 'confirmed' and purchase_count = $2
              union all
              select taken_quantity, taken_amount, created_at_ms from counter_act
              where meter_id = $1 and state = 'confirmed' and taken_count = $2) as known
         order by created_at_ms desc limit 1",
    )
    .bind(meter.to_string())
    .bind(known)
    .fetch_optional(executor)
    .await?;
    let Some((quantity, amount)) = last else { return Ok(None) };
    let quantity = stored::quantity(&quantity)?;
    Ok(u64::try_from(amount).ok().map(|amount| Credit { quantity, amount }))
}

impl Service {
    /// Compares what a device says with what is known of it, and keeps a difference. `known` is what
    /// was known before the device was asked.
    pub(crate) async fn compare_counts(
        &self,
        meter_id: MeterId,
        known: Option<i64>,
        seen: Evidence,
        by: String,
    ) -> Result<()> {
        let Some(count) = known.and_then(|known| u32::try_from(known).ok()) else {
            return Ok(());
        };
        let last = match seen.purchase {
            Some(_) => known_last(self.reader(), meter_id, i64::from(count)).await?,
            None => None,
        };
        let Some(story) = Story::of(count, last, seen.clone()) else { return Ok(()) };
        let seen = Seen {
            meter_id,
            story,
            by,
            known_count: Some(count),
            device_count: seen.count.get(),
            known: last,
            device: seen.purchase.map(|last| last.credit),
        };
        let service = self.clone();
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    // A sale that was settled meanwhile has made the comparison worthless.
                    let now: Option<i64> =
                        sqlx::query_scalar("select purchase_count from meter where meter_id = $1")
                            .bind(meter_id.to_string())
                            .fetch_one(tx.connection())
                            .await?;
                    if now == known { see(&service, tx.connection(), &seen).await } else { Ok(()) }
                })
            })
            .await
    }

    /// The count alone, as a reading brings it.
    pub(crate) async fn compare_reading(
        &self,
        meter_id: MeterId,
        known: Option<i64>,
        count: Option<PurchaseCount>,
        by: String,
    ) -> Result<()> {
        let Some(count) = count else { return Ok(()) };
        // While a purchase may be on its way the device may be ahead of us for good reason.
        let open: Option<String> = sqlx::query_scalar(
            "select sale_id from sale where meter_id = $1
             and state in ('reserved', 'dispatched', 'unresolved')",
        )
        .bind(meter_id.to_string())
        .fetch_optional(self.reader())
        .await?;
        if open.is_some() {
            return Ok(());
        }
        let seen = Evidence { count, purchase: None, balance: None };
        self.compare_counts(meter_id, known, seen, by).await
    }

    pub async fn discrepancy(&self, id: DiscrepancyId) -> Result<Discrepancy> {
        record(self.reader(), id).await
    }

    /// Newest first; of one meter or of all, all or only the open ones.
    pub async fn discrepancies(
        &self,
        meter: Option<MeterId>,
        open: bool,
        page: &Page,
    ) -> Result<Vec<Discrepancy>> {
        let bound = page.bound()?;
        let rows: Vec<Row> = sqlx::query_as(
            "select * from discrepancy
             where ($1 is null or meter_id = $1) and ($2 = 0 or closed_at_ms is null)
               and ($3 is null or (opened_at_ms, discrepancy_id) <
                    (select opened_at_ms, discrepancy_id from discrepancy
                     where discrepancy_id = $3))
             order by opened_at_ms desc, discrepancy_id desc limit $4",
        )
        .bind(meter.map(|id| id.to_string()))
        .bind(i64::from(open))
        .bind(bound.after)
        .bind(bound.limit)
        .fetch_all(self.reader())
        .await?;
        rows.into_iter().map(Discrepancy::try_from).collect()
    }

    /// An operator says what it was. The device's count is taken as known from then on.
    pub async fn close_discrepancy(
        &self,
        id: DiscrepancyId,
        reason: &str,
        actor: &Actor,
    ) -> Result<Discrepancy> {
        let reason = typed_not_empty("reason", reason, MAX_REASON_CHARS)?;
        let (at, actor) = (self.clock().at(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    let open = record(&mut *tx.connection(), id).await?;
                    if let Some(closed) = &open.closed {
                        let same = (&closed.by, &closed.reason) == (&actor, &reason);
                        return if same { Ok(()) } else { Err(closed_already(id)) };
                    }
                    close(tx.connection(), &open, &reason, &actor, at).await
                })
            })
            .await?;
        self.discrepancy(id).await
    }
}

fn closed_already(id: DiscrepancyId) -> ServiceError {
    let (what, state, event) = ("discrepancy", "closed", "closed again");
    ServiceError::WrongState { what, id: id.to_string(), state, event }
}

async fn close(
    connection: &mut Connection,
    open: &Discrepancy,
    reason: &str,
    actor: &Actor,
    at: UnixMs,
) -> Result<()> {
    let id = open.discrepancy_id;
    sqlx::query(
        "update discrepancy set closed_at_ms = $1, operator_id = $2, reason = $3
         where discrepancy_id = $4",
    )
    .bind(at.0)
    .bind(actor.stored())
    .bind(reason)
    .bind(id.to_string())
    .execute(&mut *connection)
    .await?;
    // Not while a sale is open: its own proof decides what the count is.
    sqlx::query(
        "update meter set purchase_count = $1
         where meter_id = $2 and purchase_count = $3 and not exists (
             select 1 from sale where sale.meter_id = meter.meter_id
                and state in ('reserved', 'dispatched', 'unresolved'))",
    )
    .bind(i64::from(open.device_count))
    .bind(open.meter_id.to_string())
    .bind(open.known_count.map(i64::from))
    .execute(&mut *connection)
    .await?;
    let object = format!("discrepancy/{id}");
    let act = Act { at, actor, act: "discrepancy-closed", object, detail: reason };
    audit::record(connection, act).await
}
