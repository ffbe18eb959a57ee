//! Acts on a customer's card: a purchase put onto it, taken back from it, the card made blank.
//!
//! Invariant: each writes one whole slot, and what is told of it afterwards is what the card shows.

use crate::layout::{Kind, State};
use crate::look::{self, Held, is_taken, opening_waits};
use crate::session::{Keys, Letter, STATES, Session, Slots};
use crate::settings::{Amount, bad, device, digits};
use polymeter_driver::codes::card::purpose;
use polymeter_driver::codes::refusal;
use polymeter_driver::ending::{Shown, Stop, before, confirmed, ended};
use polymeter_driver::{Call, CardOrder, DriverError, Host, SellOutcome};

/// A card whose next state is known.
struct Ready {
    slots: Slots,
    old: State,
    new: State,
}

pub fn sell(
    host: &mut dyn Host,
    call: &Call,
    order: &CardOrder,
) -> Result<SellOutcome, DriverError> {
    let purchase = order.purchase.ok_or_else(|| bad("a sale has a purchase"))?;
    let Amount { count, fen } = Amount::of(purchase)?;
    if count == 0 || fen == 0 {
        return Err(bad("a sale is of some amount, and its count is at least 1"));
    }
    changed(host, call, order, count, |session, state| {
        if state.count.checked_add(1) != Some(count) {
            let detail =
                format!("the card's purchase is {}, so {count} does not follow", state.count);
            return Err(Stop::refused(refusal::WRONG_COUNT, detail));
        }
        let (back, _) = look::written_back(session)?;
        let taken = is_taken(state, back.as_ref());
        if opening_waits(state, taken) {
            let detail = "the device has not taken this card's opening yet, and takes no second purchase with it";
            return Err(Stop::refused(refusal::OTHER, detail));
        }
        let kind = if taken { Kind::Buy } else { state.kind };
        Ok(State { count, amount: fen, kind, ..*state })
    })
}

pub fn take_back(
    host: &mut dyn Host,
    call: &Call,
    order: &CardOrder,
) -> Result<SellOutcome, DriverError> {
    let purchase = order.purchase.ok_or_else(|| bad("what is taken back is a purchase"))?;
    let Amount { count, fen } = Amount::of(purchase)?;
    changed(host, call, order, count, |session, state| {
        // Taken back before: there is nothing to do.
        if state.count == count && state.amount == 0 {
            return Ok(*state);
        }
        if (state.count, state.amount) != (count, fen) {
            let detail = format!("the card holds purchase {} of {} fen", state.count, state.amount);
            return Err(Stop::refused(refusal::WRONG_COUNT, detail));
        }
        let (back, _) = look::written_back(session)?;
        if is_taken(state, back.as_ref()) {
            let detail = "the device has taken this purchase";
            return Err(Stop::refused(refusal::ALREADY_TAKEN, detail));
        }
        Ok(State { amount: 0, ..*state })
    })
}

/// Puts the state that `next` makes onto the customer's own card.
fn changed(
    host: &mut dyn Host,
    call: &Call,
    order: &CardOrder,
    count: u32,
    next: impl FnOnce(&mut Session<'_>, &State) -> Result<State, Stop>,
) -> Result<SellOutcome, DriverError> {
    let mut session = match look::session(host) {
        Ok(session) => session,
        Err(stop) => return before(stop),
    };
    let ready = users(&mut session, call, order).and_then(|(state, slots)| {
        let new = next(&mut session, &state)?;
        if new != state {
            session.open(STATES, Letter::B)?;
        }
        Ok(Ready { slots, old: state, new })
    });
    let ready = match ready {
        Ok(ready) => ready,
        Err(stop) => return before(stop),
    };
    if ready.old == ready.new {
        return Ok(confirmed(count));
    }
    let (sector, sequence) = ready.slots.next();
    let written = session.write(sector, &ready.new.content(sequence));
    let has_changed = session.changed;
    ended(has_changed, count, written, || shown(&mut session, &ready.new, &ready.old))
}

/// What the card shows now.
pub fn shown(session: &mut Session<'_>, new: &State, old: &State) -> Result<Shown, Stop> {
    let held = look::held(session)?;
    Ok(match held.state {
        state if state == *new && held.keys == Keys::Ours => Shown::New,
        state if state == *old => Shown::Old,
        _ => Shown::Other,
    })
}

/// The state of the customer's own card, which is for the device that the call names.
fn users(
    session: &mut Session<'_>,
    call: &Call,
    order: &CardOrder,
) -> Result<(State, Slots), Stop> {
    let customer = digits("the customer number", &order.customer_number)?;
    let Held { state, slots, .. } = look::held(session)?;
    let (purpose::USER, Some(slots)) = (u16::from(state.purpose), slots) else {
        return Err(Stop::refused(refusal::OTHER, "the card is no customer's"));
    };
    if state.customer != Some(customer) {
        let whose = state.customer.map(|it| it.to_string()).unwrap_or_default();
        let detail = format!("the card is customer {whose}'s");
        return Err(Stop::refused(refusal::WRONG_CUSTOMER, detail));
    }
    let wanted = device(call)?;
    if wanted.is_some() && wanted != state.device {
        let which = state.device.map(|it| it.to_string()).unwrap_or_default();
        let detail = format!("the card is for device {which}");
        return Err(Stop::refused(refusal::WRONG_ADDRESS, detail));
    }
    Ok((state, slots))
}

pub fn clear(host: &mut dyn Host, call: &Call) -> Result<SellOutcome, DriverError> {
    let wanted = device(call)?;
    let mut session = match look::session(host) {
        Ok(session) => session,
        Err(stop) => return before(stop),
    };
    let held = look::held(&mut session).and_then(|held| {
        let is_others = wanted.is_some() && held.state.device.is_some();
        if is_others && wanted != held.state.device {
            let which = held.state.device.map(|it| it.to_string()).unwrap_or_default();
            let detail = format!("the card is for device {which}");
            return Err(Stop::refused(refusal::WRONG_ADDRESS, detail));
        }
        Ok(held)
    });
    let held = match held {
        Ok(held) => held,
        Err(stop) => return before(stop),
    };
    // The maker's keys: it was never anybody's.
    let Some(slots) = held.slots else { return Ok(confirmed(0)) };
    let written = emptied(&mut session, &slots, &held.state);
    let has_changed = session.changed;
    if !has_changed && written.is_ok() {
        return Ok(confirmed(0));
    }
    ended(has_changed, 0, written, || shown(&mut session, &State::BLANK, &held.state))
}

fn emptied(session: &mut Session<'_>, slots: &Slots, state: &State) -> Result<(), Stop> {
    if *state != State::BLANK {
        session.open(STATES, Letter::B)?;
        let (sector, sequence) = slots.next();
        session.write(sector, &State::BLANK.content(sequence))?;
    }
    let (_, backs) = look::written_back(session)?;
    session.empty(&backs)
}
