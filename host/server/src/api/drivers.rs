//! The drivers that serve, and what an operator may do about them without a restart.
//!
//! Invariant: the same routes answer operators over HTTP and commands over the control socket; who
//! asked stands in the audit trail. What names a file of this machine is on the control socket only.

use super::driver_health::{self, Health};
use super::error::{ApiError, Problem};
use super::extract::{Asker, Body};
use super::system::Driver;
use crate::app::App;
use crate::config::CandidateEntry;
use crate::drivers::{DriversError, Report};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get as read, post};
use axum::{Extension, Json, Router};
use polymeter_service::{Actor, Edition, Progress, Rollout, Slot};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// A driver that serves: what it says of itself, where it comes from, and what is to replace it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServingDriver {
    #[serde(flatten)]
    pub driver: Driver,
    #[serde(flatten)]
    pub origin: Origin,
    pub health: Health,
    /// A version on trial.
    pub candidate: Option<Candidate>,
    /// The version that served before, ready for a rollback.
    pub previous: Option<Version>,
}

/// Where a version comes from.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Origin {
    /// SHA-256 of its file.
    pub digest: String,
    pub file: String,
    /// The id of the key that signed it; `null`: UNSIGNED.
    pub signer: Option<String>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Version {
    pub version: String,
    #[serde(flatten)]
    pub origin: Origin,
}

/// A version on trial, and what it has shown so far.
#[derive(Debug, Serialize, ToSchema)]
pub struct Candidate {
    #[serde(flatten)]
    pub version: Version,
    pub health: Health,
    /// `shadow`, `canary-reads`, `canary-all` or `ready`.
    pub stage: &'static str,
    pub shadow_lines: Vec<String>,
    /// Share of the meters in percent.
    pub canary: u8,
    pub comparisons: u32,
    pub disagreements: u32,
    /// Reads that it answered for callers.
    pub reads: u32,
    /// Other acts that it did.
    pub acts: u32,
    pub faults: u32,
    pub last_fault: Option<String>,
    pub p99_ms: Option<u64>,
    pub current_p99_ms: Option<u64>,
    /// The newest last.
    pub differences: Vec<Difference>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Difference {
    /// An OBIS code, or what else was compared.
    pub what: String,
    pub current: String,
    pub candidate: String,
}

/// What a request changed, and sentences about what it left as it was.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Changed {
    pub changes: Vec<ChangedThing>,
    pub notes: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ChangedThing {
    /// As in the audit trail, e.g. `driver-replaced`.
    pub act: String,
    pub object: String,
    pub detail: String,
}

/// A package of this machine on trial; over the control socket only.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upgrade {
    pub package: PathBuf,
    pub shadow_lines: Vec<String>,
    pub canary: u8,
}

impl From<&Edition> for Origin {
    fn from(edition: &Edition) -> Self {
        Origin {
            digest: edition.digest.clone(),
            file: edition.file.display().to_string(),
            signer: edition.signer.clone(),
        }
    }
}

impl From<&Edition> for Version {
    fn from(edition: &Edition) -> Self {
        Version { version: edition.version().to_owned(), origin: edition.into() }
    }
}

impl From<&Slot> for ServingDriver {
    fn from(slot: &Slot) -> Self {
        ServingDriver {
            driver: slot.current.driver.as_ref().into(),
            origin: (&slot.current).into(),
            health: slot.current.driver.health().into(),
            candidate: slot.candidate.as_deref().map(Candidate::from),
            previous: slot.previous.as_ref().map(Version::from),
        }
    }
}

impl From<&Rollout> for Candidate {
    fn from(rollout: &Rollout) -> Self {
        let progress: Progress = rollout.progress();
        let ms = |took: std::time::Duration| u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        Candidate {
            version: (&rollout.edition).into(),
            health: rollout.edition.driver.health().into(),
            stage: progress.stage.name(),
            shadow_lines: rollout.plan.shadow_lines.clone(),
            canary: rollout.plan.canary_percent,
            comparisons: progress.comparisons,
            disagreements: progress.disagreements,
            reads: progress.reads,
            acts: progress.acts,
            faults: progress.faults,
            last_fault: progress.last_fault,
            p99_ms: progress.candidate_p99.map(ms),
            current_p99_ms: progress.current_p99.map(ms),
            differences: progress
                .differences
                .into_iter()
                .map(|it| Difference {
                    what: it.what,
                    current: it.current,
                    candidate: it.candidate,
                })
                .collect(),
        }
    }
}

impl From<Report> for Changed {
    fn from(report: Report) -> Self {
        let changes = report.changes.into_iter();
        Changed {
            changes: changes
                .map(|it| ChangedThing {
                    act: it.act.to_owned(),
                    object: it.object,
                    detail: it.detail,
                })
                .collect(),
            notes: report.notes,
        }
    }
}

impl From<DriversError> for ApiError {
    fn from(error: DriversError) -> ApiError {
        let detail = error.to_string();
        let (status, code, title) = match error {
            DriversError::Service(error) => return error.into(),
            DriversError::Config(_) => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "bad-configuration",
                "The configuration cannot be used; nothing was changed",
            ),
            DriversError::NoDriver { .. } => (StatusCode::NOT_FOUND, "not-found", "No such thing"),
            DriversError::Cannot(_) => (StatusCode::CONFLICT, "cannot", "This cannot be done now"),
        };
        ApiError::new(status, code, title, detail)
    }
}

/// The drivers that serve.
#[utoipa::path(get, path = "/api/v1/drivers", tag = "drivers", responses(
    (status = 200, description = "All of them", body = [ServingDriver]),
))]
pub async fn list(State(app): State<App>) -> Json<Vec<ServingDriver>> {
    Json(app.service.slots().iter().map(ServingDriver::from).collect())
}

/// One driver.
#[utoipa::path(get, path = "/api/v1/drivers/{name}", tag = "drivers",
    params(("name" = String, Path, description = "Its name in the configuration")), responses(
    (status = 200, description = "The driver", body = ServingDriver),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn get(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<ServingDriver>, ApiError> {
    Ok(Json((&app.drivers.slot(&name)?).into()))
}

/// What a meter of this driver may be told, as a JSON Schema (2020-12) of `parameters`. Texts are
/// English, `x-title-zh` and `x-description-zh` Chinese; `x-unit` `currency` is minor units;
/// `x-writable` ones live in the device and are set there, the others are kept with the meter.
#[utoipa::path(get, path = "/api/v1/drivers/{name}/parameters", tag = "drivers",
    params(("name" = String, Path, description = "Its name in the configuration")), responses(
    (status = 200, description = "The schema; without properties where it takes none",
        body = Object),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn parameters(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<serde_json::Value>, ApiError> {
    let driver = app.drivers.slot(&name)?.current.driver;
    let schema = driver.manifest().map(polymeter_package::Manifest::parameters_schema);
    let nothing = || serde_json::json!({ "type": "object", "additionalProperties": false });
    Ok(Json(schema.unwrap_or_else(nothing)))
}

/// Read the configuration anew: load what is new beside the old, then swap.
#[utoipa::path(post, path = "/api/v1/reload", tag = "drivers", responses(
    (status = 200, description = "What changed", body = Changed),
    (status = 422, description = "`bad-configuration`: nothing was changed", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn reload(State(app): State<App>, who: Asker) -> Result<Json<Changed>, ApiError> {
    Ok(Json(app.drivers.reload(&who.0).await?.into()))
}

/// Let the candidate take the place of the current version.
#[utoipa::path(post, path = "/api/v1/drivers/{name}/promotion", tag = "drivers",
    params(("name" = String, Path, description = "Its name in the configuration")), responses(
    (status = 200, description = "What changed", body = Changed),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 409, description = "`cannot`: there is no candidate", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn promote(
    State(app): State<App>,
    who: Asker,
    Path(name): Path<String>,
) -> Result<Json<Changed>, ApiError> {
    Ok(Json(app.drivers.promote(&name, &who.0).await?.into()))
}

/// Send the candidate back, or without one let the version before serve again.
#[utoipa::path(post, path = "/api/v1/drivers/{name}/rollback", tag = "drivers",
    params(("name" = String, Path, description = "Its name in the configuration")), responses(
    (status = 200, description = "What changed", body = Changed),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 409, description = "`cannot`: no version to go back to", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn roll_back(
    State(app): State<App>,
    who: Asker,
    Path(name): Path<String>,
) -> Result<Json<Changed>, ApiError> {
    Ok(Json(app.drivers.roll_back(&name, &who.0).await?.into()))
}

/// Over the control socket only: it names a file of this machine.
async fn upgrade(
    State(app): State<App>,
    who: Asker,
    Path(name): Path<String>,
    Body(asked): Body<Upgrade>,
) -> Result<Json<Changed>, ApiError> {
    let candidate = CandidateEntry::new(asked.package, asked.shadow_lines, asked.canary);
    Ok(Json(app.drivers.upgrade(&name, &candidate, &who.0).await?.into()))
}

/// Over the control socket only: who can reach it can read the vault's file.
async fn reread_vault(State(app): State<App>, who: Asker) -> Result<Json<Changed>, ApiError> {
    Ok(Json(app.drivers.reread_vault(&who.0).await?.into()))
}

/// Drivers, trials and lines in numbers, in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "system", responses(
    (status = 200, description = "Text format 0.0.4", body = String, content_type = "text/plain"),
))]
pub async fn metrics(State(app): State<App>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], crate::metrics::text(&app))
}

/// What tells of drivers, to operators and commands.
pub fn looks() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(metrics))
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(parameters))
}

/// What changes drivers or tells of their inside, for operators and commands.
pub fn changes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(reload))
        .routes(routes!(promote))
        .routes(routes!(roll_back))
        .routes(routes!(driver_health::log))
        .routes(routes!(driver_health::release))
}

/// What answers on the control socket, as the system.
pub fn control_router(app: &App) -> Router {
    let (shared, _) = looks().merge(changes()).split_for_parts();
    shared
        .route("/control/drivers/{name}/upgrade", post(upgrade))
        .route("/control/day-closes", post(super::day_closes::close))
        .route("/control/vault", post(reread_vault))
        .route("/control/meters/{serial_number}/trace", read(super::conversations::of_serial))
        .route("/control/meters/{serial_number}/charge", post(super::charges::charge_by_serial))
        .route("/control/sales/{sale_id}/explanation", read(super::explanation::explain))
        .layer(Extension(Actor::System))
        .layer(axum::middleware::from_fn(super::error::finish))
        .with_state(app.clone())
}
