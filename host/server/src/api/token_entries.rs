//! Tokens entered over a line (远程写码): through which meter, and one order once more.
//!
//! Not here: when a token is entered by itself (service), and its order (token_orders).

use super::error::{ApiError, Problem};
use super::extract::{Body, Id};
use super::token_orders::TokenOrder;
use super::values::time;
use crate::app::App;
use crate::session::Caller;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use polymeter_domain::{MeterId, TokenOrderId};
use polymeter_service::TokenEntry as Entry;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a keypad meter's tokens are entered.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnteredThrough {
    /// The meter on a line that is the same device; `null`: people type them in.
    pub through_meter_id: Option<String>,
}

/// How far an order's tokens have come on their way over the line.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenEntry {
    /// `waiting` (it is tried by itself), `asked`, `entered`, `refused` or `withdrawn`.
    pub state: &'static str,
    /// How many of the order's tokens the meter has taken, from the first one on.
    pub taken: usize,
    pub tries: i64,
    /// Why it is not entered yet, or was refused; of one that is entered, what was noticed.
    pub detail: String,
    pub changed_at: String,
}

impl From<&Entry> for TokenEntry {
    fn from(it: &Entry) -> Self {
        TokenEntry {
            state: it.state.name(),
            taken: it.taken,
            tries: it.tries,
            detail: it.detail.clone(),
            changed_at: time(it.changed_at),
        }
    }
}

/// Through which meter a keypad meter's tokens are entered.
#[utoipa::path(get, path = "/api/v1/meters/{meter_id}/token-entry", tag = "tokens",
    params(("meter_id" = String, Path)), responses(
    (status = 200, description = "The meter, or none", body = EnteredThrough),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn get(
    State(app): State<App>,
    Id(id): Id<MeterId>,
) -> Result<Json<EnteredThrough>, ApiError> {
    let through = app.service.entered_through(id).await?;
    Ok(Json(EnteredThrough { through_meter_id: through.map(|id| id.to_string()) }))
}

/// Have a keypad meter's tokens entered over the line of another meter, which is the same device, from now
/// on; or by nobody.
#[utoipa::path(put, path = "/api/v1/meters/{meter_id}/token-entry", tag = "tokens",
    params(("meter_id" = String, Path)), request_body = EnteredThrough, responses(
    (status = 200, description = "As it is now", body = EnteredThrough),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`: the meter takes no tokens, the other one takes none on \
        its line, or another meter's are entered through it", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn set(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<MeterId>,
    Body(asked): Body<EnteredThrough>,
) -> Result<Json<EnteredThrough>, ApiError> {
    let through = asked.through_meter_id.as_deref().map(str::parse).transpose();
    let through = through.map_err(|error| ApiError::invalid("through_meter_id", error))?;
    app.service.enter_through(id, through, &caller.actor()).await?;
    Ok(Json(asked))
}

/// Enter an issued order over the line at once, or again. Repeating it is safe: a meter takes no token
/// twice.
#[utoipa::path(post, path = "/api/v1/token-orders/{token_order_id}/entry", tag = "tokens",
    params(("token_order_id" = String, Path)), responses(
    (status = 202, description = "It is tried now; `entry` tells how that ends", body = TokenOrder),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 409, description = "`out-of-order`: it has no digits, or is entered; `blocked`: no line", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn enter(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<TokenOrderId>,
) -> Result<(StatusCode, Json<TokenOrder>), ApiError> {
    let it = app.service.enter_token(id, &caller.actor()).await?;
    Ok((StatusCode::ACCEPTED, Json(TokenOrder::from(&it))))
}

/// Leave the rest of an order to whoever types it in.
#[utoipa::path(delete, path = "/api/v1/token-orders/{token_order_id}/entry", tag = "tokens",
    params(("token_order_id" = String, Path)), responses(
    (status = 200, description = "The order", body = TokenOrder),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 409, description = "`out-of-order`: it is entered, or was not to be", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn withdraw(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<TokenOrderId>,
) -> Result<Json<TokenOrder>, ApiError> {
    let it = app.service.withdraw_entry(id, &caller.actor()).await?;
    Ok(Json(TokenOrder::from(&it)))
}
