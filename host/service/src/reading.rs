//! Readings: what a meter said at a time, kept whole. Not here: when to read (a schedule's work), how many
//! readings get into their tables (reading_store).

use crate::Service;
use crate::audit::Actor;
use crate::clock::UnixMs;
use crate::driver::Kind;
use crate::error::{Result, ServiceError, bad_column};
use crate::meter;
use crate::page::Page;
use crate::stored;
use crate::to_the_end;
use polymeter_domain::{
    ClockDrift, Decimal, LocalTime, Measurement, MeterId, ObisCode, PurchaseCount, Quality,
    ReadingId, Snapshot, SupplyState, Unit, Value,
};
use polymeter_ledger::Connection;
use polymeter_transport::Priority;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    pub reading_id: ReadingId,
    pub meter_id: MeterId,
    pub at: UnixMs,
    /// How far off the device's clock was; `None`: it told none, or nobody measured it.
    pub drift: Option<ClockDrift>,
    pub snapshot: Snapshot,
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    reading_id: String,
    at_ms: i64,
    clock_drift_s: Option<i64>,
    clock_within_s: Option<i64>,
    supply: String,
    extras: String,
}

/// A value as a row has it, of a reading or of a record.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct MeasurementRow {
    register: String,
    mantissa: Option<i64>,
    scale: Option<i64>,
    other: Option<String>,
    unit: i64,
    quality: String,
}

impl TryFrom<MeasurementRow> for Measurement {
    type Error = ServiceError;
    fn try_from(row: MeasurementRow) -> Result<Measurement> {
        let value = match (row.mantissa, row.scale, row.other) {
            (Some(mantissa), Some(scale), None) => {
                let scale =
                    i8::try_from(scale).map_err(|_| bad_column("scale", scale.to_string()))?;
                Value::Number(Decimal { mantissa, scale })
            }
            (_, _, other) => stored::value("other", &other.unwrap_or_default())?,
        };
        Ok(Measurement {
            register: ObisCode::new(&row.register)
                .map_err(|_| bad_column("register", &row.register))?,
            value,
            unit: Unit(
                u16::try_from(row.unit).map_err(|_| bad_column("unit", row.unit.to_string()))?,
            ),
            quality: stored::quality(&row.quality)?,
        })
    }
}

impl Service {
    /// Asks the meter for everything it measures and keeps the answer. Changes nothing in the device,
    /// which is why the audit trail does not hold it.
    pub async fn read_meter(&self, meter: MeterId, actor: &Actor) -> Result<Reading> {
        let reach = self.reach(meter, Kind::Read).await?;
        let (service, actor) = (self.clone(), actor.clone());
        to_the_end(async move {
            let lease = reach.line_lease(Priority::RoutineRead).await?;
            let began = service.clock().at();
            let snapshot = service.read_device(&reach, lease).await?;
            let (at, now) = (service.clock().now)();
            let reading = Reading {
                reading_id: ReadingId::new(service.clock().id()),
                meter_id: meter,
                at,
                drift: drift(&snapshot, now, at.0.saturating_sub(began.0)),
                snapshot,
            };
            tracing::debug!(meter_id = %meter, ?actor, "meter read");
            service.keep_reading(reading.clone()).await?;
            let (known, count) = (reach.meter.purchase_count, purchase_count(&reading.snapshot));
            let by = format!("reading/{}", reading.reading_id);
            service.compare_reading(meter, known, count, by).await?;
            Ok(reading)
        })
        .await
    }

    /// Newest first.
    pub async fn readings(&self, meter: MeterId, page: &Page) -> Result<Vec<Reading>> {
        meter::record(self.reader(), meter).await?;
        self.newest_readings(meter, page).await
    }

    pub(crate) async fn reading(&self, meter: MeterId, id: ReadingId) -> Result<Reading> {
        let row: Option<Row> = sqlx::query_as(
            "select reading_id, at_ms, clock_drift_s, clock_within_s, supply, extras from reading
             where reading_id = $1 and meter_id = $2",
        )
        .bind(id.to_string())
        .bind(meter.to_string())
        .fetch_optional(self.reader())
        .await?;
        let row = row.ok_or(ServiceError::NotFound { what: "reading", id: id.to_string() })?;
        self.whole_reading(meter, row).await
    }

    pub(crate) async fn last_reading(&self, meter: MeterId) -> Result<Option<Reading>> {
        let page = Page { limit: 1, ..Page::default() };
        Ok(self.newest_readings(meter, &page).await?.pop())
    }

    async fn newest_readings(&self, meter: MeterId, page: &Page) -> Result<Vec<Reading>> {
        let bound = page.bound()?;
        let rows: Vec<Row> = sqlx::query_as(
            "select reading_id, at_ms, clock_drift_s, clock_within_s, supply, extras from reading
             where meter_id = $1
               and ($2 is null or (at_ms, reading_id) <
                    (select at_ms, reading_id from reading where reading_id = $2))
             order by at_ms desc, reading_id desc limit $3",
        )
        .bind(meter.to_string())
        .bind(bound.after)
        .bind(bound.limit)
        .fetch_all(self.reader())
        .await?;
        let mut readings = Vec::with_capacity(rows.len());
        for row in rows {
            readings.push(self.whole_reading(meter, row).await?);
        }
        Ok(readings)
    }

    async fn whole_reading(&self, meter_id: MeterId, row: Row) -> Result<Reading> {
        let measurements: Vec<MeasurementRow> = sqlx::query_as(
            "select register, mantissa, scale, other, unit, quality from measurement
             where reading_id = $1 order by position",
        )
        .bind(&row.reading_id)
        .fetch_all(self.reader())
        .await?;
        Ok(Reading {
            reading_id: row
                .reading_id
                .parse()
                .map_err(|_| bad_column("reading_id", &row.reading_id))?,
            meter_id,
            at: UnixMs(row.at_ms),
            drift: row
                .clock_drift_s
                .zip(row.clock_within_s)
                .map(|(seconds, within_seconds)| ClockDrift { seconds, within_seconds }),
            snapshot: Snapshot {
                measurements: measurements
                    .into_iter()
                    .map(Measurement::try_from)
                    .collect::<Result<_>>()?,
                supply: stored::supply(&row.supply)?,
                extras: stored::named_values("extras", &row.extras)?,
            },
        })
    }
}

/// 购电次数, as the trade's register for it is named here.
pub(crate) const COUNT_REGISTER: &str = "0.0.19.40.0.255";

fn purchase_count(snapshot: &Snapshot) -> Option<PurchaseCount> {
    let measured = snapshot
        .measurements
        .iter()
        .find(|it| it.register.as_str() == COUNT_REGISTER && it.quality == Quality::Measured)?;
    match measured.value {
        Value::Number(Decimal { mantissa, scale: 0 }) => {
            u32::try_from(mantissa).ok().map(PurchaseCount::new)
        }
        _ => None,
    }
}

/// Date and time of the device itself (IEC 62056-61: 1.0.0, the clock object, without a medium).
const CLOCK_REGISTER: &str = "0.0.1.0.0.255";

fn clock(snapshot: &Snapshot) -> Option<&Measurement> {
    snapshot.measurements.iter().find(|it| it.register.as_str() == CLOCK_REGISTER)
}

fn drift(snapshot: &Snapshot, now: LocalTime, took_ms: i64) -> Option<ClockDrift> {
    let told = clock(snapshot).filter(|it| it.quality == Quality::Measured)?;
    match told.value {
        Value::Time(shown) => ClockDrift::of(shown, now, took_ms),
        _ => None,
    }
}

impl Reading {
    /// What the device said of its own clock.
    pub fn clock(&self) -> Option<&Measurement> {
        clock(&self.snapshot)
    }
}

/// What is known of a meter's supply, and since when.
pub(crate) async fn set_supply(
    connection: &mut Connection,
    meter: MeterId,
    state: SupplyState,
    at: UnixMs,
) -> Result<()> {
    sqlx::query("update meter set supply = $1, supply_at_ms = $2 where meter_id = $3")
        .bind(stored::supply_name(state))
        .bind(at.0)
        .bind(meter.to_string())
        .execute(connection)
        .await?;
    Ok(())
}
