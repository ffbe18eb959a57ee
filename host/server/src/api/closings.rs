//! Transfer of ownership (过户) and closing (销户).

use super::error::{ApiError, Problem};
use super::extract::{Body, Id, Parameters};
use super::files::{amount, operator, reading, why};
use super::holds::Because;
use super::idempotency::IdempotencyKey;
use super::swaps::{Keyed, id};
use super::values::{PageParameters, Paged, time};
use crate::app::App;
use crate::session::Caller;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use polymeter_domain::{ClosingId, CustomerId, TakeoverId};
use polymeter_service as service;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A meter that changes hands.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HandedMeter {
    pub meter_id: String,
    /// What its display shows, in kWh or m³; where it is left out, the meter is read.
    pub reading: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTakeover {
    pub to_customer_id: String,
    /// Empty: all of the customer's meters.
    #[serde(default)]
    pub meters: Vec<HandedMeter>,
    /// The new owner takes over what the old one owes; else there must be nothing.
    #[serde(default)]
    pub takes_arrears_over: bool,
    pub reason: String,
    pub application_id: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Takeover {
    pub takeover_id: String,
    pub from_customer_id: String,
    pub to_customer_id: String,
    pub reason: String,
    pub application_id: Option<String>,
    /// What the one owed and the other took over.
    pub arrears: String,
    pub operator_id: Option<String>,
    pub at: String,
}

impl From<&service::Takeover> for Takeover {
    fn from(it: &service::Takeover) -> Self {
        Takeover {
            takeover_id: it.takeover_id.to_string(),
            from_customer_id: it.from.to_string(),
            to_customer_id: it.to.to_string(),
            reason: it.why.reason.clone(),
            application_id: it.why.application.map(|id| id.to_string()),
            arrears: it.arrears.to_string(),
            operator_id: operator(&it.operator),
            at: time(it.at),
        }
    }
}

/// A meter's figures that an operator read off it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyedMeter {
    pub meter_id: String,
    /// What the display shows, in kWh or m³.
    pub reading: Option<String>,
    /// What is left in the purse, in the site's currency.
    pub credit: Option<String>,
}

/// What becomes of arrears that the remaining money does not cover.
#[derive(Debug, Default, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ArrearsEnd {
    /// There must be none.
    #[default]
    None,
    /// Paid in cash now.
    Paid,
    WrittenOff,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewClosing {
    /// For dead meters, and those with a card, whose display is newer than what the card brought home.
    /// Where a meter on a line answers, its own figures count.
    #[serde(default)]
    pub keyed: Vec<KeyedMeter>,
    /// The devices are not emptied: they are taken off, or cannot be.
    #[serde(default)]
    pub without_clearing: bool,
    #[serde(default)]
    pub arrears: ArrearsEnd,
    pub reason: String,
    pub application_id: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Closing {
    pub closing_id: String,
    pub customer_id: String,
    /// `begun`, `settled` or `abandoned`.
    pub state: &'static str,
    pub reason: String,
    pub application_id: Option<String>,
    /// `none`, `paid` or `written-off`.
    pub arrears: &'static str,
    /// Paid out, and taken for arrears; `null` until settled.
    pub refunded: Option<String>,
    pub recovered: Option<String>,
    /// The approval that it waits for; nothing was paid out and no device was emptied.
    pub approval_id: Option<String>,
    pub operator_id: Option<String>,
    pub created_at: String,
    pub ended_at: Option<String>,
    pub meters: Vec<ClosingMeter>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ClosingMeter {
    pub meter_id: String,
    pub serial_number: String,
    /// `measured`, `clearing`, `cleared`, or `kept`: not emptied, and not opened again before it is.
    pub state: &'static str,
    pub reading: String,
    pub remaining: String,
    /// `device` or `operator`.
    pub told_by: String,
}

impl From<&service::Closing> for Closing {
    fn from(it: &service::Closing) -> Self {
        let meter = |meter: &service::ClosingMeter| ClosingMeter {
            meter_id: meter.meter_id.to_string(),
            serial_number: meter.serial_number.clone(),
            state: meter.state.name(),
            reading: amount(meter.reading),
            remaining: meter.remaining.to_string(),
            told_by: meter.told_by.clone(),
        };
        Closing {
            closing_id: it.closing_id.to_string(),
            customer_id: it.customer_id.to_string(),
            state: it.state.name(),
            reason: it.why.reason.clone(),
            application_id: it.why.application.map(|id| id.to_string()),
            arrears: it.arrears.name(),
            refunded: it.refunded.map(|it| it.to_string()),
            recovered: it.recovered.map(|it| it.to_string()),
            approval_id: it.approval.map(|id| id.to_string()),
            operator_id: operator(&it.operator),
            created_at: time(it.created_at),
            ended_at: it.ended_at.map(time),
            meters: it.meters.iter().map(meter).collect(),
        }
    }
}

/// What a closing would book by what the meters say now; nothing was stored.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClosingPreview {
    pub movements: Vec<Movement>,
    pub refunded: String,
    pub recovered: String,
    /// What is still owed after all.
    pub owed: String,
    /// It would wait for another operator.
    pub needs_second_person: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Movement {
    pub debit: String,
    pub credit: String,
    pub amount: String,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[into_params(parameter_in = Query)]
pub struct MayBeDry {
    /// Only say what would be booked.
    #[serde(default)]
    #[param(rename = "dry-run")]
    pub dry_run: bool,
}

/// Hand meters over to another customer (过户), with what is in their purses.
#[utoipa::path(post, path = "/api/v1/customers/{customer_id}/takeover", tag = "accounts",
    params(("customer_id" = String, Path), ("Idempotency-Key" = String, Header)),
    request_body = NewTakeover, responses(
    (status = 201, description = "The transfer of ownership", body = Takeover),
    (status = 409, description = "`blocked`: also what is owed; `unsettled-sale`, `differs`",
        body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`: also a reading that goes backwards",
        body = Problem, content_type = "application/problem+json"),
    (status = 504, description = "`device-silent`: give a `reading`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn take_over(
    State(app): State<App>,
    caller: Caller,
    key: IdempotencyKey,
    Id(from): Id<CustomerId>,
    Body(new): Body<NewTakeover>,
) -> Result<(StatusCode, Json<Takeover>), ApiError> {
    let meter = |meter: &HandedMeter| {
        Ok((id("meters", &meter.meter_id)?, reading(meter.reading.as_deref())?))
    };
    let request = service::TakeoverRequest {
        from,
        to: id("to_customer_id", &new.to_customer_id)?,
        meters: new.meters.iter().map(meter).collect::<Result<_, ApiError>>()?,
        takes_arrears_over: new.takes_arrears_over,
        why: why(new.reason, new.application_id.as_deref())?,
    };
    let key = TakeoverId::new(key.0);
    let made = app.service.put_takeover(key, request, &caller.actor()).await?;
    Ok((StatusCode::CREATED, Json(Takeover::from(&made))))
}

/// Close a customer's account (销户): it acts on every meter, pays out what is left, and puts the file
/// into the archive. Above the site's limit it stays `begun` and waits for another operator.
#[utoipa::path(post, path = "/api/v1/customers/{customer_id}/closing", tag = "accounts",
    params(("customer_id" = String, Path), ("Idempotency-Key" = String, Header), MayBeDry),
    request_body = NewClosing, responses(
    (status = 201, description = "The closing; asked again with the same key, it goes on where it \
        stopped", body = Closing),
    (status = 200, description = "A dry run", body = ClosingPreview),
    (status = 409, description = "`blocked`, `unsettled-sale`, `differs`, `device-refused`",
        body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`", body = Problem,
        content_type = "application/problem+json"),
    (status = 504, description = "`device-silent`: give `keyed` for a dead meter; \
        `outcome-unknown`", body = Problem, content_type = "application/problem+json"),
))]
pub async fn close(
    State(app): State<App>,
    caller: Caller,
    key: IdempotencyKey,
    Id(customer): Id<CustomerId>,
    Parameters(dry): Parameters<MayBeDry>,
    Body(new): Body<NewClosing>,
) -> Result<Response, ApiError> {
    let keyed = |it: &KeyedMeter| {
        let figures = Keyed { reading: it.reading.clone(), credit: it.credit.clone() };
        Ok((id("keyed", &it.meter_id)?, figures.read(&app)?))
    };
    let request = service::ClosingRequest {
        customer,
        keyed: new.keyed.iter().map(keyed).collect::<Result<_, ApiError>>()?,
        without_clearing: new.without_clearing,
        arrears: match new.arrears {
            ArrearsEnd::None => service::ArrearsEnd::None,
            ArrearsEnd::Paid => service::ArrearsEnd::Paid,
            ArrearsEnd::WrittenOff => service::ArrearsEnd::WrittenOff,
        },
        why: why(new.reason, new.application_id.as_deref())?,
    };
    if dry.dry_run {
        let it = app.service.preview_closing(&request, &caller.actor()).await?;
        let movement = |it: &service::Booking| Movement {
            debit: it.debit.clone(),
            credit: it.credit.clone(),
            amount: it.amount.to_string(),
        };
        let preview = ClosingPreview {
            movements: it.movements.iter().map(movement).collect(),
            refunded: it.refunded.to_string(),
            recovered: it.recovered.to_string(),
            owed: it.owed.to_string(),
            needs_second_person: app.service.closing_takes_two(request.arrears, &it),
        };
        return Ok(Json(preview).into_response());
    }
    let closing = ClosingId::new(key.0);
    let made = app.service.put_closing(closing, request, &caller.actor()).await?;
    Ok((StatusCode::CREATED, Json(Closing::from(&made))).into_response())
}

/// Closings, newest first (销户查询).
#[utoipa::path(get, path = "/api/v1/closings", tag = "accounts", params(PageParameters),
    responses((status = 200, description = "One page", body = Paged<Closing>)))]
pub async fn list(
    State(app): State<App>,
    Parameters(parameters): Parameters<PageParameters>,
) -> Result<Json<Paged<Closing>>, ApiError> {
    let page = parameters.page();
    let found = app.service.closings(&page).await?;
    Ok(Json(Paged::of(&found, page.limit, |it| it.closing_id.to_string())))
}

/// One closing.
#[utoipa::path(get, path = "/api/v1/closings/{closing_id}", tag = "accounts",
    params(("closing_id" = String, Path)), responses(
    (status = 200, description = "The closing", body = Closing),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn get(State(app): State<App>, Id(id): Id<ClosingId>) -> Result<Json<Closing>, ApiError> {
    Ok(Json(Closing::from(&app.service.closing(id).await?)))
}

/// Go on with a closing that stopped at a device; safe to repeat.
#[utoipa::path(post, path = "/api/v1/closings/{closing_id}/continuation", tag = "accounts",
    params(("closing_id" = String, Path)), responses(
    (status = 200, description = "The closing", body = Closing),
    (status = 409, description = "`blocked`, `device-refused`", body = Problem,
        content_type = "application/problem+json"),
    (status = 504, description = "`device-silent`, `outcome-unknown`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn go_on(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<ClosingId>,
) -> Result<Json<Closing>, ApiError> {
    Ok(Json(Closing::from(&app.service.continue_closing(id, &caller.actor()).await?)))
}

/// Give up a closing of which no device was asked to empty its purse yet.
#[utoipa::path(post, path = "/api/v1/closings/{closing_id}/abandonment", tag = "accounts",
    params(("closing_id" = String, Path)), request_body = Because, responses(
    (status = 200, description = "The closing", body = Closing),
    (status = 409, description = "`blocked`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn abandon(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<ClosingId>,
    Body(given): Body<Because>,
) -> Result<Json<Closing>, ApiError> {
    let it = app.service.abandon_closing(id, &given.reason, &caller.actor()).await?;
    Ok(Json(Closing::from(&it)))
}
