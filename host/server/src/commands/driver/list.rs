//! `driver list`: what serves, or where nobody serves what the configuration would serve.

use super::client;
use super::logs::local;
use crate::api::driver_health::Health;
use crate::app;
use crate::commands::Failure;
use crate::config::Config;
use crate::control::ControlError;
use jiff::tz::TimeZone;
use serde_json::Value;
use std::io::IsTerminal;
use std::path::Path;

const UNSIGNED: &str = "UNSIGNED";

/// One line of the table.
struct Row {
    name: String,
    state: String,
    version: String,
    vendor: String,
    signer: Option<String>,
    /// Calls, failures, traps; empty where it does not run.
    counts: [String; 3],
    rest: String,
}

pub async fn list(file: &Path) -> Result<(), Failure> {
    let config = Config::read(file)?;
    let disabled = config.drivers.iter().filter(|entry| !entry.is_enabled).map(|entry| Row {
        name: entry.config.name.clone(),
        state: "disabled".to_owned(),
        version: String::new(),
        vendor: entry.config.vendor.as_ref().map(ToString::to_string).unwrap_or_default(),
        signer: Some(String::new()),
        counts: Default::default(),
        rest: String::new(),
    });
    let disabled: Vec<Row> = disabled.collect();
    let mut rows = match client(&config).get::<Value>("/api/v1/drivers").await {
        Ok(drivers) => {
            let zone = &config.time_zone;
            let drivers = drivers.as_array().into_iter().flatten();
            drivers.flat_map(|driver| serving(driver, zone)).collect::<Vec<Row>>()
        }
        Err(ControlError::NobodyServes(_)) => {
            println!("no `polymeter serve` is running: this is what it would serve");
            idle(&config).await?
        }
        Err(error) => return Err(error.into()),
    };
    rows.extend(disabled);
    print(&rows);
    Ok(())
}

fn text(of: &Value, key: &str) -> String {
    of[key].as_str().unwrap_or_default().to_owned()
}

/// A driver that serves, and beneath it the versions beside it.
fn serving(driver: &Value, zone: &TimeZone) -> Vec<Row> {
    let name = text(driver, "name");
    let row = |of: &Value, state: String, rest: String| Row {
        name: name.clone(),
        state,
        version: text(of, "version"),
        vendor: text(driver, "vendor"),
        signer: of["signer"].as_str().map(ToOwned::to_owned),
        counts: health(of).map_or_else(Default::default, |it| {
            [it.calls, it.failures, it.traps()].map(|count| count.to_string())
        }),
        rest,
    };
    let (state, reason) = standing(driver, zone);
    let mut rows = vec![row(driver, state, reason)];
    let candidate = &driver["candidate"];
    if candidate.is_object() {
        let shown = format!(
            "{} compared, {} disagreed, {} reads, {} acts, {} faults",
            candidate["comparisons"],
            candidate["disagreements"],
            candidate["reads"],
            candidate["acts"],
            candidate["faults"]
        );
        let mut state = format!("candidate: {}", text(candidate, "stage"));
        if health(candidate).is_some_and(|it| it.is_quarantined()) {
            state = format!("candidate: {}", standing(candidate, zone).0);
        }
        rows.push(row(candidate, state, shown));
    }
    if driver["previous"].is_object() {
        rows.push(row(&driver["previous"], "previous".to_owned(), String::new()));
    }
    rows
}

fn health(of: &Value) -> Option<Health> {
    serde_json::from_value(of["health"].clone()).ok()
}

/// What a driver is doing, and of a quarantine why.
fn standing(of: &Value, zone: &TimeZone) -> (String, String) {
    let Some(health) = health(of) else { return ("serving".to_owned(), String::new()) };
    match &health.until {
        Some(until) => {
            let state = format!("{} until {}", health.standing, local(until, zone));
            (state, health.reason.unwrap_or_default())
        }
        None => (health.standing, String::new()),
    }
}

async fn idle(config: &Config) -> Result<Vec<Row>, Failure> {
    let fittings = app::load_fittings(config).await?;
    Ok(fittings
        .into_iter()
        .map(|fitting| Row {
            name: fitting.current.driver.name().to_owned(),
            state: "not running".to_owned(),
            version: fitting.current.version().to_owned(),
            vendor: fitting.current.vendor().to_string(),
            signer: fitting.current.signer.clone(),
            counts: Default::default(),
            rest: String::new(),
        })
        .collect())
}

fn print(rows: &[Row]) {
    const HEAD: [&str; 8] =
        ["name", "vendor", "version", "state", "signer", "calls", "failures", "traps"];
    let cells = |row: &Row| {
        let signer = row.signer.clone().unwrap_or_else(|| UNSIGNED.to_owned());
        let [calls, failures, traps] = row.counts.clone();
        let Row { name, vendor, version, state, .. } = row;
        let [name, vendor, version, state] = [name, vendor, version, state].map(Clone::clone);
        [name, vendor, version, state, signer, calls, failures, traps]
    };
    let table: Vec<[String; 8]> = rows.iter().map(cells).collect();
    let mut widths = HEAD.map(str::len);
    for cells in &table {
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = cell.chars().count().max(*width);
        }
    }
    let is_terminal = std::io::stdout().is_terminal();
    let line = |cells: &[String; 8], rest: &str| {
        let padded = cells.iter().zip(widths).map(|(cell, width)| {
            let padded = format!("{cell:<width$}");
            let is_alarm = cell == UNSIGNED || cell.contains("quarantined");
            if is_alarm && is_terminal { format!("\x1b[1;31m{padded}\x1b[0m") } else { padded }
        });
        let line = padded.collect::<Vec<_>>().join("  ") + "  " + rest;
        println!("{}", line.trim_end());
    };
    line(&HEAD.map(ToOwned::to_owned), "");
    for (cells, row) in table.iter().zip(rows) {
        line(cells, &row.rest);
    }
}
