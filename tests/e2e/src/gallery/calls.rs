//! Hostility in what a driver does when it is called: every row is a driver of its own in one running
//! program, with real drivers and their meters beside it.

use super::Row;
use super::wild::{LINE, Wild};
use crate::money::{applied, meter_credit};
use crate::{Api, METERS, Program, Site};
use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::json;
use std::path::PathBuf;

/// What is asked of the driver, and what must come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// The reading fails, and the program's log says this.
    Read(&'static str),
    /// The reading succeeds nevertheless.
    ReadAnyway,
    /// The sale ends in this state, and its history or the log says this.
    Sell(&'static str, &'static str),
}

struct Case {
    act: &'static str,
    does: &'static str,
    ends: &'static str,
    asked: Asked,
}

const fn case(act: &'static str, does: &'static str, ends: &'static str, asked: Asked) -> Case {
    Case { act, does, ends, asked }
}

const CPU: &str = "the call ends by the limit cpu-ticks";
const UNRESOLVED: &str = "the sale is unresolved, nothing is posted";
const RESERVED: &str = "no byte left: the sale stays reserved, nothing is posted";

const OTHER_REGION: &str = "other-regions-key";

const CASES: &[Case] = &[
    case("loop", "computes for ever", CPU, Asked::Read("limit cpu-ticks is spent")),
    case("recursion", "calls itself for ever", "the call ends in a trap", Asked::Read("trapped")),
    case("panic", "panics in a reading", "the call ends in a trap", Asked::Read("trapped")),
    case(
        "memory",
        "takes all memory",
        "the call ends by the limit memory-bytes",
        Asked::Read("limit memory-bytes is spent"),
    ),
    case(
        "16-mib",
        "returns a text of 16 MiB",
        "the call ends by the limit result-bytes",
        Asked::Read("limit result-bytes is spent"),
    ),
    case(
        "100000-records",
        "returns 100 000 records",
        "the call ends by the limit result-bytes",
        Asked::Read("limit result-bytes is spent"),
    ),
    case(
        "wrong-register",
        "returns a register that is none",
        "the reading is refused, with what was returned",
        Asked::Read("as a register no code"),
    ),
    case(
        "huge-numbers",
        "returns numbers of a scale that nothing has",
        "they are kept as they are, digit by digit",
        Asked::ReadAnyway,
    ),
    case(
        "log-flood",
        "writes 100 000 lines into the log",
        "the first hundred are kept, the others counted",
        Asked::ReadAnyway,
    ),
    case(
        "log-escapes",
        "writes ANSI escapes and forged lines into the log",
        "they are escaped; the log stays one line",
        Asked::ReadAnyway,
    ),
    case(
        "log-3-mb",
        "writes ten lines of 3 MB into the log",
        "the call ends by the limit result-bytes",
        Asked::Read("limit result-bytes is spent"),
    ),
    case(
        "send-gigabytes",
        "sends frames for ever",
        "the call ends by the limit exchanges or line-bytes",
        Asked::Read("is spent"),
    ),
    case(
        "send-at-once",
        "sends 64 MiB in one frame",
        "the call ends by a limit before a byte leaves",
        Asked::Read("is spent"),
    ),
    case(
        "hold-the-line",
        "listens for ever",
        "the call ends by the limit wall-ms, the line is free again",
        Asked::Read("is spent"),
    ),
    case("import-storm", "calls an import for ever", CPU, Asked::Read("limit cpu-ticks is spent")),
    case(
        "random-storm",
        "asks for random bytes for ever",
        CPU,
        Asked::Read("limit cpu-ticks is spent"),
    ),
    case(
        "other-vendors-key",
        "asks for a MAC under another vendor's key",
        "the vault has no such key for it",
        Asked::Read("no key"),
    ),
    case(
        OTHER_REGION,
        "asks for a MAC under its own vendor's key of another region",
        "the vault has no such key for it",
        Asked::Read("no key"),
    ),
    case(
        "claim-without-sending",
        "claims a sale without sending a byte",
        RESERVED,
        Asked::Sell("reserved", "no byte left the host"),
    ),
    case(
        "refuse-without-sending",
        "reports a refusal without asking the meter",
        RESERVED,
        Asked::Sell("reserved", "no byte left the host"),
    ),
    case(
        "never-receive",
        "sends a frame, never listens, claims success",
        UNRESOLVED,
        Asked::Sell("unresolved", "nothing came back on the line"),
    ),
    case(
        "sell-panic",
        "panics in the middle of a sale",
        UNRESOLVED,
        Asked::Sell("unresolved", "trapped"),
    ),
    case(
        "sell-loop",
        "computes for ever in the middle of a sale",
        UNRESOLVED,
        Asked::Sell("unresolved", "limit cpu-ticks is spent"),
    ),
    case(
        "sell-memory",
        "takes all memory in the middle of a sale",
        UNRESOLVED,
        Asked::Sell("unresolved", "limit memory-bytes is spent"),
    ),
    case(
        "sell-hold-the-line",
        "listens for ever in the middle of a sale",
        UNRESOLVED,
        Asked::Sell("unresolved", "is spent"),
    ),
    case(
        "lie-about-the-count",
        "confirms another purchase count than was asked",
        UNRESOLVED,
        Asked::Sell("unresolved", ""),
    ),
    case(
        "impossible-balance",
        "confirms with a balance in a unit that is none",
        UNRESOLVED,
        Asked::Sell("unresolved", "a credit of quantity 77"),
    ),
    case(
        "error-after-sending",
        "says that nothing was sent after a frame has left",
        UNRESOLVED,
        Asked::Sell("unresolved", ""),
    ),
];

/// A short wall time, so that a driver that holds the line does not hold up the gallery; and CPU enough
/// that another limit is met first where one should be, however busy the machine.
const LIMITS: &str = "wall-ms = 4000\ncpu-ticks = 100";

fn vendor(number: usize) -> String {
    format!("HOSTILE-{number:03}")
}

impl Case {
    /// The address that orders it from `tests/conformance/hostile`.
    fn address(&self) -> String {
        match self.asked {
            Asked::Sell(..) => {
                format!("sell:{}", self.act.strip_prefix("sell-").unwrap_or(self.act))
            }
            _ => format!("read:{}", self.act),
        }
    }
}

/// The running program and what is asked of it.
struct Ground {
    site: Site,
    program: Program,
    api: Api,
    log: PathBuf,
}

pub async fn run() -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let wild = Wild::new(folder.path().to_owned()).await?;
    let mut more = wild.line();
    for number in 1..=CASES.len() {
        let region = if CASES[number - 1].act == OTHER_REGION { "south" } else { "" };
        more += &wild.driver(&vendor(number), region, LIMITS)?;
    }
    let regional =
        CASES.iter().position(|case| case.act == OTHER_REGION).context("no such case")?;
    let (site, program) = Site::with_more(&more, &[(&vendor(regional + 1), "north")]).await?;
    let log = site.config.with_extension("log");
    let api = site.api(&program);
    let mut ground = Ground { site, program, api, log };
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
    ground.books().await?;
    Ok(rows)
}

impl Ground {
    /// The row's own meter, the act, and then whether all the rest goes on.
    async fn play(&mut self, number: usize, case: &Case) -> Result<()> {
        let begins = std::fs::metadata(&self.log)?.len();
        let meter_id = self.add_meter(number, case).await?;
        match case.asked {
            Asked::Read(says) => {
                let answer = self.read(&meter_id).await?;
                ensure!(!answer.status.is_success(), "a reading came of it: {}", answer.body);
                ensure!(answer.status.as_u16() != 500, "{}", answer.body);
                self.logged(begins, says)?;
            }
            Asked::ReadAnyway => {
                let answer = self.read(&meter_id).await?;
                ensure!(answer.status.is_success(), "{}", answer.body);
            }
            Asked::Sell(state, says) => {
                let sale = uuid::Uuid::now_v7().to_string();
                let answer = self.api.sell(&sale, &meter_id, "10.00").await?;
                ensure!(answer.body["state"] == state, "the sale is {}", answer.body);
                let history = self.api.get(&format!("/api/v1/sales/{sale}")).await?.to_string();
                ensure!(
                    history.contains(says) || self.logged(begins, says).is_ok(),
                    "nothing of `{says}` in {history}"
                );
            }
        }
        self.log_is_clean(begins)?;
        self.not_credited(&meter_id).await?;
        self.neighbours_are_served().await
    }

    async fn add_meter(&self, number: usize, case: &Case) -> Result<String> {
        let serial_number = format!("H-{number}");
        let new = json!({
            "serial_number": serial_number, "vendor": vendor(number), "line": LINE,
            "address": case.address(), "price_per_kwh": "0.52",
        });
        let meter = self.api.post("/api/v1/meters", new).await?;
        let meter_id = meter["meter_id"].as_str().context("no meter_id")?.to_owned();
        if matches!(case.asked, Asked::Sell(..)) {
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

    /// The ledger has posted nothing for this meter; what a sale holds pending is no credit.
    async fn not_credited(&self, meter_id: &str) -> Result<()> {
        let balance = self.api.get("/api/v1/ledger/trial-balance").await?;
        ensure!(balance["difference"] == "0.00", "{balance}");
        let name = format!("meter-credit/{meter_id}");
        let lines = balance["lines"].as_array().context("no lines")?;
        for line in lines.iter().filter(|line| line["account"] == name.as_str()) {
            ensure!(line["credits_posted"] == "0.00", "it was credited: {line}");
        }
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
        Ok(())
    }

    /// The books and the meters agree at the end, to the fen.
    async fn books(&self) -> Result<()> {
        for meter in METERS.iter().filter(|meter| meter.serial_number.ends_with("-1")) {
            let meter_id = self.site.meter_id(&self.api, meter).await?;
            let (_, fen) = applied(&self.site, meter)?;
            let posted = meter_credit(&self.api, &meter_id).await?;
            ensure!(posted == fen, "{}: {posted} posted, {fen} taken", meter.serial_number);
        }
        Ok(())
    }
}
