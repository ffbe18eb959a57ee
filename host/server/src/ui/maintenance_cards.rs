//! Maintenance cards (维护卡) on the page: one made of the blank card in a reader, with what its driver says
//! that it carries; those that were asked for; and one that a second person agreed to, made.
//!
//! Not here: what lies in which reader (readers), the second person's word (acts).

use super::act::{self, Typed};
use super::meters::id;
use super::parameters::{self, Again, ByName, Field};
use super::view::{self, Badge, badge, segment};
use super::{Head, PageError, PageResult, render};
use crate::app::App;
use crate::session::Caller;
use askama::Template;
use axum::extract::{self, Path, Query, State};
use axum::response::{IntoResponse, Redirect};
use polymeter_domain::{CardPurpose, MaintenanceCardId, MeterAddress, VendorCode};
use polymeter_package::Parameter;
use polymeter_service::{
    Finding, Home, Looked, MaintenanceCard, MaintenanceCardState, NewMaintenanceCard, Page, Right,
};
use serde::Deserialize;

const SHOWN_MAX: u32 = 100;

/// One that can be chosen.
#[derive(Debug)]
struct Choice {
    address: String,
    word: &'static str,
    chinese: &'static str,
    is_chosen: bool,
}

#[derive(Template)]
#[template(path = "maintenance_card_new.html")]
struct NewPage {
    head: Head,
    reader: String,
    action: String,
    /// By vendor.
    choices: Vec<(String, Vec<Choice>)>,
    /// Why nothing can be made here; empty where something can.
    why_not: String,
    chosen: Option<Chosen>,
    problem: String,
}

/// The form for the one that was chosen.
struct Chosen {
    vendor: String,
    purpose: CardPurpose,
    word: &'static str,
    effect: &'static str,
    takes_two: bool,
    device: String,
    reason: String,
    fields: Vec<Field>,
}

#[derive(Template)]
#[template(path = "maintenance_cards.html")]
struct ListPage {
    head: Head,
    cards: Vec<Row>,
}

struct Row {
    id: String,
    at: String,
    word: &'static str,
    chinese: &'static str,
    vendor: String,
    device: String,
    reason: String,
    operator: String,
    state: Badge,
}

#[derive(Template)]
#[template(path = "maintenance_card.html")]
struct CardPage {
    head: Head,
    row: Row,
    meaning: String,
    /// Title, in Chinese, value.
    carries: Vec<(String, String, String)>,
    reader: String,
    waits: bool,
    /// A blank card is wanted, and this operator may have it written.
    can_be_made: bool,
    problem: String,
}

#[derive(Template)]
#[template(path = "maintenance_card_readers.html")]
struct ReadersPart {
    id: String,
    vendor: String,
    /// In which a card lies that it can be made of.
    readers: Vec<String>,
}

/// Which of a vendor's cards; both are left out before one is chosen.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Which {
    #[serde(default)]
    vendor: String,
    #[serde(default)]
    purpose: String,
}

fn word(purpose: CardPurpose) -> &'static str {
    match purpose {
        CardPurpose::Blank => "Blank card",
        CardPurpose::User => "User card",
        CardPurpose::Setting => "Setting card",
        CardPurpose::Check => "Check card",
        CardPurpose::Clear => "Clear card",
        CardPurpose::Reset => "Reset card",
        CardPurpose::Price => "Price card",
        CardPurpose::Area => "Area card",
        CardPurpose::Test => "Test card",
        CardPurpose::KeyChange => "Key-change card",
    }
}

/// What it does in a device.
fn effect(purpose: CardPurpose) -> &'static str {
    match purpose {
        CardPurpose::Blank | CardPurpose::User => "",
        CardPurpose::Setting => "A device that it is put into takes these parameters. 设置参数。",
        CardPurpose::Check => {
            "Each device that it is put into writes onto it what it holds. Put it into a reader \
             again: the last one is kept as a reading. 抄回表内数据。"
        }
        CardPurpose::Clear => {
            "A device that it is put into forgets its customer, count and money. Whoever has this \
             card can do that to any of them. 清零，请妥善保管。"
        }
        CardPurpose::Reset => {
            "Ends the trial of a device from its maker; the supply is off until an account is \
             opened. 复位，结束试用状态。"
        }
        CardPurpose::Price => {
            "A device that it is put into charges by these prices from then on. The tariff plan here \
             is not changed by it. 更换表内电价。"
        }
        CardPurpose::Area => {
            "A device that it is put into takes cards of the new region alone from then on, its \
             customer's old card no more. 更换区域。"
        }
        CardPurpose::Test => "Lights the display and moves the relay; nothing is changed. 测试。",
        CardPurpose::KeyChange => {
            "A device that it is put into has the new key from then on, and refuses every card under \
             the old one. Rotate the key in the vault first. 更换密钥，旧卡失效。"
        }
    }
}

fn state(it: MaintenanceCardState) -> Badge {
    match it {
        MaintenanceCardState::Waiting => badge("warn", "Waits for a second person", "待复核"),
        MaintenanceCardState::Approved => badge("busy", "Waits for a blank card", "待写卡"),
        MaintenanceCardState::Begun => badge("busy", "Being made", "写卡中"),
        MaintenanceCardState::Made => badge("good", "Made", "已制卡"),
        MaintenanceCardState::NotMade => badge("calm", "Not made", "未制卡"),
        MaintenanceCardState::Unknown => badge("bad", "Not known", "结果未知"),
        MaintenanceCardState::Withdrawn => badge("calm", "Withdrawn", "已撤回"),
    }
}

fn meaning(it: &MaintenanceCard) -> String {
    let told = |text: &str| match it.detail.as_str() {
        "" => text.to_owned(),
        why => format!("{text} {}", view::sentence(why)),
    };
    match it.state {
        MaintenanceCardState::Waiting => {
            "Another operator agrees or refuses, under Acts.".to_owned()
        }
        MaintenanceCardState::Approved => told("It was agreed to. Put a blank card into a reader."),
        MaintenanceCardState::Begun => "The card is being written.".to_owned(),
        MaintenanceCardState::Made => {
            "The card was read back and is what was asked for.".to_owned()
        }
        MaintenanceCardState::NotMade => told("No card was changed."),
        MaintenanceCardState::Unknown => {
            told("Nobody knows what the card is. Put it into a reader: it tells.")
        }
        MaintenanceCardState::Withdrawn => told("It is not made."),
    }
}

/// The parameters that a vendor's cards of this purpose carry.
fn carried(app: &App, vendor: &VendorCode, purpose: CardPurpose) -> Vec<Parameter> {
    let mut all = app.service.parameters_of(vendor, Home::Device);
    all.retain(|it| match it.cards.is_empty() {
        true => purpose == CardPurpose::Setting,
        false => it.cards.contains(&purpose),
    });
    all
}

fn chosen(
    app: &App,
    choices: &[(VendorCode, Vec<CardPurpose>)],
    which: &Which,
    again: &Again,
    typed: &Typed,
) -> Option<Chosen> {
    let (vendor, makes) = choices.iter().find(|(vendor, _)| vendor.as_str() == which.vendor)?;
    let purpose = CardPurpose::from_name(&which.purpose).filter(|it| makes.contains(it))?;
    Some(Chosen {
        vendor: vendor.to_string(),
        purpose,
        word: word(purpose),
        effect: effect(purpose),
        takes_two: app.service.takes_two_for_a_card(purpose),
        device: act::text(typed, "device").to_owned(),
        reason: act::text(typed, "reason").to_owned(),
        fields: parameters::fields(&carried(app, vendor, purpose), again, app.currency),
    })
}

async fn new_page(
    app: &App,
    caller: &Caller,
    looked: &Looked,
    which: &Which,
    (again, typed): (&Again, &Typed),
) -> PageResult {
    let makeable = app.service.makeable(&looked.finding);
    let action = format!("/readers/{}/maintenance-card", segment(&looked.reader));
    let mut choices = Vec::new();
    for (vendor, makes) in &makeable {
        let choice = |purpose: &CardPurpose| Choice {
            address: format!(
                "{action}?vendor={}&purpose={}",
                segment(vendor.as_str()),
                purpose.name()
            ),
            word: word(*purpose),
            chinese: purpose.chinese(),
            is_chosen: which.vendor == vendor.as_str() && which.purpose == purpose.name(),
        };
        choices.push((vendor.to_string(), makes.iter().map(choice).collect()));
    }
    let why_not = match &looked.finding {
        Finding::Blank { .. } if choices.is_empty() => "No driver makes maintenance cards of it.",
        Finding::Blank { .. } => "",
        Finding::Known(_) => {
            "The card in this reader is not blank. Make it blank first, or put another in."
        }
        _ => "No blank card lies in this reader. Put one in.",
    };
    Ok(render(&NewPage {
        head: Head::new(caller, "cards"),
        reader: looked.reader.clone(),
        action,
        why_not: why_not.to_owned(),
        chosen: chosen(app, &makeable, which, again, typed),
        choices,
        problem: again.problem.clone(),
    }))
}

pub async fn new_form(
    State(app): State<App>,
    caller: Caller,
    Path(reader): Path<String>,
    Query(which): Query<Which>,
) -> PageResult {
    let looked = app.service.look_at(&reader).await?;
    new_page(&app, &caller, &looked, &which, (&Again::default(), &Typed::new())).await
}

pub async fn make(
    State(app): State<App>,
    caller: Caller,
    Path(reader): Path<String>,
    extract::Form(form): extract::Form<ByName>,
) -> PageResult {
    let which = Which {
        vendor: act::text(&form, "vendor").to_owned(),
        purpose: act::text(&form, "purpose").to_owned(),
    };
    let typed = parameters::typed(&form);
    let mut again = Again { typed: typed.clone(), ..Again::default() };
    match made(&app, &caller, &reader, &which, &form, &mut again).await {
        Some(it) => {
            let address = format!("/maintenance-cards/{}", it.maintenance_card_id);
            Ok(Redirect::to(&address).into_response())
        }
        None => {
            let looked = app.service.look_at(&reader).await?;
            new_page(&app, &caller, &looked, &which, (&again, &form)).await
        }
    }
}

/// `None`: what is wrong stands in `again`.
async fn made(
    app: &App,
    caller: &Caller,
    reader: &str,
    which: &Which,
    form: &ByName,
    again: &mut Again,
) -> Option<MaintenanceCard> {
    let tell = |again: &mut Again, why: &dyn std::fmt::Display| {
        again.problem = view::sentence(&why.to_string());
    };
    let Ok(vendor) = VendorCode::new(&which.vendor) else {
        tell(again, &"choose one of the cards");
        return None;
    };
    let Some(purpose) = CardPurpose::from_name(&which.purpose) else {
        tell(again, &"choose one of the cards");
        return None;
    };
    let device = match act::given(form, "device").map(|text| MeterAddress::new(&text)) {
        None => None,
        Some(Ok(device)) => Some(device),
        Some(Err(error)) => {
            tell(again, &format!("meter number: {error}"));
            return None;
        }
    };
    let declared = carried(app, &vendor, purpose);
    let parameters = match parameters::values(&declared, &again.typed, app.currency) {
        Ok(values) => values,
        Err(problems) => {
            again.problems = problems;
            return None;
        }
    };
    let reason = act::text(form, "reason").to_owned();
    let new = NewMaintenanceCard { vendor, purpose, device, parameters, reason };
    match app.service.make_maintenance_card(reader, new, &caller.actor()).await {
        Ok(it) => Some(it),
        Err(error) => {
            again.problems = parameters::problems_of(&error).unwrap_or_default();
            again.problem = PageError::from(error).detail;
            None
        }
    }
}

async fn row(app: &App, it: &MaintenanceCard) -> Result<Row, PageError> {
    Ok(Row {
        id: it.maintenance_card_id.to_string(),
        at: view::time(it.created_at, &app.time_zone),
        word: word(it.purpose),
        chinese: it.purpose.chinese(),
        vendor: it.vendor.to_string(),
        device: it.device.as_ref().map(ToString::to_string).unwrap_or_default(),
        reason: it.reason.clone(),
        operator: super::acts::who(app, &it.operator).await?,
        state: state(it.state),
    })
}

pub async fn list(State(app): State<App>, caller: Caller) -> PageResult {
    let page = Page { limit: SHOWN_MAX, ..Page::default() };
    let mut cards = Vec::new();
    for it in app.service.maintenance_cards(&page).await? {
        cards.push(row(&app, &it).await?);
    }
    Ok(render(&ListPage { head: Head::new(&caller, "cards"), cards }))
}

async fn card_page(
    app: &App,
    caller: &Caller,
    it: &MaintenanceCard,
    problem: String,
) -> PageResult {
    let declared = carried(app, &it.vendor, it.purpose);
    let is_approved = it.state == MaintenanceCardState::Approved;
    Ok(render(&CardPage {
        head: Head::new(caller, "cards"),
        row: row(app, it).await?,
        meaning: meaning(it),
        carries: it
            .parameters
            .iter()
            .map(|(name, value)| parameters::told(&declared, name, value, app.currency))
            .collect(),
        reader: it.reader.clone().unwrap_or_default(),
        waits: it.state == MaintenanceCardState::Waiting,
        can_be_made: is_approved && caller.operator.may(Right::Settings),
        problem,
    }))
}

pub async fn show(State(app): State<App>, caller: Caller, Path(text): Path<String>) -> PageResult {
    let it = app.service.maintenance_card(id(&text)?).await?;
    card_page(&app, &caller, &it, String::new()).await
}

/// The readers alone, drawn anew as cards come and go.
pub async fn readers(State(app): State<App>, Path(text): Path<String>) -> PageResult {
    let it = app.service.maintenance_card(id(&text)?).await?;
    let fits = |finding: &Finding| match finding {
        Finding::Blank { vendors, .. } => vendors.contains(&it.vendor),
        _ => false,
    };
    let looked = app.service.readers().await?;
    let readers = looked.into_iter().filter(|it| fits(&it.finding)).map(|it| it.reader).collect();
    let (id, vendor) = (it.maintenance_card_id.to_string(), it.vendor.to_string());
    Ok(render(&ReadersPart { id, vendor, readers }))
}

pub async fn make_agreed(
    State(app): State<App>,
    caller: Caller,
    Path(text): Path<String>,
    extract::Form(typed): extract::Form<Typed>,
) -> PageResult {
    let card: MaintenanceCardId = id(&text)?;
    let reader = act::text(&typed, "reader");
    let made = app.service.make_agreed_card(card, reader, &caller.actor()).await;
    ended(&app, &caller, card, made.map_err(PageError::from).err()).await
}

pub async fn withdraw(
    State(app): State<App>,
    caller: Caller,
    Path(text): Path<String>,
    extract::Form(typed): extract::Form<Typed>,
) -> PageResult {
    let card: MaintenanceCardId = id(&text)?;
    let reason = act::text(&typed, "reason");
    let ended_so = app.service.give_up_maintenance_card(card, reason, &caller.actor()).await;
    ended(&app, &caller, card, ended_so.map_err(PageError::from).err()).await
}

async fn ended(
    app: &App,
    caller: &Caller,
    card: MaintenanceCardId,
    error: Option<PageError>,
) -> PageResult {
    match error {
        None => Ok(Redirect::to(&format!("/maintenance-cards/{card}")).into_response()),
        Some(error) => {
            let it = app.service.maintenance_card(card).await?;
            card_page(app, caller, &it, error.detail).await
        }
    }
}
