//! CJ/T 188 water meters through the real program: the months that one keeps, its clock, its prices and
//! its valve, in the standard's own dialect and in one that differs in everything.

use anyhow::{Result, bail, ensure};
use e2e::{Api, Meter, Program, Site};
use meter_sim::{
    BusKind, BusPlan, Cjt188Plan, Endpoint, Fault, FaultKind, Meters, On, Plan, Simulator,
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
}

async fn bench() -> Result<Bench> {
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
    let meters = Meters::Cjt188(vec![meter(STANDARD), otherwise]);
    let bus = BusPlan::new("bus-water", BusKind::Tcp, meters);
    let simulator = Simulator::start(Plan { buses: vec![bus] })?;
    simulator.advance(3_600);
    let Endpoint::Tcp(address) = simulator.endpoint("bus-water")? else { bail!("a TCP bus") };
    let line = format!(
        "[[line]]\nname = \"bus-water\"\ntcp = \"{address}\"\ninter-frame-ms = 1\n\
         reply-timeout-ms = 400\nbyte-timeout-ms = 100\n"
    );
    let driver = ("cjt188-water", "CJT188", r#"["line", "log"]"#);
    let (site, program) = Site::with_drivers_and(&[driver], &line).await?;
    let api = site.api(&program);
    Ok(Bench { simulator, site, program, api })
}

impl Bench {
    async fn enter(&self, address: &'static str, serial_number: &'static str) -> Result<String> {
        let (vendor, line) = ("CJT188", "bus-water");
        let meter = Meter { serial_number, vendor, line, address, customer: "7" };
        self.site.enter_meter(&self.api, &meter).await
    }

    async fn post(&self, meter_id: &str, what: &str, body: Value) -> Result<Value> {
        self.api.post(&format!("/api/v1/meters/{meter_id}/{what}"), body).await
    }

    /// Months, clock, prices and valve of one meter.
    async fn all_of(&self, meter_id: &str) -> Result<()> {
        let all = json!({ "kind": "monthly", "since": "2020-01-01" });
        let read = self.post(meter_id, "records", all.clone()).await?;
        ensure!((&read["stored"], &read["damaged"]) == (&json!(3), &json!([])), "{read}");
        let read = self.post(meter_id, "records", all).await?;
        ensure!((&read["stored"], &read["known"]) == (&json!(0), &json!(3)), "{read}");
        let kept = self.api.get(&format!("/api/v1/meters/{meter_id}/records?kind=monthly")).await?;
        let volumes: Vec<&Value> = kept["items"].as_array().into_iter().flatten().collect();
        let all = kept.to_string();
        ensure!(
            volumes.len() == 3 && all.contains(VOLUME) && all.contains("-01T00:00:00"),
            "{all}"
        );

        let reason = json!({ "way": "set", "reason": "an hour ahead" });
        let set = self.post(meter_id, "clock-settings", reason).await?;
        ensure!(set["state"] == "right" && set["drift_after_seconds"] == 0, "{set}");

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
    let bench = bench().await?;
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
