//! Cards at the counter of the real program, on a real pcscd: a card's life from blank to blank by
//! `polymeter card ...`, each command on what lies in the virtual reader, with the meter at the customer's; and
//! by the API a meter that is swapped and an account that is closed.
//!
//! Without a pcscd it says that it did not run. Not here: the books when a card is pulled (crash),
//! `polymeter reader` (pcsc).

use anyhow::{Context, Result, ensure};
use e2e::Api;
use e2e::card_counter::{CUSTOMER, CardCounter, METER, acme_meter, blank, pull};
use meter_sim::card::Shown;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use virtual_reader::Slot;

#[tokio::test]
async fn a_card_lives_from_blank_to_blank_by_commands() -> Result<()> {
    let Some(slot) = Slot::take() else { return Ok(()) };
    let counter = CardCounter::new(slot, "").await?;
    let mut meter = acme_meter(0x77);
    counter.said(&["check"], 1, &["no reader holds a card"]).await?;

    // Opened: a blank card becomes the meter's.
    let (card, other) = (blank(1), blank(2));
    let lies = counter.put_in(&card).await?;
    let read = counter.read().await?;
    ensure!((&read["reader"], &read["state"]) == (&json!("counter-1"), &json!("blank")), "{read}");
    counter.said(&["check"], 1, &["reader counter-1: it is blank"]).await?;
    counter.said(&["sell", "50.00"], 1, &["it is blank"]).await?;
    counter.said(&["open", METER, "9"], 2, &["no customer has number 9"]).await?;
    counter.said(&["open", METER, CUSTOMER], 0, &["meter C-1 is open for customer 300011"]).await?;
    let read = counter.read().await?;
    let number = &read["card"]["customer_number"];
    ensure!(number.as_str().is_some_and(|it| it.ends_with(CUSTOMER)), "{read}");
    pull(lies).await;
    ensure!(meter.insert(&card) == Shown::Known, "{meter:?}");

    // Sold to, and not twice before the meter has it.
    let lies = counter.put_in(&card).await?;
    counter.said(&["check"], 0, &["sellable: it can be sold to", "has taken purchase 0"]).await?;
    counter
        .said(&["sell", "50.00"], 0, &["50.00 CNY onto the card in counter-1", "confirmed"])
        .await?;
    counter.said(&["check"], 0, &["waiting: its last purchase has not been put"]).await?;
    counter
        .said(&["sell", "20.00"], 1, &["its last purchase has not been put into the meter"])
        .await?;
    pull(lies).await;
    ensure!(meter.insert(&card) == Shown::Credited { amount_fen: 5000 }, "{meter:?}");
    let lies = counter.put_in(&card).await?;
    counter.said(&["check"], 0, &["sellable", "has taken purchase 1"]).await?;
    // Asked twice by one id, it is one sale.
    let again = ["sell", "20.00", "--id", "019e0000-0000-7000-8000-000000000001"];
    for _ in 0..2 {
        counter.said(&again, 0, &["confirmed"]).await?;
    }
    pull(lies).await;

    // Lost on the way home: the next one brings the same purchase, and the lost one nothing.
    let lies = counter.put_in(&other).await?;
    counter.said(&["replace", METER], 2, &["--reason"]).await?;
    let replaced = ["replace", METER, "--reason", "lost"];
    counter.said(&replaced, 0, &["it is the card of meter C-1 now"]).await?;
    pull(lies).await;
    ensure!(meter.insert(&other) == Shown::Credited { amount_fen: 2000 }, "{meter:?}");
    let lies = counter.put_in(&card).await?;
    counter.said(&["check"], 0, &["replaced: another card has taken its place"]).await?;
    counter.said(&["sell", "5.00"], 1, &["another card has taken its place"]).await?;

    // Blank again, then one that sets meters.
    counter.said(&["clear", "--reason", "found"], 0, &["the card in counter-1 is blank"]).await?;
    ensure!(counter.read().await?["state"] == "blank");
    let set = ["set", "ACME", "--set", "alarm=2000", "--reason", "new alarm"];
    let unknown = ["make", "setting", "ACME", "--set", "colour=1", "--reason", "x"];
    counter.said(&unknown, 1, &["`colour` is not known"]).await?;
    counter.said(&set, 0, &["the card in counter-1 is a setting card now"]).await?;
    counter.said(&["check"], 0, &["setting card", "maintenance"]).await?;
    counter.said(&["sell", "5.00"], 1, &["it is a maintenance card"]).await?;
    pull(lies).await;
    ensure!(meter.insert(&card) == Shown::Set && meter.purse.alarm_fen == 2000, "{meter:?}");

    // The card of an open account is not made blank; what the books say is in the meter.
    let lies = counter.put_in(&other).await?;
    counter.said(&["clear", "--reason", "x"], 1, &["the card of an open account"]).await?;
    counter.said(&["check"], 0, &["sellable", "has taken purchase 2"]).await?;
    pull(lies).await;
    let program = counter.serve().await?;
    let api = counter.site.api(&program);
    let meters = api.get(&format!("/api/v1/meters?query={METER}")).await?;
    let id = meters["items"][0]["meter_id"].as_str().context("an id")?;
    let booked = e2e::money::meter_credit(&api, id).await?;
    ensure!(booked == meter.purse.credited_fen && booked == 7000, "{booked}: {meter:?}");
    program.kill().await
}

/// What the running program says that lies in the reader.
async fn in_reader(api: &Api) -> Result<Value> {
    Ok(api.get("/api/v1/readers").await?["items"][0].clone())
}

#[tokio::test]
async fn a_meter_with_a_card_is_swapped_and_its_account_closed() -> Result<()> {
    let Some(slot) = Slot::take() else { return Ok(()) };
    let counter = CardCounter::new(slot, "").await?;
    let program = counter.serve().await?;
    let api = counter.site.api(&program);
    let found = api.get(&format!("/api/v1/meters?query={METER}")).await?;
    let (old_id, plan) = (&found["items"][0]["meter_id"], &found["items"][0]["tariff"]);
    let new = json!({ "serial_number": "C-2", "vendor": "ACME", "address": "000000000078",
        "tariff": { "tariff_plan_id": plan["tariff_plan_id"] } });
    let new_id = api.post("/api/v1/meters", new).await?["meter_id"].clone();
    let customer = api.get(&format!("/api/v1/customers?query={CUSTOMER}")).await?;
    let customer_id = customer["items"][0]["customer_id"].as_str().context("an id")?;
    let (old, new) = (old_id.as_str().context("an id")?, new_id.as_str().context("an id")?);
    let (mut old_meter, mut new_meter) = (acme_meter(0x77), acme_meter(0x78));
    let (card, other) = (blank(1), blank(2));
    let lies = counter.put_in(&card).await?;
    let account = json!({ "customer_id": customer_id });
    api.post(&format!("/api/v1/meters/{old}/account"), account).await?;
    let sold = api.sell("019e0000-0000-7000-8000-000000000002", old, "50.00").await?;
    ensure!(sold.body["state"] == "confirmed", "{sold:?}");
    pull(lies).await;
    old_meter.insert(&card);
    // The customer brings home what is left.
    old_meter.purse.use_up(1234);
    ensure!(old_meter.insert(&card) == Shown::Known, "{old_meter:?}");

    // Swapped: the old card says what is left, and a blank one becomes the new meter's and carries it.
    let lies = counter.put_in(&card).await?;
    let swap = json!({ "old_meter_id": old, "new_meter_id": new, "keyed": { "reading": "100.00" },
        "new_reading": "0.00", "reason": "broken display" });
    let begun = api.keyed("/api/v1/swaps", "swap-1", swap.clone()).await?;
    ensure!(
        begun.code() == "blocked" && begun.body["detail"].to_string().contains("blank"),
        "{begun:?}"
    );
    pull(lies).await;
    let lies = counter.put_in(&other).await?;
    let mut done = api.keyed("/api/v1/swaps", "swap-1", swap).await?.body;
    let path = format!("/api/v1/swaps/{}", done["swap_id"].as_str().context("an id")?);
    for _ in 0..100 {
        if done["is_done"] == true {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        done = api.get(&path).await?;
    }
    ensure!(done["is_done"] == true && done["remaining"] == "37.66", "{done}");
    pull(lies).await;
    ensure!(new_meter.insert(&other) == Shown::Credited { amount_fen: 3766 }, "{new_meter:?}");
    let lies = counter.put_in(&card).await?;
    ensure!(in_reader(&api).await?["card"]["verdict"] == "not-open");
    let clearing = format!("/api/v1/meters/{old}/clearing");
    let gone = json!({ "reason": "its meter is gone" });
    let cleared = api.ask(Method::POST, &clearing, Some(gone)).await?;
    ensure!(cleared.status == StatusCode::NO_CONTENT, "{cleared:?}");
    ensure!(in_reader(&api).await?["state"] == "blank");
    pull(lies).await;

    // Closed: what the card brought home is older than what the display says.
    new_meter.purse.use_up(16);
    new_meter.insert(&other);
    new_meter.purse.use_up(100);
    let lies = counter.put_in(&other).await?;
    let keyed = json!([{ "meter_id": new, "reading": "10.00", "credit": "36.50" }]);
    let closing = json!({ "keyed": keyed, "reason": "moves out" });
    let path = format!("/api/v1/customers/{customer_id}/closing");
    let closed = api.keyed(&path, "close-1", closing).await?.body;
    ensure!(
        (&closed["state"], &closed["refunded"]) == (&json!("settled"), &json!("36.50")),
        "{closed}"
    );
    let meter = &closed["meters"][0];
    ensure!(
        (&meter["told_by"], &meter["state"]) == (&json!("operator"), &json!("kept")),
        "{closed}"
    );
    let clearing = format!("/api/v1/meters/{new}/clearing");
    api.ask(Method::POST, &clearing, Some(json!({ "reason": "moved out" }))).await?;
    ensure!(in_reader(&api).await?["state"] == "blank");
    let balance = api.get("/api/v1/ledger/trial-balance").await?;
    for line in balance["lines"].as_array().context("lines")? {
        let of_meter = line["account"].as_str().is_some_and(|it| it.starts_with("meter-credit/"));
        ensure!(!of_meter || line["debits_posted"] == line["credits_posted"], "{line}");
    }
    pull(lies).await;
    program.kill().await
}
