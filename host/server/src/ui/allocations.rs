//! An allocation's page: the preview of its next run, posting it, its runs, undoing one; and adding an
//! allocation as lines of customers.

use super::view::sentence;
use super::{Head, PageError, PageResult, render};
use crate::api::allocations::{Allocation, AllocationRun};
use crate::app::App;
use crate::session::Caller;
use askama::Template;
use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse, Redirect};
use polymeter_domain::{AllocationId, AllocationRunId, CustomerId, Money};
use polymeter_service::{AllocationBasis, Member, NewAllocation, Page, PaidFrom};
use serde::Deserialize;
use std::collections::HashMap;

#[derive(Template)]
#[template(path = "allocation.html")]
struct AllocationPage {
    head: Head,
    allocation: Allocation,
    serial: String,
    preview: Option<AllocationRun>,
    /// Why there is no preview.
    why: String,
    runs: Vec<AllocationRun>,
    names: HashMap<String, String>,
    currency: &'static str,
    problem: String,
}

impl AllocationPage {
    fn name(&self, id: &str) -> &str {
        self.names.get(id).map_or("", String::as_str)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostForm {
    amount: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UndoForm {
    run: String,
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewForm {
    name: String,
    master: String,
    basis: String,
    paid_from: String,
    /// One line for each: the customer's number, and by ratio the weight, by use the meter's number.
    members: String,
}

fn parsed<T: std::str::FromStr>(what: &str, text: &str) -> Result<T, PageError>
where
    T::Err: std::fmt::Display,
{
    text.trim().parse().map_err(|error| PageError::unusable(what, error))
}

pub async fn show(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> PageResult {
    page(&app, &caller, parsed("Address", &id)?, String::new()).await
}

async fn page(app: &App, caller: &Caller, id: AllocationId, problem: String) -> PageResult {
    let service = &app.service;
    let allocation = service.allocation(id).await?;
    let serial_number = service.meter(allocation.master).await?.serial_number;
    let (preview, why) = match service.preview_allocation(id).await {
        Ok(run) => (Some((&run).into()), String::new()),
        Err(error) => (None, sentence(&PageError::from(error).detail)),
    };
    let runs: Vec<AllocationRun> =
        service.allocation_runs(id).await?.iter().map(AllocationRun::from).collect();
    let mut names = HashMap::new();
    for member in &allocation.members {
        let who = service.customer(member.customer_id).await?;
        names.insert(member.customer_id.to_string(), format!("{} {}", who.number, who.name));
    }
    Ok(render(&AllocationPage {
        head: Head::new(caller, "billing"),
        allocation: (&allocation).into(),
        serial: serial_number,
        preview,
        why,
        runs,
        names,
        currency: "CNY",
        problem,
    }))
}

pub async fn post(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Form(form): Form<PostForm>,
) -> PageResult {
    let id: AllocationId = parsed("Address", &id)?;
    let amount = Money::parse(form.amount.trim(), app.currency);
    let amount = amount.map_err(|error| PageError::unusable("Amount", error))?;
    match app.service.post_allocation(id, amount, &caller.actor()).await {
        Ok(_) => Ok(Redirect::to(&format!("/allocations/{id}")).into_response()),
        Err(error) => page(&app, &caller, id, sentence(&error.to_string())).await,
    }
}

pub async fn undo(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Form(form): Form<UndoForm>,
) -> PageResult {
    let id: AllocationId = parsed("Address", &id)?;
    let run: AllocationRunId = parsed("Run", &form.run)?;
    match app.service.undo_allocation(run, &form.reason, &caller.actor()).await {
        Ok(()) => Ok(Redirect::to(&format!("/allocations/{id}")).into_response()),
        Err(error) => page(&app, &caller, id, sentence(&error.to_string())).await,
    }
}

pub async fn add(State(app): State<App>, caller: Caller, Form(form): Form<NewForm>) -> PageResult {
    let back = |error: PageError| error.back_to("/billing");
    let new = read(&app, &form).await.map_err(back)?;
    let added = app.service.add_allocation(new, &caller.actor()).await;
    let added = added.map_err(|error| PageError::from(error).back_to("/billing"))?;
    Ok(Redirect::to(&format!("/allocations/{}", added.allocation_id)).into_response())
}

async fn read(app: &App, form: &NewForm) -> Result<NewAllocation, PageError> {
    let choose = |what| PageError::unusable(what, "choose one");
    let basis = AllocationBasis::from_name(&form.basis).ok_or_else(|| choose("By"))?;
    let mut members = Vec::new();
    for line in form.members.lines().filter(|line| !line.trim().is_empty()) {
        let mut words = line.split_whitespace();
        let customer_id = customer(app, words.next().unwrap_or_default()).await?;
        let second = words.next();
        let (mut meter_id, mut weight) = (None, None);
        match (basis, second) {
            (AllocationBasis::Ratio, Some(text)) => weight = Some(parsed("Weight", text)?),
            (AllocationBasis::Use, Some(text)) => {
                meter_id = Some(app.service.meter_by_serial(text).await?.meter_id);
            }
            _ => {}
        }
        members.push(Member { customer_id, meter_id, weight });
    }
    Ok(NewAllocation {
        name: form.name.clone(),
        master: app.service.meter_by_serial(form.master.trim()).await?.meter_id,
        basis,
        paid_from: PaidFrom::from_name(&form.paid_from).ok_or_else(|| choose("From"))?,
        members,
    })
}

async fn customer(app: &App, number: &str) -> Result<CustomerId, PageError> {
    let search = Page { query: Some(number.to_owned()), after: None, limit: 200 };
    let found = app.service.customers(&search).await?;
    let customer = found.iter().find(|customer| customer.number.as_str() == number);
    let none = || PageError::unusable("Members", format!("there is no customer {number}"));
    Ok(customer.ok_or_else(none)?.customer_id)
}
