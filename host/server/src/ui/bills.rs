//! Bills: those that are to be paid, a period's draft and its confirmation, charge items, one bill.

use super::view::{Badge, CustomerView, Named, badge, channel, sentence, time};
use super::{Head, PageError, PageResult, render};
use crate::api::allocations::Allocation;
use crate::api::bills::{Bill, PeriodRun, WholeBill, whole};
use crate::api::items::{self, ChargeItem, NewChargeItem};
use crate::app::App;
use crate::session::Caller;
use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::response::{IntoResponse, Redirect};
use polymeter_domain::tariff::Date;
use polymeter_domain::{BillId, BillPaymentId, Channel, ChargeItemId, CustomerId, Money};
use polymeter_service::{BillState, NewBillPayment, Page};
use serde::Deserialize;
use std::collections::HashMap;

const SHOWN: u32 = 100;

#[derive(Template)]
#[template(path = "billing.html")]
struct BillingPage {
    head: Head,
    bills: Vec<Row>,
    is_open: bool,
    items: Vec<ChargeItem>,
    allocations: Vec<Allocation>,
    draft: Option<PeriodRun>,
    /// Of the draft's customers.
    names: HashMap<String, String>,
    from: String,
    to: String,
    currency: &'static str,
    problem: String,
}

impl BillingPage {
    fn name(&self, id: &str) -> &str {
        self.names.get(id).map_or("", String::as_str)
    }
}

struct Row {
    bill: Bill,
    customer: String,
    state: Badge,
}

#[derive(Template)]
#[template(path = "bill.html")]
struct BillPage {
    head: Head,
    whole: WholeBill,
    customer: CustomerView,
    state: Badge,
    /// When, by which channel, how much.
    payments: Vec<(String, Named, String)>,
    channels: Vec<Named>,
    payment_id: String,
    problem: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wanted {
    from: String,
    to: String,
    all: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeriodForm {
    from: String,
    to: String,
    total: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemForm {
    name: String,
    amount: String,
    basis: String,
    every: String,
    paid_from: String,
    #[serde(default)]
    cuts_supply: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaymentForm {
    payment_id: String,
    amount: String,
    channel: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReasonForm {
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssignForm {
    #[serde(default)]
    charge_item_id: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    area: String,
}

fn state(state: BillState) -> Badge {
    match state {
        BillState::Open => badge("busy", "To be paid", "未缴"),
        BillState::Overdue => badge("bad", "Overdue", "欠费"),
        BillState::Paid => badge("good", "Paid", "已缴"),
        BillState::TakenBack => badge("calm", "Taken back", "已红冲"),
        BillState::Contra => badge("calm", "Contra", "红冲"),
    }
}

fn parsed<T: std::str::FromStr>(what: &str, text: &str) -> Result<T, PageError>
where
    T::Err: std::fmt::Display,
{
    text.trim().parse().map_err(|error| PageError::unusable(what, error))
}

pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> PageResult {
    page(&app, &caller, wanted, String::new()).await
}

async fn page(app: &App, caller: &Caller, wanted: Wanted, mut problem: String) -> PageResult {
    let service = &app.service;
    let is_open = wanted.all.is_empty();
    let newest = Page { limit: SHOWN, ..Page::default() };
    let mut bills = Vec::new();
    for bill in service.bills(None, is_open, &newest).await? {
        let who = service.customer(bill.customer_id).await?;
        bills.push(Row {
            customer: format!("{} {}", who.number, who.name),
            state: state(bill.state),
            bill: (&bill).into(),
        });
    }
    let (mut draft, mut names) = (None, HashMap::new());
    if !wanted.from.is_empty() && !wanted.to.is_empty() {
        match draft_of(app, &wanted).await {
            Ok(run) => draft = Some(run),
            Err(error) => problem = sentence(&error.detail),
        }
    }
    for it in draft.iter().flat_map(|run| &run.drafts) {
        let who = service.customer(parsed("Customer", &it.customer_id)?).await?;
        names.insert(it.customer_id.clone(), format!("{} {}", who.number, who.name));
    }
    Ok(render(&BillingPage {
        head: Head::new(caller, "billing"),
        bills,
        is_open,
        items: service.items().await?.iter().map(ChargeItem::from).collect(),
        allocations: service.allocations().await?.iter().map(Allocation::from).collect(),
        draft,
        names,
        from: wanted.from,
        to: wanted.to,
        currency: "CNY",
        problem,
    }))
}

async fn draft_of(app: &App, wanted: &Wanted) -> Result<PeriodRun, PageError> {
    let from: Date = parsed("First day", &wanted.from)?;
    let to: Date = parsed("First day after it", &wanted.to)?;
    Ok((&app.service.draft_period(from, to).await?).into())
}

pub async fn confirm(
    State(app): State<App>,
    caller: Caller,
    Form(form): Form<PeriodForm>,
) -> PageResult {
    let (from, to) = (parsed("First day", &form.from)?, parsed("First day after it", &form.to)?);
    let total = Money::parse(form.total.trim(), app.currency);
    let total = total.map_err(|error| PageError::unusable("Total", error))?;
    match app.service.bill_period(from, to, total, &caller.actor()).await {
        Ok(_) => Ok(Redirect::to("/billing").into_response()),
        Err(error) => page(&app, &caller, Wanted::default(), sentence(&error.to_string())).await,
    }
}

pub async fn add_item(
    State(app): State<App>,
    caller: Caller,
    Form(form): Form<ItemForm>,
) -> PageResult {
    let ItemForm { name, amount, basis, every, paid_from, cuts_supply } = form;
    let cuts_supply = !cuts_supply.is_empty();
    let new = NewChargeItem { name, basis, amount, every, paid_from, cuts_supply };
    let added = match new.read(&app) {
        Ok(new) => app.service.add_item(new, &caller.actor()).await.map_err(|it| it.to_string()),
        Err(error) => Err(error.detail),
    };
    match added {
        Ok(_) => Ok(Redirect::to("/billing").into_response()),
        Err(why) => page(&app, &caller, Wanted::default(), sentence(&why)).await,
    }
}

pub async fn show(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> PageResult {
    bill_page(&app, &caller, parsed("Address", &id)?, String::new()).await
}

async fn bill_page(app: &App, caller: &Caller, id: BillId, problem: String) -> PageResult {
    let bill = app.service.bill(id).await?;
    let customer = app.service.customer(bill.customer_id).await?;
    let payments = app.service.bill_payments(id).await?;
    let payment = |it: &polymeter_service::BillPayment| {
        (time(it.created_at, &app.time_zone), channel(it.channel), it.amount.to_string())
    };
    let payments = payments.iter().map(payment).collect();
    let whole = whole(app, id).await.map_err(|error| PageError::unusable("Bill", error.detail))?;
    Ok(render(&BillPage {
        head: Head::new(caller, "billing"),
        whole,
        customer: CustomerView::from(&customer),
        state: state(bill.state),
        payments,
        channels: Channel::ALL.map(channel).to_vec(),
        payment_id: uuid::Uuid::now_v7().to_string(),
        problem,
    }))
}

pub async fn pay(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Form(form): Form<PaymentForm>,
) -> PageResult {
    let bill_id: BillId = parsed("Address", &id)?;
    let payment: BillPaymentId = parsed("Payment", &form.payment_id)?;
    let amount = match Money::parse(form.amount.trim(), app.currency) {
        Ok(amount) => amount,
        Err(error) => return bill_page(&app, &caller, bill_id, sentence(&error.to_string())).await,
    };
    let by = Channel::from_name(&form.channel);
    let channel = by.ok_or_else(|| PageError::unusable("By", "choose how it is paid"))?;
    let new = NewBillPayment { bill_id, channel, amount };
    match app.service.pay_bill(payment, new, &caller.actor()).await {
        Ok(_) => Ok(Redirect::to(&format!("/bills/{bill_id}")).into_response()),
        Err(error) => bill_page(&app, &caller, bill_id, sentence(&error.to_string())).await,
    }
}

pub async fn take_back(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Form(form): Form<ReasonForm>,
) -> PageResult {
    let id: BillId = parsed("Address", &id)?;
    match app.service.take_bill_back(id, &form.reason, &caller.actor()).await {
        Ok(contra) => Ok(Redirect::to(&format!("/bills/{}", contra.bill_id)).into_response()),
        Err(error) => bill_page(&app, &caller, id, sentence(&error.to_string())).await,
    }
}

/// Gives a customer an item, or an area; from the page of the purse.
pub async fn assign(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Form(form): Form<AssignForm>,
) -> PageResult {
    let id: CustomerId = parsed("Address", &id)?;
    let back = format!("/customers/{id}/purse");
    let wrong = |error: PageError| error.back_to(back.clone());
    if !form.area.trim().is_empty() {
        let area = items::hundredths(&form.area);
        let area = area.map_err(|error| wrong(PageError::unusable("Area", error.detail)))?;
        let set = app.service.set_area(id, area, &caller.actor()).await;
        set.map_err(|error| wrong(error.into()))?;
    }
    if !form.charge_item_id.is_empty() {
        let item: ChargeItemId = parsed("Item", &form.charge_item_id).map_err(wrong)?;
        let from = match form.from.trim() {
            "" => None,
            text => Some(parsed("From", text).map_err(wrong)?),
        };
        let given = app.service.assign_item(id, item, from, &caller.actor()).await;
        given.map_err(|error| wrong(error.into()))?;
    }
    Ok(Redirect::to(&back).into_response())
}
