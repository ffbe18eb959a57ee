//! Applications (申请): received, prepared with their meters, opened by one click.

use super::customers::NewCustomer;
use super::error::{ApiError, Problem};
use super::extract::{Body, Id, Parameters};
use super::files::operator;
use super::idempotency::IdempotencyKey;
use super::values::{Paged, time};
use crate::app::App;
use crate::session::Caller;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use polymeter_domain::{ApplicationId, CustomerNumber, MeterId};
use polymeter_service as service;
use polymeter_service::{Applicant, ApplicationKind, Page};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// New supply (新装): begins the file.
    Supply,
    /// A further meter (增表).
    Meter,
    /// A change of the file, the tariff or the ratio (变更).
    Change,
    /// 换表.
    Swap,
    /// 过户.
    Transfer,
    /// 报停.
    Suspension,
    /// 复电.
    Resumption,
    /// 销户.
    Closing,
}

impl From<Kind> for ApplicationKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Supply => ApplicationKind::Supply,
            Kind::Meter => ApplicationKind::Meter,
            Kind::Change => ApplicationKind::Change,
            Kind::Swap => ApplicationKind::Swap,
            Kind::Transfer => ApplicationKind::Transfer,
            Kind::Suspension => ApplicationKind::Suspension,
            Kind::Resumption => ApplicationKind::Resumption,
            Kind::Closing => ApplicationKind::Closing,
        }
    }
}

/// Either `customer_id`, or for new supply a new `customer`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewApplication {
    pub kind: Kind,
    pub customer_id: Option<String>,
    pub customer: Option<NewCustomer>,
    /// What is asked for, in words.
    pub wish: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Application {
    pub application_id: String,
    /// What the customer is given.
    pub number: i64,
    pub kind: &'static str,
    /// `received`, `prepared`, `done` or `refused`.
    pub state: &'static str,
    pub customer_id: String,
    pub wish: String,
    /// How it ended.
    pub outcome: Option<String>,
    pub operator_id: Option<String>,
    pub created_at: String,
    pub ended_at: Option<String>,
    pub meters: Vec<PlannedMeter>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PlannedMeter {
    pub meter_id: String,
    pub serial_number: String,
    /// `null`: not opened yet.
    pub opened_at: Option<String>,
}

impl From<&service::Application> for Application {
    fn from(it: &service::Application) -> Self {
        let planned = |meter: &service::PlannedMeter| PlannedMeter {
            meter_id: meter.meter_id.to_string(),
            serial_number: meter.serial_number.clone(),
            opened_at: meter.opened_at.map(time),
        };
        Application {
            application_id: it.application_id.to_string(),
            number: it.number,
            kind: it.kind.name(),
            state: it.state.name(),
            customer_id: it.customer_id.to_string(),
            wish: it.wish.clone(),
            outcome: Some(it.outcome.clone()).filter(|text| !text.is_empty()),
            operator_id: operator(&it.operator),
            created_at: time(it.created_at),
            ended_at: it.ended_at.map(time),
            meters: it.meters.iter().map(planned).collect(),
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Preparation {
    /// Meters that it is to open, in the place of those named before.
    pub meter_ids: Vec<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    pub reason: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ToOpen {
    pub application_ids: Vec<String>,
}

/// How one of many ended.
#[derive(Debug, Serialize, ToSchema)]
pub struct Opened {
    pub application_id: String,
    pub application: Option<Application>,
    /// The code and the sentence of what went wrong.
    pub code: Option<&'static str>,
    pub detail: Option<String>,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListParameters {
    /// A number, words of the wish, or the customer's number or name.
    #[serde(default)]
    pub query: Option<String>,
    /// The `next` of the page before.
    #[serde(default)]
    pub after: Option<String>,
    /// 1 to 200; 50 where it is left out.
    #[serde(default)]
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// Only those that have not ended.
    #[serde(default)]
    pub open: bool,
}

fn id<T: std::str::FromStr>(field: &str, text: &str) -> Result<T, ApiError>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| ApiError::invalid(field, error))
}

/// Take in an application. The id follows from `Idempotency-Key`, so that asking twice is one.
#[utoipa::path(post, path = "/api/v1/applications", tag = "applications",
    params(("Idempotency-Key" = String, Header)), request_body = NewApplication, responses(
    (status = 201, description = "The application", body = Application),
    (status = 409, description = "`exists`, `blocked`, `differs`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn add(
    State(app): State<App>,
    caller: Caller,
    key: IdempotencyKey,
    Body(new): Body<NewApplication>,
) -> Result<(StatusCode, Json<Application>), ApiError> {
    let applicant = match (new.customer_id, new.customer) {
        (Some(customer), None) => Applicant::Customer(id("customer_id", &customer)?),
        (None, Some(new)) => Applicant::New(service::NewCustomer {
            number: CustomerNumber::new(&new.number)
                .map_err(|error| ApiError::invalid("number", error))?,
            name: new.name,
            phone: new.phone,
            premises: new.premises,
        }),
        _ => return Err(ApiError::invalid("customer", "give `customer_id` or `customer`")),
    };
    let new = service::NewApplication { kind: new.kind.into(), applicant, wish: new.wish };
    let made = app.service.put_application(ApplicationId::new(key.0), new, &caller.actor()).await?;
    Ok((StatusCode::CREATED, Json(Application::from(&made))))
}

/// Find applications by number, words, or the customer's number or name; newest first.
#[utoipa::path(get, path = "/api/v1/applications", tag = "applications",
    params(ListParameters), responses(
    (status = 200, description = "One page", body = Paged<Application>),
))]
pub async fn list(
    State(app): State<App>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<Paged<Application>>, ApiError> {
    let limit = parameters.limit.unwrap_or(50).clamp(1, 200);
    let query = parameters.query.filter(|text| !text.is_empty());
    let page = Page { query, after: parameters.after, limit };
    let found = app.service.applications(&page, parameters.open).await?;
    Ok(Json(Paged::of(&found, limit, |it| it.application_id.to_string())))
}

/// One application.
#[utoipa::path(get, path = "/api/v1/applications/{application_id}", tag = "applications",
    params(("application_id" = String, Path)), responses(
    (status = 200, description = "The application", body = Application),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn get(
    State(app): State<App>,
    Id(id): Id<ApplicationId>,
) -> Result<Json<Application>, ApiError> {
    Ok(Json(Application::from(&app.service.application(id).await?)))
}

/// Say which meters an application for supply or a further meter is to open.
#[utoipa::path(post, path = "/api/v1/applications/{application_id}/preparation",
    tag = "applications", params(("application_id" = String, Path)), request_body = Preparation,
    responses(
    (status = 200, description = "The application", body = Application),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 409, description = "`blocked`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn prepare(
    State(app): State<App>,
    caller: Caller,
    Id(application): Id<ApplicationId>,
    Body(preparation): Body<Preparation>,
) -> Result<Json<Application>, ApiError> {
    let meters = preparation.meter_ids.iter().map(|text| id::<MeterId>("meter_ids", text));
    let meters = meters.collect::<Result<Vec<_>, _>>()?;
    let prepared = app.service.prepare_application(application, meters, &caller.actor()).await?;
    Ok(Json(Application::from(&prepared)))
}

/// End an application without the act.
#[utoipa::path(post, path = "/api/v1/applications/{application_id}/refusal", tag = "applications",
    params(("application_id" = String, Path)), request_body = Reason, responses(
    (status = 200, description = "The application", body = Application),
    (status = 409, description = "`blocked`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn refuse(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<ApplicationId>,
    Body(given): Body<Reason>,
) -> Result<Json<Application>, ApiError> {
    let refused = app.service.refuse_application(id, &given.reason, &caller.actor()).await?;
    Ok(Json(Application::from(&refused)))
}

/// Open prepared applications, each for itself. Safe to repeat: opened meters are left alone.
#[utoipa::path(post, path = "/api/v1/applications/open", tag = "applications",
    request_body = ToOpen, responses(
    (status = 200, description = "How each ended", body = Vec<Opened>),
))]
pub async fn open(
    State(app): State<App>,
    caller: Caller,
    Body(given): Body<ToOpen>,
) -> Result<Json<Vec<Opened>>, ApiError> {
    let ids = given.application_ids.iter().map(|text| id("application_ids", text));
    let ids = ids.collect::<Result<Vec<ApplicationId>, _>>()?;
    let ended = app.service.open_applications(ids, &caller.actor()).await;
    let opened = ended.into_iter().map(|(id, result)| {
        let (application, problem) = match result {
            Ok(application) => (Some(Application::from(&application)), None),
            Err(error) => (None, Some(ApiError::from(error))),
        };
        Opened {
            application_id: id.to_string(),
            application,
            code: problem.as_ref().map(|it| it.code),
            detail: problem.map(|it| it.detail),
        }
    });
    Ok(Json(opened.collect()))
}
