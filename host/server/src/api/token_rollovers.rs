//! Roll-overs (TID翻转): campaigns that move meters to a later base date by a key change for each.
//!
//! Invariant: one idempotency key is one campaign, and one token order for each of its meters.

use super::error::{ApiError, Problem};
use super::extract::{Body, Id, MayBeDry, Parameters};
use super::files::operator;
use super::idempotency::IdempotencyKey;
use super::token_orders::TokenOrder;
use super::values::{self, DeviceValue, PageParameters, Paged, time};
use crate::app::App;
use crate::session::Caller;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use polymeter_domain::TokenRolloverId;
use polymeter_service::{self as service, TokenState};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRollover {
    /// Those that count from this year; left out: from any before `to_base`.
    #[serde(default)]
    #[schema(example = 1993)]
    pub from_base: Option<i64>,
    #[schema(example = 2014)]
    pub to_base: i64,
    /// Of the new keys; left out: each meter keeps its own.
    #[serde(default)]
    #[schema(example = 2)]
    pub key_revision: Option<i64>,
    pub reason: String,
}

/// One meter that a roll-over would concern.
#[derive(Debug, Serialize, ToSchema)]
pub struct RolloverMeter {
    pub meter_id: String,
    pub serial_number: String,
    pub base: i64,
    /// Why its change cannot be made, and it would be left out.
    pub obstacle: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RolloverPreview {
    pub meters: Vec<RolloverMeter>,
    /// So many meters more than one campaign takes.
    pub left: usize,
    pub needs_second_person: bool,
}

/// One meter of a roll-over.
#[derive(Debug, Serialize, ToSchema)]
pub struct RolloverOrder {
    #[serde(flatten)]
    pub order: TokenOrder,
    /// Why its digits could not be made yet, though nobody has to agree any more.
    pub obstacle: Option<String>,
}

/// One campaign as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenRollover {
    pub token_rollover_id: String,
    /// What each meter gets.
    pub change: BTreeMap<String, DeviceValue>,
    pub reason: String,
    pub operator_id: Option<String>,
    pub created_at: String,
    /// The second person's request, while it waits.
    pub approval_id: Option<String>,
    pub waiting: usize,
    pub issued: usize,
    pub cancelled: usize,
    /// Agreed to and without digits: each says why.
    pub stuck: usize,
    pub orders: Vec<RolloverOrder>,
}

/// One campaign in a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct RolloverLine {
    pub token_rollover_id: String,
    pub reason: String,
    pub created_at: String,
    pub meters: i64,
    pub issued: i64,
    pub cancelled: i64,
}

impl From<&service::RolloverPreview> for RolloverPreview {
    fn from(it: &service::RolloverPreview) -> Self {
        let meters = it.meters.iter().map(|meter| RolloverMeter {
            meter_id: meter.meter_id.to_string(),
            serial_number: meter.serial_number.clone(),
            base: meter.base,
            obstacle: meter.obstacle.clone(),
        });
        let (left, needs_second_person) = (it.left, it.needs_second_person);
        RolloverPreview { meters: meters.collect(), left, needs_second_person }
    }
}

impl From<&service::Rollover> for TokenRollover {
    fn from(it: &service::Rollover) -> Self {
        let orders = it.orders.iter().map(|order| RolloverOrder {
            order: TokenOrder::from(&order.token),
            obstacle: order.obstacle.clone(),
        });
        TokenRollover {
            token_rollover_id: it.rollover_id.to_string(),
            change: values::extras(&it.change),
            reason: it.reason.clone(),
            operator_id: operator(&it.operator),
            created_at: time(it.created_at),
            approval_id: it.approval.map(|id| id.to_string()),
            waiting: it.count(TokenState::Waiting),
            issued: it.count(TokenState::Issued),
            cancelled: it.count(TokenState::Cancelled),
            stuck: it.count(TokenState::Approved) + it.count(TokenState::Ordered),
            orders: orders.collect(),
        }
    }
}

impl From<&service::RolloverLine> for RolloverLine {
    fn from(it: &service::RolloverLine) -> Self {
        RolloverLine {
            token_rollover_id: it.rollover_id.to_string(),
            reason: it.reason.clone(),
            created_at: time(it.created_at),
            meters: it.meters,
            issued: it.issued,
            cancelled: it.cancelled,
        }
    }
}

/// Move all meters with an open account that count from an earlier base date to a later one: a key change
/// for each. With `dry_run`, only see which, and what is in the way. A meter whose change cannot be made
/// is left out. Where the site wants two people, one second person agrees to all of them at once.
#[utoipa::path(post, path = "/api/v1/token-rollovers", tag = "tokens",
    params(("idempotency-key" = String, Header), MayBeDry), request_body = NewRollover, responses(
    (status = 200, description = "A dry run", body = RolloverPreview),
    (status = 201, description = "All digits are made", body = TokenRollover),
    (status = 202, description = "It waits for a second person, or some could not be made",
        body = TokenRollover),
    (status = 409, description = "`differs`, `conflict`; `blocked`: no meter's change can be made",
        body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`: also where no meter is concerned", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn add(
    State(app): State<App>,
    caller: Caller,
    key: IdempotencyKey,
    Parameters(dry): Parameters<MayBeDry>,
    Body(new): Body<NewRollover>,
) -> Result<Response, ApiError> {
    let NewRollover { from_base, to_base, key_revision, reason } = new;
    let new = service::NewRollover { from_base, to_base, key_revision, reason };
    if dry.dry_run {
        let preview = app.service.preview_rollover(new).await?;
        return Ok(Json(RolloverPreview::from(&preview)).into_response());
    }
    let made = app.service.put_rollover(TokenRolloverId::new(key.0), new, &caller.actor()).await?;
    let ended = made.count(TokenState::Issued) + made.count(TokenState::Cancelled);
    let is_done = ended == made.orders.len();
    let status = if is_done { StatusCode::CREATED } else { StatusCode::ACCEPTED };
    Ok((status, Json(TokenRollover::from(&made))).into_response())
}

/// Roll-overs, newest first.
#[utoipa::path(get, path = "/api/v1/token-rollovers", tag = "tokens", params(PageParameters),
    responses(
    (status = 200, description = "One page", body = Paged<RolloverLine>),
    (status = 422, description = "`invalid-field`: `after` is not an id", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn list(
    State(app): State<App>,
    Parameters(parameters): Parameters<PageParameters>,
) -> Result<Json<Paged<RolloverLine>>, ApiError> {
    let page = parameters.page();
    let found = app.service.rollovers(&page).await?;
    Ok(Json(Paged::of(&found, page.limit, |it| it.rollover_id.to_string())))
}

/// One roll-over with all its meters.
#[utoipa::path(get, path = "/api/v1/token-rollovers/{token_rollover_id}", tag = "tokens",
    params(("token_rollover_id" = String, Path)), responses(
    (status = 200, description = "The campaign", body = TokenRollover),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn get(
    State(app): State<App>,
    Id(id): Id<TokenRolloverId>,
) -> Result<Json<TokenRollover>, ApiError> {
    Ok(Json(TokenRollover::from(&app.service.rollover(id).await?)))
}

/// Make once more what could not be made; nobody has seen digits of those.
#[utoipa::path(post, path = "/api/v1/token-rollovers/{token_rollover_id}/continuation",
    tag = "tokens", params(("token_rollover_id" = String, Path)), responses(
    (status = 200, description = "The campaign", body = TokenRollover),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn go_on(
    State(app): State<App>,
    Id(id): Id<TokenRolloverId>,
) -> Result<Json<TokenRollover>, ApiError> {
    Ok(Json(TokenRollover::from(&app.service.continue_rollover(id).await?)))
}
