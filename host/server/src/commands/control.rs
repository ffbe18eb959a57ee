//! `control METER disconnect|connect|allow|protect|unprotect`.

use super::{ACTOR, Failure, open};
use crate::api::values;
use polymeter_domain::SupplyCommand;
use std::path::Path;

pub async fn run(config: &Path, serial: &str, command: SupplyCommand) -> Result<(), Failure> {
    let app = open(config).await?;
    let meter = app.service.meter_by_serial(serial).await?;
    let state = app.service.control(meter.meter_id, command, &ACTOR).await?;
    println!("meter {serial} reports: {}", values::supply(state));
    Ok(())
}
