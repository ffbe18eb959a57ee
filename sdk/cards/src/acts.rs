//! Acts on a card. Each makes one new state of the one that counts, or says why not, and has it written.
//!
//! Invariant: as of this crate.

use crate::arguments::{bad, carried, device, digits, nothing_else, ordered, region};
use crate::look::{self, taken_by};
use crate::state::{Back, Card, Cards, Kind, State};
use polymeter_codec::gbcard::Digits;
use polymeter_driver::codes::card::{purpose, taken};
use polymeter_driver::codes::{error, refusal};
use polymeter_driver::ending::{Shown, Stop, before, confirmed, ended};
use polymeter_driver::{Call, CardOrder, DriverError, Host, SellOutcome};

/// What an act makes of a card.
enum Plan {
    /// The card is so already: the same act, done before.
    Done,
    /// A card that was blank becomes this.
    Issue(State),
    /// Its customer's card becomes this.
    Change(State),
    /// It becomes blank.
    Clear,
}

/// Runs an act: looks, plans, unlocks, writes, looks again.
fn act<V: Cards>(
    host: &mut dyn Host,
    plan: impl FnOnce(Option<&State>, &Back) -> Result<Plan, Stop>,
) -> Result<SellOutcome, DriverError> {
    let mut card = match look::card::<V>(host) {
        Ok(card) => card,
        Err(stop) => return before(stop),
    };
    let old = card.state();
    let planned = card.prove().and_then(|()| plan(old.as_ref(), &card.back()));
    let (new, issued) = match planned {
        Ok(Plan::Done) => return Ok(confirmed(old.map_or(0, |state| state.count))),
        Ok(Plan::Issue(state)) => (Some(state), true),
        Ok(Plan::Change(state)) => (Some(state), false),
        Ok(Plan::Clear) => (None, false),
        Err(stop) => return before(stop),
    };
    if let Err(stop) = card.prepare(new.as_ref()) {
        return before(stop);
    }
    let written = card.unlock().and_then(|()| card.put(new.as_ref(), issued));
    let count = new.as_ref().map_or(0, |state| state.count);
    ended(card.has_changed(), count, written, || {
        card.look()?;
        Ok(match card.state() {
            found if found == new => Shown::New,
            found if found == old => Shown::Old,
            _ => Shown::Other,
        })
    })
}

/// Makes a user card out of a blank one, with purchase 1 or none.
///
/// # Errors
/// What does not fit the card, and what the slot says before the card is changed.
pub fn open<V: Cards>(
    host: &mut dyn Host,
    call: &Call,
    order: &CardOrder,
) -> Result<SellOutcome, DriverError> {
    if order.purchase.is_some_and(|purchase| purchase.count > 1) {
        return Err(bad("a device opens with purchase 1, or with none"));
    }
    users::<V>(host, call, order, Kind::Open)
}

/// Makes a blank card the customer's in place of a lost one, with the last purchase.
///
/// # Errors
/// As [`open`].
pub fn replace<V: Cards>(
    host: &mut dyn Host,
    call: &Call,
    order: &CardOrder,
) -> Result<SellOutcome, DriverError> {
    users::<V>(host, call, order, Kind::Replace)
}

fn users<V: Cards>(
    host: &mut dyn Host,
    call: &Call,
    order: &CardOrder,
    kind: Kind,
) -> Result<SellOutcome, DriverError> {
    nothing_else(order)?;
    let (count, amount) = order.purchase.map_or(Ok((0, 0)), ordered)?;
    let device = device(call)?.ok_or_else(|| bad("the card needs the number of its device"))?;
    let user = State {
        purpose: purpose::USER,
        region: region::<V>(&order.region)?,
        customer: digits("the customer number", &order.customer_number)?,
        device,
        count,
        amount,
        kind,
        carried: vec![None; V::CARRIES.len()],
    };
    act::<V>(host, |found, _| issued(found, user))
}

/// Makes a maintenance card out of a blank one; for every device where the call names none.
///
/// # Errors
/// As [`open`], and a purpose that the vendor has no card for.
pub fn make<V: Cards>(
    host: &mut dyn Host,
    call: &Call,
    order: &CardOrder,
) -> Result<SellOutcome, DriverError> {
    if !V::MAINTENANCE.contains(&order.purpose) {
        let detail = format!("there is no card of purpose {} here", order.purpose);
        return Err(DriverError::new(error::UNSUPPORTED, detail));
    }
    if order.purchase.is_some() {
        return Err(bad("a maintenance card has no purchase"));
    }
    let carried = carried::<V>(order)?;
    let nobody = digits("nobody", "0")?;
    let made = State {
        purpose: order.purpose,
        region: region::<V>(&order.region)?,
        customer: nobody,
        device: device(call)?.unwrap_or(nobody),
        count: 0,
        amount: 0,
        kind: Kind::None,
        carried,
    };
    act::<V>(host, |found, _| issued(found, made))
}

/// A blank card made into this; one that is this already, done.
fn issued(found: Option<&State>, wanted: State) -> Result<Plan, Stop> {
    match found {
        None => Ok(Plan::Issue(wanted)),
        Some(found) if *found == wanted => Ok(Plan::Done),
        Some(found) => {
            let whose = if found.purpose == purpose::USER {
                format!("customer {}'s, for device {}", found.customer, found.device)
            } else {
                format!("a maintenance card of purpose {}", found.purpose)
            };
            let detail = format!("the card is not blank: it is {whose}");
            Err(Stop::refused(refusal::OTHER, detail))
        }
    }
}

/// Puts a purchase onto the customer's card, whose count is one less.
///
/// # Errors
/// As [`open`].
pub fn sell<V: Cards>(
    host: &mut dyn Host,
    call: &Call,
    order: &CardOrder,
) -> Result<SellOutcome, DriverError> {
    nothing_else(order)?;
    let purchase = order.purchase.ok_or_else(|| bad("a sale has a purchase"))?;
    let (count, amount) = ordered(purchase)?;
    if count == 0 || amount == 0 {
        return Err(bad("a sale is of some amount, and its count is at least 1"));
    }
    let asked = Asked::of::<V>(call, order)?;
    act::<V>(host, |found, back| {
        let held = asked.held(found)?;
        if held.count.checked_add(1) != Some(count) {
            return Err(Stop::refused(
                refusal::WRONG_COUNT,
                format!("the card's purchase is {}, so {count} does not follow", held.count),
            ));
        }
        let kind = match held.kind {
            _ if taken_by(held, back) == taken::YES => Kind::Buy,
            Kind::Open if held.count > 0 => {
                return Err(Stop::refused(
                    refusal::OTHER,
                    "the device has not taken this card's opening yet, and takes no second \
                     purchase with it",
                ));
            }
            kind => kind,
        };
        Ok(Plan::Change(State { count, amount, kind, ..held.clone() }))
    })
}

/// Makes the amount of a purchase that the device has not taken zero; its count stays.
///
/// # Errors
/// As [`open`].
pub fn take_back<V: Cards>(
    host: &mut dyn Host,
    call: &Call,
    order: &CardOrder,
) -> Result<SellOutcome, DriverError> {
    let purchase = order.purchase.ok_or_else(|| bad("what is taken back is a purchase"))?;
    let (count, amount) = ordered(purchase)?;
    let asked = Asked::of::<V>(call, order)?;
    act::<V>(host, |found, back| {
        let held = asked.held(found)?;
        if held.count != count || count == 0 {
            let detail = format!("the card's purchase is {}, not {count}", held.count);
            return Err(Stop::refused(refusal::WRONG_COUNT, detail));
        }
        if held.amount == 0 {
            return Ok(Plan::Done);
        }
        if held.amount != amount {
            let detail = format!("the card's purchase is of {} fen, not {amount}", held.amount);
            return Err(Stop::refused(refusal::BAD_VALUE, detail));
        }
        let why = match taken_by(held, back) {
            taken::NO => return Ok(Plan::Change(State { amount: 0, ..held.clone() })),
            taken::YES => "the device has taken this purchase",
            _ => "the card does not tell whether the device has taken this purchase",
        };
        Err(Stop::refused(refusal::ALREADY_TAKEN, why))
    })
}

/// Makes the card blank.
///
/// # Errors
/// As [`open`].
pub fn clear<V: Cards>(host: &mut dyn Host, call: &Call) -> Result<SellOutcome, DriverError> {
    let device = device(call)?;
    act::<V>(host, |found, _| {
        let Some(held) = found else { return Ok(Plan::Done) };
        of_device(device, held)?;
        Ok(Plan::Clear)
    })
}

/// Whose card an act is about.
struct Asked {
    customer: Digits,
    device: Option<Digits>,
    region: String,
}

impl Asked {
    fn of<V: Cards>(call: &Call, order: &CardOrder) -> Result<Asked, DriverError> {
        Ok(Asked {
            customer: digits("the customer number", &order.customer_number)?,
            device: device(call)?,
            region: region::<V>(&order.region)?,
        })
    }

    /// What that customer's user card holds.
    fn held<'a>(&self, found: Option<&'a State>) -> Result<&'a State, Stop> {
        let Some(held) = found.filter(|state| state.purpose == purpose::USER) else {
            let what = if found.is_some() { "a maintenance card" } else { "blank" };
            return Err(Stop::refused(refusal::OTHER, format!("the card is {what}")));
        };
        if held.customer != self.customer {
            return Err(Stop::refused(
                refusal::WRONG_CUSTOMER,
                format!("the card is customer {}'s", held.customer),
            ));
        }
        of_device(self.device, held)?;
        if held.region != self.region {
            let detail = format!("the card is of region `{}`", held.region);
            return Err(Stop::refused(refusal::OTHER, detail));
        }
        Ok(held)
    }
}

/// Where the call names a device, the card must be for that one or for every one.
fn of_device(wanted: Option<Digits>, held: &State) -> Result<(), Stop> {
    match wanted {
        Some(wanted) if wanted != held.device && held.device.bytes() != [0; 6] => {
            let detail = format!("the card is for device {}", held.device);
            Err(Stop::refused(refusal::WRONG_ADDRESS, detail))
        }
        _ => Ok(()),
    }
}
