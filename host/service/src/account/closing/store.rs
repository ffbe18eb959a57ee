//! The rows of closings and of their meters.

use super::{ArrearsEnd, ClearingState, Closing, ClosingMeter, ClosingRequest, ClosingState};
use crate::Service;
use crate::account::file::Why;
use crate::account::money::{Figures, ToldBy};
use crate::audit::{self, Act, Actor};
use crate::clock::UnixMs;
use crate::error::{Result, ServiceError, bad_column, invalid};
use crate::stored;
use polymeter_domain::{ClosingId, MeterId, Money};
use polymeter_ledger::{Connection, Transaction};

#[derive(sqlx::FromRow)]
pub(super) struct Row {
    closing_id: String,
    customer_id: String,
    state: String,
    reason: String,
    application_id: Option<String>,
    request: String,
    arrears: String,
    currency: String,
    refunded_minor: Option<i64>,
    recovered_minor: Option<i64>,
    operator_id: Option<String>,
    created_at_ms: i64,
    ended_at_ms: Option<i64>,
    approval_id: Option<String>,
}

#[derive(sqlx::FromRow)]
pub(super) struct MeterRow {
    meter_id: String,
    serial_number: String,
    state: String,
    reading: i64,
    remaining_minor: i64,
    told_by: String,
}

impl Row {
    pub(super) fn closing(self, meters: Vec<MeterRow>) -> Result<Closing> {
        let currency = stored::currency(&self.currency)?;
        let amount = |minor: i64| Money::new(minor, currency);
        let application = self.application_id.as_deref();
        let meter = |row: MeterRow| -> Result<ClosingMeter> {
            Ok(ClosingMeter {
                meter_id: stored::parsed("meter_id", &row.meter_id)?,
                serial_number: row.serial_number,
                state: ClearingState::from_name(&row.state)?,
                reading: u64::try_from(row.reading)
                    .map_err(|_| bad_column("reading", row.reading.to_string()))?,
                remaining: amount(row.remaining_minor),
                told_by: row.told_by,
            })
        };
        Ok(Closing {
            closing_id: stored::parsed("closing_id", &self.closing_id)?,
            customer_id: stored::parsed("customer_id", &self.customer_id)?,
            state: ClosingState::from_name(&self.state)?,
            why: Why {
                reason: self.reason,
                application: application
                    .map(|text| stored::parsed("application_id", text))
                    .transpose()?,
            },
            arrears: ArrearsEnd::from_name(&self.arrears)?,
            refunded: self.refunded_minor.map(amount),
            recovered: self.recovered_minor.map(amount),
            operator: Actor::from_stored(self.operator_id.as_deref())?,
            created_at: UnixMs(self.created_at_ms),
            ended_at: self.ended_at_ms.map(UnixMs),
            approval: self
                .approval_id
                .map(|text| stored::parsed("approval_id", &text))
                .transpose()?,
            meters: meters.into_iter().map(meter).collect::<Result<_>>()?,
            request: self.request,
        })
    }
}

pub(super) const CLOSING: &str = "select closing.*, approval_id from closing
     left join approval on object = 'closing/' || closing_id and approval.state = 'waiting'
     where closing_id = $1";

pub(super) const METERS: &str =
    "select closing_meter.meter_id, serial_number, state, reading, remaining_minor,
    told_by from closing_meter join meter on meter.meter_id = closing_meter.meter_id
    where closing_id = $1 order by serial_number";

pub(super) async fn find_in(
    connection: &mut Connection,
    closing: ClosingId,
) -> Result<Option<Closing>> {
    let row: Option<Row> =
        sqlx::query_as(CLOSING).bind(closing.to_string()).fetch_optional(&mut *connection).await?;
    let Some(row) = row else { return Ok(None) };
    let meters: Vec<MeterRow> =
        sqlx::query_as(METERS).bind(closing.to_string()).fetch_all(connection).await?;
    row.closing(meters).map(Some)
}

pub(super) async fn existing(connection: &mut Connection, closing: ClosingId) -> Result<Closing> {
    let found = find_in(connection, closing).await?;
    found.ok_or_else(|| ServiceError::NotFound { what: "closing", id: closing.to_string() })
}

pub(super) async fn insert(
    tx: &mut Transaction,
    service: &Service,
    closing: ClosingId,
    request: &ClosingRequest,
    measured: &[(MeterId, Figures)],
    actor: &Actor,
) -> Result<()> {
    let at = service.clock().at();
    sqlx::query(
        "insert into closing (closing_id, customer_id, state, reason, application_id, request,
                              arrears, currency, operator_id, created_at_ms)
         values ($1, $2, 'begun', $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(closing.to_string())
    .bind(request.customer.to_string())
    .bind(&request.why.reason)
    .bind(request.why.application.map(|id| id.to_string()))
    .bind(format!("{request:?}"))
    .bind(request.arrears.name())
    .bind(service.currency().code())
    .bind(actor.stored())
    .bind(at.0)
    .execute(tx.connection())
    .await?;
    for (meter, it) in measured {
        // A dead meter cannot be emptied; one whose money is here has nothing to give up.
        let has_purse = it.mode.quantity().is_some();
        let is_kept = request.without_clearing || it.told_by == ToldBy::Operator || !has_purse;
        let state = if is_kept { ClearingState::Kept } else { ClearingState::Measured };
        sqlx::query(
            "insert into closing_meter (closing_id, meter_id, state, reading, remaining_minor,
                                        told_by)
             values ($1, $2, $3, $4, $5, $6)",
        )
        .bind(closing.to_string())
        .bind(meter.to_string())
        .bind(state.name())
        .bind(i64::try_from(it.reading).map_err(|_| invalid("reading", "too large"))?)
        .bind(it.remaining.minor())
        .bind(it.told_by.name())
        .execute(tx.connection())
        .await?;
    }
    let detail = format!("{} meters: {}", measured.len(), request.why.reason);
    let (act, object) = ("closing-begun", format!("closing/{closing}"));
    audit::record(tx.connection(), Act { at, actor, act, object, detail: &detail }).await
}
