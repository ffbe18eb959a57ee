//! Day closes: the list with the button that closes a day, and one close as it is printed and kept.

use super::{Head, PageError, PageResult, render, view};
use crate::api::day_closes::DayCloseDetail;
use crate::app::App;
use crate::session::Caller;
use askama::Template;
use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse, Redirect};
use polymeter_domain::tariff::Date;
use polymeter_ledger::DayClose;
use polymeter_service::{Page, UnixMs};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "day_closes.html")]
struct ListPage {
    head: Head,
    today: String,
    is_closed_today: bool,
    closes: Vec<CloseView>,
    is_cut: bool,
}

#[derive(Debug)]
struct CloseView {
    number: i64,
    day: String,
    at: String,
    sequence: i64,
}

#[derive(Template)]
#[template(path = "day_close.html")]
struct ShowPage {
    head: Head,
    close: CloseView,
    detail: DayCloseDetail,
    key: String,
}

fn shown(close: &DayClose, app: &App) -> CloseView {
    CloseView {
        number: close.head.number,
        day: close.head.day.clone(),
        at: view::time(UnixMs(close.head.at_ms), &app.time_zone),
        sequence: close.head.sequence,
    }
}

pub async fn list(State(app): State<App>, caller: Caller) -> PageResult {
    let page = Page { query: None, after: None, limit: 200 };
    let closes = app.service.day_closes(&page).await?;
    let today = app.service.today()?.to_string();
    Ok(render(&ListPage {
        head: Head::new(&caller, "ledger"),
        is_closed_today: closes.first().is_some_and(|close| close.head.day == today),
        today,
        is_cut: closes.len() == 200,
        closes: closes.iter().map(|close| shown(close, &app)).collect(),
    }))
}

#[derive(Debug, Deserialize)]
pub struct Typed {
    #[serde(default)]
    day: String,
}

pub async fn close(
    State(app): State<App>,
    caller: Caller,
    Form(Typed { day }): Form<Typed>,
) -> PageResult {
    let day = match day.trim() {
        "" => None,
        day => Some(
            day.parse::<Date>()
                .map_err(|error| PageError::unusable("day", error).back_to("/day-closes"))?,
        ),
    };
    let closed = app
        .service
        .close_day(day, |head| app.head_key.sign(head), &caller.actor())
        .await
        .map_err(|error| PageError::from(error).back_to("/day-closes"))?;
    let to = format!("/day-closes/{}", closed.close.head.day);
    Ok(Redirect::to(&to).into_response())
}

pub async fn show(State(app): State<App>, caller: Caller, Path(day): Path<String>) -> PageResult {
    let day = day
        .parse::<Date>()
        .map_err(|error| PageError::unusable("day", error).back_to("/day-closes"))?;
    let closed = app
        .service
        .closed_day(day)
        .await
        .map_err(|error| PageError::from(error).back_to("/day-closes"))?;
    let key = app.head_key.public().ok().flatten();
    Ok(render(&ShowPage {
        head: Head::new(&caller, "ledger"),
        close: shown(&closed.close, &app),
        detail: DayCloseDetail::from(&closed),
        key: key.map(|key| key.to_string()).unwrap_or_default(),
    }))
}
