//! Hostility in what a driver does when it is called: every row is a driver of its own in one running
//! program, with real drivers and their meters beside it.

use super::Row;
use super::cases::{Asked, CASES, Case, OTHER_ADDRESS, OTHER_REGION, SEND_AT_ONCE};
use super::wild::{LINE, Wild};
use crate::money::{applied, meter_credit, until_settled};
use crate::{Api, METERS, Program, Site};
use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::json;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A short wall time, so that a driver that holds the line does not hold up the gallery; and CPU enough
/// that another limit is met first where one should be, however busy the machine.
/// Quarantine has a row of its own and must end no other.
const LIMITS: &str = "wall-ms = 4000\ncpu-ticks = 100\ntraps = 1000";
/// Everything as it comes.
const QUARANTINED_LIMITS: &str = "wall-ms = 4000";

/// What every account and every sale of the hostile driver sends, once, before it misbehaves.
const QUESTION: &[u8] = b"hostile";
const PAID: &str = "10.00";

fn vendor(number: usize) -> String {
    format!("HOSTILE-{number:03}")
}

/// The running program and what is asked of it.
struct Ground {
    wild: Wild,
    site: Site,
    program: Program,
    api: Api,
    log: PathBuf,
}

pub async fn run() -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let wild = Wild::new(folder.path().to_owned()).await?;
    let quarantined = CASES.len() + 1;
    let mut more = wild.line() + &wild.driver(&vendor(quarantined), "", QUARANTINED_LIMITS)?;
    for (number, case) in CASES.iter().enumerate() {
        let region = if case.act == OTHER_REGION { "south" } else { "" };
        more += &wild.driver(&vendor(number + 1), region, LIMITS)?;
    }
    let regional =
        CASES.iter().position(|case| case.act == OTHER_REGION).context("no such case")?;
    let (site, program) = Site::with_more(&more, &[(&vendor(regional + 1), "north")]).await?;
    let log = site.config.with_extension("log");
    let api = site.api(&program);
    let mut ground = Ground { wild, site, program, api, log };
    let mut rows = Vec::new();
    for (number, case) in CASES.iter().enumerate() {
        let failure = ground.play(number + 1, case).await.err();
        rows.push(Row {
            driver: case.act.to_owned(),
            does: case.does,
            ends: case.ends,
            failure: failure.map(|error| format!("{error:#}")),
        });
    }
    let failure = ground.quarantine(quarantined).await.err();
    rows.push(Row {
        driver: "keeps-trapping".to_owned(),
        does: "panics whenever it reads a meter",
        ends: "after three traps its calls are answered at once without it and a sale is not sent; \
               once it is released that sale is delivered",
        failure: failure.map(|error| format!("{error:#}")),
    });
    Ok(rows)
}

impl Ground {
    /// The row's own meter, the act, and then whether all the rest goes on.
    async fn play(&mut self, number: usize, case: &Case) -> Result<()> {
        let begins = std::fs::metadata(&self.log)?.len();
        self.wild.forget();
        let sells = matches!(case.asked, Asked::Sell(..));
        let meter_id = self.add_meter(number, &case.address(), sells).await?;
        match case.asked {
            Asked::Read(says) => {
                let answer = self.read(&meter_id).await?;
                ensure!(!answer.status.is_success(), "a reading came of it: {}", answer.body);
                ensure!(answer.status.as_u16() != 500, "{}", answer.body);
                self.logged(begins, says)?;
            }
            Asked::ReadAnyway(says) => {
                let answer = self.read(&meter_id).await?;
                ensure!(answer.status.is_success(), "{}", answer.body);
                let body = answer.body.to_string();
                ensure!(
                    body.contains(says) || self.logged(begins, says).is_ok(),
                    "nothing of `{says}` in {body}"
                );
            }
            Asked::Sell(state, says) => {
                let sale = uuid::Uuid::now_v7().to_string();
                let answer = self.api.sell(&sale, &meter_id, PAID).await?;
                ensure!(answer.body["state"] == state, "the sale is {}", answer.body);
                let history = self.api.get(&format!("/api/v1/sales/{sale}")).await?.to_string();
                ensure!(
                    history.contains(says) || self.logged(begins, says).is_ok(),
                    "nothing of `{says}` in {history}"
                );
                // The account's question, and the sale's own: never a second one of a sale in doubt.
                self.asked(if state == "reserved" { 1 } else { 2 }).await?;
                let pending = self.credit(&meter_id, "credits_pending").await?;
                ensure!(pending == PAID, "{pending} is in flight");
            }
        }
        match case.act {
            OTHER_ADDRESS => {
                let heard = self.wild.heard();
                ensure!(heard.ends_with(&[0xB3, 0x16]), "its own line had {heard:02x?}");
            }
            SEND_AT_ONCE => ensure!(self.wild.heard().is_empty(), "bytes left"),
            _ => {}
        }
        let credit = self.credit(&meter_id, "credits_posted").await?;
        ensure!(credit == "0.00", "{credit} was credited");
        self.log_is_clean(begins)?;
        self.neighbours_are_served().await
    }

    async fn add_meter(&self, number: usize, address: &str, sells: bool) -> Result<String> {
        let plan = json!({
            "name": format!("H-{number}-{sells}"), "definition": "unit kWh\nprice 0.52\n",
        });
        let plan = self.api.post("/api/v1/tariffs", plan).await?;
        let new = json!({
            "serial_number": format!("H-{number}-{sells}"), "vendor": vendor(number), "line": LINE,
            "address": address, "tariff": { "tariff_plan_id": plan["tariff_plan_id"] },
        });
        let meter = self.api.post("/api/v1/meters", new).await?;
        let meter_id = meter["meter_id"].as_str().context("no meter_id")?.to_owned();
        if sells {
            let customer = json!({
                "number": format!("9{number:05}"), "name": "Nobody", "phone": "13800000000",
                "premises": "Nowhere",
            });
            let customer = self.api.post("/api/v1/customers", customer).await?;
            let account = json!({ "customer_id": customer["customer_id"] });
            self.api.post(&format!("/api/v1/meters/{meter_id}/account"), account).await?;
        }
        Ok(meter_id)
    }

    async fn read(&self, meter_id: &str) -> Result<crate::Answer> {
        self.api.ask(Method::POST, &format!("/api/v1/meters/{meter_id}/readings"), None).await
    }

    fn since(&self, begins: u64) -> Result<String> {
        let log = std::fs::read(&self.log)?;
        let begins = usize::try_from(begins)?;
        Ok(String::from_utf8_lossy(log.get(begins..).unwrap_or_default()).into_owned())
    }

    fn logged(&self, begins: u64, says: &str) -> Result<()> {
        let log = self.since(begins)?;
        ensure!(log.contains(says), "nothing of `{says}` in the log: {log}");
        Ok(())
    }

    /// No control character of a driver's, no flood, no panic of ours.
    fn log_is_clean(&self, begins: u64) -> Result<()> {
        let log = self.since(begins)?;
        ensure!(!log.contains("\u{1b}[2J") && !log.contains("\nfake"), "a driver wrote {log}");
        ensure!(log.matches("flood-of-lines").count() <= 100, "the log was flooded");
        ensure!(log.len() < 200_000, "{} bytes of log for one call", log.len());
        // A driver's own panic is told as its trap; one of ours names our thread.
        ensure!(!log.contains("\nthread '"), "the program panicked: {log}");
        Ok(())
    }

    /// What the ledger says of the meter's credit in that column.
    async fn credit(&self, meter_id: &str, column: &str) -> Result<String> {
        let balance = self.api.get("/api/v1/ledger/trial-balance").await?;
        ensure!(balance["difference"] == "0.00", "{balance}");
        let name = format!("meter-credit/{meter_id}");
        let lines = balance["lines"].as_array().context("no lines")?;
        let line = lines.iter().find(|line| line["account"] == name.as_str());
        let Some(line) = line else { return Ok("0.00".to_owned()) };
        Ok(line[column].as_str().with_context(|| format!("no {column} in {line}"))?.to_owned())
    }

    /// The far end heard the question that many times, and nothing else.
    async fn asked(&self, times: usize) -> Result<()> {
        let expected = QUESTION.repeat(times);
        // What the program wrote is on its way at most for a moment.
        for _ in 0..100 {
            if self.wild.heard().len() >= expected.len() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let heard = self.wild.heard();
        ensure!(
            heard == expected,
            "the meter heard `{}` instead of {times} questions",
            String::from_utf8_lossy(&heard)
        );
        Ok(())
    }

    /// The program runs, and meters of both real drivers are read and sold to.
    async fn neighbours_are_served(&mut self) -> Result<()> {
        ensure!(self.program.is_running()?, "the program has ended");
        for meter in METERS.iter().filter(|meter| meter.serial_number.ends_with("-1")) {
            let meter_id = self.site.meter_id(&self.api, meter).await?;
            let read = self.read(&meter_id).await?;
            ensure!(read.status.is_success(), "{}: {}", meter.serial_number, read.body);
            let sale = uuid::Uuid::now_v7().to_string();
            let answer = self.api.sell(&sale, &meter_id, "1.00").await?;
            ensure!(answer.body["state"] == "confirmed", "{}: {answer:?}", meter.serial_number);
        }
        self.books().await
    }

    /// The neighbours' books and meters agree, to the fen.
    async fn books(&self) -> Result<()> {
        for meter in METERS.iter().filter(|meter| meter.serial_number.ends_with("-1")) {
            let meter_id = self.site.meter_id(&self.api, meter).await?;
            let (_, fen) = applied(&self.site, meter)?;
            let posted = meter_credit(&self.api, &meter_id).await?;
            ensure!(posted == fen, "{}: {posted} posted, {fen} taken", meter.serial_number);
        }
        Ok(())
    }
    /// Another driver three times into a trap, then a sale by it, then the same sale after its release.
    async fn quarantine(mut self, number: usize) -> Result<()> {
        let trapping = self.add_meter(number, "read:keeps-trapping", false).await?;
        self.wild.forget();
        let selling = self.add_meter(number, "sell:honestly", true).await?;
        for _ in 0..3 {
            let answer = self.read(&trapping).await?;
            ensure!(answer.status.as_u16() == 502, "{}: {}", answer.status, answer.body);
        }
        let began = Instant::now();
        for meter_id in [&trapping, &selling] {
            let answer = self.read(meter_id).await?;
            let text = answer.body.to_string();
            ensure!(answer.status.as_u16() == 503 && text.contains("is in quarantine"), "{text}");
        }
        let sale = uuid::Uuid::now_v7().to_string();
        let answer = self.api.sell(&sale, &selling, PAID).await?;
        ensure!(answer.body["state"] == "reserved", "the sale is {}", answer.body);
        ensure!(began.elapsed() < Duration::from_secs(2), "not at once: {:?}", began.elapsed());
        let history = self.api.get(&format!("/api/v1/sales/{sale}")).await?.to_string();
        ensure!(history.contains("is in quarantine"), "{history}");
        self.asked(1).await?;
        self.neighbours_are_served().await?;

        // Quarantine is not kept on disk; a program started anew has released every driver.
        self.program.kill().await?;
        self.program = Program::start(&self.site.config, None).await?;
        self.api = self.site.api(&self.program);
        let state = until_settled(&self.api, &sale, &selling, PAID).await?;
        ensure!(state == "confirmed", "after its release the sale is {state}");
        self.asked(2).await?;
        let credit = self.credit(&selling, "credits_posted").await?;
        ensure!(credit == PAID, "{credit} was posted");
        self.neighbours_are_served().await
    }
}
