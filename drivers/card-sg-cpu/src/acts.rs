//! Acts on a customer's card: a purchase put onto it, taken back from it, the card made blank.
//!
//! Invariant: the deciding command of each is the one that the README names, and what is told of it
//! afterwards is what the card shows.

use crate::carried::Carried;
use crate::look::{self, Back, Held, Marked, marked};
use crate::session::{PARAMETERS, PRICES_NEXT, PURSE, Session, WRITTEN_BACK};
use crate::settings::{bad, device, digits};
use polymeter_codec::gbcard::{
    CardType, PARAMETERS_BYTES, PURSE_BYTES, Parameters, Purse, WRITTEN_BACK_BYTES, is_empty,
};
use polymeter_driver::codes::card::taken;
use polymeter_driver::codes::{quantity, refusal};
use polymeter_driver::ending::{Shown, Stop, before, confirmed, ended};
use polymeter_driver::{Call, CardOrder, DriverError, Host, Purchase, SellOutcome};

/// The purse that an order wants.
pub fn ordered(purchase: Purchase) -> Result<Purse, DriverError> {
    if purchase.credit.quantity != quantity::MONEY {
        return Err(bad("these cards hold money"));
    }
    let amount = u32::try_from(purchase.credit.amount)
        .map_err(|_| bad("the amount does not fit the card's four bytes"))?;
    Ok(Purse { amount, count: purchase.count })
}

pub fn sell(
    host: &mut dyn Host,
    call: &Call,
    order: &CardOrder,
) -> Result<SellOutcome, DriverError> {
    let purchase = order.purchase.ok_or_else(|| bad("a sale has a purchase"))?;
    let purse = ordered(purchase)?;
    if purse.count == 0 || purse.amount == 0 {
        return Err(bad("a sale is of some amount, and its count is at least 1"));
    }
    let carried = Carried::next(&order.parameters)?;
    let mut session = match look::session(host) {
        Ok(session) => session,
        Err(stop) => return before(stop),
    };
    let ready = proved(&mut session, call, order).and_then(|held| {
        let parameters = sold(&held, purse, &carried)?;
        session.prove_us()?;
        Ok((held, parameters))
    });
    let (held, parameters) = match ready {
        Ok(ready) => ready,
        Err(stop) => return before(stop),
    };
    let written = put(&mut session, &held, parameters, purse, &carried);
    let changed = session.changed;
    ended(changed, purse.count, written, || shown(&mut session, purse, held.purse))
}

/// What the parameters become by a sale, where this card may be sold to.
fn sold(held: &Held, purse: Purse, carried: &Carried) -> Result<Parameters, Stop> {
    let on_card = held.purse.count;
    if on_card.checked_add(1) != Some(purse.count) {
        return Err(Stop::refused(
            refusal::WRONG_COUNT,
            format!("the card's purchase is {on_card}, so {} does not follow", purse.count),
        ));
    }
    let mut parameters = held.marked.parameters;
    let mut holder = held.holder;
    if held.taken() == taken::YES {
        holder.kind = CardType::Buy;
        parameters.spare = on_card;
        parameters.updates = 0;
    } else if holder.kind == CardType::Open && on_card > 0 {
        return Err(Stop::refused(
            refusal::OTHER,
            "the meter has not taken this card's opening yet, and takes no second purchase with it",
        ));
    } else if holder.kind == CardType::Reclose {
        holder.kind = CardType::Buy;
    }
    parameters.holder = Some(holder);
    carried.apply(&mut parameters);
    Ok(parameters)
}

fn put(
    session: &mut Session<'_>,
    held: &Held,
    parameters: Parameters,
    purse: Purse,
    carried: &Carried,
) -> Result<(), Stop> {
    let family = held.marked.family;
    let too_wide = |error| Stop::Failed(bad(format!("a number of the card: {error}")));
    if let Some(next) = &carried.next_prices {
        session.write(PRICES_NEXT, &next.build(family.user).map_err(too_wide)?)?;
    }
    if parameters != held.marked.parameters {
        session.write(PARAMETERS, parameters.build(family).map_err(too_wide)?.as_ref())?;
    }
    if !matches!(held.back, Back::Empty) {
        session.write(WRITTEN_BACK, &[0; WRITTEN_BACK_BYTES])?;
    }
    session.write(PURSE, &purse.build())
}

fn shown(session: &mut Session<'_>, new: Purse, old: Purse) -> Result<Shown, Stop> {
    let found = look::purse(session)?;
    Ok(match found {
        _ if found == new => Shown::New,
        _ if found == old => Shown::Old,
        _ => Shown::Other,
    })
}

/// The customer's own user card, which has our keys, with all that it holds.
fn proved(session: &mut Session<'_>, call: &Call, order: &CardOrder) -> Result<Held, Stop> {
    let customer = digits("the customer number", &order.customer_number)?;
    let marked = marked(session)?;
    let Some((marked, holder)) =
        marked.and_then(|marked| Some((marked, marked.parameters.holder?)))
    else {
        let what = if marked.is_some() { "a setting card" } else { "blank" };
        return Err(Stop::refused(refusal::OTHER, format!("the card is {what}")));
    };
    if holder.customer != customer {
        return Err(Stop::refused(
            refusal::WRONG_CUSTOMER,
            format!("the card is customer {}'s", holder.customer),
        ));
    }
    of_device(call, &marked)?;
    session.prove_card(call)?;
    look::held(session, marked, holder)
}

/// Where the call names a meter, the card must be for that one.
fn of_device(call: &Call, marked: &Marked) -> Result<(), Stop> {
    match (device(call)?, marked.parameters.holder) {
        (Some(wanted), Some(holder)) if wanted != holder.meter => Err(Stop::refused(
            refusal::WRONG_ADDRESS,
            format!("the card is for meter {}", holder.meter),
        )),
        _ => Ok(()),
    }
}

pub fn take_back(
    host: &mut dyn Host,
    call: &Call,
    order: &CardOrder,
) -> Result<SellOutcome, DriverError> {
    let purchase = order.purchase.ok_or_else(|| bad("what is taken back is a purchase"))?;
    let (asked, gone) = (ordered(purchase)?, Purse { amount: 0, count: purchase.count });
    let mut session = match look::session(host) {
        Ok(session) => session,
        Err(stop) => return before(stop),
    };
    let held = match proved(&mut session, call, order) {
        Ok(held) => held,
        Err(stop) => return before(stop),
    };
    if held.purse == gone {
        return Ok(confirmed(gone.count));
    }
    if let Err(stop) = untaken(&held, asked).and_then(|()| session.prove_us()) {
        return before(stop);
    }
    let written = session.write(PURSE, &gone.build());
    let changed = session.changed;
    ended(changed, gone.count, written, || shown(&mut session, gone, held.purse))
}

fn untaken(held: &Held, asked: Purse) -> Result<(), Stop> {
    let Purse { amount, count } = held.purse;
    if count != asked.count || count == 0 {
        let detail = format!("the card's purchase is {count}, not {}", asked.count);
        return Err(Stop::refused(refusal::WRONG_COUNT, detail));
    }
    if amount != asked.amount {
        let detail = format!("the card's purchase is of {amount} fen, not {}", asked.amount);
        return Err(Stop::refused(refusal::BAD_VALUE, detail));
    }
    match held.taken() {
        taken::NO => Ok(()),
        taken::YES => {
            Err(Stop::refused(refusal::ALREADY_TAKEN, "the meter has taken this purchase"))
        }
        _ => Err(Stop::refused(
            refusal::ALREADY_TAKEN,
            "the card does not tell whether the meter has taken this purchase",
        )),
    }
}

pub fn clear(host: &mut dyn Host, call: &Call) -> Result<SellOutcome, DriverError> {
    let mut session = match look::session(host) {
        Ok(session) => session,
        Err(stop) => return before(stop),
    };
    let ready = look::file(&mut session).and_then(|file| {
        // A file that was torn is no reason to keep the card from being made blank.
        if let Ok(Some(found)) = look::parsed(&file) {
            of_device(call, &found)?;
        }
        session.prove_card(call)?;
        session.prove_us()
    });
    if let Err(stop) = ready {
        return before(stop);
    }
    let written = emptied(&mut session);
    let changed = session.changed;
    ended(changed, 0, written, || {
        let is_blank = is_empty(&look::file(&mut session)?);
        Ok(if is_blank { Shown::New } else { Shown::Old })
    })
}

fn emptied(session: &mut Session<'_>) -> Result<(), Stop> {
    session.write(PARAMETERS, &[0; PARAMETERS_BYTES])?;
    session.write(PURSE, &[0; PURSE_BYTES])?;
    session.write(WRITTEN_BACK, &[0; WRITTEN_BACK_BYTES])
}
