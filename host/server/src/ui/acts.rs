//! Acts at the counter that are no sale, and the list of what waits for a second person.
//!
//! Invariant: an act's id is made when its confirm box is rendered, so that sending the same box twice
//! is one act; nothing is done before that box.

use super::books::{self, EntryRow};
use super::meters::id;
use super::view::{self, Badge, Named};
use super::{Head, PageError, PageResult, render};
use crate::app::App;
use crate::session::Caller;
use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::response::{IntoResponse, Redirect};
use polymeter_domain::{ActState, ApprovalId, Channel, CounterActId, Money, SaleId};
use polymeter_service::{
    ActKind, ActPreview, ActRequest, Approvable, Approval, CounterAct, Page, Subject, Verdict,
};
use serde::Deserialize;

const SHOWN: u32 = 50;

#[derive(Template)]
#[template(path = "acts.html")]
struct ActsPage {
    head: Head,
    waiting: Vec<ApprovalView>,
    unsettled: Vec<ActView>,
    acts: Vec<ActView>,
}

#[derive(Template)]
#[template(path = "act_new.html")]
struct NewPage {
    head: Head,
    form: ActForm,
    kinds: Vec<Named>,
    channels: [Named; 6],
    currency: String,
    problem: String,
}

#[derive(Template)]
#[template(path = "act_confirm.html")]
struct ConfirmPage {
    head: Head,
    form: ActForm,
    act_id: String,
    kind: Named,
    amount: String,
    currency: String,
    customer: String,
    channel: Option<Named>,
    needs_second_person: bool,
}

#[derive(Template)]
#[template(path = "act.html")]
struct ActPage {
    head: Head,
    act: ActView,
    meaning: String,
    history: Vec<(String, Badge, String)>,
    entries: Vec<EntryRow>,
    error: String,
}

#[derive(Debug)]
struct ActView {
    id: String,
    kind: Named,
    at: String,
    customer_id: String,
    customer: String,
    amount: String,
    currency: String,
    channel: Option<Named>,
    reason: String,
    operator: String,
    state: Badge,
    sale: String,
    meter: String,
    /// The act that this one takes back.
    of_act: String,
    receipt: String,
    can_be_withdrawn: bool,
    can_be_proved: bool,
    can_be_reversed: bool,
    is_unresolved: bool,
}

#[derive(Debug)]
struct ApprovalView {
    id: String,
    kind: Named,
    about: String,
    amount: String,
    reason: String,
    asked_by: String,
    asked_at: String,
    expires_at: String,
    /// The visitor asked for it and cannot agree to it.
    is_own: bool,
}

/// What is typed; the same fields in the form and in the confirm box.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ActForm {
    kind: String,
    /// What is taken back: a sale, another act, or an amount out of a meter; by its id.
    sale: String,
    act: String,
    meter: String,
    /// A customer's number.
    number: String,
    amount: String,
    channel: String,
    reason: String,
}

fn kind(kind: ActKind) -> Named {
    let (word, chinese) = match kind {
        ActKind::Refund => ("Refund", "退电"),
        ActKind::Reversal => ("Reversal", "冲正"),
        ActKind::Deposit => ("Take a deposit", "收押金"),
        ActKind::DepositRefund => ("Return a deposit", "退押金"),
        ActKind::Arrears => ("Write down old arrears", "登记陈欠"),
        ActKind::ArrearsPayment => ("Payment of arrears", "缴欠费"),
        ActKind::WriteOff => ("Write off arrears", "核销"),
    };
    Named { name: kind.name(), word, chinese }
}

fn state(state: ActState) -> Badge {
    match state {
        ActState::Waiting => view::badge("warn", "Waits for a second person", "待复核"),
        ActState::Reserved => view::badge("busy", "Reserved", "已预留"),
        ActState::Dispatched => view::badge("busy", "Under way", "处理中"),
        ActState::Confirmed => view::badge("good", "Done", "已完成"),
        ActState::Refused => view::badge("bad", "Refused", "被拒绝"),
        ActState::Unresolved => view::badge("warn", "Unresolved", "待核实"),
        ActState::Cancelled => view::badge("calm", "Cancelled", "已取消"),
    }
}

/// A step of the history. Every act begins as one that waits, be it for a person or for the next step.
fn step(at: ActState) -> Badge {
    match at {
        ActState::Waiting => view::badge("calm", "Asked for", "已提出"),
        other => state(other),
    }
}

fn meaning(state: ActState) -> &'static str {
    match state {
        ActState::Waiting => "No money has moved. Another operator has to agree.",
        ActState::Reserved => "The meter has not answered yet. Ask it again, or take the act back.",
        ActState::Dispatched => "The meter was told to give the credit back. Ask it what it did.",
        ActState::Confirmed => "It is booked.",
        ActState::Refused => "The meter keeps its credit; the steps say why. No money goes back.",
        ActState::Unresolved => {
            "The meter's record proves nothing. Find out whether it holds the credit, and decide."
        }
        ActState::Cancelled => "Nothing was booked.",
    }
}

async fn shown(app: &App, act: &CounterAct) -> Result<ActView, PageError> {
    let customer = app.service.customer(act.customer_id).await?;
    Ok(ActView {
        id: act.act_id.to_string(),
        kind: kind(act.kind),
        at: view::time(act.created_at, &app.time_zone),
        customer_id: customer.customer_id.to_string(),
        customer: format!("{} {}", customer.number, customer.name),
        amount: act.amount.to_string(),
        currency: act.amount.currency().code().to_owned(),
        channel: act.channel.map(view::channel),
        reason: act.reason.clone(),
        operator: who(app, &act.operator).await?,
        state: state(act.state),
        sale: act.sale_id.map(|id| id.to_string()).unwrap_or_default(),
        meter: act.meter_id.map(|id| id.to_string()).unwrap_or_default(),
        of_act: act.of_act_id.map(|id| id.to_string()).unwrap_or_default(),
        receipt: act.receipt.map(|number| number.to_string()).unwrap_or_default(),
        can_be_withdrawn: matches!(act.state, ActState::Waiting | ActState::Reserved),
        can_be_proved: matches!(
            act.state,
            ActState::Reserved | ActState::Dispatched | ActState::Unresolved
        ),
        can_be_reversed: act.state == ActState::Confirmed
            && !act.kind.takes_back()
            && act.day == app.service.today()?
            && app.service.act_of_act(act.act_id).await?.is_none(),
        is_unresolved: act.state == ActState::Unresolved,
    })
}

pub async fn who(app: &App, actor: &polymeter_service::Actor) -> Result<String, PageError> {
    match actor {
        polymeter_service::Actor::System => Ok("the system".to_owned()),
        polymeter_service::Actor::Operator(id) => {
            Ok(app.service.operator_name(*id).await?.unwrap_or_else(|| id.to_string()))
        }
    }
}

async fn shown_approval(
    app: &App,
    caller: &Caller,
    it: &Approval,
) -> Result<ApprovalView, PageError> {
    Ok(ApprovalView {
        id: it.approval_id.to_string(),
        kind: asked_for(&it.act),
        about: address(app, &it.object).await?,
        amount: format!("{} {}", it.amount, it.amount.currency().code()),
        reason: it.reason.clone(),
        asked_by: who(app, &it.asked_by).await?,
        asked_at: view::time(it.asked_at, &app.time_zone),
        expires_at: view::time(it.expires_at, &app.time_zone),
        is_own: it.asked_by == caller.actor(),
    })
}

/// What somebody asked for, by the name that its approval has.
fn asked_for(act: &str) -> Named {
    let (name, word, chinese) = match act {
        "closing" => ("closing", "Close an account", "销户"),
        "clearing" => ("clearing", "Clear a meter", "清零"),
        "clear-credit" => ("clear-credit", "Token that empties a meter", "清零码"),
        "clear-tamper" => ("clear-tamper", "Token that clears tampering", "清除窃电码"),
        "key-change" => ("key-change", "Tokens that change a meter's key", "换密钥码"),
        "maintenance-card" => ("maintenance-card", "Make a maintenance card", "制作维护卡"),
        "rollover" => ("rollover", "Move meters to a later base date", "基准日翻转"),
        "purse-refund" => ("purse-refund", "Give back out of a purse", "退费"),
        _ => match ActKind::from_name(act) {
            Some(it) => return kind(it),
            None => ("", "Act", "业务"),
        },
    };
    Named { name, word, chinese }
}

/// The page of what an approval is about.
async fn address(app: &App, object: &str) -> Result<String, PageError> {
    Ok(match Approvable::parse(object) {
        Some(Approvable::Act(id)) => format!("/acts/{id}"),
        Some(Approvable::Closing(id)) => format!("/closings/{id}"),
        Some(Approvable::Clearing(id)) => {
            format!("/meters/{}", app.service.meter_clearing(id).await?.meter_id)
        }
        Some(Approvable::PurseRefund(id)) => {
            format!("/customers/{}/purse", app.service.purse_refund(id).await?.customer_id)
        }
        Some(Approvable::Token(id)) => format!("/token-orders/{id}"),
        Some(Approvable::Rollover(id)) => format!("/token-rollovers/{id}"),
        Some(Approvable::Clock(id)) => {
            format!("/meters/{}", app.service.clock_setting(id).await?.meter_id)
        }
        Some(Approvable::Card(id)) => format!("/maintenance-cards/{id}"),
        None => "/acts".to_owned(),
    })
}

pub async fn list(State(app): State<App>, caller: Caller) -> PageResult {
    let page = Page { limit: SHOWN, ..Page::default() };
    let mut waiting = Vec::new();
    for approval in app.service.approvals(true, &page).await? {
        waiting.push(shown_approval(&app, &caller, &approval).await?);
    }
    let mut unsettled = Vec::new();
    for act in app.service.unsettled_acts().await? {
        if act.state != ActState::Waiting {
            unsettled.push(shown(&app, &act).await?);
        }
    }
    let mut acts = Vec::new();
    for act in app.service.acts(None, &page).await? {
        acts.push(shown(&app, &act).await?);
    }
    Ok(render(&ActsPage { head: Head::new(&caller, "acts"), waiting, unsettled, acts }))
}

fn form_page(app: &App, caller: &Caller, form: ActForm, problem: String) -> PageResult {
    let fits = |it: &ActKind| match it {
        ActKind::Refund => !form.sale.is_empty() || !form.meter.is_empty(),
        ActKind::Reversal => !form.sale.is_empty() || !form.act.is_empty(),
        _ => form.sale.is_empty() && form.act.is_empty() && form.meter.is_empty(),
    };
    let kinds = ActKind::ALL.into_iter().filter(fits);
    Ok(render(&NewPage {
        head: Head::new(caller, "acts"),
        kinds: kinds.map(kind).collect(),
        channels: Channel::ALL.map(view::channel),
        currency: app.currency.code().to_owned(),
        form,
        problem,
    }))
}

pub async fn new_form(
    State(app): State<App>,
    caller: Caller,
    Query(form): Query<ActForm>,
) -> PageResult {
    form_page(&app, &caller, form, String::new())
}

/// `Err` is a sentence for the person who typed.
async fn request(app: &App, form: &ActForm) -> Result<ActRequest, String> {
    let kind = ActKind::from_name(&form.kind).ok_or("Choose what it is.")?;
    let amount = || {
        let amount = Money::parse(form.amount.trim(), app.currency);
        amount.map_err(|error| view::sentence(&error.to_string()))
    };
    let subject = if !form.act.is_empty() {
        Subject::Act(form.act.parse().map_err(|_| "There is no such act.".to_owned())?)
    } else if !form.meter.is_empty() {
        let meter = form.meter.parse().map_err(|_| "There is no such meter.".to_owned())?;
        Subject::Meter(meter, amount()?)
    } else if kind.takes_back() {
        let sale: SaleId = form.sale.parse().map_err(|_| "There is no such sale.".to_owned())?;
        Subject::Sale(sale)
    } else {
        let amount = amount()?;
        let page = Page { query: Some(form.number.trim().to_owned()), ..Page::default() };
        let found = app.service.customers(&page).await;
        let found = found.map_err(|error| PageError::from(error).detail)?;
        let number = form.number.trim();
        let customer = found.iter().find(|it| it.number.as_str() == number);
        let customer = customer.ok_or_else(|| format!("There is no customer {number}."))?;
        Subject::Customer(customer.customer_id, amount)
    };
    let channel = match kind.has_channel() && kind != ActKind::Reversal {
        true => Channel::from_name(&form.channel),
        false => None,
    };
    Ok(ActRequest { kind, subject, channel, reason: form.reason.clone() })
}

pub async fn confirm(
    State(app): State<App>,
    caller: Caller,
    Query(form): Query<ActForm>,
) -> PageResult {
    let asked = match request(&app, &form).await {
        Ok(asked) => asked,
        Err(problem) => return form_page(&app, &caller, form, problem),
    };
    let preview = match app.service.preview_act(asked, &caller.actor()).await {
        Ok(preview) => preview,
        Err(error) => {
            let problem = PageError::from(error).detail;
            return form_page(&app, &caller, form, problem);
        }
    };
    let ActPreview { amount, customer_id, channel, needs_second_person, .. } = preview;
    let customer = app.service.customer(customer_id).await?;
    Ok(render(&ConfirmPage {
        head: Head::new(&caller, "acts"),
        act_id: uuid::Uuid::now_v7().to_string(),
        kind: kind(preview.kind),
        amount: amount.to_string(),
        currency: amount.currency().code().to_owned(),
        customer: format!("{} {}", customer.number, customer.name),
        channel: channel.map(view::channel),
        needs_second_person,
        form,
    }))
}

pub async fn make(
    State(app): State<App>,
    caller: Caller,
    Path(act): Path<String>,
    Form(form): Form<ActForm>,
) -> PageResult {
    let act: CounterActId = id(&act)?;
    let asked = match request(&app, &form).await {
        Ok(asked) => asked,
        Err(problem) => return form_page(&app, &caller, form, problem),
    };
    match app.service.put_act(act, asked, &caller.actor()).await {
        Ok(_) => Ok(Redirect::to(&format!("/acts/{act}")).into_response()),
        Err(error) => Err(PageError::from(error).back_to("/acts")),
    }
}

async fn page(app: &App, caller: &Caller, act: CounterActId, error: String) -> PageResult {
    let act = app.service.act(act).await?;
    let zone = &app.time_zone;
    Ok(render(&ActPage {
        head: Head::new(caller, "acts"),
        meaning: meaning(act.state).to_owned(),
        history: act
            .history
            .iter()
            .map(|it| (view::time(it.at, zone), step(it.state), it.detail.clone()))
            .collect(),
        entries: books::rows(app, &act.entries).await?,
        act: shown(app, &act).await?,
        error,
    }))
}

pub async fn show(State(app): State<App>, caller: Caller, Path(act): Path<String>) -> PageResult {
    page(&app, &caller, id(&act)?, String::new()).await
}

pub async fn prove(State(app): State<App>, caller: Caller, Path(act): Path<String>) -> PageResult {
    let act = id(&act)?;
    let done = app.service.prove_act(act, &caller.actor()).await;
    after(&app, &caller, act, done.map(|_| ())).await
}

pub async fn withdraw(
    State(app): State<App>,
    caller: Caller,
    Path(act): Path<String>,
) -> PageResult {
    let act = id(&act)?;
    let done = app.service.withdraw_act(act, &caller.actor()).await;
    after(&app, &caller, act, done.map(|_| ())).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldForm {
    #[serde(default)]
    held: String,
    reason: String,
}

pub async fn decide(
    State(app): State<App>,
    caller: Caller,
    Path(act): Path<String>,
    Form(form): Form<HeldForm>,
) -> PageResult {
    let act = id(&act)?;
    let is_held = match form.held.as_str() {
        "yes" => true,
        "no" => false,
        _ => {
            let error = "Say whether the meter holds the credit.".to_owned();
            return page(&app, &caller, act, error).await;
        }
    };
    let done = app.service.decide_act(act, is_held, &form.reason, &caller.actor()).await;
    after(&app, &caller, act, done.map(|_| ())).await
}

async fn after(
    app: &App,
    caller: &Caller,
    act: CounterActId,
    done: Result<(), polymeter_service::ServiceError>,
) -> PageResult {
    match done {
        Ok(()) => Ok(Redirect::to(&format!("/acts/{act}")).into_response()),
        Err(error) => page(app, caller, act, PageError::from(error).detail).await,
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerdictForm {
    verdict: String,
    reason: String,
}

pub async fn decide_approval(
    State(app): State<App>,
    caller: Caller,
    Path(approval): Path<String>,
    Form(form): Form<VerdictForm>,
) -> PageResult {
    let approval: ApprovalId = id(&approval)?;
    let verdict = match form.verdict.as_str() {
        "approve" => Verdict::Approve,
        _ => Verdict::Reject,
    };
    match app.service.decide_approval(approval, verdict, &form.reason, &caller.actor()).await {
        Ok(it) => Ok(Redirect::to(&address(&app, &it.object).await?).into_response()),
        Err(error) => Err(PageError::from(error).back_to("/acts")),
    }
}

pub async fn withdraw_approval(
    State(app): State<App>,
    caller: Caller,
    Path(approval): Path<String>,
) -> PageResult {
    match app.service.withdraw_approval(id(&approval)?, &caller.actor()).await {
        Ok(it) => Ok(Redirect::to(&address(&app, &it.object).await?).into_response()),
        Err(error) => Err(PageError::from(error).back_to("/acts")),
    }
}
