//! What is wrong at meters by their own word.

use super::error::ApiError;
use super::extract::Parameters;
use super::values::{Paged, time};
use crate::app::App;
use axum::Json;
use axum::extract::State;
use polymeter_service as service;
use polymeter_service::Page;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A state of a meter, from the reading that told it first until one that does not tell it any more.
#[derive(Debug, Serialize, ToSchema)]
pub struct Alarm {
    /// They are numbered as they begin.
    pub number: i64,
    pub meter_id: String,
    /// A common name (`low-battery`, `cover-open`, ...) or the driver's own.
    pub name: String,
    pub begun_at: String,
    /// The reading that told it first.
    pub reading_id: String,
    /// `null` while it stands.
    pub ended_at: Option<String>,
}

impl From<&service::Alarm> for Alarm {
    fn from(it: &service::Alarm) -> Self {
        Alarm {
            number: it.number,
            meter_id: it.meter_id.to_string(),
            name: it.name.clone(),
            begun_at: time(it.begun_at),
            reading_id: it.reading_id.to_string(),
            ended_at: it.ended_at.map(time),
        }
    }
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WhichAlarms {
    /// Only those of this meter.
    #[serde(default)]
    pub meter_id: Option<String>,
    /// Only those that stand.
    #[serde(default)]
    pub standing: bool,
    /// The `next` of the page before.
    #[serde(default)]
    pub after: Option<String>,
    /// 1 to 200; 50 where it is left out.
    #[serde(default)]
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
}

/// Alarms, newest first.
#[utoipa::path(get, path = "/api/v1/alarms", tag = "readings",
    params(WhichAlarms),
    responses((status = 200, description = "One page", body = Paged<Alarm>)))]
pub async fn list(
    State(app): State<App>,
    Parameters(which): Parameters<WhichAlarms>,
) -> Result<Json<Paged<Alarm>>, ApiError> {
    let meter = match which.meter_id {
        None => None,
        Some(id) => Some(id.parse().map_err(|error| ApiError::invalid("meter_id", error))?),
    };
    let limit = which.limit.unwrap_or(50).clamp(1, 200);
    let page = Page { query: None, after: which.after, limit };
    let found = app.service.alarms(meter, which.standing, &page).await?;
    Ok(Json(Paged::of(&found, limit, |it| it.number.to_string())))
}
