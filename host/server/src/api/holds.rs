//! Meters out of service: suspended (报停) and resumed (复电), and bypassed switches.

use super::error::{ApiError, Problem};
use super::extract::{Body, Id};
use super::files::{operator, why};
use super::values::{self, time};
use crate::app::App;
use crate::session::Caller;
use axum::Json;
use axum::extract::State;
use polymeter_domain::MeterId;
use polymeter_service as service;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Because {
    pub reason: String,
    /// The application that asks for it; it is done with this.
    pub application_id: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Hold {
    pub hold_id: String,
    pub meter_id: String,
    /// `suspended`: nothing is sold or charged; `bypassed`: nothing is switched.
    pub kind: &'static str,
    pub from: String,
    /// `null` while it lasts.
    pub to: Option<String>,
    pub reason: String,
    pub end_reason: Option<String>,
    pub operator_id: Option<String>,
}

impl From<&service::Hold> for Hold {
    fn from(hold: &service::Hold) -> Self {
        Hold {
            hold_id: hold.hold_id.to_string(),
            meter_id: hold.meter_id.to_string(),
            kind: hold.kind.name(),
            from: time(hold.from),
            to: hold.to.map(time),
            reason: hold.reason.clone(),
            end_reason: Some(hold.end_reason.clone()).filter(|text| !text.is_empty()),
            operator_id: operator(&hold.operator),
        }
    }
}

/// A suspension or its end, with what became of the switch.
#[derive(Debug, Serialize, ToSchema)]
pub struct Held {
    pub hold: Hold,
    /// What the device reported afterwards; `null` where it did not switch.
    pub supply: Option<&'static str>,
    /// Why it did not; the hold counts all the same, and the switch may be commanded later.
    pub problem: Option<String>,
}

impl From<service::Held> for Held {
    fn from(held: service::Held) -> Self {
        let (supply, problem) = match held.supply {
            Ok(state) => (Some(values::supply(state)), None),
            Err(error) => (None, Some(ApiError::from(error).detail)),
        };
        Held { hold: Hold::from(&held.hold), supply, problem }
    }
}

/// Suspend supply (报停): nothing is sold any more, and the device is told to disconnect.
#[utoipa::path(post, path = "/api/v1/meters/{meter_id}/suspension", tag = "supply",
    params(("meter_id" = String, Path)), request_body = Because, responses(
    (status = 200, description = "The suspension", body = Held),
    (status = 409, description = "`blocked`, `unsettled-sale`, `no-open-account`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn suspend(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<MeterId>,
    Body(given): Body<Because>,
) -> Result<Json<Held>, ApiError> {
    let why = why(given.reason, given.application_id.as_deref())?;
    Ok(Json(app.service.suspend(id, why, &caller.actor()).await?.into()))
}

/// Resume supply (复电): the device is told that the customer may close the breaker.
#[utoipa::path(post, path = "/api/v1/meters/{meter_id}/resumption", tag = "supply",
    params(("meter_id" = String, Path)), request_body = Because, responses(
    (status = 200, description = "The suspension that ended", body = Held),
    (status = 409, description = "`blocked`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn resume(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<MeterId>,
    Body(given): Body<Because>,
) -> Result<Json<Held>, ApiError> {
    let why = why(given.reason, given.application_id.as_deref())?;
    Ok(Json(app.service.resume_supply(id, why, &caller.actor()).await?.into()))
}

/// Record that the switch was bypassed by hand after a fault; nothing is sent to it until it is back.
#[utoipa::path(post, path = "/api/v1/meters/{meter_id}/bypass", tag = "supply",
    params(("meter_id" = String, Path)), request_body = Because, responses(
    (status = 200, description = "The bypass", body = Hold),
    (status = 409, description = "`blocked`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn bypass(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<MeterId>,
    Body(given): Body<Because>,
) -> Result<Json<Hold>, ApiError> {
    let why = why(given.reason, given.application_id.as_deref())?;
    Ok(Json(Hold::from(&app.service.bypass(id, why, &caller.actor()).await?)))
}

/// Record that the switch is back.
#[utoipa::path(post, path = "/api/v1/meters/{meter_id}/bypass-end", tag = "supply",
    params(("meter_id" = String, Path)), request_body = Because, responses(
    (status = 200, description = "The bypass that ended", body = Hold),
    (status = 409, description = "`blocked`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn end_bypass(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<MeterId>,
    Body(given): Body<Because>,
) -> Result<Json<Hold>, ApiError> {
    let why = why(given.reason, given.application_id.as_deref())?;
    Ok(Json(Hold::from(&app.service.end_bypass(id, why, &caller.actor()).await?)))
}

/// Every suspension and bypass of a meter, newest first.
#[utoipa::path(get, path = "/api/v1/meters/{meter_id}/holds", tag = "supply",
    params(("meter_id" = String, Path)), responses(
    (status = 200, description = "Newest first", body = Vec<Hold>),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn list(
    State(app): State<App>,
    Id(id): Id<MeterId>,
) -> Result<Json<Vec<Hold>>, ApiError> {
    Ok(Json(app.service.holds(id).await?.iter().map(Hold::from).collect()))
}
