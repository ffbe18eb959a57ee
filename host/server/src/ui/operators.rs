//! Operators and what they may do, the audit trail, and one's own password.
//!
//! Not here: logging in (session).

use super::view::{self, sentence};
use super::{Head, PageError, PageResult, render};
use crate::app::App;
use crate::session::Caller;
use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use polymeter_domain::OperatorId;
use polymeter_service::{Actor, AuditEntry, Operator, Page, Right, Rights};
use serde::Deserialize;
use std::fmt;

const TRAIL_SHOWN: u32 = 100;

/// A right as a person reads it, English and Chinese.
pub fn right_in_words(right: Right) -> (&'static str, &'static str) {
    match right {
        Right::Sell => ("Sell and read meters", "售电"),
        Right::Refund => ("Refund and take back", "退电、冲正"),
        Right::Approve => ("Approve as second person", "复核"),
        Right::Customers => ("Customers, meters, accounts", "用户档案"),
        Right::Supply => ("Disconnect and connect", "分合闸"),
        Right::Settings => ("Settings of meters", "参数设置"),
        Right::Tariffs => ("Tariffs", "电价管理"),
        Right::Billing => ("Charges and bills", "收费账单"),
        Right::Ledger => ("Ledger, day close, backup", "账务、日结"),
        Right::Drivers => ("Drivers", "驱动管理"),
        Right::Operators => ("Operators and audit trail", "操作员管理"),
    }
}

/// Where rights may start from; they are kept one by one.
fn role(name: &str) -> Rights {
    match name {
        "clerk" => [Right::Sell].into(),
        "supervisor" => {
            let not_his = [Right::Tariffs, Right::Drivers, Right::Operators];
            Right::ALL.into_iter().filter(|right| !not_his.contains(right)).collect()
        }
        "administrator" => Right::ALL.into(),
        _ => Rights::new(),
    }
}

/// One box to tick.
struct Box {
    name: &'static str,
    english: &'static str,
    chinese: &'static str,
    ticked: bool,
}

fn boxes(rights: &Rights) -> Vec<Box> {
    let of = |right: Right| {
        let (english, chinese) = right_in_words(right);
        Box { name: right.name(), english, chinese, ticked: rights.contains(&right) }
    };
    Right::ALL.into_iter().map(of).collect()
}

struct OperatorRow {
    id: String,
    name: String,
    rights: String,
    is_disabled: bool,
}

impl From<&Operator> for OperatorRow {
    fn from(operator: &Operator) -> OperatorRow {
        let words: Vec<&str> =
            operator.rights.iter().map(|right| right_in_words(*right).0).collect();
        let rights = match operator.rights.len() {
            0 => "May only look".to_owned(),
            all if all == Right::ALL.len() => "Everything".to_owned(),
            _ => words.join(", "),
        };
        OperatorRow {
            id: operator.operator_id.to_string(),
            name: operator.name.clone(),
            rights,
            is_disabled: operator.disabled_at.is_some(),
        }
    }
}

#[derive(Template)]
#[template(path = "operators.html")]
struct OperatorsPage {
    head: Head,
    operators: Vec<OperatorRow>,
}

#[derive(Template)]
#[template(path = "operator_new.html")]
struct NewOperatorPage {
    head: Head,
    name: String,
    boxes: Vec<Box>,
    error: String,
}

#[derive(Template)]
#[template(path = "operator.html")]
struct OperatorPage {
    head: Head,
    operator: OperatorRow,
    boxes: Vec<Box>,
    error: String,
}

#[derive(Template)]
#[template(path = "password.html")]
struct PasswordPage {
    head: Head,
    error: String,
    is_changed: bool,
}

struct TrailRow {
    at: String,
    who: String,
    act: String,
    object: String,
    detail: String,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    head: Head,
    query: String,
    operator: String,
    operators: Vec<OperatorRow>,
    rows: Vec<TrailRow>,
    older: Option<String>,
}

pub async fn list(State(app): State<App>, caller: Caller) -> PageResult {
    let operators = app.service.operators().await?;
    Ok(render(&OperatorsPage {
        head: Head::new(&caller, "operators"),
        operators: operators.iter().map(OperatorRow::from).collect(),
    }))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartFrom {
    #[serde(default)]
    role: String,
}

pub async fn new_form(caller: Caller, Query(from): Query<StartFrom>) -> PageResult {
    Ok(render(&NewOperatorPage {
        head: Head::new(&caller, "operators"),
        name: String::new(),
        boxes: boxes(&role(&from.role)),
        error: String::new(),
    }))
}

/// A form with boxes: the same name comes once for each that is ticked.
#[derive(Default)]
struct Typed {
    name: String,
    password: String,
    repeated: String,
    rights: Rights,
}

fn typed(pairs: Vec<(String, String)>) -> Result<Typed, PageError> {
    let mut typed = Typed::default();
    for (name, value) in pairs {
        match name.as_str() {
            "name" => typed.name = value,
            "password" => typed.password = value,
            "repeated" => typed.repeated = value,
            "right" => {
                let right = Right::from_name(&value);
                let right =
                    right.ok_or_else(|| PageError::unusable("right", "there is no such"))?;
                typed.rights.insert(right);
            }
            _ => return Err(PageError::unusable("form", "a field that it does not have")),
        }
    }
    Ok(typed)
}

pub async fn add(
    State(app): State<App>,
    caller: Caller,
    Form(pairs): Form<Vec<(String, String)>>,
) -> PageResult {
    let Typed { name, password, repeated, rights } = typed(pairs)?;
    let ticked = boxes(&rights);
    let error = if password == repeated {
        match app.service.add_operator(&name, &password, rights, &caller.actor()).await {
            Ok(_) => return Ok(Redirect::to("/operators").into_response()),
            Err(error) => error.to_string(),
        }
    } else {
        "the two passwords differ".to_owned()
    };
    let (head, error) = (Head::new(&caller, "operators"), sentence(&error));
    let page = NewOperatorPage { head, name, boxes: ticked, error };
    Ok((StatusCode::UNPROCESSABLE_ENTITY, render(&page)).into_response())
}

pub async fn show(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> PageResult {
    page_of(&app, &caller, parsed(&id)?, String::new()).await
}

fn parsed(id: &str) -> Result<OperatorId, PageError> {
    id.parse().map_err(|error| PageError::unusable("operator", error))
}

async fn page_of(app: &App, caller: &Caller, id: OperatorId, error: String) -> PageResult {
    let operator = app.service.operator(id).await?;
    let page = render(&OperatorPage {
        head: Head::new(caller, "operators"),
        boxes: boxes(&operator.rights),
        operator: OperatorRow::from(&operator),
        error: if error.is_empty() { error } else { sentence(&error) },
    });
    Ok(page)
}

/// Back to the operator's page, with what was wrong where something was.
async fn changed(
    app: &App,
    caller: &Caller,
    id: OperatorId,
    change: polymeter_service::Result<()>,
) -> PageResult {
    match change {
        Ok(()) => Ok(Redirect::to(&format!("/operators/{id}")).into_response()),
        Err(error) => {
            let page: Response = page_of(app, caller, id, error.to_string()).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
    }
}

pub async fn set_rights(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Form(pairs): Form<Vec<(String, String)>>,
) -> PageResult {
    let (id, rights) = (parsed(&id)?, typed(pairs)?.rights);
    let change = app.service.set_rights(id, rights, &caller.actor()).await;
    changed(&app, &caller, id, change).await
}

pub async fn set_password(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Form(pairs): Form<Vec<(String, String)>>,
) -> PageResult {
    let id = parsed(&id)?;
    let Typed { password, repeated, .. } = typed(pairs)?;
    if password != repeated {
        return page_of(&app, &caller, id, "the two passwords differ".to_owned()).await;
    }
    let change = app.service.reset_password(id, &password, &caller.actor()).await;
    changed(&app, &caller, id, change).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewState {
    disabled: bool,
}

pub async fn set_state(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Form(state): Form<NewState>,
) -> PageResult {
    let id = parsed(&id)?;
    let change = app.service.set_disabled(id, state.disabled, &caller.actor()).await;
    changed(&app, &caller, id, change).await
}

pub async fn own_password_form(caller: Caller) -> PageResult {
    let head = Head::new(&caller, "");
    Ok(render(&PasswordPage { head, error: String::new(), is_changed: false }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnPassword {
    old: String,
    new: String,
    repeated: String,
}

impl fmt::Debug for OwnPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnPassword([redacted])")
    }
}

pub async fn own_password(
    State(app): State<App>,
    caller: Caller,
    Form(form): Form<OwnPassword>,
) -> PageResult {
    let head = Head::new(&caller, "");
    let change = if form.new == form.repeated {
        let (operator, token) = (&caller.operator, &caller.token);
        let change = app.service.change_password(operator, &form.old, &form.new, token).await;
        change.map_err(|error| error.to_string())
    } else {
        Err("the two new passwords differ".to_owned())
    };
    match change {
        Ok(()) => Ok(render(&PasswordPage { head, error: String::new(), is_changed: true })),
        Err(error) => {
            let page = PasswordPage { head, error: sentence(&error), is_changed: false };
            Ok((StatusCode::UNPROCESSABLE_ENTITY, render(&page)).into_response())
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WhichActs {
    #[serde(default)]
    query: String,
    #[serde(default)]
    operator: String,
    #[serde(default)]
    after: Option<String>,
}

pub async fn audit(
    State(app): State<App>,
    caller: Caller,
    Query(which): Query<WhichActs>,
) -> PageResult {
    let by: Option<OperatorId> = match which.operator.as_str() {
        "" => None,
        text => Some(parsed(text)?),
    };
    let query = Some(which.query.clone());
    let page = Page { query, after: which.after, limit: TRAIL_SHOWN };
    let found = app.service.audit_trail(by, &page).await?;
    let operators = app.service.operators().await?;
    let is_cut = u32::try_from(found.len()).is_ok_and(|length| length >= TRAIL_SHOWN);
    Ok(render(&AuditPage {
        head: Head::new(&caller, "operators"),
        query: which.query,
        operator: which.operator,
        rows: found.iter().map(|entry| trail_row(entry, &operators, &app)).collect(),
        older: found.last().filter(|_| is_cut).map(|entry| entry.audit_id.to_string()),
        operators: operators.iter().map(OperatorRow::from).collect(),
    }))
}

fn trail_row(entry: &AuditEntry, operators: &[Operator], app: &App) -> TrailRow {
    let who = match &entry.actor {
        Actor::System => "the system".to_owned(),
        Actor::Operator(id) => {
            let known = operators.iter().find(|operator| operator.operator_id == *id);
            known.map_or_else(|| id.to_string(), |operator| operator.name.clone())
        }
    };
    TrailRow {
        at: view::time(entry.at, &app.time_zone),
        who,
        act: entry.act.replace('-', " "),
        object: entry.object.clone(),
        detail: entry.detail.clone(),
    }
}
