//! The back office: the trial balance, and the lines. Drivers have pages of their own.

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
    let mut balance = app.service.trial_balance_at(moment).await?;
    for line in &mut balance.lines {
        if let Some(meter) = polymeter_service::meter_of_account(&line.account) {
            line.account = view::meter_credit(&app.service.meter(meter).await?.serial_number);
        }
        if let Some(customer) = polymeter_service::customer_of_purse(&line.account) {
            let customer = app.service.customer(customer).await?;
            line.account = view::purse(customer.number.as_str());
        }
    }
    Ok(render(&LedgerPage {
        head: Head::new(&caller, "ledger"),
        at,
        booked_at: balance.booked_at.map(|at| view::time(at, &app.time_zone)).unwrap_or_default(),
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
