//! Tokens (充值码) that are no sale: orders to a meter without a line, under the client's own id.
//!
//! Invariant: the same id is the same token, with the same digits.

use super::error::{ApiError, Problem};
use super::extract::{Body, Id, Parameters};
use super::files::operator;
use super::sales::CreditJson;
use super::token_entries::TokenEntry;
use super::values::{self, DeviceValue, PageParameters, Paged, time};
use crate::app::App;
use crate::session::Caller;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use polymeter_domain::{MeterId, TokenKind, TokenOrderId};
use polymeter_service::{NewTokenOrder, TokenRecord, TokenState};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    pub meter_id: String,
    /// `clear-credit`, `max-power`, `tariff-rate`, `clear-tamper`, `max-phase-unbalance` or
    /// `key-change`.
    #[schema(example = "max-power")]
    pub kind: String,
    /// Which register (65535: all), how many W, which rate; left out where the kind takes none.
    #[serde(default)]
    pub value: u64,
    /// Of a key change: the driver's parameters that it brings.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, DeviceValue>)]
    pub change: BTreeMap<String, Box<RawValue>>,
    pub reason: String,
}

/// One token order, those of sales too.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenOrder {
    pub token_order_id: String,
    pub meter_id: String,
    /// Of credit.
    pub sale_id: Option<String>,
    /// The roll-over that it is of.
    pub token_rollover_id: Option<String>,
    pub kind: &'static str,
    /// What the meter adds.
    pub credit: Option<CreditJson>,
    pub value: u64,
    pub change: BTreeMap<String, DeviceValue>,
    pub reason: String,
    pub operator_id: Option<String>,
    /// `waiting` for a second person, `approved`, `ordered`, `issued` or `cancelled`.
    pub state: &'static str,
    /// The second person's request.
    pub approval_id: Option<String>,
    /// By which the meter knows it; `null` where its kind has none.
    pub identifier: Option<u32>,
    /// What is typed, in this order, in groups of four; empty until it is issued.
    pub tokens: Vec<String>,
    pub created_at: String,
    pub ended_at: Option<String>,
    /// Over its meter's line, where that has one.
    pub entry: Option<TokenEntry>,
}

impl From<&TokenRecord> for TokenOrder {
    fn from(it: &TokenRecord) -> Self {
        TokenOrder {
            token_order_id: it.token_order_id.to_string(),
            meter_id: it.meter_id.to_string(),
            sale_id: it.sale_id.map(|id| id.to_string()),
            token_rollover_id: it.rollover_id.map(|id| id.to_string()),
            kind: it.order.kind.name(),
            credit: it.order.credit.map(CreditJson::from),
            value: it.order.value,
            change: values::extras(&it.order.change),
            reason: it.reason.clone(),
            operator_id: operator(&it.operator),
            state: it.state.name(),
            approval_id: it.approval.map(|id| id.to_string()),
            identifier: it.identifier,
            tokens: it.digits.as_ref().map(|digits| digits.grouped()).unwrap_or_default(),
            created_at: time(it.created_at),
            ended_at: it.ended_at.map(time),
            entry: it.entry.as_ref().map(TokenEntry::from),
        }
    }
}

/// Have a token made that is no sale, under the client's own id. Repeating it is safe: the same id and
/// body give the same digits; another body is refused.
#[utoipa::path(put, path = "/api/v1/token-orders/{token_order_id}", tag = "tokens",
    params(("token_order_id" = String, Path, description = "A UUID made by the client")),
    request_body = NewToken, responses(
    (status = 200, description = "Issued: the digits are in it", body = TokenOrder),
    (status = 202, description = "It waits for a second person, or was cancelled", body = TokenOrder),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 409, description = "`differs`, `blocked`, `unsettled-sale`, `conflict`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`, `no-driver`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn put(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<TokenOrderId>,
    Body(new): Body<NewToken>,
) -> Result<Response, ApiError> {
    let meter_id = new.meter_id.parse().map_err(|error| ApiError::invalid("meter_id", error))?;
    let kind = TokenKind::from_name(&new.kind).ok_or_else(|| {
        let known = TokenKind::ALL.map(TokenKind::name).join(", ");
        ApiError::invalid("kind", format!("`{}` is none of {known}", new.kind))
    })?;
    let change = values::parameters(&new.change).map_err(|why| ApiError::invalid("change", why))?;
    let new = NewTokenOrder { meter_id, kind, value: new.value, change, reason: new.reason };
    let made = app.service.put_token_order(id, new, &caller.actor()).await?;
    let status = match made.state {
        TokenState::Issued => StatusCode::OK,
        _ => StatusCode::ACCEPTED,
    };
    Ok((status, Json(TokenOrder::from(&made))).into_response())
}

/// One token order.
#[utoipa::path(get, path = "/api/v1/token-orders/{token_order_id}", tag = "tokens",
    params(("token_order_id" = String, Path)), responses(
    (status = 200, description = "The order", body = TokenOrder),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn get(
    State(app): State<App>,
    Id(id): Id<TokenOrderId>,
) -> Result<Json<TokenOrder>, ApiError> {
    Ok(Json(TokenOrder::from(&app.service.token_order(id).await?)))
}

/// A meter's tokens, those of sales too, newest first.
#[utoipa::path(get, path = "/api/v1/meters/{meter_id}/token-orders", tag = "tokens",
    params(("meter_id" = String, Path), PageParameters), responses(
    (status = 200, description = "One page", body = Paged<TokenOrder>),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`: `after` is not an id", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn of_meter(
    State(app): State<App>,
    Id(id): Id<MeterId>,
    Parameters(parameters): Parameters<PageParameters>,
) -> Result<Json<Paged<TokenOrder>>, ApiError> {
    let page = parameters.page();
    let found = app.service.token_orders(id, &page).await?;
    Ok(Json(Paged::of(&found, page.limit, |it| it.token_order_id.to_string())))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct WhichTest {
    /// Which test of the meter's standard, 0 for all: of IEC 62055-41 (6.3.8) 1 the load switch,
    /// 2 the display, 3 totals, 4 key revision and type, 5 tariff index, 7 power limit, 8 tampering,
    /// 9 load, 10 software version, 14 cipher, 16 supply group, 17 key expiry, 18 number.
    #[param(example = 4)]
    pub number: u64,
}

/// Digits by which a meter tests itself or shows something.
#[derive(Debug, Serialize, ToSchema)]
pub struct TestToken {
    /// What is typed, in groups of four.
    pub tokens: Vec<String>,
}

/// Digits by which a meter tests itself or shows something: the same for every meter, as often as they
/// are typed, worth nothing and kept nowhere.
#[utoipa::path(get, path = "/api/v1/meters/{meter_id}/test-token", tag = "tokens",
    params(("meter_id" = String, Path), WhichTest), responses(
    (status = 200, description = "The digits", body = TestToken),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 409, description = "`blocked`: its driver cannot make them", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`: the meter takes no tokens, or has no such test; \
        `no-driver`", body = Problem, content_type = "application/problem+json"),
))]
pub async fn test(
    State(app): State<App>,
    Id(id): Id<MeterId>,
    Parameters(which): Parameters<WhichTest>,
) -> Result<Json<TestToken>, ApiError> {
    let digits = app.service.test_token(id, which.number).await?;
    Ok(Json(TestToken { tokens: digits.grouped() }))
}

/// Give up an order whose digits nobody has seen.
#[utoipa::path(post, path = "/api/v1/token-orders/{token_order_id}/cancellation", tag = "tokens",
    params(("token_order_id" = String, Path)), responses(
    (status = 200, description = "The order", body = TokenOrder),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 409, description = "`out-of-order`: it is issued", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`: it is a sale's", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn cancel(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<TokenOrderId>,
) -> Result<Json<TokenOrder>, ApiError> {
    let it = app.service.cancel_token_order(id, &caller.actor()).await?;
    Ok(Json(TokenOrder::from(&it)))
}
