//! What readings took from purses, the arithmetic of each, and readings that wait for a person.

use super::error::{ApiError, Problem};
use super::extract::{Body, Id, Parameters};
use super::values::{PageParameters, Paged, time};
use crate::app::App;
use crate::arithmetic::{self, ArithmeticLine};
use crate::session::Caller;
use axum::Json;
use axum::extract::State;
use polymeter_domain::tariff::{Commodity, scaled};
use polymeter_domain::{ChargeId, CustomerId, MeterId, ReadingCaseId};
use polymeter_service as service;
use polymeter_service::{Actor, CaseDecision, ChargeOutcome, Rerun};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One link of a meter's chain of charged readings.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Charge {
    pub charge_id: String,
    pub meter_id: String,
    pub customer_id: String,
    /// 1, 2, 3 ... for each meter.
    pub number: i64,
    /// `start`, `reading`, `decided` or `taken-back`.
    pub kind: String,
    pub reading_id: Option<String>,
    /// When it was read.
    pub read_at: String,
    /// `kWh` or `m³`, of which `used` counts thousandths; with ratios and losses.
    pub unit: String,
    pub used: u64,
    pub amount: String,
    /// Of the amount.
    pub fee: String,
    pub tax: String,
    pub currency: String,
    /// `null`: the system itself.
    pub operator_id: Option<String>,
    pub created_at: String,
}

impl From<&service::Charge> for Charge {
    fn from(charge: &service::Charge) -> Self {
        Charge {
            charge_id: charge.charge_id.to_string(),
            meter_id: charge.meter_id.to_string(),
            customer_id: charge.customer_id.to_string(),
            number: charge.number,
            kind: charge.kind.name().to_owned(),
            reading_id: charge.reading_id.map(|id| id.to_string()),
            read_at: time(charge.at),
            unit: charge.commodity.unit().to_owned(),
            used: charge.used,
            amount: charge.amount.to_string(),
            fee: charge.fee.to_string(),
            tax: charge.tax.to_string(),
            currency: charge.amount.currency().code().to_owned(),
            operator_id: super::tariffs::operator(&charge.operator),
            created_at: time(charge.created_at),
        }
    }
}

/// A reading that was not charged because it cannot be believed.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ReadingCase {
    pub reading_case_id: String,
    pub meter_id: String,
    /// The newest of its readings.
    pub reading_id: String,
    /// `no-register`, `invalid`, `estimated`, `went-back`, `implausible`, `other-customer` or
    /// `not-charged`.
    pub kind: String,
    pub detail: String,
    /// Readings that were like this.
    pub times: i64,
    pub opened_at: String,
    pub last_at: String,
    /// `charged`, `begun-anew` or `dismissed`; `null` while it is open.
    pub decision: Option<String>,
    pub reason: Option<String>,
    pub decided_at: Option<String>,
}

impl From<&service::ReadingCase> for ReadingCase {
    fn from(case: &service::ReadingCase) -> Self {
        ReadingCase {
            reading_case_id: case.case_id.to_string(),
            meter_id: case.meter_id.to_string(),
            reading_id: case.reading_id.to_string(),
            kind: case.kind.name().to_owned(),
            detail: case.detail.clone(),
            times: case.times,
            opened_at: time(case.opened_at),
            last_at: time(case.last_at),
            decision: case.decision.clone(),
            reason: case.reason.clone(),
            decided_at: case.decided_at.map(time),
        }
    }
}

/// What became of a reading: exactly one of the three.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Charged {
    pub charge: Option<Charge>,
    /// Why there is nothing to charge.
    pub nothing: Option<String>,
    /// Why it waits for a person.
    pub case: Option<ReadingCase>,
}

impl From<&ChargeOutcome> for Charged {
    fn from(outcome: &ChargeOutcome) -> Self {
        let none = Charged { charge: None, nothing: None, case: None };
        match outcome {
            ChargeOutcome::Charged(it) => Charged { charge: Some((&**it).into()), ..none },
            ChargeOutcome::Nothing(why) => Charged { nothing: Some(why.clone()), ..none },
            ChargeOutcome::Case(case) => Charged { case: Some((&**case).into()), ..none },
        }
    }
}

/// Reads, charges, and brings the supply to where the purse says, in the background.
async fn charge_now(app: &App, id: MeterId, actor: &Actor) -> Result<Json<Charged>, ApiError> {
    let outcome = app.service.charge_meter(id, actor).await?;
    if let Some(customer) = app.service.meter(id).await?.customer {
        app.service.tend_soon(customer.customer_id);
    }
    Ok(Json(Charged::from(&outcome)))
}

/// Read a meter and charge its customer's purse. Asking again charges only what was used meanwhile.
#[utoipa::path(post, path = "/api/v1/meters/{meter_id}/charges", tag = "purses",
    params(("meter_id" = String, Path)), responses(
    (status = 200, description = "What became of the reading", body = Charged),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`: the meter is not paid from a purse",
        body = Problem, content_type = "application/problem+json"),
    (status = 504, description = "`device-silent`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn charge(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<MeterId>,
) -> Result<Json<Charged>, ApiError> {
    charge_now(&app, id, &caller.actor()).await
}

/// For `polymeter charge`, over the control socket.
pub async fn charge_by_serial(
    State(app): State<App>,
    Id(serial): Id<String>,
) -> Result<Json<Charged>, ApiError> {
    let meter = app.service.meter_by_serial(&serial).await?;
    charge_now(&app, meter.meter_id, &Actor::System).await
}

/// A meter's charges, newest first.
#[utoipa::path(get, path = "/api/v1/meters/{meter_id}/charges", tag = "purses",
    params(("meter_id" = String, Path), PageParameters), responses(
    (status = 200, description = "One page", body = Paged<Charge>),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn of_meter(
    State(app): State<App>,
    Id(id): Id<MeterId>,
    Parameters(parameters): Parameters<PageParameters>,
) -> Result<Json<Paged<Charge>>, ApiError> {
    let page = parameters.page();
    let found = app.service.charges(id, &page).await?;
    Ok(Json(Paged::of(&found, page.limit, |it| it.charge_id.to_string())))
}

/// The charges of all meters of a customer, newest first.
#[utoipa::path(get, path = "/api/v1/customers/{customer_id}/charges", tag = "purses",
    params(("customer_id" = String, Path), PageParameters), responses(
    (status = 200, description = "One page", body = Paged<Charge>),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn of_customer(
    State(app): State<App>,
    Id(id): Id<CustomerId>,
    Parameters(parameters): Parameters<PageParameters>,
) -> Result<Json<Paged<Charge>>, ApiError> {
    let page = parameters.page();
    let found = app.service.charges_of(id, &page).await?;
    Ok(Json(Paged::of(&found, page.limit, |it| it.charge_id.to_string())))
}

/// One part of a charge: within one month and one version of a plan.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChargePart {
    pub name: String,
    pub tariff_version_id: String,
    pub version: u32,
    /// The first day of the part, and the first day after it.
    pub from: String,
    pub to: String,
    pub total: String,
    /// The whole in words.
    pub lines: Vec<ArithmeticLine>,
}

/// Everything behind one charge.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChargeExplanation {
    pub charge: Charge,
    pub parts: Vec<ChargePart>,
    /// It was calculated again just now, and every number is what was kept.
    pub rerun_is_same: bool,
    /// Where it is not.
    pub difference: Option<String>,
}

impl From<&service::ChargeExplanation> for ChargeExplanation {
    fn from(explained: &service::ChargeExplanation) -> Self {
        let part = |it: &service::NamedPart| {
            let of = &it.part.explained;
            ChargePart {
                name: it.plan_name.clone(),
                tariff_version_id: it.part.version.to_string(),
                version: it.version_number,
                from: of.before.at.to_string(),
                to: of.usage.to.to_string(),
                total: of.total.to_string(),
                lines: arithmetic::of_charge(of),
            }
        };
        ChargeExplanation {
            charge: (&explained.charge).into(),
            parts: explained.parts.iter().map(part).collect(),
            rerun_is_same: explained.rerun == Rerun::Same,
            difference: match &explained.rerun {
                Rerun::Same => None,
                Rerun::Differs(why) => Some(why.clone()),
            },
        }
    }
}

/// The arithmetic of a charge, calculated again and compared with what was kept.
#[utoipa::path(get, path = "/api/v1/charges/{charge_id}/explanation", tag = "purses",
    params(("charge_id" = String, Path)), responses(
    (status = 200, description = "The arithmetic", body = ChargeExplanation),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn explain(
    State(app): State<App>,
    Id(id): Id<ChargeId>,
) -> Result<Json<ChargeExplanation>, ApiError> {
    Ok(Json(ChargeExplanation::from(&app.service.explain_charge(id).await?)))
}

/// Readings that wait for a person, oldest first.
#[utoipa::path(get, path = "/api/v1/reading-cases", tag = "purses", params(PageParameters),
    responses((status = 200, description = "One page", body = Paged<ReadingCase>)))]
pub async fn cases(
    State(app): State<App>,
    Parameters(parameters): Parameters<PageParameters>,
) -> Result<Json<Paged<ReadingCase>>, ApiError> {
    let page = parameters.page();
    let found = app.service.open_cases(&page).await?;
    Ok(Json(Paged::of(&found, page.limit, |it| it.case_id.to_string())))
}

/// What a person makes of a reading.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDecision {
    /// `charge`: it is right as it stands. `begin-anew`: charge `used`, and go on from this reading.
    /// `dismiss`: nothing comes of it.
    pub decision: String,
    /// kWh or m³ of the meter's, for `begin-anew`; nothing where it is left out.
    #[schema(example = "12.5")]
    pub used: Option<String>,
    pub reason: String,
}

/// The decision that words mean.
pub fn decision(name: &str, used: Option<&str>) -> Result<CaseDecision, ApiError> {
    let amount = |text: &str| {
        let why = format!("`{text}` is not an amount like 12.5");
        scaled(text, 3).ok_or_else(|| ApiError::invalid("used", why))
    };
    match (name, used) {
        ("begin-anew", used) => Ok(CaseDecision::BeginAnew { used: used.map_or(Ok(0), amount)? }),
        ("charge" | "dismiss", Some(_)) => {
            Err(ApiError::invalid("used", "only begin-anew says how much was used"))
        }
        ("charge", None) => Ok(CaseDecision::Charge),
        ("dismiss", None) => Ok(CaseDecision::Dismiss),
        (other, _) => {
            let why = format!("`{other}` is none of charge, begin-anew, dismiss");
            Err(ApiError::invalid("decision", why))
        }
    }
}

/// Decide what becomes of a reading.
#[utoipa::path(post, path = "/api/v1/reading-cases/{reading_case_id}/decision", tag = "purses",
    params(("reading_case_id" = String, Path)), request_body = NewDecision, responses(
    (status = 200, description = "The case", body = ReadingCase),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 409, description = "`conflict`: it is decided, or has a newer reading",
        body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn decide(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<ReadingCaseId>,
    Body(new): Body<NewDecision>,
) -> Result<Json<ReadingCase>, ApiError> {
    let decided = decision(&new.decision, new.used.as_deref())?;
    let case = app.service.decide_case(id, decided, &new.reason, &caller.actor()).await?;
    Ok(Json(ReadingCase::from(&case)))
}

/// "96.153 kWh" of a charge.
pub fn used(charge: &service::Charge) -> String {
    let commodity: Commodity = charge.commodity;
    arithmetic::amount(charge.used, commodity)
}
