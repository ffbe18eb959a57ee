//! A serial card reader at the counter, with the real program, LUNA's driver as it is shipped and a
//! simulated reader on a port: cards are sold to, pulled at each exchange, and the cable with them, and
//! what the books say is what the meter got.
//!
//! Not here: the bytes on the port (host/transport/tests), cards without books (card_vendors).

use anyhow::{Context, Result, bail, ensure};
use e2e::{Api, Program, Site, driver_entry, run, write_private};
use meter_sim::Endpoint;
use meter_sim::card::{
    Card, CardFault, CardFaultKind, Chip, LunaMeter, ReaderFault, ReaderFaultKind, SerialReader,
    Stage, luna,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use uuid::Uuid;

const DEVICE: [u8; 6] = [0, 0, 0, 0, 0, 0x77];
const DEVICE_TEXT: &str = "000000000077";
const KEY: &str = "6F6E206E6F207265616C20636172642E";
/// Longer than a reader needs to be found again, and a sale to be settled.
const PATIENCE: Duration = Duration::from_secs(60);
/// Each sale's, in 0.01 yuan.
const PAID_FEN: u64 = 500;

/// The program, the reader at its counter, and the customer's card and meter.
struct Counter {
    site: Site,
    program: Program,
    api: Api,
    reader: SerialReader,
    card: Card,
    meter: LunaMeter,
    meter_id: String,
    /// By the answers to our sales.
    sold_fen: u64,
}

impl Counter {
    /// With an open account, whose card has been in the meter once.
    async fn open() -> Result<Counter> {
        let reader = SerialReader::tcp(0)?;
        let Endpoint::Tcp(address) = reader.endpoint() else { bail!("it is on a port") };
        let more = format!(
            "[[reader]]\nname = \"desk-1\"\nport = \"tcp:{address}\"\n{}",
            driver_entry(&("card-m1-luna", "LUNA", r#"["card-slot", "vault", "log"]"#))?
        );
        let (site, program) = Site::with_more(&more, &[]).await?;
        let file = site.folder.path().join("luna.key");
        write_private(&file, KEY)?;
        let (config, file) = (site.config.display().to_string(), file.display().to_string());
        for label in ["card-read", "card-write", "card-data"] {
            let add = ["vault", "add", "LUNA", label, "--kind", "hmac", "--from", &file];
            let ended = run(["--config", &config].into_iter().chain(add)).await?;
            ensure!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        }
        let api = site.api(&program);
        let plan = json!({ "name": "Flat", "definition": "unit kWh\nprice 0.52\n" });
        let plan = api.post("/api/v1/tariffs", plan).await?;
        let meter = json!({
            "serial_number": "L-1", "vendor": "LUNA", "line": "", "address": DEVICE_TEXT,
            "tariff": { "tariff_plan_id": plan["tariff_plan_id"] },
        });
        let meter = api.post("/api/v1/meters", meter).await?;
        let meter_id = meter["meter_id"].as_str().context("an id")?.to_owned();
        let customer =
            json!({ "number": "77", "name": "Somebody", "phone": "", "premises": "Mall 2" });
        let customer = api.post("/api/v1/customers", customer).await?;
        let blank = luna::blank([0xA0, 0, 0, 1]);
        let card = Card::new(Chip::MifareClassic(Box::new(blank)));
        let keys = || {
            hex_key().map(|key| luna::LunaKeys { read: key.clone(), write: key.clone(), data: key })
        };
        let mut meter = LunaMeter::new(DEVICE, keys()?);
        meter.purse.stage = Stage::Cleared;
        let mut counter =
            Counter { site, program, api, reader, card, meter, meter_id, sold_fen: 0 };
        counter.put("blank", |it| it["vendors"] == json!(["LUNA"])).await?;
        let account = json!({ "customer_id": customer["customer_id"] });
        let path = format!("/api/v1/meters/{}/account", counter.meter_id);
        counter.api.post(&path, account).await?;
        counter.goes_home().await?;
        Ok(counter)
    }

    /// Lays the card onto the reader, and waits until the program sees it so.
    async fn put(&self, state: &str, is_it: impl Fn(&Value) -> bool) -> Result<Value> {
        self.reader.put(&self.card);
        self.until(state, is_it).await
    }

    async fn until(&self, state: &str, is_it: impl Fn(&Value) -> bool) -> Result<Value> {
        let begun = Instant::now();
        loop {
            let readers = self.api.get("/api/v1/readers").await?;
            let seen = &readers["items"][0];
            if seen["state"] == state && is_it(seen) {
                return Ok(seen.clone());
            }
            ensure!(begun.elapsed() < PATIENCE, "the reader shows {seen}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn until_sellable(&self) -> Result<Value> {
        self.put("known", |it| it["card"]["verdict"] == "sellable").await
    }

    /// The card goes home, into the meter, and has been there.
    async fn goes_home(&mut self) -> Result<()> {
        self.reader.pull();
        self.until("empty", |_| true).await?;
        self.meter.insert(&self.card);
        Ok(())
    }

    /// Sells, and waits until the sale has ended with the card on the reader again. Then the card goes
    /// to the meter, which must have got what was sold, and the books must say so.
    async fn sell_through(&mut self, fault: impl FnOnce(&Counter)) -> Result<Value> {
        self.until_sellable().await?;
        let sale_id = Uuid::now_v7().to_string();
        fault(self);
        let sold = self.api.sell(&sale_id, &self.meter_id, "5.00").await?;
        let was_cut = !self.reader.has_card() || sold.body["state"] != "confirmed";
        self.card.clear_faults();
        self.reader.clear_faults();
        self.reader.plug();
        if was_cut {
            self.reader.put(&self.card);
        }
        let ended = self.settled(&sale_id).await?;
        match ended.as_str() {
            Some("confirmed") => self.sold_fen += PAID_FEN,
            // No money was taken, or it was given back.
            None | Some("refused" | "cancelled") => {}
            Some(other) => bail!("the sale ended as {other}"),
        }
        self.goes_home().await?;
        let (credited, sold) = (self.meter.purse.credited_fen, self.sold_fen);
        ensure!(credited == sold, "sold {sold}, credited {:?}", self.meter.purse);
        let balance = self.api.get("/api/v1/ledger/trial-balance").await?;
        let name = format!("meter-credit/{}", self.meter_id);
        let lines = balance["lines"].as_array().context("lines")?;
        let booked = lines.iter().find(|line| line["account"] == name.as_str());
        let posted = booked.map_or("0.00", |line| line["credits_posted"].as_str().unwrap_or(""));
        ensure!(posted == format!("{}.{:02}", sold / 100, sold % 100), "{sold}: {booked:?}");
        Ok(if was_cut { json!({ "cut": ended }) } else { ended })
    }

    /// The state in which a sale ended; null: there never was one.
    async fn settled(&self, sale_id: &str) -> Result<Value> {
        let (begun, path) = (Instant::now(), format!("/api/v1/sales/{sale_id}"));
        loop {
            let sale = self.api.ask(Method::GET, &path, None).await?;
            if sale.status == StatusCode::NOT_FOUND {
                return Ok(Value::Null);
            }
            if sale.body["settled"] == true {
                return Ok(sale.body["state"].clone());
            }
            ensure!(begun.elapsed() < PATIENCE, "the sale is not settled: {}", sale.body);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn hex_key() -> Result<Vec<u8>> {
    let byte = |at: usize| Ok(u8::from_str_radix(KEY.get(at..at + 2).context("two digits")?, 16)?);
    (0..KEY.len()).step_by(2).map(byte).collect()
}

/// Pulls the card at every third command from `first` on, each time in the way of `kind`; at how many.
async fn pulled(first: usize, kind: CardFaultKind) -> Result<usize> {
    let mut counter = Counter::open().await?;
    for at in (first..).step_by(3) {
        let fault = CardFault { at: u64::try_from(at)?, kind };
        let ended = counter.sell_through(|counter| counter.card.fault(fault)).await;
        let ended = ended.with_context(|| format!("{kind:?} at command {at}"))?;
        if ended == "confirmed" {
            counter.program.kill().await?;
            return Ok((at - first) / 3);
        }
    }
    bail!("no sale went through")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_pulled_at_each_exchange_of_a_sale_loses_and_doubles_nothing() -> Result<()> {
    let begun = Instant::now();
    // Three counters at once: most of the time goes by while a reader is between two looks.
    let cuts = tokio::try_join!(
        pulled(1, CardFaultKind::PulledBefore),
        pulled(2, CardFaultKind::PulledWithin { bytes: 3 }),
        pulled(3, CardFaultKind::PulledAfter),
    )?;
    let cuts = cuts.0 + cuts.1 + cuts.2;
    let took_s = begun.elapsed().as_secs();
    println!("serial reader: {cuts} cut points in {took_s} s, 0 lost, 0 doubled");
    ensure!(cuts > 100, "a sale on a card is more than {cuts} commands");
    Ok(())
}

/// The cable goes at some orders of a sale, and the reader says that it did not take others.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_fails_in_a_sale_loses_and_doubles_nothing() -> Result<()> {
    let mut counter = Counter::open().await?;
    let mut ends = Vec::new();
    for at in (4..170).step_by(13) {
        let kind = match at % 4 {
            0 => ReaderFaultKind::Unplugged { done: true },
            1 => ReaderFaultKind::Unplugged { done: false },
            2 => ReaderFaultKind::Unheard,
            _ => ReaderFaultKind::Mute { done: true },
        };
        let said = format!("{kind:?} at order {at}");
        let fail = |counter: &Counter| counter.reader.fault(ReaderFault { at, kind });
        let ended = counter.sell_through(fail).await;
        ends.push((ended.with_context(|| said.clone())?, said));
    }
    println!("serial reader: {ends:?}");
    let ended = counter.sell_through(|_| {}).await?;
    ensure!(ended == "confirmed", "{ended}");
    counter.program.kill().await
}

/// A port is one program's: the commands leave it to a running `serve`, and have it where none runs.
#[tokio::test(flavor = "multi_thread")]
async fn the_reader_commands_leave_the_port_to_the_program_that_serves() -> Result<()> {
    let counter = Counter::open().await?;
    let config = counter.site.config.display().to_string();
    let list = async || -> Result<String> {
        let output = run(["--config", &config, "reader", "list"]).await?;
        ensure!(output.status.success(), "{output:?}");
        Ok(String::from_utf8(output.stdout)?)
    };
    let beside = list().await?;
    ensure!(beside == "desk-1: the running `serve` has its port, and shows its card\n", "{beside}");
    counter.until_sellable().await?;
    for page in ["/", "/readers"] {
        counter.api.text(page).await.context(page)?;
    }
    counter.reader.unplug();
    let gone = counter.until("gone", |_| true).await?;
    ensure!(gone["why"].as_str().is_some_and(|why| why.starts_with("its port is down")), "{gone}");
    counter.reader.plug();
    counter.until_sellable().await?;
    counter.program.kill().await?;
    let alone = list().await?;
    let want = "desk-1: mifare-classic, ATR 3B 8F 80 01 80 4F 0C A0 00 00 03 06 03 00 01 00 00 00 \
                00 6A, UID A0 00 00 01, vendor LUNA, driver card-m1-luna 0.1.0, user card\n";
    ensure!(alone == want, "{alone}");
    Ok(())
}
