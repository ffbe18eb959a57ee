//! The acts on one meter's file: editing it, its ratio, suspending and resuming, bypassing its switch.

use super::act::{self, Field, Form, Typed};
use super::meters::id;
use super::{Head, PageError, PageResult};
use crate::app::App;
use crate::session::Caller;
use axum::extract::{self, Path, State};
use axum::response::{IntoResponse, Redirect};
use polymeter_domain::MeterAddress;
use polymeter_runtime::ClockWay;
use polymeter_service::{
    AccountState, ApplicationKind, Clearing, ClockState, Hold, HoldKind, Meter, MeterEdit,
    RatioChange, ServiceError,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Edit,
    Ratio,
    Suspend,
    Resume,
    Bypass,
    EndBypass,
    Clear,
    Clock,
    ReplaceCard,
}

impl Kind {
    fn named(name: &str) -> Result<Kind, PageError> {
        Ok(match name {
            "edit" => Kind::Edit,
            "ratio" => Kind::Ratio,
            "suspension" => Kind::Suspend,
            "resumption" => Kind::Resume,
            "bypass" => Kind::Bypass,
            "bypass-end" => Kind::EndBypass,
            "clearing" => Kind::Clear,
            "clock" => Kind::Clock,
            "card" => Kind::ReplaceCard,
            _ => {
                return Err(ServiceError::NotFound { what: "act", id: name.to_owned() }.into());
            }
        })
    }

    /// Title, its Chinese word, what the button says, what it does.
    fn words(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Kind::Edit => (
                "Change the meter's file",
                "修改电表档案",
                "Change",
                "How the meter is named and reached. Each change is kept in its history.",
            ),
            Kind::Ratio => (
                "Change the ratio",
                "变更倍率",
                "Change",
                "The meter's installation ends at a reading and another begins there, so that what \
                 was used before is not multiplied by the new ratio.",
            ),
            Kind::Suspend => (
                "Suspend supply",
                "报停",
                "Suspend",
                "From now on nothing is sold to this meter and no fees run; the meter is told to \
                 disconnect.",
            ),
            Kind::Resume => (
                "Resume supply",
                "复电",
                "Resume",
                "Sales go on, and the meter is told that the customer may close the breaker.",
            ),
            Kind::Bypass => (
                "Record a bypassed switch",
                "退出分合闸机构",
                "Record",
                "The switch was taken out by hand after a fault. Nothing is sent to it until it is \
                 back.",
            ),
            Kind::EndBypass => (
                "Record that the switch is back",
                "重新投入分合闸机构",
                "Record",
                "The switch works again and may be commanded.",
            ),
            Kind::Clock => (
                "Put the clock right",
                "校时",
                "Set",
                "The meter is read first and its clock is read back afterwards. An adjustment goes to \
                 every meter of the line, each of which takes it under its own rules; setting takes \
                 the meter's password and, far off, may wait for a second person.",
            ),
            Kind::ReplaceCard => (
                "Replace the card",
                "补卡",
                "Replace",
                "Put a blank card into a reader. It becomes the meter's card and carries the last \
                 purchase, which the meter takes once; the card before is worth nothing then.",
            ),
            Kind::Clear => (
                "Clear the purse",
                "清零",
                "Clear",
                "The meter is told to empty its purse, so that what was carried over or paid out is \
                 not used again. Above the site's limit it waits for a second person.",
            ),
        }
    }

    fn applications(self) -> &'static [ApplicationKind] {
        match self {
            Kind::Ratio => &[ApplicationKind::Change],
            Kind::Suspend => &[ApplicationKind::Suspension],
            Kind::Resume => &[ApplicationKind::Resumption, ApplicationKind::Suspension],
            Kind::Edit
            | Kind::Bypass
            | Kind::EndBypass
            | Kind::Clear
            | Kind::Clock
            | Kind::ReplaceCard => &[],
        }
    }
}

/// What a form offers, the safer one first.
const CLOCK_WAYS: [(ClockWay, &str); 2] = [
    (ClockWay::Adjust, "adjust, within the protocol's rules 广播校时"),
    (ClockWay::Set, "set, with the meter's password 设置时间"),
];

/// Whether it is done, or waits for a second person.
enum After {
    Done,
    Waits,
}

/// What can be done with this meter now: name in the address, label, Chinese.
pub fn offered(
    meter: &Meter,
    holds: &[Hold],
    sets_clock: bool,
    has_card: bool,
) -> Vec<(&'static str, &'static str, &'static str)> {
    let lasts = |kind| holds.iter().any(|it| it.kind == kind && it.to.is_none());
    let mut acts = vec![("edit", "Change the file", "修改")];
    if meter.account == AccountState::Open {
        acts.push(("ratio", "Ratio", "倍率"));
        acts.push(if lasts(HoldKind::Suspended) {
            ("resumption", "Resume", "复电")
        } else {
            ("suspension", "Suspend", "报停")
        });
    }
    if meter.account == AccountState::None && meter.mode.quantity().is_some() {
        acts.push(("clearing", "Clear", "清零"));
    }
    if sets_clock {
        acts.push(("clock", "Set the clock", "校时"));
    }
    if has_card {
        if meter.account == AccountState::Open {
            acts.push(("card", "Replace the card", "补卡"));
        }
        // Nobody commands a switch that no line leads to.
        return acts;
    }
    acts.push(if lasts(HoldKind::Bypassed) {
        ("bypass-end", "Switch is back", "投入")
    } else {
        ("bypass", "Bypass the switch", "退出")
    });
    acts
}

async fn form(app: &App, meter: &Meter, name: &str) -> Result<Form, PageError> {
    let kind = Kind::named(name)?;
    let (title, chinese, button, effect) = kind.words();
    let mut fields = match kind {
        Kind::Edit => {
            let lines = app.service.lines();
            let lines = lines.iter().map(|line| line.settings().name.clone());
            let lines = lines.map(|name| (name.clone(), name)).collect();
            vec![
                Field::new("text", "serial_number", ("Serial number", "表号"), "")
                    .required()
                    .with(&meter.serial_number),
                Field::new("choice", "line", ("Line", "线路"), "").of(lines).with(&meter.line),
                Field::new("text", "address", ("Address", "通信地址"), "")
                    .required()
                    .with(meter.address.as_str()),
            ]
        }
        Kind::Ratio => {
            let terms = meter.tariff.as_ref().map(|it| it.terms).unwrap_or_default();
            let left_out = "as its display shows; left empty, the meter is read";
            vec![
                Field::new("number", "ct", ("CT ratio", "电流倍率"), "")
                    .required()
                    .with(terms.ct.to_string()),
                Field::new("number", "pt", ("PT ratio", "电压倍率"), "")
                    .required()
                    .with(terms.pt.to_string()),
                Field::new("decimal", "reading", ("Reading", "止码"), left_out),
            ]
        }
        Kind::Clock => vec![
            Field::new("choice", "way", ("Way", "方式"), "").of(CLOCK_WAYS
                .iter()
                .map(|(way, label)| (way.name().to_owned(), (*label).to_owned()))
                .collect()),
        ],
        Kind::ReplaceCard => {
            let mut readers = Vec::new();
            for looked in app.service.readers().await? {
                let label = format!("{}: {}", looked.reader, looked.finding.name());
                readers.push((looked.reader, label));
            }
            vec![Field::new("choice", "reader", ("Reader", "读卡器"), "").of(readers)]
        }
        Kind::Suspend | Kind::Resume | Kind::Bypass | Kind::EndBypass | Kind::Clear => Vec::new(),
    };
    let customer = meter.customer.as_ref().map(|it| it.customer_id);
    fields.extend(act::why_fields(app, customer, kind.applications()).await?);
    Ok(Form {
        subject: format!("Meter {}", meter.serial_number),
        title,
        chinese,
        effect: effect.to_owned(),
        action: format!("/meters/{}/acts/{name}", meter.meter_id),
        back: format!("/meters/{}", meter.meter_id),
        button,
        is_risky: matches!(kind, Kind::Suspend | Kind::Clear | Kind::Clock | Kind::ReplaceCard),
        fields,
        key: act::new_key(),
        error: String::new(),
    })
}

pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Path((meter, name)): Path<(String, String)>,
) -> PageResult {
    let meter = app.service.meter(id(&meter)?).await?;
    form(&app, &meter, &name).await?.page(Head::new(&caller, "meters"))
}

pub async fn run(
    State(app): State<App>,
    caller: Caller,
    Path((meter, name)): Path<(String, String)>,
    extract::Form(typed): extract::Form<Typed>,
) -> PageResult {
    let meter = app.service.meter(id(&meter)?).await?;
    let back = format!("/meters/{}", meter.meter_id);
    match done(&app, &caller, &meter, Kind::named(&name)?, &typed).await {
        Ok(After::Done) => Ok(Redirect::to(&back).into_response()),
        Ok(After::Waits) => Ok(Redirect::to("/acts").into_response()),
        Err(error) => {
            let form = form(&app, &meter, &name).await?.again(&typed, &error);
            form.page(Head::new(&caller, "meters"))
        }
    }
}

async fn done(
    app: &App,
    caller: &Caller,
    meter: &Meter,
    kind: Kind,
    typed: &Typed,
) -> Result<After, PageError> {
    let (id, actor, why) = (meter.meter_id, caller.actor(), act::why(typed)?);
    match kind {
        Kind::Edit => {
            let address = MeterAddress::new(act::text(typed, "address"))
                .map_err(|error| PageError::unusable("Address", error))?;
            let edit = MeterEdit {
                serial_number: act::given(typed, "serial_number"),
                line: act::given(typed, "line"),
                address: Some(address),
            };
            app.service.edit_meter(id, edit, why, &actor).await?;
        }
        Kind::Ratio => {
            let ratio = |name: &str, label: &str| {
                let text = act::text(typed, name);
                text.parse().map_err(|_| PageError::unusable(label, "a whole number above zero"))
            };
            let (ct, pt) = (ratio("ct", "CT ratio")?, ratio("pt", "PT ratio")?);
            let change = RatioChange { ct, pt, reading: act::reading(typed, "reading")? };
            app.service.change_ratio(id, change, why, &actor).await?;
        }
        Kind::Suspend => {
            let held = app.service.suspend(id, why, &actor).await?;
            held.supply.map_err(|error| told(error, "It is suspended"))?;
        }
        Kind::Resume => {
            let held = app.service.resume_supply(id, why, &actor).await?;
            held.supply.map_err(|error| told(error, "It is resumed"))?;
        }
        Kind::Bypass => drop(app.service.bypass(id, why, &actor).await?),
        Kind::EndBypass => drop(app.service.end_bypass(id, why, &actor).await?),
        Kind::Clock => {
            let way = ClockWay::from_name(act::text(typed, "way"));
            let way = way.ok_or_else(|| PageError::unusable("Way", "choose one"))?;
            let it = app.service.set_meter_clock(id, way, &why.reason, &actor).await?;
            match it.state {
                ClockState::Right => {}
                ClockState::Waiting => return Ok(After::Waits),
                state => {
                    let detail = format!("The clock is {}: {}", state.name(), it.detail);
                    return Err(PageError::unusable("Clock", detail));
                }
            }
        }
        Kind::ReplaceCard => {
            let reader = act::given(typed, "reader");
            app.service.replace_card(id, reader.as_deref(), &why.reason, &actor).await?;
        }
        Kind::Clear => {
            if let Clearing::Waits(_) = app.service.clear_meter(id, why, &actor).await? {
                return Ok(After::Waits);
            }
        }
    }
    Ok(After::Done)
}

/// The hold counts; the switch is another matter.
fn told(error: ServiceError, done: &str) -> PageError {
    if let ServiceError::Blocked { why, .. } = &error {
        let detail = format!("{done}. {}", super::view::sentence(why));
        return PageError { detail, ..PageError::from(error) };
    }
    let mut page = PageError::from(error);
    page.detail = format!(
        "{done}, but the switch did not follow: {} Command it from the meter's page.",
        page.detail
    );
    page
}
