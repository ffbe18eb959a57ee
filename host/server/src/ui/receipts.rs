//! Customers' receipts: found by number, looked at, printed; every print after the first says COPY.

use super::view::{self, Named};
use super::{Head, PageError, PageResult, render};
use crate::app::App;
use crate::capitals;
use crate::session::Caller;
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect};
use polymeter_service::{ActKind, CustomerReceipt, Page, ReceiptLine};
use serde::Deserialize;

const SHOWN: u32 = 50;

#[derive(Template)]
#[template(path = "receipts.html")]
struct ReceiptsPage {
    head: Head,
    receipts: Vec<ReceiptView>,
    problem: String,
}

#[derive(Template)]
#[template(path = "receipt.html")]
struct ReceiptPage {
    head: Head,
    receipt: ReceiptView,
}

#[derive(Template)]
#[template(path = "receipt_print.html")]
struct PrintPage {
    receipt: ReceiptView,
    /// 0: the original.
    copy: u64,
}

#[derive(Debug)]
struct ReceiptView {
    number: u64,
    /// As it is printed: at least six digits.
    shown_number: String,
    title: &'static str,
    chinese: &'static str,
    channel: Named,
    amount: String,
    /// In Chinese capitals, as receipts have it (大写).
    capitals: String,
    currency: String,
    at: String,
    lines: Vec<ReceiptLine>,
    prints: u64,
    /// Where what it is for is shown; empty where there is no such page.
    about: String,
}

fn shown(receipt: &CustomerReceipt, app: &App) -> ReceiptView {
    let (title, chinese) = view::receipt_kind(&receipt.kind);
    ReceiptView {
        number: receipt.number,
        shown_number: format!("{:06}", receipt.number),
        title,
        chinese,
        channel: view::channel(receipt.channel),
        amount: receipt.amount.to_string(),
        capitals: capitals::of(receipt.amount),
        currency: receipt.amount.currency().code().to_owned(),
        at: view::time(receipt.at, &app.time_zone),
        lines: receipt.lines.clone(),
        prints: receipt.prints,
        about: match receipt.kind.as_str() {
            "sale" => format!("/sales/{}", receipt.reference),
            kind if ActKind::from_name(kind).is_some() => format!("/acts/{}", receipt.reference),
            _ => String::new(),
        },
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    #[serde(default)]
    number: String,
}

/// The newest ones, or the one of a number.
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(search): Query<Search>,
) -> PageResult {
    let mut problem = String::new();
    let typed = search.number.trim();
    if !typed.is_empty() {
        match typed.parse::<u64>() {
            Ok(number) if app.service.receipt(number).await.is_ok() => {
                return Ok(Redirect::to(&format!("/receipts/{number}")).into_response());
            }
            Ok(number) => problem = format!("There is no receipt {number}."),
            Err(_) => problem = format!("`{typed}` is not a number."),
        }
    }
    let page = Page { limit: SHOWN, ..Page::default() };
    let found = app.service.receipts(None, &page).await?;
    let receipts = found.iter().map(|receipt| shown(receipt, &app)).collect();
    Ok(render(&ReceiptsPage { head: Head::new(&caller, "receipts"), receipts, problem }))
}

fn number(text: &str) -> Result<u64, PageError> {
    text.parse().map_err(|_| PageError::unusable("Receipt", format!("`{text}` is not a number")))
}

pub async fn show(State(app): State<App>, caller: Caller, Path(text): Path<String>) -> PageResult {
    let receipt = app.service.receipt(number(&text)?).await?;
    let head = Head::new(&caller, "receipts");
    Ok(render(&ReceiptPage { head, receipt: shown(&receipt, &app) }))
}

/// Counted first, so that no paper leaves the printer uncounted.
pub async fn print(State(app): State<App>, caller: Caller, Path(text): Path<String>) -> PageResult {
    let number = number(&text)?;
    let copy = app.service.print_receipt(number, &caller.actor()).await?;
    Ok(Redirect::to(&format!("/receipts/{number}/prints/{copy}")).into_response())
}

/// The paper. A print that was never counted has no page.
pub async fn paper(State(app): State<App>, Path((text, copy)): Path<(String, u64)>) -> PageResult {
    let receipt = app.service.receipt(number(&text)?).await?;
    if copy >= receipt.prints {
        let back = format!("/receipts/{}", receipt.number);
        return Err(PageError::unusable("Print", "print it from its page").back_to(back));
    }
    Ok(render(&PrintPage { receipt: shown(&receipt, &app), copy }))
}
