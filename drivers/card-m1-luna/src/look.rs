//! Looking at a card: whose it is, what it holds, and whether its device has taken that.
//!
//! Invariant: nothing here changes a card, and what cannot be read is not made up.

use crate::layout::{Back, Kind, State};
use crate::session::{Keys, Letter, STATES, Session, Slots, WRITE_BACKS};
use polymeter_codec::gbcard::Digits;
use polymeter_driver::codes::card::{purpose, taken};
use polymeter_driver::codes::{error, quality, quantity, register, unit};
use polymeter_driver::ending::Stop;
use polymeter_driver::{
    Call, CardContents, CardIdentity, Credit, Decimal, DriverError, Extras, Host, LocalTime,
    Measurement, Purchase, Value, WrittenBack,
};

pub const VENDOR: &str = "LUNA";

/// What a card says of itself to whoever has its keys.
#[derive(Debug, Clone)]
pub struct Held {
    pub keys: Keys,
    /// The state that counts; blank on a card with the maker's keys.
    pub state: State,
    /// None on a card with the maker's keys.
    pub slots: Option<Slots>,
}

/// The card, or the word that this is none of this vendor's.
pub fn session(host: &mut dyn Host) -> Result<Session<'_>, Stop> {
    let begun = Session::begin(host)?;
    let none = || DriverError::new(error::DEVICE_SAYS_NO, "not a card of this vendor");
    Ok(begun.ok_or_else(none)?)
}

/// Keys and state; an error where the keys are another region's or the card is damaged.
pub fn held(session: &mut Session<'_>) -> Result<Held, Stop> {
    match session.keys()? {
        Keys::Makers => Ok(Held { keys: Keys::Makers, state: State::BLANK, slots: None }),
        Keys::Others => {
            let of = if session.region.is_empty() { "unknown" } else { &session.region };
            let detail = format!("the card has the keys of another region: {of}");
            Err(Stop::Failed(DriverError::new(error::DEVICE_SAYS_NO, detail)))
        }
        Keys::Ours => {
            session.open(STATES, Letter::A)?;
            let slots = session.slots(STATES)?;
            let state = match slots.counting() {
                Some(slot) => State::parse(&slot.content)
                    .ok_or_else(|| Stop::garbled("the card's state is none that these have"))?,
                None if slots.has_empty => State::BLANK,
                None => return Err(Stop::garbled("both states of the card are damaged")),
            };
            Ok(Held { keys: Keys::Ours, state, slots: Some(slots) })
        }
    }
}

pub fn identify(host: &mut dyn Host, _: &Call) -> Result<Option<CardIdentity>, DriverError> {
    let Some(mut session) = Session::begin(host)? else { return Ok(None) };
    // Whatever another region's card is, it is somebody's.
    let foreign = State { purpose: 1, ..State::BLANK };
    let state = match session.keys()? {
        Keys::Others => foreign,
        _ => held(&mut session)?.state,
    };
    Ok(Some(identity(&session, &state)))
}

pub fn identity(session: &Session<'_>, state: &State) -> CardIdentity {
    let text = |digits: Option<Digits>| digits.map(|it| it.to_string()).unwrap_or_default();
    CardIdentity {
        vendor_code: VENDOR.to_owned(),
        purpose: state.purpose.into(),
        region: session.region.clone(),
        customer_number: text(state.customer),
        device: text(state.device),
        serial: session.serial(),
    }
}

/// What the device wrote back last, if anything good is there, and both slots.
pub fn written_back(session: &mut Session<'_>) -> Result<(Option<Back>, Slots), Stop> {
    session.open(WRITE_BACKS, Letter::A)?;
    let slots = session.slots(WRITE_BACKS)?;
    let back = slots.counting().and_then(|slot| Back::parse(&slot.content));
    Ok((back, slots))
}

/// Whether the device has taken the state's purchase.
pub fn is_taken(state: &State, back: Option<&Back>) -> bool {
    back.is_some_and(|back| {
        (back.device, back.customer) == (state.device, state.customer) && back.count >= state.count
    })
}

pub fn check(host: &mut dyn Host, _: &Call) -> Result<CardContents, DriverError> {
    let mut session = session(host)?;
    let held = held(&mut session)?;
    let mut contents = CardContents {
        identity: identity(&session, &held.state),
        purchase: None,
        taken: taken::UNKNOWN,
        written_back: None,
        extras: Vec::new(),
    };
    if held.keys == Keys::Makers {
        return Ok(contents);
    }
    let state = &held.state;
    let (back, _) = written_back(&mut session)?;
    contents.written_back = back.as_ref().map(brought_home);
    if u16::from(state.purpose) == purpose::USER {
        contents.extras.push(("type".to_owned(), Value::Text(state.kind.name().to_owned())));
        if state.count > 0 {
            contents.purchase = Some(Purchase { count: state.count, credit: credit(state.amount) });
            let is_taken = is_taken(state, back.as_ref());
            contents.taken = if is_taken { taken::YES } else { taken::NO };
        }
    }
    for (name, fen) in [("alarm", state.alarm), ("overdraft-limit", state.overdraft)] {
        contents.extras.extend(fen.map(|fen| (name.to_owned(), money(fen))));
    }
    Ok(contents)
}

fn brought_home(back: &Back) -> WrittenBack {
    let measured = |register: &str, value: Value, unit: u16| Measurement {
        register: register.to_owned(),
        value,
        unit,
        quality: quality::MEASURED,
    };
    let flag = |bit: u8| Value::Flag(back.bits & bit != 0);
    let text =
        |digits: Option<Digits>| Value::Text(digits.map(|it| it.to_string()).unwrap_or_default());
    let extras: Extras = vec![
        ("relay-open".to_owned(), flag(1)),
        ("low-credit".to_owned(), flag(2)),
        ("last-error".to_owned(), whole(back.last_error.into())),
        ("device".to_owned(), text(back.device)),
        ("customer".to_owned(), text(back.customer)),
    ];
    WrittenBack {
        count: back.count,
        balance: Some(credit(back.balance)),
        at: back.at.map(|at| LocalTime {
            year: u16::from(at.year).saturating_add(2000),
            month: at.month,
            day: at.day,
            hour: at.hour,
            minute: at.minute,
            second: 0,
        }),
        measurements: vec![
            measured(register::CREDIT_REMAINING, money(back.balance), unit::CURRENCY),
            measured(register::CREDIT_OVERDRAWN, money(back.overdrawn), unit::CURRENCY),
            measured(register::PURCHASE_COUNT, whole(back.count), unit::NONE),
        ],
        extras,
    }
}

fn credit(amount: u32) -> Credit {
    Credit { quantity: quantity::MONEY, amount: amount.into() }
}

/// Yuan.
fn money(amount: u32) -> Value {
    Value::Number(Decimal { mantissa: amount.into(), scale: -2 })
}

fn whole(number: u32) -> Value {
    Value::Number(Decimal { mantissa: number.into(), scale: 0 })
}

/// Whether an opening purchase still waits for its device.
pub fn opening_waits(state: &State, taken: bool) -> bool {
    state.kind == Kind::Open && state.count > 0 && !taken
}
