//! The readers on the counter's page: what lies in each, in words, and the way to the sale and to what
//! else can be done with it. The panel is drawn anew whenever the service says that something came or went
//! (SSE).
//!
//! Not here: the sale itself, which is that of any meter (sales), and cards that are no customer's
//! (maintenance_cards).

use super::act::{self, Field, Form, Typed};
use super::meters::id;
use super::view::{self, Badge, badge, segment, sentence};
use super::{Head, PageError, PageResult, render};
use crate::app::App;
use crate::session::Caller;
use askama::Template;
use axum::extract::{self, Path, State};
use axum::response::{IntoResponse, Redirect};
use polymeter_domain::{MeterId, Value};
use polymeter_service::{CardVerdict, Finding, Home, KnownCard, Looked, Right};

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
    /// What else this operator may do with what lies there: an address, what it is, and in Chinese.
    acts: Vec<(String, &'static str, &'static str)>,
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
    /// The device that wrote, where that is another than the card is for.
    written_by: String,
    /// What a maintenance card carries: titles and value.
    carries: Vec<(String, String, String)>,
    sells: bool,
    currency: String,
}

/// The panel alone, for the page that has it.
pub async fn panel(State(app): State<App>, caller: Caller) -> PageResult {
    let mut readers = Vec::new();
    for looked in app.service.readers().await? {
        let acts = acts(&app, &caller, &looked);
        readers.push(ReaderView { acts, ..view(&app, &looked).await? });
    }
    let sells = readers.iter().find(|it| it.card.as_ref().is_some_and(|card| card.sells));
    let first = sells.map(|it| it.name.clone()).unwrap_or_default();
    Ok(render(&Panel { readers, first }))
}

/// By the operator's rights.
fn acts(app: &App, caller: &Caller, looked: &Looked) -> Vec<(String, &'static str, &'static str)> {
    let may = |right| caller.operator.may(right);
    let reader = segment(&looked.reader);
    match &looked.finding {
        Finding::Blank { .. }
            if may(Right::Settings) && !app.service.makeable(&looked.finding).is_empty() =>
        {
            let address = format!("/readers/{reader}/maintenance-card");
            vec![(address, "Make a maintenance card", "制作维护卡")]
        }
        Finding::Known(card) if card.verdict == CardVerdict::Waiting && may(Right::Approve) => {
            let uptake = |meter| format!("/meters/{meter}/card-uptake");
            let address = card.meter_id.map(uptake);
            address.into_iter().map(|it| (it, "It was taken in", "已插表")).collect()
        }
        Finding::Known(card) if !card.verdict.serves_account() && may(Right::Customers) => {
            vec![(format!("/readers/{reader}/recycling"), "Make it blank", "回收")]
        }
        _ => Vec::new(),
    }
}

async fn view(app: &App, looked: &Looked) -> Result<ReaderView, PageError> {
    let vendors = |vendors: &[polymeter_domain::VendorCode]| {
        let vendors: Vec<&str> = vendors.iter().map(|it| it.as_str()).collect();
        vendors.join(", ")
    };
    let (state, told) = match &looked.finding {
        Finding::Gone(why) => (badge("bad", "No reader", "读卡器未连接"), sentence(why)),
        Finding::Empty => (badge("calm", "No card", "无卡"), String::new()),
        Finding::Unknown { why, .. } => (badge("warn", "Unknown card", "未知卡"), sentence(why)),
        Finding::Foreign { mark, vendor, .. } => (
            badge("warn", "Foreign card", "他厂卡"),
            match vendor {
                Some(vendor) => {
                    format!("It is of vendor {vendor}, which no enabled driver serves.")
                }
                None => {
                    format!("Its mark is “{mark}”, and no enabled driver serves that vendor.")
                }
            },
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
    Ok(ReaderView { name: looked.reader.clone(), state, told, card, acts: Vec::new() })
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

/// As whoever wrote it tells it.
fn extra(name: &str, value: &Value) -> String {
    match value {
        Value::Flag(true) => name.to_owned(),
        value => format!("{name} {}", view::text(value)),
    }
}

async fn card_view(app: &App, card: &KnownCard) -> Result<CardView, PageError> {
    let meter = match card.meter_id {
        Some(id) => Some(app.service.meter(id).await?),
        None => None,
    };
    let customer = meter.as_ref().and_then(|it| it.customer.as_ref());
    let contents = &card.contents;
    let identity = &contents.identity;
    let is_maintenance = identity.purpose.is_maintenance();
    let credit = |credit| view::credit(credit, app);
    let purchase = contents.purchase.map(|it| format!("{}: {}", it.count, credit(it.credit)));
    let written_back = contents.written_back.as_ref().map(|back| {
        let left = back.balance.map(|it| format!(", {} left", credit(it))).unwrap_or_default();
        let at = back.at.map(|at| format!(", {}", at.to_string().replace('T', " ")));
        let extras =
            back.extras.iter().filter(|(name, _)| is_maintenance && !name.starts_with("of "));
        let extras: String =
            extras.map(|(name, value)| format!(", {}", extra(name, value))).collect();
        format!("purchase {} taken{left}{}{extras}", back.count, at.unwrap_or_default())
    });
    let back = contents.written_back.as_ref();
    let written_by = back.and_then(|back| back.extras.iter().find(|(name, _)| name == "of device"));
    let declared = app.service.parameters_of(&identity.vendor, Home::Device);
    let carried = contents.extras.iter().filter(|_| is_maintenance).map(|(name, value)| {
        let known = declared.iter().find(|it| it.name == *name);
        let (title, chinese) = known.map_or_else(
            || (name.clone(), String::new()),
            |it| (it.title_en.clone(), it.title_zh.clone()),
        );
        (title, chinese, view::text(value))
    });
    let carried = carried.collect();
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
        written_by: written_by.map(|(_, device)| view::text(device)).unwrap_or_default(),
        carries: carried,
        sells: card.verdict == CardVerdict::Sellable,
        currency: app.currency.code().to_owned(),
    })
}

fn recycling(reader: &str) -> Form {
    Form {
        subject: format!("Reader {reader}"),
        title: "Make the card blank",
        chinese: "回收卡",
        effect:
            "What stands on the card is gone afterwards, and it can become anybody's card. That of \
                 an open account is not touched."
                .to_owned(),
        action: format!("/readers/{}/recycling", segment(reader)),
        back: "/".to_owned(),
        button: "Make it blank",
        is_risky: true,
        fields: vec![reason()],
        key: act::new_key(),
        error: String::new(),
    }
}

fn reason() -> Field {
    Field::new("text", "reason", ("Reason", "原因"), "it is kept in the audit trail").required()
}

pub async fn recycling_form(
    State(app): State<App>,
    caller: Caller,
    Path(reader): Path<String>,
) -> PageResult {
    let looked = app.service.look_at(&reader).await?;
    let mut form = recycling(&looked.reader);
    if let Finding::Known(card) = &looked.finding {
        let identity = &card.contents.identity;
        let (vendor, purpose, serial) = (&identity.vendor, identity.purpose, &identity.serial);
        form.subject = format!("Reader {reader}: {vendor} {purpose} card {serial}");
    }
    form.page(Head::new(&caller, "start"))
}

pub async fn recycle(
    State(app): State<App>,
    caller: Caller,
    Path(reader): Path<String>,
    extract::Form(typed): extract::Form<Typed>,
) -> PageResult {
    let reason = act::text(&typed, "reason");
    match app.service.recycle_card(&reader, reason, &caller.actor()).await {
        Ok(()) => Ok(Redirect::to("/").into_response()),
        Err(error) => {
            let form = recycling(&reader).again(&typed, &PageError::from(error));
            form.page(Head::new(&caller, "start"))
        }
    }
}

async fn uptake(app: &App, meter: MeterId) -> Result<Form, PageError> {
    let meter = app.service.meter(meter).await?;
    Ok(Form {
        subject: format!("Meter {}", meter.serial_number),
        title: "The last purchase was taken in",
        chinese: "上次购电已插表",
        effect: "The card does not show that the meter took it. Say so only where the customer has read \
                 it off the meter's display: the next sale goes onto the card, and what the meter did \
                 not take is lost with it."
            .to_owned(),
        action: format!("/meters/{}/card-uptake", meter.meter_id),
        back: "/".to_owned(),
        button: "It was taken in",
        is_risky: true,
        fields: vec![reason()],
        key: act::new_key(),
        error: String::new(),
    })
}

pub async fn uptake_form(
    State(app): State<App>,
    caller: Caller,
    Path(meter): Path<String>,
) -> PageResult {
    uptake(&app, id(&meter)?).await?.page(Head::new(&caller, "start"))
}

/// The panel shows what it means for the card.
pub async fn say_taken(
    State(app): State<App>,
    caller: Caller,
    Path(meter): Path<String>,
    extract::Form(typed): extract::Form<Typed>,
) -> PageResult {
    let (meter, reason) = (id(&meter)?, act::text(&typed, "reason"));
    match app.service.say_card_is_taken(meter, reason, &caller.actor()).await {
        Ok(()) => Ok(Redirect::to("/").into_response()),
        Err(error) => {
            let form = uptake(&app, meter).await?.again(&typed, &PageError::from(error));
            form.page(Head::new(&caller, "start"))
        }
    }
}
