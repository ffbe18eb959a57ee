//! The rows of clock settings.

use super::{ClockSetting, ClockState, Ended};
use crate::audit::Actor;
use crate::clock::UnixMs;
use crate::error::{Result, ServiceError, bad_column};
use crate::meter::MeterRecord;
use crate::page::Bound;
use crate::stored;
use polymeter_domain::{ClockSettingId, MeterId};
use polymeter_ledger::{Connection, Reader};
use polymeter_runtime::ClockWay;
use sqlx::AnyExecutor;

#[derive(Debug, sqlx::FromRow)]
struct Row {
    clock_setting_id: String,
    meter_id: String,
    way: String,
    drift_s: Option<i64>,
    reason: String,
    operator_id: Option<String>,
    created_at_ms: i64,
    state: String,
    drift_after_s: Option<i64>,
    detail: String,
    ended_at_ms: Option<i64>,
}

impl TryFrom<Row> for ClockSetting {
    type Error = ServiceError;
    fn try_from(row: Row) -> Result<ClockSetting> {
        Ok(ClockSetting {
            clock_setting_id: stored::parsed("clock_setting_id", &row.clock_setting_id)?,
            meter_id: stored::parsed("meter_id", &row.meter_id)?,
            way: ClockWay::from_name(&row.way).ok_or_else(|| bad_column("way", &row.way))?,
            drift_s: row.drift_s,
            reason: row.reason,
            operator: Actor::from_stored(row.operator_id.as_deref())?,
            created_at: UnixMs(row.created_at_ms),
            state: ClockState::from_name(&row.state)?,
            drift_after_s: row.drift_after_s,
            detail: row.detail,
            ended_at: row.ended_at_ms.map(UnixMs),
            approval: None,
        })
    }
}

pub(super) async fn record(
    executor: impl AnyExecutor<'_>,
    id: ClockSettingId,
) -> Result<ClockSetting> {
    let row: Option<Row> =
        sqlx::query_as("select * from clock_setting where clock_setting_id = $1")
            .bind(id.to_string())
            .fetch_optional(executor)
            .await?;
    let (what, id) = ("clock setting", id.to_string());
    row.ok_or(ServiceError::NotFound { what, id })?.try_into()
}

pub(super) async fn of_meter(
    executor: impl AnyExecutor<'_>,
    meter: MeterId,
    page: &Bound,
) -> Result<Vec<ClockSetting>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select * from clock_setting
         where meter_id = $1
           and ($2 is null or (created_at_ms, clock_setting_id) <
                (select created_at_ms, clock_setting_id from clock_setting
                 where clock_setting_id = $2))
         order by created_at_ms desc, clock_setting_id desc limit $3",
    )
    .bind(meter.to_string())
    .bind(&page.after)
    .bind(page.limit)
    .fetch_all(executor)
    .await?;
    rows.into_iter().map(ClockSetting::try_from).collect()
}

/// What nobody carries on, oldest first.
pub(super) async fn left(reader: &Reader) -> Result<Vec<ClockSetting>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select * from clock_setting where state in ('approved', 'asked')
         order by created_at_ms, clock_setting_id",
    )
    .fetch_all(reader)
    .await?;
    rows.into_iter().map(ClockSetting::try_from).collect()
}

/// One at a time, which the database sees to as well.
pub(super) async fn none_open(connection: &mut Connection, meter: &MeterRecord) -> Result<()> {
    let state: Option<String> = sqlx::query_scalar(
        "select state from clock_setting
         where meter_id = $1 and state in ('waiting', 'approved', 'asked')",
    )
    .bind(meter.meter_id.to_string())
    .fetch_optional(connection)
    .await?;
    let Some(state) = state else { return Ok(()) };
    let what = format!("the clock of meter {}", meter.serial_number);
    let why = format!("a setting of it is {state} already; decide it or wait for it");
    Err(ServiceError::Blocked { what, why })
}

pub(super) async fn insert(connection: &mut Connection, it: &ClockSetting) -> Result<()> {
    sqlx::query(
        "insert into clock_setting (clock_setting_id, meter_id, way, drift_s, reason, operator_id,
                                    created_at_ms, state)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(it.clock_setting_id.to_string())
    .bind(it.meter_id.to_string())
    .bind(it.way.name())
    .bind(it.drift_s)
    .bind(&it.reason)
    .bind(it.operator.stored())
    .bind(it.created_at.0)
    .bind(it.state.name())
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn approve(connection: &mut Connection, id: ClockSettingId) -> Result<()> {
    sqlx::query("update clock_setting set state = 'approved' where clock_setting_id = $1")
        .bind(id.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

/// Nobody else has begun it: the row says so, whoever asks twice.
pub(super) async fn begin(connection: &mut Connection, id: ClockSettingId) -> Result<()> {
    let begun = sqlx::query(
        "update clock_setting set state = 'asked'
         where clock_setting_id = $1 and state = 'approved'",
    )
    .bind(id.to_string())
    .execute(connection)
    .await?;
    if begun.rows_affected() == 1 {
        return Ok(());
    }
    Err(ServiceError::Conflict(format!("clock setting {id} is carried on by somebody else")))
}

pub(super) async fn end(
    connection: &mut Connection,
    id: ClockSettingId,
    ended: &Ended,
    at: UnixMs,
) -> Result<()> {
    sqlx::query(
        "update clock_setting
         set state = $1, drift_after_s = $2, detail = $3, ended_at_ms = $4
         where clock_setting_id = $5 and state in ('waiting', 'approved', 'asked')",
    )
    .bind(ended.state.name())
    .bind(ended.drift_after_s)
    .bind(&ended.detail)
    .bind(at.0)
    .bind(id.to_string())
    .execute(connection)
    .await?;
    Ok(())
}
