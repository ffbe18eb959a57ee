//! One customer's page: the file with its history, meters, installations and applications.

use super::act::{self, Field, Form, Typed};
use super::applications::ApplicationView;
use super::meters::id;
use super::view::{Badge, CustomerView, MeterView, badge, time};
use super::{Head, PageError, PageResult, render};
use crate::api::files::amount;
use crate::app::App;
use crate::session::Caller;
use askama::Template;
use axum::extract::{self, Path, State};
use axum::response::{IntoResponse, Redirect};
use polymeter_domain::CustomerId;
use polymeter_domain::tariff::Commodity;
use polymeter_service::{
    Actor, ApplicationKind, Customer, CustomerEdit, FileChange, FileOf, Installation, Page, Used,
};

const CHANGES_SHOWN: u32 = 50;

#[derive(Template)]
#[template(path = "customer.html")]
struct CustomerPage {
    head: Head,
    customer: CustomerView,
    state: Badge,
    is_current: bool,
    closed_at: String,
    meters: Vec<MeterView>,
    installations: Vec<InstallationView>,
    changes: Vec<ChangeView>,
    applications: Vec<ApplicationView>,
}

#[derive(Debug)]
pub struct InstallationView {
    pub meter_id: String,
    pub serial_number: String,
    pub from: String,
    pub to: String,
    pub ratio: String,
    pub used: String,
    pub ended: String,
}

impl InstallationView {
    pub async fn new(it: &Installation, app: &App) -> Result<InstallationView, PageError> {
        let unit = match it.commodity {
            Commodity::Energy => "kWh",
            Commodity::Water => "m³",
        };
        let used = match app.service.consumption(it.installation_id).await?.used {
            Used::Known(used) => format!("{} {unit}", amount(used)),
            Used::NotRead => "not read".to_owned(),
            Used::Backwards => "the register went back".to_owned(),
            Used::TooLarge => "too large".to_owned(),
        };
        Ok(InstallationView {
            meter_id: it.meter_id.to_string(),
            serial_number: it.serial_number.clone(),
            from: time(it.from, &app.time_zone),
            to: it.to.map(|at| time(at, &app.time_zone)).unwrap_or_default(),
            ratio: format!("{} × {}", it.ct, it.pt),
            used,
            ended: it.ended.clone(),
        })
    }
}

#[derive(Debug)]
pub struct ChangeView {
    pub at: String,
    pub operator: String,
    pub field: String,
    pub old: String,
    pub new: String,
    pub reason: String,
    pub application_id: String,
}

impl ChangeView {
    pub async fn new(it: &FileChange, app: &App) -> Result<ChangeView, PageError> {
        Ok(ChangeView {
            at: time(it.at, &app.time_zone),
            operator: match it.actor {
                Actor::Operator(id) => app.service.operator(id).await?.name,
                Actor::System => "the system".to_owned(),
            },
            field: it.field.clone(),
            old: it.old.clone(),
            new: it.new.clone(),
            reason: it.reason.clone(),
            application_id: it.application_id.map(|id| id.to_string()).unwrap_or_default(),
        })
    }
}

pub async fn show(State(app): State<App>, caller: Caller, Path(text): Path<String>) -> PageResult {
    let customer = app.service.customer(id(&text)?).await?;
    let customer_id = customer.customer_id;
    let installed = app.service.installations_of_customer(customer_id).await?;
    let (mut meters, mut installations) = (Vec::new(), Vec::new());
    for it in &installed {
        installations.push(InstallationView::new(it, &app).await?);
        if it.to.is_none() {
            meters.push(MeterView::new(&app.service.meter(it.meter_id).await?, &app));
        }
    }
    let page = Page { query: None, after: None, limit: CHANGES_SHOWN };
    let mut changes = Vec::new();
    for it in app.service.file_changes(FileOf::Customer(customer_id), &page).await? {
        changes.push(ChangeView::new(&it, &app).await?);
    }
    let mut applications = Vec::new();
    for it in app.service.applications_of_customer(customer_id).await? {
        applications.push(ApplicationView::new(&it, &app).await?);
    }
    let is_current = customer.closed_at.is_none();
    let (open, closed) =
        (badge("good", "Current", "在用"), badge("calm", "In the archive", "已销户"));
    Ok(render(&CustomerPage {
        head: Head::new(&caller, "customers"),
        state: if is_current { open } else { closed },
        closed_at: customer.closed_at.map(|at| time(at, &app.time_zone)).unwrap_or_default(),
        customer: CustomerView::from(&customer),
        is_current,
        meters,
        installations,
        changes,
        applications,
    }))
}

async fn edit_fields(app: &App, customer: &Customer) -> Result<Form, PageError> {
    let field = |name, label, value: &str| Field::new("text", name, label, "").with(value);
    let mut fields = vec![
        field("name", ("Name", "姓名"), &customer.name).required(),
        field("phone", ("Phone", "电话"), &customer.phone),
        field("premises", ("Premises", "地址"), &customer.premises),
        field("equipment", ("Equipment", "用电设备"), &customer.equipment),
    ];
    let kinds = &[ApplicationKind::Change];
    fields.extend(act::why_fields(app, Some(customer.customer_id), kinds).await?);
    Ok(Form {
        subject: format!("Customer {}", customer.number),
        title: "Change the customer's file",
        chinese: "修改用户档案",
        effect: "Each change is kept in the history of the file. The number stays: meters hold it."
            .to_owned(),
        action: format!("/customers/{}/edit", customer.customer_id),
        back: format!("/customers/{}", customer.customer_id),
        button: "Change",
        is_risky: false,
        fields,
        key: act::new_key(),
        error: String::new(),
    })
}

pub async fn edit_form(
    State(app): State<App>,
    caller: Caller,
    Path(text): Path<String>,
) -> PageResult {
    let customer = app.service.customer(id(&text)?).await?;
    edit_fields(&app, &customer).await?.page(Head::new(&caller, "customers"))
}

pub async fn edit(
    State(app): State<App>,
    caller: Caller,
    Path(text): Path<String>,
    extract::Form(typed): extract::Form<Typed>,
) -> PageResult {
    let customer_id: CustomerId = id(&text)?;
    let field = |name: &str| Some(act::text(&typed, name).to_owned());
    let edit = CustomerEdit {
        name: field("name"),
        phone: field("phone"),
        premises: field("premises"),
        equipment: field("equipment"),
    };
    let changed = async {
        let why = act::why(&typed)?;
        app.service.edit_customer(customer_id, edit, why, &caller.actor()).await?;
        Ok::<_, PageError>(())
    };
    match changed.await {
        Ok(()) => Ok(Redirect::to(&format!("/customers/{customer_id}")).into_response()),
        Err(error) => {
            let customer = app.service.customer(customer_id).await?;
            let form = edit_fields(&app, &customer).await?.again(&typed, &error);
            form.page(Head::new(&caller, "customers"))
        }
    }
}
