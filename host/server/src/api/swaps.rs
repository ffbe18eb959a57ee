//! Meter swaps (换表), money brought in from another system's meter, and clearing a free meter.

use super::approvals::Approval;
use super::error::{ApiError, Problem};
use super::extract::{Body, Id, money};
use super::files::{amount, operator, reading, why};
use super::holds::Because;
use super::idempotency::IdempotencyKey;
use super::sales::{CreditJson, Sale};
use super::values::time;
use crate::app::App;
use crate::session::Caller;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use polymeter_domain::{CustomerId, MeterId, SaleId, SwapId};
use polymeter_service as service;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an operator read off a meter that does not answer.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Keyed {
    /// What the display shows, in kWh or m³.
    #[schema(example = "1234.56")]
    pub reading: Option<String>,
    /// What is left in the purse, in the site's currency.
    #[schema(example = "12.34")]
    pub credit: Option<String>,
}

impl Keyed {
    pub fn read(&self, app: &App) -> Result<service::Keyed, ApiError> {
        let credit = self.credit.as_deref().map(|text| money("credit", text, app.currency));
        Ok(service::Keyed {
            reading: reading(self.reading.as_deref())?,
            credit: credit.transpose()?,
        })
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSwap {
    pub old_meter_id: String,
    /// A meter without a customer.
    pub new_meter_id: String,
    /// For a dead old meter, or one with a card, whose display is newer than what the card brought home.
    /// Where a meter on a line answers, its own figures count.
    #[serde(default)]
    pub keyed: Keyed,
    /// For a new meter that shows no total.
    pub new_reading: Option<String>,
    /// The old meter may hold more than was sold into it; the rest is brought in.
    #[serde(default)]
    pub accept_excess: bool,
    pub reason: String,
    pub application_id: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Swap {
    pub swap_id: String,
    pub old_meter_id: String,
    pub new_meter_id: String,
    pub customer_id: String,
    /// `begun`, `switched` or `abandoned`.
    pub state: &'static str,
    /// Switched, and the money is in the new meter.
    pub is_done: bool,
    pub reason: String,
    pub application_id: Option<String>,
    /// The old meter's register, in kWh or m³.
    pub old_reading: String,
    /// What its purse held in money; of energy or water, what was paid for it.
    pub remaining: String,
    /// What of energy (Wh) or water (litres) that was; `null`: it held money, or nobody knows.
    pub left: Option<CreditJson>,
    /// `device`, or `operator` where it was dead.
    pub told_by: String,
    pub new_reading: Option<String>,
    /// What of the money sold into the old meter was used.
    pub consumed: Option<String>,
    /// What it held beyond what was sold into it.
    pub excess: Option<String>,
    /// The sale that carries the money into the new meter.
    pub sale_id: Option<String>,
    pub sale_state: Option<&'static str>,
    /// The old device does not hold any more what was carried over.
    pub is_old_cleared: bool,
    pub operator_id: Option<String>,
    pub created_at: String,
    pub ended_at: Option<String>,
}

impl From<&service::Swap> for Swap {
    fn from(it: &service::Swap) -> Self {
        let sale = it.sale.as_ref();
        Swap {
            swap_id: it.swap_id.to_string(),
            old_meter_id: it.old_meter_id.to_string(),
            new_meter_id: it.new_meter_id.to_string(),
            customer_id: it.customer_id.to_string(),
            state: it.state.name(),
            is_done: it.is_done(),
            reason: it.why.reason.clone(),
            application_id: it.why.application.map(|id| id.to_string()),
            old_reading: amount(it.old_reading),
            remaining: it.remaining.to_string(),
            left: it.left.map(CreditJson::from),
            told_by: it.told_by.clone(),
            new_reading: it.new_reading.map(amount),
            consumed: it.consumed.map(|it| it.to_string()),
            excess: it.excess.map(|it| it.to_string()),
            sale_id: sale.map(|(id, _)| id.to_string()),
            sale_state: sale.map(|(_, state)| state.name()),
            is_old_cleared: it.is_old_cleared,
            operator_id: operator(&it.operator),
            created_at: time(it.created_at),
            ended_at: it.ended_at.map(time),
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BroughtIn {
    /// What the other system's meter still held, above zero.
    #[schema(example = "12.34")]
    pub amount: String,
    pub reason: String,
}

pub fn id<T: std::str::FromStr>(field: &str, text: &str) -> Result<T, ApiError>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| ApiError::invalid(field, error))
}

/// Swap a meter (换表): the old one's reading and money are taken, the new one is opened for the same
/// customer, and the money is carried into it by a sale of its own.
#[utoipa::path(post, path = "/api/v1/swaps", tag = "accounts",
    params(("Idempotency-Key" = String, Header)), request_body = NewSwap, responses(
    (status = 201, description = "The swap; asked again with the same key, it goes on where it \
        stopped", body = Swap),
    (status = 409, description = "`blocked`, `unsettled-sale`, `no-open-account`, `differs`, \
        `device-refused`", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`: also a reading that goes backwards",
        body = Problem, content_type = "application/problem+json"),
    (status = 504, description = "`device-silent`: give `keyed` for a dead meter; \
        `outcome-unknown`", body = Problem, content_type = "application/problem+json"),
))]
pub async fn add(
    State(app): State<App>,
    caller: Caller,
    key: IdempotencyKey,
    Body(new): Body<NewSwap>,
) -> Result<(StatusCode, Json<Swap>), ApiError> {
    let request = service::SwapRequest {
        old: id("old_meter_id", &new.old_meter_id)?,
        new: id("new_meter_id", &new.new_meter_id)?,
        keyed: new.keyed.read(&app)?,
        new_reading: reading(new.new_reading.as_deref())?,
        accept_excess: new.accept_excess,
        why: why(new.reason, new.application_id.as_deref())?,
    };
    let swap = app.service.put_swap(SwapId::new(key.0), request, &caller.actor()).await?;
    Ok((StatusCode::CREATED, Json(Swap::from(&swap))))
}

/// One swap.
#[utoipa::path(get, path = "/api/v1/swaps/{swap_id}", tag = "accounts",
    params(("swap_id" = String, Path)), responses(
    (status = 200, description = "The swap", body = Swap),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn get(State(app): State<App>, Id(id): Id<SwapId>) -> Result<Json<Swap>, ApiError> {
    Ok(Json(Swap::from(&app.service.swap(id).await?)))
}

/// Every swap of a customer, newest first.
#[utoipa::path(get, path = "/api/v1/customers/{customer_id}/swaps", tag = "accounts",
    params(("customer_id" = String, Path)), responses(
    (status = 200, description = "Newest first", body = Vec<Swap>),
))]
pub async fn of_customer(
    State(app): State<App>,
    Id(id): Id<CustomerId>,
) -> Result<Json<Vec<Swap>>, ApiError> {
    Ok(Json(app.service.swaps_of_customer(id).await?.iter().map(Swap::from).collect()))
}

/// Go on with a swap that stopped on its way; safe to repeat.
#[utoipa::path(post, path = "/api/v1/swaps/{swap_id}/continuation", tag = "accounts",
    params(("swap_id" = String, Path)), responses(
    (status = 200, description = "The swap", body = Swap),
    (status = 409, description = "`blocked`, `device-refused`", body = Problem,
        content_type = "application/problem+json"),
    (status = 504, description = "`device-silent`, `outcome-unknown`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn go_on(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<SwapId>,
) -> Result<Json<Swap>, ApiError> {
    Ok(Json(Swap::from(&app.service.continue_swap(id, &caller.actor()).await?)))
}

/// Give up a swap that has not switched.
#[utoipa::path(post, path = "/api/v1/swaps/{swap_id}/abandonment", tag = "accounts",
    params(("swap_id" = String, Path)), request_body = Because, responses(
    (status = 200, description = "The swap", body = Swap),
    (status = 409, description = "`blocked`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn abandon(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<SwapId>,
    Body(given): Body<Because>,
) -> Result<Json<Swap>, ApiError> {
    let swap = app.service.abandon_swap(id, &given.reason, &caller.actor()).await?;
    Ok(Json(Swap::from(&swap)))
}

/// Bring in what another system's meter still held (老表金额转入), as a sale paid from `brought-in`; once
/// per installation.
#[utoipa::path(post, path = "/api/v1/meters/{meter_id}/brought-in", tag = "accounts",
    params(("meter_id" = String, Path), ("Idempotency-Key" = String, Header)),
    request_body = BroughtIn, responses(
    (status = 201, description = "The sale that carries it", body = Sale),
    (status = 409, description = "`blocked`, `unsettled-sale`, `no-open-account`, `sale-differs`",
        body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "`bad-amount`, `invalid-field`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn bring_in(
    State(app): State<App>,
    caller: Caller,
    key: IdempotencyKey,
    Id(id): Id<MeterId>,
    Body(given): Body<BroughtIn>,
) -> Result<(StatusCode, Json<Sale>), ApiError> {
    let paid = money("amount", &given.amount, app.currency)?;
    let sale_id = SaleId::new(key.0);
    let sale = app.service.bring_in(sale_id, id, paid, &given.reason, &caller.actor()).await?;
    Ok((StatusCode::CREATED, Json(Sale::from(&sale))))
}

/// Empty the purse of a meter that no customer has (清零), where its device can. One that holds more than
/// one person may give up waits for a second one. Safe to repeat.
#[utoipa::path(post, path = "/api/v1/meters/{meter_id}/clearing", tag = "accounts",
    params(("meter_id" = String, Path)), request_body = Because, responses(
    (status = 204, description = "The device says that it is empty"),
    (status = 202, description = "Another operator has to agree", body = Approval),
    (status = 409, description = "`blocked`, `device-refused`", body = Problem,
        content_type = "application/problem+json"),
    (status = 504, description = "`device-silent`, `outcome-unknown`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn clear(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<MeterId>,
    Body(given): Body<Because>,
) -> Result<Response, ApiError> {
    let why = why(given.reason, None)?;
    Ok(match app.service.clear_meter(id, why, &caller.actor()).await? {
        service::Clearing::Done => StatusCode::NO_CONTENT.into_response(),
        service::Clearing::Waits(id) => {
            let approval = app.service.approval(id).await?;
            (StatusCode::ACCEPTED, Json(Approval::from(&approval))).into_response()
        }
    })
}
