//! What a meter keeps of the past: what was read out of it, and reading more.

use super::meters::id;
use super::view::{sentence, text};
use super::{Head, PageError, PageResult, render};
use crate::app::App;
use crate::session::Caller;
use crate::states;
use askama::Template;
use axum::extract::{Form, Path, State};
use polymeter_domain::Quality;
use polymeter_runtime::RecordKind;
use polymeter_service::{Meter, Page, RecordsRead, StoredRecord};
use serde::Deserialize;

/// Of each kind; the API has all.
const SHOWN: u32 = 48;

#[derive(Template)]
#[template(path = "records.html")]
struct RecordsPage {
    head: Head,
    meter_id: String,
    serial_number: String,
    kinds: Vec<KindView>,
    /// What reading them just brought.
    told: String,
    problem: String,
}

#[derive(Debug)]
struct KindView {
    name: String,
    title_en: String,
    title_zh: String,
    is_events: bool,
    rows: Vec<RecordRow>,
}

#[derive(Debug)]
struct RecordRow {
    at: String,
    word: String,
    chinese: &'static str,
    code: String,
    /// "voltage A 220.0 V, active power 0.500 kW".
    values: String,
}

impl RecordRow {
    fn new(it: &StoredRecord) -> RecordRow {
        let measured = it.measurements.iter().map(|it| {
            let code = it.register.as_str();
            let name = crate::registers::name(code).map_or(code, |(english, _)| english);
            match it.quality {
                Quality::Measured | Quality::Estimated => {
                    format!("{name} {} {}", text(&it.value), it.unit.symbol())
                }
                Quality::Invalid | Quality::NotMeasured => format!("{name} –"),
            }
        });
        let extras = it.extras.iter().map(|(name, value)| format!("{name} {}", text(value)));
        let values: Vec<String> = measured.chain(extras).collect();
        let (word, chinese) = states::words(&it.event);
        RecordRow {
            at: it.at.replace('T', " "),
            word,
            chinese,
            code: it.device_code.clone(),
            values: values.join(", "),
        }
    }
}

pub async fn show(State(app): State<App>, caller: Caller, Path(meter): Path<String>) -> PageResult {
    let meter = app.service.meter(id(&meter)?).await?;
    page(&app, &caller, &meter, String::new(), String::new()).await
}

async fn page(
    app: &App,
    caller: &Caller,
    meter: &Meter,
    told: String,
    problem: String,
) -> PageResult {
    let shown = Page { limit: SHOWN, ..Page::default() };
    let mut kinds = Vec::new();
    for RecordKind { name, title_en, title_zh, is_events } in
        app.service.record_kinds(meter.meter_id).await?
    {
        let rows = app.service.records(meter.meter_id, Some(&name), &shown).await?;
        let rows = rows.iter().map(RecordRow::new).collect();
        kinds.push(KindView { name, title_en, title_zh, is_events, rows });
    }
    let head = Head::new(caller, "meters");
    let (meter_id, serial_number) = (meter.meter_id.to_string(), meter.serial_number.clone());
    Ok(render(&RecordsPage { head, meter_id, serial_number, kinds, told, problem }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindForm {
    kind: String,
}

pub async fn read(
    State(app): State<App>,
    caller: Caller,
    Path(meter): Path<String>,
    Form(form): Form<KindForm>,
) -> PageResult {
    let meter = app.service.meter(id(&meter)?).await?;
    match app.service.read_records(meter.meter_id, &form.kind, None, &caller.actor()).await {
        Ok(read) => page(&app, &caller, &meter, brought(&read), String::new()).await,
        Err(error) => {
            let problem = sentence(&PageError::from(error).detail);
            page(&app, &caller, &meter, String::new(), problem).await
        }
    }
}

fn brought(read: &RecordsRead) -> String {
    let RecordsRead { stored, known, undated, damaged, is_cut } = read;
    let mut told = format!("{stored} new, {known} known already.");
    if *undated > 0 {
        told.push_str(&format!(" {undated} had no time and were left out."));
    }
    if let Some(first) = damaged.first() {
        told.push_str(&format!(" Damaged, {} in all: {first}.", damaged.len()));
    }
    if *is_cut {
        told.push_str(" There is more: read again.");
    }
    told
}
