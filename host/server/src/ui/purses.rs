//! A customer's purse: what is in it, paying in and giving back, what readings took, what was cut; the
//! arithmetic of a charge; readings that wait for a person.

use super::view::{Badge, CustomerView, Named, badge, channel, sentence, time};
use super::{Head, PageError, PageResult, render};
use crate::api::bills::Bill;
use crate::api::charges::{self, ChargeExplanation};
use crate::api::items::{Assignment, ChargeItem, Claim};
use crate::app::App;
use crate::session::Caller;
use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::response::{IntoResponse, Redirect};
use polymeter_domain::{
    Channel, ChargeId, CustomerId, MeterId, Money, PursePaymentId, ReadingCaseId,
};
use polymeter_service::{
    CaseKind, Direction, NewPayment, Page, ReadingCase, Right, ServiceError, SupplyCut, Why,
};
use serde::Deserialize;
use std::collections::HashMap;

const SHOWN: u32 = 20;

#[derive(Template)]
#[template(path = "purse.html")]
struct PursePage {
    head: Head,
    id: String,
    customer: CustomerView,
    state: Badge,
    balance: String,
    overdraft: String,
    below_since: String,
    currency: &'static str,
    channels: Vec<Named>,
    typed: PaymentForm,
    charges: Vec<ChargeRow>,
    payments: Vec<PaymentRow>,
    /// Refunds that wait for a second person: amount, by whom, why.
    waiting: Vec<(String, String, String)>,
    cuts: Vec<CutRow>,
    items: Vec<ChargeItem>,
    assignments: Vec<Assignment>,
    claims: Vec<Claim>,
    bills: Vec<Bill>,
    area: String,
    problem: String,
}

struct ChargeRow {
    id: String,
    at: String,
    serial: String,
    used: String,
    amount: String,
}

struct PaymentRow {
    at: String,
    channel: String,
    amount: String,
    balance: String,
    reason: String,
}

struct CutRow {
    at: String,
    meter: String,
    serial: String,
    state: Badge,
    detail: String,
}

#[derive(Template)]
#[template(path = "purse_confirm.html")]
struct ConfirmPage {
    head: Head,
    id: String,
    customer: CustomerView,
    is_in: bool,
    needs_second_person: bool,
    typed: PaymentForm,
    balance_after: String,
    currency: &'static str,
    payment_id: String,
}

#[derive(Template)]
#[template(path = "charge.html")]
struct ChargePage {
    head: Head,
    charge: charges::Charge,
    serial: String,
    used: String,
    at: String,
    parts: Vec<charges::ChargePart>,
    difference: Option<String>,
}

#[derive(Template)]
#[template(path = "cases.html")]
struct CasesPage {
    head: Head,
    cases: Vec<CaseRow>,
    problem: String,
}

struct CaseRow {
    id: String,
    meter: String,
    serial: String,
    word: &'static str,
    chinese: &'static str,
    detail: String,
    at: String,
    times: i64,
}

/// What was typed; the payment's own id comes with the confirmation.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PaymentForm {
    payment_id: String,
    amount: String,
    channel: String,
    direction: String,
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionForm {
    decision: String,
    #[serde(default)]
    used: String,
    reason: String,
}

fn parsed<T: std::str::FromStr>(text: &str) -> Result<T, PageError>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| PageError::unusable("Address", error))
}

impl PaymentForm {
    fn read(&self, app: &App, customer_id: CustomerId) -> Result<NewPayment, PageError> {
        let amount = Money::parse(self.amount.trim(), app.currency);
        Ok(NewPayment {
            customer_id,
            direction: if self.direction == "out" { Direction::Out } else { Direction::In },
            channel: Channel::from_name(&self.channel)
                .ok_or_else(|| PageError::unusable("By", "choose how it is paid"))?,
            amount: amount.map_err(|error| PageError::unusable("Amount", error))?,
            reason: self.reason.clone(),
        })
    }
}

/// The plates' numbers of the meters that are named, each asked for once.
async fn serials(
    app: &App,
    ids: impl Iterator<Item = MeterId>,
) -> Result<HashMap<MeterId, String>, ServiceError> {
    let mut serials = HashMap::new();
    for id in ids {
        if let std::collections::hash_map::Entry::Vacant(place) = serials.entry(id) {
            place.insert(app.service.meter(id).await?.serial_number);
        }
    }
    Ok(serials)
}

pub async fn show(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> PageResult {
    page(&app, &caller, parsed(&id)?, PaymentForm::default(), String::new()).await
}

async fn page(
    app: &App,
    caller: &Caller,
    id: CustomerId,
    typed: PaymentForm,
    problem: String,
) -> PageResult {
    let service = &app.service;
    let customer = service.customer(id).await?;
    let purse = service.purse(id).await?;
    let newest = Page { limit: SHOWN, ..Page::default() };
    let charged = service.charges_of(id, &newest).await?;
    let payments = service.purse_payments(id, &newest).await?;
    let cuts = service.supply_cuts(id).await?;
    let area = service.area(id).await?;
    let meters = charged.iter().map(|it| it.meter_id).chain(cuts.iter().map(|it| it.meter_id));
    let serials = serials(app, meters).await?;
    let mut waiting = Vec::new();
    for it in service.waiting_refunds(id).await? {
        let asked = super::acts::who(app, &it.operator).await?;
        waiting.push((it.amount.to_string(), asked, it.reason));
    }
    let is_cut = cuts.iter().any(|cut| cut.state == "cut");
    let state = match purse.balance.minor() {
        _ if is_cut => badge("bad", "Supply cut", "已停供"),
        minor if minor < 0 => badge("warn", "Below zero", "欠费"),
        _ => badge("good", "In credit", "正常"),
    };
    let at = |at| time(at, &app.time_zone);
    let charge_row = |it: &polymeter_service::Charge| ChargeRow {
        id: it.charge_id.to_string(),
        at: at(it.at),
        serial: serials.get(&it.meter_id).cloned().unwrap_or_default(),
        used: charges::used(it),
        amount: it.amount.to_string(),
    };
    Ok(render(&PursePage {
        head: Head::new(caller, "customers"),
        id: id.to_string(),
        customer: CustomerView::from(&customer),
        state,
        balance: purse.balance.to_string(),
        overdraft: service.overdraft(id).await?.to_string(),
        below_since: purse.below_since.map(at).unwrap_or_default(),
        currency: "CNY",
        channels: Channel::ALL.map(channel).to_vec(),
        typed,
        charges: charged.iter().map(charge_row).collect(),
        payments: payments
            .iter()
            .map(|it| PaymentRow {
                at: at(it.created_at),
                channel: format!("{} {}", channel(it.channel).word, channel(it.channel).chinese),
                amount: match it.direction {
                    Direction::In => it.amount.to_string(),
                    Direction::Out => format!("−{}", it.amount),
                },
                balance: it.balance_after.to_string(),
                reason: it.reason.clone(),
            })
            .collect(),
        waiting,
        cuts: cuts.iter().map(|cut| cut_row(cut, &serials, app)).collect(),
        items: service.items().await?.iter().map(ChargeItem::from).collect(),
        assignments: service.assignments(id).await?.iter().map(Assignment::from).collect(),
        claims: service.claims(id, &newest).await?.iter().map(Claim::from).collect(),
        bills: service.bills(Some(id), false, &newest).await?.iter().map(Bill::from).collect(),
        area: area.map(|it| format!("{}.{:02}", it / 100, it % 100)).unwrap_or_default(),
        problem,
    }))
}

fn cut_row(cut: &SupplyCut, serials: &HashMap<MeterId, String>, app: &App) -> CutRow {
    CutRow {
        at: time(cut.opened_at, &app.time_zone),
        meter: cut.meter_id.to_string(),
        serial: serials.get(&cut.meter_id).cloned().unwrap_or_default(),
        state: match cut.state.as_str() {
            "wanted" => badge("warn", "To be cut", "待停供"),
            "cut" => badge("bad", "Cut", "已停供"),
            "ending" => badge("busy", "To be restored", "待复电"),
            _ => badge("good", "Restored", "已复电"),
        },
        detail: cut.detail.clone(),
    }
}

/// The question before money is booked; the payment gets its id here, so that a second click is the
/// same payment.
pub async fn confirm(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(typed): Query<PaymentForm>,
) -> PageResult {
    let id: CustomerId = parsed(&id)?;
    let mut needs_second_person = false;
    let tried = match typed.read(&app, id) {
        Ok(new) => {
            needs_second_person = app.service.payment_takes_two(&new);
            app.service.try_payment(new).await.map_err(PageError::from)
        }
        Err(error) => Err(error),
    };
    let balance_after = match tried {
        Ok(balance) => balance.to_string(),
        Err(error) => return page(&app, &caller, id, typed, sentence(&error.detail)).await,
    };
    let customer = app.service.customer(id).await?;
    Ok(render(&ConfirmPage {
        head: Head::new(&caller, "customers"),
        id: id.to_string(),
        customer: CustomerView::from(&customer),
        is_in: typed.direction != "out",
        needs_second_person,
        typed,
        balance_after,
        currency: "CNY",
        payment_id: uuid::Uuid::now_v7().to_string(),
    }))
}

pub async fn pay(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Form(form): Form<PaymentForm>,
) -> PageResult {
    let id: CustomerId = parsed(&id)?;
    let payment_id: PursePaymentId = parsed(&form.payment_id)?;
    let back = format!("/customers/{id}/purse");
    let new = form.read(&app, id).map_err(|error| error.back_to(&back))?;
    if new.direction == Direction::Out && !caller.operator.may(Right::Refund) {
        return Ok(super::no_right(Right::Refund));
    }
    match app.service.pay_purse(payment_id, new, &caller.actor()).await {
        Ok(_) => Ok(Redirect::to(&back).into_response()),
        Err(error) => page(&app, &caller, id, form, sentence(&error.to_string())).await,
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverdraftForm {
    /// Empty: as the site.
    #[serde(default)]
    overdraft: String,
    reason: String,
}

pub async fn set_overdraft(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Form(form): Form<OverdraftForm>,
) -> PageResult {
    let id: CustomerId = parsed(&id)?;
    let allowance = match form.overdraft.trim() {
        "" => Ok(None),
        text => Money::parse(text, app.currency).map(Some),
    };
    let why = Why { reason: form.reason, application: None };
    let set = match allowance {
        Ok(allowance) => app
            .service
            .set_overdraft(id, allowance, why, &caller.actor())
            .await
            .map_err(|error| PageError::from(error).detail),
        Err(error) => Err(error.to_string()),
    };
    match set {
        Ok(_) => Ok(Redirect::to(&format!("/customers/{id}/purse")).into_response()),
        Err(why) => page(&app, &caller, id, PaymentForm::default(), sentence(&why)).await,
    }
}

pub async fn charge(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> PageResult {
    let explained = app.service.explain_charge(parsed::<ChargeId>(&id)?).await?;
    let meter = app.service.meter(explained.charge.meter_id).await?;
    let (at, used) = (explained.charge.at, charges::used(&explained.charge));
    let ChargeExplanation { charge, parts, difference, .. } = (&explained).into();
    Ok(render(&ChargePage {
        head: Head::new(&caller, "customers"),
        charge,
        serial: meter.serial_number,
        used,
        at: time(at, &app.time_zone),
        parts,
        difference,
    }))
}

/// Reads and charges now, from the meter's page.
pub async fn charge_now(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> PageResult {
    let back = format!("/meters/{id}");
    let outcome = app.service.charge_meter(parsed(&id)?, &caller.actor()).await;
    let outcome = outcome.map_err(|error| PageError::from(error).back_to(back.clone()))?;
    let to = match outcome {
        polymeter_service::ChargeOutcome::Charged(charge) => {
            app.service.tend_soon(charge.customer_id);
            format!("/customers/{}/purse", charge.customer_id)
        }
        polymeter_service::ChargeOutcome::Nothing(_) => back,
        polymeter_service::ChargeOutcome::Case(_) => "/reading-cases".to_owned(),
    };
    Ok(Redirect::to(&to).into_response())
}

pub async fn cases(State(app): State<App>, caller: Caller) -> PageResult {
    cases_page(&app, &caller, String::new()).await
}

async fn cases_page(app: &App, caller: &Caller, problem: String) -> PageResult {
    let open = app.service.open_cases(&Page { limit: 200, ..Page::default() }).await?;
    let serials = serials(app, open.iter().map(|case| case.meter_id)).await?;
    let row = |case: &ReadingCase| {
        let (word, chinese) = kind(case.kind);
        CaseRow {
            id: case.case_id.to_string(),
            meter: case.meter_id.to_string(),
            serial: serials.get(&case.meter_id).cloned().unwrap_or_default(),
            word,
            chinese,
            detail: sentence(&case.detail),
            at: time(case.last_at, &app.time_zone),
            times: case.times,
        }
    };
    let cases = open.iter().map(row).collect();
    Ok(render(&CasesPage { head: Head::new(caller, "cases"), cases, problem }))
}

fn kind(kind: CaseKind) -> (&'static str, &'static str) {
    match kind {
        CaseKind::NoRegister => ("No register", "无示数"),
        CaseKind::Invalid => ("Not a reading", "示数无效"),
        CaseKind::Estimated => ("Estimated", "估抄"),
        CaseKind::WentBack => ("Went back", "示数倒走"),
        CaseKind::Implausible => ("Too much", "用量突增"),
        CaseKind::OtherCustomer => ("Another customer", "户主变更"),
        CaseKind::NotCharged => ("No price", "无法计价"),
    }
}

pub async fn decide(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Form(form): Form<DecisionForm>,
) -> PageResult {
    let id: ReadingCaseId = parsed(&id)?;
    let used = Some(form.used.trim()).filter(|text| !text.is_empty());
    let decided = match charges::decision(&form.decision, used) {
        Ok(decision) => {
            let actor = caller.actor();
            let decided = app.service.decide_case(id, decision, &form.reason, &actor);
            decided.await.map_err(|error| error.to_string())
        }
        Err(error) => Err(error.detail),
    };
    match decided {
        Ok(_) => Ok(Redirect::to("/reading-cases").into_response()),
        Err(why) => cases_page(&app, &caller, sentence(&why)).await,
    }
}
