//! `day-close`: signs and keeps the head of the books. The program that serves does it; where none does,
//! the database is opened here.

use super::{ACTOR, Failure, open};
use crate::api::day_closes::DayCloseDetail;
use crate::config::Config;
use crate::control::{Client, ControlError};
use polymeter_domain::tariff::Date;
use serde_json::json;
use std::path::Path;

pub async fn run(config: &Path, day: Option<&str>) -> Result<(), Failure> {
    let day: Option<Date> = day
        .map(|day| day.parse().map_err(|error| Failure::Usage(format!("--day: {error}"))))
        .transpose()?;
    let control = Config::control_of(config)?;
    let body = json!({ "day": day.map(|day| day.to_string()) });
    let closed: DayCloseDetail = match Client::of(&control).post("/control/day-closes", &body).await
    {
        Ok(closed) => closed,
        Err(ControlError::NobodyServes(_)) => {
            let app = open(config).await?;
            let sign = |head: &str| app.head_key.sign(head);
            DayCloseDetail::from(&app.service.close_day(day, sign, &ACTOR).await?)
        }
        Err(error) => return Err(error.into()),
    };
    println!("day {} is closed 日结, up to transfer {}", closed.close.day, closed.close.sequence);
    for channel in &closed.channels {
        println!(
            "  {}: in {} out {} {}",
            channel.channel, channel.taken_in, channel.given_out, channel.currency
        );
    }
    print!("{}", closed.close.head);
    Ok(())
}
