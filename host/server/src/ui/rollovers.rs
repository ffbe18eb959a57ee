//! Roll-overs (TID翻转) on pages: those there are, asking for one and seeing first what it would do, how one
//! stands, and the sheet that whoever goes to the meters takes along.
//!
//! Invariant: a campaign's id is made when what it would do is shown, so that confirming twice is one.

use super::meters::id;
use super::view::{self, Badge, CustomerView};
use super::{Head, PageError, PageResult, acts, render, tokens};
use crate::api::values;
use crate::app::App;
use crate::session::Caller;
use askama::Template;
use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse, Redirect};
use polymeter_domain::TokenRolloverId;
use polymeter_service::{NewRollover, Page, Rollover, RolloverLine, RolloverPreview, TokenState};
use serde::Deserialize;
use uuid::Uuid;

const SHOWN: u32 = 50;

#[derive(Template)]
#[template(path = "rollovers.html")]
struct ListPage {
    head: Head,
    rollovers: Vec<Line>,
    form: RolloverForm,
    /// What the form would do; `None`: nobody asked yet.
    preview: Option<RolloverPreview>,
    able: usize,
    key: String,
    problem: String,
}

#[derive(Template)]
#[template(path = "rollover.html")]
struct RolloverPage {
    head: Head,
    id: String,
    change: String,
    reason: String,
    who: String,
    at: String,
    waits: bool,
    issued: usize,
    is_stuck: bool,
    meters: Vec<MeterRow>,
}

#[derive(Template)]
#[template(path = "rollover_sheet.html")]
struct SheetPage {
    id: String,
    change: String,
    reason: String,
    at: String,
    meters: Vec<MeterRow>,
}

#[derive(Debug)]
struct Line {
    id: String,
    at: String,
    reason: String,
    meters: i64,
    issued: i64,
    cancelled: i64,
}

/// One meter of a campaign.
#[derive(Debug)]
struct MeterRow {
    order_id: String,
    meter_id: String,
    serial_number: String,
    address: String,
    customer: Option<CustomerView>,
    state: Badge,
    obstacle: String,
    digits: Vec<String>,
}

/// What is typed, and sent again when it is confirmed.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RolloverForm {
    from_base: String,
    to_base: String,
    key_revision: String,
    reason: String,
    /// Empty: only show what it would do.
    key: String,
}

impl RolloverForm {
    fn asked(&self) -> Result<NewRollover, PageError> {
        let number = |label: &str, text: &str| {
            text.trim().parse::<i64>().map_err(|_| PageError::unusable(label, "a whole number"))
        };
        let maybe = |label: &str, text: &str| match text.trim() {
            "" => Ok(None),
            text => number(label, text).map(Some),
        };
        Ok(NewRollover {
            from_base: maybe("From base date", &self.from_base)?,
            to_base: number("To base date", &self.to_base)?,
            key_revision: maybe("Key revision", &self.key_revision)?,
            reason: self.reason.clone(),
        })
    }
}

pub async fn list(State(app): State<App>, caller: Caller) -> PageResult {
    let form = RolloverForm { to_base: "2014".to_owned(), ..RolloverForm::default() };
    list_page(&app, &caller, form, None, String::new()).await
}

async fn list_page(
    app: &App,
    caller: &Caller,
    form: RolloverForm,
    preview: Option<RolloverPreview>,
    problem: String,
) -> PageResult {
    let page = Page { limit: SHOWN, ..Page::default() };
    let line = |it: &RolloverLine| Line {
        id: it.rollover_id.to_string(),
        at: view::time(it.created_at, &app.time_zone),
        reason: it.reason.clone(),
        meters: it.meters,
        issued: it.issued,
        cancelled: it.cancelled,
    };
    let able = preview.iter().flat_map(|it| &it.meters).filter(|it| it.obstacle.is_none()).count();
    Ok(render(&ListPage {
        head: Head::new(caller, "rollovers"),
        rollovers: app.service.rollovers(&page).await?.iter().map(line).collect(),
        form,
        preview,
        able,
        key: Uuid::now_v7().to_string(),
        problem,
    }))
}

/// Without a key it shows what would be done; with the key that came with that, it is done.
pub async fn ask(
    State(app): State<App>,
    caller: Caller,
    Form(form): Form<RolloverForm>,
) -> PageResult {
    let asked = async {
        let new = form.asked()?;
        if form.key.is_empty() {
            return Ok((None, Some(app.service.preview_rollover(new).await?)));
        }
        let id = form.key.parse::<TokenRolloverId>();
        let id = id.map_err(|error| PageError::unusable("Form", error))?;
        app.service.put_rollover(id, new, &caller.actor()).await?;
        Ok::<_, PageError>((Some(id), None))
    };
    match asked.await {
        Ok((Some(id), _)) => Ok(to(id)),
        Ok((None, preview)) => list_page(&app, &caller, form, preview, String::new()).await,
        Err(error) => list_page(&app, &caller, form, None, error.detail).await,
    }
}

fn to(id: TokenRolloverId) -> axum::response::Response {
    Redirect::to(&format!("/token-rollovers/{id}")).into_response()
}

async fn rows(app: &App, rollover: &Rollover) -> Result<Vec<MeterRow>, PageError> {
    let mut rows = Vec::new();
    for order in &rollover.orders {
        let it = &order.token;
        let meter = app.service.meter(it.meter_id).await?;
        rows.push(MeterRow {
            order_id: it.token_order_id.to_string(),
            meter_id: it.meter_id.to_string(),
            serial_number: meter.serial_number,
            address: meter.address.to_string(),
            customer: meter.customer.as_ref().map(CustomerView::from),
            state: tokens::state(it.state),
            obstacle: order.obstacle.as_deref().map(view::sentence).unwrap_or_default(),
            digits: it.digits.as_ref().map(|digits| digits.grouped()).unwrap_or_default(),
        });
    }
    Ok(rows)
}

fn change(rollover: &Rollover) -> String {
    let change = rollover.change.iter();
    let change = change.map(|(name, value)| format!("{name} {}", values::text(value)));
    change.collect::<Vec<_>>().join(", ")
}

pub async fn show(State(app): State<App>, caller: Caller, Path(text): Path<String>) -> PageResult {
    let it = app.service.rollover(id(&text)?).await?;
    Ok(render(&RolloverPage {
        head: Head::new(&caller, "rollovers"),
        id: it.rollover_id.to_string(),
        change: change(&it),
        who: acts::who(&app, &it.operator).await?,
        at: view::time(it.created_at, &app.time_zone),
        waits: it.approval.is_some(),
        issued: it.count(TokenState::Issued),
        is_stuck: it.count(TokenState::Approved) + it.count(TokenState::Ordered) > 0,
        meters: rows(&app, &it).await?,
        reason: it.reason,
    }))
}

pub async fn go_on(State(app): State<App>, Path(text): Path<String>) -> PageResult {
    let it = app.service.continue_rollover(id(&text)?).await?;
    Ok(to(it.rollover_id))
}

/// A block for each customer whose digits are made.
pub async fn sheet(State(app): State<App>, Path(text): Path<String>) -> PageResult {
    let it = app.service.rollover(id(&text)?).await?;
    let mut meters = rows(&app, &it).await?;
    meters.retain(|row| !row.digits.is_empty());
    Ok(render(&SheetPage {
        id: it.rollover_id.to_string(),
        change: change(&it),
        at: view::time(it.created_at, &app.time_zone),
        meters,
        reason: it.reason,
    }))
}
