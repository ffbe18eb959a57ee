//! `driver list`: what serves, or where nobody serves what the configuration would serve.

use super::client;
use crate::app;
use crate::commands::Failure;
use crate::config::Config;
use crate::control::ControlError;
use serde_json::Value;
use std::io::IsTerminal;
use std::path::Path;

/// One line of the table.
struct Row {
    name: String,
    state: String,
    version: String,
    vendor: String,
    signer: Option<String>,
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
        rest: String::new(),
    });
    let disabled: Vec<Row> = disabled.collect();
    let mut rows = match client(&config).get::<Value>("/api/v1/drivers").await {
        Ok(drivers) => {
            drivers.as_array().into_iter().flatten().flat_map(serving).collect::<Vec<Row>>()
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
fn serving(driver: &Value) -> Vec<Row> {
    let name = text(driver, "name");
    let row = |of: &Value, state: String, rest: String| Row {
        name: name.clone(),
        state,
        version: text(of, "version"),
        vendor: text(driver, "vendor"),
        signer: of["signer"].as_str().map(ToOwned::to_owned),
        rest,
    };
    let mut rows = vec![row(driver, "serving".to_owned(), String::new())];
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
        rows.push(row(candidate, format!("candidate: {}", text(candidate, "stage")), shown));
    }
    if driver["previous"].is_object() {
        rows.push(row(&driver["previous"], "previous".to_owned(), String::new()));
    }
    rows
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
            rest: String::new(),
        })
        .collect())
}

fn print(rows: &[Row]) {
    let is_terminal = std::io::stdout().is_terminal();
    println!("{:<20} {:<10} {:<10} {:<24} {:<18}", "name", "vendor", "version", "state", "signer");
    for row in rows {
        let signer = match &row.signer {
            Some(signer) => format!("{signer:<18}"),
            None if is_terminal => format!("\x1b[1;31m{:<18}\x1b[0m", "UNSIGNED"),
            None => format!("{:<18}", "UNSIGNED"),
        };
        let line = format!(
            "{:<20} {:<10} {:<10} {:<24} {signer} {}",
            row.name, row.vendor, row.version, row.state, row.rest
        );
        println!("{}", line.trim_end());
    }
}
