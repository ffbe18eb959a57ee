//! What is wrong at meters by their own word: what stands, and what is over.

use super::{Head, PageResult, render, view};
use crate::app::App;
use crate::session::Caller;
use crate::states;
use askama::Template;
use axum::extract::{Query, State};
use polymeter_service::{Alarm, Page};
use serde::Deserialize;

const SHOWN: u32 = 100;

#[derive(Template)]
#[template(path = "alarms.html")]
struct AlarmsPage {
    head: Head,
    standing: Vec<AlarmView>,
    /// Among the last ones.
    over: Vec<AlarmView>,
    /// Empty: of all meters.
    serial_number: String,
}

#[derive(Debug)]
struct AlarmView {
    meter_id: String,
    serial_number: String,
    word: String,
    chinese: &'static str,
    begun_at: String,
    ended_at: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// A meter's id.
    #[serde(default)]
    meter: Option<String>,
}

pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(which): Query<Which>,
) -> PageResult {
    let (mut of, mut serial_number) = (None, String::new());
    if let Some(text) = which.meter {
        let meter = app.service.meter(super::meters::id(&text)?).await?;
        (of, serial_number) = (Some(meter.meter_id), meter.serial_number);
    }
    let page = Page { limit: SHOWN, ..Page::default() };
    let view = |it| AlarmView::new(it, &app);
    let standing = app.service.alarms(of, true, &page).await?.into_iter().map(view).collect();
    let last = app.service.alarms(of, false, &page).await?.into_iter();
    let over = last.filter(|it| it.ended_at.is_some()).map(view).collect();
    Ok(render(&AlarmsPage { head: Head::new(&caller, "alarms"), standing, over, serial_number }))
}

impl AlarmView {
    fn new(it: Alarm, app: &App) -> AlarmView {
        let (word, chinese) = states::words(&it.name);
        let time = |at| view::time(at, &app.time_zone);
        AlarmView {
            meter_id: it.meter_id.to_string(),
            serial_number: it.serial_number,
            word,
            chinese,
            begun_at: time(it.begun_at),
            ended_at: it.ended_at.map(time).unwrap_or_default(),
        }
    }
}
