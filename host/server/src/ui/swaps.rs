//! Swapping a meter: the form, what became of it, and the page of an act on an account.

use super::act::{self, Field, Form, Typed};
use super::meters::id;
use super::view::{Badge, badge, credit};
use super::{Head, PageError, PageResult, render};
use crate::api::files::amount;
use crate::app::App;
use crate::session::Caller;
use askama::Template;
use axum::extract::{self, Path, State};
use axum::response::{IntoResponse, Redirect};
use polymeter_domain::{Money, SwapId};
use polymeter_service::{
    ApplicationKind, Keyed, Meter, ServiceError, Swap, SwapRequest, SwapState,
};

/// What an act came to, as names and values, and what can still be done about it.
#[derive(Template)]
#[template(path = "account_act.html")]
pub struct ResultPage {
    pub head: Head,
    pub title: &'static str,
    pub chinese: &'static str,
    pub subject: String,
    pub state: Badge,
    /// Label, value, and where it leads, or empty.
    pub facts: Vec<(&'static str, String, String)>,
    /// Where to go on and to abandon; empty: there is nothing to do.
    pub go_on: String,
    pub abandon: String,
    pub back: String,
    pub problem: String,
}

fn money(app: &App, typed: &Typed, name: &str, label: &str) -> Result<Option<Money>, PageError> {
    let text = act::given(typed, name);
    let parsed = text.map(|text| Money::parse(&text, app.currency));
    parsed.transpose().map_err(|error| PageError::unusable(label, error))
}

pub fn keyed(app: &App, typed: &Typed, prefix: &str) -> Result<Keyed, PageError> {
    Ok(Keyed {
        reading: act::reading(typed, &format!("{prefix}reading"))?,
        credit: money(app, typed, &format!("{prefix}credit"), "Money left")?,
    })
}

/// The fields for a meter that does not answer.
pub fn dead_fields() -> Vec<Field> {
    let only = "only where it does not answer";
    vec![
        Field::new("decimal", "reading", ("Last reading", "止码"), only),
        Field::new("decimal", "credit", ("Money left", "剩余金额"), only),
    ]
}

async fn swap_fields(app: &App, meter: &Meter) -> Result<Form, PageError> {
    let new = ("Serial number of the new meter", "新表号");
    let mut fields = vec![Field::new("text", "new", new, "a meter without a customer").required()];
    fields.extend(dead_fields());
    let first = ("First reading of the new meter", "新表起码");
    let hint = "only where it shows no total by itself";
    fields.push(Field::new("decimal", "new_reading", first, hint));
    let excess = ("It may hold more than was sold into it here", "余额大于账面");
    fields.push(Field::new("check", "excess", excess, "the rest is booked as brought in"));
    let customer = meter.customer.as_ref().map(|it| it.customer_id);
    fields.extend(act::why_fields(app, customer, &[ApplicationKind::Swap]).await?);
    Ok(Form {
        subject: format!("Meter {}", meter.serial_number),
        title: "Swap the meter",
        chinese: "换表",
        effect:
            "The old meter is asked for its last reading and what is left in it; the new one is \
                 opened for the same customer, and the money is carried into it. What was used is \
                 counted for each meter by itself."
                .to_owned(),
        action: format!("/meters/{}/swap", meter.meter_id),
        back: format!("/meters/{}", meter.meter_id),
        button: "Swap",
        is_risky: true,
        fields,
        key: act::new_key(),
        error: String::new(),
    })
}

pub async fn form(State(app): State<App>, caller: Caller, Path(meter): Path<String>) -> PageResult {
    let meter = app.service.meter(id(&meter)?).await?;
    swap_fields(&app, &meter).await?.page(Head::new(&caller, "meters"))
}

pub async fn swap(
    State(app): State<App>,
    caller: Caller,
    Path(meter): Path<String>,
    extract::Form(typed): extract::Form<Typed>,
) -> PageResult {
    let meter = app.service.meter(id(&meter)?).await?;
    let key = SwapId::new(act::key(&typed)?);
    let swapped = async {
        let new = app.service.meter_by_serial(act::text(&typed, "new")).await?;
        let request = SwapRequest {
            old: meter.meter_id,
            new: new.meter_id,
            keyed: keyed(&app, &typed, "")?,
            new_reading: act::reading(&typed, "new_reading")?,
            accept_excess: act::given(&typed, "excess").is_some(),
            why: act::why(&typed)?,
        };
        app.service.put_swap(key, request, &caller.actor()).await?;
        Ok::<_, PageError>(())
    };
    let result = swapped.await;
    // Begun and stopped on its way: its own page says where.
    if let Ok(begun) = app.service.swap(key).await {
        let problem = result.err().map(|error| error.detail).unwrap_or_default();
        if problem.is_empty() {
            return Ok(Redirect::to(&format!("/swaps/{key}")).into_response());
        }
        return swap_page(&app, &caller, &begun, problem).await;
    }
    match result {
        Ok(()) => Ok(Redirect::to(&format!("/swaps/{key}")).into_response()),
        Err(error) => {
            let form = swap_fields(&app, &meter).await?.again(&typed, &error);
            form.page(Head::new(&caller, "meters"))
        }
    }
}

fn swap_state(swap: &Swap) -> Badge {
    match swap.state {
        SwapState::Begun => badge("warn", "Begun", "进行中"),
        SwapState::Abandoned => badge("calm", "Abandoned", "已放弃"),
        SwapState::Switched if swap.is_done() => badge("good", "Done", "已完成"),
        SwapState::Switched if swap.waits_for_money() => badge("bad", "Money waits", "余额待转"),
        SwapState::Switched => badge("busy", "Money on its way", "余额转入中"),
    }
}

/// "82.50, said the device", "137.500 kWh, paid with 82.50, said the device".
fn left_in_it(swap: &Swap, app: &App) -> String {
    let left = swap.left.map_or(String::new(), |it| format!("{}, paid with ", credit(it, app)));
    format!("{left}{}, said the {}", swap.remaining, swap.told_by)
}

async fn swap_page(app: &App, caller: &Caller, swap: &Swap, problem: String) -> PageResult {
    let old = app.service.meter(swap.old_meter_id).await?;
    let new = app.service.meter(swap.new_meter_id).await?;
    let customer = app.service.customer(swap.customer_id).await?;
    let meter = |it: &Meter| format!("/meters/{}", it.meter_id);
    let mut facts = vec![
        ("Old meter", old.serial_number.clone(), meter(&old)),
        ("New meter", new.serial_number.clone(), meter(&new)),
        (
            "Customer",
            format!("{} {}", customer.number, customer.name),
            format!("/customers/{}", customer.customer_id),
        ),
        ("Last reading of the old meter", amount(swap.old_reading), String::new()),
        ("Left in it", left_in_it(swap, app), String::new()),
    ];
    let amounts = [("Used of what was sold", swap.consumed), ("Brought in", swap.excess)];
    for (label, money) in amounts {
        facts.extend(money.map(|money| (label, money.to_string(), String::new())));
    }
    if let Some(reading) = swap.new_reading {
        facts.push(("First reading of the new meter", amount(reading), String::new()));
    }
    if let Some((sale, state)) = &swap.sale {
        facts.push(("Carried by the sale", state.name().to_owned(), format!("/sales/{sale}")));
    }
    if swap.state == SwapState::Switched && swap.remaining.minor() > 0 {
        let purse = if swap.is_old_cleared {
            "emptied"
        } else {
            "still holds the money; clear it before it is used again"
        };
        let way = match swap.is_old_cleared {
            true => String::new(),
            false => format!("{}/acts/clearing", meter(&old)),
        };
        facts.push(("The old meter's purse", purse.to_owned(), way));
    }
    facts.push(("Why", swap.why.reason.clone(), String::new()));
    let address = format!("/swaps/{}", swap.swap_id);
    let begun = swap.state == SwapState::Begun;
    let goes_on = begun || swap.waits_for_money();
    Ok(render(&ResultPage {
        head: Head::new(caller, "meters"),
        title: "Meter swap",
        chinese: "换表",
        subject: format!("Customer {}", customer.number),
        state: swap_state(swap),
        facts,
        go_on: if goes_on { format!("{address}/continuation") } else { String::new() },
        abandon: if begun { format!("{address}/abandonment") } else { String::new() },
        back: format!("/customers/{}", customer.customer_id),
        problem,
    }))
}

pub async fn show(State(app): State<App>, caller: Caller, Path(text): Path<String>) -> PageResult {
    let swap = app.service.swap(id(&text)?).await?;
    swap_page(&app, &caller, &swap, String::new()).await
}

pub async fn go_on(State(app): State<App>, caller: Caller, Path(text): Path<String>) -> PageResult {
    let swap_id: SwapId = id(&text)?;
    let gone_on = app.service.continue_swap(swap_id, &caller.actor()).await;
    swap_ended(&app, &caller, swap_id, gone_on.map(|_| ())).await
}

pub async fn abandon(
    State(app): State<App>,
    caller: Caller,
    Path(text): Path<String>,
    extract::Form(typed): extract::Form<Typed>,
) -> PageResult {
    let swap_id: SwapId = id(&text)?;
    let reason = act::text(&typed, "reason");
    let abandoned = app.service.abandon_swap(swap_id, reason, &caller.actor()).await;
    swap_ended(&app, &caller, swap_id, abandoned.map(|_| ())).await
}

async fn swap_ended(
    app: &App,
    caller: &Caller,
    swap_id: SwapId,
    result: Result<(), ServiceError>,
) -> PageResult {
    match result {
        Ok(()) => Ok(Redirect::to(&format!("/swaps/{swap_id}")).into_response()),
        Err(error) => {
            let swap = app.service.swap(swap_id).await?;
            swap_page(app, caller, &swap, PageError::from(error).detail).await
        }
    }
}
