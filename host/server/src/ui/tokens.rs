//! Tokens (充值码) of one meter on pages: all that it had, one with its digits and on paper, and
//! ordering one that is no sale.
//!
//! Invariant: an order's id is made when its form is drawn, so that sending the same form twice is one
//! token. Not here: selling, whose tokens are printed by their receipt (sales, receipts).

use super::meters::id;
use super::parameters::{self, Again, ByName, Field};
use super::token_entries::{self, EntryView};
use super::view::{self, Badge, Named};
use super::{Head, PageError, PageResult, acts, render};
use crate::api::values;
use crate::app::App;
use crate::session::Caller;
use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::response::{IntoResponse, Redirect};
use polymeter_domain::{TokenKind, TokenOrderId};
use polymeter_service::{EntryState, Home, Meter, NewTokenOrder, Page, TokenRecord, TokenState};
use serde::Deserialize;
use uuid::Uuid;

/// On the meter's page, and on a page of their own.
pub const RECENT: u32 = 10;
const SHOWN: u32 = 50;

/// Those that are ordered and not sold, the harmless ones first.
const ORDERED: [TokenKind; 6] = [
    TokenKind::MaxPower,
    TokenKind::MaxPhaseUnbalance,
    TokenKind::TariffRate,
    TokenKind::ClearTamper,
    TokenKind::ClearCredit,
    TokenKind::KeyChange,
];

#[derive(Template)]
#[template(path = "tokens.html")]
struct TokensPage {
    head: Head,
    meter_id: String,
    serial_number: String,
    tokens: Vec<TokenRow>,
    orders: Vec<Named>,
    older: Option<String>,
}

#[derive(Template)]
#[template(path = "token.html")]
struct TokenPage {
    head: Head,
    token: TokenRow,
    serial_number: String,
    meaning: &'static str,
    /// It stopped on its way, and nobody has to agree first.
    is_stuck: bool,
    can_be_cancelled: bool,
    /// The meter through which it is entered; empty: it is typed.
    through: String,
    /// It has digits, a way, and is not in the meter yet.
    can_be_entered: bool,
    problem: String,
}

#[derive(Template)]
#[template(path = "token_print.html")]
struct PaperPage {
    token: TokenRow,
    serial_number: String,
    address: String,
    customer: String,
    premises: String,
}

#[derive(Template)]
#[template(path = "token_new.html")]
struct NewPage {
    head: Head,
    meter_id: String,
    serial_number: String,
    kind: Named,
    effect: &'static str,
    /// What its value is, Chinese, and what to type; `None`: it takes none.
    value: Option<(&'static str, &'static str, &'static str)>,
    is_risky: bool,
    key: String,
    typed_value: String,
    reason: String,
    /// What a key change brings.
    parameters: Vec<Field>,
    problem: String,
}

/// One token, as a line of a table and as a page of its own.
#[derive(Debug)]
pub struct TokenRow {
    pub id: String,
    pub meter_id: String,
    pub sale_id: String,
    pub kind: Named,
    /// "6000 W", "base-date 2014".
    pub says: String,
    pub state: Badge,
    /// Each in groups of four.
    pub digits: Vec<String>,
    /// Over the meter's line, where that has one.
    pub entry: Option<EntryView>,
    pub number: String,
    pub reason: String,
    pub who: String,
    pub at: String,
}

impl TokenRow {
    pub async fn new(it: &TokenRecord, app: &App) -> Result<TokenRow, PageError> {
        Ok(TokenRow {
            id: it.token_order_id.to_string(),
            meter_id: it.meter_id.to_string(),
            sale_id: it.sale_id.map(|id| id.to_string()).unwrap_or_default(),
            kind: kind(it.order.kind),
            says: says(it, app),
            state: state(it.state),
            digits: it.digits.as_ref().map(|digits| digits.grouped()).unwrap_or_default(),
            entry: it.entry.as_ref().map(EntryView::from),
            number: it.identifier.map(|number| number.to_string()).unwrap_or_default(),
            reason: it.reason.clone(),
            who: acts::who(app, &it.operator).await?,
            at: view::time(it.created_at, &app.time_zone),
        })
    }
}

pub fn kind(kind: TokenKind) -> Named {
    let word = match kind {
        TokenKind::Credit => "Credit",
        TokenKind::ClearCredit => "Clear the credit",
        TokenKind::MaxPower => "Limit the power",
        TokenKind::TariffRate => "Tariff rate",
        TokenKind::ClearTamper => "Clear tampering",
        TokenKind::MaxPhaseUnbalance => "Limit the unbalance",
        TokenKind::Test => "Test",
        TokenKind::KeyChange => "Change the key",
    };
    Named { name: kind.name(), word, chinese: kind.chinese() }
}

/// What the contract says of each kind's value (`wit/1.1.0/token.wit`).
fn says(it: &TokenRecord, app: &App) -> String {
    let value = it.order.value;
    match it.order.kind {
        TokenKind::Credit => {
            it.order.credit.map(|credit| view::credit(credit, app)).unwrap_or_default()
        }
        TokenKind::ClearCredit if value == ALL_REGISTERS => "all registers".to_owned(),
        TokenKind::ClearCredit => format!("register {value}"),
        TokenKind::MaxPower | TokenKind::MaxPhaseUnbalance => format!("{value} W"),
        TokenKind::TariffRate | TokenKind::Test => value.to_string(),
        TokenKind::ClearTamper => String::new(),
        TokenKind::KeyChange => {
            let change = it.order.change.iter();
            let change = change.map(|(name, value)| format!("{name} {}", values::text(value)));
            change.collect::<Vec<_>>().join(", ")
        }
    }
}

const ALL_REGISTERS: u64 = 65_535;

pub fn state(state: TokenState) -> Badge {
    match state {
        TokenState::Waiting => view::badge("warn", "Waits for a second person", "待复核"),
        TokenState::Approved => view::badge("busy", "Agreed", "已复核"),
        TokenState::Ordered => view::badge("busy", "Under way", "处理中"),
        TokenState::Issued => view::badge("good", "Issued", "已生成"),
        TokenState::Cancelled => view::badge("calm", "Cancelled", "已取消"),
    }
}

fn meaning(it: &TokenRecord) -> &'static str {
    let entry = it.entry.as_ref().map(|entry| entry.state);
    match it.state {
        TokenState::Waiting => "No digits are made before another operator agrees.",
        TokenState::Approved | TokenState::Ordered => {
            "Its digits could not be made yet. Mend what is in the way, then go on."
        }
        TokenState::Issued => match entry {
            Some(EntryState::Entered) => "The meter has taken it.",
            Some(EntryState::Waiting | EntryState::Asked) => {
                "It goes to the meter over its line. Whoever is faster may type it in."
            }
            Some(EntryState::Refused) => "The meter refused it on its line. Look at the meter.",
            Some(EntryState::Withdrawn) | None => "Type the digits into the meter.",
        },
        TokenState::Cancelled => "No digits were made, and none will be.",
    }
}

/// What can be ordered for a meter.
pub fn orders() -> Vec<Named> {
    ORDERED.map(kind).to_vec()
}

/// The newest ones of a meter, as many as `limit`.
pub async fn rows(
    app: &App,
    meter: &Meter,
    after: Option<String>,
    limit: u32,
) -> Result<Vec<TokenRow>, PageError> {
    let page = Page { query: None, after, limit };
    let mut rows = Vec::new();
    for it in app.service.token_orders(meter.meter_id, &page).await? {
        rows.push(TokenRow::new(&it, app).await?);
    }
    Ok(rows)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Which {
    after: Option<String>,
}

pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(meter): Path<String>,
    Query(which): Query<Which>,
) -> PageResult {
    let meter = app.service.meter(id(&meter)?).await?;
    let tokens = rows(&app, &meter, which.after, SHOWN).await?;
    let is_cut = u32::try_from(tokens.len()).is_ok_and(|length| length >= SHOWN);
    Ok(render(&TokensPage {
        head: Head::new(&caller, "meters"),
        meter_id: meter.meter_id.to_string(),
        serial_number: meter.serial_number,
        older: tokens.last().filter(|_| is_cut).map(|it| it.id.clone()),
        tokens,
        orders: orders(),
    }))
}

pub async fn show(State(app): State<App>, caller: Caller, Path(order): Path<String>) -> PageResult {
    page(&app, &caller, id(&order)?, String::new()).await
}

pub async fn page(app: &App, caller: &Caller, id: TokenOrderId, problem: String) -> PageResult {
    let it = app.service.token_order(id).await?;
    let meter = app.service.meter(it.meter_id).await?;
    let is_stuck = matches!(it.state, TokenState::Approved | TokenState::Ordered);
    let is_ours = it.sale_id.is_none();
    let through = token_entries::through(app, &meter).await?;
    let token = TokenRow::new(&it, app).await?;
    let is_in = token.entry.as_ref().is_some_and(|entry| !entry.can_be_tried);
    Ok(render(&TokenPage {
        head: Head::new(caller, "meters"),
        can_be_entered: it.digits.is_some() && !through.is_empty() && !is_in,
        token,
        through,
        serial_number: meter.serial_number,
        meaning: meaning(&it),
        is_stuck: is_stuck && is_ours,
        can_be_cancelled: is_ours && (is_stuck || it.state == TokenState::Waiting),
        problem,
    }))
}

/// What whoever goes to the meter takes along. What is not issued has no digits and no paper.
pub async fn paper(State(app): State<App>, Path(order): Path<String>) -> PageResult {
    let it = app.service.token_order(id(&order)?).await?;
    if it.digits.is_none() || it.sale_id.is_some() {
        let back = format!("/token-orders/{}", it.token_order_id);
        return Err(PageError::unusable("Print", "it has no digits to print").back_to(back));
    }
    let meter = app.service.meter(it.meter_id).await?;
    let customer = meter.customer.as_ref();
    Ok(render(&PaperPage {
        token: TokenRow::new(&it, &app).await?,
        address: meter.address.to_string(),
        customer: customer.map(|it| format!("{} {}", it.number, it.name)).unwrap_or_default(),
        premises: customer.map(|it| it.premises.clone()).unwrap_or_default(),
        serial_number: meter.serial_number,
    }))
}

fn ordered(name: &str) -> Result<TokenKind, PageError> {
    let found = TokenKind::from_name(name).filter(|kind| ORDERED.contains(kind));
    found.ok_or_else(|| PageError::unusable("Token", format!("`{name}` is none to order")))
}

fn effect(kind: TokenKind) -> &'static str {
    match kind {
        TokenKind::Credit | TokenKind::Test => "",
        TokenKind::ClearCredit => {
            "The meter forgets the credit that it holds. Nothing is booked: refund it, or close the \
             account, for that."
        }
        TokenKind::MaxPower => "Above this power the meter disconnects.",
        TokenKind::TariffRate => "The meter takes this rate; what it means is the meter's own.",
        TokenKind::ClearTamper => {
            "The meter forgets that it was opened, and supplies again. Look at it first."
        }
        TokenKind::MaxPhaseUnbalance => {
            "Above this difference between its phases the meter disconnects."
        }
        TokenKind::KeyChange => {
            "From their issue on, every token of this meter is made by the new key: what was bought \
             before has to be typed in first, then these."
        }
    }
}

fn value_of(kind: TokenKind) -> Option<(&'static str, &'static str, &'static str)> {
    match kind {
        TokenKind::MaxPower | TokenKind::MaxPhaseUnbalance => Some(("Power", "功率", "in W")),
        TokenKind::TariffRate => Some(("Rate", "费率", "its number")),
        TokenKind::ClearCredit => Some(("Register", "寄存器", "its number; 65535 is all")),
        TokenKind::Credit | TokenKind::ClearTamper | TokenKind::Test | TokenKind::KeyChange => None,
    }
}

pub async fn new_form(
    State(app): State<App>,
    caller: Caller,
    Path((meter, name)): Path<(String, String)>,
) -> PageResult {
    let meter = app.service.meter(id(&meter)?).await?;
    let kind = ordered(&name)?;
    let mut form = ByName::new();
    form.insert("key".to_owned(), Uuid::now_v7().to_string());
    if kind == TokenKind::ClearCredit {
        form.insert("value".to_owned(), ALL_REGISTERS.to_string());
    }
    Ok(drawn(&app, &caller, &meter, kind, &form, Again::default()))
}

fn drawn(
    app: &App,
    caller: &Caller,
    meter: &Meter,
    order: TokenKind,
    form: &ByName,
    again: Again,
) -> axum::response::Response {
    let field = |name: &str| form.get(name).cloned().unwrap_or_default();
    let parameters = match order {
        TokenKind::KeyChange => changed(app, meter, &again),
        _ => Vec::new(),
    };
    render(&NewPage {
        head: Head::new(caller, "meters"),
        meter_id: meter.meter_id.to_string(),
        serial_number: meter.serial_number.clone(),
        kind: kind(order),
        effect: effect(order),
        value: value_of(order),
        is_risky: order.is_risky(),
        key: field("key"),
        typed_value: field("value"),
        reason: field("reason"),
        parameters,
        problem: again.problem,
    })
}

/// Its parameters, each empty: what is left so stays as the meter has it.
fn changed(app: &App, meter: &Meter, again: &Again) -> Vec<Field> {
    let kept = parameters::kept(app, meter, &Again::default());
    let declared = app.service.parameters_of(&meter.vendor, Home::Here);
    let typed = parameters::fields(&declared, again, app.currency);
    let with_kept = |(typed, kept): (Field, Field)| Field {
        default: if kept.value.is_empty() { kept.default } else { kept.value },
        ..typed
    };
    typed.into_iter().zip(kept).map(with_kept).collect()
}

pub async fn order(
    State(app): State<App>,
    caller: Caller,
    Path((meter, name)): Path<(String, String)>,
    Form(form): Form<ByName>,
) -> PageResult {
    let meter = app.service.meter(id(&meter)?).await?;
    let kind = ordered(&name)?;
    let typed = parameters::typed(&form);
    let again = |problem: String, problems: ByName| {
        let again = Again { problem, typed: typed.clone(), problems };
        Ok(drawn(&app, &caller, &meter, kind, &form, again))
    };
    let field = |name: &str| form.get(name).map(|text| text.trim()).unwrap_or_default();
    let Ok(id) = field("key").parse::<TokenOrderId>() else {
        return Err(PageError::unusable("Form", "open it again, it has no key of its own"));
    };
    let value = match (value_of(kind), field("value").parse()) {
        (None, _) => 0,
        (Some(_), Ok(value)) => value,
        (Some((label, ..)), Err(_)) => {
            return again(format!("{label}: a whole number."), ByName::new());
        }
    };
    let declared = app.service.parameters_of(&meter.vendor, Home::Here);
    let change = match parameters::values(&declared, &typed, app.currency) {
        Ok(change) => change,
        Err(problems) => return again("Please check what was typed.".to_owned(), problems),
    };
    let reason = field("reason").to_owned();
    let new = NewTokenOrder { meter_id: meter.meter_id, kind, value, change, reason };
    match app.service.put_token_order(id, new, &caller.actor()).await {
        Ok(_) => Ok(to(id)),
        Err(error) => {
            let problems = parameters::problems_of(&error).unwrap_or_default();
            again(PageError::from(error).detail, problems)
        }
    }
}

pub fn to(id: TokenOrderId) -> axum::response::Response {
    Redirect::to(&format!("/token-orders/{id}")).into_response()
}

/// The same order once more, as it was given.
pub async fn go_on(
    State(app): State<App>,
    caller: Caller,
    Path(order): Path<String>,
) -> PageResult {
    let it = app.service.token_order(id(&order)?).await?;
    let id = it.token_order_id;
    let (kind, value, change) = (it.order.kind, it.order.value, it.order.change);
    let new = NewTokenOrder { meter_id: it.meter_id, kind, value, change, reason: it.reason };
    match app.service.put_token_order(id, new, &caller.actor()).await {
        Ok(_) => Ok(to(id)),
        Err(error) => page(&app, &caller, id, PageError::from(error).detail).await,
    }
}

pub async fn cancel(
    State(app): State<App>,
    caller: Caller,
    Path(order): Path<String>,
) -> PageResult {
    let id = id(&order)?;
    match app.service.cancel_token_order(id, &caller.actor()).await {
        Ok(_) => Ok(to(id)),
        Err(error) => page(&app, &caller, id, PageError::from(error).detail).await,
    }
}
