//! Water meters through the real program. CJ/T 188: the months that one keeps, its clock, its prices and
//! its valve, in the standard's own dialect and in one that differs in everything. M-Bus: stored values
//! over several telegrams, and a clock that gains.

use anyhow::{Result, bail, ensure};
use e2e::{Api, Meter, Program, Site};
use meter_sim::{
    BusKind, BusPlan, Cjt188Plan, Endpoint, Fault, FaultKind, MbusPlan, MbusStored, Meters, On,
    Plan, Simulator,
};
use reqwest::Method;
use serde_json::{Value, json};

const STANDARD: &str = "78330011223344";
const OTHERWISE: &str = "00000051327643";
const VOLUME: &str = "8.0.1.0.0.255";

struct Bench {
    simulator: Simulator,
    site: Site,
    program: Program,
    api: Api,
    vendor: &'static str,
}

async fn cjt188() -> Result<Bench> {
    let meter = |address: &str| Cjt188Plan {
        address: address.to_owned(),
        volume: 123_456,
        settled_volume: 120_000,
        months: vec![120_000, 110_000, 90_000],
        settlement_day: 1,
        ..Cjt188Plan::default()
    };
    let otherwise = Cjt188Plan {
        identifier_high_first: true,
        without_serial_number: true,
        unit_first: true,
        time_high_first: true,
        valve_codes: [0x66, 0x77],
        second_status: 0x08,
        ..meter(OTHERWISE)
    };
    let driver = ("cjt188-water", "CJT188", r#"["line", "log"]"#);
    bench(Meters::Cjt188(vec![meter(STANDARD), otherwise]), driver).await
}

async fn bench(
    meters: Meters,
    driver: (&'static str, &'static str, &'static str),
) -> Result<Bench> {
    let bus = BusPlan::new("bus-water", BusKind::Tcp, meters);
    let simulator = Simulator::start(Plan { buses: vec![bus] })?;
    simulator.advance(3_600);
    let Endpoint::Tcp(address) = simulator.endpoint("bus-water")? else { bail!("a TCP bus") };
    let line = format!(
        "[[line]]\nname = \"bus-water\"\ntcp = \"{address}\"\ninter-frame-ms = 1\n\
         reply-timeout-ms = 400\nbyte-timeout-ms = 100\n"
    );
    let (site, program) = Site::with_drivers_and(&[driver], &line).await?;
    let api = site.api(&program);
    Ok(Bench { simulator, site, program, api, vendor: driver.1 })
}

impl Bench {
    async fn enter(&self, address: &'static str, serial_number: &'static str) -> Result<String> {
        let (vendor, line) = (self.vendor, "bus-water");
        let meter = Meter { serial_number, vendor, line, address, customer: "7" };
        self.site.enter_meter(&self.api, &meter).await
    }

    async fn post(&self, meter_id: &str, what: &str, body: Value) -> Result<Value> {
        self.api.post(&format!("/api/v1/meters/{meter_id}/{what}"), body).await
    }

    /// All of one kind of records, which are so many; then none that is new.
    async fn records(&self, meter_id: &str, kind: &str, count: usize) -> Result<Value> {
        let all = json!({ "kind": kind, "since": "2020-01-01" });
        let read = self.post(meter_id, "records", all.clone()).await?;
        ensure!((&read["stored"], &read["damaged"]) == (&json!(count), &json!([])), "{read}");
        let read = self.post(meter_id, "records", all).await?;
        ensure!((&read["stored"], &read["known"]) == (&json!(0), &json!(count)), "{read}");
        let path = format!("/api/v1/meters/{meter_id}/records?kind={kind}");
        let kept = self.api.get(&path).await?;
        let items = kept["items"].as_array().map_or(0, Vec::len);
        ensure!(items == count && kept.to_string().contains(VOLUME), "{kept}");
        Ok(kept)
    }

    /// The clock is off, is set, and is right.
    async fn clock(&self, meter_id: &str) -> Result<()> {
        let reason = json!({ "way": "set", "reason": "an hour ahead" });
        let set = self.post(meter_id, "clock-settings", reason).await?;
        ensure!(set["state"] == "right" && set["drift_after_seconds"] == 0, "{set}");
        Ok(())
    }

    /// Months, clock, prices and valve of one meter.
    async fn all_of(&self, meter_id: &str) -> Result<()> {
        let kept = self.records(meter_id, "monthly", 3).await?;
        ensure!(kept.to_string().contains("-01T00:00:00"), "{kept}");
        self.clock(meter_id).await?;

        let ladder = json!({ "ladder-prices": "2.50 3.20 4.80", "ladder-steps": "15 30" });
        let set = self.post(meter_id, "settings", json!({ "parameters": ladder })).await?;
        ensure!(set.to_string().contains("confirmed"), "{set}");
        let path = format!("/api/v1/meters/{meter_id}/supply-control");
        for (command, supply) in [("disconnect", "disconnected"), ("connect", "connected")] {
            let answer =
                self.api.ask(Method::POST, &path, Some(json!({ "command": command }))).await?;
            ensure!(answer.body["supply"] == supply, "{command}: {:?}", answer.body);
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn months_clock_prices_and_valve() -> Result<()> {
    let bench = cjt188().await?;
    let standard = bench.enter(STANDARD, "W-1").await?;
    bench.all_of(&standard).await?;
    let otherwise = bench.enter(OTHERWISE, "W-2").await?;
    let parameters = json!({ "parameters": {
        "identifier-order": "high-first", "serial-number": false, "unit-first": true,
        "time-order": "high-first", "valve-open-code": "66", "valve-close-code": "77",
        "magnet-status": "08",
    } });
    let path = format!("/api/v1/meters/{otherwise}/parameters");
    let answer = bench.api.ask(Method::PUT, &path, Some(parameters)).await?;
    ensure!(answer.status.is_success(), "{:?}", answer.body);
    bench.all_of(&otherwise).await?;
    bench.post(&otherwise, "readings", json!({})).await?;
    let alarms = format!("/api/v1/alarms?standing=true&meter_id={otherwise}");
    let alarms = bench.api.get(&alarms).await?;
    ensure!(alarms["items"][0]["name"] == "magnetic-field", "{alarms}");

    // The meter took the time and its yes was lost: the clock itself says so.
    bench.simulator.fault(STANDARD, Fault::new(On::Write, FaultKind::LostAfterApply))?;
    let reason = json!({ "way": "set", "reason": "once more" });
    let set = bench.post(&standard, "clock-settings", reason).await?;
    ensure!(set["state"] == "right", "{set}");
    // A price table of which the meter never heard is no table that holds.
    bench.simulator.fault(STANDARD, Fault::new(On::Write, FaultKind::NoReply))?;
    let ladder = json!({ "ladder-prices": "2.50 3.20 4.90", "ladder-steps": "15 30" });
    let path = format!("/api/v1/meters/{standard}/settings");
    let set = json!({ "parameters": ladder });
    let answer = bench.api.ask(Method::POST, &path, Some(set)).await?;
    ensure!(!answer.body.to_string().contains("confirmed"), "{:?}", answer.body);
    bench.program.kill().await
}

/// Twenty-two months fill two telegrams. One meter's clock tells minutes, the other's seconds, and both
/// were an hour ahead and gain more.
#[tokio::test(flavor = "multi_thread")]
async fn stored_values_and_clock_of_m_bus_meters() -> Result<()> {
    let stored: Vec<MbusStored> = (0..22_u32)
        .map(|ago| {
            let on = format!("{}-{:02}-28", 2025 - ago / 12, 12 - ago % 12).parse()?;
            Ok(MbusStored { on, counted: 54_000 - u64::from(ago) * 1_000 })
        })
        .collect::<Result<_>>()?;
    let meter = |primary: u8, number: &str, clock_seconds| MbusPlan {
        primary,
        number: number.to_owned(),
        counted: 54_321,
        clock_seconds,
        clock_gains: 600,
        stored: stored.clone(),
        ..MbusPlan::default()
    };
    let meters = vec![meter(1, "12345678", false), meter(2, "12345679", true)];
    let driver = ("mbus", "MBUS", r#"["line", "log", "vault"]"#);
    let bench = bench(Meters::Mbus(meters), driver).await?;
    for (address, serial_number) in [("1", "M-1"), ("123456792D4D0107", "M-2")] {
        let meter_id = bench.enter(address, serial_number).await?;
        let kept = bench.records(&meter_id, "stored", 22).await?.to_string();
        ensure!(kept.contains("2025-12-28T00:00:00") && kept.contains("2024-03-28"), "{kept}");
        bench.clock(&meter_id).await?;
        let adjust = json!({ "way": "adjust", "reason": "a little" });
        let path = format!("/api/v1/meters/{meter_id}/clock-settings");
        let answer = bench.api.ask(Method::POST, &path, Some(adjust)).await?;
        ensure!(answer.body.to_string().contains("no way to adjust"), "{:?}", answer.body);
    }
    bench.program.kill().await
}
