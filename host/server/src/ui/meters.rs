//! One meter: whose it is, how it stands, reading it, its supply; and adding a meter.

use super::conversations::ConversationRow;
use super::view::{MeterView, ReadingView, SaleRow, sentence};
use super::{Head, PageError, PageResult, is_fragment, render};
use crate::app::App;
use crate::session::Caller;
use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect};
use polymeter_domain::{FlatPrice, MeterAddress, MeterId, Money, SupplyCommand, VendorCode};
use polymeter_service::{Meter, NewMeter, Page, ServiceError};
use serde::Deserialize;

/// What a clerk asks about: the last few.
const RECENT_SALES: u32 = 10;
const RECENT_CONVERSATIONS: usize = 8;

#[derive(Template)]
#[template(path = "meter.html")]
struct MeterPage {
    head: Head,
    meter: MeterView,
    reading: Option<ReadingView>,
    sales: Vec<SaleRow>,
    conversations: Vec<ConversationRow>,
    commands: &'static [Command],
    problem: String,
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
    currency: String,
    typed: NewMeterForm,
    error: String,
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
    page(&app, &caller, &meter, String::new()).await
}

async fn page(app: &App, caller: &Caller, meter: &Meter, problem: String) -> PageResult {
    let recent = Page { query: None, after: None, limit: RECENT_SALES };
    let sales = app.service.sales(meter.meter_id, &recent).await?;
    let conversations = app.service.conversations(meter.meter_id, RECENT_CONVERSATIONS).await?;
    Ok(render(&MeterPage {
        head: Head::new(caller, "meters"),
        meter: MeterView::new(meter, app),
        reading: meter.last_reading.as_ref().map(|it| ReadingView::new(it, app)),
        sales: sales.iter().map(|sale| SaleRow::new(sale, None, app)).collect(),
        conversations: conversations.iter().map(ConversationRow::from).collect(),
        commands: COMMANDS,
        problem,
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
        return page(&app, &caller, &meter, problem).await;
    };
    let actor = caller.actor();
    match app.service.open_account(meter.meter_id, customer.customer_id, &actor).await {
        Ok(meter) => Ok(Redirect::to(&format!("/meters/{}", meter.meter_id)).into_response()),
        Err(error) => {
            let problem = sentence(&PageError::from(error).detail);
            let meter = app.service.meter(meter.meter_id).await?;
            page(&app, &caller, &meter, problem).await
        }
    }
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewMeterForm {
    serial_number: String,
    vendor: String,
    line: String,
    address: String,
    price: String,
}

pub async fn new_form(State(app): State<App>, caller: Caller) -> PageResult {
    new_page(&app, &caller, NewMeterForm::default(), String::new())
}

fn new_page(app: &App, caller: &Caller, typed: NewMeterForm, error: String) -> PageResult {
    let vendors = app.service.drivers().into_iter().map(|driver| {
        let described = driver.description();
        (described.vendor_code.to_string(), described.name.clone())
    });
    Ok(render(&NewMeterPage {
        head: Head::new(caller, "meters"),
        vendors: vendors.collect(),
        lines: app.service.lines().iter().map(|line| line.settings().name.clone()).collect(),
        currency: app.currency.code().to_owned(),
        typed,
        error,
    }))
}

pub async fn add(
    State(app): State<App>,
    caller: Caller,
    Form(form): Form<NewMeterForm>,
) -> PageResult {
    let new = match new_meter(&app, &form) {
        Ok(new) => new,
        Err(error) => return new_page(&app, &caller, form, error.detail),
    };
    match app.service.add_meter(new, &caller.actor()).await {
        Ok(meter) => Ok(Redirect::to(&format!("/meters/{}", meter.meter_id)).into_response()),
        Err(error) => new_page(&app, &caller, form, PageError::from(error).detail),
    }
}

fn new_meter(app: &App, form: &NewMeterForm) -> Result<NewMeter, PageError> {
    let price = Money::parse(form.price.trim(), app.currency)
        .map_err(|error| PageError::unusable("Price", error))?;
    Ok(NewMeter {
        serial_number: form.serial_number.trim().to_owned(),
        vendor: VendorCode::new(&form.vendor)
            .map_err(|error| PageError::unusable("Vendor", error))?,
        line: form.line.clone(),
        address: MeterAddress::new(form.address.trim())
            .map_err(|error| PageError::unusable("Address", error))?,
        parameters: Vec::new(),
        price: FlatPrice::new(price).map_err(|error| PageError::unusable("Price", error))?,
    })
}
