//! Looking at a card: whose it is, what it holds, and whether its device has taken that.
//!
//! Invariant: nothing here presents a code or changes a card.

use crate::card::{Card, Image};
use crate::layout::{LEFT, State};
use crate::written_back::WrittenBack;
use polymeter_codec::gbcard::Digits;
use polymeter_driver::codes::card::{purpose, taken};
use polymeter_driver::codes::{error, quality, quantity, register, unit};
use polymeter_driver::ending::Stop;
use polymeter_driver::{
    CardContents, CardIdentity, Credit, Decimal, DriverError, Extras, Host, LocalTime, Measurement,
    Purchase, Value, WrittenBack as BroughtHome,
};

pub const VENDOR: &str = "ACME";

/// The card, or the word that it is none of ours.
pub fn card(host: &mut dyn Host) -> Result<Card<'_>, Stop> {
    let none = || DriverError::new(error::DEVICE_SAYS_NO, "not a card of this vendor");
    Ok(Card::begin(host)?.ok_or_else(none)?)
}

pub fn identify(host: &mut dyn Host) -> Result<Option<CardIdentity>, DriverError> {
    Ok(Card::begin(host)?.map(|card| identity(&card.image)))
}

fn identity(image: &Image) -> CardIdentity {
    let state = image.state();
    let number = |digits: fn(&State) -> Digits| match state.as_ref().map(digits) {
        Some(digits) if digits.bytes() != [0; 6] => digits.to_string(),
        _ => String::new(),
    };
    CardIdentity {
        vendor_code: VENDOR.to_owned(),
        purpose: state.map_or(purpose::BLANK, |state| state.purpose.into()),
        region: state.map(|state| state.region_text()).unwrap_or_default(),
        customer_number: number(|state| state.customer),
        device: number(|state| state.device),
        serial: image.serial(),
    }
}

/// Whether the device has taken the state's purchase: by a write-back of that device and customer.
pub fn taken_by(image: &Image, state: &State) -> u16 {
    match image.back {
        Some(back) if is_of(state, &back) && back.count >= state.count => taken::YES,
        None if image.back_damaged => taken::UNKNOWN,
        _ => taken::NO,
    }
}

fn is_of(state: &State, back: &WrittenBack) -> bool {
    (back.device, back.customer) == (state.device, state.customer)
}

pub fn check(host: &mut dyn Host) -> Result<CardContents, DriverError> {
    let mut card = card(host)?;
    card.prove()?;
    let image = &card.image;
    let mut contents = CardContents {
        identity: identity(image),
        purchase: None,
        taken: taken::UNKNOWN,
        written_back: None,
        extras: Vec::new(),
    };
    let Some(state) = image.state().filter(|state| state.purpose != 0) else {
        return Ok(contents);
    };
    if state.count > 0 {
        contents.purchase = Some(Purchase { count: state.count, credit: credit(state.amount) });
        contents.taken = taken_by(image, &state);
    }
    for (name, fen) in [("alarm", state.alarm), ("overdraft-limit", state.limit)] {
        if fen != LEFT {
            contents.extras.push((name.to_owned(), money(fen)));
        }
    }
    if image.back_damaged {
        let why = Value::Text("a slot of the write-back is damaged".to_owned());
        contents.extras.push(("write-back damaged".to_owned(), why));
    }
    contents.written_back = image.back.map(|back| brought_home(&state, &back));
    Ok(contents)
}

fn brought_home(state: &State, back: &WrittenBack) -> BroughtHome {
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
    if !is_of(state, back) {
        extras.push(("of device".to_owned(), Value::Text(back.device.to_string())));
        extras.push(("of customer".to_owned(), Value::Text(back.customer.to_string())));
    }
    BroughtHome {
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

fn credit(fen: u32) -> Credit {
    Credit { quantity: quantity::MONEY, amount: fen.into() }
}

/// Yuan.
fn money(fen: u32) -> Value {
    Value::Number(Decimal { mantissa: fen.into(), scale: -2 })
}

fn whole(number: u32) -> Value {
    Value::Number(Decimal { mantissa: number.into(), scale: 0 })
}
