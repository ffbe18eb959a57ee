//! A roll-over through the real program: a site's keypad meters moved to a later base date, by one second
//! person's word, on paper for the installer, and killed at its steps.

use anyhow::{Context, Result, ensure};
use e2e::keypad::{Deadly, PANS, add, origin, pan, second, site};
use e2e::{Answer, Api, Program, Site, run};
use meter_sim::{Keypad, Shown};
use polymeter_service::ROLLOVER_CRASH_POINTS;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const PATH: &str = "/api/v1/token-rollovers";

fn fresh() -> String {
    uuid::Uuid::now_v7().to_string()
}

fn to_2014() -> Value {
    json!({ "to_base": 2014, "reason": "TID roll-over" })
}

async fn dry(api: &Api, body: &Value) -> Result<Value> {
    let answer = api.keyed(&format!("{PATH}?dry_run=true"), "dry", body.clone()).await?;
    ensure!(answer.status == StatusCode::OK, "{answer:?}");
    Ok(answer.body)
}

async fn agree(api: &Api, approval: &str) -> Result<Answer> {
    let decision = format!("/api/v1/approvals/{approval}/decision");
    let agree = json!({ "approved": true, "reason": "seen" });
    api.ask(Method::POST, &decision, Some(agree)).await
}

/// The digits of one meter in a campaign.
fn digits(rollover: &Value, meter_id: &str) -> Result<Vec<String>> {
    let mut orders = rollover["orders"].as_array().context("orders")?.iter();
    let order = orders.find(|it| it["meter_id"] == meter_id);
    let order = order.with_context(|| format!("no {meter_id} in {rollover}"))?;
    let tokens = order["tokens"].as_array().context("tokens")?.iter();
    tokens.map(|it| Ok(it.as_str().context("digits")?.to_owned())).collect()
}

/// Both halves of the key, and a sale made by it.
async fn typed_in(api: &Api, rollover: &Value, meter_id: &str, keypad: &mut Keypad) -> Result<()> {
    let tokens = digits(rollover, meter_id)?;
    ensure!(tokens.len() == 2, "{rollover}");
    ensure!(keypad.type_in(&tokens[0]) == Shown::Part && keypad.type_in(&tokens[1]) == Shown::Done);
    let sold = api.sell(&fresh(), meter_id, "5.20").await?;
    let token = sold.body["token"]["tokens"][0].as_str().with_context(|| format!("{sold:?}"))?;
    ensure!(keypad.type_in(token) == Shown::Added(100), "{sold:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_is_moved_to_a_later_base_date_by_one_second_persons_word() -> Result<()> {
    let (site, program) = site().await?;
    let api = site.api(&program);
    let second = second(&api, &program).await?;
    let mut meters = Vec::new();
    for (serial, pan) in [("K-1", PANS[0]), ("K-2", PANS[1])] {
        let meter_id = add(&api, serial, pan, "0.52", 1993).await?;
        meters.push((meter_id, Keypad::new(&origin(pan, 0))));
    }
    add(&api, "K-3", pan(3), "0.52", 2014).await?;

    // The key of that revision is not in the vault, and the meters that want it say so.
    let other = json!({ "to_base": 2014, "key_revision": 2, "reason": "x" });
    let seen = dry(&api, &other).await?;
    let seen = seen["meters"].as_array().context("meters")?;
    ensure!(seen.len() == 2, "{seen:?}");
    for meter in seen {
        let why = meter["obstacle"].as_str().context("an obstacle")?;
        ensure!(why.contains("vending-123456-2"), "{why}");
    }
    let refused = api.keyed(PATH, "r-0", other).await?;
    ensure!((refused.status, refused.code()) == (StatusCode::CONFLICT, "blocked"), "{refused:?}");
    for wrong in [
        json!({ "to_base": 1993, "reason": "x" }),
        json!({ "from_base": 2014, "to_base": 2014, "reason": "x" }),
        json!({ "to_base": 2014, "reason": " " }),
    ] {
        ensure!(api.keyed(PATH, "r-0", wrong.clone()).await?.code() == "invalid-field", "{wrong}");
    }

    let seen = dry(&api, &to_2014()).await?;
    let able = json!([null, null]);
    let obstacles = [&seen["meters"][0]["obstacle"], &seen["meters"][1]["obstacle"]];
    ensure!(json!(obstacles) == able && seen["needs_second_person"] == true, "{seen}");
    let none = api.get(PATH).await?;
    ensure!(none["items"] == json!([]), "a dry run keeps nothing: {none}");

    let asked = api.keyed(PATH, "r-1", to_2014()).await?;
    ensure!(asked.status == StatusCode::ACCEPTED && asked.body["waiting"] == 2, "{asked:?}");
    let approval = asked.body["approval_id"].as_str().context("it waits")?.to_owned();
    ensure!(agree(&api, &approval).await?.status == StatusCode::FORBIDDEN);
    let waits = api.text("/acts").await?;
    let id = asked.body["token_rollover_id"].as_str().context("an id")?.to_owned();
    ensure!(waits.contains(&format!("/token-rollovers/{id}")), "{waits}");
    ensure!(agree(&second, &approval).await?.status == StatusCode::OK);

    let made = api.keyed(PATH, "r-1", to_2014()).await?;
    ensure!(made.status == StatusCode::CREATED && made.body["issued"] == 2, "{made:?}");
    ensure!(api.get(&format!("{PATH}/{id}")).await? == made.body, "asking again makes none");
    let differs = json!({ "to_base": 2035, "reason": "TID roll-over" });
    ensure!(api.keyed(PATH, "r-1", differs).await?.code() == "differs");
    let listed = api.get(PATH).await?;
    let line = &listed["items"][0];
    ensure!((&line["meters"], &line["issued"]) == (&json!(2), &json!(2)), "{listed}");
    let older = api.get(&format!("{PATH}?after={id}")).await?;
    ensure!(older["items"] == json!([]), "{older}");

    let sheet = api.text(&format!("/token-rollovers/{id}/sheet")).await?;
    let page = api.text(&format!("/token-rollovers/{id}")).await?;
    for (meter_id, keypad) in &mut meters {
        for token in digits(&made.body, meter_id)? {
            ensure!(sheet.contains(&token) && page.contains(&token), "{sheet}");
        }
        typed_in(&api, &made.body, meter_id, keypad).await?;
    }
    ensure!(sheet.contains("Hut") && sheet.contains("Hill") && sheet.contains(PANS[1]), "{sheet}");
    let trail = api.get("/api/v1/audit").await?.to_string();
    ensure!(trail.contains("rollover-ordered"), "{trail}");
    ensure!(!trail.contains(&digits(&made.body, &meters[0].0)?[0]), "digits in the audit trail");
    let done = api.keyed(PATH, "r-2", to_2014()).await?;
    ensure!(done.code() == "invalid-field", "{done:?}");
    program.kill().await
}

/// What one person refuses comes to nothing, and what is in the way of one meter is in that of no other.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_or_cannot_be_made_leaves_the_rest_as_it_is() -> Result<()> {
    let (site, program) = site().await?;
    let api = site.api(&program);
    let second = second(&api, &program).await?;
    let first = add(&api, "K-1", PANS[0], "0.52", 1993).await?;
    let other = add(&api, "K-2", PANS[1], "0.52", 1993).await?;
    let asked = api.keyed(PATH, "r-1", to_2014()).await?;
    let approval = asked.body["approval_id"].as_str().context("it waits")?;
    let decision = format!("/api/v1/approvals/{approval}/decision");
    second.post(&decision, json!({ "approved": false, "reason": "not now" })).await?;
    let refused = api.keyed(PATH, "r-1", to_2014()).await?;
    ensure!(refused.body["cancelled"] == 2 && refused.body["issued"] == 0, "{refused:?}");

    // One meter has an order of its own that waits: it is left out.
    let own = json!({ "meter_id": first, "kind": "clear-tamper", "reason": "opened" });
    let path = format!("/api/v1/token-orders/{}", fresh());
    // A meter whose numbers have run out takes key changes alone.
    let run_out = api.ask(Method::PUT, &path, Some(own)).await?;
    ensure!(run_out.code() == "invalid-field", "{run_out:?}");
    let own = json!({ "meter_id": first, "kind": "key-change", "reason": "own",
        "change": { "supply-group": "654321", "key-revision": 2 } });
    ensure!(api.ask(Method::PUT, &path, Some(own)).await?.status == StatusCode::ACCEPTED);
    let seen = dry(&api, &to_2014()).await?;
    let why = seen["meters"][0]["obstacle"].as_str().context("an obstacle")?;
    ensure!(why.contains("under way") && seen["meters"][1]["obstacle"].is_null(), "{seen}");
    let asked = api.keyed(PATH, "r-2", to_2014()).await?;
    let orders = asked.body["orders"].as_array().context("orders")?;
    ensure!(orders.len() == 1 && orders[0]["meter_id"] == other, "{asked:?}");
    program.kill().await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_step_each_meter_has_one_change() -> Result<()> {
    let (site, program) = site().await?;
    second(&site.api(&program), &program).await?;
    program.kill().await?;
    let mut meters = 10;
    for point in ROLLOVER_CRASH_POINTS {
        // Of two meters, the first or the second.
        let passes = if point.ends_with("ordered") { 1..=1 } else { 1..=2 };
        for pass in passes {
            killed_at(&site, &format!("{point}:{pass}"), &mut meters).await?;
        }
    }
    Ok(())
}

async fn killed_at(site: &Site, point: &str, meters: &mut u64) -> Result<()> {
    let (mut program, deadly) = Deadly::start(site).await?;
    let api = site.api(&program);
    let mut concerned = Vec::new();
    for _ in 0..2 {
        *meters += 1;
        let (serial, pan) = (format!("K-{meters}"), pan(*meters));
        concerned
            .push((add(&api, &serial, pan, "0.52", 1993).await?, Keypad::new(&origin(pan, 0))));
    }
    let dies = |ended: Result<()>| ended.with_context(|| format!("{point}: it lives"));
    if point.contains("ordered") {
        deadly.kill_at(point)?;
        let _ = api.keyed(PATH, point, to_2014()).await;
        dies(program.ended().await.map(drop))?;
        program.kill().await?;
        program = Program::start(&site.config, None).await?;
    }
    let asked = site.api(&program).keyed(PATH, point, to_2014()).await?;
    ensure!(asked.body["waiting"] == 2, "{point}: {asked:?}");
    let approval = asked.body["approval_id"].as_str().context("it waits")?.to_owned();
    let agreeing = e2e::keypad::as_second(&program).await?;
    if point.contains("ordered") {
        agree(&agreeing, &approval).await?;
    } else {
        deadly.kill_at(point)?;
        let _ = agree(&agreeing, &approval).await;
        dies(program.ended().await.map(drop))?;
        program.kill().await?;
        program = Program::start(&site.config, None).await?;
    }
    let api = site.api(&program);
    let made = api.keyed(PATH, point, to_2014()).await?;
    ensure!(made.body["issued"] == 2, "killed at {point}: {made:?}");
    for (meter_id, keypad) in &mut concerned {
        typed_in(&api, &made.body, meter_id, keypad).await.with_context(|| point.to_owned())?;
        let listed = api.get(&format!("/api/v1/meters/{meter_id}/token-orders")).await?;
        let listed = listed["items"].as_array().context("items")?;
        let changes = listed.iter().filter(|it| it["kind"] == "key-change").count();
        ensure!(changes == 1, "killed at {point}: {listed:?}");
    }
    program.kill().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_rolls_over_too() -> Result<()> {
    let (site, program) = site().await?;
    add(&site.api(&program), "K-1", PANS[0], "0.52", 1993).await?;
    program.kill().await?;
    let config = site.config.display().to_string();
    let id = fresh();
    for (words, code, told) in [
        (vec!["--to-base", "2014", "--dry-run"], 0, "1 of 1 meters can be moved"),
        (vec!["--to-base", "2014", "--key-revision", "2", "--dry-run"], 0, "vending-123456-2"),
        (vec!["--to-base", "2014"], 2, "--reason"),
        (vec!["--to-base", "2014", "--reason", "x", "--id", &id], 0, "waits for a second person"),
        (vec!["--to-base", "2014", "--reason", "x", "--id", &id], 0, "meter K-1: waiting"),
        (vec!["--to-base", "2035", "--reason", "x", "--id", &id], 1, "other content"),
    ] {
        let words = ["--config", &config, "token", "rollover"].into_iter().chain(words);
        let ended = run(words.clone()).await?;
        let (out, err) = (&ended.stdout, &ended.stderr);
        let said = format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err));
        ensure!(ended.status.code() == Some(code) && said.contains(told), "{told}: {said}");
    }
    Ok(())
}
