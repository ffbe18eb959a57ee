//! Looking at a card: whose it is, what it holds, and whether its device has taken that.
//!
//! Invariant: nothing here presents a code or changes a card.

use crate::state::{Back, BroughtHome, Card, Cards, Carried, Shape, State};
use polymeter_codec::gbcard::Digits;
use polymeter_driver::codes::card::{purpose, taken};
use polymeter_driver::codes::{error, quality, quantity, register, unit};
use polymeter_driver::ending::Stop;
use polymeter_driver::{
    CardContents, CardIdentity, Credit, Decimal, DriverError, Extras, Host, LocalTime, Measurement,
    Purchase, Value, WrittenBack,
};

/// The card, or the word that it is none of the vendor's.
pub(crate) fn card<V: Cards>(host: &mut dyn Host) -> Result<V::Card<'_>, Stop> {
    let none = || DriverError::new(error::DEVICE_SAYS_NO, "not a card of this vendor");
    Ok(V::begin(host)?.ok_or_else(none)?)
}

/// Whose card it is; none where it is none of the vendor's.
///
/// # Errors
/// What is wrong with one that is the vendor's, and what the slot says.
pub fn identify<V: Cards>(host: &mut dyn Host) -> Result<Option<CardIdentity>, DriverError> {
    Ok(V::begin(host)?.map(|card| identity::<V>(&card)))
}

fn identity<V: Cards>(card: &V::Card<'_>) -> CardIdentity {
    let state = card.state();
    let number = |digits: fn(&State) -> Digits| match state.as_ref().map(digits) {
        Some(digits) if digits.bytes() != [0; 6] => digits.to_string(),
        _ => String::new(),
    };
    CardIdentity {
        vendor_code: V::VENDOR.to_owned(),
        purpose: state.as_ref().map_or(purpose::BLANK, |state| state.purpose),
        region: state.as_ref().map(|state| state.region.clone()).unwrap_or_default(),
        customer_number: number(|state| state.customer),
        device: number(|state| state.device),
        serial: card.serial(),
    }
}

/// Whether the device has taken the state's purchase: by a write-back of that device and customer.
pub(crate) fn taken_by(state: &State, back: &Back) -> u16 {
    match back {
        Back::Written(back) if is_of(state, back) && back.count >= state.count => taken::YES,
        Back::Damaged => taken::UNKNOWN,
        Back::Written(_) | Back::None => taken::NO,
    }
}

fn is_of(state: &State, back: &BroughtHome) -> bool {
    (back.device, back.customer) == (state.device, state.customer)
}

/// All that the card holds, once it is proved to be under our keys.
///
/// # Errors
/// Another's keys, a card of another vendor, and what the slot says.
pub fn check<V: Cards>(host: &mut dyn Host) -> Result<CardContents, DriverError> {
    let mut card = card::<V>(host)?;
    card.prove()?;
    let mut contents = CardContents {
        identity: identity::<V>(&card),
        purchase: None,
        taken: taken::UNKNOWN,
        written_back: None,
        extras: Vec::new(),
    };
    let Some(state) = card.state() else { return Ok(contents) };
    let back = card.back();
    if state.count > 0 {
        contents.purchase = Some(Purchase { count: state.count, credit: credit(state.amount) });
        contents.taken = taken_by(&state, &back);
    }
    for (carries, carried) in V::CARRIES.iter().zip(&state.carried) {
        let shown = carried.as_ref().map(|carried| shown(carries.shape, carried));
        contents.extras.extend(shown.map(|value| (carries.name.to_owned(), value)));
    }
    match &back {
        Back::None => {}
        Back::Damaged => {
            let why = Value::Text("a slot of the write-back is damaged".to_owned());
            contents.extras.push(("write-back damaged".to_owned(), why));
        }
        Back::Written(back) => contents.written_back = Some(brought_home(&state, back)),
    }
    Ok(contents)
}

fn brought_home(state: &State, back: &BroughtHome) -> WrittenBack {
    let measured = |register: &str, value: Value, unit: u16| Measurement {
        register: register.to_owned(),
        value,
        unit,
        quality: quality::MEASURED,
    };
    let mut extras: Extras = Vec::new();
    for (bit, name) in [(0x01, "relay open"), (0x02, "low credit"), (0x04, "overdrawn")] {
        if back.status & bit != 0 {
            extras.push((name.to_owned(), Value::Flag(true)));
        }
    }
    if back.error != 0 {
        extras.push(("error".to_owned(), whole(back.error.into())));
    }
    if back.key_version != 0 {
        extras.push(("key version".to_owned(), whole(back.key_version.into())));
    }
    if !is_of(state, back) {
        extras.push(("of device".to_owned(), Value::Text(back.device.to_string())));
        extras.push(("of customer".to_owned(), Value::Text(back.customer.to_string())));
    }
    let mut measurements =
        vec![measured(register::CREDIT_REMAINING, money(back.balance), unit::CURRENCY)];
    let overdrawn = back.overdrawn.map(money);
    measurements
        .extend(overdrawn.map(|fen| measured(register::CREDIT_OVERDRAWN, fen, unit::CURRENCY)));
    measurements.push(measured(register::PURCHASE_COUNT, whole(back.count), unit::NONE));
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
        measurements,
        extras,
    }
}

fn credit(fen: u32) -> Credit {
    Credit { quantity: quantity::MONEY, amount: fen.into() }
}

/// Yuan.
fn money(fen: u32) -> Value {
    Value::Number(Decimal { mantissa: fen.into(), scale: -2 })
}

/// As a person reads what a card carries.
fn shown(shape: Shape, carried: &Carried) -> Value {
    let scale = match shape {
        Shape::Money => -2,
        Shape::Price => -4,
        Shape::Whole(_) | Shape::Region => 0,
    };
    match carried {
        Carried::Number(number) => Value::Number(Decimal { mantissa: i64::from(*number), scale }),
        Carried::Letters(letters) => Value::Text(letters.clone()),
    }
}

fn whole(number: u32) -> Value {
    Value::Number(Decimal { mantissa: number.into(), scale: 0 })
}
