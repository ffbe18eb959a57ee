//! Shifts (班次): opened with a float, closed by a count.

use super::error::{ApiError, Problem};
use super::extract::{Body, Id, MayBeDry, Parameters, money};
use super::idempotency::IdempotencyKey;
use super::values::{PageParameters, Paged, time};
use crate::app::App;
use crate::session::Caller;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use polymeter_domain::ShiftId;
use polymeter_service as service;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewShift {
    /// Change in the till, in the site's currency.
    #[schema(example = "200.00")]
    pub float: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// The cash in the till, the float included.
    #[schema(example = "1250.00")]
    pub counted: String,
    /// Whatever explains a difference.
    #[serde(default)]
    pub note: String,
}

/// One operator's time at a till.
#[derive(Debug, Serialize, ToSchema)]
pub struct Shift {
    pub shift_id: String,
    pub operator_id: String,
    /// The site's day on which it was opened.
    pub day: String,
    pub currency: String,
    pub float: String,
    pub opened_at: String,
    /// What went over the counter, for each channel that was used.
    pub channels: Vec<ChannelTotals>,
    /// What the till should hold: float and cash taken, less cash given.
    pub expected: String,
    /// `null` while it is open.
    pub closing: Option<ShiftClosing>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ChannelTotals {
    pub channel: &'static str,
    /// How often money was taken.
    pub takings: u64,
    pub taken: String,
    /// Of what came to nothing.
    pub given_back: String,
    /// Refunds and deposits.
    pub paid_out: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ShiftClosing {
    pub counted: String,
    /// Counted less expected; below zero where money is missing.
    pub difference: String,
    pub note: String,
    pub at: String,
}

impl From<&service::ChannelTotals> for ChannelTotals {
    fn from(it: &service::ChannelTotals) -> Self {
        ChannelTotals {
            channel: it.channel.name(),
            takings: it.takings,
            taken: it.taken.to_string(),
            given_back: it.given_back.to_string(),
            paid_out: it.paid_out.to_string(),
        }
    }
}

impl From<&service::Shift> for Shift {
    fn from(shift: &service::Shift) -> Self {
        Shift {
            shift_id: shift.shift_id.to_string(),
            operator_id: shift.operator_id.to_string(),
            day: shift.day.to_string(),
            currency: shift.float.currency().code().to_owned(),
            float: shift.float.to_string(),
            opened_at: time(shift.opened_at),
            channels: shift.channels.iter().map(Into::into).collect(),
            expected: shift.expected.to_string(),
            closing: shift.closed.as_ref().map(|it| ShiftClosing {
                counted: it.counted.to_string(),
                difference: it.difference.to_string(),
                note: it.note.clone(),
                at: time(it.at),
            }),
        }
    }
}

/// Open a shift of your own. At most one is open at a time.
#[utoipa::path(post, path = "/api/v1/shifts", tag = "shifts",
    params(("idempotency-key" = String, Header)), request_body = NewShift, responses(
    (status = 201, description = "The open shift", body = Shift),
    (status = 409, description = "`exists`, `differs`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn open(
    State(app): State<App>,
    caller: Caller,
    key: IdempotencyKey,
    Body(new): Body<NewShift>,
) -> Result<(StatusCode, Json<Shift>), ApiError> {
    let float = money("float", &new.float, app.currency)?;
    let shift = app.service.open_shift(ShiftId::new(key.0), float, &caller.actor()).await?;
    Ok((StatusCode::CREATED, Json(Shift::from(&shift))))
}

/// All shifts, newest first.
#[utoipa::path(get, path = "/api/v1/shifts", tag = "shifts", params(PageParameters), responses(
    (status = 200, description = "One page", body = Paged<Shift>),
    (status = 422, description = "`invalid-field`: `after` is not an id", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn list(
    State(app): State<App>,
    Parameters(parameters): Parameters<PageParameters>,
) -> Result<Json<Paged<Shift>>, ApiError> {
    let page = parameters.page();
    let found = app.service.shifts(&page).await?;
    Ok(Json(Paged::of(&found, page.limit, |it| it.shift_id.to_string())))
}

/// One shift with its report by channel.
#[utoipa::path(get, path = "/api/v1/shifts/{shift_id}", tag = "shifts",
    params(("shift_id" = String, Path)), responses(
    (status = 200, description = "The shift", body = Shift),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn get(State(app): State<App>, Id(id): Id<ShiftId>) -> Result<Json<Shift>, ApiError> {
    Ok(Json(Shift::from(&app.service.shift(id).await?)))
}

/// Close a shift by what its till holds. Asking again with the same count is safe. With `dry_run`, only
/// say what the difference would be.
#[utoipa::path(post, path = "/api/v1/shifts/{shift_id}/closing", tag = "shifts",
    params(("shift_id" = String, Path), MayBeDry), request_body = Count, responses(
    (status = 200, description = "The closed shift", body = Shift),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 409, description = "`out-of-order`: it is closed, with another count",
        body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn close(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<ShiftId>,
    Parameters(dry): Parameters<MayBeDry>,
    Body(count): Body<Count>,
) -> Result<Json<Shift>, ApiError> {
    let counted = money("counted", &count.counted, app.currency)?;
    let actor = caller.actor();
    let shift = app.service.close_shift(id, counted, &count.note, dry.run(), &actor).await?;
    Ok(Json(Shift::from(&shift)))
}
