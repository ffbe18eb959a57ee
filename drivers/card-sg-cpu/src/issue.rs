//! Blank cards made into somebody's: opening, replacement, and the setting card.
//!
//! Invariant: the parameters are written last, and until then the card is blank.

use crate::acts::ordered;
use crate::carried::Carried;
use crate::look::{self, Marked, marked};
use crate::session::{PARAMETERS, PRICES, PRICES_NEXT, PURSE, Session, WRITTEN_BACK};
use crate::settings::{bad, device, digits, family};
use polymeter_codec::gbcard::{
    CardType, Family, Holder, Parameters, Purse, WRITTEN_BACK_BYTES, is_empty,
};
use polymeter_driver::codes::card::purpose;
use polymeter_driver::codes::{error, refusal};
use polymeter_driver::ending::{Shown, Stop, before, confirmed, ended};
use polymeter_driver::{Call, CardOrder, DriverError, Host, SellOutcome};

pub fn open(
    host: &mut dyn Host,
    call: &Call,
    order: &CardOrder,
) -> Result<SellOutcome, DriverError> {
    if order.purchase.is_some_and(|purchase| purchase.count > 1) {
        return Err(bad("a meter opens with purchase 1, or with none"));
    }
    let carried = Carried::in_use(&order.parameters)?;
    users(host, call, order, CardType::Open, &carried)
}

pub fn replace(
    host: &mut dyn Host,
    call: &Call,
    order: &CardOrder,
) -> Result<SellOutcome, DriverError> {
    let carried = Carried::next(&order.parameters)?;
    users(host, call, order, CardType::Replace, &carried)
}

fn users(
    host: &mut dyn Host,
    call: &Call,
    order: &CardOrder,
    kind: CardType,
    carried: &Carried,
) -> Result<SellOutcome, DriverError> {
    let purse = order.purchase.map_or(Ok(Purse { amount: 0, count: 0 }), ordered)?;
    let meter = device(call)?.ok_or_else(|| bad("the card needs the number of its meter"))?;
    let customer = digits("the customer number", &order.customer_number)?;
    let mut parameters = Parameters::plain(Some(Holder { meter, customer, kind }));
    carried.apply(&mut parameters);
    let wanted = Wanted { family: family(call)?, parameters, purse, carried };
    made(host, call, &wanted)
}

pub fn make(
    host: &mut dyn Host,
    call: &Call,
    order: &CardOrder,
) -> Result<SellOutcome, DriverError> {
    if order.purpose != purpose::SETTING {
        let detail = format!("there is no card of purpose {} here", order.purpose);
        return Err(DriverError::new(error::UNSUPPORTED, detail));
    }
    if order.purchase.is_some() {
        return Err(bad(
            "a setting card has no purchase; its amount is the parameter preset-amount",
        ));
    }
    let carried = Carried::in_use(&order.parameters)?;
    let mut parameters = Parameters::plain(None);
    carried.apply(&mut parameters);
    let purse = Purse { amount: carried.preset_amount, count: 0 };
    made(host, call, &Wanted { family: family(call)?, parameters, purse, carried: &carried })
}

/// What a blank card shall become.
struct Wanted<'a> {
    family: Family,
    parameters: Parameters,
    purse: Purse,
    carried: &'a Carried,
}

fn made(host: &mut dyn Host, call: &Call, wanted: &Wanted<'_>) -> Result<SellOutcome, DriverError> {
    let mut session = match look::session(host) {
        Ok(session) => session,
        Err(stop) => return before(stop),
    };
    let done_before = match ready(&mut session, call, wanted) {
        Ok(done_before) => done_before,
        Err(stop) => return before(stop),
    };
    if done_before {
        return Ok(confirmed(wanted.purse.count));
    }
    let written = filled(&mut session, wanted);
    let changed = session.changed;
    ended(changed, wanted.purse.count, written, || shown(&mut session, wanted))
}

/// Proves both sides to each other over a blank card. `true`: it is what it shall become already.
fn ready(session: &mut Session<'_>, call: &Call, wanted: &Wanted<'_>) -> Result<bool, Stop> {
    let found = marked(session)?;
    if let Some(found) = &found
        && !is_same(found, wanted)
    {
        return Err(taken_by(found));
    }
    session.prove_card(call)?;
    if let Some(found) = found {
        if look::purse(session)? == wanted.purse {
            return Ok(true);
        }
        return Err(taken_by(&found));
    }
    session.prove_us()?;
    Ok(false)
}

/// A user card of the same customer, meter and type: the same act, done before.
fn is_same(found: &Marked, wanted: &Wanted<'_>) -> bool {
    found.parameters.holder.is_some() && found.parameters.holder == wanted.parameters.holder
}

fn taken_by(found: &Marked) -> Stop {
    let whose = match found.parameters.holder {
        Some(holder) => {
            format!("customer {}'s, for meter {}", holder.customer, holder.meter)
        }
        None => "a setting card".to_owned(),
    };
    Stop::refused(refusal::OTHER, format!("the card is not blank: it is {whose}"))
}

fn filled(session: &mut Session<'_>, wanted: &Wanted<'_>) -> Result<(), Stop> {
    let family = wanted.family;
    let too_wide = |error| Stop::Failed(bad(format!("a number of the card: {error}")));
    let is_setting = wanted.parameters.holder.is_none();
    let command = if is_setting { family.setting } else { family.user };
    let built = wanted.parameters.build(family).map_err(too_wide)?;
    if is_setting {
        session.write(WRITTEN_BACK, &wanted.purse.build())?;
    } else {
        session.write(PURSE, &wanted.purse.build())?;
        if !is_empty(&session.read(WRITTEN_BACK, WRITTEN_BACK_BYTES)?) {
            session.write(WRITTEN_BACK, &[0; WRITTEN_BACK_BYTES])?;
        }
    }
    if let Some(prices) = &wanted.carried.prices {
        session.write(PRICES, &prices.build(command).map_err(too_wide)?)?;
    }
    if let Some(next) = &wanted.carried.next_prices {
        let built = next.build(command).map_err(too_wide)?;
        session.write(PRICES_NEXT, &built)?;
    }
    session.write(PARAMETERS, built.as_ref())
}

fn shown(session: &mut Session<'_>, wanted: &Wanted<'_>) -> Result<Shown, Stop> {
    let Some(found) = marked(session)? else { return Ok(Shown::Old) };
    if found.parameters != wanted.parameters || found.family != wanted.family {
        return Ok(Shown::Other);
    }
    if wanted.parameters.holder.is_some() && look::purse(session)? != wanted.purse {
        return Ok(Shown::Other);
    }
    Ok(Shown::New)
}
