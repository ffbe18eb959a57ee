//! Maintenance cards by the real program on a real pcscd, and the meter at the customer's that they are put
//! into: what each says, who has to agree, what comes home, and that keys change.
//!
//! Without a pcscd each says that it did not run. Not here: layouts and pulled cards (the driver's tests).

use anyhow::{Context, Result, ensure};
use e2e::card_counter::{CUSTOMER, CardCounter, DEVICE, METER, acme_meter, blank, pull};
use e2e::{Api, PASSWORD, Program};
use meter_sim::card::{AcmeMeter, Card, CardError, Shown, Stage};
use reqwest::Method;
use serde_json::{Value, json};
use virtual_reader::Slot;

impl Made<'_> {
    /// Makes a card by a command, and puts it into the meter.
    async fn card(&mut self, purpose: &str, set: &[&str]) -> Result<Shown> {
        self.number += 1;
        let card = blank(self.number);
        let lies = self.counter.put_in(&card).await?;
        let mut words = vec!["make", purpose, "ACME", "--reason", "a test"];
        for it in set {
            words.extend(["--set", *it]);
        }
        let says = format!("the card in counter-1 is a {purpose} card now");
        self.counter.said(&words, 0, &[&says]).await?;
        pull(lies).await;
        self.last = card;
        Ok(self.meter.insert(&self.last))
    }
}

/// Cards, each of a number of its own, and the meter.
struct Made<'a> {
    counter: &'a CardCounter,
    meter: AcmeMeter,
    number: u8,
    last: Card,
}

#[tokio::test]
async fn each_maintenance_card_does_in_the_meter_what_it_says() -> Result<()> {
    let Some(slot) = Slot::take() else { return Ok(()) };
    let counter = CardCounter::new(slot, "").await?;
    let mut made = Made { counter: &counter, meter: acme_meter(0x77), number: 10, last: blank(10) };
    // An account with 50.00.
    let customers = blank(1);
    let lies = counter.put_in(&customers).await?;
    counter.said(&["open", METER, CUSTOMER], 0, &[]).await?;
    pull(lies).await;
    made.meter.insert(&customers);
    let lies = counter.put_in(&customers).await?;
    counter.said(&["sell", "50.00"], 0, &["confirmed"]).await?;

    // Said before a card is touched.
    for (words, code, says) in [
        (["make", "price", "SGCPU"], 2, "card-sg-cpu makes no price cards; it makes setting"),
        (["make", "user", "ACME"], 2, "user is no maintenance card"),
        (["make", "colour", "ACME"], 2, "there are no colour cards"),
        (["make", "price", "NONE"], 2, "no enabled driver"),
    ] {
        counter.said(&[&words[..], &["--reason", "x"]].concat(), code, &[says]).await?;
    }
    let elsewhere = ["make", "test", "ACME", "--set", "area=south", "--reason", "x"];
    counter.said(&elsewhere, 1, &["area", "goes onto area cards, not onto this one"]).await?;
    let customers_own = ["make", "test", "ACME", "--reason", "x"];
    counter.said(&customers_own, 3, &["the card is not blank"]).await?;
    pull(lies).await;
    let credited = Shown::Credited { amount_fen: 5_000 };
    ensure!(made.meter.insert(&customers) == credited, "{:?}", made.meter);

    let prices = ["price-flat=0.8", "price-valley=0.3125"];
    ensure!(made.card("price", &prices).await? == Shown::Priced);
    ensure!(made.meter.prices == [5_000, 5_000, 8_000, 3_125], "{:?}", made.meter.prices);
    made.meter.use_energy(2, 10_000);
    ensure!(made.meter.purse.balance_fen() == 4_200);
    ensure!(made.card("test", &[]).await? == Shown::Tested);

    // Brought home: shown, and a reading of the meter it was in last.
    ensure!(made.card("check", &[]).await? == Shown::Checked);
    let lies = counter.put_in(&made.last).await?;
    let read = counter.read().await?;
    let back = &read["card"]["written_back"];
    ensure!((&back["count"], &back["balance"]["amount"]) == (&json!(1), &json!(4_200)), "{read}");
    ensure!(back["extras"]["of device"] == DEVICE, "{read}");
    counter.said(&["check"], 0, &["check card", "the meter has taken purchase 1"]).await?;
    pull(lies).await;

    // Another region, then its key.
    ensure!(made.card("area", &["area=south"]).await? == Shown::Moved);
    ensure!(made.meter.insert(&customers) == Shown::Error(CardError::Region));
    made.meter.region = None;
    counter.vault(&["rotate", "ACME", "card-data", "--generate"]).await?;
    ensure!(made.card("key-change", &["key-from=1", "key-to=2"]).await? == Shown::KeyChanged);
    ensure!(made.meter.insert(&customers) == Shown::Error(CardError::Mac), "an old card");
    let new = blank(2);
    let lies = counter.put_in(&new).await?;
    counter.said(&["replace", METER, "--reason", "new keys"], 0, &[]).await?;
    pull(lies).await;
    ensure!(made.meter.insert(&new) == Shown::Known, "{:?}", made.meter);
    let lies = counter.put_in(&new).await?;
    counter.said(&["sell", "10.00"], 0, &["confirmed"]).await?;
    pull(lies).await;
    ensure!(made.meter.insert(&new) == Shown::Credited { amount_fen: 1_000 }, "{:?}", made.meter);

    ensure!(made.card("clear", &[]).await? == Shown::Cleared);
    made.meter.purse.stage = Stage::Trial;
    ensure!(made.card("reset", &[]).await? == Shown::End);

    let program = counter.serve().await?;
    let api = counter.site.api(&program);
    let meters = api.get(&format!("/api/v1/meters?query={METER}")).await?;
    let id = meters["items"][0]["meter_id"].as_str().context("an id")?;
    let readings = api.get(&format!("/api/v1/meters/{id}/readings")).await?;
    let readings = readings["items"].as_array().context("readings")?.clone();
    // The one that the check card brought home, not those of the customer's card.
    let left = |it: &Value| {
        let of_check_card = it["extras"]["of device"] == DEVICE;
        of_check_card && it["measurements"][0]["value"].as_f64() == Some(42.0)
    };
    ensure!(readings.iter().any(left), "{readings:?}");
    let cards = api.get("/api/v1/maintenance-cards").await?;
    let cards = cards["items"].as_array().context("cards")?;
    let states: Vec<&str> = cards.iter().filter_map(|it| it["state"].as_str()).collect();
    ensure!(states.iter().filter(|it| **it == "made").count() == 7, "{states:?}");
    // The customer's own card was in the reader.
    ensure!(states.iter().filter(|it| **it == "not-made").count() == 1, "{states:?}");
    program.kill().await
}

async fn second(api: &Api, program: &Program) -> Result<Api> {
    let new = json!({ "name": "berta", "password": PASSWORD, "rights": ["approve", "settings"] });
    api.post("/api/v1/operators", new).await?;
    let session = Api::log_in(&program.url, "berta", PASSWORD).await?;
    let token = session.body["token"].as_str().context("a token")?;
    Ok(Api::new(&program.url, token))
}

/// A clear card: asked for, agreed to by another, made once, of a blank card that comes then.
#[tokio::test]
async fn a_card_that_takes_money_away_takes_two_people() -> Result<()> {
    let Some(slot) = Slot::take() else { return Ok(()) };
    let counter = CardCounter::new(slot, "[approval]\nclear = \"0.00\"\n").await?;
    let says = "waits for a second person; then: polymeter card make-agreed";
    let lies = counter.put_in(&blank(9)).await?;
    counter.said(&["make", "clear", "ACME", "--reason", "x"], 0, &[says]).await?;
    pull(lies).await;
    let program = counter.serve().await?;
    let api = counter.site.api(&program);
    let second = second(&api, &program).await?;
    let path = "/api/v1/readers/counter-1/maintenance-cards";
    let asked = |purpose: &str| json!({ "vendor": "ACME", "purpose": purpose, "reason": "the shop moved out" });
    let lies = counter.put_in(&blank(1)).await?;
    for purpose in ["clear", "reset"] {
        let waits = api.ask(Method::POST, path, Some(asked(purpose))).await?;
        ensure!((waits.status.as_u16(), &waits.body["state"]) == (202, &json!("waiting")));
        let id = waits.body["maintenance_card_id"].as_str().context("an id")?;
        let approval = waits.body["approval_id"].as_str().context("it waits")?;
        let mine = format!("/api/v1/maintenance-cards/{id}");
        let in_reader = json!({ "reader": "counter-1" });
        let making = format!("{mine}/making");
        let early = api.ask(Method::POST, &making, Some(in_reader.clone())).await?;
        ensure!((early.status.as_u16(), early.code()) == (409, "out-of-order"), "{early:?}");
        let agree = json!({ "approved": true, "reason": "seen" });
        let decision = format!("/api/v1/approvals/{approval}/decision");
        let own = api.ask(Method::POST, &decision, Some(agree.clone())).await?;
        ensure!(own.code() == "second-person", "{own:?}");
        second.post(&decision, agree).await?;
        ensure!(api.get(&mine).await?["state"] == "approved");
        let page = api.text(&format!("/maintenance-cards/{id}")).await?;
        ensure!(page.contains("Waits for a blank card"), "{page}");
        if purpose == "reset" {
            let away = json!({ "reason": "not needed" });
            let ended = api.post(&format!("{mine}/withdrawal"), away).await?;
            ensure!(ended["state"] == "withdrawn", "{ended}");
            let late = api.ask(Method::POST, &making, Some(in_reader)).await?;
            ensure!(late.code() == "out-of-order", "{late:?}");
            continue;
        }
        let made = api.post(&making, in_reader.clone()).await?;
        ensure!(made["state"] == "made", "{made}");
        let twice = api.ask(Method::POST, &making, Some(in_reader)).await?;
        ensure!((twice.status.as_u16(), twice.code()) == (409, "out-of-order"), "{twice:?}");
    }
    // No card that could be made of what lies there now; what was agreed to waits for another.
    let waits = api.ask(Method::POST, path, Some(asked("clear"))).await?;
    let id = waits.body["maintenance_card_id"].as_str().context("an id")?;
    let decision = waits.body["approval_id"].as_str().context("it waits")?;
    let agree = json!({ "approved": true, "reason": "seen" });
    second.post(&format!("/api/v1/approvals/{decision}/decision"), agree).await?;
    let making = format!("/api/v1/maintenance-cards/{id}/making");
    let in_reader = json!({ "reader": "counter-1" });
    let reset = json!({ "vendor": "ACME", "purpose": "test", "reason": "x" });
    let other = api.ask(Method::POST, path, Some(reset)).await?;
    ensure!(other.code() == "device-refused", "{other:?}");
    pull(lies).await;
    let gone = api.ask(Method::POST, &making, Some(in_reader.clone())).await?;
    ensure!(gone.status.as_u16() == 503, "{gone:?}");
    let card = blank(3);
    let lies = counter.put_in(&card).await?;
    ensure!(api.post(&making, in_reader).await?["state"] == "made");
    pull(lies).await;
    let mut meter = acme_meter(0x77);
    meter.purse.money_fen = 700;
    ensure!(meter.insert(&card) == Shown::Cleared && meter.purse.money_fen == 0);
    let trail = api.get("/api/v1/audit").await?.to_string();
    for act in ["card-making-asked", "card-making-begun", "card-made", "card-given-up"] {
        ensure!(trail.contains(act), "{act}: {trail}");
    }
    program.kill().await
}
