//! Acts on a card. Each makes one new state of the one that counts, or says why not, and writes it.
//!
//! Invariant: all that is refused is refused before the card is unlocked, and what is told of an act is
//! what the card shows afterwards.

use crate::card::{Card, Image};
use crate::describe::name;
use crate::layout::{Code, Kind, LEFT, State, nobody};
use crate::look::{self, taken_by};
use polymeter_codec::gbcard::Digits;
use polymeter_driver::codes::card::{purpose, taken};
use polymeter_driver::codes::{error, quantity, refusal};
use polymeter_driver::ending::{Shown, Stop, before, confirmed, ended};
use polymeter_driver::{
    Call, CardOrder, Decimal, DriverError, Extras, Host, Purchase, SellOutcome, Value,
};

/// What an act makes of a card.
enum Plan {
    /// The card is so already: the same act, done before.
    Done,
    /// This state, after the write-backs were emptied or before.
    Write { state: State, empty: Empty },
}

/// Whether the write-backs go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Empty {
    No,
    Before,
    After,
}

/// Runs an act: looks, plans, unlocks, writes, looks again.
fn act(
    host: &mut dyn Host,
    plan: impl FnOnce(&Image) -> Result<Plan, Stop>,
) -> Result<SellOutcome, DriverError> {
    let mut card = match look::card(host) {
        Ok(card) => card,
        Err(stop) => return before(stop),
    };
    let old = card.image.state();
    let ready = card.prove().and_then(|()| {
        let planned = plan(&card.image)?;
        if let Plan::Write { .. } = planned {
            card.unlock()?;
        }
        Ok(planned)
    });
    let (state, empty) = match ready {
        Ok(Plan::Done) => return Ok(confirmed(old.map_or(0, |state| state.count))),
        Ok(Plan::Write { state, empty }) => (state, empty),
        Err(stop) => return before(stop),
    };
    let written = write(&mut card, state, empty);
    let changed = card.changed;
    ended(changed, state.count, written, || {
        card.look()?;
        Ok(shown(card.image.state(), state, old))
    })
}

fn write(card: &mut Card<'_>, state: State, empty: Empty) -> Result<(), Stop> {
    card.make_ours()?;
    if empty == Empty::Before {
        card.empty_backs()?;
    }
    // A card that got its code just now has a state more.
    let sequence = card.image.blank().map_or(state.sequence, |blank| blank.sequence);
    card.put(State { sequence, ..state })?;
    if empty == Empty::After {
        card.empty_backs()?;
    }
    Ok(())
}

/// Which state counts is not which sequence it has.
fn shown(found: Option<State>, new: State, old: Option<State>) -> Shown {
    let sequence = 0;
    let plain = |state: State| State { sequence, code: Code::Vault, ..state };
    match (found.map(plain), old.map(plain)) {
        (Some(found), _) if found == plain(new) => Shown::New,
        (found, old) if found == old => Shown::Old,
        // Its code was changed and no more: as blank as before.
        (Some(found), None) if found.purpose == 0 => Shown::Old,
        _ => Shown::Other,
    }
}

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
    nothing_else(&order.parameters)?;
    let (count, amount) = order.purchase.map_or(Ok((0, 0)), ordered)?;
    let device = device(call)?.ok_or_else(|| bad("the card needs the number of its device"))?;
    let customer = digits("the customer number", &order.customer_number)?;
    let region = region(&order.region)?;
    act(host, |image| {
        let blank = blank(image)?;
        let user = State { purpose: 1, region, customer, device, count, amount, kind, ..blank };
        issued(image, user)
    })
}

pub fn make(
    host: &mut dyn Host,
    call: &Call,
    order: &CardOrder,
) -> Result<SellOutcome, DriverError> {
    let made = match order.purpose {
        purpose::SETTING => 2,
        purpose::CHECK => 3,
        purpose::CLEAR => 4,
        purpose::RESET => 5,
        other => {
            let detail = format!("there is no card of purpose {other} here");
            return Err(DriverError::new(error::UNSUPPORTED, detail));
        }
    };
    if order.purchase.is_some() {
        return Err(bad("a maintenance card has no purchase"));
    }
    let (alarm, limit) = if made == 2 {
        let told = |name| fen(&order.parameters, name);
        (told(name::ALARM)?.unwrap_or(LEFT), told(name::OVERDRAFT_LIMIT)?.unwrap_or(LEFT))
    } else {
        nothing_else(&order.parameters)?;
        (LEFT, LEFT)
    };
    let device = device(call)?;
    let region = region(&order.region)?;
    act(host, |image| {
        let blank = blank(image)?;
        let device = device.unwrap_or(blank.device);
        issued(image, State { purpose: made, region, device, alarm, limit, ..blank })
    })
}

/// A blank card made into this; one that is this already, done.
fn issued(image: &Image, wanted: State) -> Result<Plan, Stop> {
    match image.state() {
        Some(found) if found.purpose != 0 => {
            let is_same = State { sequence: wanted.sequence, ..found } == wanted;
            if is_same { Ok(Plan::Done) } else { Err(not_blank(&found)) }
        }
        Some(_) | None => Ok(Plan::Write { state: wanted, empty: Empty::Before }),
    }
}

fn not_blank(found: &State) -> Stop {
    let whose = if found.purpose == 1 {
        format!("customer {}'s, for device {}", found.customer, found.device)
    } else {
        format!("a maintenance card of purpose {}", found.purpose)
    };
    Stop::refused(refusal::OTHER, format!("the card is not blank: it is {whose}"))
}

pub fn sell(
    host: &mut dyn Host,
    call: &Call,
    order: &CardOrder,
) -> Result<SellOutcome, DriverError> {
    nothing_else(&order.parameters)?;
    let purchase = order.purchase.ok_or_else(|| bad("a sale has a purchase"))?;
    let (count, amount) = ordered(purchase)?;
    if count == 0 || amount == 0 {
        return Err(bad("a sale is of some amount, and its count is at least 1"));
    }
    let asked = Asked::of(call, order)?;
    act(host, |image| {
        let (held, next) = asked.held(image)?;
        if held.count.checked_add(1) != Some(count) {
            return Err(Stop::refused(
                refusal::WRONG_COUNT,
                format!("the card's purchase is {}, so {count} does not follow", held.count),
            ));
        }
        let kind = match held.kind {
            _ if taken_by(image, &held) == taken::YES => Kind::Buy,
            Kind::Open if held.count > 0 => {
                return Err(Stop::refused(
                    refusal::OTHER,
                    "the device has not taken this card's opening yet, and takes no second \
                     purchase with it",
                ));
            }
            kind => kind,
        };
        Ok(Plan::Write { state: State { count, amount, kind, ..next }, empty: Empty::No })
    })
}

pub fn take_back(
    host: &mut dyn Host,
    call: &Call,
    order: &CardOrder,
) -> Result<SellOutcome, DriverError> {
    let purchase = order.purchase.ok_or_else(|| bad("what is taken back is a purchase"))?;
    let (count, amount) = ordered(purchase)?;
    let asked = Asked::of(call, order)?;
    act(host, |image| {
        let (held, next) = asked.held(image)?;
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
        match taken_by(image, &held) {
            taken::NO => Ok(Plan::Write { state: State { amount: 0, ..next }, empty: Empty::No }),
            taken::YES => {
                Err(Stop::refused(refusal::ALREADY_TAKEN, "the device has taken this purchase"))
            }
            _ => Err(Stop::refused(
                refusal::ALREADY_TAKEN,
                "the card does not tell whether the device has taken this purchase",
            )),
        }
    })
}

pub fn clear(host: &mut dyn Host, call: &Call) -> Result<SellOutcome, DriverError> {
    let device = device(call)?;
    act(host, |image| {
        let blank = blank(image)?;
        let Some(held) = image.state().filter(|state| state.purpose != 0) else {
            return Ok(Plan::Done);
        };
        of_device(device, &held)?;
        Ok(Plan::Write { state: blank, empty: Empty::After })
    })
}

/// Whose card an act is about.
struct Asked {
    customer: Digits,
    device: Option<Digits>,
    region: [u8; 8],
}

impl Asked {
    fn of(call: &Call, order: &CardOrder) -> Result<Asked, DriverError> {
        Ok(Asked {
            customer: digits("the customer number", &order.customer_number)?,
            device: device(call)?,
            region: region(&order.region)?,
        })
    }

    /// What that customer's user card holds, and the same with the next sequence.
    fn held(&self, image: &Image) -> Result<(State, State), Stop> {
        let Some(held) = image.state().filter(|state| state.purpose == 1) else {
            let what = match image.state() {
                Some(state) if state.purpose != 0 => "a maintenance card",
                Some(_) | None => "blank",
            };
            return Err(Stop::refused(refusal::OTHER, format!("the card is {what}")));
        };
        if held.customer != self.customer {
            return Err(Stop::refused(
                refusal::WRONG_CUSTOMER,
                format!("the card is customer {}'s", held.customer),
            ));
        }
        of_device(self.device, &held)?;
        if held.region != self.region {
            return Err(Stop::refused(
                refusal::OTHER,
                format!("the card is of region `{}`", held.region_text()),
            ));
        }
        let next = State { sequence: held.sequence.wrapping_add(1), ..held };
        Ok((held, next))
    }
}

/// Where the call names a device, the card must be for that one or for every one.
fn of_device(wanted: Option<Digits>, held: &State) -> Result<(), Stop> {
    match wanted {
        Some(wanted) if wanted != held.device && Some(held.device) != nobody() => {
            Err(Stop::refused(
                refusal::WRONG_ADDRESS,
                format!("the card is for device {}", held.device),
            ))
        }
        _ => Ok(()),
    }
}

fn blank(image: &Image) -> Result<State, Stop> {
    image.blank().ok_or_else(|| Stop::garbled("no blank state"))
}

/// Count and amount.
fn ordered(purchase: Purchase) -> Result<(u32, u32), DriverError> {
    if purchase.credit.quantity != quantity::MONEY {
        return Err(bad("these cards hold money"));
    }
    let amount = u32::try_from(purchase.credit.amount)
        .map_err(|_| bad("the amount does not fit the card's four bytes"))?;
    Ok((purchase.count, amount))
}

fn device(call: &Call) -> Result<Option<Digits>, DriverError> {
    match call.address.as_str() {
        "" => Ok(None),
        address => Ok(Some(digits("the device number", address)?)),
    }
}

fn digits(what: &str, text: &str) -> Result<Digits, DriverError> {
    Digits::from_text(text).ok_or_else(|| bad(format!("{what} must be 1 to 12 decimal digits")))
}

fn region(text: &str) -> Result<[u8; 8], DriverError> {
    let mut region = [0; 8];
    if text.len() > region.len() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(bad("a region on these cards has at most 8 ASCII letters"));
    }
    region.iter_mut().zip(text.bytes()).for_each(|(place, byte)| *place = byte);
    Ok(region)
}

fn nothing_else(parameters: &Extras) -> Result<(), DriverError> {
    match parameters.first() {
        None => Ok(()),
        Some((name, _)) => Err(bad(format!("`{name}` goes onto setting cards alone"))),
    }
}

/// A parameter of a setting card, in fen.
fn fen(parameters: &Extras, wanted: &str) -> Result<Option<u32>, DriverError> {
    let known = [name::ALARM, name::OVERDRAFT_LIMIT];
    if let Some((other, _)) = parameters.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        return Err(bad(format!("`{other}` is nothing that these cards carry")));
    }
    let wrong = || bad(format!("{wanted} must be a whole number from 0 to {}", name::FEN_MAX));
    match parameters.iter().find(|(name, _)| name == wanted) {
        None => Ok(None),
        Some((_, Value::Number(Decimal { mantissa, scale: 0 })))
            if (0..=name::FEN_MAX).contains(mantissa) =>
        {
            Ok(Some(u32::try_from(*mantissa).map_err(|_| wrong())?))
        }
        Some(_) => Err(wrong()),
    }
}

fn bad(detail: impl Into<String>) -> DriverError {
    DriverError::new(error::BAD_PARAMETER, detail)
}
