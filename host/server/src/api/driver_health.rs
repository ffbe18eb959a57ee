//! How a driver is doing: its statistics, its last lines, and the end of its quarantine.
//!
//! Invariant: shown as of the moment of the request, since the driver was loaded; no line of a
//! driver's is shown that is not cut and escaped. Not here: counting (runtime).

use super::drivers::Changed;
use super::error::{ApiError, Problem};
use super::extract::Asker;
use super::values;
use crate::app::App;
use axum::Json;
use axum::extract::{Path, State};
use polymeter_runtime::Standing;
use polymeter_service::UnixMs;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use utoipa::ToSchema;

/// One version's statistics since it was loaded.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// `serving`; `resting` for a moment after a trap, its calls wait; `quarantined`, its calls are
    /// answered at once and send nothing.
    pub standing: String,
    /// Of a rest or a quarantine.
    pub until: Option<String>,
    /// Of a quarantine.
    pub reason: Option<String>,
    /// Calls begun.
    pub calls: u64,
    pub running: u64,
    /// Calls that brought an answer.
    pub answered: u64,
    /// Calls that it could not answer by its own word, or answered with nonsense.
    pub failures: u64,
    /// Calls whose caller went away.
    pub cancelled: u64,
    /// Calls refused because it was in quarantine.
    pub refused: u64,
    /// Calls that broke their instance: how many of which kind.
    pub traps: BTreeMap<String, u64>,
    /// How often each limit bit.
    pub limits: BTreeMap<String, u64>,
    pub quarantines: u64,
    /// Half of its calls took at most so long; `null` without calls and beyond half a minute.
    pub p50_ms: Option<u64>,
    pub p99_ms: Option<u64>,
    pub last_trap: Option<LastTrap>,
    pub log_lines_dropped: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LastTrap {
    pub at: String,
    pub text: String,
}

/// A line that a driver wrote.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LogLine {
    pub at: String,
    /// Of the driver: the current version and a candidate write beside each other.
    pub version: String,
    /// `trace`, `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// Control characters are escaped.
    pub text: String,
}

impl Health {
    pub fn traps(&self) -> u64 {
        self.traps.values().sum()
    }

    /// Waiting out a rest or a quarantine.
    pub fn is_held_back(&self) -> bool {
        self.until.is_some()
    }

    pub fn is_quarantined(&self) -> bool {
        self.standing == "quarantined"
    }
}

impl From<polymeter_runtime::Health> for Health {
    fn from(health: polymeter_runtime::Health) -> Health {
        let until = |more: Duration| SystemTime::now().checked_add(more).map(time);
        let (standing, until, reason) = match health.standing {
            Standing::Serving => ("serving", None, None),
            Standing::Resting { more } => ("resting", until(more), None),
            Standing::Quarantined { more, reason } => ("quarantined", until(more), Some(reason)),
        };
        Health {
            standing: standing.to_owned(),
            until,
            reason,
            calls: health.calls,
            running: health.running,
            answered: health.answered,
            failures: health.failures,
            cancelled: health.cancelled,
            refused: health.refused,
            traps: health.traps.into_iter().map(|(kind, n)| (kind.name().to_owned(), n)).collect(),
            limits: health.limits.into_iter().map(|(it, n)| (it.name().to_owned(), n)).collect(),
            quarantines: health.quarantines,
            p50_ms: health.latency.quantile_ms(500),
            p99_ms: health.latency.quantile_ms(990),
            last_trap: health.last_trap.map(|it| LastTrap { at: time(it.at), text: it.text }),
            log_lines_dropped: health.log_lines_dropped,
        }
    }
}

fn time(at: SystemTime) -> String {
    values::time(unix_ms(at))
}

pub fn unix_ms(at: SystemTime) -> UnixMs {
    // A time before 1970 is a clock that was never set.
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The last lines that a driver wrote, oldest first; its candidate's among them.
#[utoipa::path(get, path = "/api/v1/drivers/{name}/log", tag = "drivers",
    params(("name" = String, Path, description = "Its name in the configuration")), responses(
    (status = 200, description = "The lines", body = [LogLine]),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn log(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<Vec<LogLine>>, ApiError> {
    let lines = app.drivers.log(&name)?.into_iter();
    let lines = lines.map(|(version, line)| LogLine {
        at: time(line.at),
        version,
        level: line.level.name().to_owned(),
        text: line.text,
    });
    Ok(Json(lines.collect()))
}

/// End a rest or a quarantine at once; what led to it is forgotten.
#[utoipa::path(post, path = "/api/v1/drivers/{name}/release", tag = "drivers",
    params(("name" = String, Path, description = "Its name in the configuration")), responses(
    (status = 200, description = "What changed", body = Changed),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn release(
    State(app): State<App>,
    who: Asker,
    Path(name): Path<String>,
) -> Result<Json<Changed>, ApiError> {
    Ok(Json(app.drivers.release(&name, &who.0).await?.into()))
}
