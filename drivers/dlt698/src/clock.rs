//! The meter's clock, written under whatever rights this client has, and read back.
//!
//! Not here: broadcast time (method 127 of 4000), which a meter takes by rules of its own vendor.

use crate::exchange::Exchange;
use crate::measure;
use crate::read::one;
use crate::relay::refused;
use crate::settings::{Settings, bad};
use polymeter_codec::dlt698::{Ask, Body, Changed, Data, Date, DateTime, GetResult, Term, Time};
use polymeter_driver::codes::{clock, error};
use polymeter_driver::{Call, ClockOutcome, DriverError, Host, LocalTime};

pub fn set(host: &mut dyn Host, call: &Call, way: u16) -> Result<ClockOutcome, DriverError> {
    let settings = Settings::acting(call)?;
    match way {
        clock::SET => {}
        clock::ADJUST => {
            let detail = "no rules are published by which anybody may adjust this clock: set it";
            return Err(DriverError::new(error::UNSUPPORTED, detail));
        }
        other => return Err(bad(format!("there is no way {other} of setting a clock"))),
    }
    let mut exchange = Exchange::new(host, settings);
    let time = Term::One(Data::DateTime(of(call.now)));
    match exchange.ask(Ask::Set(measure::CLOCK, time)) {
        Ok(answer) => {
            if let Body::SetDone(Changed::One(result)) = answer.body()?
                && result.attribute == measure::CLOCK
                && result.refusal != 0
            {
                return Ok(ClockOutcome::Refused(refused(result.refusal)));
            }
        }
        // Perhaps only the answer was lost: the clock tells.
        Err(lost) if lost.code != error::LINE => {}
        Err(lost) => return Ok(ClockOutcome::Unknown(lost.detail)),
    }
    Ok(match shown(&mut exchange) {
        Ok(Some(shown)) => ClockOutcome::Confirmed(shown),
        Ok(None) => ClockOutcome::Unknown("the clock shows no time afterwards".to_owned()),
        Err(unread) => {
            ClockOutcome::Unknown(format!("the clock was not read back: {}", unread.detail))
        }
    })
}

fn shown(exchange: &mut Exchange<'_>) -> Result<Option<LocalTime>, DriverError> {
    let answer = exchange.ask(Ask::Get(measure::CLOCK))?;
    Ok(match one(&answer.body()?, measure::CLOCK)? {
        GetResult::Data(data) => measure::local(&data),
        GetResult::Refused(_) => None,
    })
}

/// `date_time_s`, the type of the attribute (DL/T 698.45-2017, 8.3.7.1: 4000, attribute 2).
pub fn of(now: LocalTime) -> DateTime {
    let LocalTime { year, month, day, hour, minute, second } = now;
    DateTime {
        date: Date { year, month, day, weekday: None },
        time: Time { hour, minute, second },
        millisecond: None,
    }
}
