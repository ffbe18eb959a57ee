//! A vendor's native library in the real program: it serves like any other driver, and when it
//! misbehaves the program, the neighbours and the ledger do not feel it.

mod cards;

use anyhow::{Context, Result, bail, ensure};
use e2e::money::{applied, meter_credit, until_settled};
use e2e::native::{HOSTILE_LINE, LINE, METER, Native, hostile, library, pinned, sum_of};
use e2e::wavering::{check, driver};
use e2e::{Answer, Api, METERS, Meter, Program, binary, run};
use meter_sim::{Endpoint, Fault, FaultKind, On, Simulator};
use polymeter_domain::{
    Credit, CustomerNumber, Decimal, Delivery, LocalTime, MeterAddress, Purchase, PurchaseCount,
    Quantity, Value, VendorCode,
};
use polymeter_runtime::{
    CallError, Capability, Device, Driver, DriverConfig, Limits, Moment, Opening, Options, Runtime,
    SetOutcome, TrapKind, Vault, Worker,
};
use polymeter_transport::{Line, LineLease, LineSettings, Priority};
use reqwest::Method;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

async fn read(api: &Api, meter_id: &str) -> Result<Answer> {
    api.ask(Method::POST, &format!("/api/v1/meters/{meter_id}/readings"), None).await
}

fn new_sale() -> String {
    uuid::Uuid::now_v7().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_library_reads_opens_sells_checks_and_switches() -> Result<()> {
    let (native, program) = Native::new(&pinned()?, 0).await?;
    let api = native.site.api(&program);
    let meter_id = native.site.add_meter(&api, &METER).await?;
    let state = || native.state(LINE, METER.address);
    let taken = read(&api, &meter_id).await?;
    ensure!(taken.status.is_success() && taken.body.to_string().contains(":1860}"), "{taken:?}");

    let sold = api.sell(&new_sale(), &meter_id, "50.00").await?;
    ensure!(sold.body["state"] == "confirmed", "{sold:?}");
    let sold = api.sell(&new_sale(), &meter_id, "12.35").await?;
    ensure!(sold.body["state"] == "confirmed", "{sold:?}");
    ensure!(state()?.customer.as_deref() == Some("000000200001"), "{:?}", state()?);
    ensure!((state()?.credits, state()?.credited_fen) == (2, 6235), "{:?}", state()?);
    ensure!(meter_credit(&api, &meter_id).await? == 6235, "the ledger has another sum");

    // The answer to a purchase is lost: the meter's own count and amount settle it.
    native
        .rdk
        .fault(&format!("{LINE}/00000001"), Fault::new(On::Sell, FaultKind::LostAfterApply))?;
    let state_of_sale = until_settled(&api, &new_sale(), &meter_id, "1.00").await?;
    ensure!(state_of_sale == "confirmed", "{state_of_sale}");
    ensure!((state()?.credits, state()?.credited_fen) == (3, 6335), "{:?}", state()?);
    ensure!(meter_credit(&api, &meter_id).await? == 6335, "the ledger has another sum");

    let supply = format!("/api/v1/meters/{meter_id}/supply-control");
    for (command, closed) in [("disconnect", false), ("connect", true)] {
        let body = Some(json!({ "command": command }));
        let answer = api.ask(Method::POST, &supply, body).await?;
        ensure!(answer.status.is_success(), "{command}: {answer:?}");
        ensure!(state()?.relay_closed == closed, "{command}: {:?}", state()?);
    }
    ensure!(state()?.mac_failures == 0, "every password was right");
    check(&native.site, &["list"], 0, "sha256").await?;
    let drivers = api.text("/drivers").await?;
    ensure!(drivers.contains("rdk") && !drivers.contains("UNSIGNED"), "{drivers}");
    replayed(&native).await?;
    program.kill().await
}

/// Its last call is kept like any driver's, and does the same again.
async fn replayed(native: &Native) -> Result<()> {
    let trace = driver(&native.site, &["trace", METER.serial_number, "--last", "1"]).await?;
    ensure!(trace.code == Some(0) && trace.said.contains("call: control"), "{trace:?}");
    let file = native.site.folder.path().join("last.transcript");
    std::fs::write(&file, &trace.said)?;
    let config = native.site.config.to_str().context("a path that is text")?;
    let file = file.to_str().context("a path that is text")?;
    let played = run(["--config", config, "replay", file]).await?;
    let said = String::from_utf8_lossy(&[played.stdout, played.stderr].concat()).into_owned();
    ensure!(played.status.success() && said.contains("identical"), "{said}\n{}", trace.said);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_as_the_configuration_says_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let good = pinned()?;
    let sum = sum_of(&library("rdk-native")?)?;
    let other = "0".repeat(64);
    let rubbish = folder.path().join("rubbish.so");
    std::fs::write(&rubbish, b"no library")?;
    let unsigned = |text: &str| {
        let pin = format!("sha256 = \"{sum}\"");
        text.replace(&pin, "allow-unsigned = true")
    };
    let of = library("rdk-native")?.display().to_string();
    for (text, code, sentence) in [
        (good.clone(), 0, String::new()),
        (unsigned(&good), 0, String::new()),
        (good.replace(&sum, &other), 2, format!("has the SHA-256 {sum}, not {other}")),
        (good.replace("RDKIcard", "ABCIcard"), 2, "it has no function ABCIcard".to_owned()),
        (
            good.replace("\"RDK\"", "\"ABC\""),
            2,
            "is for RDK, its [[driver]] entry says vendor = \"ABC\"".to_owned(),
        ),
        (
            unsigned(&good).replace(&of, &rubbish.display().to_string()),
            2,
            "the native library of driver rdk is not used: it cannot be loaded".to_owned(),
        ),
    ] {
        let said = checked(folder.path(), &text, code).await?;
        ensure!(said.contains(&sentence), "`{sentence}` is not in {said}");
    }
    Ok(())
}

/// What `check-config` says of a configuration with that driver, which must end so.
async fn checked(folder: &Path, driver: &str, code: i32) -> Result<String> {
    let key = folder.join("vault.key");
    e2e::write_private(&key, "secret of the test")?;
    let config = folder.join("polymeter.toml");
    let head = "[database]\npath = \"x.db\"\n[site]\ntime-zone = \"Asia/Shanghai\"\n\
                currency = \"CNY\"\n";
    std::fs::write(&config, format!("{head}{driver}"))?;
    let config = config.to_str().context("a path that is text")?;
    let output = run(["--config", config, "check-config"]).await?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    ensure!(output.status.code() == Some(code), "ended with {}: {said}", output.status);
    Ok(said)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_changes_nothing_until_it_is_pinned() -> Result<()> {
    let (native, program) = Native::new("", 0).await?;
    let api = native.site.api(&program);
    let file = native.site.folder.path().join("rdk.so");
    std::fs::copy(library("rdk-native")?, &file)?;
    let built = library("rdk-native")?.display().to_string();
    let text = std::fs::read_to_string(&native.site.config)?;
    std::fs::write(&native.site.config, text + &pinned()?.replace(&built, "rdk.so"))?;
    check(&native.site, &["reload"], 0, "driver/rdk").await?;
    let meter_id = native.site.add_meter(&api, &METER).await?;
    let sold = api.sell(&new_sale(), &meter_id, "1.00").await?;
    ensure!(sold.body["state"] == "confirmed", "{sold:?}");

    // Another library in its place: what was judged goes on, and a reload refuses the new one.
    std::fs::copy(library("native-hostile")?, &file)?;
    let sold = api.sell(&new_sale(), &meter_id, "1.00").await?;
    ensure!(sold.body["state"] == "confirmed", "{sold:?}");
    check(&native.site, &["reload"], 2, "as its sha256 says").await?;
    std::fs::remove_file(&file)?;
    let sold = api.sell(&new_sale(), &meter_id, "1.00").await?;
    ensure!(sold.body["state"] == "confirmed", "{sold:?}");
    check(&native.site, &["rollback", "rdk"], 2, "no version served before").await?;
    program.kill().await
}

/// What no request of the API asks for yet, by the runtime alone with the program as its worker.
#[tokio::test(flavor = "multi_thread")]
async fn it_finds_sets_checks_and_clears() -> Result<()> {
    let bench = Bench::new("rdk-native", "RDK").await?;
    let (driver, mut line) = (&bench.driver, bench.lease().await?);
    let state = || bench.rdk.state(&format!("{HOSTILE_LINE}/00000001"));
    let (meter, now) = (device("00000001"), moment());
    let found = driver.probe(&mut line, &device("?"), now).await?;
    ensure!((found.address.as_str(), found.model.as_str()) == ("00000001", "RDK-1"), "{found:?}");

    let credit = Credit { quantity: Quantity::Money, amount: 500 };
    let purchase = Purchase { count: PurchaseCount::new(1), credit };
    let opening = Opening { customer: CustomerNumber::new("100009")?, purchase };
    let opened = driver.open(&mut line, &meter, now, &opening).await;
    ensure!(matches!(opened.outcome, Delivery::Confirmed(_)), "{opened:?}");
    let evidence = driver.check(&mut line, &meter, now, Some(PurchaseCount::new(1))).await?;
    ensure!(evidence.purchase == Some(purchase), "{evidence:?}");
    ensure!(evidence.balance == Some(credit), "{evidence:?}");
    let again = driver.open(&mut line, &meter, now, &opening).await;
    let Delivery::Refused(no) = &again.outcome else { bail!("{again:?}") };
    ensure!((no.code, no.device_code.as_deref()) == (1, Some("06")), "{no:?}");

    let fen = Value::Number(Decimal { mantissa: 2000, scale: 0 });
    let set = driver.set_parameters(&mut line, &meter, now, &[("alarm".to_owned(), fen)]).await;
    ensure!(set.outcome == SetOutcome::Confirmed, "{set:?}");
    let unknown = [("colour".to_owned(), Value::Flag(true))];
    let set = driver.set_parameters(&mut line, &meter, now, &unknown).await;
    ensure!(matches!(set.outcome, SetOutcome::NotSent(_)), "{set:?}");
    ensure!(driver.decode(&[0x7E]).await.is_err(), "a library explains no frames");

    let cleared = driver.clear(&mut line, &meter, now).await;
    ensure!(matches!(cleared.outcome, Delivery::Confirmed(_)), "{cleared:?}");
    ensure!((state()?.customer, state()?.money_fen) == (None, 0), "{:?}", state()?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_library_that_keeps_crashing_is_put_into_quarantine() -> Result<()> {
    let bench = Bench::new("native-hostile", "RDX").await?;
    let (driver, mut line) = (&bench.driver, bench.lease().await?);
    for _ in 0..3 {
        let crashed = driver.read(&mut line, &device("00000001/read-crash"), moment()).await;
        ensure!(matches!(crashed, Err(CallError::Trap { .. })), "{crashed:?}");
    }
    let refused = driver.read(&mut line, &device("00000001"), moment()).await;
    ensure!(matches!(refused, Err(CallError::Quarantined { .. })), "{refused:?}");
    ensure!(
        driver.health().traps == BTreeMap::from([(TrapKind::Memory, 3)]),
        "{:?}",
        driver.health()
    );
    driver.release();
    let read = driver.read(&mut line, &device("00000001"), moment()).await?;
    ensure!(read.measurements.len() == 1, "{read:?}");

    // What it writes is its log; what it asks for beyond its limits ends the call.
    let said = driver.read(&mut line, &device("00000001/read-log"), moment()).await;
    ensure!(said.is_err(), "{said:?}");
    let lines: Vec<String> = driver.log().into_iter().map(|line| line.text).collect();
    ensure!(lines == ["written to the log \\u{1b}[2J"], "{lines:?}");
    let flood = driver.read(&mut line, &device("00000001/read-flood"), moment()).await;
    let Err(CallError::Limit { limit, .. }) = &flood else { bail!("{flood:?}") };
    ensure!(*limit == "exchanges", "{limit}");
    Ok(())
}

/// A library in a runtime, and a line with RDK's meters that want no password.
struct Bench {
    driver: Arc<Driver>,
    rdk: Simulator,
    line: Line,
    _cache: tempfile::TempDir,
}

impl Bench {
    async fn new(name: &str, vendor: &str) -> Result<Bench> {
        let rdk = Simulator::start(e2e::native::plan(1))?;
        let cache = tempfile::tempdir()?;
        let worker = Worker { program: binary()?, arguments: Vec::new() };
        let options = Options::apart(Vault::default(), worker, &cache.path().join("cache"));
        let config = DriverConfig {
            name: name.to_owned(),
            vendor: Some(VendorCode::new(vendor)?),
            cover: None,
            region: None,
            grants: vec![Capability::Line, Capability::CardSlot, Capability::Log],
            limits: Limits { wall: Duration::from_secs(6), exchanges: 8, ..Limits::default() },
            written: BTreeSet::new(),
        };
        let file = std::fs::read(library(name)?)?;
        let driver = Runtime::new(options)?.load_native(config, &file, "RDKIcard").await?;
        let Endpoint::Tcp(address) = rdk.endpoint(HOSTILE_LINE)? else { bail!("no TCP line") };
        let line = Line::spawn(LineSettings {
            name: HOSTILE_LINE.to_owned(),
            endpoint: polymeter_transport::Endpoint::Tcp { address: address.to_string() },
            inter_frame: Duration::from_millis(1),
            reply_timeout: Duration::from_millis(400),
            byte_timeout: Duration::from_millis(50),
            total_timeout: Duration::from_secs(60),
        });
        Ok(Bench { driver, rdk, line, _cache: cache })
    }

    async fn lease(&self) -> Result<LineLease> {
        Ok(self.line.lease(Priority::Sale).await?)
    }
}

fn device(address: &str) -> Device {
    let address = MeterAddress::new(address).expect("an address");
    Device { address, parameters: Vec::new() }
}

fn moment() -> Moment {
    let now = LocalTime { year: 2026, month: 3, day: 2, hour: 10, minute: 0, second: 0 };
    Moment { now, nonce: [7; 16] }
}

/// What a sale by a misbehaving library comes to.
struct Case {
    /// `sell-...`: it misbehaves when it is asked to sell.
    act: &'static str,
    /// The sale's state right afterwards.
    state: &'static str,
    /// In the sale's history.
    says: &'static str,
    /// Whether the meter took the purchase.
    taken: bool,
}

const fn case(act: &'static str, state: &'static str, says: &'static str, taken: bool) -> Case {
    Case { act, state, says, taken }
}

/// `unresolved` where a byte left; the reconciliation that follows at once finds what the meter holds.
const CASES: &[Case] = &[
    case("sell-honestly", "confirmed", "", true),
    case("sell-crash", "reserved", "its process was ended by SIGSEGV", false),
    case("sell-crash-after", "confirmed", "its process was ended by SIGABRT", true),
    case("sell-exit", "reserved", "ended by itself with code 0", false),
    case("sell-hang", "reserved", "limit wall-ms is spent", false),
    case("sell-spin", "reserved", "is spent", false),
    case("sell-checksum", "confirmed", "a frame with the checksum", true),
    case("sell-rubbish", "reserved", "a frame that begins with A5 instead of 68", false),
    case("sell-long", "reserved", "its process was ended by SIGSEGV", false),
    case("sell-just-too-long", "reserved", "its process was ended by SIGSEGV", false),
    case("sell-lie", "reserved", "claims success, but no byte left the host", false),
    case("sell-deaf-lie", "reserved", "claims success, but nothing came back", false),
    case("sell-wrong-answer", "reserved", "an answer to command", false),
    case("sell-own-error", "reserved", "the library returned 4711", false),
    case("sell-out-of-turn", "reserved", "speaks out of turn", false),
    case("sell-fork", "reserved", "Operation not permitted", false),
    case("sell-file", "reserved", "Operation not permitted", false),
    case("sell-socket", "reserved", "Operation not permitted", false),
    case("sell-exec", "reserved", "Operation not permitted", false),
    case("sell-kill-host", "reserved", "Operation not permitted", false),
    case("sell-memory", "reserved", "memory ended", false),
    case("sell-escapes", "reserved", "[2J", false),
    // Whether of processor or of time, depends on how busy the machine is.
    case("sell-flood", "reserved", "is spent", false),
    case("sell-flood-log", "reserved", "is spent", false),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_misbehaving_library_is_contained() -> Result<()> {
    let (native, mut program) = Native::new(&(pinned()? + &hostile()?), CASES.len()).await?;
    let api = native.site.api(&program);
    let honest = native.site.add_meter(&api, &METER).await?;
    let mut failures = Vec::new();
    for (number, case) in CASES.iter().enumerate() {
        if let Err(error) = play(&native, &api, number + 1, case).await {
            failures.push(format!("{}: {error:#}", case.act));
        }
        if let Err(error) = neighbours(&native, &mut program, &api, &honest).await {
            failures.push(format!("after {}: {error:#}", case.act));
        }
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    let listed = driver(&native.site, &["list"]).await?.said;
    ensure!(listed.contains("UNSIGNED"), "{listed}");
    let log = std::fs::read_to_string(native.site.config.with_extension("log"))?;
    // The first hundred of each of the two deliveries, and the last words in what is said of them.
    ensure!(log.matches("flood-of-lines").count() <= 210, "the log was flooded");
    ensure!(!log.contains("\u{1b}[2J") && !log.contains("\nthread '"), "{log}");
    ensure!(log.contains("UNSIGNED: allow-unsigned lets it run"), "{log}");
    program.kill().await
}

async fn play(native: &Native, api: &Api, number: usize, case: &Case) -> Result<()> {
    let digits = format!("{number:08}");
    let (serial_number, address) = (format!("X-{number}"), format!("{digits}/{}", case.act));
    let customer = format!("3{number:05}");
    // A test's few texts may live as long as it does.
    let keep = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
    let meter = Meter {
        serial_number: keep(serial_number),
        vendor: "RDX",
        line: HOSTILE_LINE,
        address: keep(address),
        customer: keep(customer),
    };
    let meter_id = native.site.add_meter(api, &meter).await?;
    let sale = new_sale();
    let answer = api.sell(&sale, &meter_id, "10.00").await?;
    let history = api.get(&format!("/api/v1/sales/{sale}")).await?;
    ensure!(history.to_string().contains(case.says), "nothing of `{}` in {history}", case.says);
    let state = native.state(HOSTILE_LINE, &digits)?;
    ensure!((state.credited_fen == 1000) == case.taken, "the meter has {state:?}");
    ensure!(history["state"] == case.state, "{answer:?}: {history}");
    let posted = if case.state == "confirmed" { 1000 } else { 0 };
    let ledger = api.get("/api/v1/ledger/trial-balance").await?;
    ensure!(ledger["difference"] == "0.00", "{ledger}");
    let name = format!("meter-credit/{meter_id}");
    let line = ledger["lines"].as_array().context("no lines")?.iter();
    let line = line.clone().find(|line| line["account"] == name.as_str());
    let credits = line.and_then(|line| line["credits_posted"].as_str()).unwrap_or("0.00");
    let credits: u64 = credits.replace('.', "").parse()?;
    ensure!(credits == posted, "{credits} fen were posted: {line:?}");
    Ok(())
}

/// The program runs; RDK's own library and both components sell.
async fn neighbours(native: &Native, program: &mut Program, api: &Api, honest: &str) -> Result<()> {
    ensure!(program.is_running()?, "the program has ended");
    let sold = api.sell(&new_sale(), honest, "1.00").await?;
    ensure!(sold.body["state"] == "confirmed", "{sold:?}");
    let fen = native.state(LINE, METER.address)?.credited_fen;
    ensure!(meter_credit(api, honest).await? == fen, "R-1: the books differ");
    for meter in METERS.iter().filter(|meter| meter.serial_number.ends_with("-1")) {
        let meter_id = native.site.meter_id(api, meter).await?;
        let sold = api.sell(&new_sale(), &meter_id, "1.00").await?;
        ensure!(sold.body["state"] == "confirmed", "{}: {sold:?}", meter.serial_number);
        let (_, fen) = applied(&native.site, meter)?;
        ensure!(meter_credit(api, &meter_id).await? == fen, "{}", meter.serial_number);
    }
    Ok(())
}
