//! `read METER`: ask now, print JSON.

use super::{ACTOR, Failure, open, print_json};
use crate::api::readings::Reading;
use std::path::Path;

pub async fn run(config: &Path, serial: &str) -> Result<(), Failure> {
    let app = open(config).await?;
    let meter = app.service.meter_by_serial(serial).await?;
    let reading = app.service.read_meter(meter.meter_id, &ACTOR).await?;
    print_json(&Reading::from(&reading))
}
