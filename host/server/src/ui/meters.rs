//! One meter: whose it is, how it stands, reading it, its supply; and adding a meter.

use super::conversations::ConversationRow;
use super::customer::{ChangeView, InstallationView};
use super::parameters::{self, Again, ByName, Field, SettingRow};
use super::tariffs::{PlanChoice, plan_choices};
use super::view::{ClockRow, MeterView, ReadingView, SaleRow, sentence};
use super::{
    Head, PageError, PageResult, is_fragment, meter_acts, render, token_entries, tokens, view,
};
use crate::app::App;
use crate::session::Caller;
use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect};
use polymeter_domain::tariff::Terms;
use polymeter_domain::{BillingMode, MeterAddress, MeterId, SupplyCommand, Value, VendorCode};
use polymeter_service::{Assignment, FileOf, Hold, Meter, NewMeter, Page, ServiceError};
use serde::Deserialize;

/// What a clerk asks about: the last few.
const RECENT_SALES: u32 = 10;
const RECENT_CONVERSATIONS: usize = 8;
const RECENT_CLOCKS: u32 = 3;

#[derive(Template)]
#[template(path = "meter.html")]
struct MeterPage {
    head: Head,
    meter: MeterView,
    reading: Option<ReadingView>,
    sales: Vec<SaleRow>,
    /// Into which tokens are typed: the last ones, and what can be ordered; both empty on another.
    tokens: Vec<tokens::TokenRow>,
    orders: Vec<view::Named>,
    /// Over whose line they are entered; empty: people type them.
    through: String,
    conversations: Vec<ConversationRow>,
    commands: &'static [Command],
    /// What its driver takes with each call; empty: nothing, and no form.
    parameters: Vec<Field>,
    /// What lives in the device and can be written there.
    settings: Vec<SettingRow>,
    problem: String,
    /// Acts on its file: name in the address, label, Chinese.
    acts: Vec<(&'static str, &'static str, &'static str)>,
    /// Why it is not sold to or not switched.
    holds: Vec<String>,
    installations: Vec<InstallationView>,
    changes: Vec<ChangeView>,
    /// What was last done about its clock.
    clock: Vec<ClockRow>,
    /// A field of `parameters` has a problem, so that they are shown unfolded.
    is_unfolded: bool,
}

/// The reading after "read now", and the supply badges that it may have changed.
#[derive(Template)]
#[template(path = "reading_part.html")]
struct ReadingPart {
    meter: MeterView,
    reading: Option<ReadingView>,
    problem: String,
}

#[derive(Template)]
#[template(path = "supply.html")]
struct SupplyPage {
    head: Head,
    meter: MeterView,
    command: Command,
}

#[derive(Template)]
#[template(path = "meter_new.html")]
struct NewMeterPage {
    head: Head,
    vendors: Vec<(String, String)>,
    lines: Vec<String>,
    plans: Vec<PlanChoice>,
    typed: NewMeterForm,
    parameters: Vec<Field>,
    error: String,
    modes: Vec<(&'static str, &'static str)>,
}

/// The fields that come and go with the vendor chosen.
#[derive(Template)]
#[template(path = "meter_new_parameters.html")]
struct NewParametersPart {
    typed: NewMeterForm,
    parameters: Vec<Field>,
}

/// A supply command as the page words it.
#[derive(Debug, Clone, Copy)]
pub struct Command {
    /// Its name in addresses.
    pub name: &'static str,
    pub label: &'static str,
    pub chinese: &'static str,
    pub effect: &'static str,
    pub is_risky: bool,
    command: SupplyCommand,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "disconnect",
        label: "Disconnect",
        chinese: "跳闸",
        effect: "The customer loses supply at once.",
        is_risky: true,
        command: SupplyCommand::Disconnect,
    },
    Command {
        name: "connect",
        label: "Connect",
        chinese: "合闸",
        effect: "Supply returns at once, without anybody at the meter.",
        is_risky: true,
        command: SupplyCommand::Connect,
    },
    Command {
        name: "allow",
        label: "Allow connection",
        chinese: "合闸允许",
        effect: "The customer may close the breaker by hand.",
        is_risky: false,
        command: SupplyCommand::AllowConnection,
    },
    Command {
        name: "protect",
        label: "Protect supply",
        chinese: "保电",
        effect: "The meter will not disconnect until the protection ends.",
        is_risky: false,
        command: SupplyCommand::Protect,
    },
    Command {
        name: "unprotect",
        label: "End protection",
        chinese: "保电解除",
        effect: "The meter may disconnect again, when its credit is spent or when told to.",
        is_risky: false,
        command: SupplyCommand::EndProtection,
    },
];

/// An id in an address; one that is no id leads nowhere.
pub fn id<T: std::str::FromStr>(text: &str) -> Result<T, PageError> {
    text.parse().map_err(|_| {
        let what = ServiceError::NotFound { what: "entry", id: text.to_owned() };
        PageError::from(what)
    })
}

pub async fn show(State(app): State<App>, caller: Caller, Path(meter): Path<String>) -> PageResult {
    let meter = app.service.meter(id(&meter)?).await?;
    page(&app, &caller, &meter, Again::default()).await
}

pub async fn page(app: &App, caller: &Caller, meter: &Meter, again: Again) -> PageResult {
    let recent = Page { query: None, after: None, limit: RECENT_SALES };
    let sales = app.service.sales(meter.meter_id, &recent).await?;
    let conversations = app.service.conversations(meter.meter_id, RECENT_CONVERSATIONS).await?;
    let last = Page { query: None, after: None, limit: RECENT_CLOCKS };
    let clock = app.service.clock_settings(meter.meter_id, &last).await?;
    let parameters = parameters::kept(app, meter, &again);
    let (tokens, orders) = match meter.mode {
        BillingMode::Token => {
            (tokens::rows(app, meter, None, tokens::RECENT).await?, tokens::orders())
        }
        _ => Default::default(),
    };
    let holds: Vec<Hold> = app.service.holds(meter.meter_id).await?;
    let (mut installations, mut changes) = (Vec::new(), Vec::new());
    for it in app.service.installations_of_meter(meter.meter_id).await? {
        installations.push(InstallationView::new(&it, app).await?);
    }
    for it in app.service.file_changes(FileOf::Meter(meter.meter_id), &recent).await? {
        changes.push(ChangeView::new(&it, app).await?);
    }
    Ok(render(&MeterPage {
        head: Head::new(caller, "meters"),
        meter: MeterView::new(meter, app),
        reading: meter.last_reading.as_ref().map(|it| ReadingView::new(it, app)),
        sales: sales.iter().map(|sale| SaleRow::new(sale, None, app)).collect(),
        tokens,
        orders,
        through: token_entries::through(app, meter).await?,
        conversations: conversations.iter().map(ConversationRow::from).collect(),
        commands: COMMANDS,
        acts: meter_acts::offered(
            meter,
            &holds,
            app.service.sets_clock(&meter.vendor),
            app.service.has_card(meter),
        ),
        holds: holds.iter().filter(|it| it.to.is_none()).map(|it| view::hold(it, app)).collect(),
        installations,
        changes,
        clock: clock.iter().map(|it| ClockRow::new(it, app)).collect(),
        is_unfolded: parameters.iter().any(|field| !field.problem.is_empty()),
        parameters,
        settings: parameters::in_device(app, meter, &again).await?,
        problem: again.problem,
    }))
}

pub async fn read(
    State(app): State<App>,
    caller: Caller,
    Path(meter): Path<String>,
    headers: HeaderMap,
) -> PageResult {
    let id: MeterId = id(&meter)?;
    let back = format!("/meters/{id}");
    let read = app.service.read_meter(id, &caller.actor()).await;
    if !is_fragment(&headers) {
        return match read {
            Ok(_) => Ok(Redirect::to(&back).into_response()),
            Err(error) => Err(PageError::from(error).back_to(back)),
        };
    }
    let problem = read.err().map(|error| PageError::from(error).detail).unwrap_or_default();
    let meter = app.service.meter(id).await?;
    let part = ReadingPart {
        reading: meter.last_reading.as_ref().map(|it| ReadingView::new(it, &app)),
        meter: MeterView::new(&meter, &app),
        problem,
    };
    Ok(render(&part))
}

fn command(name: &str) -> Result<Command, PageError> {
    let found = COMMANDS.iter().find(|command| command.name == name).copied();
    found.ok_or_else(|| {
        PageError::from(ServiceError::NotFound { what: "supply command", id: name.to_owned() })
    })
}

pub async fn supply_form(
    State(app): State<App>,
    caller: Caller,
    Path((meter, name)): Path<(String, String)>,
) -> PageResult {
    let meter = app.service.meter(id(&meter)?).await?;
    let command = command(&name)?;
    let meter = MeterView::new(&meter, &app);
    Ok(render(&SupplyPage { head: Head::new(&caller, "meters"), meter, command }))
}

pub async fn supply(
    State(app): State<App>,
    caller: Caller,
    Path((meter, name)): Path<(String, String)>,
) -> PageResult {
    let id: MeterId = id(&meter)?;
    let back = format!("/meters/{id}");
    match app.service.control(id, command(&name)?.command, &caller.actor()).await {
        Ok(_) => Ok(Redirect::to(&back).into_response()),
        Err(error) => Err(PageError::from(error).back_to(back)),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountForm {
    number: String,
}

pub async fn open_account(
    State(app): State<App>,
    caller: Caller,
    Path(meter): Path<String>,
    Form(form): Form<AccountForm>,
) -> PageResult {
    let meter = app.service.meter(id(&meter)?).await?;
    let number = form.number.trim();
    let search = Page { query: Some(number.to_owned()), after: None, limit: 200 };
    let found = app.service.customers(&search).await?;
    let Some(customer) = found.iter().find(|customer| customer.number.as_str() == number) else {
        let problem =
            format!("There is no customer with the number “{number}”. Add the customer first.");
        return page(&app, &caller, &meter, Again { problem, ..Again::default() }).await;
    };
    let actor = caller.actor();
    match app.service.open_account(meter.meter_id, customer.customer_id, &actor).await {
        Ok(meter) => Ok(Redirect::to(&format!("/meters/{}", meter.meter_id)).into_response()),
        Err(error) => {
            let problem = sentence(&PageError::from(error).detail);
            let meter = app.service.meter(meter.meter_id).await?;
            page(&app, &caller, &meter, Again { problem, ..Again::default() }).await
        }
    }
}

#[derive(Debug, Default, Clone)]
pub struct NewMeterForm {
    serial_number: String,
    vendor: String,
    line: String,
    address: String,
    plan: String,
    /// Empty: as the driver suggests.
    mode: String,
    /// The vendor whose parameters the form showed.
    drawn_for: String,
    parameters: ByName,
}

impl From<ByName> for NewMeterForm {
    fn from(form: ByName) -> Self {
        let field = |name: &str| form.get(name).cloned().unwrap_or_default();
        NewMeterForm {
            serial_number: field("serial_number"),
            vendor: field("vendor"),
            line: field("line"),
            address: field("address"),
            plan: field("plan"),
            mode: field("mode"),
            drawn_for: field("drawn_for"),
            parameters: parameters::typed(&form),
        }
    }
}

/// What was typed so far comes back, so that the page also works where no script runs.
pub async fn new_form(
    State(app): State<App>,
    caller: Caller,
    Query(form): Query<ByName>,
) -> PageResult {
    new_page(&app, &caller, form.into(), ByName::new(), String::new()).await
}

/// The fields of the vendor just chosen.
pub async fn new_parameters(State(app): State<App>, Query(form): Query<ByName>) -> PageResult {
    let typed = NewMeterForm::from(form);
    let again = Again { typed: typed.parameters.clone(), ..Again::default() };
    let parameters = parameters::for_new(&app, &typed.vendor, &again);
    Ok(render(&NewParametersPart { typed, parameters }))
}

async fn new_page(
    app: &App,
    caller: &Caller,
    mut typed: NewMeterForm,
    problems: ByName,
    error: String,
) -> PageResult {
    let vendors = app
        .service
        .drivers()
        .into_iter()
        .map(|driver| (driver.vendor().to_string(), driver.description().name.clone()));
    let vendors: Vec<_> = vendors.collect();
    if typed.vendor.is_empty() {
        typed.vendor = vendors.first().map(|(code, _)| code.clone()).unwrap_or_default();
    }
    let again = Again { typed: typed.parameters.clone(), problems, ..Again::default() };
    Ok(render(&NewMeterPage {
        head: Head::new(caller, "meters"),
        lines: app.service.lines().iter().map(|line| line.settings().name.clone()).collect(),
        plans: plan_choices(app).await?,
        modes: BillingMode::ALL.map(|mode| (mode.name(), mode.chinese())).to_vec(),
        parameters: parameters::for_new(app, &typed.vendor, &again),
        vendors,
        typed,
        error,
    }))
}

pub async fn add(State(app): State<App>, caller: Caller, Form(form): Form<ByName>) -> PageResult {
    let form = NewMeterForm::from(form);
    let declared = parameters::declared_for_new(&app, &form.vendor);
    if !form.drawn_for.is_empty() && form.drawn_for != form.vendor && !declared.is_empty() {
        let ask = "This vendor's driver takes parameters: look at them below, then add the meter.";
        return new_page(&app, &caller, form, ByName::new(), ask.to_owned()).await;
    }
    let values = match parameters::values(&declared, &form.parameters, app.currency) {
        Ok(values) => values,
        Err(problems) => {
            let check = "Please check the driver's parameters.".to_owned();
            return new_page(&app, &caller, form, problems, check).await;
        }
    };
    let new = match new_meter(&form, values) {
        Ok(new) => new,
        Err(error) => return new_page(&app, &caller, form, ByName::new(), error.detail).await,
    };
    match app.service.add_meter(new, &caller.actor()).await {
        Ok(meter) => Ok(Redirect::to(&format!("/meters/{}", meter.meter_id)).into_response()),
        Err(error) => {
            let problems = parameters::problems_of(&error).unwrap_or_default();
            new_page(&app, &caller, form, problems, PageError::from(error).detail).await
        }
    }
}

/// Empty: as the driver suggests.
fn mode(name: &str) -> Result<Option<BillingMode>, PageError> {
    if name.is_empty() {
        return Ok(None);
    }
    let mode = BillingMode::from_name(name);
    mode.map(Some).ok_or_else(|| PageError::unusable("Billing mode", "choose one"))
}

fn new_meter(form: &NewMeterForm, parameters: Vec<(String, Value)>) -> Result<NewMeter, PageError> {
    let plan_id =
        form.plan.parse().map_err(|_| PageError::unusable("Tariff plan", "choose one"))?;
    Ok(NewMeter {
        serial_number: form.serial_number.trim().to_owned(),
        vendor: VendorCode::new(&form.vendor)
            .map_err(|error| PageError::unusable("Vendor", error))?,
        line: form.line.clone(),
        address: MeterAddress::new(form.address.trim())
            .map_err(|error| PageError::unusable("Address", error))?,
        parameters,
        mode: mode(&form.mode)?,
        tariff: Assignment { plan_id, from: None, terms: Terms::default() },
    })
}
