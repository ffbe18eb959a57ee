//! A driver's parameters and a device's own error codes, through the running program: drawn from
//! `driver.toml`, held to it, written into simulated meters of both vendors and read back.
//!
//! The oracle is the simulator: what a meter holds. Not here: the pages' look (page.rs).

use anyhow::{Context, Result, ensure};
use e2e::{Api, METERS, Meter, Site};
use meter_sim::{Fault, FaultKind, On};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// DL/T 645 error bits (protocols.md 1.6): wrong password; more money than the purse may hold.
const PASSWORD_BIT: &str = "04";
const OVER_HOARDING_LIMIT: u16 = 0x0040;
/// Modbus exception 3, illegal data value.
const ILLEGAL_VALUE: u16 = 0x0003;

fn opened() -> impl Iterator<Item = &'static Meter> {
    METERS.iter().filter(|meter| meter.serial_number.ends_with("-1"))
}

#[track_caller]
fn has(body: &Value, pointer: &str, expected: &Value) -> Result<()> {
    let found = body.pointer(pointer).unwrap_or(&Value::Null);
    ensure!(found == expected, "{pointer} is {found}, not {expected}: {body}");
    Ok(())
}

/// The oracle is the simulator's clock, which stands still.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_is_put_right_and_its_drift_told() -> Result<()> {
    let (site, program) = Site::new().await?;
    let (api, meter) = (site.api(&program), &METERS[0]);
    let meter_id = site.meter_id(&api, meter).await?;
    let of_meter = |what: &str| format!("/api/v1/meters/{meter_id}/{what}");
    let before = site.simulator.state(meter.address)?.clock;
    let new = json!({ "way": "set", "reason": "the battery was changed" });
    let set = api.ask(Method::POST, &of_meter("clock-settings"), Some(new)).await?;
    ensure!(set.status == StatusCode::CREATED, "{}", set.body);
    has(&set.body, "/state", &json!("right"))?;
    has(&set.body, "/way", &json!("set"))?;
    has(&set.body, "/drift_after_seconds", &json!(0))?;
    ensure!(site.simulator.state(meter.address)?.clock != before, "the meter's clock stands");
    let listed = api.get(&of_meter("clock-settings")).await?;
    has(&listed, "/items/0", &set.body)?;
    let read = api.ask(Method::POST, &of_meter("readings"), Some(json!({}))).await?;
    ensure!(read.body["clock_drift"]["seconds"].is_i64(), "{}", read.body);
    has(&api.get(&of_meter("readings")).await?, "/items/0/clock_drift", &read.body["clock_drift"])?;
    let trail = api.get("/api/v1/audit?query=clock-setting").await?;
    has(&trail, "/items/0/act", &json!("clock-setting-ended"))?;
    has(&trail, "/items/1/act", &json!("clock-setting-asked"))?;

    // A box whose clock can be set only.
    let unable = site.meter_id(&api, &METERS[1]).await?;
    let path = format!("/api/v1/meters/{unable}/clock-settings");
    for (way, state) in [("set", "right"), ("adjust", "not-sent")] {
        let new = json!({ "way": way, "reason": "x" });
        has(&api.post(&path, new).await?, "/state", &json!(state))?;
    }
    program.kill().await
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_are_held_to_the_manifest() -> Result<()> {
    let (site, program) = Site::new().await?;
    let api = site.api(&program);
    let schema = api.get("/api/v1/drivers/dlt645-2007/parameters").await?;
    has(&schema, "/properties/wake-up/maximum", &json!(16))?;
    has(&schema, "/properties/wake-up/x-title-zh", &json!("前导字节数"))?;
    let schema = api.get("/api/v1/drivers/acrel-adf400l/parameters").await?;
    has(&schema, "/properties/automatic-control/enum", &json!([true]))?;

    let plans = api.get("/api/v1/tariffs").await?;
    let plan_id = plans["items"][0]["tariff_plan_id"].clone();
    let new = |parameters: Value| {
        json!({
            "serial_number": "D-9", "vendor": "DLT645", "line": "bus-serial",
            "address": "000000000009", "tariff": { "tariff_plan_id": plan_id },
            "parameters": parameters,
        })
    };
    let wrong = json!({ "wake-up": 17, "clock": "yes", "pasword": "1", "alarm-1": 5 });
    let answer = api.ask(Method::POST, "/api/v1/meters", Some(new(wrong))).await?;
    ensure!(answer.status == StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.body);
    let fields = answer.body["fields"].as_array().context("no fields")?;
    let told: Vec<String> = fields
        .iter()
        .map(|it| [&it["field"], &it["detail"]].map(|it| it.as_str().unwrap_or_default()).join(" "))
        .collect();
    for (field, expected) in [
        ("alarm-1", "alarm-1 lives in the device: set it there, once the meter is added"),
        ("clock", "clock must be yes or no"),
        ("pasword", "pasword is not known: driver dlt645-2007 takes key-label, "),
        ("wake-up", "wake-up must be a whole number from 0 to 16"),
    ] {
        ensure!(told.iter().any(|it| it.starts_with(expected)), "{field}: {told:?}");
    }
    let added = api.post("/api/v1/meters", new(json!({ "wake-up": 2 }))).await?;
    has(&added, "/parameters", &json!({ "wake-up": 2 }))?;
    let path = format!("/api/v1/meters/{}/parameters", added["meter_id"].as_str().context("id")?);
    let given = json!({ "parameters": { "wake-up": "3", "clock": false } });
    let kept = api.ask(Method::PUT, &path, Some(given)).await?;
    has(&kept.body, "/parameters", &json!({ "clock": false, "wake-up": 3 }))?;
    let wrong = json!({ "parameters": { "wake-up": -1 } });
    let answer = api.ask(Method::PUT, &path, Some(wrong)).await?;
    has(&answer.body, "/fields/0/detail", &json!("must be a whole number from 0 to 16"))?;
    program.kill().await
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_reach_the_meter_and_are_proved() -> Result<()> {
    let (site, program) = Site::new().await?;
    let api = site.api(&program);
    for meter in opened() {
        let meter_id = site.meter_id(&api, meter).await?;
        let path = format!("/api/v1/meters/{meter_id}/settings");
        has(&api.get(&path).await?, "", &json!([]))?;
        let set = json!({ "parameters": { "alarm-1": 4321, "alarm-2": 1234 } });
        let settings = api.post(&path, set).await?;
        has(&settings, "/0/name", &json!("alarm-1"))?;
        has(&settings, "/0/held/value", &json!(4321))?;
        has(&settings, "/0/held/outcome", &json!("confirmed"))?;
        ensure!(holds(&site, meter, "alarm-1")? == 4321, "the meter does not hold it");
        ensure!(holds(&site, meter, "alarm-2")? == 1234, "the meter does not hold it");

        // Out of range, unknown, or not in the device: nothing is sent.
        let before = site.simulator.state(meter.address)?.requests;
        for wrong in [json!({ "alarm-1": -1 }), json!({ "wake-up": 1 }), json!({})] {
            let body = json!({ "parameters": wrong });
            let answer = api.ask(Method::POST, &path, Some(body)).await?;
            ensure!(answer.status == StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.body);
        }
        ensure!(site.simulator.state(meter.address)?.requests == before, "something was sent");

        // Lost on its way, and silence after it: the value before stays, with what is not known.
        let silence = Fault::new(On::Any, FaultKind::NoReply).times(50);
        site.simulator.fault(meter.address, silence)?;
        let body = json!({ "parameters": { "alarm-1": 5 } });
        let answer = api.ask(Method::POST, &path, Some(body)).await?;
        ensure!(answer.code() == "outcome-unknown", "{}", answer.body);
        site.simulator.clear_faults(meter.address)?;
        let settings = api.get(&path).await?;
        has(&settings, "/0/held/value", &json!(4321))?;
        has(&settings, "/0/failed/value", &json!(5))?;
        has(&settings, "/0/failed/outcome", &json!("unknown"))?;
    }
    program.kill().await
}

fn holds(site: &Site, meter: &Meter, name: &str) -> Result<u32> {
    let settings = site.simulator.settings_fen(meter.address)?;
    let found = settings.into_iter().find(|(known, _)| *known == name);
    Ok(found.with_context(|| format!("no {name} in {}", meter.serial_number))?.1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_what_the_vendors_code_means() -> Result<()> {
    let (site, program) = Site::new().await?;
    let api = site.api(&program);
    for meter in opened() {
        let meter_id = site.meter_id(&api, meter).await?;
        let is_acrel = meter.vendor == "ACREL";
        let (word, code, en, zh) = if is_acrel {
            (ILLEGAL_VALUE, "03", "illegal data value", "非法数据值")
        } else {
            (OVER_HOARDING_LIMIT, "0040", "over the hoarding limit", "购电超囤积")
        };
        let refuse = |on| Fault::new(on, FaultKind::Refuse { word });
        site.simulator.fault(meter.address, refuse(On::Sell))?;
        let sale_id = uuid::Uuid::now_v7().to_string();
        let sale = api.sell(&sale_id, &meter_id, "5.00").await?;
        has(&sale.body, "/state", &json!("refused"))?;
        has(&sale.body, "/refusal/device_code", &json!(code))?;
        has(&sale.body, "/refusal/meaning", &json!({ "en": en, "zh": zh }))?;
        let told = format!("device code {code} ({en}, {zh})");
        ensure!(sale.body["history"].to_string().contains(&told), "{}", sale.body["history"]);

        // Setting and reading.
        settings_refused(&site, &api, meter, &meter_id).await?;
        site.simulator.fault(meter.address, refuse(On::Any).times(50))?;
        let path = format!("/api/v1/meters/{meter_id}/readings");
        let answer = api.ask(Method::POST, &path, Some(json!({}))).await?;
        if !answer.status.is_success() {
            ensure!(answer.body["device"]["code"].is_string(), "{}", answer.body);
            let detail = answer.body["detail"].as_str().unwrap_or_default();
            ensure!(detail.contains("answered with its error"), "{detail}");
        }
        ensure!(!is_acrel || !answer.status.is_success(), "{}", answer.body);
        site.simulator.clear_faults(meter.address)?;
    }
    program.kill().await
}

async fn settings_refused(site: &Site, api: &Api, meter: &Meter, meter_id: &str) -> Result<()> {
    let path = format!("/api/v1/meters/{meter_id}/settings");
    let (code, en) = if meter.vendor == "ACREL" {
        let refuse = FaultKind::Refuse { word: ILLEGAL_VALUE };
        site.simulator.fault(meter.address, Fault::new(On::Write, refuse))?;
        ("03", "illegal data value")
    } else {
        let parameters = json!({ "parameters": { "password": "999999" } });
        let kept = format!("/api/v1/meters/{meter_id}/parameters");
        let answer = api.ask(Method::PUT, &kept, Some(parameters)).await?;
        ensure!(answer.status.is_success(), "{}", answer.body);
        (PASSWORD_BIT, "wrong password")
    };
    let body = json!({ "parameters": { "alarm-1": 77 } });
    let answer = api.ask(Method::POST, &path, Some(body)).await?;
    ensure!(answer.code() == "device-refused", "{}", answer.body);
    has(&answer.body, "/device/code", &json!(code))?;
    let meaning = answer.body["device"]["meaning"]["en"].as_str().unwrap_or_default();
    ensure!(meaning.contains(en), "{}", answer.body);
    let settings = api.get(&path).await?;
    has(&settings, "/0/failed/outcome", &json!("refused"))
}
