//! The rows of tokens that are entered over a line, and through which meter a keypad meter's are.

use super::entry::{EntryState, TokenEntry};
use crate::clock::UnixMs;
use crate::error::{Constraint, Result, ServiceError, bad_column, invalid, violated};
use crate::meter::MeterRecord;
use crate::stored;
use polymeter_domain::{MeterId, TokenOrderId};
use polymeter_ledger::{Connection, Reader};
use sqlx::AnyExecutor;

#[derive(Debug, sqlx::FromRow)]
struct Row {
    state: String,
    taken: i64,
    tries: i64,
    detail: String,
    changed_at_ms: i64,
}

impl TryFrom<Row> for TokenEntry {
    type Error = ServiceError;
    fn try_from(row: Row) -> Result<TokenEntry> {
        let taken = row.taken;
        Ok(TokenEntry {
            state: EntryState::from_name(&row.state)?,
            taken: usize::try_from(taken).map_err(|_| bad_column("taken", taken.to_string()))?,
            tries: row.tries,
            detail: row.detail,
            changed_at: UnixMs(row.changed_at_ms),
        })
    }
}

pub(super) async fn find(
    executor: impl AnyExecutor<'_>,
    id: TokenOrderId,
) -> Result<Option<TokenEntry>> {
    let row: Option<Row> = sqlx::query_as(
        "select state, taken, tries, detail, changed_at_ms from token_entry
         where token_order_id = $1",
    )
    .bind(id.to_string())
    .fetch_optional(executor)
    .await?;
    row.map(TokenEntry::try_from).transpose()
}

pub(super) async fn through(
    executor: impl AnyExecutor<'_>,
    meter: MeterId,
) -> Result<Option<MeterId>> {
    let found: Option<Option<String>> =
        sqlx::query_scalar("select entered_through from meter where meter_id = $1")
            .bind(meter.to_string())
            .fetch_optional(executor)
            .await?;
    let Some(found) = found else {
        return Err(ServiceError::NotFound { what: "meter", id: meter.to_string() });
    };
    found.map(|id| stored::parsed("entered_through", &id)).transpose()
}

pub(super) async fn lead(
    connection: &mut Connection,
    meter: MeterId,
    other: Option<&MeterRecord>,
) -> Result<()> {
    sqlx::query("update meter set entered_through = $1 where meter_id = $2")
        .bind(other.map(|other| other.meter_id.to_string()))
        .bind(meter.to_string())
        .execute(connection)
        .await
        .map_err(|error| match violated(&error) {
            Some(Constraint::EnteredThrough) => invalid(
                "through_meter_id",
                "another meter's tokens are entered through it; a device has one keypad",
            ),
            _ => error.into(),
        })?;
    Ok(())
}

/// In the job that keeps an order's digits: where its meter has a line, they are entered there too.
pub(super) async fn begin(connection: &mut Connection, id: TokenOrderId, at: UnixMs) -> Result<()> {
    sqlx::query(
        "insert into token_entry (token_order_id, state, due_at_ms, changed_at_ms)
         select token_order_id, 'waiting', $1, $1
         from token_order join meter using (meter_id)
         where token_order_id = $2 and entered_through is not null",
    )
    .bind(at.0)
    .bind(id.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

/// Of an order that was issued before its meter was known to have a line.
pub(super) async fn make(connection: &mut Connection, id: TokenOrderId, at: UnixMs) -> Result<()> {
    sqlx::query(
        "insert into token_entry (token_order_id, state, due_at_ms, changed_at_ms)
         values ($1, 'waiting', $2, $2)",
    )
    .bind(id.to_string())
    .bind(at.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// Due at once; what is asked stays so.
pub(super) async fn reopen(
    connection: &mut Connection,
    id: TokenOrderId,
    at: UnixMs,
) -> Result<()> {
    sqlx::query(
        "update token_entry set state = 'waiting', tries = 0, due_at_ms = $1, changed_at_ms = $1
         where token_order_id = $2 and state <> 'asked'",
    )
    .bind(at.0)
    .bind(id.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

/// What a row becomes.
pub(super) struct Step<'a> {
    pub state: EntryState,
    pub due: UnixMs,
    pub detail: &'a str,
}

pub(super) async fn step(
    connection: &mut Connection,
    id: TokenOrderId,
    to: Step<'_>,
    at: UnixMs,
) -> Result<()> {
    sqlx::query(
        "update token_entry set state = $1, due_at_ms = $2, detail = $3, changed_at_ms = $4
         where token_order_id = $5",
    )
    .bind(to.state.name())
    .bind(to.due.0)
    .bind(to.detail)
    .bind(at.0)
    .bind(id.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn take(
    connection: &mut Connection,
    id: TokenOrderId,
    taken: usize,
) -> Result<()> {
    let taken = i64::try_from(taken).map_err(|_| bad_column("taken", taken.to_string()))?;
    sqlx::query("update token_entry set taken = $1 where token_order_id = $2")
        .bind(taken)
        .bind(id.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn withdraw_waiting(
    connection: &mut Connection,
    meter: MeterId,
    at: UnixMs,
) -> Result<()> {
    sqlx::query(
        "update token_entry set state = 'withdrawn', detail = '', changed_at_ms = $1
         where state = 'waiting' and token_order_id in
               (select token_order_id from token_order where meter_id = $2)",
    )
    .bind(at.0)
    .bind(meter.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

/// Meters that have something to enter now, at most so many.
pub(super) async fn due_meters(reader: &Reader, at: UnixMs, most: i64) -> Result<Vec<MeterId>> {
    let due: Vec<String> = sqlx::query_scalar(
        "select distinct token_order.meter_id
         from token_entry join token_order using (token_order_id)
              join meter on meter.meter_id = token_order.meter_id
         where token_entry.state in ('waiting', 'asked') and due_at_ms <= $1
           and entered_through is not null
         limit $2",
    )
    .bind(at.0)
    .bind(most)
    .fetch_all(reader)
    .await?;
    due.iter().map(|id| stored::parsed("meter_id", id)).collect()
}

/// Of one meter, in the order of their issue.
pub(super) async fn open_of(reader: &Reader, meter: MeterId) -> Result<Vec<TokenOrderId>> {
    let ids: Vec<String> = sqlx::query_scalar(
        "select token_order_id from token_entry join token_order using (token_order_id)
         where meter_id = $1 and token_entry.state in ('waiting', 'asked')
         order by ended_at_ms, token_order_id",
    )
    .bind(meter.to_string())
    .fetch_all(reader)
    .await?;
    ids.iter().map(|id| stored::parsed("token_order_id", id)).collect()
}

/// Nobody is at what was asked.
pub(super) async fn let_go(connection: &mut Connection, at: UnixMs) -> Result<()> {
    sqlx::query("update token_entry set due_at_ms = $1 where state = 'asked'")
        .bind(at.0)
        .execute(connection)
        .await?;
    Ok(())
}

/// `None`: somebody else is at it, or it ended.
pub(super) async fn claim(
    connection: &mut Connection,
    id: TokenOrderId,
    at: UnixMs,
    until: UnixMs,
) -> Result<Option<TokenEntry>> {
    let claimed = sqlx::query(
        "update token_entry set state = 'asked', tries = tries + 1, due_at_ms = $1,
                changed_at_ms = $2
         where token_order_id = $3
           and (state = 'waiting' or (state = 'asked' and due_at_ms <= $2))",
    )
    .bind(until.0)
    .bind(at.0)
    .bind(id.to_string())
    .execute(&mut *connection)
    .await?;
    match claimed.rows_affected() {
        0 => Ok(None),
        _ => find(connection, id).await,
    }
}
