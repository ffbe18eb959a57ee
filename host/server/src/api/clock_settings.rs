//! The clocks in meters, put right (校时).

use super::error::{ApiError, Problem};
use super::extract::{Body, Id, Parameters};
use super::files::operator;
use super::values::{PageParameters, Paged, time};
use crate::app::App;
use crate::session::Caller;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use polymeter_domain::MeterId;
use polymeter_runtime::ClockWay;
use polymeter_service as service;
use polymeter_service::ClockState;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// As the protocol lets anybody on the line do it, within its rules (DL/T 645: by broadcast, at most
    /// 5 minutes, once a day, not around midnight).
    Adjust,
    /// With authority, by any amount.
    Set,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewClockSetting {
    pub way: Way,
    pub reason: String,
}

/// One clock that was to be put right.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClockSetting {
    pub clock_setting_id: String,
    pub meter_id: String,
    /// `adjust` or `set`.
    pub way: &'static str,
    /// Seconds that the clock was ahead when it was asked for, below zero behind; `null`: it showed no
    /// time.
    pub drift_seconds: Option<i64>,
    pub reason: String,
    /// `null`: the system itself.
    pub operator_id: Option<String>,
    /// `waiting` for a second person, `approved`, `asked`; then `right` or `wrong`, as the clock showed
    /// when it was read back, `refused`, `not-sent`, `unknown` or `withdrawn`.
    pub state: &'static str,
    /// The drift when it was read back.
    pub drift_after_seconds: Option<i64>,
    /// Why it did not end well; empty where it did.
    pub detail: String,
    /// What it waits for.
    pub approval_id: Option<String>,
    pub created_at: String,
    pub ended_at: Option<String>,
}

impl From<&service::ClockSetting> for ClockSetting {
    fn from(it: &service::ClockSetting) -> Self {
        ClockSetting {
            clock_setting_id: it.clock_setting_id.to_string(),
            meter_id: it.meter_id.to_string(),
            way: it.way.name(),
            drift_seconds: it.drift_s,
            reason: it.reason.clone(),
            operator_id: operator(&it.operator),
            state: it.state.name(),
            drift_after_seconds: it.drift_after_s,
            detail: it.detail.clone(),
            approval_id: it.approval.map(|id| id.to_string()),
            created_at: time(it.created_at),
            ended_at: it.ended_at.map(time),
        }
    }
}

/// Read a meter and put its clock right. The answer's `state` says how that ended, by the clock itself,
/// read back.
#[utoipa::path(post, path = "/api/v1/meters/{meter_id}/clock-settings", tag = "clocks",
    params(("meter_id" = String, Path)), request_body = NewClockSetting, responses(
    (status = 201, description = "It is over, well or not", body = ClockSetting),
    (status = 202, description = "It waits for a second person", body = ClockSetting),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 409, description = "`blocked`: its driver sets no clock, or one is under way",
        body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`, `no-driver`", body = Problem,
        content_type = "application/problem+json"),
    (status = 502, description = "`device-failed`", body = Problem,
        content_type = "application/problem+json"),
    (status = 503, description = "`line-down`, `line-busy`", body = Problem,
        content_type = "application/problem+json"),
    (status = 504, description = "`device-silent`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn add(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<MeterId>,
    Body(new): Body<NewClockSetting>,
) -> Result<Response, ApiError> {
    let way = match new.way {
        Way::Adjust => ClockWay::Adjust,
        Way::Set => ClockWay::Set,
    };
    let it = app.service.set_meter_clock(id, way, &new.reason, &caller.actor()).await?;
    let status = match it.state {
        ClockState::Waiting => StatusCode::ACCEPTED,
        _ => StatusCode::CREATED,
    };
    Ok((status, Json(ClockSetting::from(&it))).into_response())
}

/// What was done about a meter's clock, newest first.
#[utoipa::path(get, path = "/api/v1/meters/{meter_id}/clock-settings", tag = "clocks",
    params(("meter_id" = String, Path), PageParameters), responses(
    (status = 200, description = "One page", body = Paged<ClockSetting>),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`: `after` is not an id", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn of_meter(
    State(app): State<App>,
    Id(id): Id<MeterId>,
    Parameters(parameters): Parameters<PageParameters>,
) -> Result<Json<Paged<ClockSetting>>, ApiError> {
    let page = parameters.page();
    let found = app.service.clock_settings(id, &page).await?;
    Ok(Json(Paged::of(&found, page.limit, |it| it.clock_setting_id.to_string())))
}
