//! Day closes (日结): the books' signed heads, and what each channel of payment took.

use super::error::{ApiError, Problem};
use super::extract::{Asker, Body, Id, Parameters};
use super::values::{PageParameters, Paged, time};
use crate::app::App;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use polymeter_domain::tariff::Date;
use polymeter_ledger as ledger;
use polymeter_service::{ClosedDay, UnixMs};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct DayClose {
    /// 1, 2, 3 ...
    pub number: i64,
    /// The site's day.
    #[schema(example = "2026-03-02")]
    pub day: String,
    pub at: String,
    /// The last transfer in it; 0 where there is none.
    pub sequence: i64,
    pub chain_hash: String,
    /// What is signed; kept elsewhere, it shows later whether the books still begin so.
    pub head: String,
    /// Of `head`: the text of a `.minisig` file.
    pub signature: String,
}

impl From<&ledger::DayClose> for DayClose {
    fn from(close: &ledger::DayClose) -> Self {
        DayClose {
            number: close.head.number,
            day: close.head.day.clone(),
            at: time(UnixMs(close.head.at_ms)),
            sequence: close.head.sequence,
            chain_hash: close.head.chain_hash.clone(),
            head: close.head.text(),
            signature: close.signature.clone(),
        }
    }
}

/// A close with what the channels of payment moved since the one before.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct DayCloseDetail {
    #[serde(flatten)]
    pub close: DayClose,
    pub channels: Vec<ChannelTotal>,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ChannelTotal {
    /// `cash` or `channel/…`.
    pub channel: String,
    pub taken_in: String,
    pub given_out: String,
    pub currency: String,
}

impl From<&ClosedDay> for DayCloseDetail {
    fn from(day: &ClosedDay) -> Self {
        let total = |moved: &ledger::DayMoved| ChannelTotal {
            channel: moved.name.clone(),
            taken_in: moved.debits_posted.to_string(),
            given_out: moved.credits_posted.to_string(),
            currency: moved.debits_posted.currency().code().to_owned(),
        };
        let channels = day.channels.iter().map(total).collect();
        DayCloseDetail { close: (&day.close).into(), channels }
    }
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDayClose {
    /// A day of the site that has begun; today where it is left out. Days are closed in order, each once.
    #[serde(default)]
    #[schema(example = "2026-03-02")]
    pub day: Option<String>,
}

/// Close a day (日结): sign and keep the head of the books. What is booked later belongs to the next close.
#[utoipa::path(post, path = "/api/v1/day-closes", tag = "ledger", request_body = NewDayClose,
    responses(
    (status = 201, description = "The close", body = DayCloseDetail),
    (status = 409, description = "`day-closed`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn close(
    State(app): State<App>,
    Asker(actor): Asker,
    Body(NewDayClose { day }): Body<NewDayClose>,
) -> Result<(StatusCode, Json<DayCloseDetail>), ApiError> {
    let day = day.map(|day| day.parse::<Date>().map_err(|error| ApiError::invalid("day", error)));
    let day = day.transpose()?;
    let closed = app.service.close_day(day, |head| app.head_key.sign(head), &actor).await?;
    Ok((StatusCode::CREATED, Json(DayCloseDetail::from(&closed))))
}

/// Day closes, newest first.
#[utoipa::path(get, path = "/api/v1/day-closes", tag = "ledger", params(PageParameters),
    responses((status = 200, description = "One page", body = Paged<DayClose>)))]
pub async fn list(
    State(app): State<App>,
    Parameters(parameters): Parameters<PageParameters>,
) -> Result<Json<Paged<DayClose>>, ApiError> {
    let page = parameters.page();
    let found = app.service.day_closes(&page).await?;
    Ok(Json(Paged::of(&found, page.limit, |close| close.head.number.to_string())))
}

/// The close of a day.
#[utoipa::path(get, path = "/api/v1/day-closes/{day}", tag = "ledger",
    params(("day" = String, Path)), responses(
    (status = 200, description = "The close", body = DayCloseDetail),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn get(
    State(app): State<App>,
    Id(day): Id<Date>,
) -> Result<Json<DayCloseDetail>, ApiError> {
    Ok(Json(DayCloseDetail::from(&app.service.closed_day(day).await?)))
}
