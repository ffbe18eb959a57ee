//! Readings: asked of the device now, or stored before.

use super::error::{ApiError, Problem};
use super::extract::{Id, Parameters};
use super::values::{PageParameters, Paged, SnapshotJson, time};
use crate::app::App;
use crate::session::Caller;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use polymeter_domain::MeterId;
use polymeter_service as service;
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Debug, Serialize, ToSchema)]
pub struct Reading {
    pub reading_id: String,
    pub meter_id: String,
    pub at: String,
    /// How far off the meter's own clock was; `null`: it told none.
    pub clock_drift: Option<ClockDrift>,
    #[serde(flatten)]
    pub snapshot: SnapshotJson,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ClockDrift {
    /// At least so many seconds ahead; below zero: behind.
    pub seconds: i64,
    /// How long the reading took, so that it may be so much more.
    pub within_seconds: i64,
}

impl From<polymeter_domain::ClockDrift> for ClockDrift {
    fn from(drift: polymeter_domain::ClockDrift) -> Self {
        let polymeter_domain::ClockDrift { seconds, within_seconds } = drift;
        ClockDrift { seconds, within_seconds }
    }
}

impl From<&service::Reading> for Reading {
    fn from(reading: &service::Reading) -> Self {
        Reading {
            reading_id: reading.reading_id.to_string(),
            meter_id: reading.meter_id.to_string(),
            at: time(reading.at),
            clock_drift: reading.drift.map(ClockDrift::from),
            snapshot: SnapshotJson::from(&reading.snapshot),
        }
    }
}

/// Read the meter now.
#[utoipa::path(post, path = "/api/v1/meters/{meter_id}/readings", tag = "readings",
    params(("meter_id" = String, Path)), responses(
    (status = 201, description = "The reading, stored", body = Reading),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 502, description = "`device-failed`", body = Problem,
        content_type = "application/problem+json"),
    (status = 503, description = "`line-down`, `line-busy`", body = Problem,
        content_type = "application/problem+json"),
    (status = 504, description = "`device-silent`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn read(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<MeterId>,
) -> Result<(StatusCode, Json<Reading>), ApiError> {
    let reading = app.service.read_meter(id, &caller.actor()).await?;
    Ok((StatusCode::CREATED, Json(Reading::from(&reading))))
}

/// The meter's stored readings, newest first.
#[utoipa::path(get, path = "/api/v1/meters/{meter_id}/readings", tag = "readings",
    params(("meter_id" = String, Path), PageParameters), responses(
    (status = 200, description = "One page", body = Paged<Reading>),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`: `after` is not an id", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn list(
    State(app): State<App>,
    Id(id): Id<MeterId>,
    Parameters(parameters): Parameters<PageParameters>,
) -> Result<Json<Paged<Reading>>, ApiError> {
    let page = parameters.page();
    let found = app.service.readings(id, &page).await?;
    Ok(Json(Paged::of(&found, page.limit, |it| it.reading_id.to_string())))
}
