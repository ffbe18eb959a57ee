//! What meters keep of the past: profiles and events, read out of them and stored.

use super::error::{ApiError, Problem};
use super::extract::{Body, Id, Parameters};
use super::values::{DeviceValue, MeasurementJson, Paged, extras, time};
use crate::app::App;
use crate::session::Caller;
use axum::Json;
use axum::extract::State;
use polymeter_domain::MeterId;
use polymeter_service as service;
use polymeter_service::Page;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// A list of records that a meter keeps.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecordKind {
    #[schema(example = "load")]
    pub name: String,
    pub title_en: String,
    pub title_zh: String,
    /// Events; else values at fixed times.
    pub is_events: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RecordKinds {
    pub items: Vec<RecordKind>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadRecords {
    /// One of the meter's kinds.
    pub kind: String,
    /// From this day or minute of the meter's clock on; left out: since the last record that is stored.
    #[serde(default)]
    #[schema(example = "2026-03-02T10:15")]
    pub since: Option<String>,
}

/// What reading records brought.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecordsRead {
    /// New.
    pub stored: u64,
    /// Stored by an earlier reading.
    pub known: u64,
    /// Without a time that exists, and so not stored.
    pub undated: u64,
    /// What the meter answered that was no record, in words.
    pub damaged: Vec<String>,
    /// There was more than one reading takes: ask again.
    pub is_cut: bool,
}

impl From<service::RecordsRead> for RecordsRead {
    fn from(it: service::RecordsRead) -> Self {
        let service::RecordsRead { stored, known, undated, damaged, is_cut } = it;
        RecordsRead { stored, known, undated, damaged, is_cut }
    }
}

/// One record as the meter has it.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecordJson {
    pub kind: String,
    /// By the meter's own clock.
    #[schema(example = "2026-03-02T10:15:00")]
    pub at: String,
    /// What happened, by the shared names, e.g. `cover-open`; `null` in a profile.
    pub event: Option<String>,
    /// The meter's own code of that.
    pub device_code: Option<String>,
    pub measurements: Vec<MeasurementJson>,
    pub extras: BTreeMap<String, DeviceValue>,
    pub stored_at: String,
}

impl From<&service::StoredRecord> for RecordJson {
    fn from(it: &service::StoredRecord) -> Self {
        let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        RecordJson {
            kind: it.kind.clone(),
            at: it.at.clone(),
            event: given(&it.event),
            device_code: given(&it.device_code),
            measurements: it.measurements.iter().map(MeasurementJson::from).collect(),
            extras: extras(&it.extras),
            stored_at: time(it.stored_at),
        }
    }
}

/// Which records.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RecordParameters {
    /// Only of this kind.
    #[serde(default)]
    pub kind: Option<String>,
    /// The `next` of the page before.
    #[serde(default)]
    pub after: Option<String>,
    /// 1 to 200; 50 where it is left out.
    #[serde(default)]
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
}

/// What can be read out of a meter.
#[utoipa::path(get, path = "/api/v1/meters/{meter_id}/record-kinds", tag = "records",
    params(("meter_id" = String, Path)), responses(
    (status = 200, description = "Empty: its driver reads no records", body = RecordKinds),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`no-driver`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn kinds(
    State(app): State<App>,
    Id(id): Id<MeterId>,
) -> Result<Json<RecordKinds>, ApiError> {
    let items = app.service.record_kinds(id).await?.into_iter().map(|it| RecordKind {
        name: it.name,
        title_en: it.title_en,
        title_zh: it.title_zh,
        is_events: it.is_events,
    });
    Ok(Json(RecordKinds { items: items.collect() }))
}

/// Read records out of a meter now. Repeating it is safe: each is stored once.
#[utoipa::path(post, path = "/api/v1/meters/{meter_id}/records", tag = "records",
    params(("meter_id" = String, Path)), request_body = ReadRecords, responses(
    (status = 200, description = "What it brought", body = RecordsRead),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`, `no-driver`", body = Problem,
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
    Body(asked): Body<ReadRecords>,
) -> Result<Json<RecordsRead>, ApiError> {
    let since = asked.since.as_deref().map(crate::moment::civil).transpose();
    let since = since.map_err(|why| ApiError::invalid("since", why))?;
    let read = app.service.read_records(id, &asked.kind, since, &caller.actor()).await?;
    Ok(Json(RecordsRead::from(read)))
}

/// A meter's stored records, newest first by its own clock.
#[utoipa::path(get, path = "/api/v1/meters/{meter_id}/records", tag = "records",
    params(("meter_id" = String, Path), RecordParameters), responses(
    (status = 200, description = "One page", body = Paged<RecordJson>),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`: `after` is no number", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn list(
    State(app): State<App>,
    Id(id): Id<MeterId>,
    Parameters(parameters): Parameters<RecordParameters>,
) -> Result<Json<Paged<RecordJson>>, ApiError> {
    let RecordParameters { kind, after, limit } = parameters;
    let page = Page { query: None, after, limit: limit.unwrap_or(50).clamp(1, 200) };
    let found = app.service.records(id, kind.as_deref(), &page).await?;
    Ok(Json(Paged::of(&found, page.limit, |it| it.number.to_string())))
}
