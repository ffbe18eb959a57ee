//! The whole life of a purse on the platform, through the real program and simulated meters of both
//! drivers with a load behind them: opened at a reading, paid into, charged by the program's own
//! rounds, cut, paid, restored; and killed at every step of that without losing or doubling a fen.

use anyhow::{Context, Result, ensure};
use e2e::{Api, METERS, Meter, Program, Site};
use meter_sim::{Adf400lPlan, BusKind, BusPlan, Dlt645Plan, Endpoint, Meters, Plan, Simulator};
use polymeter_service::PURSE_CRASH_POINTS;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The simulated hours pass in no time, so that any power has to be believed.
const PURSE: &str = "[purse]\nevery-seconds = 1\nhighest-kw = 1000000\noverdraft = \"1.00\"\n";
const ASKED: &str = "[purse]\nevery-seconds = 0\nhighest-kw = 1000000\n";

/// Beside the meters of every site, which hold money: one of each vendor that only counts.
const COUNTING: [Meter; 2] = [
    Meter {
        serial_number: "P-1",
        vendor: "DLT645",
        line: "purse-d",
        address: "000000000009",
        customer: "300001",
    },
    Meter {
        serial_number: "P-2",
        vendor: "ACREL",
        line: "purse-a",
        address: "9",
        customer: "300002",
    },
];

/// A site with the meters above on lines of their own.
async fn site(purse: &str) -> Result<(Site, Program, Simulator)> {
    let dlt645 = Dlt645Plan {
        money_fen: 10_000,
        prices_fen: [0; 4],
        ..Dlt645Plan::new(COUNTING[0].address)
    };
    let adf400l = Adf400lPlan { prepaid: false, prices_fen: [0; 4], ..Adf400lPlan::new(9) };
    let bus = |name, meters| BusPlan::new(name, BusKind::Tcp, meters);
    let counting = Simulator::start(Plan {
        buses: vec![
            bus("purse-d", Meters::Dlt645(vec![dlt645])),
            bus("purse-a", Meters::Adf400l(vec![adf400l])),
        ],
    })?;
    let mut more = purse.to_owned();
    for (name, end) in counting.endpoints() {
        let Endpoint::Tcp(address) = end else { anyhow::bail!("{name} is no TCP line") };
        more += &format!(
            "[[line]]\nname = \"{name}\"\ntcp = \"{address}\"\ninter-frame-ms = 5\n\
             reply-timeout-ms = 400\nbyte-timeout-ms = 100\ntotal-timeout-ms = 5000\n"
        );
    }
    let (site, program) = Site::with_more(&more, &[]).await?;
    Ok((site, program, counting))
}

async fn purse_meter(api: &Api, meter: &Meter, plan: &str, customer: &str) -> Result<String> {
    // Hours pass on the simulated meter, so that it must not compare its clock with ours.
    let parameters = if meter.vendor == "DLT645" { json!({ "clock": false }) } else { json!({}) };
    let new = json!({
        "serial_number": meter.serial_number, "vendor": meter.vendor, "line": meter.line,
        "address": meter.address, "mode": "platform-purse", "tariff": { "tariff_plan_id": plan },
        "parameters": parameters,
    });
    let meter_id = text(&api.post("/api/v1/meters", new).await?, "meter_id")?;
    let account = json!({ "customer_id": customer });
    let opened = api.post(&format!("/api/v1/meters/{meter_id}/account"), account).await?;
    ensure!(opened["account"] == "open" && opened["mode"] == "platform-purse", "{opened}");
    Ok(meter_id)
}

fn text(body: &Value, name: &str) -> Result<String> {
    Ok(body[name].as_str().with_context(|| format!("no {name} in {body}"))?.to_owned())
}

async fn customer(api: &Api, number: &str) -> Result<String> {
    let new = json!({ "number": number, "name": format!("Shop {number}") });
    text(&api.post("/api/v1/customers", new).await?, "customer_id")
}

async fn plan(api: &Api) -> Result<String> {
    let new = json!({ "name": "Purse", "definition": "unit kWh\nprice 0.52\n" });
    text(&api.post("/api/v1/tariffs", new).await?, "tariff_plan_id")
}

async fn pay(api: &Api, customer: &str, key: &str, amount: &str) -> Result<Value> {
    let path = format!("/api/v1/customers/{customer}/purse/payments");
    let body = json!({ "amount": amount, "channel": "wechat" });
    let answer = api.ask_with_key(Method::POST, &path, Some(body), key).await?;
    ensure!(answer.status == StatusCode::CREATED, "{} {}", answer.status, answer.body);
    Ok(answer.body)
}

async fn balance(api: &Api, customer: &str) -> Result<String> {
    text(&api.get(&format!("/api/v1/customers/{customer}/purse")).await?, "balance")
}

fn fen(amount: &str) -> Result<i64> {
    Ok(amount.replace('.', "").parse()?)
}

/// Waits for a state of the world, not for a time.
async fn until<F>(what: &str, mut holds: impl FnMut() -> F) -> Result<()>
where
    F: Future<Output = Result<bool>>,
{
    let begin = Instant::now();
    while !holds().await? {
        ensure!(begin.elapsed() < Duration::from_secs(60), "it never came to that: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// What the books say of a purse, and that they hold together.
async fn booked(api: &Api, customer: &str) -> Result<i64> {
    let books = api.get("/api/v1/ledger/trial-balance").await?;
    ensure!(books["difference"] == "0.00", "{books}");
    let name = format!("purse/{customer}");
    let lines = books["lines"].as_array().context("no lines")?;
    let Some(line) = lines.iter().find(|line| line["account"] == name.as_str()) else {
        return Ok(0);
    };
    Ok(fen(&text(line, "credits_posted")?)? - fen(&text(line, "debits_posted")?)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purse_is_charged_cut_and_restored_by_itself_with_both_drivers() -> Result<()> {
    let (site, program, counting) = site(PURSE).await?;
    let api = site.api(&program);
    let plan = plan(&api).await?;
    for meter in &COUNTING {
        let customer = customer(&api, meter.customer).await?;
        let meter_id = purse_meter(&api, meter, &plan, &customer).await?;
        let name = format!("{}/{}", meter.line, meter.address);
        let truth = || counting.state(&name);
        pay(&api, &customer, "first", "10.00").await?;
        // Twice is once.
        pay(&api, &customer, "first", "10.00").await?;
        ensure!(balance(&api, &customer).await? == "10.00");
        let path = format!("/api/v1/customers/{customer}/purse/payments");
        let other = json!({ "amount": "11.00" });
        let answer = api.ask_with_key(Method::POST, &path, Some(other), "first").await?;
        ensure!(answer.code() == "differs", "{}", answer.body);

        counting.set_load(&name, 6_000)?;
        counting.advance(3_600);
        // About 6 kWh at 0.52, by a round of the program's own.
        until("charged", async || Ok(balance(&api, &customer).await? != "10.00")).await?;
        let left = fen(&balance(&api, &customer).await?)?;
        ensure!((680..=690).contains(&left), "{left}");
        ensure!(truth()?.relay_closed, "there is money left");

        counting.advance(3 * 3_600);
        until("cut", async || {
            let purse = api.get(&format!("/api/v1/customers/{customer}/purse")).await?;
            Ok(purse["cuts"][0]["state"] == "cut")
        })
        .await?;
        ensure!(!truth()?.relay_closed, "{meter:?} is cut");
        let owed = fen(&balance(&api, &customer).await?)?;
        ensure!(owed < -100 && owed == booked(&api, &customer).await?, "{owed}");

        pay(&api, &customer, "second", "50.00").await?;
        until("restored", async || Ok(truth()?.relay_closed)).await?;
        until("ended", async || {
            let purse = api.get(&format!("/api/v1/customers/{customer}/purse")).await?;
            Ok(purse["cuts"][0]["state"] == "ended")
        })
        .await?;
        ensure!(booked(&api, &customer).await? == owed + 5_000);
        let page = api.text(&format!("/customers/{customer}/purse")).await?;
        ensure!(page.contains("Restored") && page.contains("In credit"), "{page}");

        let charges = api.get(&format!("/api/v1/meters/{meter_id}/charges")).await?;
        let last = text(&charges["items"][0], "charge_id")?;
        let explained = api.get(&format!("/api/v1/charges/{last}/explanation")).await?;
        ensure!(explained["rerun_is_same"] == true, "{explained}");
        ensure!(api.text(&format!("/charges/{last}")).await?.contains("to the last digit"));
        counting.set_load(&name, 0)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_step_of_a_purse_nothing_is_charged_twice_or_forgotten() -> Result<()> {
    let (site, mut program, counting) = site(ASKED).await?;
    let api = site.api(&program);
    let plan = plan(&api).await?;
    let customer = customer(&api, "300001").await?;
    let meter = &COUNTING[0];
    let name = format!("{}/{}", meter.line, meter.address);
    let meter_id = purse_meter(&api, meter, &plan, &customer).await?;
    counting.set_load(&name, 6_000)?;
    let mut paid = 0;
    for (number, point) in PURSE_CRASH_POINTS.iter().enumerate() {
        // In credit, with supply, and then an hour that uses it all up.
        let api = site.api(&program);
        let owed = -booked(&api, &customer).await?;
        pay(&api, &customer, &format!("in-{number}"), "3.00").await?;
        paid += 300;
        if owed > 0 {
            let more = format!("{}.{:02}", owed / 100, owed % 100);
            pay(&api, &customer, &format!("owed-{number}"), &more).await?;
            paid += owed;
        }
        until("supplied", async || Ok(counting.state(&name)?.relay_closed)).await?;
        program.kill().await?;
        program = Program::start(&site.config, Some(point)).await?;
        counting.advance(3_600);
        let api = site.api(&program);
        // It dies in this, or soon after it.
        drop(api.ask(Method::POST, &format!("/api/v1/meters/{meter_id}/charges"), None).await);
        program.ended().await.with_context(|| format!("it outlived {point}"))?;
        program = Program::start(&site.config, None).await?;
        let api = site.api(&program);
        until("charged and cut", async || {
            api.post(&format!("/api/v1/meters/{meter_id}/charges"), json!({})).await?;
            Ok(!counting.state(&name)?.relay_closed)
        })
        .await?;
        // All that the meter counted since it was opened, and all that was paid, once.
        let charges = api.get(&format!("/api/v1/meters/{meter_id}/charges?limit=200")).await?;
        let charges = charges["items"].as_array().context("no items")?;
        let sum = charges.iter().map(|it| fen(it["amount"].as_str().unwrap_or_default()));
        let sum: i64 = sum.sum::<Result<i64>>()?;
        let used: u64 = charges.iter().filter_map(|it| it["used"].as_u64()).sum();
        let counted = counting.state(&name)?.energy * 10;
        ensure!(used == counted, "{point}: {used} Wh charged, {counted} counted");
        ensure!(booked(&api, &customer).await? == paid - sum, "{point}");
        ensure!(balance(&api, &customer).await? == money(paid - sum), "{point}");
    }
    Ok(())
}

fn money(fen: i64) -> String {
    let sign = if fen < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", fen.abs() / 100, fen.abs() % 100)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_reads_and_charges_with_and_without_a_program_that_serves() -> Result<()> {
    let (site, program, counting) = site(ASKED).await?;
    let api = site.api(&program);
    let plan = plan(&api).await?;
    let customer = customer(&api, "300001").await?;
    let meter = &COUNTING[1];
    purse_meter(&api, meter, &plan, &customer).await?;
    let name = format!("{}/{}", meter.line, meter.address);
    counting.set_load(&name, 6_000)?;
    let config = site.config.to_str().context("a path that is text")?;
    let charge = async || -> Result<Value> {
        let ended = e2e::run(["--config", config, "charge", meter.serial_number]).await?;
        let errors = String::from_utf8_lossy(&ended.stderr).into_owned();
        ensure!(ended.status.success(), "{errors}");
        Ok(serde_json::from_slice(&ended.stdout)?)
    };
    pay(&api, &customer, "in", "10.00").await?;
    counting.advance(3_600);
    let first = charge().await?;
    ensure!(first["charge"]["amount"] == "3.12", "{first}");
    ensure!(charge().await?["nothing"].is_string(), "nothing was used since");
    program.kill().await?;
    counting.advance(2 * 3_600);
    let second = charge().await?;
    ensure!(second["charge"]["amount"] == "6.24", "{second}");
    let ended = e2e::run(["--config", config, "charge", METERS[0].serial_number]).await?;
    let errors = String::from_utf8_lossy(&ended.stderr).into_owned();
    ensure!(ended.status.code() == Some(2) && errors.contains("money-in-meter"), "{errors}");
    Ok(())
}
