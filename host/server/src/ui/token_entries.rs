//! Tokens that take the meter's line (远程写码) on pages: through which meter, how far each has come, and
//! what a person may do about one.
//!
//! Not here: the pages on which that stands (meters, tokens, sales).

use super::meters::{self, id};
use super::parameters::Again;
use super::view::{self, Badge};
use super::{PageError, PageResult, tokens};
use crate::app::App;
use crate::session::Caller;
use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse, Redirect};
use polymeter_domain::{BillingMode, TokenOrderId};
use polymeter_service::{EntryState, Meter, TokenEntry};
use serde::Deserialize;

/// How far a token has come on its way over the line.
#[derive(Debug)]
pub struct EntryView {
    pub state: Badge,
    /// Why it is not entered yet; what was noticed.
    pub detail: String,
    pub is_entered: bool,
    /// A while later it will say something else.
    pub is_under_way: bool,
    /// A person may leave it to whoever types it.
    pub can_be_withdrawn: bool,
    /// A person may have it tried.
    pub can_be_tried: bool,
}

impl From<&TokenEntry> for EntryView {
    fn from(it: &TokenEntry) -> Self {
        let state = match it.state {
            EntryState::Waiting if it.tries == 0 => {
                view::badge("busy", "On its way over the line", "正在远程写入")
            }
            EntryState::Waiting => view::badge("warn", "Waits for the line", "等待远程写入"),
            EntryState::Asked => view::badge("busy", "The meter is asked", "正在写入"),
            EntryState::Entered => view::badge("good", "In the meter", "已写入表内"),
            EntryState::Refused => view::badge("bad", "The meter refused it", "表拒绝"),
            EntryState::Withdrawn => view::badge("calm", "To be typed in", "需键盘输入"),
        };
        EntryView {
            state,
            detail: match it.detail.as_str() {
                "" => String::new(),
                detail => view::sentence(detail),
            },
            is_entered: it.state == EntryState::Entered,
            is_under_way: matches!(it.state, EntryState::Waiting | EntryState::Asked),
            can_be_withdrawn: matches!(it.state, EntryState::Waiting | EntryState::Refused),
            can_be_tried: !matches!(it.state, EntryState::Asked | EntryState::Entered),
        }
    }
}

/// The serial number of the meter through which this one's tokens are entered; empty: they are typed.
pub async fn through(app: &App, meter: &Meter) -> Result<String, PageError> {
    if meter.mode != BillingMode::Token {
        return Ok(String::new());
    }
    match app.service.entered_through(meter.meter_id).await? {
        Some(other) => Ok(app.service.meter(other).await?.serial_number),
        None => Ok(String::new()),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Through {
    /// Empty: people type them in.
    serial_number: String,
}

pub async fn set(
    State(app): State<App>,
    caller: Caller,
    Path(meter): Path<String>,
    Form(form): Form<Through>,
) -> PageResult {
    let meter = app.service.meter(id(&meter)?).await?;
    let change = async {
        let other = match form.serial_number.trim() {
            "" => None,
            serial => Some(app.service.meter_by_serial(serial).await?.meter_id),
        };
        app.service.enter_through(meter.meter_id, other, &caller.actor()).await
    };
    match change.await {
        Ok(()) => Ok(Redirect::to(&format!("/meters/{}", meter.meter_id)).into_response()),
        Err(error) => {
            let problem = PageError::from(error).detail;
            let again = Again { problem, ..Again::default() };
            meters::page(&app, &caller, &meter, again).await
        }
    }
}

pub async fn enter(
    State(app): State<App>,
    caller: Caller,
    Path(order): Path<String>,
) -> PageResult {
    let id: TokenOrderId = id(&order)?;
    match app.service.enter_token(id, &caller.actor()).await {
        Ok(_) => Ok(tokens::to(id)),
        Err(error) => tokens::page(&app, &caller, id, PageError::from(error).detail).await,
    }
}

pub async fn withdraw(
    State(app): State<App>,
    caller: Caller,
    Path(order): Path<String>,
) -> PageResult {
    let id: TokenOrderId = id(&order)?;
    match app.service.withdraw_entry(id, &caller.actor()).await {
        Ok(_) => Ok(tokens::to(id)),
        Err(error) => tokens::page(&app, &caller, id, PageError::from(error).detail).await,
    }
}
