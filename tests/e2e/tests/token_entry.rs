//! Tokens that take the meter's line, through the real program: a keypad meter that speaks DLMS as well,
//! under two vendors' names. The oracle is what its keypad added; whatever is lost or killed, each
//! token is in it once.

use anyhow::{Context, Result, bail, ensure};
use e2e::keypad::{Deadly, PANS, add, origin, second, site_with};
use e2e::{Answer, Api, Program, Site, run};
use meter_sim::{
    BusKind, BusPlan, DlmsPlan, DlmsSecurity, Endpoint, Fault, FaultKind, Meters, On, Plan,
    Simulator,
};
use polymeter_service::ENTRY_CRASH_POINTS;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

/// More than a token takes to be entered once its line answers.
const PATIENCE: Duration = Duration::from_secs(60);
/// The meter's name in the simulator.
const METER: &str = "00000001";

fn fresh() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// A program, a meter that is sold to (`K-1`), and the same one on its line (`L-1`); their ids.
async fn field() -> Result<(Simulator, Site, Program, [String; 2])> {
    let meter = DlmsPlan {
        security: DlmsSecurity::Low { password: "12345678".to_owned() },
        keypad: Some(origin(PANS[0], 0)),
        ..DlmsPlan::default()
    };
    let bus = BusPlan::new("dlms", BusKind::Tcp, Meters::DlmsWrapper(vec![meter]));
    let simulator = Simulator::start(Plan { buses: vec![bus] })?;
    let Endpoint::Tcp(address) = simulator.endpoint("dlms")? else { bail!("a TCP bus") };
    let line = format!(
        "[[line]]\nname = \"dlms\"\ntcp = \"{address}\"\ninter-frame-ms = 1\n\
         reply-timeout-ms = 500\nbyte-timeout-ms = 100\n"
    );
    let driver = ("dlms", "DLMS", r#"["line", "vault", "log"]"#);
    let (site, program) = site_with(&[driver], &line).await?;
    let api = site.api(&program);
    let keypad = add(&api, "K-1", PANS[0], "0.52", 2014).await?;
    let plan = json!({ "name": "Line", "definition": "unit kWh\nprice 0.52\n" });
    let plan = api.post("/api/v1/tariffs", plan).await?;
    let on_line = json!({ "serial_number": "L-1", "vendor": "DLMS", "line": "dlms", "address": "1",
        "parameters": { "client": 1, "security": "low", "password": "12345678" },
        "tariff": { "tariff_plan_id": plan["tariff_plan_id"] } });
    let on_line = api.post("/api/v1/meters", on_line).await?;
    let on_line = on_line["meter_id"].as_str().context("an id")?.to_owned();
    Ok((simulator, site, program, [keypad, on_line]))
}

async fn lead(api: &Api, meter: &str, through: Option<&str>) -> Result<Answer> {
    let body = json!({ "through_meter_id": through });
    api.ask(Method::PUT, &format!("/api/v1/meters/{meter}/token-entry"), Some(body)).await
}

async fn sold(api: &Api, meter: &str) -> Result<String> {
    let sale_id = fresh();
    let sold = api.sell(&sale_id, meter, "5.20").await?;
    ensure!(sold.body["state"] == "confirmed" && sold.body["token"]["tokens"][0].is_string());
    Ok(sale_id)
}

/// The order's entry, once it is as it should be. A sale's order has the sale's id.
async fn once(api: &Api, order: &str, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
    let path = format!("/api/v1/token-orders/{order}");
    let asked = async {
        loop {
            let entry = api.get(&path).await?["entry"].clone();
            if is_so(&entry) {
                return anyhow::Ok(entry);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(entry) => entry,
        Err(_) => bail!("{order} never came so far: {}", api.get(&path).await?),
    }
}

async fn until(api: &Api, order: &str, state: &str) -> Result<Value> {
    once(api, order, |entry| entry["state"] == state).await
}

/// It was tried once, and the meter did not say that it has it.
async fn until_tried(api: &Api, order: &str) -> Result<Value> {
    once(api, order, |entry| entry["state"] == "waiting" && entry["tries"] == 1).await
}

fn added(simulator: &Simulator) -> Result<u64> {
    Ok(simulator.state(METER)?.token_credit)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sold_is_in_the_meter_before_anybody_types() -> Result<()> {
    let (simulator, site, program, [keypad, on_line]) = field().await?;
    let api = site.api(&program);
    let typed = sold(&api, &keypad).await?;
    ensure!(api.get(&format!("/api/v1/token-orders/{typed}")).await?["entry"].is_null());
    let answer = lead(&api, &keypad, Some(&on_line)).await?;
    ensure!(answer.status == StatusCode::OK, "{answer:?}");

    let first = sold(&api, &keypad).await?;
    let entry = until(&api, &first, "entered").await?;
    ensure!((&entry["taken"], added(&simulator)?) == (&json!(1), 100), "{entry}");
    let sale = api.get(&format!("/api/v1/sales/{first}")).await?;
    ensure!(sale["token"]["entry"]["state"] == "entered", "{sale}");
    let page = api.text(&format!("/sales/{first}")).await?;
    ensure!(page.contains("In the meter") && !page.contains("Type it into the meter"), "{page}");
    // Nothing was noticed, and so nothing is said.
    ensure!(!api.text(&format!("/token-orders/{first}")).await?.contains("id=\"entry\""));
    ensure!(api.text(&format!("/meters/{keypad}")).await?.contains("L-1"));

    // Bought before the line was known: a person has it entered.
    let path = format!("/api/v1/token-orders/{typed}/entry");
    let asked = api.ask(Method::POST, &path, None).await?;
    ensure!(asked.status == StatusCode::ACCEPTED, "{asked:?}");
    until(&api, &typed, "entered").await?;
    ensure!(added(&simulator)? == 200);
    let again = api.ask(Method::POST, &path, None).await?;
    ensure!(again.code() == "out-of-order", "{again:?}");

    lost_on_the_way(&simulator, &api, &keypad).await?;
    its_key_changes(&simulator, &api, &program, &keypad).await?;
    what_cannot_be(&api, &keypad, &on_line).await?;
    let trail = api.get("/api/v1/audit").await?.to_string();
    ensure!(trail.contains("token-entered") && trail.contains("tokens-entered-through"));
    program.kill().await
}

/// The token reached the meter and its answer did not; then the line is dead for a while.
async fn lost_on_the_way(simulator: &Simulator, api: &Api, keypad: &str) -> Result<()> {
    let before = added(simulator)?;
    simulator.fault(METER, Fault::new(On::Sell, FaultKind::LostAfterApply))?;
    let lost = sold(api, keypad).await?;
    let entry = until_tried(api, &lost).await?;
    ensure!(!entry["detail"].as_str().context("why")?.is_empty(), "{entry}");
    ensure!(added(simulator)? == before + 100, "it was lost after it was done");
    // A person is faster than the next try; the meter shows that it has it.
    let path = format!("/api/v1/token-orders/{lost}/entry");
    api.ask(Method::POST, &path, None).await?;
    let entry = until(api, &lost, "entered").await?;
    ensure!(entry["detail"] == "the meter had taken it before", "{entry}");
    ensure!(added(simulator)? == before + 100);

    // Left to whoever types it.
    simulator.fault(METER, Fault::new(On::Any, FaultKind::NoReply).times(8))?;
    let silent = sold(api, keypad).await?;
    until_tried(api, &silent).await?;
    let path = format!("/api/v1/token-orders/{silent}/entry");
    let withdrawn = api.ask(Method::DELETE, &path, None).await?;
    ensure!(withdrawn.body["entry"]["state"] == "withdrawn", "{withdrawn:?}");
    simulator.clear_faults(METER)?;
    Ok(())
}

/// Both parts of the new key, and then a token that is made by it.
async fn its_key_changes(
    simulator: &Simulator,
    api: &Api,
    program: &Program,
    keypad: &str,
) -> Result<()> {
    let before = added(simulator)?;
    let second = second(api, program).await?;
    let id = fresh();
    let order = json!({ "meter_id": keypad, "kind": "key-change", "reason": "new group",
        "change": { "supply-group": "654321", "key-revision": 2 } });
    let path = format!("/api/v1/token-orders/{id}");
    let waits = api.ask(Method::PUT, &path, Some(order)).await?;
    ensure!(waits.body["state"] == "waiting" && waits.body["entry"].is_null(), "{waits:?}");
    let approval = waits.body["approval_id"].as_str().context("an approval")?;
    let agree = json!({ "approved": true, "reason": "seen" });
    second.post(&format!("/api/v1/approvals/{approval}/decision"), agree).await?;
    let after = sold(api, keypad).await?;
    api.ask(Method::POST, &format!("{path}/entry"), None).await?;
    let entry = until(api, &id, "entered").await?;
    ensure!(entry["taken"] == 2, "{entry}");
    let entry = api.ask(Method::POST, &format!("/api/v1/token-orders/{after}/entry"), None).await?;
    ensure!(entry.status == StatusCode::ACCEPTED || entry.code() == "out-of-order", "{entry:?}");
    until(api, &after, "entered").await?;
    ensure!(added(simulator)? == before + 100);
    Ok(())
}

async fn what_cannot_be(api: &Api, keypad: &str, on_line: &str) -> Result<()> {
    for (meter, through, why) in [
        (on_line, Some(keypad), "takes no tokens"),
        (keypad, Some(keypad), "sts-token enters none"),
        (keypad, Some("no-id"), "through_meter_id"),
    ] {
        let no = lead(api, meter, through).await?;
        ensure!(no.status == StatusCode::UNPROCESSABLE_ENTITY, "{no:?}");
        ensure!(no.body.to_string().contains(why), "{no:?}");
    }
    let other = add(api, "K-2", PANS[1], "0.52", 2014).await?;
    let no = lead(api, &other, Some(on_line)).await?;
    ensure!(no.body.to_string().contains("a device has one keypad"), "{no:?}");
    let order = sold(api, &other).await?;
    let path = format!("/api/v1/token-orders/{order}/entry");
    for (method, code) in [(Method::POST, "blocked"), (Method::DELETE, "out-of-order")] {
        let no = api.ask(method, &path, None).await?;
        ensure!(no.code() == code, "{no:?}");
    }
    // Typed from now on.
    ensure!(lead(api, keypad, None).await?.status == StatusCode::OK);
    let typed = sold(api, keypad).await?;
    ensure!(api.get(&format!("/api/v1/token-orders/{typed}")).await?["entry"].is_null());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_is_entered_it_is_in_the_meter_once() -> Result<()> {
    let (simulator, site, program, _) = field().await?;
    program.kill().await?;
    let config = site.config.display().to_string();
    let told = run(["--config", &config, "token", "entry", "K-1", "--through", "L-1"]).await?;
    let said = String::from_utf8_lossy(&told.stdout).into_owned();
    ensure!(said.contains("K-1 are entered through L-1"), "{said}");
    let program = Program::start(&site.config, None).await?;
    let api = site.api(&program);
    let meters = api.get("/api/v1/meters?query=K-1").await?;
    let keypad = meters["items"][0]["meter_id"].as_str().context("K-1")?.to_owned();
    program.kill().await?;
    for (nth, point) in (1_u64..).zip(ENTRY_CRASH_POINTS) {
        let sale_id = fresh();
        let (mut program, deadly) = Deadly::start(&site).await?;
        deadly.kill_at(point)?;
        let answer = site.api(&program).sell(&sale_id, &keypad, "5.20").await;
        program.ended().await.with_context(|| format!("{point}: it lives, {answer:?}"))?;
        program.kill().await?;
        let program = Program::start(&site.config, None).await?;
        let entry = until(&site.api(&program), &sale_id, "entered").await?;
        ensure!(added(&simulator)? == nth * 100, "killed at {point}: {entry}");
        program.kill().await?;
    }
    let told = run(["--config", &config, "token", "entry", "K-1", "--typed"]).await?;
    ensure!(String::from_utf8_lossy(&told.stdout).contains("K-1 are typed in"), "{told:?}");
    let told = run(["--config", &config, "token", "entry", "K-1"]).await?;
    ensure!(told.status.code() == Some(2), "{told:?}");
    Ok(())
}
