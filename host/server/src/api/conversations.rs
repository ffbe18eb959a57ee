//! What was said to a meter: its last calls as transcripts.

use super::error::{ApiError, Problem};
use super::extract::{Id, Parameters};
use crate::app::App;
use axum::Json;
use axum::extract::{Path, State};
use polymeter_domain::MeterId;
use polymeter_service::Conversation;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// As many as memory and disk have of one meter.
const LAST_MOST: u32 = 200;
const LAST_USUAL: u32 = 10;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Last {
    /// How many, from 1 to 200; 10 where nothing is said.
    #[serde(default)]
    pub last: u32,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Trace {
    pub id: String,
    /// Civil time of the site.
    pub at: String,
    /// `read`, `sell`, ...
    pub call: String,
    /// `answered`, `refused`, `not-sent`, `unknown` or `failed`.
    pub ending: String,
    /// In the format of docs/transcripts.md; secrets are masked.
    pub transcript: String,
}

impl From<&Conversation> for Trace {
    fn from(conversation: &Conversation) -> Trace {
        Trace {
            id: conversation.id.clone(),
            at: at(conversation),
            call: conversation.call.to_owned(),
            ending: conversation.end_name().to_owned(),
            transcript: conversation.transcript.to_string(),
        }
    }
}

/// `2026-11-25T13:40:12`, empty where the call was told no time.
pub fn at(conversation: &Conversation) -> String {
    conversation.at.map_or(String::new(), |time| time.to_string())
}

/// The meter's last calls, newest first: the latest few, and failed ones for longer.
#[utoipa::path(get, path = "/api/v1/meters/{meter_id}/trace", tag = "meters",
    params(("meter_id" = String, Path), Last), responses(
    (status = 200, description = "The calls", body = Vec<Trace>),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn trace(
    State(app): State<App>,
    Id(id): Id<MeterId>,
    Parameters(asked): Parameters<Last>,
) -> Result<Json<Vec<Trace>>, ApiError> {
    let found = app.service.conversations(id, bounded(asked.last)?).await?;
    Ok(Json(found.iter().map(Trace::from).collect()))
}

/// The same by the number on the plate, for commands on this machine.
pub async fn of_serial(
    State(app): State<App>,
    Path(serial_number): Path<String>,
    Parameters(asked): Parameters<Last>,
) -> Result<Json<Vec<Trace>>, ApiError> {
    let meter = app.service.meter_by_serial(&serial_number).await?;
    let found = app.service.conversations(meter.meter_id, bounded(asked.last)?).await?;
    Ok(Json(found.iter().map(Trace::from).collect()))
}

fn bounded(last: u32) -> Result<usize, ApiError> {
    let last = match last {
        0 => LAST_USUAL,
        last if last <= LAST_MOST => last,
        last => return Err(ApiError::invalid("last", format!("{last} is more than {LAST_MOST}"))),
    };
    Ok(usize::try_from(last).unwrap_or(usize::MAX))
}
