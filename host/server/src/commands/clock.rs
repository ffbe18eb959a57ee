//! `clock METER [adjust|set]`: how far a meter's clock is off, and putting it right.

use super::{ACTOR, Failure, open};
use polymeter_domain::ClockDrift;
use polymeter_runtime::ClockWay;
use polymeter_service::{ClockSetting, ClockState};
use std::path::Path;

/// For clap: one of the ways by its name.
pub fn way(name: &str) -> Result<ClockWay, String> {
    let all = || ClockWay::ALL.map(ClockWay::name).join(", ");
    ClockWay::from_name(name).ok_or_else(|| format!("it is none of {}", all()))
}

/// Without a way the clock is only read.
pub async fn run(
    config: &Path,
    serial: &str,
    way: Option<ClockWay>,
    reason: &str,
) -> Result<(), Failure> {
    let app = open(config).await?;
    let meter = app.service.meter_by_serial(serial).await?;
    let Some(way) = way else {
        let reading = app.service.read_meter(meter.meter_id, &ACTOR).await?;
        let Some(drift) = reading.drift else {
            return Err(Failure::Wrong(format!("meter {serial} tells no time of its own")));
        };
        println!("the clock of meter {serial} is {drift}");
        return Ok(());
    };
    let it = app.service.set_meter_clock(meter.meter_id, way, reason, &ACTOR).await?;
    println!("clock setting {}: {}", it.clock_setting_id, before(it.drift_s));
    ended(&it)
}

fn ended(it: &ClockSetting) -> Result<(), Failure> {
    match it.state {
        ClockState::Right => {
            let after = ClockDrift::in_words(it.drift_after_s.unwrap_or(0));
            println!("the clock was read back: {after}");
            Ok(())
        }
        ClockState::Waiting => {
            println!("it waits for a second person");
            Ok(())
        }
        ClockState::Refused | ClockState::Wrong => Err(Failure::ClockRefused(it.detail.clone())),
        ClockState::Unknown => Err(Failure::ClockUnknown(it.detail.clone())),
        state => Err(Failure::Wrong(format!("it is {}: {}", state.name(), it.detail))),
    }
}

fn before(drift_s: Option<i64>) -> String {
    let was = |seconds| format!("it was {}", ClockDrift::in_words(seconds));
    drift_s.map_or_else(|| "it showed no time".to_owned(), was)
}
