//! The breaker or valve of a meter.

use super::error::{ApiError, Problem};
use super::extract::{Body, Id};
use super::values;
use crate::app::App;
use crate::session::Caller;
use axum::Json;
use axum::extract::State;
use polymeter_domain::{MeterId, SupplyCommand};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Trip (跳闸).
    Disconnect,
    /// Close (合闸).
    Connect,
    /// The customer may close it by hand (合闸允许).
    Allow,
    /// No disconnection until `unprotect` (保电).
    Protect,
    Unprotect,
}

impl From<Command> for SupplyCommand {
    fn from(command: Command) -> Self {
        match command {
            Command::Disconnect => SupplyCommand::Disconnect,
            Command::Connect => SupplyCommand::Connect,
            Command::Allow => SupplyCommand::AllowConnection,
            Command::Protect => SupplyCommand::Protect,
            Command::Unprotect => SupplyCommand::EndProtection,
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SupplyControl {
    pub command: Command,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Supply {
    /// What the device reported afterwards: `unknown`, `disconnected`, `connected` or
    /// `ready-for-reconnection`.
    pub supply: &'static str,
}

/// Command the supply; the answer is what the device reports afterwards.
#[utoipa::path(post, path = "/api/v1/meters/{meter_id}/supply-control", tag = "supply",
    params(("meter_id" = String, Path)), request_body = SupplyControl, responses(
    (status = 200, description = "The state afterwards", body = Supply),
    (status = 409, description = "`device-refused`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`device-unable`", body = Problem,
        content_type = "application/problem+json"),
    (status = 503, description = "`not-sent`: asking again is safe", body = Problem,
        content_type = "application/problem+json"),
    (status = 504, description = "`device-silent`, `outcome-unknown`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn control(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<MeterId>,
    Body(request): Body<SupplyControl>,
) -> Result<Json<Supply>, ApiError> {
    let state = app.service.control(id, request.command.into(), &caller.actor()).await?;
    Ok(Json(Supply { supply: values::supply(state) }))
}
