//! The rows of records.

use super::StoredRecord;
use crate::clock::UnixMs;
use crate::error::{Result, bad_column};
use crate::page::Page;
use crate::reading::MeasurementRow;
use crate::stored;
use polymeter_domain::{LocalTime, Measurement, MeterId, Value};
use polymeter_ledger::{Connection, Reader};
use polymeter_runtime::Record;

#[derive(Debug, sqlx::FromRow)]
struct Row {
    record_id: i64,
    kind: String,
    at: String,
    event: String,
    device_code: String,
    extras: String,
    stored_at_ms: i64,
}

/// Of a row, as it was written.
fn time(text: &str) -> Option<LocalTime> {
    let part = |from: usize, to: usize| text.get(from..to)?.parse::<u16>().ok();
    let byte = |from, to| u8::try_from(part(from, to)?).ok();
    Some(LocalTime {
        year: part(0, 4)?,
        month: byte(5, 7)?,
        day: byte(8, 10)?,
        hour: byte(11, 13)?,
        minute: byte(14, 16)?,
        second: byte(17, 19)?,
    })
}

/// False where it is stored already, with whatever it had then.
pub(super) async fn insert(
    connection: &mut Connection,
    meter: MeterId,
    kind: &str,
    record: &Record,
    stored_at: UnixMs,
) -> Result<bool> {
    let Some(at) = record.at else { return Ok(false) };
    let id: Option<i64> = sqlx::query_scalar(
        "insert into record (meter_id, kind, at, event, device_code, extras, stored_at_ms)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (meter_id, kind, at, event, device_code) do nothing
         returning record_id",
    )
    .bind(meter.to_string())
    .bind(kind)
    .bind(at.to_string())
    .bind(&record.event)
    .bind(record.device_code.as_deref().unwrap_or_default())
    .bind(stored::named_values_text(&record.extras))
    .bind(stored_at.0)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(id) = id else { return Ok(false) };
    for (position, measured) in (0_i64..).zip(&record.measurements) {
        insert_value(connection, id, position, measured).await?;
    }
    Ok(true)
}

async fn insert_value(
    connection: &mut Connection,
    record: i64,
    position: i64,
    measured: &Measurement,
) -> Result<()> {
    let (mantissa, scale, other) = match &measured.value {
        Value::Number(number) => (Some(number.mantissa), Some(i64::from(number.scale)), None),
        other => (None, None, Some(stored::value_text(other))),
    };
    sqlx::query(
        "insert into record_value
             (record_id, position, register, mantissa, scale, other, unit, quality)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(record)
    .bind(position)
    .bind(measured.register.as_str().to_owned())
    .bind(mantissa)
    .bind(scale)
    .bind(other)
    .bind(i64::from(measured.unit.0))
    .bind(stored::quality_name(measured.quality))
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn last_at(
    reader: &Reader,
    meter: MeterId,
    kind: &str,
) -> Result<Option<LocalTime>> {
    let last: Option<String> =
        sqlx::query_scalar("select max(at) from record where meter_id = $1 and kind = $2")
            .bind(meter.to_string())
            .bind(kind)
            .fetch_one(reader)
            .await?;
    last.map(|text| time(&text).ok_or_else(|| bad_column("at", text))).transpose()
}

/// From when on the records of a reading that did not come to its end are missing.
pub(super) async fn unfinished(
    reader: &Reader,
    meter: MeterId,
    kind: &str,
) -> Result<Option<LocalTime>> {
    let since: Option<String> =
        sqlx::query_scalar("select since from record_reading where meter_id = $1 and kind = $2")
            .bind(meter.to_string())
            .bind(kind)
            .fetch_optional(reader)
            .await?;
    since.map(|text| time(&text).ok_or_else(|| bad_column("since", text))).transpose()
}

pub(super) async fn keep_unfinished(
    connection: &mut Connection,
    meter: MeterId,
    kind: &str,
    since: Option<LocalTime>,
) -> Result<()> {
    match since {
        Some(since) => sqlx::query(
            "insert into record_reading (meter_id, kind, since) values ($1, $2, $3)
             on conflict (meter_id, kind) do update set since = excluded.since",
        )
        .bind(meter.to_string())
        .bind(kind)
        .bind(since.to_string()),
        None => sqlx::query("delete from record_reading where meter_id = $1 and kind = $2")
            .bind(meter.to_string())
            .bind(kind),
    }
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn of_meter(
    reader: &Reader,
    meter: MeterId,
    kind: Option<&str>,
    page: &Page,
) -> Result<Vec<StoredRecord>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select record_id, kind, at, event, device_code, extras, stored_at_ms from record
         where meter_id = $1 and ($2 is null or kind = $2)
           and ($3 is null or (at, record_id) <
                (select at, record_id from record where record_id = $3))
         order by at desc, record_id desc limit $4",
    )
    .bind(meter.to_string())
    .bind(kind)
    .bind(page.after_number()?)
    .bind(page.row_limit()?)
    .fetch_all(reader)
    .await?;
    let mut records = Vec::with_capacity(rows.len());
    for row in rows {
        let values: Vec<MeasurementRow> = sqlx::query_as(
            "select register, mantissa, scale, other, unit, quality from record_value
             where record_id = $1 order by position",
        )
        .bind(row.record_id)
        .fetch_all(reader)
        .await?;
        let measurements = values.into_iter().map(Measurement::try_from);
        records.push(StoredRecord {
            number: row.record_id,
            kind: row.kind,
            at: row.at,
            event: row.event,
            device_code: row.device_code,
            measurements: measurements.collect::<Result<_>>()?,
            extras: stored::named_values("extras", &row.extras)?,
            stored_at: UnixMs(row.stored_at_ms),
        });
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_it_was_written() {
        let at = LocalTime { year: 2026, month: 3, day: 2, hour: 0, minute: 15, second: 9 };
        assert_eq!(at.to_string(), "2026-03-02T00:15:09");
        assert_eq!(time(&at.to_string()), Some(at));
        for bad in ["", "2026-03-02", "2026-03-02T00:15", "2026-03-02T00:15:é9"] {
            assert_eq!(time(bad), None, "{bad}");
        }
    }
}
