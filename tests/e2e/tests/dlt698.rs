//! DL/T 698.45 meters through the real program: found by the wildcard, read also where an answer comes in
//! parts, switched, protected and refused, their freezes and events read out; and no spoilt part of an
//! answer becomes a value.

use anyhow::{Context, Result, bail, ensure};
use e2e::{Api, Ended, Meter, Program, Site};
use meter_sim::{
    BusKind, BusPlan, Dlt698Plan, Endpoint, Fault, FaultKind, Meters, On, Plan, Simulator,
};
use reqwest::Method;
use serde_json::{Value, json};

const WHOLE: &str = "003708191239";
const IN_PARTS: &str = "003708191240";
const SECURED: &str = "120000000001";
const ENERGY: &str = "1.0.1.8.0.255";

struct Bench {
    simulator: Simulator,
    site: Site,
    program: Program,
    api: Api,
}

async fn bench() -> Result<Bench> {
    let meter = |address: &str| Dlt698Plan {
        address: address.to_owned(),
        tariff_energies: [1_000, 2_000, 3_000, 6_345],
        load_watts: 440,
        ..Dlt698Plan::default()
    };
    let meters = vec![
        meter(WHOLE),
        Dlt698Plan { three_phase: true, answer_bytes_max: 60, ..meter(IN_PARTS) },
        Dlt698Plan { secured: true, ..meter(SECURED) },
    ];
    let bus = BusPlan::new("bus-698", BusKind::Tcp, Meters::Dlt698(meters));
    let simulator = Simulator::start(Plan { buses: vec![bus] })?;
    let Endpoint::Tcp(address) = simulator.endpoint("bus-698")? else { bail!("a TCP bus") };
    // The same far end twice: a scan waits mostly for nobody.
    let line = [("bus-698", 400, 100), ("bus-scan", 100, 40)].map(|(name, reply_ms, byte_ms)| {
        format!(
            "[[line]]\nname = \"{name}\"\ntcp = \"{address}\"\ninter-frame-ms = 1\n\
             reply-timeout-ms = {reply_ms}\nbyte-timeout-ms = {byte_ms}\n"
        )
    });
    let driver = ("dlt698", "DLT698", r#"["line", "log"]"#);
    let (site, program) = Site::with_drivers_and(&[driver], &line.concat()).await?;
    let api = site.api(&program);
    Ok(Bench { simulator, site, program, api })
}

impl Bench {
    async fn enter(&self, address: &'static str, serial_number: &'static str) -> Result<String> {
        let (vendor, line) = ("DLT698", "bus-698");
        let meter = Meter { serial_number, vendor, line, address, customer: "7" };
        self.site.enter_meter(&self.api, &meter).await
    }

    async fn read(&self, meter_id: &str) -> Result<Value> {
        self.api.post(&format!("/api/v1/meters/{meter_id}/readings"), json!({})).await
    }

    /// The status of the answer, its code or the supply that it tells.
    async fn control(&self, meter_id: &str, command: &str) -> Result<(u16, String)> {
        let path = format!("/api/v1/meters/{meter_id}/supply-control");
        let body = Some(json!({ "command": command }));
        let answer = self.api.ask(Method::POST, &path, body).await?;
        let told = answer.body["supply"].as_str().unwrap_or(answer.code()).to_owned();
        Ok((answer.status.as_u16(), told))
    }
}

/// A value of a reading.
fn value(reading: &Value, register: &str) -> Result<f64> {
    let rows = reading["measurements"].as_array().with_context(|| reading.to_string())?;
    let row = rows.iter().find(|row| row["register"] == register);
    let row = row.with_context(|| format!("no {register} in {reading}"))?;
    ensure!(row["quality"] == "measured", "{row}");
    row["value"].as_f64().with_context(|| row.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn meters_are_found_read_and_switched() -> Result<()> {
    let bench = bench().await?;
    let whole = bench.enter(WHOLE, "E-1").await?;
    let in_parts = bench.enter(IN_PARTS, "E-2").await?;
    let secured = bench.enter(SECURED, "E-3").await?;
    for (meter_id, amperes) in [(&whole, 2.0), (&in_parts, 0.666)] {
        let reading = bench.read(meter_id).await?;
        for (register, expected) in [
            (ENERGY, 123.45),
            ("1.0.1.8.4.255", 63.45),
            ("1.0.32.7.0.255", 220.0),
            ("1.0.31.7.0.255", amperes),
            ("1.0.1.7.0.255", 440.0),
        ] {
            ensure!(value(&reading, register)? == expected, "{register}: {reading}");
        }
        ensure!(reading["supply"] == "connected", "{reading}");
    }
    let told = |status: u16, text: &str| (status, text.to_owned());
    for (command, supply, closed, protected) in [
        ("disconnect", "disconnected", false, false),
        ("allow", "ready-for-reconnection", false, false),
        ("connect", "connected", true, false),
        ("protect", "connected", true, true),
        ("unprotect", "connected", true, false),
    ] {
        let outcome = bench.control(&in_parts, command).await?;
        ensure!(outcome == told(200, supply), "{command}: {outcome:?}");
        let state = bench.simulator.state(IN_PARTS)?;
        ensure!((state.relay_closed, state.keep_power) == (closed, protected), "{state:?}");
    }
    // Its yes is lost, and the meter's own word proves it.
    bench.simulator.fault(WHOLE, Fault::new(On::Control, FaultKind::LostAfterApply))?;
    let outcome = bench.control(&whole, "disconnect").await?;
    ensure!(outcome == told(200, "disconnected"), "{outcome:?}");
    // It never heard of it, and nobody says that it did.
    bench.simulator.fault(WHOLE, Fault::new(On::Control, FaultKind::NoReply))?;
    let outcome = bench.control(&whole, "connect").await?;
    ensure!(outcome == told(504, "outcome-unknown"), "{outcome:?}");
    let outcome = bench.control(&secured, "disconnect").await?;
    ensure!(outcome == told(409, "device-refused"), "{outcome:?}");
    ensure!(bench.simulator.state(SECURED)?.relay_closed, "a refusal has opened it");

    let records = format!("/api/v1/meters/{in_parts}/records");
    // Two midnights.
    bench.simulator.advance(2 * 86_400);
    for (kind, stored) in [("daily", 2), ("events", 2)] {
        let asked = json!({ "kind": kind, "since": "2020-01-01" });
        let read = bench.api.post(&records, asked).await?;
        ensure!(read["stored"] == stored && read["damaged"] == json!([]), "{kind}: {read}");
    }
    let events = bench.api.get(&format!("{records}?kind=events")).await?;
    for event in ["relay-opened", "relay-closed"] {
        let rows = events["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        ensure!(rows.iter().any(|row| row["event"] == event), "{event}: {events}");
    }
    let days = bench.api.get(&format!("{records}?kind=daily")).await?;
    ensure!(value(&days["items"][0], ENERGY)? > 123.45, "{days}");

    let config = bench.site.config.clone();
    bench.program.kill().await?;
    let ended = Ended::of(&config, &["records", "E-2"]).await?;
    ensure!(ended.stdout.contains("monthly: Monthly freezes"), "{}", ended.stdout);
    // On this line several answer the wildcard at once; who is missed is found by the next scan.
    let all = [WHOLE, IN_PARTS, SECURED];
    let mut missed = String::new();
    for _ in 0..3 {
        let ended = Ended::of(&config, &["scan", "bus-scan", "--vendor", "DLT698"]).await?;
        ensure!(ended.code == Some(0), "{}", ended.stderr);
        if all.iter().all(|address| ended.stdout.contains(address)) {
            return Ok(());
        }
        missed = ended.stdout;
    }
    bail!("found only {missed}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spoilt_part_is_no_value() -> Result<()> {
    let bench = bench().await?;
    let meter_id = bench.enter(IN_PARTS, "E-2").await?;
    let path = format!("/api/v1/meters/{meter_id}/readings");
    let part = |kind: FaultKind, skip: u32| Fault::new(On::Any, kind).skip(skip);
    let faults = [
        part(FaultKind::FlipReply { bit: 8 * 20 }, 0),
        part(FaultKind::FlipReply { bit: 8 * 30 }, 1),
        part(FaultKind::CutReply { keep_bytes: 25 }, 1),
        part(FaultKind::ReplyFromOtherMeter, 1),
        part(FaultKind::NoReply, 2),
        part(FaultKind::Doubled, 1),
        part(FaultKind::GarbageBefore { hex: "68FF0068".to_owned() }, 1),
        part(FaultKind::WrongFunction, 0),
        part(FaultKind::Late { wait_ms: 600 }, 1),
    ];
    for fault in faults {
        let case = format!("{fault:?}");
        bench.simulator.fault(IN_PARTS, fault)?;
        let answer = bench.api.ask(Method::POST, &path, None).await?;
        let waiting = bench.simulator.state(IN_PARTS)?.faults_waiting;
        ensure!(waiting == 0, "{case} hit nothing");
        match answer.status.as_u16() {
            201 => ensure!(value(&answer.body, ENERGY)? == 123.45, "{case}: {}", answer.body),
            status => {
                let known = [(504, "device-silent"), (502, "device-failed")];
                ensure!(known.contains(&(status, answer.code())), "{case}: {answer:?}");
            }
        }
        let clean = bench.read(&meter_id).await.with_context(|| case.clone())?;
        ensure!(value(&clean, ENERGY)? == 123.45, "after {case}: {clean}");
    }
    bench.program.kill().await
}
