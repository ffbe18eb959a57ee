//! `driver trace METER`: the last calls to a meter as transcripts, the newest last. The program that
//! serves is asked; where none does, what it left on disk is shown.

use super::{Failure, open};
use crate::api::conversations::Trace;
use crate::config::Config;
use crate::control::{Client, ControlError};
use crate::ui::view::segment;
use std::path::Path;

pub async fn run(config: &Path, serial_number: &str, last: u32) -> Result<(), Failure> {
    let control = Config::control_of(config)?;
    let route = format!("/control/meters/{}/trace?last={last}", segment(serial_number));
    let mut texts: Vec<String> = match Client::of(&control).get::<Vec<Trace>>(&route).await {
        Ok(traces) => traces.into_iter().map(|trace| trace.transcript).collect(),
        Err(ControlError::NobodyServes(_)) => on_disk(config, serial_number, last).await?,
        Err(error) => return Err(error.into()),
    };
    if texts.is_empty() {
        return Err(Failure::Wrong(format!("no call to meter {serial_number} was kept")));
    }
    texts.reverse();
    print!("{}", texts.join("\n"));
    Ok(())
}

/// Of a program that does not run only the calls that did not end well are left.
async fn on_disk(config: &Path, serial_number: &str, last: u32) -> Result<Vec<String>, Failure> {
    let app = open(config).await?;
    let meter = app.service.meter_by_serial(serial_number).await?;
    let last = usize::try_from(last).unwrap_or(usize::MAX);
    let found = app.service.conversations(meter.meter_id, last).await?;
    Ok(found.iter().map(|conversation| conversation.transcript.to_string()).collect())
}
