//! Customers: the list, and adding one.

use super::view::{CustomerView, sentence};
use super::{Head, PageResult, render};
use crate::app::App;
use crate::session::Caller;
use askama::Template;
use axum::extract::{Form, Query, State};
use axum::response::{IntoResponse, Redirect};
use polymeter_domain::CustomerNumber;
use polymeter_service::{NewCustomer, Page, Shelf};
use serde::Deserialize;

const SHOWN_MAX: u32 = 200;

#[derive(Template)]
#[template(path = "customers.html")]
struct CustomersPage {
    head: Head,
    query: String,
    archive: bool,
    customers: Vec<CustomerView>,
    is_cut: bool,
}

#[derive(Template)]
#[template(path = "customer_new.html")]
struct NewCustomerPage {
    head: Head,
    typed: NewCustomerForm,
    error: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    #[serde(default)]
    query: String,
    /// Not empty: closed accounts instead of current ones.
    #[serde(default)]
    archive: String,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCustomerForm {
    number: String,
    name: String,
    phone: String,
    premises: String,
}

pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(search): Query<Search>,
) -> PageResult {
    let query = Some(search.query.clone());
    let archive = !search.archive.is_empty();
    let shelf = if archive { Shelf::Archive } else { Shelf::Current };
    let page = Page { query, after: None, limit: SHOWN_MAX };
    let found = app.service.customers_of(&page, shelf).await?;
    Ok(render(&CustomersPage {
        head: Head::new(&caller, "customers"),
        query: search.query,
        archive,
        is_cut: u32::try_from(found.len()).is_ok_and(|length| length >= SHOWN_MAX),
        customers: found.iter().map(CustomerView::from).collect(),
    }))
}

pub async fn new_form(caller: Caller) -> PageResult {
    let typed = NewCustomerForm::default();
    Ok(render(&NewCustomerPage {
        head: Head::new(&caller, "customers"),
        typed,
        error: String::new(),
    }))
}

pub async fn add(
    State(app): State<App>,
    caller: Caller,
    Form(form): Form<NewCustomerForm>,
) -> PageResult {
    let again = |error: String| {
        let head = Head::new(&caller, "customers");
        let error = sentence(&error);
        Ok(render(&NewCustomerPage { head, typed: form.clone(), error }))
    };
    let number = match CustomerNumber::new(form.number.trim()) {
        Ok(number) => number,
        Err(error) => return again(error.to_string()),
    };
    let NewCustomerForm { name, phone, premises, .. } = form.clone();
    let new = NewCustomer { number, name, phone, premises };
    match app.service.add_customer(new, &caller.actor()).await {
        Ok(made) => {
            let address = format!("/customers/{}", made.customer_id);
            Ok(Redirect::to(&address).into_response())
        }
        Err(error) => again(error.to_string()),
    }
}
