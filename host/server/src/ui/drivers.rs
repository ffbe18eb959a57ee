//! Drivers: which serve, what they have done, what is on trial, and what may be done about it.
//!
//! Invariant: what changes a driver is asked about on a page of its own first, and done by POST.

use super::{Head, PageError, PageResult, render, view};
use crate::api::drivers::ServingDriver;
use crate::app::App;
use crate::drivers::DriversError;
use crate::session::Caller;
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect};
use polymeter_service::ServiceError;

#[derive(Template)]
#[template(path = "drivers.html")]
struct DriversPage {
    head: Head,
    drivers: Vec<ServingDriver>,
}

#[derive(Template)]
#[template(path = "driver.html")]
struct DriverPage {
    head: Head,
    driver: ServingDriver,
    acts: Vec<Act>,
}

#[derive(Template)]
#[template(path = "driver_confirm.html")]
struct ConfirmPage {
    head: Head,
    /// Empty for an act on all of them.
    name: String,
    act: Act,
}

/// What an operator may do, as the page words it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Act {
    /// Its name in addresses.
    name: &'static str,
    label: &'static str,
    chinese: &'static str,
    effect: &'static str,
    is_risky: bool,
}

const RELOAD: Act = Act {
    name: "reload",
    label: "Reload",
    chinese: "重新加载",
    effect: "The configuration is read anew. What is new is loaded beside what serves, and takes \
             its place; a configuration that is bad changes nothing.",
    is_risky: false,
};

const PROMOTE: Act = Act {
    name: "promote",
    label: "Promote",
    chinese: "转正",
    effect: "The candidate serves all meters of this vendor from now on. Sales under way end on \
             the version that began them.",
    is_risky: true,
};

const ROLL_BACK: Act = Act {
    name: "rollback",
    label: "Roll back",
    chinese: "回退",
    effect: "A candidate is sent back; without one, the version before the current one serves \
             again. Sales under way end on the version that began them.",
    is_risky: true,
};

const ACTS: [Act; 3] = [RELOAD, PROMOTE, ROLL_BACK];

impl ServingDriver {
    /// The acts that mean something for it now.
    fn acts(&self) -> Vec<Act> {
        let mut acts = Vec::new();
        if self.candidate.is_some() {
            acts.push(PROMOTE);
        }
        if self.candidate.is_some() || self.previous.is_some() {
            acts.push(ROLL_BACK);
        }
        acts
    }
}

pub async fn list(State(app): State<App>, caller: Caller) -> PageResult {
    Ok(render(&DriversPage {
        head: Head::new(&caller, "drivers"),
        drivers: app.service.slots().iter().map(ServingDriver::from).collect(),
    }))
}

pub async fn show(State(app): State<App>, caller: Caller, Path(name): Path<String>) -> PageResult {
    let driver = ServingDriver::from(&app.drivers.slot(&name)?);
    let acts = driver.acts();
    Ok(render(&DriverPage { head: Head::new(&caller, "drivers"), driver, acts }))
}

pub async fn confirm_reload(caller: Caller) -> PageResult {
    let head = Head::new(&caller, "drivers");
    Ok(render(&ConfirmPage { head, name: String::new(), act: RELOAD }))
}

pub async fn reload(State(app): State<App>, caller: Caller) -> PageResult {
    let reloaded = app.drivers.reload(&caller.actor()).await;
    reloaded.map_err(|error| PageError::from(error).back_to("/drivers"))?;
    Ok(Redirect::to("/drivers").into_response())
}

pub async fn confirm(
    State(app): State<App>,
    caller: Caller,
    Path((name, act)): Path<(String, String)>,
) -> PageResult {
    let act = known(&act)?;
    app.drivers.slot(&name)?;
    Ok(render(&ConfirmPage { head: Head::new(&caller, "drivers"), name, act }))
}

pub async fn act(
    State(app): State<App>,
    caller: Caller,
    Path((name, act)): Path<(String, String)>,
) -> PageResult {
    let (drivers, actor) = (&app.drivers, caller.actor());
    let done = match known(&act)? {
        PROMOTE => drivers.promote(&name, &actor).await,
        ROLL_BACK => drivers.roll_back(&name, &actor).await,
        _ => drivers.reload(&actor).await,
    };
    let back = format!("/drivers/{}", view::segment(&name));
    done.map_err(|error| PageError::from(error).back_to(back.as_str()))?;
    Ok(Redirect::to(&back).into_response())
}

fn known(name: &str) -> Result<Act, PageError> {
    let found = ACTS.into_iter().find(|act| act.name == name);
    found
        .ok_or_else(|| PageError::from(ServiceError::NotFound { what: "act", id: name.to_owned() }))
}

impl From<DriversError> for PageError {
    fn from(error: DriversError) -> PageError {
        let detail = view::sentence(&error.to_string());
        let mapped = match error {
            DriversError::Service(error) => return error.into(),
            error => crate::api::error::ApiError::from(error),
        };
        PageError {
            status: mapped.status,
            title: mapped.title.to_owned(),
            detail,
            back: "/drivers".to_owned(),
        }
    }
}
