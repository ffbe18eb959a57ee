//! The rows of shifts and of what went over their counters.

use super::{ChannelTotals, Shift, ShiftClosing};
use crate::audit::Actor;
use crate::clock::UnixMs;
use crate::error::{Result, ServiceError, bad_column, invalid};
use crate::page::Bound;
use crate::stored;
use crate::tariff::Asked;
use polymeter_domain::tariff::Date;
use polymeter_domain::{Channel, Money, OperatorId, ShiftId};
use polymeter_ledger::Connection;
use sqlx::AnyExecutor;
use uuid::Uuid;

/// A shift's own row.
#[derive(Debug, Clone)]
pub(super) struct StoredShift {
    pub shift_id: ShiftId,
    pub operator_id: OperatorId,
    pub day: Date,
    pub float: Money,
    pub opened_at: UnixMs,
    /// Expected, counted, note, when.
    pub closed: Option<(Money, Money, String, UnixMs)>,
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    shift_id: String,
    operator_id: String,
    day: String,
    currency: String,
    float_minor: i64,
    opened_at_ms: i64,
    expected_minor: Option<i64>,
    counted_minor: Option<i64>,
    note: Option<String>,
    closed_at_ms: Option<i64>,
}

impl TryFrom<Row> for StoredShift {
    type Error = ServiceError;
    fn try_from(row: Row) -> Result<StoredShift> {
        let currency = stored::currency(&row.currency)?;
        let closed = match (row.expected_minor, row.counted_minor, row.note, row.closed_at_ms) {
            (Some(expected), Some(counted), Some(note), Some(at_ms)) => Some((
                Money::new(expected, currency),
                Money::new(counted, currency),
                note,
                UnixMs(at_ms),
            )),
            _ => None,
        };
        Ok(StoredShift {
            shift_id: stored::parsed("shift_id", &row.shift_id)?,
            operator_id: row
                .operator_id
                .parse()
                .map_err(|_| bad_column("operator_id", &row.operator_id))?,
            day: stored::parsed("day", &row.day)?,
            float: Money::new(row.float_minor, currency),
            opened_at: UnixMs(row.opened_at_ms),
            closed,
        })
    }
}

pub(super) async fn find(
    executor: impl AnyExecutor<'_>,
    id: ShiftId,
) -> Result<Option<StoredShift>> {
    let row: Option<Row> = sqlx::query_as("select * from shift where shift_id = $1")
        .bind(id.to_string())
        .fetch_optional(executor)
        .await?;
    row.map(StoredShift::try_from).transpose()
}

pub(super) async fn record(executor: impl AnyExecutor<'_>, id: ShiftId) -> Result<StoredShift> {
    let found = find(executor, id).await?;
    found.ok_or_else(|| ServiceError::NotFound { what: "shift", id: id.to_string() })
}

pub(super) async fn list(executor: impl AnyExecutor<'_>, page: &Bound) -> Result<Vec<StoredShift>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select * from shift
         where ($1 is null or (opened_at_ms, shift_id) <
                (select opened_at_ms, shift_id from shift where shift_id = $1))
         order by opened_at_ms desc, shift_id desc limit $2",
    )
    .bind(&page.after)
    .bind(page.limit)
    .fetch_all(executor)
    .await?;
    rows.into_iter().map(StoredShift::try_from).collect()
}

pub(super) async fn open_until(
    executor: impl AnyExecutor<'_>,
    until: Date,
) -> Result<Vec<ShiftId>> {
    let ids: Vec<String> = sqlx::query_scalar(
        "select shift_id from shift where closed_at_ms is null and day <= $1
         order by day, shift_id",
    )
    .bind(until.to_string())
    .fetch_all(executor)
    .await?;
    ids.into_iter().map(|id| stored::parsed("shift_id", &id)).collect()
}

/// There is at most one: the index `shift_one_open_per_operator` sees to it.
pub(crate) async fn open_shift_of(
    executor: impl AnyExecutor<'_>,
    operator: OperatorId,
) -> Result<Option<ShiftId>> {
    let id: Option<String> = sqlx::query_scalar(
        "select shift_id from shift where operator_id = $1 and closed_at_ms is null",
    )
    .bind(operator.to_string())
    .fetch_optional(executor)
    .await?;
    id.map(|id| stored::parsed("shift_id", &id)).transpose()
}

pub(super) async fn insert(
    connection: &mut Connection,
    id: ShiftId,
    operator: OperatorId,
    day: Date,
    float: Money,
    at: UnixMs,
) -> Result<()> {
    sqlx::query(
        "insert into shift (shift_id, operator_id, day, currency, float_minor, opened_at_ms)
         values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(id.to_string())
    .bind(operator.to_string())
    .bind(day.to_string())
    .bind(float.currency().code())
    .bind(float.minor())
    .bind(at.0)
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn close(
    connection: &mut Connection,
    id: ShiftId,
    expected: Money,
    counted: Money,
    note: &str,
    at: UnixMs,
) -> Result<()> {
    sqlx::query(
        "update shift set expected_minor = $1, counted_minor = $2, note = $3, closed_at_ms = $4
         where shift_id = $5 and closed_at_ms is null",
    )
    .bind(expected.minor())
    .bind(counted.minor())
    .bind(note)
    .bind(at.0)
    .bind(id.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

/// The shift with its sums.
pub(super) async fn whole(asked: &mut impl Asked, shift: StoredShift) -> Result<Shift> {
    let rows: Vec<(String, String, i64, i64)> = sqlx::query_as(
        "select channel, kind, cast(count(*) as bigint), cast(sum(amount_minor) as bigint)
         from shift_entry where shift_id = $1 group by channel, kind",
    )
    .bind(shift.shift_id.to_string())
    .fetch_all(asked.ask())
    .await?;
    let currency = shift.float.currency();
    let of = |channel: Channel, kind: &str| -> (i64, i64) {
        let found = rows.iter().find(|row| row.0 == channel.name() && row.1 == kind);
        found.map_or((0, 0), |row| (row.2, row.3))
    };
    let totals = |channel: Channel| {
        let (takings, taken) = of(channel, "taken");
        let money = |minor| Money::new(minor, currency);
        ChannelTotals {
            channel,
            takings: u64::try_from(takings).unwrap_or_default(),
            taken: money(taken),
            given_back: money(of(channel, "given-back").1),
            paid_out: money(of(channel, "paid-out").1),
        }
    };
    let moved = |channel: &Channel| rows.iter().any(|row| row.0 == channel.name());
    let channels = Channel::ALL.into_iter().filter(moved).map(totals).collect();
    let cash = totals(Channel::Cash);
    let so_far = i128::from(shift.float.minor()) + i128::from(cash.taken.minor())
        - i128::from(cash.given_back.minor())
        - i128::from(cash.paid_out.minor());
    let so_far = i64::try_from(so_far).map_err(|_| invalid("till", "beyond what money holds"))?;
    let closed = match shift.closed {
        Some((expected, counted, note, at)) => {
            let difference = Money::new(counted.minor() - expected.minor(), currency);
            Some(ShiftClosing { counted, difference, note, at })
        }
        None => None,
    };
    Ok(Shift {
        shift_id: shift.shift_id,
        operator_id: shift.operator_id,
        day: shift.day,
        float: shift.float,
        opened_at: shift.opened_at,
        channels,
        expected: Money::new(so_far, currency),
        closed,
    })
}

/// Money over the counter for one act.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Movement<'a> {
    pub reference: Uuid,
    pub channel: Channel,
    pub amount: Money,
    pub at: UnixMs,
    pub actor: &'a Actor,
}

/// Taken by the operator who acts, into the open shift there is.
pub(crate) async fn taken(connection: &mut Connection, it: Movement<'_>) -> Result<()> {
    record_own_entry(connection, "taken", it).await
}

/// Paid out by the operator who acts, from the open shift there is.
pub(crate) async fn paid_out(connection: &mut Connection, it: Movement<'_>) -> Result<()> {
    record_own_entry(connection, "paid-out", it).await
}

/// What was taken goes back: from the shift that took it while that is open, else from that of whoever
/// acts. Nothing is written where nothing was taken.
pub(crate) async fn given_back(connection: &mut Connection, it: Movement<'_>) -> Result<()> {
    let took: Option<(Option<String>, Option<i64>)> = sqlx::query_as(
        "select shift_entry.shift_id, shift.closed_at_ms
         from shift_entry left join shift on shift.shift_id = shift_entry.shift_id
         where reference = $1 and kind = 'taken'",
    )
    .bind(it.reference.to_string())
    .fetch_optional(&mut *connection)
    .await?;
    let shift = match took {
        None => return Ok(()),
        Some((Some(shift), None)) => Some(shift),
        Some(_) => own_shift(connection, it.actor).await?,
    };
    record_entry(connection, "given-back", shift, it).await
}

async fn own_shift(connection: &mut Connection, actor: &Actor) -> Result<Option<String>> {
    let Actor::Operator(operator) = *actor else { return Ok(None) };
    Ok(open_shift_of(connection, operator).await?.map(|id| id.to_string()))
}

/// As [`record_entry`], into the open shift of whoever acts: there is at most one, and the system has none.
async fn record_own_entry(connection: &mut Connection, kind: &str, it: Movement<'_>) -> Result<()> {
    sqlx::query(
        "insert into shift_entry
             (shift_id, operator_id, kind, reference, channel, amount_minor, currency, at_ms)
         values ((select shift_id from shift where operator_id = $1 and closed_at_ms is null),
                 $1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(it.actor.stored())
    .bind(kind)
    .bind(it.reference.to_string())
    .bind(it.channel.name())
    .bind(it.amount.minor())
    .bind(it.amount.currency().code())
    .bind(it.at.0)
    .execute(connection)
    .await?;
    Ok(())
}

async fn record_entry(
    connection: &mut Connection,
    kind: &str,
    shift: Option<String>,
    it: Movement<'_>,
) -> Result<()> {
    sqlx::query(
        "insert into shift_entry
             (shift_id, operator_id, kind, reference, channel, amount_minor, currency, at_ms)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(shift)
    .bind(it.actor.stored())
    .bind(kind)
    .bind(it.reference.to_string())
    .bind(it.channel.name())
    .bind(it.amount.minor())
    .bind(it.amount.currency().code())
    .bind(it.at.0)
    .execute(connection)
    .await?;
    Ok(())
}
