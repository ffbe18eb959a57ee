//! Tariff plans: the list, one plan with its versions, a form for both, a meter's plan, and how a
//! sale's price came about.

use super::meters::id;
use super::tariff_form::{self, Cell, Row, Typed};
use super::view::{Badge, MeterView, badge, time};
use super::{Head, PageError, PageResult, render};
use crate::api::tariffs::DryRun;
use crate::app::App;
use crate::arithmetic::{self, ArithmeticLine};
use crate::session::Caller;
use askama::Template;
use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse, Redirect};
use polymeter_domain::tariff::{self, Date, Terms};
use polymeter_domain::{MeterId, SaleId, TariffPlanId};
use polymeter_service::{
    Assignment, MeterTariff, NewPlan, NewVersion, Page, Rerun, TariffPlan, TariffVersion,
};
use serde::Deserialize;
use std::collections::BTreeMap;

/// One entry of a choice of plans.
#[derive(Debug)]
pub struct PlanChoice {
    pub id: String,
    pub name: String,
    pub prices: String,
}

const PLANS_MAX: u32 = 200;

fn all() -> Page {
    Page { query: None, after: None, limit: PLANS_MAX }
}

/// The plans that have a version today.
pub async fn plan_choices(app: &App) -> Result<Vec<PlanChoice>, PageError> {
    let today = app.service.today()?;
    let plans = app.service.plans(&all()).await?;
    let choice = |plan: &TariffPlan| {
        Some(PlanChoice {
            id: plan.plan_id.to_string(),
            name: plan.name.clone(),
            prices: arithmetic::prices(&plan.at(today)?.tariff),
        })
    };
    Ok(plans.iter().filter_map(choice).collect())
}

#[derive(Template)]
#[template(path = "tariffs.html")]
struct ListPage {
    head: Head,
    plans: Vec<PlanView>,
    is_cut: bool,
}

#[derive(Debug)]
struct PlanView {
    id: String,
    name: String,
    kind: &'static str,
    kind_chinese: &'static str,
    prices: String,
    /// "Version 3 from 2027-01-01", if one is to come.
    next: String,
    meters: u64,
}

impl PlanView {
    fn new(plan: &TariffPlan, today: Date) -> PlanView {
        let shown = plan.at(today).or(plan.versions.first());
        let (kind, kind_chinese) = shown.map_or(("", ""), |it| arithmetic::kind(&it.tariff));
        let coming = plan.versions.iter().filter(|version| version.from > today);
        let next = coming.min_by_key(|version| (version.from, u32::MAX - version.number));
        PlanView {
            id: plan.plan_id.to_string(),
            name: plan.name.clone(),
            kind,
            kind_chinese,
            prices: shown.map(|it| arithmetic::prices(&it.tariff)).unwrap_or_default(),
            next: next
                .map(|it| format!("Version {} from {}", it.number, it.from))
                .unwrap_or_default(),
            meters: plan.meters,
        }
    }
}

pub async fn list(State(app): State<App>, caller: Caller) -> PageResult {
    let today = app.service.today()?;
    let plans = app.service.plans(&all()).await?;
    Ok(render(&ListPage {
        head: Head::new(&caller, "tariffs"),
        is_cut: u32::try_from(plans.len()).is_ok_and(|found| found >= PLANS_MAX),
        plans: plans.iter().map(|plan| PlanView::new(plan, today)).collect(),
    }))
}

#[derive(Template)]
#[template(path = "tariff.html")]
struct PlanPage {
    head: Head,
    plan: PlanView,
    versions: Vec<VersionView>,
    problem: String,
}

#[derive(Debug)]
struct VersionView {
    number: u32,
    from: String,
    state: Badge,
    kind: &'static str,
    kind_chinese: &'static str,
    prices: String,
    definition: String,
    created_at: String,
}

impl VersionView {
    fn new(version: &TariffVersion, plan: &TariffPlan, today: Date, app: &App) -> VersionView {
        let (kind, kind_chinese) = arithmetic::kind(&version.tariff);
        // Whether a day comes on which this very version counts: its own first day tells.
        let counts = plan.at(version.from).is_some_and(|it| it.number == version.number);
        let state = match plan.at(today) {
            Some(now) if now.number == version.number => badge("good", "Counts today", "现行"),
            _ if version.from > today && counts => badge("busy", "To come", "未生效"),
            _ => badge("calm", "Superseded", "历史"),
        };
        VersionView {
            number: version.number,
            from: version.from.to_string(),
            state,
            kind,
            kind_chinese,
            prices: arithmetic::prices(&version.tariff),
            definition: version.tariff.to_string(),
            created_at: time(version.created_at, &app.time_zone),
        }
    }
}

pub async fn show(State(app): State<App>, caller: Caller, Path(plan): Path<String>) -> PageResult {
    plan_page(&app, &caller, id(&plan)?, String::new()).await
}

async fn plan_page(app: &App, caller: &Caller, id: TariffPlanId, problem: String) -> PageResult {
    let (plan, today) = (app.service.plan(id).await?, app.service.today()?);
    let newest_first = plan.versions.iter().rev();
    Ok(render(&PlanPage {
        head: Head::new(caller, "tariffs"),
        plan: PlanView::new(&plan, today),
        versions: newest_first.map(|it| VersionView::new(it, &plan, today, app)).collect(),
        problem,
    }))
}

pub async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path(plan): Path<String>,
) -> PageResult {
    let plan = id(&plan)?;
    match app.service.delete_plan(plan, &caller.actor()).await {
        Ok(()) => Ok(Redirect::to("/tariffs").into_response()),
        Err(error) => plan_page(&app, &caller, plan, PageError::from(error).detail).await,
    }
}

#[derive(Template)]
#[template(path = "tariff_new.html")]
struct FormPage {
    head: Head,
    /// Empty for a new plan.
    plan_id: String,
    name: String,
    meters: u64,
    currency: String,
    typed: Typed,
    rows: Vec<Row>,
    sample: Vec<Cell>,
    units: &'static [(&'static str, &'static str)],
    step_choices: &'static [(&'static str, &'static str)],
    taxes: &'static [(&'static str, &'static str)],
    tried: Option<DryRun>,
    error: String,
}

fn form_page(
    app: &App,
    caller: &Caller,
    plan: Option<&TariffPlan>,
    typed: Typed,
    outcome: Result<Option<DryRun>, String>,
) -> PageResult {
    let (tried, error) = match outcome {
        Ok(tried) => (tried, String::new()),
        Err(error) => (None, error),
    };
    Ok(render(&FormPage {
        head: Head::new(caller, "tariffs"),
        plan_id: plan.map(|plan| plan.plan_id.to_string()).unwrap_or_default(),
        name: plan.map(|plan| plan.name.clone()).unwrap_or_default(),
        meters: plan.map_or(0, |plan| plan.meters),
        currency: app.currency.code().to_owned(),
        typed,
        rows: tariff_form::rows(),
        sample: tariff_form::sample_cells(),
        units: tariff_form::UNITS,
        step_choices: tariff_form::STEPS,
        taxes: tariff_form::TAXES,
        tried,
        error,
    }))
}

/// The form's fields; their set depends on the rows, so they are taken by name.
type Fields = Form<BTreeMap<String, String>>;

fn with_defaults(mut typed: Typed, today: Date) -> Typed {
    for (name, value) in [("from", today.to_string()), ("used-flat", "300".to_owned())] {
        typed.0.entry(name.to_owned()).or_insert(value);
    }
    typed
}

pub async fn new_form(State(app): State<App>, caller: Caller) -> PageResult {
    let typed = with_defaults(Typed::default(), app.service.today()?);
    form_page(&app, &caller, None, typed, Ok(None))
}

pub async fn add(State(app): State<App>, caller: Caller, Form(form): Fields) -> PageResult {
    let typed = Typed(form);
    if !typed.is("act", "add") {
        let tried = try_out(&app, &typed, None);
        return form_page(&app, &caller, None, typed, tried.map(Some));
    }
    let from = match from(&typed) {
        Ok(from) => from,
        Err(error) => return form_page(&app, &caller, None, typed, Err(error)),
    };
    let name = typed.of("name").to_owned();
    let new = NewPlan { name, from, definition: typed.definition() };
    match app.service.add_plan(new, &caller.actor()).await {
        Ok(plan) => Ok(Redirect::to(&format!("/tariffs/{}", plan.plan_id)).into_response()),
        Err(error) => form_page(&app, &caller, None, typed, Err(PageError::from(error).detail)),
    }
}

pub async fn version_form(
    State(app): State<App>,
    caller: Caller,
    Path(plan): Path<String>,
) -> PageResult {
    let (plan, today) = (app.service.plan(id(&plan)?).await?, app.service.today()?);
    let newest = plan.versions.last();
    let typed = newest.map(|it| Typed::of_tariff(&it.tariff)).unwrap_or_default();
    form_page(&app, &caller, Some(&plan), with_defaults(typed, today), Ok(None))
}

pub async fn add_version(
    State(app): State<App>,
    caller: Caller,
    Path(plan): Path<String>,
    Form(form): Fields,
) -> PageResult {
    let plan = app.service.plan(id(&plan)?).await?;
    let typed = Typed(form);
    let from = match from(&typed) {
        Ok(from) => from,
        Err(error) => return form_page(&app, &caller, Some(&plan), typed, Err(error)),
    };
    let new = NewVersion { from, definition: typed.definition() };
    if !typed.is("act", "add") {
        let fits = app.service.try_version(plan.plan_id, &new).await;
        let tried = match fits {
            Ok(_) => try_out(&app, &typed, Some(&plan)),
            Err(error) => Err(PageError::from(error).detail),
        };
        return form_page(&app, &caller, Some(&plan), typed, tried.map(Some));
    }
    match app.service.add_version(plan.plan_id, new, &caller.actor()).await {
        Ok(plan) => Ok(Redirect::to(&format!("/tariffs/{}", plan.plan_id)).into_response()),
        Err(error) => {
            form_page(&app, &caller, Some(&plan), typed, Err(PageError::from(error).detail))
        }
    }
}

fn from(typed: &Typed) -> Result<Date, String> {
    typed.of("from").parse().map_err(|error| format!("From: {error}."))
}

fn try_out(app: &App, typed: &Typed, plan: Option<&TariffPlan>) -> Result<DryRun, String> {
    let (from, sample) = (from(typed)?, typed.sample()?);
    crate::api::tariffs::try_out(app, &typed.definition(), from, Some(&sample), plan)
        .map_err(|error| super::view::sentence(&error.detail))
}

#[derive(Template)]
#[template(path = "meter_tariff.html")]
struct GivePage {
    head: Head,
    meter: MeterView,
    plans: Vec<PlanChoice>,
    history: Vec<MeterTariff>,
    today: String,
    typed: GiveForm,
    error: String,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GiveForm {
    plan: String,
    from: String,
    people: String,
    ct: String,
    pt: String,
    line_loss: String,
    copper_loss: String,
    iron_loss: String,
}

fn read(field: &str, text: &str, decimals: usize) -> Result<u64, String> {
    let number = tariff::scaled(text.trim(), decimals);
    number.ok_or_else(|| format!("{field}: `{text}` is not a number with {decimals} decimals."))
}

impl GiveForm {
    fn of(plan_id: String, from: Date, terms: Terms) -> GiveForm {
        GiveForm {
            plan: plan_id,
            from: from.to_string(),
            people: terms.people.to_string(),
            ct: terms.ct.to_string(),
            pt: terms.pt.to_string(),
            line_loss: tariff::unscaled(terms.line_loss_ppm.into(), 4, 0),
            copper_loss: tariff::unscaled(terms.copper_loss_ppm.into(), 4, 0),
            iron_loss: tariff::unscaled(terms.iron_loss_wh_per_day, 3, 0),
        }
    }

    fn is_special(&self) -> bool {
        self.ct != "1"
            || self.pt != "1"
            || [&self.line_loss, &self.copper_loss, &self.iron_loss].iter().any(|it| *it != "0")
    }

    fn assignment(&self) -> Result<Assignment, String> {
        let small = |field, text: &str, decimals| {
            u32::try_from(read(field, text, decimals)?).map_err(|_| format!("{field}: too large."))
        };
        Ok(Assignment {
            plan_id: self.plan.parse().map_err(|_| "Choose a tariff plan.".to_owned())?,
            from: Some(self.from.parse().map_err(|error| format!("From: {error}."))?),
            terms: Terms {
                people: small("Persons", &self.people, 0)?,
                ct: small("CT ratio", &self.ct, 0)?,
                pt: small("PT ratio", &self.pt, 0)?,
                line_loss_ppm: small("Line loss", &self.line_loss, 4)?,
                copper_loss_ppm: small("Copper loss", &self.copper_loss, 4)?,
                iron_loss_wh_per_day: read("Iron loss", &self.iron_loss, 3)?,
            },
        })
    }
}

pub async fn give_form(
    State(app): State<App>,
    caller: Caller,
    Path(meter): Path<String>,
) -> PageResult {
    let meter: MeterId = id(&meter)?;
    let today = app.service.today()?;
    let now = app.service.tariff_in_force(meter).await?;
    let typed = match now {
        Some(now) => GiveForm::of(now.plan_id.to_string(), today, now.terms),
        None => GiveForm::of(String::new(), today, Terms::default()),
    };
    give_page(&app, &caller, meter, typed, String::new()).await
}

async fn give_page(
    app: &App,
    caller: &Caller,
    meter: MeterId,
    typed: GiveForm,
    error: String,
) -> PageResult {
    Ok(render(&GivePage {
        head: Head::new(caller, "meters"),
        meter: MeterView::new(&app.service.meter(meter).await?, app),
        plans: plan_choices(app).await?,
        history: app.service.meter_tariffs(meter).await?,
        today: app.service.today()?.to_string(),
        typed,
        error,
    }))
}

pub async fn give(
    State(app): State<App>,
    caller: Caller,
    Path(meter): Path<String>,
    Form(form): Form<GiveForm>,
) -> PageResult {
    let meter: MeterId = id(&meter)?;
    let assignment = match form.assignment() {
        Ok(assignment) => assignment,
        Err(error) => return give_page(&app, &caller, meter, form, error).await,
    };
    match app.service.assign_plan(meter, assignment, &caller.actor()).await {
        Ok(_) => Ok(Redirect::to(&format!("/meters/{meter}")).into_response()),
        Err(error) => give_page(&app, &caller, meter, form, PageError::from(error).detail).await,
    }
}

#[derive(Template)]
#[template(path = "explanation.html")]
struct ExplanationPage {
    head: Head,
    sale_id: String,
    plan_id: String,
    lines: Vec<ArithmeticLine>,
    definition: String,
    /// Where a re-run differs from what was kept.
    difference: Option<String>,
}

pub async fn explain(
    State(app): State<App>,
    caller: Caller,
    Path(sale): Path<String>,
) -> PageResult {
    let sale: SaleId = id(&sale)?;
    let explained = app.service.explain_sale(sale).await?;
    Ok(render(&ExplanationPage {
        head: Head::new(&caller, "meters"),
        sale_id: sale.to_string(),
        plan_id: explained.plan_id.to_string(),
        lines: arithmetic::of_sale(&explained),
        definition: explained.version.tariff.to_string(),
        difference: match explained.rerun {
            Rerun::Same => None,
            Rerun::Differs(why) => Some(why),
        },
    }))
}
