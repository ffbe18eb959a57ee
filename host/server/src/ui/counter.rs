//! The counter's start: find a meter, and see which sales still need somebody.

use super::view::{MeterView, SaleRow};
use super::{Head, PageResult, render};
use crate::app::App;
use crate::session::Caller;
use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect};
use polymeter_service::Page;
use serde::Deserialize;

/// More than fit on a screen help nobody to find one.
const RESULTS_MAX: u32 = 50;

#[derive(Template)]
#[template(path = "start.html")]
struct StartPage {
    head: Head,
    unsettled: Vec<SaleRow>,
    /// Some driver knows cards.
    has_cards: bool,
    /// How many are open and how many wait; at most a page of each is counted.
    discrepancies: usize,
    alarms: usize,
    approvals: usize,
}

#[derive(Template)]
#[template(path = "meters.html")]
struct MetersPage {
    head: Head,
    query: String,
    meters: Vec<MeterView>,
    is_cut: bool,
}

#[derive(Template)]
#[template(path = "meter_results.html")]
struct Results {
    query: String,
    meters: Vec<MeterView>,
    is_cut: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    #[serde(default)]
    query: String,
}

pub async fn start(State(app): State<App>, caller: Caller) -> PageResult {
    let mut unsettled = Vec::new();
    for sale in app.service.unsettled_sales().await? {
        let meter = app.service.meter(sale.meter_id).await?;
        unsettled.push(SaleRow::new(&sale, Some(&meter), &app));
    }
    let page = Page { limit: RESULTS_MAX, ..Page::default() };
    let discrepancies = app.service.discrepancies(None, true, &page).await?.len();
    let alarms = app.service.alarms(None, true, &page).await?.len();
    let approvals = app.service.approvals(true, &page).await?.len();
    let head = Head::new(&caller, "start");
    let has_cards = app.service.drivers().iter().any(|driver| driver.cards());
    Ok(render(&StartPage { head, unsettled, has_cards, discrepancies, alarms, approvals }))
}

/// Enter in the search box. The one meter found is gone to straight away.
pub async fn meters(
    State(app): State<App>,
    caller: Caller,
    Query(search): Query<Search>,
) -> PageResult {
    let (meters, is_cut) = find(&app, &search.query).await?;
    if let ([meter], false) = (meters.as_slice(), search.query.is_empty()) {
        return Ok(Redirect::to(&format!("/meters/{}", meter.id)).into_response());
    }
    let head = Head::new(&caller, "meters");
    Ok(render(&MetersPage { head, query: search.query, meters, is_cut }))
}

/// The list alone, while somebody types.
pub async fn results(State(app): State<App>, Query(search): Query<Search>) -> PageResult {
    let (meters, is_cut) = find(&app, &search.query).await?;
    Ok(render(&Results { query: search.query, meters, is_cut }))
}

async fn find(app: &App, query: &str) -> Result<(Vec<MeterView>, bool), super::PageError> {
    let query = Some(query.trim()).filter(|text| !text.is_empty()).map(str::to_owned);
    let found = app.service.meters(&Page { query, after: None, limit: RESULTS_MAX }).await?;
    let is_cut = u32::try_from(found.len()).is_ok_and(|length| length >= RESULTS_MAX);
    Ok((found.iter().map(|meter| MeterView::new(meter, app)).collect(), is_cut))
}
