//! Readings on their way into their tables: many in few statements, and those of meters that are read at
//! the same time in one job.
//!
//! Invariant: a reading is stored whole or not at all, and whoever waits for it is told only after the
//! commit; a reading that the database refuses takes no other along. Not here: asking meters (reading).

use crate::Service;
use crate::alarm;
use crate::error::Result;
use crate::limits::{READINGS_PER_JOB, ROWS_PER_STATEMENT};
use crate::reading::Reading;
use crate::stored;
use polymeter_domain::{Measurement, MeterId, ReadingId, SupplyState, Value};
use polymeter_ledger::Connection;
use sqlx::any::{Any, AnyArguments};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, SqlSafeStr};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// Those that wait to be stored. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReadingsWaiting(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    readings: Vec<Waiter>,
    /// Somebody is storing, and will look here again before stopping.
    is_served: bool,
}

/// A reading and who waits for it; told nothing where it was not stored.
type Waiter = (Reading, oneshot::Sender<()>);

impl ReadingsWaiting {
    /// Whether the caller must see to it that they are stored.
    fn join(&self, waiter: Waiter) -> bool {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.readings.push(waiter);
        !std::mem::replace(&mut waiting.is_served, true)
    }

    /// The next to be stored together; where there are none, the caller's duty is over.
    fn next(&self) -> Option<Vec<Waiter>> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.readings.is_empty() {
            waiting.is_served = false;
            return None;
        }
        let some = waiting.readings.len().min(READINGS_PER_JOB);
        Some(waiting.readings.drain(..some).collect())
    }
}

impl Service {
    /// Stores readings that were taken elsewhere, all or none of them, in few statements.
    ///
    /// A reading whose id is stored already, or whose meter is not there, fails them all.
    pub async fn keep_readings(&self, readings: Vec<Reading>) -> Result<()> {
        self.database()
            .write(move |tx| Box::pin(async move { insert(tx.connection(), &readings).await }))
            .await
    }

    /// Stores one, together with whatever other readings come in while the database is busy.
    pub async fn keep_reading(&self, reading: Reading) -> Result<()> {
        let (stored, told) = oneshot::channel();
        if self.inner.readings.join((reading.clone(), stored)) {
            let service = self.clone();
            // A task, so that no caller who goes away leaves the others waiting.
            tokio::spawn(async move {
                while let Some(waiters) = service.inner.readings.next() {
                    service.keep_together(waiters).await;
                }
            });
        }
        match told.await {
            Ok(()) => Ok(()),
            // One of them was refused, or the database is away: it is stored or refused by itself.
            Err(_) => self.keep_readings(vec![reading]).await,
        }
    }

    async fn keep_together(&self, waiters: Vec<Waiter>) {
        let (readings, waiting): (Vec<_>, Vec<_>) = waiters.into_iter().unzip();
        if self.keep_readings(readings).await.is_ok() {
            for stored in waiting {
                // Somebody who went away need not be told.
                let _ = stored.send(());
            }
        }
    }
}

const READING: &str = "insert into reading
    (reading_id, meter_id, at_ms, clock_drift_s, clock_within_s, supply, extras) values ";

const MEASUREMENT: &str = "insert into measurement
    (reading_id, position, register, mantissa, scale, other, unit, quality) values ";

pub(crate) async fn insert(connection: &mut Connection, readings: &[Reading]) -> Result<()> {
    for some in readings.chunks(ROWS_PER_STATEMENT) {
        let mut query = rows(READING, 7, some.len(), "");
        for reading in some {
            query = query
                .bind(reading.reading_id.to_string())
                .bind(reading.meter_id.to_string())
                .bind(reading.at.0)
                .bind(reading.drift.map(|drift| drift.seconds))
                .bind(reading.drift.map(|drift| drift.within_seconds))
                .bind(stored::supply_name(reading.snapshot.supply))
                .bind(stored::named_values_text(&reading.snapshot.extras));
        }
        query.execute(&mut *connection).await?;
    }
    let measured = readings.iter().flat_map(|reading| {
        (0_i64..)
            .zip(&reading.snapshot.measurements)
            .map(|(position, measured)| (reading.reading_id, position, measured))
    });
    let measured: Vec<_> = measured.collect();
    for some in measured.chunks(ROWS_PER_STATEMENT) {
        let query = rows(MEASUREMENT, 8, some.len(), "");
        some.iter().fold(query, measurement).execute(&mut *connection).await?;
    }
    set_supplies(connection, readings).await?;
    alarm::follow(connection, readings).await
}

/// One row's values.
fn measurement<'q>(
    query: Query<'q, Any, AnyArguments>,
    (reading, position, measurement): &(ReadingId, i64, &Measurement),
) -> Query<'q, Any, AnyArguments> {
    let (mantissa, scale, other) = match &measurement.value {
        Value::Number(number) => (Some(number.mantissa), Some(i64::from(number.scale)), None),
        other => (None, None, Some(stored::value_text(other))),
    };
    query
        .bind(reading.to_string())
        .bind(*position)
        .bind(measurement.register.as_str().to_owned())
        .bind(mantissa)
        .bind(scale)
        .bind(other)
        .bind(i64::from(measurement.unit.0))
        .bind(stored::quality_name(measurement.quality))
}

/// The supply of each meter as its newest reading has it. A device that does not say keeps what was known
/// before.
async fn set_supplies(connection: &mut Connection, readings: &[Reading]) -> Result<()> {
    let mut newest: BTreeMap<MeterId, &Reading> = BTreeMap::new();
    for reading in readings.iter().filter(|it| it.snapshot.supply != SupplyState::Unknown) {
        let kept = newest.entry(reading.meter_id).or_insert(reading);
        if kept.at <= reading.at {
            *kept = reading;
        }
    }
    let newest: Vec<_> = newest.into_iter().collect();
    for some in newest.chunks(ROWS_PER_STATEMENT) {
        let set =
            "update meter set supply = told.column2, supply_at_ms = told.column3 from (values ";
        let mut query = rows(set, 3, some.len(), ") as told where meter_id = told.column1");
        for (meter, reading) in some {
            query = query
                .bind(meter.to_string())
                .bind(stored::supply_name(reading.snapshot.supply))
                .bind(reading.at.0);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// A statement with so many rows of so many values: `head ($1, $2), ($3, $4) tail`. Full ones are all
/// alike, so that the database keeps them prepared; one that is not full is seldom met again.
pub(crate) fn rows<'q>(
    head: &str,
    columns: usize,
    rows: usize,
    tail: &str,
) -> Query<'q, Any, AnyArguments> {
    let mut text = head.to_owned();
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ", (" });
        for column in 1..=columns {
            let comma = if column == 1 { "" } else { ", " };
            let _ = write!(text, "{comma}${}", row * columns + column);
        }
        text.push(')');
    }
    text.push_str(tail);
    sqlx::query(AssertSqlSafe(text).into_sql_str()).persistent(rows == ROWS_PER_STATEMENT)
}
