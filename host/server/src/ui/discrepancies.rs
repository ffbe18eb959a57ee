//! Where meters' figures are not ours: the list, and closing one with a reason.

use super::meters::id;
use super::view;
use super::{Head, PageError, PageResult, render};
use crate::app::App;
use crate::session::Caller;
use askama::Template;
use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse, Redirect};
use polymeter_domain::{DiscrepancyId, Story};
use polymeter_service::{Discrepancy, Page};
use serde::Deserialize;

const SHOWN: u32 = 50;

#[derive(Template)]
#[template(path = "discrepancies.html")]
struct DiscrepanciesPage {
    head: Head,
    open: Vec<DiscrepancyView>,
    all: Vec<DiscrepancyView>,
}

#[derive(Debug)]
pub(super) struct DiscrepancyView {
    id: String,
    meter_id: String,
    serial_number: String,
    word: &'static str,
    chinese: &'static str,
    meaning: &'static str,
    ours: String,
    device: String,
    times: u64,
    opened_at: String,
    last_at: String,
    reason: String,
}

fn words(story: Story) -> (&'static str, &'static str, &'static str) {
    match story {
        Story::CountAhead => (
            "Sold by somebody else",
            "购电次数超前",
            "The meter has taken purchases that are not ours.",
        ),
        Story::CountBehind => (
            "Reset or exchanged",
            "购电次数落后",
            "The meter has taken fewer purchases than we proved: it was reset, or it is another one.",
        ),
        Story::OtherAmount => (
            "Another amount",
            "金额不符",
            "The last purchase in the meter has another amount than ours.",
        ),
        Story::NoRecord => {
            ("No record", "无购电记录", "The meter counts the purchase and has no record of it.")
        }
    }
}

async fn shown(app: &App, it: &Discrepancy) -> Result<DiscrepancyView, PageError> {
    let meter = app.service.meter(it.meter_id).await?;
    let (word, chinese, meaning) = words(it.story);
    let figures = |count: Option<u32>, credit: Option<polymeter_domain::Credit>| {
        let count = count.map_or_else(|| "–".to_owned(), |count| format!("count {count}"));
        match credit {
            Some(credit) => format!("{count}, {}", view::credit(credit, app)),
            None => count,
        }
    };
    Ok(DiscrepancyView {
        id: it.discrepancy_id.to_string(),
        meter_id: it.meter_id.to_string(),
        serial_number: meter.serial_number,
        word,
        chinese,
        meaning,
        ours: figures(it.known_count, it.known),
        device: figures(Some(it.device_count), it.device),
        times: it.times,
        opened_at: view::time(it.opened_at, &app.time_zone),
        last_at: view::time(it.last_at, &app.time_zone),
        reason: it.closed.as_ref().map(|closed| closed.reason.clone()).unwrap_or_default(),
    })
}

async fn views(app: &App, open: bool) -> Result<Vec<DiscrepancyView>, PageError> {
    let page = Page { limit: SHOWN, ..Page::default() };
    let mut views = Vec::new();
    for it in app.service.discrepancies(None, open, &page).await? {
        views.push(shown(app, &it).await?);
    }
    Ok(views)
}

pub async fn list(State(app): State<App>, caller: Caller) -> PageResult {
    let (open, mut all) = (views(&app, true).await?, views(&app, false).await?);
    all.retain(|it| !it.reason.is_empty());
    Ok(render(&DiscrepanciesPage { head: Head::new(&caller, "discrepancies"), open, all }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReasonForm {
    reason: String,
}

pub async fn close(
    State(app): State<App>,
    caller: Caller,
    Path(discrepancy): Path<String>,
    Form(form): Form<ReasonForm>,
) -> PageResult {
    let discrepancy: DiscrepancyId = id(&discrepancy)?;
    match app.service.close_discrepancy(discrepancy, &form.reason, &caller.actor()).await {
        Ok(_) => Ok(Redirect::to("/discrepancies").into_response()),
        Err(error) => Err(PageError::from(error).back_to("/discrepancies")),
    }
}
