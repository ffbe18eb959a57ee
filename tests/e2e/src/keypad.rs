//! A site that vends STS tokens: its driver, the keys of two supply groups, and keypad meters with accounts.
//!
//! Invariant: a meter's simulated keypad gets nothing but digits. Not here: what is typed into it (tests).

use crate::{Api, PASSWORD, Program, Site, run, write_private};
use anyhow::{Context, Result, ensure};
use meter_sim::{KeyOrigin, sample_tables};
use serde_json::json;
use std::ffi::OsStr;
use std::path::PathBuf;

/// The vending key of the published conformance tests, and another.
const VENDING: [[u8; 8]; 2] = [[0xAB; 8], [0x17; 8]];
pub const PANS: [&str; 2] = ["600727000000000009", "600727000000000017"];

/// The account number of one more meter, with its check digit (ISO/IEC 7812-1, Luhn).
pub fn pan(number: u64) -> &'static str {
    let digits = format!("600727{number:011}");
    let doubled = |nth: usize, digit: u32| if nth.is_multiple_of(2) { digit * 2 } else { digit };
    let sum: u32 = digits
        .chars()
        .rev()
        .filter_map(|digit| digit.to_digit(10))
        .enumerate()
        .map(|(nth, digit)| doubled(nth, digit))
        .map(|digit| if digit > 9 { digit - 9 } else { digit })
        .sum();
    format!("{digits}{}", (10 - sum % 10) % 10).leak()
}

/// Of which a meter's key is made, with the key of either group.
pub fn origin(pan: &'static str, group: usize) -> KeyOrigin {
    let (supply_group, revision) = [(123_456, 1), (654_321, 2)][group];
    let (vending_key, pan) = (VENDING[group], pan.into());
    KeyOrigin { vending_key, pan, supply_group, tariff_index: 1, revision }
}

/// A site with the driver, the keys of two supply groups and the sample tables.
pub async fn site() -> Result<(Site, Program)> {
    site_with(&[], "").await
}

/// The same, with more drivers and more lines.
pub async fn site_with(drivers: &[(&str, &str, &str)], lines: &str) -> Result<(Site, Program)> {
    let more = format!("[approval]\nclear = \"0.00\"\n{lines}");
    let of_tokens = ("sts-token", "STS", r#"["line", "vault", "log"]"#);
    let drivers = [&[of_tokens], drivers].concat();
    let (site, program) = Site::with_drivers_and(&drivers, &more).await?;
    program.kill().await?;
    let config = site.config.display().to_string();
    let file = site.folder.path().join("sts.key");
    let shown = file.display().to_string();
    for (label, kind, bytes) in [
        ("vending-123456-1", "sts-des", VENDING[0].to_vec()),
        ("vending-654321-2", "sts-des", VENDING[1].to_vec()),
        ("sts-tables", "sts-tables", sample_tables()),
    ] {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        write_private(&file, &digits)?;
        let words =
            ["--config", &config, "vault", "add", "STS", label, "--kind", kind, "--from", &shown];
        let ended = run(words).await?;
        ensure!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    }
    let program = Program::start(&site.config, None).await?;
    Ok((site, program))
}

/// A meter with an account; its id.
pub async fn add(api: &Api, serial: &str, pan: &str, price: &str, base: u32) -> Result<String> {
    let plan = json!({ "name": format!("Plan {serial}"),
        "definition": format!("unit kWh\nprice {price}\n") });
    let plan = api.post("/api/v1/tariffs", plan).await?;
    let new = json!({ "serial_number": serial, "vendor": "STS", "address": pan,
        "parameters": { "supply-group": "123456", "derivation": 2, "encryption": 7,
            "base-date": base },
        "tariff": { "tariff_plan_id": plan["tariff_plan_id"] } });
    let meter = api.post("/api/v1/meters", new).await?;
    ensure!((&meter["mode"], &meter["line"]) == (&json!("token"), &json!("")), "{meter}");
    let customer = json!({ "number": pan.get(10..).context("a PAN")?, "name": "Hut", "phone": "1",
        "premises": "Hill" });
    let customer = api.post("/api/v1/customers", customer).await?;
    let meter_id = meter["meter_id"].as_str().context("an id")?.to_owned();
    let account = json!({ "customer_id": customer["customer_id"] });
    api.post(&format!("/api/v1/meters/{meter_id}/account"), account).await?;
    Ok(meter_id)
}

/// An operator who may agree, made and logged in.
pub async fn second(api: &Api, program: &Program) -> Result<Api> {
    let new = json!({ "name": "bo", "password": PASSWORD, "rights": ["approve"] });
    api.post("/api/v1/operators", new).await?;
    as_second(program).await
}

/// The same one, once made.
pub async fn as_second(program: &Program) -> Result<Api> {
    let session = Api::log_in(&program.url, "bo", PASSWORD).await?;
    Ok(Api::new(&program.url, session.body["token"].as_str().context("a token")?))
}

/// A program that is told where to die once it runs.
#[derive(Debug)]
pub struct Deadly(PathBuf);

impl Deadly {
    pub async fn start(site: &Site) -> Result<(Program, Deadly)> {
        let file = site.folder.path().join("die.here");
        let _ = std::fs::remove_file(&file);
        let order = format!("@{}", file.display());
        let variable = ("POLYMETER_CRASH_AT", OsStr::new(&order));
        Ok((Program::start_in(&site.config, &[variable]).await?, Deadly(file)))
    }

    pub fn kill_at(&self, point: &str) -> Result<()> {
        Ok(std::fs::write(&self.0, point)?)
    }
}
