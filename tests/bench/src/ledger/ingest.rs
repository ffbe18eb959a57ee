//! I1: readings into their tables through the service, many in one job, against the same rows put there
//! by the shortest way that each engine has: prepared inserts on SQLite, COPY in binary on PostgreSQL.
//!
//! Both commit as often, with as many rows in each commit; time is for one measured value. The reference
//! writes tables with the same columns, keys and checks, without foreign keys, and leaves the meters alone.

use super::{Books, Scale};
use crate::figure::Row;
use crate::ratio::{Comparison, compare};
use anyhow::{Context, Result};
use polymeter_domain::{
    ClockDrift, Currency, Decimal, LocalTime, Measurement, MeterId, ObisCode, Quality, ReadingId,
    Snapshot, SupplyState, Unit, Value,
};
use polymeter_ledger::{Database, LedgerError};
use polymeter_service::{Clock, Parts, Reading, Rules, Service, UnixMs};
use polymeter_transport::CardReaders;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Meters that are read in one round, and values that each tells.
const METERS: usize = 256;
const VALUES: usize = 10;
const REGISTERS: [&str; VALUES] = [
    "1.0.1.8.0.255",
    "1.0.1.8.1.255",
    "1.0.1.8.2.255",
    "1.0.1.8.3.255",
    "1.0.1.8.4.255",
    "1.0.2.8.0.255",
    "1.0.32.7.0.255",
    "1.0.31.7.0.255",
    "1.0.1.7.0.255",
    "1.0.13.7.0.255",
];
/// A speed of at least 0.6 is a time of at most 1 / 0.6.
const AT_MOST_SQLITE: f64 = 1.0 / 0.6;
const AT_MOST_POSTGRES: f64 = 1.0 / 0.5;

pub async fn run(root: &Path, rounds: usize, scale: Scale) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for books in Books::both().await {
        let folder = tempfile::tempdir_in(root.join("target"))?;
        let database = Database::open(&books.place(folder.path())?).await?;
        let meters = meters(&database).await?;
        let service = service(database).await?;
        let product = async || {
            let rounds = readings(&meters, scale.read_rounds);
            let begun = Instant::now();
            for round in rounds {
                service.keep_readings(round).await?;
            }
            Ok(each(begun, scale))
        };
        let (what, at_most, compared): (_, _, Comparison) = match books.url() {
            None => {
                let what =
                    "one value of a reading, stored through the service / prepared insert, SQLite";
                let mut raw = raw_sqlite(folder.path()).await?;
                let reference = async || by_inserts(&mut raw, &meters, scale).await;
                (what, AT_MOST_SQLITE, compare(rounds, reference, product).await?)
            }
            Some(url) => {
                let what = "one value of a reading, stored through the service / COPY in binary, PostgreSQL";
                let mut raw = PgConnection::connect(&url).await?;
                raw.execute(RAW_POSTGRES).await?;
                let reference = async || by_copy(&mut raw, &meters, scale).await;
                (what, AT_MOST_POSTGRES, compare(rounds, reference, product).await?)
            }
        };
        rows.push(Row::ratio("I1", what, Some(at_most), compared));
    }
    Ok(rows)
}

fn each(begun: Instant, scale: Scale) -> Duration {
    begun.elapsed() / (METERS * VALUES) as u32 / scale.read_rounds
}

/// Without drivers or lines: what is stored comes from here.
async fn service(database: Database) -> Result<Service> {
    let local = LocalTime { year: 2026, month: 3, day: 2, hour: 18, minute: 0, second: 0 };
    let clock = Clock {
        now: Arc::new(move || (UnixMs(1_772_445_600_000), local)),
        local: Arc::new(move |_| local),
        nonce: Arc::new(|| Uuid::now_v7().into_bytes()),
    };
    let (drivers, lines, rules) = (Vec::new(), Vec::new(), Rules::default());
    let (readers, marks) = (CardReaders::of(Vec::new()), Vec::new());
    let currency = Currency::CNY;
    let parts = Parts { database, drivers, lines, currency, clock, rules, readers, marks };
    Ok(Service::start(parts).await?)
}

async fn meters(database: &Database) -> Result<Vec<MeterId>> {
    let meters: Vec<MeterId> = (0..METERS).map(|_| MeterId::new(Uuid::now_v7())).collect();
    let ids = meters.clone();
    let stored: Result<(), LedgerError> = database
        .write(move |tx| {
            Box::pin(async move {
                for id in ids {
                    let meter = sqlx::query(
                        "insert into meter (meter_id, serial_number, vendor, line, address,
                                            parameters, mode, created_at_ms)
                         values ($1, $1, 'BENCH', 'line', $1, '[]', 'post-paid', 1)",
                    );
                    let inserted = meter.bind(id.to_string()).execute(tx.connection()).await;
                    inserted.map_err(|source| LedgerError::Storage {
                        doing: "making a meter",
                        source,
                    })?;
                }
                Ok(())
            })
        })
        .await;
    stored?;
    Ok(meters)
}

/// Every meter once in each round.
fn readings(meters: &[MeterId], rounds: u32) -> Vec<Vec<Reading>> {
    let reading = |round: u32, meter_id: MeterId| Reading {
        reading_id: ReadingId::new(Uuid::now_v7()),
        meter_id,
        at: UnixMs(1_772_445_600_000 + i64::from(round) * 900_000),
        drift: Some(ClockDrift { seconds: 0, within_seconds: 1 }),
        snapshot: Snapshot {
            measurements: (1..).zip(REGISTERS).map(|(nth, name)| measured(nth, name)).collect(),
            supply: SupplyState::Connected,
            extras: Vec::new(),
        },
    };
    (0..rounds).map(|round| meters.iter().map(|id| reading(round, *id)).collect()).collect()
}

fn measured(nth: i64, register: &str) -> Measurement {
    Measurement {
        register: ObisCode::new(register).expect("a register"),
        value: Value::Number(Decimal { mantissa: 123_456 * nth, scale: -2 }),
        unit: Unit(30),
        quality: Quality::Measured,
    }
}

async fn raw_sqlite(folder: &Path) -> Result<SqliteConnection> {
    let options = SqliteConnectOptions::new()
        .filename(folder.join("raw.db"))
        .create_if_missing(true)
        .foreign_keys(false)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let mut raw = SqliteConnection::connect_with(&options).await?;
    let mut made = SqliteConnection::connect_with(
        &SqliteConnectOptions::new().filename(folder.join(super::FILE)).read_only(true),
    )
    .await?;
    let tables: Vec<String> = sqlx::query_scalar(
        "select sql from sqlite_schema where tbl_name in ('reading', 'measurement')
         and sql is not null order by type desc",
    )
    .fetch_all(&mut made)
    .await?;
    for table in tables {
        raw.execute(AssertSqlSafe(table)).await?;
    }
    Ok(raw)
}

/// Single inserts that are kept prepared; so many are handed to SQLite's thread at once that the way there
/// and back costs nothing.
async fn by_inserts(
    raw: &mut SqliteConnection,
    meters: &[MeterId],
    scale: Scale,
) -> Result<Duration> {
    let mut one = String::from("insert into reading values ($1, $2, $3, 'connected', '[]', 0, 1);");
    for value in 0..VALUES {
        let (register, mantissa) = (4 + 2 * value, 5 + 2 * value);
        one.push_str(&format!(
            "insert into measurement values
             ($1, {value}, ${register}, ${mantissa}, -2, null, 30, 'measured');"
        ));
    }
    let rounds = readings(meters, scale.read_rounds);
    let begun = Instant::now();
    for round in rounds {
        let mut transaction = raw.begin().await?;
        for reading in round {
            let mut insert = sqlx::query(AssertSqlSafe(one.clone()))
                .bind(reading.reading_id.to_string())
                .bind(reading.meter_id.to_string())
                .bind(reading.at.0);
            for measured in reading.snapshot.measurements {
                let Value::Number(number) = measured.value else { continue };
                insert = insert.bind(measured.register.as_str().to_owned()).bind(number.mantissa);
            }
            insert.execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
    }
    Ok(each(begun, scale))
}

const RAW_POSTGRES: &str = "create table raw_reading (like reading including all);
    create table raw_measurement (like measurement including all)";

async fn by_copy(raw: &mut PgConnection, meters: &[MeterId], scale: Scale) -> Result<Duration> {
    let rounds = readings(meters, scale.read_rounds);
    let begun = Instant::now();
    for round in rounds {
        let (mut reading_rows, mut rows) = (Copy::new(), Copy::new());
        for reading in &round {
            let (id, meter) = (reading.reading_id.to_string(), reading.meter_id.to_string());
            reading_rows.row(7).text(&id).text(&meter).number(reading.at.0);
            reading_rows.text("connected").text("[]").null().null();
            for (position, measured) in (0..).zip(&reading.snapshot.measurements) {
                let Value::Number(number) = measured.value else { continue };
                rows.row(8).text(&id).number(position).text(measured.register.as_str());
                rows.number(number.mantissa).number(i64::from(number.scale)).null();
                rows.number(i64::from(measured.unit.0)).text("measured");
            }
        }
        let mut transaction = raw.begin().await?;
        for (table, rows) in [("raw_reading", reading_rows), ("raw_measurement", rows)] {
            let copy = format!("copy {table} from stdin with (format binary)");
            let mut copy = transaction.copy_in_raw(&copy).await?;
            copy.send(rows.end()).await?;
            copy.finish().await.context("COPY")?;
        }
        transaction.commit().await?;
    }
    Ok(each(begun, scale))
}

/// Rows as COPY takes them in binary
/// (<https://www.postgresql.org/docs/current/sql-copy.html>, "Binary Format").
struct Copy(Vec<u8>);

impl Copy {
    fn new() -> Copy {
        let mut bytes = b"PGCOPY\n\xff\r\n\0".to_vec();
        // No flags, no more header.
        bytes.extend([0; 8]);
        Copy(bytes)
    }

    fn row(&mut self, columns: i16) -> &mut Copy {
        self.0.extend(columns.to_be_bytes());
        self
    }

    fn field(&mut self, bytes: &[u8]) -> &mut Copy {
        self.0.extend(i32::try_from(bytes.len()).unwrap_or(i32::MAX).to_be_bytes());
        self.0.extend(bytes);
        self
    }

    fn text(&mut self, text: &str) -> &mut Copy {
        self.field(text.as_bytes())
    }

    fn number(&mut self, number: i64) -> &mut Copy {
        self.field(&number.to_be_bytes())
    }

    fn null(&mut self) -> &mut Copy {
        self.0.extend((-1_i32).to_be_bytes());
        self
    }

    fn end(mut self) -> Vec<u8> {
        self.0.extend((-1_i16).to_be_bytes());
        self.0
    }
}
