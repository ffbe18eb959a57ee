//! The back office: the trial balance, and the lines. Drivers have pages of their own.

use super::{Head, PageResult, render, view};
use crate::api;
use crate::app::App;
use crate::session::Caller;
use askama::Template;
use axum::extract::State;

#[derive(Template)]
#[template(path = "ledger.html")]
struct LedgerPage {
    head: Head,
    balance: api::ledger::TrialBalance,
    is_balanced: bool,
}

#[derive(Template)]
#[template(path = "system.html")]
struct SystemPage {
    head: Head,
    lines: Vec<api::system::Line>,
}

pub async fn ledger(State(app): State<App>, caller: Caller) -> PageResult {
    let mut balance = app.service.trial_balance().await?;
    for line in &mut balance.lines {
        if let Some(meter) = polymeter_service::meter_of_account(&line.account) {
            line.account = view::meter_credit(&app.service.meter(meter).await?.serial_number);
        }
    }
    Ok(render(&LedgerPage {
        head: Head::new(&caller, "ledger"),
        is_balanced: balance.difference.minor() == 0,
        balance: (&balance).into(),
    }))
}

pub async fn system(State(app): State<App>, caller: Caller) -> PageResult {
    let service = &app.service;
    Ok(render(&SystemPage {
        head: Head::new(&caller, "system"),
        lines: service.lines().iter().map(Into::into).collect(),
    }))
}
