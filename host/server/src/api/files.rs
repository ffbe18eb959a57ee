//! Customers' and meters' files: edits, their history, and installations with what each used.

use super::customers::Customer;
use super::error::{ApiError, Problem};
use super::extract::{Body, Id, Parameters};
use super::meters::Meter;
use super::values::{PageParameters, Paged, time};
use crate::app::App;
use crate::session::Caller;
use axum::Json;
use axum::extract::State;
use polymeter_domain::tariff::Commodity;
use polymeter_domain::{ApplicationId, CustomerId, InstallationId, MeterAddress, MeterId};
use polymeter_service as service;
use polymeter_service::{Actor, FileOf, Used};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One line of a file's history.
#[derive(Debug, Serialize, ToSchema)]
pub struct FileChange {
    pub file_change_id: i64,
    pub at: String,
    /// Who changed it; `null` where the system itself did.
    pub operator_id: Option<String>,
    pub application_id: Option<String>,
    pub customer_id: Option<String>,
    pub meter_id: Option<String>,
    #[schema(example = "phone")]
    pub field: String,
    pub old: String,
    pub new: String,
    pub reason: String,
}

impl From<&service::FileChange> for FileChange {
    fn from(change: &service::FileChange) -> Self {
        FileChange {
            file_change_id: change.file_change_id,
            at: time(change.at),
            operator_id: operator(&change.actor),
            application_id: change.application_id.map(|id| id.to_string()),
            customer_id: change.customer_id.map(|id| id.to_string()),
            meter_id: change.meter_id.map(|id| id.to_string()),
            field: change.field.clone(),
            old: change.old.clone(),
            new: change.new.clone(),
            reason: change.reason.clone(),
        }
    }
}

pub fn operator(actor: &Actor) -> Option<String> {
    match actor {
        Actor::Operator(id) => Some(id.to_string()),
        Actor::System => None,
    }
}

/// What to change of a customer's file; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomerEdit {
    pub name: Option<String>,
    pub phone: Option<String>,
    pub premises: Option<String>,
    /// What runs on the supply (用电设备).
    pub equipment: Option<String>,
    pub reason: String,
    /// The application (申请) that asks for it; it is done with this.
    pub application_id: Option<String>,
}

/// What to change of a meter's file; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MeterEdit {
    pub serial_number: Option<String>,
    pub line: Option<String>,
    pub address: Option<String>,
    pub reason: String,
    pub application_id: Option<String>,
}

pub fn why(reason: String, application: Option<&str>) -> Result<service::Why, ApiError> {
    let application = application.map(str::parse).transpose();
    let application = application.map_err(|error| ApiError::invalid("application_id", error))?;
    Ok(service::Why { reason, application })
}

/// What one meter's time at one customer is (安装).
#[derive(Debug, Serialize, ToSchema)]
pub struct Installation {
    pub installation_id: String,
    pub meter_id: String,
    pub serial_number: String,
    pub customer_id: String,
    pub from: String,
    /// `null` while it lasts.
    pub to: Option<String>,
    /// `kWh` or `m³`.
    pub unit: &'static str,
    /// What the register stood at, before any ratio; `null` where nobody read it just then.
    pub first_reading: Option<String>,
    pub last_reading: Option<String>,
    pub ct: u32,
    pub pt: u32,
    /// The customer's number as the device holds it; it may be an earlier owner's.
    pub number_in_device: String,
    /// Why it ended.
    pub ended: Option<String>,
}

/// Wh as kWh, litres as m³.
pub fn amount(thousandths: u64) -> String {
    format!("{}.{:03}", thousandths / 1000, thousandths % 1000)
}

impl From<&service::Installation> for Installation {
    fn from(it: &service::Installation) -> Self {
        Installation {
            installation_id: it.installation_id.to_string(),
            meter_id: it.meter_id.to_string(),
            serial_number: it.serial_number.clone(),
            customer_id: it.customer_id.to_string(),
            from: time(it.from),
            to: it.to.map(time),
            unit: match it.commodity {
                Commodity::Energy => "kWh",
                Commodity::Water => "m³",
            },
            first_reading: it.first_reading.map(amount),
            last_reading: it.last_reading.map(amount),
            ct: it.ct,
            pt: it.pt,
            number_in_device: it.number_in_device.to_string(),
            ended: Some(it.ended.clone()).filter(|why| !why.is_empty()),
        }
    }
}

/// What one installation used; never across two.
#[derive(Debug, Serialize, ToSchema)]
pub struct Consumption {
    pub installation: Installation,
    pub first: Option<String>,
    pub last: Option<String>,
    /// With the ratio; `null` where `state` is not `known`.
    pub used: Option<String>,
    /// `known`; `not-read`: fewer than two readings; `backwards`: the register went back, and a person
    /// must look; `too-large`.
    pub state: &'static str,
}

/// A new transformer ratio.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RatioChange {
    pub ct: u32,
    pub pt: u32,
    /// What the display shows, in kWh or m³; where it is left out, the meter is read.
    #[schema(example = "1234.56")]
    pub reading: Option<String>,
    pub reason: String,
    pub application_id: Option<String>,
}

pub fn reading(text: Option<&str>) -> Result<Option<u64>, ApiError> {
    text.map(|text| service::typed_reading(text).map_err(ApiError::from)).transpose()
}

/// Change a customer's file. Each field changed is a line in its history.
#[utoipa::path(patch, path = "/api/v1/customers/{customer_id}", tag = "customers",
    params(("customer_id" = String, Path)), request_body = CustomerEdit, responses(
    (status = 200, description = "The customer", body = Customer),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 409, description = "`blocked`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn edit_customer(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<CustomerId>,
    Body(edit): Body<CustomerEdit>,
) -> Result<Json<Customer>, ApiError> {
    let why = why(edit.reason, edit.application_id.as_deref())?;
    let CustomerEdit { name, phone, premises, equipment, .. } = edit;
    let edit = service::CustomerEdit { name, phone, premises, equipment };
    let customer = app.service.edit_customer(id, edit, why, &caller.actor()).await?;
    Ok(Json(Customer::from(&customer)))
}

/// Change how a meter is named and reached; not while a sale to it is unsettled.
#[utoipa::path(patch, path = "/api/v1/meters/{meter_id}", tag = "meters",
    params(("meter_id" = String, Path)), request_body = MeterEdit, responses(
    (status = 200, description = "The meter", body = Meter),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 409, description = "`exists`, `unsettled-sale`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`, `no-line`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn edit_meter(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<MeterId>,
    Body(edit): Body<MeterEdit>,
) -> Result<Json<Meter>, ApiError> {
    let why = why(edit.reason, edit.application_id.as_deref())?;
    let address = edit.address.as_deref().map(MeterAddress::new).transpose();
    let address = address.map_err(|error| ApiError::invalid("address", error))?;
    let (serial_number, line) = (edit.serial_number, edit.line);
    let edit = service::MeterEdit { serial_number, line, address };
    Ok(Json(Meter::from(&app.service.edit_meter(id, edit, why, &caller.actor()).await?)))
}

async fn history(
    app: &App,
    of: FileOf,
    parameters: PageParameters,
) -> Result<Json<Paged<FileChange>>, ApiError> {
    let page = parameters.page();
    let found = app.service.file_changes(of, &page).await?;
    Ok(Json(Paged::of(&found, page.limit, |it| it.file_change_id.to_string())))
}

/// What was changed in a customer's file, newest first.
#[utoipa::path(get, path = "/api/v1/customers/{customer_id}/history", tag = "customers",
    params(("customer_id" = String, Path), PageParameters), responses(
    (status = 200, description = "One page", body = Paged<FileChange>),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn of_customer(
    State(app): State<App>,
    Id(id): Id<CustomerId>,
    Parameters(parameters): Parameters<PageParameters>,
) -> Result<Json<Paged<FileChange>>, ApiError> {
    history(&app, FileOf::Customer(id), parameters).await
}

/// What was changed in a meter's file, newest first.
#[utoipa::path(get, path = "/api/v1/meters/{meter_id}/history", tag = "meters",
    params(("meter_id" = String, Path), PageParameters), responses(
    (status = 200, description = "One page", body = Paged<FileChange>),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn of_meter(
    State(app): State<App>,
    Id(id): Id<MeterId>,
    Parameters(parameters): Parameters<PageParameters>,
) -> Result<Json<Paged<FileChange>>, ApiError> {
    history(&app, FileOf::Meter(id), parameters).await
}

/// What was changed on an application, newest first.
#[utoipa::path(get, path = "/api/v1/applications/{application_id}/history", tag = "applications",
    params(("application_id" = String, Path), PageParameters), responses(
    (status = 200, description = "One page", body = Paged<FileChange>),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn of_application(
    State(app): State<App>,
    Id(id): Id<ApplicationId>,
    Parameters(parameters): Parameters<PageParameters>,
) -> Result<Json<Paged<FileChange>>, ApiError> {
    history(&app, FileOf::Application(id), parameters).await
}

/// Every installation of a meter, newest first.
#[utoipa::path(get, path = "/api/v1/meters/{meter_id}/installations", tag = "meters",
    params(("meter_id" = String, Path)), responses(
    (status = 200, description = "Newest first", body = Vec<Installation>),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn meter_installations(
    State(app): State<App>,
    Id(id): Id<MeterId>,
) -> Result<Json<Vec<Installation>>, ApiError> {
    let found = app.service.installations_of_meter(id).await?;
    Ok(Json(found.iter().map(Installation::from).collect()))
}

/// Every installation at a customer, newest first.
#[utoipa::path(get, path = "/api/v1/customers/{customer_id}/installations", tag = "customers",
    params(("customer_id" = String, Path)), responses(
    (status = 200, description = "Newest first", body = Vec<Installation>),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn customer_installations(
    State(app): State<App>,
    Id(id): Id<CustomerId>,
) -> Result<Json<Vec<Installation>>, ApiError> {
    let found = app.service.installations_of_customer(id).await?;
    Ok(Json(found.iter().map(Installation::from).collect()))
}

/// What was used within one installation.
#[utoipa::path(get, path = "/api/v1/installations/{installation_id}/consumption", tag = "meters",
    params(("installation_id" = String, Path)), responses(
    (status = 200, description = "The consumption", body = Consumption),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn consumption(
    State(app): State<App>,
    Id(id): Id<InstallationId>,
) -> Result<Json<Consumption>, ApiError> {
    let it = app.service.consumption(id).await?;
    let (used, state) = match it.used {
        Used::Known(used) => (Some(amount(used)), "known"),
        Used::NotRead => (None, "not-read"),
        Used::Backwards => (None, "backwards"),
        Used::TooLarge => (None, "too-large"),
    };
    Ok(Json(Consumption {
        installation: Installation::from(&it.installation),
        first: it.first.map(amount),
        last: it.last.map(amount),
        used,
        state,
    }))
}

/// Change the transformer ratio (倍率) at a reading: the installation ends and another begins.
#[utoipa::path(post, path = "/api/v1/meters/{meter_id}/ratio", tag = "meters",
    params(("meter_id" = String, Path)), request_body = RatioChange, responses(
    (status = 200, description = "The meter's installations, newest first",
        body = Vec<Installation>),
    (status = 409, description = "`no-open-account`, `blocked`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`: also a reading that goes backwards",
        body = Problem, content_type = "application/problem+json"),
    (status = 504, description = "`device-silent`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn change_ratio(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<MeterId>,
    Body(change): Body<RatioChange>,
) -> Result<Json<Vec<Installation>>, ApiError> {
    let why = why(change.reason, change.application_id.as_deref())?;
    let reading = reading(change.reading.as_deref())?;
    let change = service::RatioChange { ct: change.ct, pt: change.pt, reading };
    let found = app.service.change_ratio(id, change, why, &caller.actor()).await?;
    Ok(Json(found.iter().map(Installation::from).collect()))
}
