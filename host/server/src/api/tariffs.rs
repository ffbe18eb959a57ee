//! Tariff plans, their versions, and which meter is sold to by which plan.
//!
//! Invariant: prices are written in one notation (docs/tariffs.md), here as everywhere.

use super::error::{ApiError, Problem};
use super::extract::{Body, Id, MayBeDry, Parameters, money};
use super::values::{PageParameters, Paged, time};
use crate::app::App;
use crate::arithmetic::{self, ArithmeticLine};
use crate::session::Caller;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use polymeter_domain::tariff::{self, Amounts, Date, Period, Terms};
use polymeter_domain::{MeterId, TariffPlanId};
use polymeter_service as service;
use polymeter_service::{NewPlan, NewVersion, TariffPlan, TariffVersion};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTariff {
    #[schema(example = "Residential")]
    pub name: String,
    /// The site's day from which it counts; today where it is left out.
    #[schema(example = "2026-07-01")]
    pub from: Option<String>,
    /// One line for each thing said; see docs/tariffs.md.
    #[schema(example = "unit kWh\nprice 0.52\n")]
    pub definition: String,
    /// For a dry run: what it would make of this use.
    pub sample: Option<Sample>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTariffVersion {
    /// Today or a later day of the site; today where it is left out.
    #[schema(example = "2026-07-01")]
    pub from: Option<String>,
    #[schema(example = "unit kWh\nprice 0.52\n")]
    pub definition: String,
    /// For a dry run: what it would make of this use.
    pub sample: Option<Sample>,
}

/// One whole month of somebody's use.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// kWh or m³ by period: `sharp`, `peak`, `flat`, `valley`, `deep-valley`. Without periods all of
    /// it is `flat`.
    #[schema(example = json!({"flat": "300"}))]
    #[serde(default)]
    pub used: BTreeMap<String, String>,
    /// kWh or m³ charged before in the same month or year of steps.
    pub before: Option<String>,
    /// What somebody pays at the counter.
    pub paid: Option<String>,
    #[serde(default)]
    pub terms: TermsJson,
}

/// The user's own part of the arithmetic; what is left out is as usual.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TermsJson {
    /// Persons in the household (户籍人口).
    pub people: u32,
    /// Transformer ratios (倍率).
    pub ct: u32,
    pub pt: u32,
    /// Millionths of the energy (线损, 铜损), and Wh of each day (铁损).
    pub line_loss_ppm: u32,
    pub copper_loss_ppm: u32,
    pub iron_loss_wh_per_day: u64,
}

impl Default for TermsJson {
    fn default() -> Self {
        Terms::default().into()
    }
}

impl From<Terms> for TermsJson {
    fn from(terms: Terms) -> Self {
        let Terms { people, ct, pt, line_loss_ppm, copper_loss_ppm, iron_loss_wh_per_day } = terms;
        TermsJson { people, ct, pt, line_loss_ppm, copper_loss_ppm, iron_loss_wh_per_day }
    }
}

impl From<TermsJson> for Terms {
    fn from(terms: TermsJson) -> Self {
        let TermsJson { people, ct, pt, line_loss_ppm, copper_loss_ppm, iron_loss_wh_per_day } =
            terms;
        Terms { people, ct, pt, line_loss_ppm, copper_loss_ppm, iron_loss_wh_per_day }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Tariff {
    pub tariff_plan_id: String,
    pub name: String,
    /// `kWh` or `m³`.
    pub unit: &'static str,
    /// Meters that have it, or will.
    pub meters: u64,
    /// The number of the version that counts today.
    pub today: Option<u32>,
    /// All of them, oldest first; none is ever changed.
    pub versions: Vec<PlanVersion>,
    pub created_at: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PlanVersion {
    pub tariff_version_id: String,
    pub number: u32,
    pub from: String,
    /// In its canonical spelling.
    pub definition: String,
    /// The prices at a glance.
    pub prices: String,
    pub operator_id: Option<String>,
    pub created_at: String,
}

impl From<&TariffVersion> for PlanVersion {
    fn from(version: &TariffVersion) -> Self {
        PlanVersion {
            tariff_version_id: version.version_id.to_string(),
            number: version.number,
            from: version.from.to_string(),
            definition: version.tariff.to_string(),
            prices: arithmetic::prices(&version.tariff),
            operator_id: operator(&version.operator),
            created_at: time(version.created_at),
        }
    }
}

pub fn operator(actor: &service::Actor) -> Option<String> {
    match actor {
        service::Actor::Operator(id) => Some(id.to_string()),
        service::Actor::System => None,
    }
}

impl Tariff {
    pub fn new(plan: &TariffPlan, today: Date) -> Tariff {
        let unit = plan.versions.first().map_or("", |first| first.tariff.commodity().unit());
        Tariff {
            tariff_plan_id: plan.plan_id.to_string(),
            name: plan.name.clone(),
            unit,
            meters: plan.meters,
            today: plan.at(today).map(|version| version.number),
            versions: plan.versions.iter().map(PlanVersion::from).collect(),
            created_at: time(plan.created_at),
        }
    }
}

/// What a definition makes of a sample; nothing was stored.
#[derive(Debug, Serialize, ToSchema)]
pub struct DryRun {
    /// In its canonical spelling, as it would be stored.
    pub definition: String,
    /// Meters that it would reach at once.
    pub meters: u64,
    /// One month of the sample.
    pub total: String,
    /// The same by the version that counts before it.
    pub total_now: Option<String>,
    pub lines: Vec<ArithmeticLine>,
    /// What `paid` would buy.
    pub purchase: Option<Vec<ArithmeticLine>>,
}

/// A day of the site; today where it is left out.
fn day(app: &App, text: Option<&str>) -> Result<Date, ApiError> {
    match text {
        None => Ok(app.service.today()?),
        Some(text) => text.parse().map_err(|error| ApiError::invalid("from", error)),
    }
}

/// Thousandths of a kWh or m³.
fn thousandths(field: &str, text: &str) -> Result<u64, ApiError> {
    let amount = tariff::scaled(text, 3);
    amount.ok_or_else(|| ApiError::invalid(field, format!("`{text}` is not an amount like 12.5")))
}

impl Sample {
    pub fn read(&self, app: &App) -> Result<service::Sample, ApiError> {
        for name in self.used.keys() {
            if Period::from_name(name).is_none() {
                return Err(ApiError::invalid("sample.used", format!("`{name}` is no period")));
            }
        }
        let mut amounts = [0; 5];
        for (amount, period) in amounts.iter_mut().zip(Period::ALL) {
            if let Some(text) = self.used.get(period.name()) {
                *amount = thousandths("sample.used", text)?;
            }
        }
        let before = self.before.as_deref().map(|text| thousandths("sample.before", text));
        let paid = self.paid.as_deref().map(|text| money("sample.paid", text, app.currency));
        Ok(service::Sample {
            metered: Amounts::new(amounts),
            before: before.transpose()?.unwrap_or(0),
            terms: self.terms.into(),
            paid: paid.transpose()?,
        })
    }
}

/// The new definition on a sample, beside what counts now.
pub fn try_out(
    app: &App,
    definition: &str,
    on: Date,
    sample: Option<&Sample>,
    plan: Option<&TariffPlan>,
) -> Result<DryRun, ApiError> {
    let sample = sample.unwrap_or(&Sample::default()).read(app)?;
    let preview = app.service.preview_tariff(definition, on, &sample)?;
    let now = plan.and_then(|plan| plan.at(on));
    // A sample by period may have no price in the version before; then there is nothing to compare.
    let total_now = now.and_then(|version| {
        let now = app.service.preview_tariff(&version.tariff.to_string(), on, &sample).ok()?;
        Some(now.charge.total.to_string())
    });
    Ok(DryRun {
        definition: preview.tariff.to_string(),
        meters: plan.map_or(0, |plan| plan.meters),
        total: preview.charge.total.to_string(),
        total_now,
        lines: arithmetic::of_charge(&preview.charge),
        purchase: preview.bought.map(|bought| arithmetic::of_purchase(&bought, on)),
    })
}

/// Add a tariff plan (电价方案) with its first version. With `dry_run`, only try it.
#[utoipa::path(post, path = "/api/v1/tariffs", tag = "tariffs", params(MayBeDry),
    request_body = NewTariff, responses(
    (status = 201, description = "The plan", body = Tariff),
    (status = 200, description = "A dry run", body = DryRun),
    (status = 409, description = "`exists`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn add(
    State(app): State<App>,
    caller: Caller,
    Parameters(dry): Parameters<MayBeDry>,
    Body(new): Body<NewTariff>,
) -> Result<Response, ApiError> {
    let from = day(&app, new.from.as_deref())?;
    if dry.dry_run {
        let tried = try_out(&app, &new.definition, from, new.sample.as_ref(), None)?;
        return Ok(Json(tried).into_response());
    }
    let new = NewPlan { name: new.name, from, definition: new.definition };
    let plan = app.service.add_plan(new, &caller.actor()).await?;
    let plan = Tariff::new(&plan, app.service.today()?);
    Ok((StatusCode::CREATED, Json(plan)).into_response())
}

/// Tariff plans by name.
#[utoipa::path(get, path = "/api/v1/tariffs", tag = "tariffs", params(PageParameters), responses(
    (status = 200, description = "One page", body = Paged<Tariff>),
    (status = 422, description = "`invalid-field`: `after` is not an id", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn list(
    State(app): State<App>,
    Parameters(parameters): Parameters<PageParameters>,
) -> Result<Json<Paged<Tariff>>, ApiError> {
    let page = parameters.page();
    let today = app.service.today()?;
    let found = app.service.plans(&page).await?;
    let full = u32::try_from(found.len()).is_ok_and(|length| length >= page.limit);
    let next = found.last().filter(|_| full).map(|plan| plan.plan_id.to_string());
    let items = found.iter().map(|plan| Tariff::new(plan, today)).collect();
    Ok(Json(Paged { items, next }))
}

/// One tariff plan with all its versions.
#[utoipa::path(get, path = "/api/v1/tariffs/{tariff_plan_id}", tag = "tariffs",
    params(("tariff_plan_id" = String, Path)), responses(
    (status = 200, description = "The plan", body = Tariff),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn get(
    State(app): State<App>,
    Id(id): Id<TariffPlanId>,
) -> Result<Json<Tariff>, ApiError> {
    let today = app.service.today()?;
    Ok(Json(Tariff::new(&app.service.plan(id).await?, today)))
}

/// Delete a plan that no meter ever had.
#[utoipa::path(delete, path = "/api/v1/tariffs/{tariff_plan_id}", tag = "tariffs",
    params(("tariff_plan_id" = String, Path)), responses(
    (status = 204, description = "Deleted"),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 409, description = "`tariff-in-use`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn delete(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<TariffPlanId>,
) -> Result<StatusCode, ApiError> {
    app.service.delete_plan(id, &caller.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Add a version, which reaches all meters of the plan on its day. With `dry_run`, only try it.
#[utoipa::path(post, path = "/api/v1/tariffs/{tariff_plan_id}/versions", tag = "tariffs",
    params(("tariff_plan_id" = String, Path), MayBeDry),
    request_body = NewTariffVersion, responses(
    (status = 201, description = "The plan", body = Tariff),
    (status = 200, description = "A dry run", body = DryRun),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn add_version(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<TariffPlanId>,
    Parameters(dry): Parameters<MayBeDry>,
    Body(new): Body<NewTariffVersion>,
) -> Result<Response, ApiError> {
    let from = day(&app, new.from.as_deref())?;
    let version = NewVersion { from, definition: new.definition };
    if dry.dry_run {
        let plan = app.service.try_version(id, &version).await?;
        let sample = new.sample.as_ref();
        let tried = try_out(&app, &version.definition, from, sample, Some(&plan))?;
        return Ok(Json(tried).into_response());
    }
    let plan = app.service.add_version(id, version, &caller.actor()).await?;
    let plan = Tariff::new(&plan, app.service.today()?);
    Ok((StatusCode::CREATED, Json(plan)).into_response())
}

/// By which plan a meter is sold to, from a day on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GivenTariff {
    pub tariff_plan_id: String,
    /// Today or a later day of the site; today where it is left out.
    #[schema(example = "2026-07-01")]
    pub from: Option<String>,
    #[serde(default)]
    pub terms: TermsJson,
}

impl GivenTariff {
    pub fn assignment(&self) -> Result<service::Assignment, ApiError> {
        let plan_id = self.tariff_plan_id.parse();
        let from = self.from.as_deref().map(str::parse).transpose();
        Ok(service::Assignment {
            plan_id: plan_id.map_err(|error| ApiError::invalid("tariff_plan_id", error))?,
            from: from.map_err(|error| ApiError::invalid("from", error))?,
            terms: self.terms.into(),
        })
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct MeterTariff {
    pub tariff_plan_id: String,
    pub name: String,
    pub from: String,
    pub terms: TermsJson,
    pub operator_id: Option<String>,
    pub created_at: String,
}

impl From<&service::MeterTariff> for MeterTariff {
    fn from(given: &service::MeterTariff) -> Self {
        MeterTariff {
            tariff_plan_id: given.plan_id.to_string(),
            name: given.plan_name.clone(),
            from: given.from.to_string(),
            terms: given.terms.into(),
            operator_id: operator(&given.operator),
            created_at: time(given.created_at),
        }
    }
}

/// Give a meter a tariff plan from a day on, or the same plan with other terms.
#[utoipa::path(post, path = "/api/v1/meters/{meter_id}/tariffs", tag = "tariffs",
    params(("meter_id" = String, Path)), request_body = GivenTariff, responses(
    (status = 201, description = "All plans of this meter, oldest first", body = [MeterTariff]),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn give(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<MeterId>,
    Body(given): Body<GivenTariff>,
) -> Result<(StatusCode, Json<Vec<MeterTariff>>), ApiError> {
    let all = app.service.assign_plan(id, given.assignment()?, &caller.actor()).await?;
    Ok((StatusCode::CREATED, Json(all.iter().map(MeterTariff::from).collect())))
}

/// Every tariff plan that a meter had, has or will have, oldest first.
#[utoipa::path(get, path = "/api/v1/meters/{meter_id}/tariffs", tag = "tariffs",
    params(("meter_id" = String, Path)), responses(
    (status = 200, description = "All of them", body = [MeterTariff]),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn of_meter(
    State(app): State<App>,
    Id(id): Id<MeterId>,
) -> Result<Json<Vec<MeterTariff>>, ApiError> {
    let all = app.service.meter_tariffs(id).await?;
    Ok(Json(all.iter().map(MeterTariff::from).collect()))
}
