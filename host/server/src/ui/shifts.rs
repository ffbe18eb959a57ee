//! Shifts: one's own, its report by channel, and closing it by a count.
//!
//! Invariant: the shift's id is made when the form is rendered, so that sending the same form twice is
//! one shift.

use super::meters::id;
use super::view::{self, Named};
use super::{Head, PageError, PageResult, render};
use crate::app::App;
use crate::session::Caller;
use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::response::{IntoResponse, Redirect};
use polymeter_domain::{Money, ShiftId};
use polymeter_service::{Page, Run, Shift};
use serde::Deserialize;

const SHOWN: u32 = 50;

#[derive(Template)]
#[template(path = "shifts.html")]
struct ShiftsPage {
    head: Head,
    own: Option<ShiftView>,
    new_id: String,
    currency: String,
    shifts: Vec<ShiftView>,
}

#[derive(Template)]
#[template(path = "shift.html")]
struct ShiftPage {
    head: Head,
    shift: ShiftView,
    currency: String,
}

#[derive(Template)]
#[template(path = "shift_close.html")]
struct ClosePage {
    head: Head,
    shift: ShiftView,
    currency: String,
    note: String,
}

#[derive(Debug)]
struct ShiftView {
    id: String,
    operator: String,
    day: String,
    opened_at: String,
    float: String,
    expected: String,
    channels: Vec<ChannelRow>,
    /// Empty while it is open.
    closed_at: String,
    counted: String,
    difference: String,
    is_short: bool,
    is_even: bool,
    note: String,
}

#[derive(Debug)]
struct ChannelRow {
    channel: Named,
    takings: u64,
    taken: String,
    given_back: String,
    paid_out: String,
}

async fn shown(app: &App, shift: &Shift) -> Result<ShiftView, PageError> {
    let operator = app.service.operator_name(shift.operator_id).await?;
    let closed = shift.closed.as_ref();
    let zone = &app.time_zone;
    Ok(ShiftView {
        id: shift.shift_id.to_string(),
        operator: operator.unwrap_or_else(|| shift.operator_id.to_string()),
        day: shift.day.to_string(),
        opened_at: view::time(shift.opened_at, zone),
        float: shift.float.to_string(),
        expected: shift.expected.to_string(),
        channels: shift
            .channels
            .iter()
            .map(|it| ChannelRow {
                channel: view::channel(it.channel),
                takings: it.takings,
                taken: it.taken.to_string(),
                given_back: it.given_back.to_string(),
                paid_out: it.paid_out.to_string(),
            })
            .collect(),
        closed_at: closed.map(|it| view::time(it.at, zone)).unwrap_or_default(),
        counted: closed.map(|it| it.counted.to_string()).unwrap_or_default(),
        difference: closed.map(|it| it.difference.to_string()).unwrap_or_default(),
        is_short: closed.is_some_and(|it| it.difference.minor() < 0),
        is_even: closed.is_some_and(|it| it.difference.minor() == 0),
        note: closed.map(|it| it.note.clone()).unwrap_or_default(),
    })
}

pub async fn list(State(app): State<App>, caller: Caller) -> PageResult {
    let own = match app.service.current_shift(caller.operator.operator_id).await? {
        Some(shift) => Some(shown(&app, &shift).await?),
        None => None,
    };
    let page = Page { limit: SHOWN, ..Page::default() };
    let mut shifts = Vec::new();
    for shift in app.service.shifts(&page).await? {
        shifts.push(shown(&app, &shift).await?);
    }
    Ok(render(&ShiftsPage {
        head: Head::new(&caller, "shifts"),
        own,
        new_id: uuid::Uuid::now_v7().to_string(),
        currency: app.currency.code().to_owned(),
        shifts,
    }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenForm {
    shift_id: String,
    float: String,
}

pub async fn open(
    State(app): State<App>,
    caller: Caller,
    Form(form): Form<OpenForm>,
) -> PageResult {
    let shift: ShiftId = id(&form.shift_id)?;
    let float = typed("Float", &form.float, &app, "/shifts")?;
    app.service
        .open_shift(shift, float, &caller.actor())
        .await
        .map_err(|error| PageError::from(error).back_to("/shifts"))?;
    Ok(Redirect::to("/shifts").into_response())
}

fn typed(field: &str, text: &str, app: &App, back: &str) -> Result<Money, PageError> {
    Money::parse(text.trim(), app.currency)
        .map_err(|error| PageError::unusable(field, error).back_to(back))
}

pub async fn show(State(app): State<App>, caller: Caller, Path(shift): Path<String>) -> PageResult {
    let shift = app.service.shift(id(&shift)?).await?;
    Ok(render(&ShiftPage {
        head: Head::new(&caller, "shifts"),
        shift: shown(&app, &shift).await?,
        currency: app.currency.code().to_owned(),
    }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountForm {
    counted: String,
    #[serde(default)]
    note: String,
}

/// What the count would come to, before it is final.
pub async fn confirm(
    State(app): State<App>,
    caller: Caller,
    Path(shift): Path<String>,
    Query(form): Query<CountForm>,
) -> PageResult {
    let shift: ShiftId = id(&shift)?;
    let back = format!("/shifts/{shift}");
    let counted = typed("Counted", &form.counted, &app, &back)?;
    let closed = app
        .service
        .close_shift(shift, counted, &form.note, Run::Dry, &caller.actor())
        .await
        .map_err(|error| PageError::from(error).back_to(back))?;
    Ok(render(&ClosePage {
        head: Head::new(&caller, "shifts"),
        shift: shown(&app, &closed).await?,
        currency: app.currency.code().to_owned(),
        note: form.note,
    }))
}

pub async fn close(
    State(app): State<App>,
    caller: Caller,
    Path(shift): Path<String>,
    Form(form): Form<CountForm>,
) -> PageResult {
    let shift: ShiftId = id(&shift)?;
    let back = format!("/shifts/{shift}");
    let counted = typed("Counted", &form.counted, &app, &back)?;
    match app.service.close_shift(shift, counted, &form.note, Run::Real, &caller.actor()).await {
        Ok(_) => Ok(Redirect::to(&back).into_response()),
        Err(error) => Err(PageError::from(error).back_to(back)),
    }
}
