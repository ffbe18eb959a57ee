//! The rows of charges, in one chain for each meter.

use super::kept;
use super::{Charge, ChargeKind};
use crate::audit::Actor;
use crate::clock::UnixMs;
use crate::error::{Result, ServiceError, bad_column};
use crate::page::Bound;
use crate::stored;
use crate::tariff::{commodity, commodity_name};
use polymeter_domain::tariff::{Moment, Position, Registers};
use polymeter_domain::{ChargeId, CustomerId, MeterId, Money, ReadingId};
use polymeter_ledger::Connection;
use sqlx::AnyExecutor;

/// A charge with what the next one counts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredCharge {
    pub charge: Charge,
    pub moment: Moment,
    pub registers: Registers,
    pub position: Position,
    /// As `kept::parts_text` writes it.
    pub explanation: String,
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    charge_id: String,
    meter_id: String,
    number: i64,
    kind: String,
    customer_id: String,
    reading_id: Option<String>,
    at_ms: i64,
    day: String,
    second: i64,
    registers: String,
    position: String,
    explanation: String,
    commodity: String,
    used: i64,
    amount_minor: i64,
    fee_minor: i64,
    tax_minor: i64,
    currency: String,
    operator_id: Option<String>,
    created_at_ms: i64,
}

impl TryFrom<Row> for StoredCharge {
    type Error = ServiceError;
    fn try_from(row: Row) -> Result<StoredCharge> {
        let currency = stored::currency(&row.currency)?;
        let money = |minor| Money::new(minor, currency);
        let used = row.used;
        let second = u32::try_from(row.second);
        Ok(StoredCharge {
            charge: Charge {
                charge_id: stored::parsed("charge_id", &row.charge_id)?,
                meter_id: stored::parsed("meter_id", &row.meter_id)?,
                number: row.number,
                kind: ChargeKind::from_name(&row.kind)
                    .ok_or_else(|| bad_column("kind", &row.kind))?,
                customer_id: stored::parsed("customer_id", &row.customer_id)?,
                reading_id: row
                    .reading_id
                    .map(|text| stored::parsed("reading_id", &text))
                    .transpose()?,
                at: UnixMs(row.at_ms),
                commodity: commodity(&row.commodity)?,
                used: u64::try_from(used).map_err(|_| bad_column("used", used.to_string()))?,
                amount: money(row.amount_minor),
                fee: money(row.fee_minor),
                tax: money(row.tax_minor),
                operator: Actor::from_stored(row.operator_id.as_deref())?,
                created_at: UnixMs(row.created_at_ms),
            },
            moment: Moment {
                day: stored::parsed("day", &row.day)?,
                second: second.map_err(|_| bad_column("second", row.second.to_string()))?,
            },
            registers: kept::registers(&row.registers)?,
            position: kept::position(&row.position)?,
            explanation: row.explanation,
        })
    }
}

pub(crate) async fn insert(connection: &mut Connection, new: &StoredCharge) -> Result<()> {
    let charge = &new.charge;
    let used = i64::try_from(charge.used);
    sqlx::query(
        "insert into charge (charge_id, meter_id, number, kind, customer_id, reading_id, at_ms, day,
                             second, registers, position, explanation, commodity, used,
                             amount_minor, fee_minor, tax_minor, currency, operator_id,
                             created_at_ms)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
                 $19, $20)",
    )
    .bind(charge.charge_id.to_string())
    .bind(charge.meter_id.to_string())
    .bind(charge.number)
    .bind(charge.kind.name())
    .bind(charge.customer_id.to_string())
    .bind(charge.reading_id.map(|id| id.to_string()))
    .bind(charge.at.0)
    .bind(new.moment.day.to_string())
    .bind(i64::from(new.moment.second))
    .bind(kept::registers_text(&new.registers))
    .bind(kept::position_text(&new.position))
    .bind(&new.explanation)
    .bind(commodity_name(charge.commodity))
    .bind(used.map_err(|_| bad_column("used", charge.used.to_string()))?)
    .bind(charge.amount.minor())
    .bind(charge.fee.minor())
    .bind(charge.tax.minor())
    .bind(charge.amount.currency().code())
    .bind(charge.operator.stored())
    .bind(charge.created_at.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// Where a meter's chain stands; `None` where no account has begun here.
pub(crate) async fn last(
    executor: impl AnyExecutor<'_>,
    meter: MeterId,
) -> Result<Option<StoredCharge>> {
    let row: Option<Row> =
        sqlx::query_as("select * from charge where meter_id = $1 order by number desc limit 1")
            .bind(meter.to_string())
            .fetch_optional(executor)
            .await?;
    row.map(StoredCharge::try_from).transpose()
}

/// One link by its number.
pub(crate) async fn numbered(
    executor: impl AnyExecutor<'_>,
    meter: MeterId,
    number: i64,
) -> Result<StoredCharge> {
    let row: Row = sqlx::query_as("select * from charge where meter_id = $1 and number = $2")
        .bind(meter.to_string())
        .bind(number)
        .fetch_one(executor)
        .await?;
    row.try_into()
}

pub(crate) async fn of_reading(
    executor: impl AnyExecutor<'_>,
    meter: MeterId,
    reading: ReadingId,
) -> Result<Option<StoredCharge>> {
    let row: Option<Row> =
        sqlx::query_as("select * from charge where meter_id = $1 and reading_id = $2")
            .bind(meter.to_string())
            .bind(reading.to_string())
            .fetch_optional(executor)
            .await?;
    row.map(StoredCharge::try_from).transpose()
}

pub(crate) async fn record(executor: impl AnyExecutor<'_>, id: ChargeId) -> Result<StoredCharge> {
    let row: Option<Row> = sqlx::query_as("select * from charge where charge_id = $1")
        .bind(id.to_string())
        .fetch_optional(executor)
        .await?;
    row.ok_or_else(|| ServiceError::NotFound { what: "charge", id: id.to_string() })?.try_into()
}

/// Newest first.
pub(super) async fn of_meter(
    executor: impl AnyExecutor<'_>,
    meter: MeterId,
    page: &Bound,
) -> Result<Vec<StoredCharge>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select * from charge
         where meter_id = $1
           and ($2 is null or number < (select number from charge where charge_id = $2))
         order by number desc limit $3",
    )
    .bind(meter.to_string())
    .bind(&page.after)
    .bind(page.limit)
    .fetch_all(executor)
    .await?;
    rows.into_iter().map(StoredCharge::try_from).collect()
}

/// Newest first.
pub(super) async fn of_customer(
    executor: impl AnyExecutor<'_>,
    customer: CustomerId,
    page: &Bound,
) -> Result<Vec<StoredCharge>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select * from charge
         where customer_id = $1
           and ($2 is null or (created_at_ms, charge_id) <
                (select created_at_ms, charge_id from charge where charge_id = $2))
         order by created_at_ms desc, charge_id desc limit $3",
    )
    .bind(customer.to_string())
    .bind(&page.after)
    .bind(page.limit)
    .fetch_all(executor)
    .await?;
    rows.into_iter().map(StoredCharge::try_from).collect()
}
