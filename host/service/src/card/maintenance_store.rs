//! The rows of maintenance cards.

use super::maintenance::{MaintenanceCard, MaintenanceCardState};
use crate::audit::Actor;
use crate::clock::UnixMs;
use crate::error::{Result, ServiceError, bad_column};
use crate::page::Bound;
use crate::stored;
use polymeter_domain::{CardPurpose, MaintenanceCardId, MeterAddress, VendorCode};
use polymeter_ledger::{Connection, Reader};
use sqlx::AnyExecutor;

#[derive(Debug, sqlx::FromRow)]
struct Row {
    maintenance_card_id: String,
    vendor: String,
    purpose: String,
    device: Option<String>,
    parameters: String,
    reason: String,
    operator_id: Option<String>,
    created_at_ms: i64,
    state: String,
    reader: Option<String>,
    detail: String,
    ended_at_ms: Option<i64>,
}

impl TryFrom<Row> for MaintenanceCard {
    type Error = ServiceError;
    fn try_from(row: Row) -> Result<MaintenanceCard> {
        let purpose = CardPurpose::from_name(&row.purpose);
        let device = row.device.as_deref().map(MeterAddress::new).transpose();
        Ok(MaintenanceCard {
            maintenance_card_id: stored::parsed("maintenance_card_id", &row.maintenance_card_id)?,
            vendor: VendorCode::new(&row.vendor).map_err(|_| bad_column("vendor", &row.vendor))?,
            purpose: purpose.ok_or_else(|| bad_column("purpose", &row.purpose))?,
            device: device
                .map_err(|_| bad_column("device", row.device.as_deref().unwrap_or_default()))?,
            parameters: stored::named_values("parameters", &row.parameters)?,
            reason: row.reason,
            operator: Actor::from_stored(row.operator_id.as_deref())?,
            created_at: UnixMs(row.created_at_ms),
            state: MaintenanceCardState::from_name(&row.state)?,
            reader: row.reader,
            detail: row.detail,
            ended_at: row.ended_at_ms.map(UnixMs),
            approval: None,
        })
    }
}

pub(super) async fn record(
    executor: impl AnyExecutor<'_>,
    id: MaintenanceCardId,
) -> Result<MaintenanceCard> {
    let row: Option<Row> =
        sqlx::query_as("select * from maintenance_card where maintenance_card_id = $1")
            .bind(id.to_string())
            .fetch_optional(executor)
            .await?;
    let (what, id) = ("maintenance card", id.to_string());
    row.ok_or(ServiceError::NotFound { what, id })?.try_into()
}

/// Newest first.
pub(super) async fn list(reader: &Reader, page: &Bound) -> Result<Vec<MaintenanceCard>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select * from maintenance_card
         where $1 is null or (created_at_ms, maintenance_card_id) <
               (select created_at_ms, maintenance_card_id from maintenance_card
                where maintenance_card_id = $1)
         order by created_at_ms desc, maintenance_card_id desc limit $2",
    )
    .bind(&page.after)
    .bind(page.limit)
    .fetch_all(reader)
    .await?;
    rows.into_iter().map(MaintenanceCard::try_from).collect()
}

pub(super) async fn insert(connection: &mut Connection, it: &MaintenanceCard) -> Result<()> {
    sqlx::query(
        "insert into maintenance_card (maintenance_card_id, vendor, purpose, device, parameters,
                                       reason, operator_id, created_at_ms, state)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(it.maintenance_card_id.to_string())
    .bind(it.vendor.as_str())
    .bind(it.purpose.name())
    .bind(it.device.as_ref().map(MeterAddress::as_str))
    .bind(stored::named_values_text(&it.parameters))
    .bind(&it.reason)
    .bind(it.operator.stored())
    .bind(it.created_at.0)
    .bind(it.state.name())
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn approve(connection: &mut Connection, id: MaintenanceCardId) -> Result<()> {
    sqlx::query(
        "update maintenance_card set state = 'approved'
         where maintenance_card_id = $1 and state = 'waiting'",
    )
    .bind(id.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

/// Nobody else has begun it: the row says so, whoever asks twice.
pub(super) async fn begin(
    connection: &mut Connection,
    id: MaintenanceCardId,
    reader: &str,
    by: &Actor,
) -> Result<()> {
    let begun = sqlx::query(
        "update maintenance_card set state = 'begun', reader = $1, made_by = $2
         where maintenance_card_id = $3 and state = 'approved'",
    )
    .bind(reader)
    .bind(by.stored())
    .bind(id.to_string())
    .execute(connection)
    .await?;
    if begun.rows_affected() == 1 {
        return Ok(());
    }
    Err(ServiceError::Conflict(format!("maintenance card {id} is made by somebody else")))
}

/// What a try came to; `approved` may be tried again.
pub(super) async fn end(
    connection: &mut Connection,
    id: MaintenanceCardId,
    state: MaintenanceCardState,
    detail: &str,
    at: UnixMs,
) -> Result<()> {
    sqlx::query(
        "update maintenance_card set state = $1, detail = $2, ended_at_ms = $3
         where maintenance_card_id = $4 and ended_at_ms is null",
    )
    .bind(state.name())
    .bind(detail)
    .bind(state.is_ended().then_some(at.0))
    .bind(id.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

/// What a crash left in the middle of a card.
pub(super) async fn begun(reader: &Reader) -> Result<Vec<MaintenanceCard>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select * from maintenance_card where state = 'begun'
         order by created_at_ms, maintenance_card_id",
    )
    .fetch_all(reader)
    .await?;
    rows.into_iter().map(MaintenanceCard::try_from).collect()
}
