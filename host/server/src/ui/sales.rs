//! Selling: preview, confirm, and watching the sale until it is settled.
//!
//! Invariant: the sale's id is made when the confirm box is rendered, so that sending the same box
//! twice is one sale.

use super::books::{self, EntryRow};
use super::meters::id;
use super::token_entries::EntryView;
use super::view::{self, Badge, MeterView, Named};
use super::{Head, PageError, PageResult, is_fragment, render};
use crate::app::App;
use crate::arithmetic::{self, ArithmeticLine};
use crate::session::Caller;
use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect};
use polymeter_domain::sale::Decision;
use polymeter_domain::tariff::Bought;
use polymeter_domain::{Channel, Deductions, MeterId, Money, Sale, SaleId};
use polymeter_runtime::Meaning;
use polymeter_service::{Meter, Priced, SaleRequest, SaleView};
use serde::Deserialize;

/// A delivery begins at once; a sale that is reserved for longer than this is waiting for somebody.
const RESERVED_MS_MAX: i64 = 3_000;

#[derive(Template)]
#[template(path = "sale_preview.html")]
struct Preview {
    quote: Option<Quote>,
    problem: String,
}

/// What an amount buys, and why.
#[derive(Debug)]
struct Quote {
    paid: String,
    currency: String,
    /// "96.153 kWh", "at least 96.153 kWh".
    buys: String,
    plan: String,
    lines: Vec<ArithmeticLine>,
    /// What of it buys nothing and what is given on top, in a sentence; empty where the whole buys.
    deductions: String,
    /// Empty: nothing is given on top.
    gift: String,
}

#[derive(Template)]
#[template(path = "sale_confirm.html")]
struct ConfirmPage {
    head: Head,
    meter: MeterView,
    quote: Quote,
    sale_id: String,
    channels: [Named; 6],
    /// Whether this site gives credit free.
    gives: bool,
}

#[derive(Template)]
#[template(path = "sale.html")]
struct SalePage {
    head: Head,
    sale: SaleState,
}

#[derive(Template)]
#[template(path = "sale_state.html")]
struct SalePart {
    sale: SaleState,
}

#[derive(Template)]
#[template(path = "sale_decision.html")]
struct DecisionPage {
    head: Head,
    sale: SaleState,
    error: String,
}

/// All that the live part of the page shows.
#[derive(Debug)]
struct SaleState {
    id: String,
    meter_id: String,
    serial_number: String,
    vendor: String,
    customer_number: String,
    customer_name: String,
    paid: String,
    currency: String,
    channel: Named,
    deductions: String,
    /// The customer's receipt; empty until there is one.
    receipt: String,
    buys: String,
    plan: String,
    state: Badge,
    /// What it means and what to do, in a sentence.
    meaning: String,
    is_settled: bool,
    /// Confirmed, and nothing takes it back.
    can_be_taken_back: bool,
    /// The act that takes it back, or asks to; empty where there is none.
    taken_back: String,
    taken_back_word: String,
    is_unresolved: bool,
    /// Reserved, and nothing is under way.
    is_stuck: bool,
    /// Changes whenever the shown part changes.
    version: String,
    /// What the customer types into the meter, in groups of four; empty where the device took it.
    tokens: Vec<String>,
    /// Over the meter's line, where that has one.
    entry: Option<EntryView>,
    is_entering: bool,
    is_entered: bool,
    /// What the meter adds then.
    on_token: String,
    count: String,
    balance: String,
    /// The device's own code in a refusal; empty where it gave none.
    device_code: String,
    /// What its driver says that the code means.
    meaning_of_code: Option<Meaning>,
    history: Vec<Step>,
    entries: Vec<EntryRow>,
}

#[derive(Debug)]
struct Step {
    at: String,
    state: Badge,
    detail: String,
}

fn quote(priced: &Priced) -> Quote {
    let (bought, version) = (&priced.bought, &priced.in_force.version);
    Quote {
        paid: priced.paid.to_string(),
        currency: bought.paid.currency().code().to_owned(),
        buys: buys(bought),
        plan: format!("{}, version {}", priced.in_force.plan_name, version.number),
        lines: {
            let mut lines = arithmetic::of_deductions(priced.paid, &priced.deductions);
            lines.extend(arithmetic::of_purchase(bought, priced.on));
            lines
        },
        deductions: deductions(priced.paid, &priced.deductions),
        gift: match priced.deductions.gift.minor() {
            0 => String::new(),
            _ => priced.deductions.gift.to_string(),
        },
    }
}

/// "less arrears 补缴欠费 15.00 CNY, given on top 赠送 5.00 CNY".
fn deductions(paid: Money, of: &Deductions) -> String {
    let parts = arithmetic::of_deductions(paid, of);
    let parts = parts
        .iter()
        .skip(1)
        .map(|it| format!("{} {} {}", it.label.to_lowercase(), it.chinese, it.text));
    parts.collect::<Vec<_>>().join(", ")
}

fn buys(bought: &Bought) -> String {
    let least = if bought.is_least { "at least " } else { "" };
    format!("{least}{}", arithmetic::amount(bought.billed, bought.tariff.commodity()))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amount {
    #[serde(default)]
    paid: String,
    /// Credit given free on top.
    #[serde(default)]
    gift: String,
}

/// What the typed amount would buy. `Err` is a sentence for the person who typed.
async fn price_it(app: &App, meter: &Meter, typed: &Amount) -> Result<Quote, String> {
    let amount = |text: &str| {
        Money::parse(text.trim(), app.currency).map_err(|error| view::sentence(&error.to_string()))
    };
    let paid = amount(&typed.paid)?;
    if paid.minor() <= 0 {
        return Err("The amount must be above zero.".to_owned());
    }
    let gift = if typed.gift.trim().is_empty() { None } else { Some(amount(&typed.gift)?) };
    let request = SaleRequest { gift, ..SaleRequest::new(meter.meter_id, paid) };
    match app.service.quote_sale(&request).await {
        Ok(priced) => Ok(quote(&priced)),
        Err(error) => Err(PageError::from(error).detail),
    }
}

pub async fn preview(
    State(app): State<App>,
    Path(meter): Path<String>,
    Query(amount): Query<Amount>,
) -> PageResult {
    let meter = app.service.meter(id(&meter)?).await?;
    if amount.paid.trim().is_empty() {
        return Ok(render(&Preview { quote: None, problem: String::new() }));
    }
    Ok(render(&match price_it(&app, &meter, &amount).await {
        Ok(quote) => Preview { quote: Some(quote), problem: String::new() },
        Err(problem) => Preview { quote: None, problem },
    }))
}

pub async fn confirm(
    State(app): State<App>,
    caller: Caller,
    Path(meter): Path<String>,
    Query(amount): Query<Amount>,
) -> PageResult {
    let meter = app.service.meter(id(&meter)?).await?;
    let back = format!("/meters/{}", meter.meter_id);
    let quote = price_it(&app, &meter, &amount)
        .await
        .map_err(|why| PageError::unusable("Amount", why).back_to(back))?;
    Ok(render(&ConfirmPage {
        head: Head::new(&caller, "meters"),
        meter: MeterView::new(&meter, &app),
        quote,
        sale_id: uuid::Uuid::now_v7().to_string(),
        channels: Channel::ALL.map(view::channel),
        gives: app.service.rules().gift_max.is_some(),
    }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SellForm {
    meter_id: String,
    paid: String,
    channel: String,
    #[serde(default)]
    gift: String,
}

pub async fn sell(
    State(app): State<App>,
    caller: Caller,
    Path(sale): Path<String>,
    Form(form): Form<SellForm>,
) -> PageResult {
    let sale: SaleId = id(&sale)?;
    let meter_id: MeterId = id(&form.meter_id)?;
    let back = format!("/meters/{meter_id}");
    let paid = Money::parse(&form.paid, app.currency)
        .map_err(|error| PageError::unusable("Amount", error).back_to(&*back))?;
    let Some(channel) = Channel::from_name(&form.channel) else {
        let why = "choose how it was paid";
        return Err(PageError::unusable("Payment", why).back_to(back));
    };
    let gift = match form.gift.trim() {
        "" => None,
        text => Some(
            Money::parse(text, app.currency)
                .map_err(|error| PageError::unusable("Gift", error).back_to(&*back))?,
        ),
    };
    let request = SaleRequest { meter_id, paid, channel, gift };
    match app.service.put_sale(sale, request, &caller.actor()).await {
        Ok(_) => Ok(Redirect::to(&format!("/sales/{sale}")).into_response()),
        Err(error) => Err(PageError::from(error).back_to(back)),
    }
}

pub async fn show(State(app): State<App>, caller: Caller, Path(sale): Path<String>) -> PageResult {
    let sale = app.service.sale(id(&sale)?).await?;
    let sale = state_of(&app, &sale).await?;
    Ok(render(&SalePage { head: Head::new(&caller, "meters"), sale }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    #[serde(default)]
    seen: String,
}

/// The live part. No content while nothing has changed, so that focus and screen readers stay calm.
pub async fn state(
    State(app): State<App>,
    Path(sale): Path<String>,
    Query(seen): Query<Seen>,
) -> PageResult {
    let sale = app.service.sale(id(&sale)?).await?;
    let sale = state_of(&app, &sale).await?;
    if sale.version == seen.seen {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Ok(render(&SalePart { sale }))
}

pub async fn deliver(
    State(app): State<App>,
    caller: Caller,
    Path(sale): Path<String>,
    headers: HeaderMap,
) -> PageResult {
    let sale: SaleId = id(&sale)?;
    let done = app.service.deliver_sale(sale, &caller.actor()).await;
    after(&app, sale, done, &headers).await
}

pub async fn cancel(
    State(app): State<App>,
    caller: Caller,
    Path(sale): Path<String>,
    headers: HeaderMap,
) -> PageResult {
    let sale: SaleId = id(&sale)?;
    let done = app.service.cancel_sale(sale, &caller.actor()).await;
    after(&app, sale, done, &headers).await
}

pub async fn reconcile(
    State(app): State<App>,
    caller: Caller,
    Path(sale): Path<String>,
    headers: HeaderMap,
) -> PageResult {
    let sale: SaleId = id(&sale)?;
    let done = app.service.reconcile_sale(sale, &caller.actor()).await;
    after(&app, sale, done, &headers).await
}

/// Back to the sale, as a part or as a whole page.
async fn after(
    app: &App,
    sale: SaleId,
    done: Result<SaleView, polymeter_service::ServiceError>,
    headers: &HeaderMap,
) -> PageResult {
    let back = format!("/sales/{sale}");
    match done {
        Ok(view) if is_fragment(headers) => {
            Ok(render(&SalePart { sale: state_of(app, &view).await? }))
        }
        Ok(_) => Ok(Redirect::to(&back).into_response()),
        Err(error) if is_fragment(headers) => {
            let mut sale = state_of(app, &app.service.sale(sale).await?).await?;
            sale.meaning = format!("{} {}", PageError::from(error).detail, sale.meaning);
            Ok(render(&SalePart { sale }))
        }
        Err(error) => Err(PageError::from(error).back_to(back)),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionForm {
    #[serde(default)]
    applied: String,
    reason: String,
}

pub async fn decision_form(
    State(app): State<App>,
    caller: Caller,
    Path(sale): Path<String>,
) -> PageResult {
    decision_page(&app, &caller, id(&sale)?, String::new()).await
}

async fn decision_page(app: &App, caller: &Caller, sale: SaleId, error: String) -> PageResult {
    let sale = state_of(app, &app.service.sale(sale).await?).await?;
    Ok(render(&DecisionPage { head: Head::new(caller, "meters"), sale, error }))
}

pub async fn decide(
    State(app): State<App>,
    caller: Caller,
    Path(sale): Path<String>,
    Form(form): Form<DecisionForm>,
) -> PageResult {
    let sale: SaleId = id(&sale)?;
    let decision = match form.applied.as_str() {
        "yes" => Decision::Applied,
        "no" => Decision::NotApplied,
        _ => {
            let error = "Say whether the meter took the credit.".to_owned();
            return decision_page(&app, &caller, sale, error).await;
        }
    };
    match app.service.decide_sale(sale, decision, &form.reason, &caller.actor()).await {
        Ok(_) => Ok(Redirect::to(&format!("/sales/{sale}")).into_response()),
        Err(error) => decision_page(&app, &caller, sale, PageError::from(error).detail).await,
    }
}

async fn state_of(app: &App, sale: &SaleView) -> Result<SaleState, PageError> {
    let meter = app.service.meter(sale.meter_id).await?;
    let customer = app.service.customer(sale.customer_id).await?;
    let zone = &app.time_zone;
    let (now, last) = (jiff::Timestamp::now().as_millisecond(), sale.history.last());
    let is_stuck = sale.state == Sale::Reserved
        && last.is_some_and(|event| now - event.at.0 > RESERVED_MS_MAX);
    let (count, balance) = match &sale.state {
        Sale::Confirmed(receipt) => (
            receipt.count.to_string(),
            receipt.balance.map(|balance| view::credit(balance, app)).unwrap_or_default(),
        ),
        Sale::Dispatched(asked) | Sale::Unresolved(asked) => {
            (asked.count.to_string(), String::new())
        }
        Sale::Quoted | Sale::Reserved | Sale::Refused(_) | Sale::Cancelled => Default::default(),
    };
    let entry = sale.token.as_ref().and_then(|it| it.entry.as_ref()).map(EntryView::from);
    let entered = entry.as_ref().map_or("", |it| it.state.word);
    let act = app.service.act_of_sale(sale.sale_id).await?;
    let version = app.service.tariff_version(sale.tariff_version_id).await?;
    let plan = format!("{}, version {}", version.plan_name, version.version.number);
    Ok(SaleState {
        id: sale.sale_id.to_string(),
        meter_id: sale.meter_id.to_string(),
        serial_number: meter.serial_number,
        vendor: meter.vendor.to_string(),
        customer_number: customer.number.to_string(),
        customer_name: customer.name,
        paid: sale.paid.to_string(),
        currency: sale.paid.currency().code().to_owned(),
        channel: view::channel(sale.channel),
        deductions: deductions(sale.paid, &sale.deductions),
        tokens: sale.token.as_ref().map(|it| it.digits.grouped()).unwrap_or_default(),
        is_entering: entry.as_ref().is_some_and(|it| it.is_under_way),
        is_entered: entry.as_ref().is_some_and(|it| it.is_entered),
        entry,
        on_token: sale.token.as_ref().map(|it| view::credit(it.credit, app)).unwrap_or_default(),
        receipt: sale.receipt.map(|number| number.to_string()).unwrap_or_default(),
        buys: arithmetic::amount(sale.bought, sale.commodity),
        plan,
        state: view::sale(&sale.state),
        meaning: match sale.token {
            Some(_) => TOKEN_MADE.to_owned(),
            None => meaning(&sale.state, is_stuck),
        },
        is_settled: sale.state.is_settled(),
        can_be_taken_back: matches!(sale.state, Sale::Confirmed(_)) && act.is_none(),
        taken_back: act.as_ref().map(|act| act.act_id.to_string()).unwrap_or_default(),
        taken_back_word: act
            .map(|act| format!("{}: {}", act.kind.name(), act.state.name()))
            .unwrap_or_default(),
        is_unresolved: matches!(sale.state, Sale::Unresolved(_)),
        is_stuck,
        version: format!("{}-{}-{is_stuck}-{entered}", sale.history.len(), sale.state.name()),
        count,
        balance,
        device_code: match &sale.state {
            Sale::Refused(refusal) => refusal.device_code.clone().unwrap_or_default(),
            _ => String::new(),
        },
        meaning_of_code: sale.meaning.clone(),
        history: sale
            .history
            .iter()
            .map(|event| Step {
                at: view::time(event.at, zone),
                state: view::sale_by_name(event.state),
                detail: event.detail.clone(),
            })
            .collect(),
        entries: books::rows(app, &sale.entries).await?,
    })
}

/// A confirmed sale of a token: nobody says that the meter has it.
const TOKEN_MADE: &str = "The token is made. Its credit counts once the meter has it.";

fn meaning(state: &Sale, is_stuck: bool) -> String {
    match state {
        Sale::Quoted => "Priced; no money has moved.".to_owned(),
        Sale::Reserved if is_stuck => {
            "Nothing reached the meter. The money is reserved: deliver it \
             again, or cancel and give the money back."
                .to_owned()
        }
        Sale::Reserved => "The money is reserved; the meter is about to be asked.".to_owned(),
        Sale::Dispatched(_) => "On its way to the meter. Please wait.".to_owned(),
        Sale::Confirmed(_) => "The meter has taken the credit.".to_owned(),
        Sale::Refused(refusal) => {
            let why = view::sentence(&refusal.detail);
            format!("The meter did not take it: {why} Give the money back.")
        }
        Sale::Unresolved(_) => "Nobody knows yet whether the meter took the credit. Do not sell \
             again: ask the meter for its own record."
            .to_owned(),
        Sale::Cancelled => "Nothing was sent. Give the money back.".to_owned(),
    }
}
