//! Writing: C=04H. Each parameter is written, read back and compared, which is proof enough even
//! where the answer was lost.

use crate::exchange::{Answer, Exchange, device_code};
use crate::settings::{Settings, bad, digits, name};
use polymeter_codec::bcd;
use polymeter_codec::dlt645::answer::Identifier;
use polymeter_codec::dlt645::{control_1997, request};
use polymeter_driver::codes::refusal;
use polymeter_driver::{Call, Decimal, DriverError, Extras, Host, Refusal, SetOutcome, Value};

const CUSTOMER_NUMBER: u16 = 0xC033;
const READING_DAY: u16 = 0xC117;
/// A day that every month has.
const DAY_MAX: i64 = 28;

/// Bits of the error byte (DL/T 645-1997, 5.4.7).
const BITS: &[(u8, &str, u16)] = &[
    (0x04, "wrong password", refusal::WRONG_PASSWORD),
    (0x02, "no such identifier", refusal::NO_SUCH_FUNCTION),
    (0x01, "bad data", refusal::BAD_VALUE),
    (0x10, "too many year zones", refusal::BAD_VALUE),
    (0x20, "too many day slots", refusal::BAD_VALUE),
    (0x40, "too many tariffs", refusal::BAD_VALUE),
];

pub fn set(
    host: &mut dyn Host,
    call: &Call,
    parameters: &Extras,
) -> Result<SetOutcome, DriverError> {
    let settings = Settings::acting(call)?;
    let writes = parameters.iter().map(item_of).collect::<Result<Vec<_>, _>>()?;
    let mut exchange = Exchange::new(host, settings);
    let mut done: Vec<&str> = Vec::new();
    for ((name, _), (identifier, bytes)) in parameters.iter().zip(&writes) {
        match write(&mut exchange, *identifier, bytes)? {
            SetOutcome::Confirmed => done.push(name),
            SetOutcome::Refused(mut refusal) => {
                refusal.detail = told(name, &refusal.detail, &done);
                return Ok(SetOutcome::Refused(refusal));
            }
            SetOutcome::Unknown(why) => return Ok(SetOutcome::Unknown(told(name, &why, &done))),
        }
    }
    Ok(SetOutcome::Confirmed)
}

/// Which parameter it is about, and which are in the meter already.
fn told(name: &str, detail: &str, done: &[&str]) -> String {
    match done {
        [] => format!("{name}: {detail}"),
        done => format!("{name}: {detail}; already written: {}", done.join(", ")),
    }
}

/// Identifier and bytes, low byte first.
fn item_of((name, value): &(String, Value)) -> Result<(u16, Vec<u8>), DriverError> {
    match (name.as_str(), value) {
        (name::CUSTOMER_NUMBER, Value::Text(text)) => {
            let padded = format!("{text:0>12}");
            let pairs = digits(&padded).filter(|pairs| pairs.len() == 6 && !text.is_empty());
            let mut pairs = pairs.ok_or_else(|| bad(format!("{name} must be 1 to 12 digits")))?;
            pairs.reverse();
            Ok((CUSTOMER_NUMBER, pairs))
        }
        (name::READING_DAY, Value::Number(Decimal { mantissa, scale: 0 }))
            if (1..=DAY_MAX).contains(mantissa) =>
        {
            // hh DD
            let mut bytes = vec![0, 0];
            let day = u64::try_from(*mantissa).unwrap_or(0);
            bcd::encode(day.saturating_mul(100), &mut bytes)
                .map_err(|reason| bad(format!("{name}: {reason}")))?;
            Ok((READING_DAY, bytes))
        }
        (name::READING_DAY, _) => Err(bad(format!("{name} must be a day from 1 to {DAY_MAX}"))),
        (name::CUSTOMER_NUMBER, _) => Err(bad(format!("{name} must be a text"))),
        (other, _) => Err(bad(format!("`{other}` is no parameter that lives in the meter"))),
    }
}

fn write(
    exchange: &mut Exchange<'_>,
    identifier: u16,
    bytes: &[u8],
) -> Result<SetOutcome, DriverError> {
    let data = request::write_1997(identifier, exchange.settings.password, bytes)
        .map_err(|reason| bad(reason.to_string()))?;
    let lost = match exchange.ask(control_1997::WRITE, data, Identifier::None) {
        Ok(Answer::Yes { .. }) => None,
        Ok(Answer::No { error, .. }) => return Ok(SetOutcome::Refused(refused(&error))),
        Err(lost) => Some(lost.detail),
    };
    Ok(match exchange.read(identifier) {
        Ok(Some((_, found))) if found == bytes => SetOutcome::Confirmed,
        Ok(_) => SetOutcome::Unknown("the meter does not hold the value".to_owned()),
        Err(unread) => SetOutcome::Unknown(lost.unwrap_or(unread.detail)),
    })
}

/// Named by its first known bit; the detail names all.
pub fn refused(error: &[u8]) -> Refusal {
    let bits = error.first().copied().unwrap_or(0);
    let set: Vec<&(u8, &str, u16)> = BITS.iter().filter(|(bit, ..)| bits & bit != 0).collect();
    let names: Vec<&str> = set.iter().map(|(_, name, _)| *name).collect();
    let detail = if names.is_empty() { "no reason given".to_owned() } else { names.join(", ") };
    let code = set.first().map_or(refusal::OTHER, |(_, _, code)| *code);
    Refusal { code, detail, device_code: Some(device_code(error)) }
}
