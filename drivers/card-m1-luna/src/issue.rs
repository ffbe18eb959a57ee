//! Making something of a blank card: a customer's, a replacement, a maintenance card.
//!
//! Invariant: until its last slot is written the card is blank, and what was begun goes on where it
//! stopped.

use crate::acts::shown;
use crate::layout::{Kind, State};
use crate::look::{self, Held};
use crate::session::{Keys, Letter, STATES, Session};
use crate::settings::{Amount, Carried, bad, device, digits};
use polymeter_driver::codes::card::purpose;
use polymeter_driver::codes::{error, refusal};
use polymeter_driver::ending::{Stop, before, confirmed, ended};
use polymeter_driver::{Call, CardOrder, DriverError, Host, SellOutcome};

/// What fits into the block of the region.
const REGION_BYTES: usize = 16;

pub fn open(
    host: &mut dyn Host,
    call: &Call,
    order: &CardOrder,
) -> Result<SellOutcome, DriverError> {
    if order.purchase.is_some_and(|purchase| purchase.count > 1) {
        return Err(bad("a device opens with purchase 1, or with none"));
    }
    users(host, call, order, Kind::Open)
}

pub fn replace(
    host: &mut dyn Host,
    call: &Call,
    order: &CardOrder,
) -> Result<SellOutcome, DriverError> {
    users(host, call, order, Kind::Replace)
}

fn users(
    host: &mut dyn Host,
    call: &Call,
    order: &CardOrder,
    kind: Kind,
) -> Result<SellOutcome, DriverError> {
    Carried::none(&order.parameters)?;
    let amount = order.purchase.map_or(Ok(Amount { count: 0, fen: 0 }), Amount::of)?;
    let device = device(call)?.ok_or_else(|| bad("the card needs the number of its device"))?;
    let customer = digits("the customer number", &order.customer_number)?;
    let state = State {
        purpose: 1,
        kind,
        customer: Some(customer),
        device: Some(device),
        count: amount.count,
        amount: amount.fen,
        alarm: None,
        overdraft: None,
    };
    made(host, &state, &order.region)
}

pub fn make(
    host: &mut dyn Host,
    call: &Call,
    order: &CardOrder,
) -> Result<SellOutcome, DriverError> {
    let made_of = [purpose::SETTING, purpose::CHECK, purpose::CLEAR, purpose::RESET];
    let purpose = u8::try_from(order.purpose).ok().filter(|_| made_of.contains(&order.purpose));
    let Some(purpose) = purpose else {
        let detail = format!("there is no card of purpose {} here", order.purpose);
        return Err(DriverError::new(error::UNSUPPORTED, detail));
    };
    if order.purchase.is_some() {
        return Err(bad("a maintenance card has no purchase"));
    }
    let carried = Carried::of(&order.parameters)?;
    if order.purpose != purpose::SETTING {
        Carried::none(&order.parameters)?;
    }
    let state = State {
        purpose,
        device: device(call)?,
        alarm: carried.alarm,
        overdraft: carried.overdraft,
        ..State::BLANK
    };
    made(host, &state, &order.region)
}

fn made(host: &mut dyn Host, state: &State, region: &str) -> Result<SellOutcome, DriverError> {
    if region.len() > REGION_BYTES || !region.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(bad(format!(
            "a region of these cards is ASCII, {REGION_BYTES} letters at most"
        )));
    }
    let mut session = match look::session(host) {
        Ok(session) => session,
        Err(stop) => return before(stop),
    };
    let held = match look::held(&mut session) {
        Ok(held) => held,
        Err(stop) => return before(stop),
    };
    // The same act, done before.
    if held.state == *state {
        return Ok(confirmed(state.count));
    }
    if held.state != State::BLANK {
        return before(taken_by(&held.state));
    }
    let written = filled(&mut session, &held, state, region);
    let has_changed = session.changed;
    ended(has_changed, state.count, written, || shown(&mut session, state, &State::BLANK))
}

fn taken_by(state: &State) -> Stop {
    let text = |it: Option<polymeter_codec::gbcard::Digits>| {
        it.map(|it| it.to_string()).unwrap_or_default()
    };
    let whose = if u16::from(state.purpose) == purpose::USER {
        format!("customer {}'s, for device {}", text(state.customer), text(state.device))
    } else {
        "a maintenance card".to_owned()
    };
    Stop::refused(refusal::OTHER, format!("the card is not blank: it is {whose}"))
}

fn filled(session: &mut Session<'_>, held: &Held, state: &State, region: &str) -> Result<(), Stop> {
    session.mark_region(region)?;
    if held.keys == Keys::Makers {
        session.give_keys()?;
    }
    let (_, backs) = look::written_back(session)?;
    session.empty(&backs)?;
    session.open(STATES, Letter::B)?;
    let slots = session.slots(STATES)?;
    let (sector, sequence) = slots.next();
    session.write(sector, &state.content(sequence))
}
