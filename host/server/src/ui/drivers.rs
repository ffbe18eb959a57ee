//! Drivers: which serve, what they have done, what is on trial, and what may be done about it.
//!
//! Invariant: what changes a driver is asked about on a page of its own first, and done by POST.

use super::view::Badge;
use super::{Head, PageError, PageResult, render, view};
use crate::api::driver_health::{Health, unix_ms};
use crate::api::drivers::ServingDriver;
use crate::app::App;
use crate::drivers::DriversError;
use crate::session::Caller;
use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect};
use jiff::tz::TimeZone;
use polymeter_runtime::Standing;
use polymeter_service::{Edition, ServiceError};
use std::time::SystemTime;

/// Of what a driver wrote, the newest; `polymeter driver logs` has all that is kept.
const LINES_SHOWN: usize = 50;

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
    doings: Vec<Doing>,
    lines: Vec<Line>,
    acts: Vec<Act>,
}

/// How one version is doing; times are the site's.
struct Doing {
    version: String,
    is_candidate: bool,
    badge: Badge,
    until: Option<String>,
    health: Health,
    last_trap_at: Option<String>,
}

/// What a driver wrote.
struct Line {
    at: String,
    version: String,
    level: &'static str,
    text: String,
}

#[derive(Template)]
#[template(path = "driver_confirm.html")]
struct ConfirmPage {
    head: Head,
    /// Empty for an act on all of them.
    name: String,
    act: Act,
}

impl Doing {
    fn new(edition: &Edition, is_candidate: bool, zone: &TimeZone) -> Doing {
        let health = edition.driver.health();
        let at = |at: SystemTime| view::time(unix_ms(at), zone);
        let (badge, more) = match &health.standing {
            Standing::Serving if is_candidate => (view::badge("busy", "On trial", "试运行"), None),
            Standing::Serving => (view::badge("good", "Serving", "运行中"), None),
            Standing::Resting { more } => (view::badge("warn", "Resting", "暂歇"), Some(*more)),
            Standing::Quarantined { more, .. } => {
                (view::badge("bad", "Quarantined", "已隔离"), Some(*more))
            }
        };
        Doing {
            version: edition.version().to_owned(),
            is_candidate,
            badge,
            until: more.and_then(|more| SystemTime::now().checked_add(more)).map(at),
            last_trap_at: health.last_trap.as_ref().map(|trap| at(trap.at)),
            health: health.into(),
        }
    }
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

const RELEASE: Act = Act {
    name: "release",
    label: "Release",
    chinese: "解除隔离",
    effect: "The driver is called again at once, and what led to its quarantine is forgotten. Do it \
             when its reason is mended: one that goes on trapping leaves sales unresolved.",
    is_risky: true,
};

const ACTS: [Act; 4] = [RELOAD, PROMOTE, ROLL_BACK, RELEASE];

impl ServingDriver {
    /// The acts that mean something for it now.
    fn acts(&self) -> Vec<Act> {
        let mut acts = Vec::new();
        let candidate = self.candidate.as_ref().map(|it| &it.health);
        if [Some(&self.health), candidate].into_iter().flatten().any(Health::is_held_back) {
            acts.push(RELEASE);
        }
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
    let slot = app.drivers.slot(&name)?;
    let driver = ServingDriver::from(&slot);
    let acts = driver.acts();
    let zone = &app.time_zone;
    let mut doings = vec![Doing::new(&slot.current, false, zone)];
    doings.extend(slot.candidate.iter().map(|it| Doing::new(&it.edition, true, zone)));
    let lines = app.drivers.log(&name)?.into_iter().rev().take(LINES_SHOWN);
    let lines = lines.map(|(version, line)| Line {
        at: view::time(unix_ms(line.at), zone),
        version,
        level: line.level.name(),
        text: line.text,
    });
    let (head, lines) = (Head::new(&caller, "drivers"), lines.collect());
    Ok(render(&DriverPage { head, driver, doings, lines, acts }))
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
        RELEASE => drivers.release(&name, &actor).await,
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
