//! Parameters that live in the device: what it was last proved to hold, and writing them.

use super::error::{ApiError, Problem};
use super::extract::{Body, Id};
use super::meters::{self, GivenParameters};
use super::values::{self, DeviceValue};
use crate::app::App;
use crate::session::Caller;
use axum::Json;
use axum::extract::State;
use polymeter_domain::MeterId;
use polymeter_service as service;
use serde::Serialize;
use utoipa::ToSchema;

/// What is known of a parameter in the device.
#[derive(Debug, Serialize, ToSchema)]
pub struct Setting {
    pub name: String,
    /// The last value that the device was proved to hold.
    pub held: Option<Attempt>,
    /// A later attempt that did not end so.
    pub failed: Option<Attempt>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Attempt {
    pub value: DeviceValue,
    pub at: String,
    /// `confirmed`: written, read back and the same; `refused` by the device; `not-sent`; `unknown`:
    /// the device holds either this or what it held before.
    pub outcome: &'static str,
    /// Why it did not end well; empty where it did.
    pub detail: String,
}

impl From<&service::Attempt> for Attempt {
    fn from(attempt: &service::Attempt) -> Self {
        Attempt {
            value: values::value(&attempt.value),
            at: values::time(attempt.at),
            outcome: attempt.end.name(),
            detail: attempt.detail.clone(),
        }
    }
}

impl From<&service::Setting> for Setting {
    fn from(setting: &service::Setting) -> Self {
        Setting {
            name: setting.name.clone(),
            held: setting.held.as_ref().map(Attempt::from),
            failed: setting.failed.as_ref().map(Attempt::from),
        }
    }
}

async fn of_meter(app: &App, id: MeterId) -> Result<Json<Vec<Setting>>, ApiError> {
    Ok(Json(app.service.settings(id).await?.iter().map(Setting::from).collect()))
}

/// What is known of the parameters in the device; one that was never set is not among them.
#[utoipa::path(get, path = "/api/v1/meters/{meter_id}/settings", tag = "meters",
    params(("meter_id" = String, Path)), responses(
    (status = 200, description = "In the order of their names", body = [Setting]),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn list(
    State(app): State<App>,
    Id(id): Id<MeterId>,
) -> Result<Json<Vec<Setting>>, ApiError> {
    of_meter(&app, id).await
}

/// Write parameters into the device. It answers 200 only after they were read back and are the same.
#[utoipa::path(post, path = "/api/v1/meters/{meter_id}/settings", tag = "meters",
    params(("meter_id" = String, Path)), request_body = GivenParameters, responses(
    (status = 200, description = "All settings afterwards", body = [Setting]),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 409, description = "`device-refused`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`: `fields` names each; `no-driver`",
        body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "`not-sent`", body = Problem,
        content_type = "application/problem+json"),
    (status = 504, description = "`device-silent`, `outcome-unknown`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn set(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<MeterId>,
    Body(given): Body<GivenParameters>,
) -> Result<Json<Vec<Setting>>, ApiError> {
    let given = meters::parameters(&given.parameters)?;
    app.service.set_in_device(id, given, &caller.actor()).await?;
    of_meter(&app, id).await
}
