//! Handing meters over and closing an account: their forms, what became of them, the list of closings.

use super::act::{self, Field, Form, Typed};
use super::meters::id;
use super::swaps::{ResultPage, dead_fields, keyed};
use super::view::{Badge, badge, time};
use super::{Head, PageError, PageResult, render};
use crate::api::files::amount;
use crate::app::App;
use crate::session::Caller;
use askama::Template;
use axum::extract::{self, Path, Query, State};
use axum::response::{IntoResponse, Redirect};
use polymeter_domain::{ClosingId, CustomerId, CustomerNumber, TakeoverId};
use polymeter_service::{
    ApplicationKind, ArrearsEnd, Closing, ClosingRequest, ClosingState, Page, ServiceError,
    TakeoverRequest,
};
use serde::Deserialize;

const SHOWN_MAX: u32 = 200;

#[derive(Template)]
#[template(path = "closings.html")]
struct ClosingsPage {
    head: Head,
    query: String,
    closings: Vec<ClosingRow>,
}

struct ClosingRow {
    id: String,
    at: String,
    customer_id: String,
    customer: String,
    meters: usize,
    refunded: String,
    reason: String,
    state: Badge,
}

async fn takeover_fields(app: &App, customer: CustomerId) -> Result<Form, PageError> {
    let customer = app.service.customer(customer).await?;
    let installed = app.service.installations_of_customer(customer.customer_id).await?;
    let serials = installed.iter().filter(|it| it.to.is_none());
    let serials: Vec<_> = serials.map(|it| it.serial_number.clone()).collect();
    let (to, meters) = (("Number of the new customer", "新户号"), ("Meters", "电表"));
    let arrears = ("The new customer takes over what is owed", "欠费转移");
    let mut fields = vec![
        Field::new("number", "to", to, "").required(),
        Field::new("text", "meters", meters, "serial numbers with spaces between")
            .required()
            .with(serials.join(" ")),
        Field::new(
            "decimal",
            "reading",
            ("Reading", "止码"),
            "only for one meter; left empty, each is read",
        ),
        Field::new("check", "arrears", arrears, "else nothing may be owed"),
    ];
    let kinds = &[ApplicationKind::Transfer];
    fields.extend(act::why_fields(app, Some(customer.customer_id), kinds).await?);
    Ok(Form {
        subject: format!("Customer {} {}", customer.number, customer.name),
        title: "Transfer of ownership",
        chinese: "过户",
        effect: "The meters go to another customer on a reading, with what is left in them."
            .to_owned(),
        action: format!("/customers/{}/takeover", customer.customer_id),
        back: format!("/customers/{}", customer.customer_id),
        button: "Hand over",
        is_risky: true,
        fields,
        key: act::new_key(),
        error: String::new(),
    })
}

pub async fn takeover_form(
    State(app): State<App>,
    caller: Caller,
    Path(text): Path<String>,
) -> PageResult {
    takeover_fields(&app, id(&text)?).await?.page(Head::new(&caller, "customers"))
}

pub async fn take_over(
    State(app): State<App>,
    caller: Caller,
    Path(text): Path<String>,
    extract::Form(typed): extract::Form<Typed>,
) -> PageResult {
    let from: CustomerId = id(&text)?;
    let done = async {
        let number = CustomerNumber::new(act::text(&typed, "to"))
            .map_err(|error| PageError::unusable("Number of the new customer", error))?;
        let to = app.service.customer_by_number(&number).await?.customer_id;
        let reading = act::reading(&typed, "reading")?;
        let mut meters = Vec::new();
        for serial in act::text(&typed, "meters").split([' ', ',', ';']) {
            if !serial.is_empty() {
                let meter = app.service.meter_by_serial(serial).await?;
                meters.push((meter.meter_id, reading));
            }
        }
        if reading.is_some() && meters.len() > 1 {
            return Err(PageError::unusable("Reading", "it can be of one meter only"));
        }
        let takes_arrears_over = act::given(&typed, "arrears").is_some();
        let why = act::why(&typed)?;
        let request = TakeoverRequest { from, to, meters, takes_arrears_over, why };
        let key = TakeoverId::new(act::key(&typed)?);
        app.service.put_takeover(key, request, &caller.actor()).await?;
        Ok(to)
    };
    match done.await {
        Ok(to) => Ok(Redirect::to(&format!("/customers/{to}")).into_response()),
        Err(error) => {
            let form = takeover_fields(&app, from).await?.again(&typed, &error);
            form.page(Head::new(&caller, "customers"))
        }
    }
}

async fn closing_fields(app: &App, customer: CustomerId) -> Result<Form, PageError> {
    let customer = app.service.customer(customer).await?;
    let installed = app.service.installations_of_customer(customer.customer_id).await?;
    let lasting: Vec<_> = installed.iter().filter(|it| it.to.is_none()).collect();
    let mut fields = Vec::new();
    // A dead meter's figures can be typed where there is one; for more there is the API.
    if lasting.len() == 1 {
        fields.extend(dead_fields());
    }
    let kept = ("Do not empty the meters", "不清表");
    let hint = "they are taken off, or cannot be emptied";
    fields.push(Field::new("check", "kept", kept, hint));
    let ends =
        [("none", "there are none"), ("paid", "paid in cash now"), ("written-off", "written off")];
    let ends = ends.iter().map(|(sent, read)| ((*sent).to_owned(), (*read).to_owned())).collect();
    fields.push(
        Field::new("choice", "arrears", ("Arrears beyond what is left", "欠费"), "").of(ends),
    );
    let kinds = &[ApplicationKind::Closing];
    fields.extend(act::why_fields(app, Some(customer.customer_id), kinds).await?);
    Ok(Form {
        subject: format!("Customer {} {}", customer.number, customer.name),
        title: "Close the account",
        chinese: "销户",
        effect: format!(
            "{} meters get their final reading and are emptied; what is left is paid out, less \
             what is owed, and the file goes to the archive.",
            lasting.len()
        ),
        action: format!("/customers/{}/closing", customer.customer_id),
        back: format!("/customers/{}", customer.customer_id),
        button: "Close the account",
        is_risky: true,
        fields,
        key: act::new_key(),
        error: String::new(),
    })
}

pub async fn form(State(app): State<App>, caller: Caller, Path(text): Path<String>) -> PageResult {
    let customer: CustomerId = id(&text)?;
    if let Some(under_way) = app.service.closing_under_way(customer).await? {
        return Ok(Redirect::to(&format!("/closings/{under_way}")).into_response());
    }
    closing_fields(&app, customer).await?.page(Head::new(&caller, "customers"))
}

pub async fn close(
    State(app): State<App>,
    caller: Caller,
    Path(text): Path<String>,
    extract::Form(typed): extract::Form<Typed>,
) -> PageResult {
    let customer: CustomerId = id(&text)?;
    let key = ClosingId::new(act::key(&typed)?);
    let closed = async {
        let given = keyed(&app, &typed, "")?;
        let installed = app.service.installations_of_customer(customer).await?;
        let only = installed.iter().find(|it| it.to.is_none()).map(|it| it.meter_id);
        let is_given = given.reading.is_some() || given.credit.is_some();
        let end = act::text(&typed, "arrears");
        let arrears = ArrearsEnd::ALL.iter().find(|it| it.name() == end);
        let request = ClosingRequest {
            customer,
            keyed: only.filter(|_| is_given).map(|meter| (meter, given)).into_iter().collect(),
            without_clearing: act::given(&typed, "kept").is_some(),
            arrears: *arrears.ok_or_else(|| PageError::unusable("Arrears", "choose one"))?,
            why: act::why(&typed)?,
        };
        app.service.put_closing(key, request, &caller.actor()).await?;
        Ok::<_, PageError>(())
    };
    let result = closed.await;
    if let Ok(begun) = app.service.closing(key).await {
        let problem = result.err().map(|error| error.detail).unwrap_or_default();
        if problem.is_empty() {
            return Ok(Redirect::to(&format!("/closings/{key}")).into_response());
        }
        return closing_page(&app, &caller, &begun, problem).await;
    }
    match result {
        Ok(()) => Ok(Redirect::to(&format!("/closings/{key}")).into_response()),
        Err(error) => {
            let form = closing_fields(&app, customer).await?.again(&typed, &error);
            form.page(Head::new(&caller, "customers"))
        }
    }
}

fn closing_state(closing: &Closing) -> Badge {
    match closing.state {
        ClosingState::Begun if closing.approval.is_some() => {
            badge("warn", "Waits for a second person", "待复核")
        }
        ClosingState::Begun => badge("warn", "Begun", "进行中"),
        ClosingState::Settled => badge("good", "Closed", "已销户"),
        ClosingState::Abandoned => badge("calm", "Abandoned", "已放弃"),
    }
}

async fn closing_page(app: &App, caller: &Caller, it: &Closing, problem: String) -> PageResult {
    let customer = app.service.customer(it.customer_id).await?;
    let named = format!("{} {}", customer.number, customer.name);
    let mut facts = vec![("Customer", named, format!("/customers/{}", customer.customer_id))];
    for meter in &it.meters {
        let told = format!(
            "{}: at {}, {} left, said the {}; {}",
            meter.serial_number,
            amount(meter.reading),
            meter.remaining,
            meter.told_by,
            meter.state.name()
        );
        facts.push(("Meter", told, format!("/meters/{}", meter.meter_id)));
    }
    for (label, money) in [("Paid out", it.refunded), ("Taken for arrears", it.recovered)] {
        facts.extend(money.map(|money| (label, money.to_string(), String::new())));
    }
    if it.state == ClosingState::Begun {
        facts.extend(coming(app, it).await?);
    }
    facts.push(("Why", it.why.reason.clone(), String::new()));
    let address = format!("/closings/{}", it.closing_id);
    let begun = it.state == ClosingState::Begun;
    let goes_on = begun && it.approval.is_none();
    Ok(render(&ResultPage {
        head: Head::new(caller, "customers"),
        title: "Closing",
        chinese: "销户",
        subject: format!("Customer {}", customer.number),
        state: closing_state(it),
        facts,
        go_on: if goes_on { format!("{address}/continuation") } else { String::new() },
        abandon: if begun { format!("{address}/abandonment") } else { String::new() },
        back: "/closings".to_owned(),
        problem,
    }))
}

/// What a closing that is begun would come to, and who has to act.
async fn coming(app: &App, it: &Closing) -> Result<Vec<(&'static str, String, String)>, PageError> {
    let mut facts = Vec::new();
    match app.service.closing_sums(it.closing_id).await {
        Ok(sums) => {
            for (label, money) in [
                ("Would pay out", sums.refunded),
                ("Would take for arrears", sums.recovered),
                ("Owed beyond that", sums.owed),
            ] {
                facts.push((label, money.to_string(), String::new()));
            }
        }
        Err(error) => {
            let detail = PageError::from(error).detail;
            facts.push(("Stands in its way", detail, String::new()));
        }
    }
    if let Some(approval) = it.approval {
        let approval = app.service.approval(approval).await?;
        let asked = super::acts::who(app, &approval.asked_by).await?;
        let until = time(approval.expires_at, &app.time_zone);
        let told = format!(
            "another operator than {asked} agrees to {} by {until}, or refuses",
            approval.amount
        );
        facts.push(("Who has to act", told, "/acts".to_owned()));
    }
    Ok(facts)
}

pub async fn show(State(app): State<App>, caller: Caller, Path(text): Path<String>) -> PageResult {
    let closing = app.service.closing(id(&text)?).await?;
    closing_page(&app, &caller, &closing, String::new()).await
}

pub async fn go_on(State(app): State<App>, caller: Caller, Path(text): Path<String>) -> PageResult {
    let closing: ClosingId = id(&text)?;
    let gone_on = app.service.continue_closing(closing, &caller.actor()).await;
    closing_ended(&app, &caller, closing, gone_on.map(|_| ())).await
}

pub async fn abandon(
    State(app): State<App>,
    caller: Caller,
    Path(text): Path<String>,
    extract::Form(typed): extract::Form<Typed>,
) -> PageResult {
    let closing: ClosingId = id(&text)?;
    let reason = act::text(&typed, "reason");
    let abandoned = app.service.abandon_closing(closing, reason, &caller.actor()).await;
    closing_ended(&app, &caller, closing, abandoned.map(|_| ())).await
}

async fn closing_ended(
    app: &App,
    caller: &Caller,
    closing: ClosingId,
    result: Result<(), ServiceError>,
) -> PageResult {
    match result {
        Ok(()) => Ok(Redirect::to(&format!("/closings/{closing}")).into_response()),
        Err(error) => {
            let it = app.service.closing(closing).await?;
            closing_page(app, caller, &it, PageError::from(error).detail).await
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    #[serde(default)]
    query: String,
}

pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(search): Query<Search>,
) -> PageResult {
    let query = Some(search.query.clone());
    let mut closings = Vec::new();
    for it in app.service.closings(&Page { query, after: None, limit: SHOWN_MAX }).await? {
        let customer = app.service.customer(it.customer_id).await?;
        closings.push(ClosingRow {
            id: it.closing_id.to_string(),
            at: time(it.created_at, &app.time_zone),
            customer_id: customer.customer_id.to_string(),
            customer: format!("{} {}", customer.number, customer.name),
            meters: it.meters.len(),
            refunded: it.refunded.map(|money| money.to_string()).unwrap_or_default(),
            reason: it.why.reason.clone(),
            state: closing_state(&it),
        });
    }
    Ok(render(&ClosingsPage {
        head: Head::new(&caller, "customers"),
        query: search.query,
        closings,
    }))
}
