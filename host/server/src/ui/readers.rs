//! The readers on the counter's page: what lies in each, in words, and the way to the sale. The panel is
//! drawn anew whenever the service says that something came or went (SSE).
//!
//! Not here: the sale itself, which is that of any meter (sales).

use super::view::{self, Badge, badge, sentence};
use super::{PageResult, render};
use crate::app::App;
use askama::Template;
use axum::extract::State;
use polymeter_service::{CardVerdict, Finding, KnownCard, Looked};

#[derive(Template)]
#[template(path = "readers.html")]
struct Panel {
    readers: Vec<ReaderView>,
    /// Whose field has the keyboard: the first card that can be sold to.
    first: String,
}

#[derive(Debug)]
struct ReaderView {
    name: String,
    state: Badge,
    /// A sentence for the clerk; empty where the badge says it all.
    told: String,
    card: Option<CardView>,
}

#[derive(Debug)]
struct CardView {
    vendor: String,
    kind: &'static str,
    purpose: &'static str,
    purpose_chinese: &'static str,
    serial: String,
    customer_number: String,
    customer: String,
    meter_id: String,
    serial_number: String,
    /// "purchase 3, 50.00 CNY".
    purchase: String,
    /// "purchase 3 taken, 12.40 CNY left, 2026-11-26 08:00:00".
    written_back: String,
    sells: bool,
    currency: String,
}

/// The panel alone, for the page that has it.
pub async fn panel(State(app): State<App>) -> PageResult {
    let mut readers = Vec::new();
    for looked in app.service.readers().await? {
        readers.push(view(&app, &looked).await?);
    }
    let sells = readers.iter().find(|it| it.card.as_ref().is_some_and(|card| card.sells));
    let first = sells.map(|it| it.name.clone()).unwrap_or_default();
    Ok(render(&Panel { readers, first }))
}

async fn view(app: &App, looked: &Looked) -> Result<ReaderView, super::PageError> {
    let vendors = |vendors: &[polymeter_domain::VendorCode]| {
        let vendors: Vec<&str> = vendors.iter().map(|it| it.as_str()).collect();
        vendors.join(", ")
    };
    let (state, told) = match &looked.finding {
        Finding::Gone(why) => (badge("bad", "No reader", "读卡器未连接"), sentence(why)),
        Finding::Empty => (badge("calm", "No card", "无卡"), String::new()),
        Finding::Unknown { why, .. } => (badge("warn", "Unknown card", "未知卡"), sentence(why)),
        Finding::Foreign { mark, .. } => (
            badge("warn", "Foreign card", "他厂卡"),
            format!("Its mark is “{mark}”, and no enabled driver serves that vendor."),
        ),
        Finding::Ambiguous { vendors: all, .. } => (
            badge("warn", "Ambiguous card", "无法确定厂家"),
            format!("Several say that it is theirs: {}. Set its mark cell.", vendors(all)),
        ),
        Finding::Blank { vendors: all, .. } => (
            badge("calm", "Blank card", "空白卡"),
            format!(
                "It can become a card of {}. Open a meter's account, or replace a lost card, from \
                 the meter's page.",
                vendors(all)
            ),
        ),
        Finding::Known(card) => verdict(card),
    };
    let card = match &looked.finding {
        Finding::Known(card) => Some(card_view(app, card).await?),
        _ => None,
    };
    Ok(ReaderView { name: looked.reader.clone(), state, told, card })
}

fn verdict(card: &KnownCard) -> (Badge, String) {
    let badge = match &card.verdict {
        CardVerdict::Sellable => return (badge("good", "Ready to sell", "可售电"), String::new()),
        CardVerdict::Waiting => badge("warn", "Not inserted yet", "上次购电未插表"),
        CardVerdict::Behind { .. } => badge("bad", "Behind the books", "次数落后"),
        CardVerdict::Ahead { .. } => badge("bad", "Ahead of the books", "次数超前"),
        CardVerdict::Maintenance => badge("calm", "Maintenance card", "维护卡"),
        CardVerdict::OtherRegion(_) => badge("bad", "Another region", "外区域卡"),
        CardVerdict::NoMeter => badge("warn", "No such meter", "无此表"),
        CardVerdict::NotOpen => badge("warn", "No account", "未开户"),
        CardVerdict::OtherCustomer => badge("bad", "Another customer", "户号不符"),
        CardVerdict::Replaced => badge("bad", "Replaced card", "已补卡"),
        CardVerdict::Unsettled(_) => badge("busy", "Sale not settled", "售电未完成"),
    };
    (badge, sentence(&card.verdict.sentence()))
}

async fn card_view(app: &App, card: &KnownCard) -> Result<CardView, super::PageError> {
    let meter = match card.meter_id {
        Some(id) => Some(app.service.meter(id).await?),
        None => None,
    };
    let customer = meter.as_ref().and_then(|it| it.customer.as_ref());
    let contents = &card.contents;
    let identity = &contents.identity;
    let credit = |credit| view::credit(credit, app);
    let purchase = contents.purchase.map(|it| format!("{}: {}", it.count, credit(it.credit)));
    let written_back = contents.written_back.as_ref().map(|back| {
        let left = back.balance.map(|it| format!(", {} left", credit(it))).unwrap_or_default();
        let at = back.at.map(|at| format!(", {}", at.to_string().replace('T', " ")));
        format!("purchase {} taken{left}{}", back.count, at.unwrap_or_default())
    });
    Ok(CardView {
        vendor: identity.vendor.to_string(),
        kind: card.kind.name(),
        purpose: identity.purpose.name(),
        purpose_chinese: identity.purpose.chinese(),
        serial: identity.serial.clone(),
        customer_number: customer.map(|it| it.number.to_string()).unwrap_or_default(),
        customer: customer.map(|it| it.name.clone()).unwrap_or_default(),
        meter_id: card.meter_id.map(|id| id.to_string()).unwrap_or_default(),
        serial_number: meter.as_ref().map(|it| it.serial_number.clone()).unwrap_or_default(),
        purchase: purchase.unwrap_or_default(),
        written_back: written_back.unwrap_or_default(),
        sells: card.verdict == CardVerdict::Sellable,
        currency: app.currency.code().to_owned(),
    })
}
