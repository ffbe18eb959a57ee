//! Alarms (告警): what is wrong at a meter by its own word, from the reading that told it first until one
//! that does not tell it any more.
//!
//! Invariants: one of a name stands at a meter at most; a reading from before the last change of a name
//! changes nothing, nor does one whose driver did not ask the meter for its states. Not here: what a
//! maker's bits mean (drivers), the words for it (server).

use crate::Service;
use crate::clock::UnixMs;
use crate::error::{Result, ServiceError, bad_column};
use crate::limits::ROWS_PER_STATEMENT;
use crate::page::Page;
use crate::reading::Reading;
use crate::reading_store::rows;
use polymeter_domain::{MeterId, ReadingId, Value};
use polymeter_ledger::Connection;
use sqlx::Row as _;
use std::collections::{BTreeMap, BTreeSet};

/// The extra of a reading that names all states that stand, with spaces between them; docs/contract.md.
const STATES: &str = "states";
/// A driver's names are its own, up to this.
const NAME_CHARS_MAX: usize = 40;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// They are numbered as they begin.
    pub number: i64,
    pub meter_id: MeterId,
    pub serial_number: String,
    /// A common name of docs/contract.md, or the driver's own.
    pub name: String,
    pub begun_at: UnixMs,
    /// The reading that told it first.
    pub reading_id: ReadingId,
    /// `None`: it stands.
    pub ended_at: Option<UnixMs>,
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    alarm_id: i64,
    meter_id: String,
    serial_number: String,
    name: String,
    begun_at_ms: i64,
    reading_id: String,
    ended_at_ms: Option<i64>,
}

impl TryFrom<Row> for Alarm {
    type Error = ServiceError;
    fn try_from(row: Row) -> Result<Alarm> {
        Ok(Alarm {
            number: row.alarm_id,
            meter_id: row.meter_id.parse().map_err(|_| bad_column("meter_id", &row.meter_id))?,
            serial_number: row.serial_number,
            name: row.name,
            begun_at: UnixMs(row.begun_at_ms),
            reading_id: row
                .reading_id
                .parse()
                .map_err(|_| bad_column("reading_id", &row.reading_id))?,
            ended_at: row.ended_at_ms.map(UnixMs),
        })
    }
}

impl Reading {
    /// The states that stood at the device; `None` where its driver did not ask for them.
    pub fn states(&self) -> Option<Vec<&str>> {
        let (_, states) = self.snapshot.extras.iter().find(|(name, _)| name == STATES)?;
        let Value::Text(states) = states else { return None };
        Some(states.split_ascii_whitespace().filter(|word| is_name(word)).collect())
    }
}

fn is_name(word: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b'-' | b'0'..=b'9');
    word.len() <= NAME_CHARS_MAX && word.bytes().all(is_plain)
}

/// Begins and ends what readings that are being stored tell.
pub(crate) async fn follow(connection: &mut Connection, readings: &[Reading]) -> Result<()> {
    let mut all: Vec<_> =
        readings.iter().filter_map(|reading| Some((reading, reading.states()?))).collect();
    all.sort_by_key(|(reading, _)| reading.at);
    let mut standing = standing(connection, &all).await?;
    for (reading, names) in all {
        let stands = standing.entry(reading.meter_id.to_string()).or_default();
        let over = stands.iter().filter(|it| !names.contains(&it.as_str())).cloned();
        for name in over.collect::<Vec<_>>() {
            if end(connection, reading, &name).await? {
                stands.remove(&name);
            }
        }
        for name in names {
            if !stands.contains(name) && begin(connection, reading, name).await? {
                stands.insert(name.to_owned());
            }
        }
    }
    Ok(())
}

/// What stands at the meters of these readings, by meter.
async fn standing(
    connection: &mut Connection,
    readings: &[(&Reading, Vec<&str>)],
) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let meters: BTreeSet<MeterId> = readings.iter().map(|(reading, _)| reading.meter_id).collect();
    let meters: Vec<_> = meters.into_iter().collect();
    let mut standing: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for some in meters.chunks(ROWS_PER_STATEMENT) {
        let ask =
            "select meter_id, name from alarm where ended_at_ms is null and meter_id in (values ";
        let query = rows(ask, 1, some.len(), ")");
        let query = some.iter().fold(query, |query, meter| query.bind(meter.to_string()));
        for row in query.fetch_all(&mut *connection).await? {
            standing.entry(row.try_get("meter_id")?).or_default().insert(row.try_get("name")?);
        }
    }
    Ok(standing)
}

/// False where something later is known of it.
async fn begin(connection: &mut Connection, reading: &Reading, name: &str) -> Result<bool> {
    let begun = sqlx::query(
        "insert into alarm (meter_id, name, begun_at_ms, reading_id)
         select cast($1 as text), cast($2 as text), cast($3 as bigint), cast($4 as text)
         where not exists (select 1 from alarm where meter_id = $1 and name = $2
                           and (ended_at_ms is null or ended_at_ms > $3))",
    )
    .bind(reading.meter_id.to_string())
    .bind(name)
    .bind(reading.at.0)
    .bind(reading.reading_id.to_string())
    .execute(connection)
    .await?;
    Ok(begun.rows_affected() > 0)
}

/// False where it began later.
async fn end(connection: &mut Connection, reading: &Reading, name: &str) -> Result<bool> {
    let ended = sqlx::query(
        "update alarm set ended_at_ms = $3
         where meter_id = $1 and name = $2 and ended_at_ms is null and begun_at_ms <= $3",
    )
    .bind(reading.meter_id.to_string())
    .bind(name)
    .bind(reading.at.0)
    .execute(connection)
    .await?;
    Ok(ended.rows_affected() > 0)
}

impl Service {
    /// Newest first; of one meter or of all, all or only those that stand.
    pub async fn alarms(
        &self,
        meter: Option<MeterId>,
        standing: bool,
        page: &Page,
    ) -> Result<Vec<Alarm>> {
        let rows: Vec<Row> = sqlx::query_as(
            "select alarm.*, meter.serial_number
             from alarm join meter on meter.meter_id = alarm.meter_id
             where ($1 is null or alarm.meter_id = $1) and ($2 = 0 or ended_at_ms is null)
               and ($3 is null or alarm_id < $3)
             order by alarm_id desc limit $4",
        )
        .bind(meter.map(|id| id.to_string()))
        .bind(i64::from(standing))
        .bind(page.after_number()?)
        .bind(page.row_limit()?)
        .fetch_all(self.reader())
        .await?;
        rows.into_iter().map(Alarm::try_from).collect()
    }
}
