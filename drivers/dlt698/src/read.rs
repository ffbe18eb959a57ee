//! Who is there, what it measures, what its purse holds.

use crate::exchange::Exchange;
use crate::measure::{self, Measured};
use crate::relay::supply_of;
use crate::settings::Settings;
use polymeter_codec::dlt698::{Ask, Body, Data, GetResult, Got, Oad, Value as Got1};
use polymeter_driver::codes::{error, quantity, supply};
use polymeter_driver::{Call, Credit, DriverError, Evidence, Host, Identity, Snapshot};

pub fn probe(host: &mut dyn Host, call: &Call) -> Result<Identity, DriverError> {
    let mut exchange = Exchange::new(host, Settings::asking(call)?);
    let address = own_address(&mut exchange)?;
    Ok(Identity { address, model: String::new(), extras: Vec::new() })
}

/// Asks for the address; what the answer says must be what its frame comes from.
pub fn own_address(exchange: &mut Exchange<'_>) -> Result<String, DriverError> {
    let answer = exchange.ask(Ask::Get(measure::ADDRESS))?;
    let told = match one(&answer.body()?, measure::ADDRESS)? {
        GetResult::Data(Data::Octets(bytes)) => {
            bytes.iter().map(|byte| format!("{byte:02X}")).collect::<String>()
        }
        GetResult::Refused(why) => return Err(refused(measure::ADDRESS, why)),
        GetResult::Data(_) => {
            return Err(DriverError::new(error::GARBLED, "an address that is no octets"));
        }
    };
    let from = answer.server.to_string();
    // Leading zeros may be left out in either.
    if told.trim_start_matches('0') != from.trim_start_matches('0') {
        return Err(DriverError::new(error::GARBLED, format!("{from} says that it is {told}")));
    }
    Ok(from)
}

pub fn read(host: &mut dyn Host, call: &Call) -> Result<Snapshot, DriverError> {
    let mut exchange = Exchange::new(host, Settings::asking(call)?);
    let answer = exchange.ask(Ask::GetSeveral(&measure::READ))?;
    let body = answer.body()?;
    let Body::Got(Got::Several(values)) = body else {
        return Err(DriverError::new(error::OTHER_DEVICE, "not an answer with several values"));
    };
    let asked = values.iter().map(|value| value.attribute);
    if !asked.eq(measure::READ) {
        return Err(DriverError::new(error::OTHER_DEVICE, "values of other attributes than asked"));
    }
    let mut measured = Measured::default();
    let mut supply = supply::UNKNOWN;
    for Got1 { attribute, result } in values.iter() {
        measured.take(attribute, &result);
        if attribute == measure::STATUS
            && let GetResult::Data(data) = &result
        {
            supply = supply_of(data);
        }
    }
    Ok(Snapshot { measurements: measured.measurements, supply, extras: measured.extras })
}

pub fn check(host: &mut dyn Host, call: &Call) -> Result<Evidence, DriverError> {
    let mut exchange = Exchange::new(host, Settings::asking(call)?);
    let answer = exchange.ask(Ask::Get(measure::PURSE))?;
    match one(&answer.body()?, measure::PURSE)? {
        GetResult::Refused(why) => Err(refused(measure::PURSE, why)),
        GetResult::Data(data) => {
            let (fen, count) = measure::purse(&data).ok_or_else(|| {
                DriverError::new(error::GARBLED, "a purse that is not money and count")
            })?;
            let balance = Some(Credit { quantity: quantity::MONEY, amount: fen.into() });
            Ok(Evidence { count, purchase: None, balance })
        }
    }
}

/// The value of the one attribute that was asked for.
pub fn one<'a>(body: &Body<'a>, attribute: Oad) -> Result<GetResult<'a>, DriverError> {
    match body {
        Body::Got(Got::One(value)) if value.attribute == attribute => Ok(value.result),
        _ => {
            let why = format!("not an answer with the value of {attribute}");
            Err(DriverError::new(error::OTHER_DEVICE, why))
        }
    }
}

/// DAR 4 and 6: no such object (DL/T 698.45-2017, 7.3.5.1).
fn refused(attribute: Oad, why: u8) -> DriverError {
    let code = if matches!(why, 4 | 6) { error::NO_SUCH_DATA } else { error::DEVICE_SAYS_NO };
    let mut refused = DriverError::new(code, format!("the meter refuses {attribute}"));
    refused.device_code = Some(format!("{why:02X}"));
    refused
}
