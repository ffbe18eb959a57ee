//! Writing: parameters by C=14H and clearing by C=1AH. Both name a final state, so reading it back
//! is proof enough, even where the answer was lost.

use crate::exchange::{Answer, Exchange};
use crate::held::HELD;
use crate::purse::status;
use crate::settings::Settings;
use crate::words;
use crate::writes::item_of;
use polymeter_codec::dlt645::control;
use polymeter_driver::{Call, DriverError, Extras, Host, Receipt, SellOutcome, SetOutcome};

/// Password levels: 04 is the usual one for programming, 02 for the plain commands of high right.
pub const LEVEL_WRITE: u8 = 0x04;
const LEVEL_CLEAR: u8 = 0x02;

pub fn set(
    host: &mut dyn Host,
    call: &Call,
    parameters: &Extras,
) -> Result<SetOutcome, DriverError> {
    let settings = Settings::acting(call)?;
    let writes = parameters.iter().map(item_of).collect::<Result<Vec<_>, _>>()?;
    let mut exchange = Exchange::new(host, settings);
    let mut done: Vec<&str> = Vec::new();
    for ((name, _), (identifier, bytes)) in parameters.iter().zip(writes) {
        match write(&mut exchange, identifier, &bytes) {
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
    if done.is_empty() {
        format!("{name}: {detail}")
    } else {
        format!("{name}: {detail}; already written: {}", done.join(", "))
    }
}

fn write(exchange: &mut Exchange<'_>, identifier: u32, bytes: &[u8]) -> SetOutcome {
    let data = exchange.settings.written(LEVEL_WRITE, identifier, bytes);
    let lost = match exchange.ask(control::WRITE, &data) {
        Ok(Answer::Yes(..)) => None,
        Ok(Answer::No(error)) => return SetOutcome::Refused(words::plain_refusal(&error)),
        Err(lost) => Some(lost.detail),
    };
    match exchange.read(identifier) {
        Ok(Some(found)) if found == bytes => SetOutcome::Confirmed,
        Ok(_) => SetOutcome::Unknown("the meter does not hold the value".to_owned()),
        Err(unread) => SetOutcome::Unknown(lost.unwrap_or(unread.detail)),
    }
}

pub fn clear(host: &mut dyn Host, call: &Call) -> Result<SellOutcome, DriverError> {
    let settings = Settings::acting(call)?;
    let [p0, p1, p2] = settings.password;
    let mut data = vec![LEVEL_CLEAR, p0, p1, p2];
    data.extend(settings.operator_code);
    let mut exchange = Exchange::new(host, settings);
    let lost = match exchange.ask(control::CLEAR_METER, &data) {
        Ok(Answer::Yes(..)) => None,
        Ok(Answer::No(error)) => {
            return Ok(SellOutcome::Refused(words::plain_refusal(&error)));
        }
        Err(lost) => Some(lost.detail),
    };
    let found = empty(&mut exchange);
    Ok(match found {
        Ok(true) => SellOutcome::Confirmed(Receipt {
            count: 0,
            balance: Some(HELD.credit(0)),
            extras: Vec::new(),
        }),
        Ok(false) => SellOutcome::Unknown(lost.unwrap_or_else(|| {
            "the meter accepted, but its count and purse do not both read 0".to_owned()
        })),
        Err(unread) => SellOutcome::Unknown(lost.unwrap_or(unread.detail)),
    })
}

/// Count and purse both read, and both 0.
fn empty(exchange: &mut Exchange<'_>) -> Result<bool, DriverError> {
    let Some(status) = status(exchange)? else { return Ok(false) };
    let left = exchange.read(HELD.remaining)?;
    let is_empty = left.is_some_and(|bytes| bytes == [0; 4]);
    Ok(status.count == 0 && status.balance == 0 && is_empty)
}
