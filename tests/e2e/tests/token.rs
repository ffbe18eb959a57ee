//! Tokens through the real program, typed into a simulated keypad meter that was written from the standard:
//! each is taken once, the meter's credit is what was sold, keys change, numbers begin anew, and a
//! program that is killed anywhere makes one token.

use anyhow::{Context, Result, ensure};
use e2e::keypad::{Deadly, PANS, add, origin, second, site};
use e2e::money::meter_credit;
use e2e::{Answer, Api, Program, Site, run};
use meter_sim::{Keypad, Shown};
use polymeter_service::{ORDER_CRASH_POINTS, TOKEN_CRASH_POINTS};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

/// More than a delivery takes to begin again after a start.
const PATIENCE: Duration = Duration::from_secs(60);

fn fresh() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// The one token of a sale.
fn token(sale: &Value) -> Result<String> {
    ensure!(sale["state"] == "confirmed", "{sale}");
    let tokens = sale["token"]["tokens"].as_array().with_context(|| format!("{sale}"))?;
    ensure!(tokens.len() == 1, "{sale}");
    let token = tokens[0].as_str().context("digits")?.to_owned();
    ensure!(token.len() == 24 && token.split(' ').all(|group| group.len() == 4), "{token}");
    Ok(token)
}

async fn order(api: &Api, id: &str, body: &Value) -> Result<Answer> {
    let path = format!("/api/v1/token-orders/{id}");
    api.ask(Method::PUT, &path, Some(body.clone())).await
}

fn tokens(order: &Value) -> Result<Vec<String>> {
    ensure!(order["state"] == "issued", "{order}");
    let tokens = order["tokens"].as_array().context("tokens")?.iter();
    tokens.map(|it| Ok(it.as_str().context("digits")?.to_owned())).collect()
}

/// A risky order waits for another operator, who agrees; its tokens.
async fn agreed(api: &Api, second: &Api, body: &Value) -> Result<Vec<String>> {
    let id = fresh();
    let waits = order(api, &id, body).await?;
    ensure!((waits.status, &waits.body["state"]) == (StatusCode::ACCEPTED, &json!("waiting")));
    let approval = waits.body["approval_id"].as_str().context("it waits")?;
    let decision = format!("/api/v1/approvals/{approval}/decision");
    let agree = json!({ "approved": true, "reason": "seen" });
    let own = api.ask(Method::POST, &decision, Some(agree.clone())).await?;
    ensure!(own.status == StatusCode::FORBIDDEN, "{own:?}");
    second.post(&decision, agree).await?;
    let issued = order(api, &id, body).await?;
    ensure!(issued.status == StatusCode::OK, "{issued:?}");
    tokens(&issued.body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_bought_typed_in_once_and_worth_what_the_ledger_says() -> Result<()> {
    let (site, program) = site().await?;
    let api = site.api(&program);
    let meter_id = add(&api, "K-1", PANS[0], "0.52", 2014).await?;
    let mut keypad = Keypad::new(&origin(PANS[0], 0));

    let sale_id = fresh();
    let sold = api.sell(&sale_id, &meter_id, "50.00").await?;
    let digits = token(&sold.body)?;
    // 96.153 kWh, and what a token carries is not less.
    let credit = json!({ "quantity": "energy", "amount": 96_200 });
    ensure!(sold.body["token"]["credit"] == credit, "{sold:?}");
    ensure!(token(&api.sell(&sale_id, &meter_id, "50.00").await?.body)? == digits);
    ensure!(keypad.type_in(&digits) == Shown::Added(962));
    ensure!(keypad.type_in(&digits) == Shown::Used);

    // Within the same minute: another number, another token.
    let other = api.sell(&fresh(), &meter_id, "10.40").await?;
    ensure!(keypad.type_in(&token(&other.body)?) == Shown::Added(200));
    let numbers = [&sold, &other].map(|it| it.body["receipt"]["count"].as_u64());
    ensure!(numbers[0] < numbers[1], "{numbers:?}");
    let listed = api.get(&format!("/api/v1/meters/{meter_id}/token-orders")).await?;
    let listed = listed["items"].as_array().context("items")?;
    let sum: u64 = listed.iter().filter_map(|it| it["credit"]["amount"].as_u64()).sum();
    ensure!(listed.len() == 2 && sum == keypad.credit * 100, "{listed:?}");
    ensure!(meter_credit(&api, &meter_id).await? == 6040);

    on_paper(&api, &sold.body, &digits).await?;
    taken_back_by_a_person(&api, &meter_id).await?;
    tests_itself(&api, &meter_id, &mut keypad).await?;
    what_cannot_be(&api, &meter_id).await?;
    program.kill().await
}

async fn on_paper(api: &Api, sale: &Value, digits: &str) -> Result<()> {
    let number = sale["receipt_number"].as_u64().context("a receipt")?;
    for copy in [0, 1] {
        api.post(&format!("/api/v1/receipts/{number}/prints"), json!({})).await?;
        let paper = api.text(&format!("/receipts/{number}/prints/{copy}")).await?;
        ensure!(paper.contains(digits), "{paper}");
        ensure!(paper.contains("COPY") == (copy == 1), "{paper}");
    }
    let sale_id = sale["sale_id"].as_str().context("an id")?;
    let page = api.text(&format!("/sales/{sale_id}")).await?;
    ensure!(page.contains(digits) && page.contains("The token is made"), "{page}");
    ensure!(!page.contains("The meter has taken"), "nobody has typed it in");
    let meter_id = sale["meter_id"].as_str().context("an id")?;
    ensure!(api.text(&format!("/meters/{meter_id}")).await?.contains("token"));
    let trail = api.get("/api/v1/audit").await?;
    let bare = digits.replace(' ', "");
    ensure!(!trail.to_string().contains(digits) && !trail.to_string().contains(&bare));
    Ok(())
}

/// Whoever has a token can type it in at any time: no device and no timer decides a refund of it.
async fn taken_back_by_a_person(api: &Api, meter_id: &str) -> Result<()> {
    let sold = api.sell(&fresh(), meter_id, "5.20").await?;
    let act = json!({ "kind": "refund", "sale_id": sold.body["sale_id"], "reason": "lost" });
    let asked = api.keyed("/api/v1/counter-acts", &fresh(), act).await?;
    ensure!(asked.body["state"] == "unresolved", "{asked:?}");
    let id = asked.body["counter_act_id"].as_str().context("an id")?;
    let blocked = api.sell(&fresh(), meter_id, "5.20").await?;
    ensure!(blocked.status == StatusCode::CONFLICT, "{blocked:?}");
    let found = json!({ "held": true, "reason": "the meter shows it" });
    let decided = api.post(&format!("/api/v1/counter-acts/{id}/decision"), found).await?;
    ensure!(decided["state"] == "refused", "{decided}");
    Ok(())
}

/// Which stands in no list of the meter's tokens.
async fn tests_itself(api: &Api, meter_id: &str, keypad: &mut Keypad) -> Result<()> {
    let listed = format!("/api/v1/meters/{meter_id}/token-orders");
    let before = api.get(&listed).await?;
    let path = format!("/api/v1/meters/{meter_id}/test-token");
    for (number, bits) in [(0, 0x000F_FFFF_FFFF), (4, 8)] {
        let made = api.get(&format!("{path}?number={number}")).await?;
        let digits = made["tokens"][0].as_str().context("digits")?;
        ensure!(keypad.type_in(digits) == Shown::Tests(bits), "{number}: {made}");
    }
    for number in ["37", "64", "65", "18446744073709551615"] {
        let refused = api.ask(Method::GET, &format!("{path}?number={number}"), None).await?;
        ensure!(refused.code() == "invalid-field", "{number}: {refused:?}");
    }
    ensure!(api.get(&listed).await? == before);
    let body = json!({ "meter_id": meter_id, "kind": "test", "value": 8, "reason": "x" });
    ensure!(order(api, &fresh(), &body).await?.code() == "invalid-field");
    Ok(())
}

async fn what_cannot_be(api: &Api, meter_id: &str) -> Result<()> {
    let body = json!({ "meter_id": meter_id, "kind": "max-power", "value": 3_000_000_000_u64,
        "reason": "x" });
    let refused = order(api, &fresh(), &body).await?;
    ensure!(
        (refused.status, refused.code()) == (StatusCode::UNPROCESSABLE_ENTITY, "invalid-field")
    );
    for (kind, value) in [("clear-tamper", 1), ("clear-tamper", u64::MAX), ("tariff-rate", 1 << 40)]
    {
        let body = json!({ "meter_id": meter_id, "kind": kind, "value": value, "reason": "x" });
        ensure!(order(api, &fresh(), &body).await?.code() == "invalid-field", "{body}");
    }
    let body = json!({ "meter_id": meter_id, "kind": "credit", "reason": "x" });
    ensure!(order(api, &fresh(), &body).await?.code() == "invalid-field");
    let path = format!("/api/v1/meters/{meter_id}/parameters");
    let given = json!({ "parameters": { "supply-group": "654321" } });
    let kept = api.ask(Method::PUT, &path, Some(given)).await?;
    ensure!(kept.status == StatusCode::CONFLICT, "{kept:?}");
    // More than a token carries is refused before any money moves.
    let cheap = add(api, "K-2", PANS[1], "0.01", 2014).await?;
    let refused = api.sell(&fresh(), &cheap, "50000.00").await?;
    ensure!((refused.status, refused.code()) == (StatusCode::UNPROCESSABLE_ENTITY, "bad-amount"));
    let balance = api.get("/api/v1/ledger/trial-balance").await?;
    ensure!(!balance.to_string().contains(&format!("meter-credit/{cheap}")), "{balance}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_obey_two_people_keys_change_and_numbers_begin_anew() -> Result<()> {
    let (site, program) = site().await?;
    let api = site.api(&program);
    let second = second(&api, &program).await?;
    let meter_id = add(&api, "K-1", PANS[0], "0.52", 2014).await?;
    let mut keypad = Keypad::new(&origin(PANS[0], 0));
    let about = |kind: &str| json!({ "meter_id": meter_id, "kind": kind, "reason": "as agreed" });

    let mut body = about("max-power");
    body["value"] = json!(6_000);
    let id = fresh();
    let made = order(&api, &id, &body).await?;
    let power = tokens(&made.body)?;
    ensure!(keypad.type_in(&power[0]) == Shown::Done && keypad.max_power == 6_000);
    ensure!(tokens(&order(&api, &id, &body).await?.body)? == power, "the same digits");
    body["value"] = json!(7_000);
    ensure!(order(&api, &id, &body).await?.code() == "differs");

    let before = token(&api.sell(&fresh(), &meter_id, "52.00").await?.body)?;
    ensure!(keypad.type_in(&before) == Shown::Added(1_000));
    let mut body = about("clear-credit");
    body["value"] = json!(65_535);
    let clear = agreed(&api, &second, &body).await?;
    ensure!(keypad.type_in(&clear[0]) == Shown::Done && keypad.credit == 0);

    let unused = token(&api.sell(&fresh(), &meter_id, "5.20").await?.body)?;
    let mut body = about("key-change");
    body["change"] = json!({ "supply-group": "654321", "key-revision": 2 });
    let change = agreed(&api, &second, &body).await?;
    ensure!(change.len() == 2, "{change:?}");
    let meter = api.get(&format!("/api/v1/meters/{meter_id}")).await?;
    ensure!(meter["parameters"]["supply-group"] == "654321", "{meter}");
    let after = token(&api.sell(&fresh(), &meter_id, "5.20").await?.body)?;
    ensure!(keypad.type_in(&after) == Shown::Rejected, "its key is still the old one");
    ensure!(keypad.type_in(&change[1]) == Shown::Part);
    ensure!(keypad.type_in(&change[0]) == Shown::Done);
    ensure!(keypad.type_in(&unused) == Shown::Rejected, "made with the old key");
    ensure!(keypad.type_in(&after) == Shown::Added(100));

    rolls_over(&api, &second).await?;
    program.kill().await
}

/// Base date 1993 has run out: nothing is sold until the meter counts from another one.
async fn rolls_over(api: &Api, second: &Api) -> Result<()> {
    let meter_id = add(api, "K-3", PANS[1], "0.52", 1993).await?;
    let refused = api.sell(&fresh(), &meter_id, "5.20").await?;
    ensure!(refused.code() == "bad-amount", "{refused:?}");
    ensure!(refused.body.to_string().contains("later one"), "{refused:?}");
    let mut keypad = Keypad::new(&origin(PANS[1], 0));
    let body = json!({ "meter_id": meter_id, "kind": "key-change", "reason": "TID roll-over",
        "change": { "supply-group": "654321", "key-revision": 2, "base-date": 2014 } });
    for part in agreed(api, second, &body).await? {
        ensure!(matches!(keypad.type_in(&part), Shown::Part | Shown::Done));
    }
    let sold = api.sell(&fresh(), &meter_id, "5.20").await?;
    ensure!(keypad.type_in(&token(&sold.body)?) == Shown::Added(100));
    Ok(())
}

/// The same sale, asked for until it ends.
async fn until_confirmed(site: &Site, program: &Program, sale: &str, meter: &str) -> Result<Value> {
    let api = site.api(program);
    let asked = async {
        loop {
            let answer = api.sell(sale, meter, "5.20").await?;
            if answer.body["settled"] == true {
                return anyhow::Ok(answer.body);
            }
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.context("it never ended")?
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_step_it_is_one_sale_and_one_token() -> Result<()> {
    let (site, program) = site().await?;
    let meter_id = add(&site.api(&program), "K-1", PANS[0], "0.52", 2014).await?;
    let mut keypad = Keypad::new(&origin(PANS[0], 0));
    program.kill().await?;
    // A sale writes three times: reserved, numbered, with its digits.
    let points = TOKEN_CRASH_POINTS.iter().flat_map(|point| {
        let passes = if point.ends_with("commit") { 1..=3 } else { 1..=1 };
        passes.map(move |pass| format!("{point}:{pass}"))
    });
    for (nth, point) in (1_u64..).zip(points) {
        let sale_id = fresh();
        let (mut program, deadly) = Deadly::start(&site).await?;
        deadly.kill_at(&point)?;
        let answer = site.api(&program).sell(&sale_id, &meter_id, "5.20").await;
        program.ended().await.with_context(|| format!("{point}: it lives, {answer:?}"))?;
        program.kill().await?;
        let program = Program::start(&site.config, None).await?;
        let sold = until_confirmed(&site, &program, &sale_id, &meter_id).await?;
        let digits = token(&sold).with_context(|| format!("killed at {point}"))?;
        ensure!(keypad.type_in(&digits) == Shown::Added(100), "killed at {point}");
        ensure!(keypad.type_in(&digits) == Shown::Used, "killed at {point}");
        let api = site.api(&program);
        ensure!(meter_credit(&api, &meter_id).await? == nth * 520, "killed at {point}");
        let listed = api.get(&format!("/api/v1/meters/{meter_id}/token-orders")).await?;
        let listed = listed["items"].as_array().context("items")?;
        ensure!(u64::try_from(listed.len())? == nth, "killed at {point}: {listed:?}");
        program.kill().await?;
    }
    for point in ORDER_CRASH_POINTS {
        let id = fresh();
        let body = json!({ "meter_id": meter_id, "kind": "max-power", "value": 6_000,
            "reason": "x" });
        let (mut program, deadly) = Deadly::start(&site).await?;
        deadly.kill_at(point)?;
        let answer = order(&site.api(&program), &id, &body).await;
        program.ended().await.with_context(|| format!("{point}: it lives, {answer:?}"))?;
        program.kill().await?;
        let program = Program::start(&site.config, None).await?;
        let made = order(&site.api(&program), &id, &body).await?;
        let power = tokens(&made.body).with_context(|| format!("killed at {point}"))?;
        ensure!(keypad.type_in(&power[0]) == Shown::Done, "killed at {point}");
        ensure!(keypad.type_in(&power[0]) == Shown::Used, "killed at {point}");
        program.kill().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_sells_tokens_too() -> Result<()> {
    let (site, program) = site().await?;
    let api = site.api(&program);
    add(&api, "K-1", PANS[0], "0.52", 2014).await?;
    program.kill().await?;
    let mut keypad = Keypad::new(&origin(PANS[0], 0));
    let config = site.config.display().to_string();
    for (words, code, shown) in [
        (vec!["sell", "K-1", "10.40"], 0, Some(Shown::Added(200))),
        (
            vec!["token", "K-1", "max-power", "--value", "6000", "--reason", "x"],
            0,
            Some(Shown::Done),
        ),
        (vec!["token", "K-1", "key-change", "--set", "key-revision=2", "--reason", "x"], 0, None),
        (vec!["token", "K-1", "test", "--value", "4"], 0, Some(Shown::Tests(8))),
        (vec!["token", "K-1", "max-power", "--value", "6000"], 2, None),
        (vec!["token", "K-1", "credit", "--reason", "x"], 2, None),
        (vec!["token", "K-1", "no-such-kind", "--reason", "x"], 2, None),
    ] {
        let ended = run(["--config", &config].into_iter().chain(words.iter().copied())).await?;
        let stdout = String::from_utf8_lossy(&ended.stdout);
        let told = format!("{words:?}: {stdout}{}", String::from_utf8_lossy(&ended.stderr));
        ensure!(ended.status.code() == Some(code), "{told}");
        let digits = stdout.lines().find_map(|line| line.strip_prefix("token: "));
        ensure!(digits.map(|digits| keypad.type_in(digits)) == shown, "{told}");
    }
    Ok(())
}
