//! `driver logs NAME`: the last lines that a driver of the running program wrote, and its last trap.

use crate::api::driver_health::{LastTrap, LogLine};
use crate::commands::Failure;
use crate::config::Config;
use crate::control::Client;
use crate::ui::view;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;
use std::path::Path;

pub async fn logs(file: &Path, name: &str) -> Result<(), Failure> {
    let config = Config::read(file)?;
    let client = Client::of(&config.control);
    let route = format!("/api/v1/drivers/{}", view::segment(name));
    let lines: Vec<LogLine> = client.get(&format!("{route}/log")).await?;
    let driver: Value = client.get(&route).await?;
    for LogLine { at, version, level, text } in &lines {
        println!("{} {version} {level:<5} {text}", local(at, &config.time_zone));
    }
    let trap = serde_json::from_value::<Option<LastTrap>>(driver["health"]["last_trap"].clone());
    let trap = trap.map_err(Failure::while_doing("reading the running program's answer"))?;
    match &trap {
        Some(LastTrap { at, text }) => {
            println!("last trap {}: {text}", local(at, &config.time_zone));
        }
        None if lines.is_empty() => println!("{name} has written nothing since it was loaded"),
        None => {}
    }
    Ok(())
}

/// The site's civil time of an instant in RFC 3339.
pub(super) fn local(at: &str, zone: &TimeZone) -> String {
    at.parse::<Timestamp>().map_or_else(
        |_| at.to_owned(),
        |at| zone.to_datetime(at).strftime("%Y-%m-%d %H:%M:%S").to_string(),
    )
}
