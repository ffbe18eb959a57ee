//! `charge METER`: read a meter now and charge its customer's purse. The program that serves is asked;
//! where none does, the database is opened here.

use super::{ACTOR, Failure, open, print_json};
use crate::api::charges::Charged;
use crate::config::Config;
use crate::control::{Client, ControlError};
use crate::ui::view;
use std::path::Path;

pub async fn run(config: &Path, serial: &str) -> Result<(), Failure> {
    let control = Config::control_of(config)?;
    let route = format!("/control/meters/{}/charge", view::segment(serial));
    let charged: Charged = match Client::of(&control).post(&route, &serde_json::Value::Null).await {
        Ok(charged) => charged,
        Err(ControlError::NobodyServes(_)) => {
            let app = open(config).await?;
            let meter = app.service.meter_by_serial(serial).await?;
            let outcome = app.service.charge_meter(meter.meter_id, &ACTOR).await?;
            // Nobody else would cut what is used up now.
            if let polymeter_service::ChargeOutcome::Charged(charge) = &outcome {
                app.service.tend_supply(charge.customer_id).await?;
            }
            Charged::from(&outcome)
        }
        Err(error) => return Err(error.into()),
    };
    print_json(&charged)?;
    match charged.case {
        None => Ok(()),
        Some(case) => {
            let (id, why) = (case.reading_case_id, case.detail);
            Err(Failure::Wrong(format!("the reading was not charged: {why} (case {id})")))
        }
    }
}
