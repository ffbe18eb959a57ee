//! Applications: the list, taking one in, preparing its meters, opening them with one click.

use super::act::{self, Field, Form, Typed};
use super::meters::id;
use super::view::{Badge, badge, sentence, time};
use super::{Head, PageError, PageResult, render};
use crate::app::App;
use crate::session::Caller;
use askama::Template;
use axum::extract::{self, Path, Query, State};
use axum::response::{IntoResponse, Redirect};
use polymeter_domain::{ApplicationId, CustomerId, CustomerNumber};
use polymeter_service::{
    Applicant, Application, ApplicationKind, ApplicationState, NewApplication, NewCustomer, Page,
};
use serde::Deserialize;

const SHOWN_MAX: u32 = 200;

/// A kind of application in words.
pub fn kind(kind: ApplicationKind) -> Badge {
    match kind {
        ApplicationKind::Supply => badge("calm", "New supply", "新装"),
        ApplicationKind::Meter => badge("calm", "A further meter", "增表"),
        ApplicationKind::Change => badge("calm", "Change", "变更"),
        ApplicationKind::Swap => badge("calm", "Meter swap", "换表"),
        ApplicationKind::Transfer => badge("calm", "Transfer of ownership", "过户"),
        ApplicationKind::Suspension => badge("calm", "Suspension", "报停"),
        ApplicationKind::Resumption => badge("calm", "Resumption", "复电"),
        ApplicationKind::Closing => badge("calm", "Closing", "销户"),
    }
}

pub fn state(state: ApplicationState) -> Badge {
    match state {
        ApplicationState::Received => badge("busy", "Received", "已受理"),
        ApplicationState::Prepared => badge("warn", "Prepared", "已预设"),
        ApplicationState::Done => badge("good", "Done", "已完成"),
        ApplicationState::Refused => badge("bad", "Refused", "已退回"),
    }
}

#[derive(Debug)]
pub struct ApplicationView {
    pub id: String,
    pub number: i64,
    pub kind: Badge,
    pub state: Badge,
    pub customer_id: String,
    /// Number and name.
    pub customer: String,
    pub wish: String,
    pub outcome: String,
    pub created_at: String,
    pub ended_at: String,
    pub meters: usize,
    pub opens_meters: bool,
    pub is_ended: bool,
    pub is_ready: bool,
}

impl ApplicationView {
    pub async fn new(it: &Application, app: &App) -> Result<ApplicationView, PageError> {
        let customer = app.service.customer(it.customer_id).await?;
        let at = |at| time(at, &app.time_zone);
        Ok(ApplicationView {
            id: it.application_id.to_string(),
            number: it.number,
            kind: kind(it.kind),
            state: state(it.state),
            customer_id: it.customer_id.to_string(),
            customer: format!("{} {}", customer.number, customer.name),
            wish: it.wish.clone(),
            outcome: it.outcome.clone(),
            created_at: at(it.created_at),
            ended_at: it.ended_at.map(at).unwrap_or_default(),
            meters: it.meters.len(),
            opens_meters: it.kind.opens_meters(),
            is_ended: it.state.is_ended(),
            is_ready: it.state == ApplicationState::Prepared,
        })
    }
}

#[derive(Template)]
#[template(path = "applications.html")]
struct ListPage {
    head: Head,
    query: String,
    all: bool,
    applications: Vec<ApplicationView>,
    outcome: String,
}

#[derive(Template)]
#[template(path = "application.html")]
struct OnePage {
    head: Head,
    it: ApplicationView,
    /// Id, serial number, and when it was opened, or empty.
    planned: Vec<(String, String, String)>,
    typed: String,
    /// Where else it is carried out: address and label.
    ways: Vec<(String, &'static str)>,
    problem: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    #[serde(default)]
    query: String,
    #[serde(default)]
    all: String,
}

async fn list_page(app: &App, caller: &Caller, search: Search, outcome: String) -> PageResult {
    let query = Some(search.query.clone());
    let page = Page { query, after: None, limit: SHOWN_MAX };
    let all = !search.all.is_empty();
    let mut applications = Vec::new();
    for it in app.service.applications(&page, !all).await? {
        applications.push(ApplicationView::new(&it, app).await?);
    }
    let head = Head::new(caller, "applications");
    Ok(render(&ListPage { head, query: search.query, all, applications, outcome }))
}

pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(search): Query<Search>,
) -> PageResult {
    list_page(&app, &caller, search, String::new()).await
}

/// Opens those that were marked, each for itself.
pub async fn open_marked(
    State(app): State<App>,
    caller: Caller,
    extract::Form(marked): extract::Form<Typed>,
) -> PageResult {
    let ids = marked.keys().map(|text| id(text)).collect::<Result<Vec<ApplicationId>, _>>()?;
    let ended = app.service.open_applications(ids, &caller.actor()).await;
    let opened = ended.iter().filter(|(_, result)| result.is_ok()).count();
    let mut words = vec![format!("{opened} of {} opened.", ended.len())];
    for (id, result) in ended {
        if let Err(error) = result {
            let number = app.service.application(id).await?.number;
            words.push(format!("No. {number}: {}", PageError::from(error).detail));
        }
    }
    list_page(&app, &caller, Search::default(), words.join(" ")).await
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct For {
    #[serde(default)]
    customer: String,
    #[serde(default)]
    kind: String,
}

async fn new_form(app: &App, of: &For) -> Result<Form, PageError> {
    let mut fields = Vec::new();
    let mut subject = "New customer".to_owned();
    let mut back = "/applications".to_owned();
    if of.customer.is_empty() {
        fields = vec![
            Field::new("number", "number", ("Customer number", "客户编号"), "1 to 12 digits")
                .required(),
            Field::new("text", "name", ("Name", "姓名"), "").required(),
            Field::new("text", "phone", ("Phone", "电话"), ""),
            Field::new("text", "premises", ("Premises", "地址"), ""),
        ];
    } else {
        let customer = app.service.customer(id(&of.customer)?).await?;
        subject = format!("Customer {} {}", customer.number, customer.name);
        back = format!("/customers/{}", customer.customer_id);
        let kinds = ApplicationKind::ALL.iter().filter(|it| **it != ApplicationKind::Supply);
        let choices = kinds.map(|it| {
            let words = kind(*it);
            (it.name().to_owned(), format!("{} {}", words.word, words.chinese))
        });
        let choices = choices.collect();
        fields.push(Field::new("choice", "kind", ("For", "类型"), "").of(choices).with(&of.kind));
    }
    let wish = ("What is asked for", "申请内容");
    fields.push(Field::new("text", "wish", wish, "in words").required());
    Ok(Form {
        subject,
        title: "Application",
        chinese: "申请",
        effect: "It gets a number for the customer. The file of a new customer begins with it."
            .to_owned(),
        action: format!("/applications/new?customer={}", of.customer),
        back,
        button: "Take it in",
        is_risky: false,
        fields,
        key: act::new_key(),
        error: String::new(),
    })
}

pub async fn new(State(app): State<App>, caller: Caller, Query(of): Query<For>) -> PageResult {
    new_form(&app, &of).await?.page(Head::new(&caller, "applications"))
}

pub async fn add(
    State(app): State<App>,
    caller: Caller,
    Query(of): Query<For>,
    extract::Form(typed): extract::Form<Typed>,
) -> PageResult {
    match taken_in(&app, &caller, &of, &typed).await {
        Ok(made) => {
            let address = format!("/applications/{}", made.application_id);
            Ok(Redirect::to(&address).into_response())
        }
        Err(error) => {
            let form = new_form(&app, &of).await?.again(&typed, &error);
            form.page(Head::new(&caller, "applications"))
        }
    }
}

async fn taken_in(
    app: &App,
    caller: &Caller,
    of: &For,
    typed: &Typed,
) -> Result<Application, PageError> {
    let text = |name| act::text(typed, name).to_owned();
    let (kind, applicant) = if of.customer.is_empty() {
        let number = CustomerNumber::new(&text("number"))
            .map_err(|error| PageError::unusable("Customer number", error))?;
        let (name, phone, premises) = (text("name"), text("phone"), text("premises"));
        let new = NewCustomer { number, name, phone, premises };
        (ApplicationKind::Supply, Applicant::New(new))
    } else {
        let name = text("kind");
        let kind = ApplicationKind::ALL.iter().find(|it| it.name() == name);
        let kind = *kind.ok_or_else(|| PageError::unusable("For", "choose one"))?;
        (kind, Applicant::Customer(id::<CustomerId>(&of.customer)?))
    };
    let new = NewApplication { kind, applicant, wish: text("wish") };
    let key = ApplicationId::new(act::key(typed)?);
    Ok(app.service.put_application(key, new, &caller.actor()).await?)
}

async fn one_page(
    app: &App,
    caller: &Caller,
    application: &Application,
    typed: Option<String>,
    problem: String,
) -> PageResult {
    let planned: Vec<_> = application
        .meters
        .iter()
        .map(|meter| {
            let opened = meter.opened_at.map(|at| time(at, &app.time_zone)).unwrap_or_default();
            (meter.meter_id.to_string(), meter.serial_number.clone(), opened)
        })
        .collect();
    let serials = application.meters.iter().map(|meter| meter.serial_number.as_str());
    let typed = typed.unwrap_or_else(|| serials.collect::<Vec<_>>().join(" "));
    let customer = format!("/customers/{}", application.customer_id);
    let ways = match application.kind {
        kind if kind.opens_meters() => Vec::new(),
        ApplicationKind::Change => vec![
            (format!("{customer}/edit"), "Change the file"),
            (customer, "Open the customer's page"),
        ],
        _ => vec![(customer, "Carry it out on the customer's page")],
    };
    let it = ApplicationView::new(application, app).await?;
    let head = Head::new(caller, "applications");
    Ok(render(&OnePage { head, it, planned, typed, ways, problem }))
}

pub async fn show(State(app): State<App>, caller: Caller, Path(text): Path<String>) -> PageResult {
    let application = app.service.application(id(&text)?).await?;
    one_page(&app, &caller, &application, None, String::new()).await
}

/// Back to the application, or it again with the problem.
async fn ended(
    app: &App,
    caller: &Caller,
    application: ApplicationId,
    typed: Option<String>,
    result: Result<(), PageError>,
) -> PageResult {
    match result {
        Ok(()) => Ok(Redirect::to(&format!("/applications/{application}")).into_response()),
        Err(error) => {
            let it = app.service.application(application).await?;
            one_page(app, caller, &it, typed, sentence(&error.detail)).await
        }
    }
}

pub async fn prepare(
    State(app): State<App>,
    caller: Caller,
    Path(text): Path<String>,
    extract::Form(typed): extract::Form<Typed>,
) -> PageResult {
    let application: ApplicationId = id(&text)?;
    let serials = act::text(&typed, "serials").to_owned();
    let prepared = async {
        let mut meters = Vec::new();
        for serial in serials.split([' ', ',', ';']).filter(|text| !text.is_empty()) {
            meters.push(app.service.meter_by_serial(serial).await?.meter_id);
        }
        app.service.prepare_application(application, meters, &caller.actor()).await?;
        Ok(())
    };
    let result = prepared.await;
    ended(&app, &caller, application, Some(serials.clone()), result).await
}

pub async fn open(State(app): State<App>, caller: Caller, Path(text): Path<String>) -> PageResult {
    let application: ApplicationId = id(&text)?;
    let opened = app.service.open_application(application, &caller.actor()).await;
    let result = opened.map(|_| ()).map_err(PageError::from);
    ended(&app, &caller, application, None, result).await
}

pub async fn refuse(
    State(app): State<App>,
    caller: Caller,
    Path(text): Path<String>,
    extract::Form(typed): extract::Form<Typed>,
) -> PageResult {
    let application: ApplicationId = id(&text)?;
    let reason = act::text(&typed, "reason");
    let refused = app.service.refuse_application(application, reason, &caller.actor()).await;
    let result = refused.map(|_| ()).map_err(PageError::from);
    ended(&app, &caller, application, None, result).await
}
