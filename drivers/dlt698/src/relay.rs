//! The breaker: objects 8000 (remote control) and 8001 (protection), and status word 3 as their
//! only judge. An accepted command is not an executed one.

use crate::exchange::Exchange;
use crate::measure::{self, status_words};
use crate::read::one;
use crate::settings::{Settings, bad};
use polymeter_codec::dlt698::{Ask, Body, Changed, Data, GetResult, Oad, Term};
use polymeter_driver::codes::{command, error, refusal, supply};
use polymeter_driver::{Call, ControlOutcome, DriverError, Host, LocalTime, Refusal};

/// The first relay.
const RELAY: Oad = Oad(0xF205_0201);
/// Methods 129 (trip) and 130 (close) of 8000; 127 (begin) and 128 (end) of 8001.
const TRIP: Oad = Oad(0x8000_8100);
const CLOSE: Oad = Oad(0x8000_8200);
const PROTECT: Oad = Oad(0x8001_7F00);
const END_PROTECTION: Oad = Oad(0x8001_8000);

/// How often the state is read before it is called unknown.
const LOOKS: usize = 3;
/// Status word 3 as in DL/T 645-2007: the relay is open; it was told to; the supply is protected.
const OPEN: u16 = 1 << 4;
const TOLD_TO_OPEN: u16 = 1 << 6;
const PROTECTED: u16 = 1 << 12;

pub fn control(
    host: &mut dyn Host,
    call: &Call,
    command: u16,
    valid_until: Option<LocalTime>,
) -> Result<ControlOutcome, DriverError> {
    let settings = Settings::acting(call)?;
    if valid_until.is_some() {
        return Err(bad("a DL/T 698.45 command has no end"));
    }
    let byte = |value: u64| Data::Unsigned { value, bytes: 1 };
    // No alarm before it, no limit in time, no closing by itself.
    let trip =
        [Data::Attribute(RELAY), byte(0), Data::Unsigned { value: 0, bytes: 2 }, Data::Bool(false)];
    let allow = [Data::Attribute(RELAY), Data::Enum(0)];
    let close = [Data::Attribute(RELAY), Data::Enum(1)];
    let (trips, allows, closes) = ([&trip[..]], [&allow[..]], [&close[..]]);
    let (method, argument) = match command {
        command::DISCONNECT => (TRIP, Term::Structures(&trips)),
        command::CONNECT => (CLOSE, Term::Structures(&closes)),
        command::ALLOW_CONNECTION => (CLOSE, Term::Structures(&allows)),
        command::PROTECT => (PROTECT, Term::One(Data::Null)),
        command::END_PROTECTION => (END_PROTECTION, Term::One(Data::Null)),
        other => return Err(bad(format!("there is no supply command {other}"))),
    };
    let mut exchange = Exchange::new(host, settings);
    let accepted = match exchange.ask(Ask::Action(method, argument)) {
        Ok(answer) => match answer.body()? {
            Body::ActionDone(Changed::One(result)) if result.method == method => {
                if result.refusal != 0 {
                    return Ok(ControlOutcome::Refused(refused(result.refusal)));
                }
                true
            }
            _ => false,
        },
        // Perhaps only the answer was lost.
        Err(lost) if lost.code != error::LINE => false,
        Err(lost) => return Ok(ControlOutcome::Unknown(lost.detail)),
    };
    Ok(judged(&mut exchange, command, accepted))
}

/// Reads the state until it is what was asked for, a few times.
fn judged(exchange: &mut Exchange<'_>, command: u16, accepted: bool) -> ControlOutcome {
    let mut last = None;
    for _ in 0..LOOKS {
        last = word(exchange);
        if let Some(word) = last
            && done(command, word, accepted)
        {
            return ControlOutcome::Confirmed(state(word));
        }
    }
    let accepted = if accepted { "accepted" } else { "not acknowledged" };
    ControlOutcome::Unknown(match last {
        Some(word) => format!("the command was {accepted}, and status word 3 is {word:04X}"),
        None => format!("the command was {accepted}, and status word 3 could not be read"),
    })
}

fn word(exchange: &mut Exchange<'_>) -> Option<u16> {
    let answer = exchange.ask(Ask::Get(measure::STATUS)).ok()?;
    match one(&answer.body().ok()?, measure::STATUS).ok()? {
        GetResult::Data(data) => third(&data),
        GetResult::Refused(_) => None,
    }
}

fn third(data: &Data<'_>) -> Option<u16> {
    status_words(data).get(2).copied().flatten()
}

fn done(command: u16, word: u16, accepted: bool) -> bool {
    match command {
        // An open relay proves a lost trip command only if the meter says that it was told to: it
        // may have opened for want of money.
        command::DISCONNECT => word & OPEN != 0 && (accepted || word & TOLD_TO_OPEN != 0),
        command::CONNECT => word & OPEN == 0,
        command::ALLOW_CONNECTION => word & TOLD_TO_OPEN == 0,
        command::PROTECT => word & PROTECTED != 0,
        _ => word & PROTECTED == 0,
    }
}

/// A closed relay is a connected supply; an open one that was told to close waits for the customer.
fn state(word: u16) -> u16 {
    match (word & OPEN != 0, word & TOLD_TO_OPEN != 0) {
        (false, _) => supply::CONNECTED,
        (true, false) => supply::READY_FOR_RECONNECTION,
        (true, true) => supply::DISCONNECTED,
    }
}

/// Of the status words; unknown where the third is missing.
pub fn supply_of(data: &Data<'_>) -> u16 {
    third(data).map_or(supply::UNKNOWN, state)
}

/// DAR (DL/T 698.45-2017, 7.3.5.1): 3 denied, 4 and 6 no such method, 7 wrong type, 15 not
/// authorised.
pub fn refused(why: u8) -> Refusal {
    let (code, detail) = match why {
        3 => (refusal::NOT_AUTHENTICATED, "denied: most meters want the security module's wrap"),
        4 | 6 => (refusal::NO_SUCH_FUNCTION, "no such object"),
        7 => (refusal::BAD_VALUE, "not the type that is wanted"),
        15 => (refusal::WRONG_PASSWORD, "not authorised"),
        _ => (refusal::OTHER, "refused"),
    };
    Refusal { code, detail: detail.to_owned(), device_code: Some(format!("{why:02X}")) }
}
