//! The page in a real Chromium, on both vendors' meters. The script beside it clicks; this starts the
//! site, looks at the pictures' presence and at the meter afterwards.

use anyhow::{Context, Result, ensure};
use e2e::card_counter::{CardCounter, blank, pull};
use e2e::wavering::{self, DRIVER};
use e2e::{ASKED_BEFORE_SALE, Api, METERS, OPERATOR, PASSWORD, Program, Site, keypad, root};
use meter_sim::{Fault, FaultKind, Keypad, On, Shown};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;
use tokio::sync::OnceCell;
use virtual_reader::Slot;

#[tokio::test(flavor = "multi_thread")]
async fn a_clerk_sells_through_the_page() -> Result<()> {
    let pictures = root().join("target/screenshots");
    std::fs::create_dir_all(&pictures)?;
    let script = script().await?;
    let (site, program) = Site::new().await?;
    for meter in METERS.iter().filter(|meter| meter.serial_number.ends_with("-1")) {
        let folder = pictures.join(meter.vendor);
        std::fs::create_dir_all(&folder)?;
        run(script, &program, meter.customer, &folder, &[]).await?;
        let state = site.simulator.state(meter.address)?;
        ensure!(state.credited_fen == 5000, "the meter took {} fen", state.credited_fen);
        ensure!(folder.join("sale-phone.png").is_file(), "no picture was taken");
    }
    program.kill().await
}

/// A driver on trial, and one that is in quarantine and signed by nobody.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_driver_is_seen() -> Result<()> {
    let folder = root().join("target/screenshots/drivers");
    std::fs::create_dir_all(&folder)?;
    let script = script().await?;
    let (site, program) = Site::new().await?;
    let api = site.api(&program);
    let meter_id = site.meter_id(&api, &METERS[0]).await?;
    let other = wavering::version(&site, 3)?.display().to_string();
    let upgrade = ["upgrade", DRIVER, &other, "--shadow-lines", "bus-serial", "--canary", "10"];
    wavering::check(&site, &upgrade, 0, "candidate-began").await?;
    api.post(&format!("/api/v1/meters/{meter_id}/readings"), json!({})).await?;
    while wavering::serving(&api).await?["candidate"]["disagreements"] == 0 {
        tokio::task::yield_now().await;
    }
    let of_driver = |act: &str| format!("/drivers/{DRIVER}{act}");
    let on_trial = [("on-trial", of_driver("")), ("promote", of_driver("/promote"))];
    run(script, &program, "-", &folder, &on_trial).await?;

    wavering::check(&site, &["rollback", DRIVER], 0, "candidate-sent-back").await?;
    wavering::quarantine(&site, &api, &meter_id).await?;
    let held_back = [
        ("all", "/drivers".to_owned()),
        ("quarantined", of_driver("")),
        ("release", of_driver("/release=yes")),
    ];
    run(script, &program, "-", &folder, &held_back).await?;
    let standing = wavering::serving(&api).await?["health"]["standing"].clone();
    ensure!(standing == "serving", "after the release it is {standing}");
    program.kill().await
}

/// What a clerk sees when a meter says no, or nothing, or that it is overloaded: the vendor's code and its
/// meaning.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_meter_refused_is_seen() -> Result<()> {
    let folder = root().join("target/screenshots/refused");
    std::fs::create_dir_all(&folder)?;
    let script = script().await?;
    let (site, program) = Site::new().await?;
    let api = site.api(&program);
    let meter = &METERS[0];
    let meter_id = site.meter_id(&api, meter).await?;
    site.simulator.set_load(meter.address, 20_000)?;
    api.post(&format!("/api/v1/meters/{meter_id}/readings"), json!({})).await?;
    let alarms = api.get(&format!("/api/v1/alarms?standing=true&meter_id={meter_id}")).await?;
    ensure!(alarms["items"][0]["name"] == "overload", "{alarms}");
    site.simulator.open_cover(meter.address)?;
    let records = format!("/api/v1/meters/{meter_id}/records");
    let read = api.post(&records, json!({ "kind": "events" })).await?;
    ensure!(read["stored"] == 1, "{read}");
    // DL/T 645: more money than the purse may hold.
    let refuse = |on| Fault::new(on, FaultKind::Refuse { word: 0x0040 });
    site.simulator.fault(meter.address, refuse(On::Sell))?;
    let refused = uuid::Uuid::now_v7().to_string();
    api.sell(&refused, &meter_id, "5.00").await?;
    let settings = format!("/api/v1/meters/{meter_id}/settings");
    api.post(&settings, json!({ "parameters": { "alarm-1": 4321 } })).await?;
    site.simulator.fault(meter.address, refuse(On::Write))?;
    let set = json!({ "parameters": { "alarm-1": 5, "alarm-2": 6 } });
    api.ask(reqwest::Method::POST, &settings, Some(set)).await?;
    site.simulator.fault(meter.address, Fault::new(On::Sell, FaultKind::LostAfterApply))?;
    let silent = Fault::new(On::Check, FaultKind::NoReply).skip(ASKED_BEFORE_SALE).times(50);
    site.simulator.fault(meter.address, silent)?;
    let unresolved = uuid::Uuid::now_v7().to_string();
    until_unresolved(&api, &unresolved, &meter_id).await?;
    let traces = api.get(&format!("/api/v1/meters/{meter_id}/trace?last=100")).await?;
    let traces = traces.as_array().context("traces")?;
    let trace = traces.iter().find(|it| it["ending"] == "refused").context("none was refused")?;
    let trace = trace["id"].as_str().context("an id")?;
    let pages = [
        ("refused", format!("/sales/{refused}")),
        ("unresolved", format!("/sales/{unresolved}")),
        ("decision", format!("/sales/{unresolved}/decision")),
        ("meter", format!("/meters/{meter_id}")),
        ("alarms", format!("/alarms?meter={meter_id}")),
        ("records", format!("/meters/{meter_id}/records")),
        ("start", "/".to_owned()),
        ("conversation", format!("/meters/{meter_id}/conversations/{trace}")),
    ];
    run(script, &program, "-", &folder, &pages).await?;
    program.kill().await
}

/// A maintenance card is made of the blank one in the reader, and made blank again.
#[tokio::test(flavor = "multi_thread")]
async fn a_clerk_handles_cards_through_the_page() -> Result<()> {
    let Some(slot) = Slot::take() else { return Ok(()) };
    let folder = root().join("target/screenshots/cards");
    std::fs::create_dir_all(&folder)?;
    let script = script().await?;
    let counter = CardCounter::new(slot, "").await?;
    let card = blank(1);
    let fresh = card.truth().memory;
    let lies = counter.put_in(&card).await?;
    let program = counter.serve().await?;
    run(script, &program, "cards", &folder, &[]).await?;
    pull(lies).await;
    ensure!(card.truth().memory != fresh && card.truth().wrong == 0, "{:?}", card.truth());
    let cards = counter.site.api(&program).get("/api/v1/maintenance-cards").await?;
    ensure!(cards["items"][0]["parameters"]["price-flat"].to_string().contains("0.8"), "{cards}");
    program.kill().await
}

async fn until_unresolved(api: &Api, sale_id: &str, meter_id: &str) -> Result<()> {
    api.ask(
        reqwest::Method::PUT,
        &format!("/api/v1/sales/{sale_id}"),
        Some(json!({ "meter_id": meter_id, "paid": "5.00" })),
    )
    .await?;
    while api.get(&format!("/api/v1/sales/{sale_id}")).await?["state"] != "unresolved" {
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Sells to the meter of `customer`, or with "-" only looks at `pages`, each a picture's name and a path.
async fn run(
    script: &Path,
    program: &Program,
    customer: &str,
    folder: &Path,
    pages: &[(&str, String)],
) -> Result<()> {
    let ran = Command::new("node")
        .arg(script)
        .args([&program.url, OPERATOR, PASSWORD, customer])
        .arg(folder)
        .args(pages.iter().map(|(name, path)| format!("{name}={path}")))
        .stdin(Stdio::null())
        .output()
        .await
        .context("node did not start")?;
    let said = String::from_utf8_lossy(&ran.stderr);
    ensure!(ran.status.success(), "{customer} (pictures in {}):\n{said}", folder.display());
    Ok(())
}

/// The script with its one package beside it, in target so that the tree stays clean; made once.
async fn script() -> Result<&'static Path> {
    static SCRIPT: OnceCell<PathBuf> = OnceCell::const_new();
    Ok(SCRIPT.get_or_try_init(make_script).await?.as_path())
}

async fn make_script() -> Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("page");
    let folder = root().join("target/page-test");
    std::fs::create_dir_all(&folder)?;
    for name in ["package.json", "package-lock.json", "page.mjs"] {
        std::fs::copy(source.join(name), folder.join(name))?;
    }
    let npm = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"])
        .current_dir(&folder)
        .status()
        .await
        .context("npm did not start")?;
    ensure!(npm.success(), "npm ci ended with {npm}");
    Ok(folder.join("page.mjs"))
}

/// The counter's other pages, each with something on it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_at_the_counter_is_seen() -> Result<()> {
    let folder = root().join("target/screenshots/counter");
    std::fs::create_dir_all(&folder)?;
    let script = script().await?;
    let more =
        "[sale]\narrears-share = 30\ngift-max = \"50.00\"\n[approval]\nwrite-off = \"0.00\"\n";
    let (site, program) = Site::with_more(more, &[]).await?;
    let api = site.api(&program);
    let meter = &METERS[0];
    let meter_id = site.meter_id(&api, meter).await?;
    let shift = api.keyed("/api/v1/shifts", "p", json!({ "float": "200.00" })).await?;
    let shift = shift.body["shift_id"].as_str().context("a shift")?.to_owned();
    let customer = api.get(&format!("/api/v1/meters/{meter_id}")).await?["customer"].clone();
    let act = |kind: &str, amount: &str| {
        json!({ "kind": kind, "customer_id": customer["customer_id"], "amount": amount,
            "reason": "from the old book" })
    };
    api.keyed("/api/v1/counter-acts", "p-1", act("arrears", "100.00")).await?;
    let sale = uuid::Uuid::now_v7().to_string();
    api.sell(&sale, &meter_id, "50.00").await?;
    for _ in 0..2 {
        api.post("/api/v1/receipts/1/prints", json!({})).await?;
    }
    let waits = api.keyed("/api/v1/counter-acts", "p-2", act("write-off", "20.00")).await?;
    let waits = waits.body["counter_act_id"].as_str().context("an act")?.to_owned();
    let back = json!({ "kind": "reversal", "sale_id": sale, "reason": "typed wrongly" });
    let back = api.keyed("/api/v1/counter-acts", "p-3", back).await?;
    let back = back.body["counter_act_id"].as_str().context("an act")?.to_owned();
    let (other, kept) = (site.meter_id(&api, &METERS[1]).await?, uuid::Uuid::now_v7().to_string());
    api.sell(&kept, &other, "20.00").await?;
    // Its driver takes nothing back.
    let kept = json!({ "kind": "refund", "sale_id": kept, "reason": "moves out" });
    let kept = api.keyed("/api/v1/counter-acts", "p-4", kept).await?;
    let kept = kept.body["counter_act_id"].as_str().context("an act")?.to_owned();
    site.simulator.become_another(meter.address, 5, 100)?;
    api.post(&format!("/api/v1/meters/{meter_id}/readings"), json!({})).await?;
    let pages = [
        ("start", "/".to_owned()),
        ("shifts", "/shifts".to_owned()),
        ("shift", format!("/shifts/{shift}")),
        ("shift-closing", format!("/shifts/{shift}/closing?counted=249.00")),
        ("sale", format!("/sales/{sale}")),
        ("explanation", format!("/sales/{sale}/explanation")),
        ("confirm", format!("/meters/{meter_id}/sale?paid=50.00&gift=5.00")),
        ("receipts", "/receipts".to_owned()),
        ("receipt", "/receipts/1".to_owned()),
        ("paper", "/receipts/1/prints/1".to_owned()),
        ("acts", "/acts".to_owned()),
        ("act-waiting", format!("/acts/{waits}")),
        ("act-refused", format!("/acts/{kept}")),
        ("act-taken-back", format!("/acts/{back}")),
        ("act-new", "/acts/new".to_owned()),
        ("refund", format!("/acts/new?meter={meter_id}")),
        ("take-back", format!("/acts/new?sale={sale}")),
        ("discrepancies", "/discrepancies".to_owned()),
    ];
    run(script, &program, "-", &folder, &pages).await?;
    program.kill().await
}

/// A keypad meter's tokens: ordered by keyboard, waited for, looked at.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_into_a_keypad_meter_is_seen() -> Result<()> {
    let folder = root().join("target/screenshots/tokens");
    std::fs::create_dir_all(&folder)?;
    let script = script().await?;
    let (site, program) = keypad::site().await?;
    let api = site.api(&program);
    let meter_id = keypad::add(&api, "K-1", keypad::PANS[0], "0.52", 2014).await?;
    api.sell(&uuid::Uuid::now_v7().to_string(), &meter_id, "50.00").await?;
    let order = [("order", format!("/meters/{meter_id}/tokens/max-power=order"))];
    run(script, &program, "-", &folder, &order).await?;
    let listed = api.get(&format!("/api/v1/meters/{meter_id}/token-orders")).await?;
    let made = &listed["items"][0];
    ensure!((&made["kind"], &made["value"]) == (&json!("max-power"), &json!(6_000)), "{made}");
    ensure!(made["reason"] == "new contract" && made["operator_id"].is_string(), "{made}");
    let digits = made["tokens"][0].as_str().context("digits")?;
    let mut meter = Keypad::new(&keypad::origin(keypad::PANS[0], 0));
    ensure!(meter.type_in(digits) == Shown::Done && meter.max_power == 6_000);
    let waiting = uuid::Uuid::now_v7().to_string();
    let change = json!({ "meter_id": meter_id, "kind": "key-change", "reason": "new group",
        "change": { "supply-group": "654321", "key-revision": 2 } });
    let path = format!("/api/v1/token-orders/{waiting}");
    api.ask(reqwest::Method::PUT, &path, Some(change)).await?;
    let pages = [
        ("meter", format!("/meters/{meter_id}")),
        ("tokens", format!("/meters/{meter_id}/tokens")),
        ("waiting", format!("/token-orders/{waiting}")),
        ("key-change", format!("/meters/{meter_id}/tokens/key-change")),
    ];
    run(script, &program, "-", &folder, &pages).await?;
    rolled_over(script, &program, &api, &folder).await?;
    program.kill().await
}

/// Two meters moved to a later base date: asked for by keyboard, agreed to, and on the installer's sheet.
async fn rolled_over(script: &Path, program: &Program, api: &Api, folder: &Path) -> Result<()> {
    for number in [7, 8] {
        keypad::add(api, &format!("K-{number}"), keypad::pan(number), "0.52", 1993).await?;
    }
    let roll = [("rollover", "/token-rollovers=roll".to_owned())];
    run(script, program, "-", folder, &roll).await?;
    let listed = api.get("/api/v1/token-rollovers").await?;
    let line = &listed["items"][0];
    ensure!((&line["meters"], &line["issued"]) == (&json!(2), &json!(0)), "{listed}");
    let id = line["token_rollover_id"].as_str().context("an id")?;
    let campaign = api.get(&format!("/api/v1/token-rollovers/{id}")).await?;
    let approval = campaign["approval_id"].as_str().context("it waits")?;
    let second = keypad::second(api, program).await?;
    let agree = json!({ "approved": true, "reason": "seen" });
    second.post(&format!("/api/v1/approvals/{approval}/decision"), agree).await?;
    let pages = [
        ("rollover-issued", format!("/token-rollovers/{id}")),
        ("rollover-sheet", format!("/token-rollovers/{id}/sheet")),
        ("rollovers", "/token-rollovers".to_owned()),
    ];
    run(script, program, "-", folder, &pages).await
}
