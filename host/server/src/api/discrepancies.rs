//! Where a meter's figures are not ours, and how much a meter may hold.

use super::error::{ApiError, Problem};
use super::extract::{Body, Id, Parameters, money};
use super::sales::CreditJson;
use super::values::{Paged, time};
use crate::app::App;
use crate::session::Caller;
use axum::Json;
use axum::extract::State;
use polymeter_domain::{DiscrepancyId, MeterId};
use polymeter_service as service;
use polymeter_service::{Actor, Page};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// One difference between a meter's story and ours.
#[derive(Debug, Serialize, ToSchema)]
pub struct Discrepancy {
    pub discrepancy_id: String,
    pub meter_id: String,
    /// `count-ahead` (somebody else sold), `count-behind` (reset or another meter), `other-amount`,
    /// `no-record`.
    pub story: &'static str,
    /// What was being done when it was seen first, e.g. `sale/<id>`.
    pub seen_by: String,
    pub known_count: Option<u32>,
    pub device_count: u32,
    pub known: Option<CreditJson>,
    pub device: Option<CreditJson>,
    /// How often it was seen.
    pub times: u64,
    pub opened_at: String,
    pub last_at: String,
    /// `null` while it is open.
    pub closing: Option<DiscrepancyClosing>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DiscrepancyClosing {
    pub at: String,
    pub operator_id: Option<String>,
    pub reason: String,
}

impl From<&service::Discrepancy> for Discrepancy {
    fn from(it: &service::Discrepancy) -> Self {
        Discrepancy {
            discrepancy_id: it.discrepancy_id.to_string(),
            meter_id: it.meter_id.to_string(),
            story: it.story.name(),
            seen_by: it.seen_by.clone(),
            known_count: it.known_count,
            device_count: it.device_count,
            known: it.known.map(CreditJson::from),
            device: it.device.map(CreditJson::from),
            times: it.times,
            opened_at: time(it.opened_at),
            last_at: time(it.last_at),
            closing: it.closed.as_ref().map(|closed| DiscrepancyClosing {
                at: time(closed.at),
                operator_id: match &closed.by {
                    Actor::Operator(id) => Some(id.to_string()),
                    Actor::System => None,
                },
                reason: closed.reason.clone(),
            }),
        }
    }
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WhichDiscrepancies {
    /// Only those of this meter.
    #[serde(default)]
    pub meter_id: Option<String>,
    /// Only those that nobody has closed.
    #[serde(default)]
    pub open: bool,
    /// The `next` of the page before.
    #[serde(default)]
    pub after: Option<String>,
    /// 1 to 200; 50 where it is left out.
    #[serde(default)]
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
}

/// Discrepancies, newest first.
#[utoipa::path(get, path = "/api/v1/discrepancies", tag = "discrepancies",
    params(WhichDiscrepancies),
    responses((status = 200, description = "One page", body = Paged<Discrepancy>)))]
pub async fn list(
    State(app): State<App>,
    Parameters(which): Parameters<WhichDiscrepancies>,
) -> Result<Json<Paged<Discrepancy>>, ApiError> {
    let meter = match which.meter_id {
        None => None,
        Some(id) => Some(id.parse().map_err(|error| ApiError::invalid("meter_id", error))?),
    };
    let limit = which.limit.unwrap_or(50).clamp(1, 200);
    let page = Page { query: None, after: which.after, limit };
    let found = app.service.discrepancies(meter, which.open, &page).await?;
    Ok(Json(Paged::of(&found, limit, |it| it.discrepancy_id.to_string())))
}

/// One of them.
#[utoipa::path(get, path = "/api/v1/discrepancies/{discrepancy_id}", tag = "discrepancies",
    params(("discrepancy_id" = String, Path)), responses(
    (status = 200, description = "The discrepancy", body = Discrepancy),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn get(
    State(app): State<App>,
    Id(id): Id<DiscrepancyId>,
) -> Result<Json<Discrepancy>, ApiError> {
    Ok(Json(Discrepancy::from(&app.service.discrepancy(id).await?)))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Explained {
    /// What it was; it stands in the audit trail.
    pub reason: String,
}

/// Close a discrepancy. The meter's count is taken as known from then on.
#[utoipa::path(post, path = "/api/v1/discrepancies/{discrepancy_id}/closing",
    tag = "discrepancies", params(("discrepancy_id" = String, Path)), request_body = Explained,
    responses(
    (status = 200, description = "Closed", body = Discrepancy),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 409, description = "`out-of-order`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn close(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<DiscrepancyId>,
    Body(explained): Body<Explained>,
) -> Result<Json<Discrepancy>, ApiError> {
    let closed = app.service.close_discrepancy(id, &explained.reason, &caller.actor()).await?;
    Ok(Json(Discrepancy::from(&closed)))
}

/// The most money that a meter may hold after a sale (囤积上限).
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MaxCredit {
    /// `null`: when set, what the configuration says; when asked for, no limit.
    #[schema(example = "500.00")]
    pub max_credit: Option<String>,
}

/// How much a meter may hold: its own limit, or the configuration's.
#[utoipa::path(get, path = "/api/v1/meters/{meter_id}/max-credit", tag = "meters",
    params(("meter_id" = String, Path)), responses(
    (status = 200, description = "The limit", body = MaxCredit),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn max_credit(
    State(app): State<App>,
    Id(id): Id<MeterId>,
) -> Result<Json<MaxCredit>, ApiError> {
    let most = app.service.max_credit(id).await?;
    Ok(Json(MaxCredit { max_credit: most.map(|most| most.to_string()) }))
}

/// Set a meter's own limit, or take it away.
#[utoipa::path(put, path = "/api/v1/meters/{meter_id}/max-credit", tag = "meters",
    params(("meter_id" = String, Path)), request_body = MaxCredit, responses(
    (status = 200, description = "What counts now", body = MaxCredit),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn set_max_credit(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<MeterId>,
    Body(new): Body<MaxCredit>,
) -> Result<Json<MaxCredit>, ApiError> {
    let most = match new.max_credit {
        None => None,
        Some(text) => Some(money("max_credit", &text, app.currency)?),
    };
    app.service.set_max_credit(id, most, &caller.actor()).await?;
    max_credit(State(app), Id(id)).await
}
