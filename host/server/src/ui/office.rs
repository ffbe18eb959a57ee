//! The back office: the trial balance, and the lines. Drivers have pages of their own.

use super::books::{self, AccountName};
use super::{Head, PageError, PageResult, render, view};
use crate::api;
use crate::api::ledger::At;
use crate::app::App;
use crate::moment;
use crate::session::Caller;
use askama::Template;
use axum::extract::{Query, State};

#[derive(Template)]
#[template(path = "ledger.html")]
struct LedgerPage {
    head: Head,
    /// As it was asked for.
    at: String,
    balance: api::ledger::TrialBalance,
    /// Of its lines, in their order.
    names: Vec<AccountName>,
    /// When the last transfer in it was booked.
    booked_at: String,
    is_balanced: bool,
}

#[derive(Template)]
#[template(path = "system.html")]
struct SystemPage {
    head: Head,
    lines: Vec<api::system::Line>,
}

pub async fn ledger(
    State(app): State<App>,
    caller: Caller,
    Query(At { at }): Query<At>,
) -> PageResult {
    let moment = moment::parse(&at, &app.time_zone)
        .map_err(|why| PageError::unusable("at", why).back_to("/ledger"))?;
    let balance = app.service.trial_balance_at(moment).await?;
    let mut names = Vec::with_capacity(balance.lines.len());
    for line in &balance.lines {
        names.push(books::named(&app, &line.account).await?);
    }
    let is_balanced = balance.difference.minor() == 0;
    let shown = api::ledger::TrialBalance::from(&balance);
    Ok(render(&LedgerPage {
        head: Head::new(&caller, "ledger"),
        at,
        booked_at: balance.booked_at.map(|at| view::time(at, &app.time_zone)).unwrap_or_default(),
        is_balanced,
        names,
        balance: shown,
    }))
}

pub async fn system(State(app): State<App>, caller: Caller) -> PageResult {
    let service = &app.service;
    Ok(render(&SystemPage {
        head: Head::new(&caller, "system"),
        lines: service.lines().iter().map(Into::into).collect(),
    }))
}
