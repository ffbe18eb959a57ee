//! Meters, and whose account each has.

use super::customers::Customer;
use super::error::{ApiError, Problem};
use super::extract::{Body, Id, Parameters};
use super::readings::Reading;
use super::tariffs::{GivenTariff, TermsJson};
use super::values::{self, DeviceValue, PageParameters, Paged};
use crate::app::App;
use crate::session::Caller;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use polymeter_domain::{BillingMode, CustomerId, MeterAddress, MeterId, Value, VendorCode};
use polymeter_service as service;
use polymeter_service::AccountState;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use utoipa::ToSchema;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMeter {
    /// As on the plate (表号).
    pub serial_number: String,
    #[schema(example = "ACREL")]
    pub vendor: String,
    /// A line of the configuration; left out where tokens are typed into the meter.
    #[serde(default)]
    pub line: String,
    /// Text that only the driver may parse.
    #[schema(example = "1")]
    pub address: String,
    /// The driver's own parameters for this meter, of those that do not live in the device: see
    /// `/api/v1/drivers/{name}/parameters`.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, DeviceValue>)]
    pub parameters: BTreeMap<String, Box<RawValue>>,
    /// `money-in-meter`, `energy-in-meter`, `volume-in-meter`, `platform-purse`, `post-paid` or
    /// `token`; what the driver suggests where it is left out.
    #[schema(example = "platform-purse")]
    pub mode: Option<String>,
    /// By which plan it is sold to.
    pub tariff: GivenTariff,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Meter {
    pub meter_id: String,
    pub serial_number: String,
    pub vendor: String,
    pub line: String,
    pub address: String,
    pub parameters: BTreeMap<String, DeviceValue>,
    /// By which plan it is sold to today.
    pub tariff: Option<TariffToday>,
    pub customer: Option<Customer>,
    /// `none`, `opening` or `open`.
    pub account: &'static str,
    /// How it is paid for (计费方式).
    pub mode: &'static str,
    /// Its supply is never cut by the program, whatever is owed (保电).
    pub keeps_power: bool,
    /// `unknown`, `disconnected`, `connected` or `ready-for-reconnection`.
    pub supply: &'static str,
    pub supply_at: Option<String>,
    pub last_reading: Option<Reading>,
}

/// The plan of a meter and the version that counts today.
#[derive(Debug, Serialize, ToSchema)]
pub struct TariffToday {
    pub tariff_plan_id: String,
    pub name: String,
    pub version: u32,
    /// The prices at a glance.
    #[schema(example = "0.52 CNY/kWh")]
    pub prices: String,
    pub terms: TermsJson,
}

impl From<&service::InForce> for TariffToday {
    fn from(in_force: &service::InForce) -> Self {
        TariffToday {
            tariff_plan_id: in_force.plan_id.to_string(),
            name: in_force.plan_name.clone(),
            version: in_force.version.number,
            prices: crate::arithmetic::prices(&in_force.version.tariff),
            terms: in_force.terms.into(),
        }
    }
}

impl From<&service::Meter> for Meter {
    fn from(meter: &service::Meter) -> Self {
        Meter {
            meter_id: meter.meter_id.to_string(),
            serial_number: meter.serial_number.clone(),
            vendor: meter.vendor.to_string(),
            line: meter.line.clone(),
            address: meter.address.to_string(),
            parameters: values::extras(&meter.parameters),
            tariff: meter.tariff.as_ref().map(TariffToday::from),
            customer: meter.customer.as_ref().map(Customer::from),
            account: match meter.account {
                AccountState::None => "none",
                AccountState::Opening => "opening",
                AccountState::Open => "open",
            },
            mode: meter.mode.name(),
            keeps_power: meter.keeps_power,
            supply: values::supply(meter.supply),
            supply_at: meter.supply_at.map(values::time),
            last_reading: meter.last_reading.as_ref().map(Reading::from),
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenAccount {
    pub customer_id: String,
    /// Of a meter with a card: the reader in which the blank one lies, needed where several do.
    #[serde(default)]
    pub reader: Option<String>,
}

/// A meter's parameters, by the names that its driver has for them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GivenParameters {
    #[schema(value_type = BTreeMap<String, DeviceValue>)]
    pub parameters: BTreeMap<String, Box<RawValue>>,
}

/// Tokens as values; whether the driver takes them is for the service to see.
pub fn parameters(
    given: &BTreeMap<String, Box<RawValue>>,
) -> Result<Vec<(String, Value)>, ApiError> {
    values::parameters(given).map_err(|why| ApiError::invalid("parameters", why))
}

fn mode(name: Option<&str>) -> Result<Option<BillingMode>, ApiError> {
    let known = |name: &str| {
        let names = BillingMode::ALL.map(BillingMode::name).join(", ");
        let why = format!("`{name}` is none of {names}");
        BillingMode::from_name(name).ok_or_else(|| ApiError::invalid("mode", why))
    };
    name.map(known).transpose()
}

/// Add a meter.
#[utoipa::path(post, path = "/api/v1/meters", tag = "meters", request_body = NewMeter, responses(
    (status = 201, description = "The meter", body = Meter),
    (status = 409, description = "`exists`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`, `no-driver`, `no-line`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn add(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<NewMeter>,
) -> Result<(StatusCode, Json<Meter>), ApiError> {
    let tariff = new.tariff.assignment()?;
    let parameters = parameters(&new.parameters)?;
    let new = service::NewMeter {
        serial_number: new.serial_number,
        vendor: VendorCode::new(&new.vendor).map_err(|error| ApiError::invalid("vendor", error))?,
        line: new.line,
        address: MeterAddress::new(&new.address)
            .map_err(|error| ApiError::invalid("address", error))?,
        parameters,
        mode: mode(new.mode.as_deref())?,
        tariff,
    };
    let meter = app.service.add_meter(new, &caller.actor()).await?;
    Ok((StatusCode::CREATED, Json(Meter::from(&meter))))
}

/// Find meters by serial number, address, or their customer's number, name or phone.
#[utoipa::path(get, path = "/api/v1/meters", tag = "meters", params(PageParameters), responses(
    (status = 200, description = "One page", body = Paged<Meter>),
    (status = 422, description = "`invalid-field`: `after` is not an id", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn list(
    State(app): State<App>,
    Parameters(parameters): Parameters<PageParameters>,
) -> Result<Json<Paged<Meter>>, ApiError> {
    let page = parameters.page();
    let found = app.service.meters(&page).await?;
    Ok(Json(Paged::of(&found, page.limit, |it| it.meter_id.to_string())))
}

/// One meter.
#[utoipa::path(get, path = "/api/v1/meters/{meter_id}", tag = "meters",
    params(("meter_id" = String, Path)), responses(
    (status = 200, description = "The meter", body = Meter),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn get(State(app): State<App>, Id(id): Id<MeterId>) -> Result<Json<Meter>, ApiError> {
    Ok(Json(Meter::from(&app.service.meter(id).await?)))
}

/// Open the meter for a customer (开户), with zero credit. Safe to repeat.
#[utoipa::path(post, path = "/api/v1/meters/{meter_id}/account", tag = "meters",
    params(("meter_id" = String, Path)), request_body = OpenAccount, responses(
    (status = 200, description = "The meter", body = Meter),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 409, description = "`device-refused`, `exists`", body = Problem,
        content_type = "application/problem+json"),
    (status = 504, description = "`device-silent`, `outcome-unknown`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn open_account(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<MeterId>,
    Body(request): Body<OpenAccount>,
) -> Result<Json<Meter>, ApiError> {
    let customer = request
        .customer_id
        .parse::<CustomerId>()
        .map_err(|error| ApiError::invalid("customer_id", error))?;
    let actor = caller.actor();
    let meter = match request.reader.as_deref() {
        None => app.service.open_account(id, customer, &actor).await?,
        Some(reader) => app.service.open_account_by_card(id, customer, reader, &actor).await?,
    };
    Ok(Json(Meter::from(&meter)))
}

/// Keep the driver's parameters for this meter, in the place of all that were kept before. They take
/// effect with the next call; the device hears nothing of it.
#[utoipa::path(put, path = "/api/v1/meters/{meter_id}/parameters", tag = "meters",
    params(("meter_id" = String, Path)), request_body = GivenParameters, responses(
    (status = 200, description = "The meter", body = Meter),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`: `fields` names each; `no-driver`",
        body = Problem, content_type = "application/problem+json"),
))]
pub async fn keep_parameters(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<MeterId>,
    Body(given): Body<GivenParameters>,
) -> Result<Json<Meter>, ApiError> {
    let given = parameters(&given.parameters)?;
    let meter = app.service.keep_parameters(id, given, &caller.actor()).await?;
    Ok(Json(Meter::from(&meter)))
}
