//! Charges of a customer's own (自定义收费): the items, who is charged them, and what they came to.

use super::error::{ApiError, Problem};
use super::extract::{Body, Id, Parameters, money};
use super::values::{PageParameters, Paged, time};
use crate::app::App;
use crate::session::Caller;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use polymeter_domain::tariff::{Date, scaled};
use polymeter_domain::{ChargeAssignmentId, ChargeItemId, CustomerId, Recurrence};
use polymeter_service as service;
use polymeter_service::{Basis, PaidFrom};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewChargeItem {
    #[schema(example = "Property fee 物业费")]
    pub name: String,
    /// `fixed`, or `area`: for each m² of the customer's area.
    pub basis: String,
    #[schema(example = "2.50")]
    pub amount: String,
    /// `once`, `monthly`, `quarterly` or `yearly`.
    pub every: String,
    /// `purse`: taken from the purse, and owed where it is empty. `bill`: a bill of its own.
    pub paid_from: String,
    /// The supply is cut while it is overdue (欠费拉闸).
    #[serde(default)]
    pub cuts_supply: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ChargeItem {
    pub charge_item_id: String,
    pub name: String,
    pub basis: &'static str,
    pub amount: String,
    pub currency: String,
    pub every: &'static str,
    pub paid_from: &'static str,
    pub cuts_supply: bool,
    pub created_at: String,
}

impl From<&service::ChargeItem> for ChargeItem {
    fn from(item: &service::ChargeItem) -> Self {
        ChargeItem {
            charge_item_id: item.item_id.to_string(),
            name: item.name.clone(),
            basis: item.basis.name(),
            amount: item.amount.to_string(),
            currency: item.amount.currency().code().to_owned(),
            every: item.every.name(),
            paid_from: item.paid_from.name(),
            cuts_supply: item.cuts_supply,
            created_at: time(item.created_at),
        }
    }
}

fn named<T>(
    field: &str,
    text: &str,
    read: impl Fn(&str) -> Option<T>,
    names: &str,
) -> Result<T, ApiError> {
    let none = || ApiError::invalid(field, format!("`{text}` is none of {names}"));
    read(text).ok_or_else(none)
}

impl NewChargeItem {
    pub fn read(self, app: &App) -> Result<service::NewItem, ApiError> {
        let every = Recurrence::ALL.map(Recurrence::name).join(", ");
        Ok(service::NewItem {
            basis: named("basis", &self.basis, Basis::from_name, "fixed, area")?,
            amount: money("amount", &self.amount, app.currency)?,
            every: named("every", &self.every, Recurrence::from_name, &every)?,
            paid_from: named("paid_from", &self.paid_from, PaidFrom::from_name, "purse, bill")?,
            cuts_supply: self.cuts_supply,
            name: self.name,
        })
    }
}

/// Add a charge item (收费项目): never changed, another price is another item.
#[utoipa::path(post, path = "/api/v1/charge-items", tag = "billing",
    request_body = NewChargeItem, responses(
    (status = 201, description = "The item", body = ChargeItem),
    (status = 409, description = "`exists`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn add(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<NewChargeItem>,
) -> Result<(StatusCode, Json<ChargeItem>), ApiError> {
    let item = app.service.add_item(new.read(&app)?, &caller.actor()).await?;
    Ok((StatusCode::CREATED, Json(ChargeItem::from(&item))))
}

/// All charge items, by name.
#[utoipa::path(get, path = "/api/v1/charge-items", tag = "billing",
    responses((status = 200, description = "All of them", body = [ChargeItem])))]
pub async fn list(State(app): State<App>) -> Result<Json<Vec<ChargeItem>>, ApiError> {
    Ok(Json(app.service.items().await?.iter().map(ChargeItem::from).collect()))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAssignment {
    pub charge_item_id: String,
    /// The first due day; today where it is left out.
    #[schema(example = "2026-07-01")]
    pub from: Option<String>,
}

/// An item that a customer is charged.
#[derive(Debug, Serialize, ToSchema)]
pub struct Assignment {
    pub charge_assignment_id: String,
    pub item: ChargeItem,
    pub from: String,
    /// The first day on which nothing is due any more.
    pub to: Option<String>,
}

impl From<&service::ChargeAssignment> for Assignment {
    fn from(given: &service::ChargeAssignment) -> Self {
        Assignment {
            charge_assignment_id: given.assignment_id.to_string(),
            item: (&given.item).into(),
            from: given.from.to_string(),
            to: given.to.map(|day| day.to_string()),
        }
    }
}

pub fn day(field: &str, text: &str) -> Result<Date, ApiError> {
    text.trim().parse().map_err(|error| ApiError::invalid(field, error))
}

/// Charge a customer an item from a day on.
#[utoipa::path(post, path = "/api/v1/customers/{customer_id}/charge-items", tag = "billing",
    params(("customer_id" = String, Path)), request_body = NewAssignment, responses(
    (status = 200, description = "All of the customer", body = [Assignment]),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 409, description = "`exists`: it is charged already", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn assign(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<CustomerId>,
    Body(new): Body<NewAssignment>,
) -> Result<Json<Vec<Assignment>>, ApiError> {
    let item = new.charge_item_id.parse::<ChargeItemId>();
    let item = item.map_err(|error| ApiError::invalid("charge_item_id", error))?;
    let from = new.from.as_deref().map(|text| day("from", text)).transpose()?;
    let all = app.service.assign_item(id, item, from, &caller.actor()).await?;
    Ok(Json(all.iter().map(Assignment::from).collect()))
}

/// The items that a customer is or was charged.
#[utoipa::path(get, path = "/api/v1/customers/{customer_id}/charge-items", tag = "billing",
    params(("customer_id" = String, Path)), responses(
    (status = 200, description = "All of the customer", body = [Assignment]),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn assignments(
    State(app): State<App>,
    Id(id): Id<CustomerId>,
) -> Result<Json<Vec<Assignment>>, ApiError> {
    let all = app.service.assignments(id).await?;
    Ok(Json(all.iter().map(Assignment::from).collect()))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EndAssignment {
    /// The first day on which nothing is due any more.
    #[schema(example = "2026-12-31")]
    pub to: String,
}

/// End a customer's charge; what is booked stays.
#[utoipa::path(post, path = "/api/v1/charge-assignments/{charge_assignment_id}/end", tag = "billing",
    params(("charge_assignment_id" = String, Path)), request_body = EndAssignment, responses(
    (status = 204, description = "Ended"),
    (status = 404, description = "`not-found`: there is none, or it has ended", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn end(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<ChargeAssignmentId>,
    Body(new): Body<EndAssignment>,
) -> Result<StatusCode, ApiError> {
    app.service.end_assignment(id, day("to", &new.to)?, &caller.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Area {
    /// m², at most two decimals; `null` where it is not known.
    #[schema(example = "85.50")]
    pub area: Option<String>,
}

/// Hundredths of a m².
pub fn hundredths(text: &str) -> Result<i64, ApiError> {
    let why = || ApiError::invalid("area", format!("`{text}` is not an area like 85.50"));
    let area = scaled(text.trim(), 2).ok_or_else(why)?;
    i64::try_from(area).map_err(|_| why())
}

/// Keep the area by which a customer is charged.
#[utoipa::path(put, path = "/api/v1/customers/{customer_id}/area", tag = "billing",
    params(("customer_id" = String, Path)), request_body = Area, responses(
    (status = 200, description = "The area", body = Area),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn set_area(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<CustomerId>,
    Body(new): Body<Area>,
) -> Result<Json<Area>, ApiError> {
    let hundredths = hundredths(new.area.as_deref().unwrap_or_default())?;
    app.service.set_area(id, hundredths, &caller.actor()).await?;
    Ok(Json(new))
}

/// What an item came to on one due day.
#[derive(Debug, Serialize, ToSchema)]
pub struct Claim {
    pub claim_id: String,
    pub charge_assignment_id: String,
    pub customer_id: String,
    pub due: String,
    pub title: String,
    /// How the amount came about.
    pub arithmetic: String,
    pub amount: String,
    /// What of it is still owed; of a claim with a bill the bill says that.
    pub open: String,
    pub currency: String,
    pub bill_id: Option<String>,
    pub cuts_supply: bool,
    pub created_at: String,
}

impl From<&service::Claim> for Claim {
    fn from(claim: &service::Claim) -> Self {
        Claim {
            claim_id: claim.claim_id.to_string(),
            charge_assignment_id: claim.assignment_id.to_string(),
            customer_id: claim.customer_id.to_string(),
            due: claim.due.to_string(),
            title: claim.title.clone(),
            arithmetic: claim.arithmetic.clone(),
            amount: claim.amount.to_string(),
            open: claim.open.to_string(),
            currency: claim.amount.currency().code().to_owned(),
            bill_id: claim.bill_id.map(|id| id.to_string()),
            cuts_supply: claim.cuts_supply,
            created_at: time(claim.created_at),
        }
    }
}

/// A customer's claims, newest first.
#[utoipa::path(get, path = "/api/v1/customers/{customer_id}/claims", tag = "billing",
    params(("customer_id" = String, Path), PageParameters), responses(
    (status = 200, description = "One page", body = Paged<Claim>),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn claims(
    State(app): State<App>,
    Id(id): Id<CustomerId>,
    Parameters(parameters): Parameters<PageParameters>,
) -> Result<Json<Paged<Claim>>, ApiError> {
    let page = parameters.page();
    let found = app.service.claims(id, &page).await?;
    Ok(Json(Paged::of(&found, page.limit, |it| it.claim_id.to_string())))
}

/// What booking all that is due came to.
#[derive(Debug, Serialize, ToSchema)]
pub struct Booked {
    pub claims: u64,
    pub amount: String,
    /// In a sentence each: what could not be booked.
    pub waiting: Vec<String>,
}

/// Book every due day that is not booked yet, as `serve` does by itself; asking again books nothing.
#[utoipa::path(post, path = "/api/v1/claims", tag = "billing",
    responses((status = 200, description = "What was booked", body = Booked)))]
pub async fn book(State(app): State<App>, caller: Caller) -> Result<Json<Booked>, ApiError> {
    let booked = app.service.book_claims(&caller.actor()).await?;
    let (claims, amount, waiting) = (booked.claims, booked.amount.to_string(), booked.waiting);
    Ok(Json(Booked { claims, amount, waiting }))
}
