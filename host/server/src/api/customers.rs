//! Customers: the people and firms that buy.

use super::error::{ApiError, Problem};
use super::extract::{Body, Id, Parameters};
use super::values::{PageParameters, Paged, time};
use crate::app::App;
use crate::session::Caller;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use polymeter_domain::{CustomerId, CustomerNumber};
use polymeter_service as service;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCustomer {
    /// 1 to 12 digits, as devices store it (客户编号).
    #[schema(example = "100001")]
    pub number: String,
    pub name: String,
    #[serde(default)]
    pub phone: String,
    #[serde(default)]
    pub premises: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Customer {
    pub customer_id: String,
    pub number: String,
    pub name: String,
    pub phone: String,
    pub premises: String,
    /// What runs on the supply (用电设备).
    pub equipment: String,
    pub created_at: String,
    /// In the archive (档案历史库) since then; `null`: a current customer.
    pub closed_at: Option<String>,
}

impl From<&service::Customer> for Customer {
    fn from(customer: &service::Customer) -> Self {
        Customer {
            customer_id: customer.customer_id.to_string(),
            number: customer.number.to_string(),
            name: customer.name.clone(),
            phone: customer.phone.clone(),
            premises: customer.premises.clone(),
            equipment: customer.equipment.clone(),
            created_at: time(customer.created_at),
            closed_at: customer.closed_at.map(time),
        }
    }
}

/// Add a customer.
#[utoipa::path(post, path = "/api/v1/customers", tag = "customers",
    request_body = NewCustomer, responses(
    (status = 201, description = "The customer", body = Customer),
    (status = 409, description = "`exists`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn add(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<NewCustomer>,
) -> Result<(StatusCode, Json<Customer>), ApiError> {
    let number =
        CustomerNumber::new(&new.number).map_err(|error| ApiError::invalid("number", error))?;
    let NewCustomer { name, phone, premises, .. } = new;
    let new = service::NewCustomer { number, name, phone, premises };
    let customer = app.service.add_customer(new, &caller.actor()).await?;
    Ok((StatusCode::CREATED, Json(Customer::from(&customer))))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListParameters {
    /// Text to look for.
    #[serde(default)]
    pub query: Option<String>,
    /// The `next` of the page before.
    #[serde(default)]
    pub after: Option<String>,
    /// 1 to 200; 50 where it is left out.
    #[serde(default)]
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// `current` where it is left out.
    #[serde(default)]
    pub file: File,
}

/// Where the customer's file lies.
#[derive(Debug, Default, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum File {
    #[default]
    Current,
    /// Closed accounts (档案历史库).
    Archive,
    Both,
}

/// Find customers by number, name, phone or premises.
#[utoipa::path(get, path = "/api/v1/customers", tag = "customers",
    params(ListParameters), responses(
    (status = 200, description = "One page", body = Paged<Customer>),
    (status = 422, description = "`invalid-field`: `after` is not an id", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn list(
    State(app): State<App>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<Paged<Customer>>, ApiError> {
    let ListParameters { query, after, limit, file } = parameters;
    let page = PageParameters { query, after, limit }.page();
    let shelf = match file {
        File::Current => service::Shelf::Current,
        File::Archive => service::Shelf::Archive,
        File::Both => service::Shelf::Both,
    };
    let found = app.service.customers_of(&page, shelf).await?;
    Ok(Json(Paged::of(&found, page.limit, |it| it.customer_id.to_string())))
}

/// One customer.
#[utoipa::path(get, path = "/api/v1/customers/{customer_id}", tag = "customers",
    params(("customer_id" = String, Path)), responses(
    (status = 200, description = "The customer", body = Customer),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn get(
    State(app): State<App>,
    Id(id): Id<CustomerId>,
) -> Result<Json<Customer>, ApiError> {
    Ok(Json(Customer::from(&app.service.customer(id).await?)))
}
