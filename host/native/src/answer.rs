//! A library's answering frame as an outcome of the contract.
//!
//! Invariant: a yes is one only where the frame says DONE and has all that a yes must have; a frame
//! that lacks something is an error and no outcome. Not here: whether the values make sense and
//! whether to believe them (runtime).

use crate::frame::Frame;
use crate::item::{Field, Items, ItemsError};
use crate::words::{ANSWER, ability, card, command, identifier, result};
use polymeter_transcript::{
    CardContents, CardIdentity, ControlOutcome, Description, DriverError, Evidence, Extras,
    Function, Identity, Measurement, Outcome, Parameter, Purchase, Receipt, Refusal, SellOutcome,
    SetOutcome, Snapshot, WrittenBack,
};

type Read<T> = Result<T, ItemsError>;

/// What a library says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    pub description: Description,
    pub purse: bool,
    pub supply: bool,
    pub settings: bool,
    pub cards: bool,
}

pub fn described(frame: &Frame) -> Read<Result<Described, DriverError>> {
    let items = opened(frame, command::DESCRIBE)?;
    if items.need(identifier::RESULT)?.u8()? != result::DONE {
        return Ok(Err(failure(&items)?));
    }
    let models = items.all(identifier::MODEL).map(Field::text);
    let parameters = items.all(identifier::DECLARED).map(parameter);
    let description = Description {
        vendor_code: items.need(identifier::VENDOR)?.text()?,
        name: items.need(identifier::NAME)?.text()?,
        version: items.need(identifier::VERSION)?.text()?,
        models: models.collect::<Read<_>>()?,
        proof: items.need(identifier::PROOF)?.u16()?,
        purse: items.need(identifier::PURSE)?.u16()?,
        parameters: parameters.collect::<Read<_>>()?,
    };
    let abilities = items.need(identifier::ABILITIES)?.u16()?;
    let has = |bit: u16| abilities & bit != 0;
    Ok(Ok(Described {
        description,
        purse: has(ability::HAS_PURSE),
        supply: has(ability::HAS_SUPPLY),
        settings: has(ability::HAS_SETTINGS),
        cards: has(ability::HAS_CARDS),
    }))
}

/// Name, both titles, unit, writable, both bounds, and the default if there is one.
fn parameter(mut field: Field<'_>) -> Read<Parameter> {
    Ok(Parameter {
        name: field.take_name()?,
        title_en: field.take_name()?,
        title_zh: field.take_name()?,
        unit: field.take_u16()?,
        writable: field.take_flag()?,
        minimum: field.take_bound()?,
        maximum: field.take_bound()?,
        default: field.rest()?,
    })
}

pub fn answered(function: Function, frame: &Frame) -> Read<Outcome> {
    let items = opened(frame, code_of(function))?;
    let said = items.need(identifier::RESULT)?.u8()?;
    match (said, function) {
        (result::DONE, _) => done(function, &items),
        (result::FAILED, Function::CardIdentify) => of_another(failure(&items)?),
        (result::FAILED, _) => Ok(Outcome::Error(failure(&items)?)),
        (result::REFUSED, function) if is_delivery(function) => {
            Ok(Outcome::Sell(SellOutcome::Refused(refusal(&items)?)))
        }
        (result::REFUSED, Function::Control) => {
            Ok(Outcome::Control(ControlOutcome::Refused(refusal(&items)?)))
        }
        (result::REFUSED, Function::SetParameters) => {
            Ok(Outcome::Set(SetOutcome::Refused(refusal(&items)?)))
        }
        (result::UNKNOWN, function) if is_delivery(function) => {
            Ok(Outcome::Sell(SellOutcome::Unknown(detail(&items)?)))
        }
        (result::UNKNOWN, Function::Control) => {
            Ok(Outcome::Control(ControlOutcome::Unknown(detail(&items)?)))
        }
        (result::UNKNOWN, Function::SetParameters) => {
            Ok(Outcome::Set(SetOutcome::Unknown(detail(&items)?)))
        }
        (other, _) => Err(ItemsError::Result(other)),
    }
}

/// A card of another vendor is no error where it is asked whose it is.
fn of_another(error: DriverError) -> Read<Outcome> {
    /// `driver-error.code`: the answer of another device.
    const OTHER_DEVICE: u16 = 3;
    Ok(if error.code == OTHER_DEVICE { Outcome::CardIdentity(None) } else { Outcome::Error(error) })
}

/// An act that ends as a sale does.
fn is_delivery(function: Function) -> bool {
    let of_meter = matches!(function, Function::Open | Function::Sell | Function::Clear);
    of_meter || (function.interface() == "card" && function.is_act())
}

fn code_of(function: Function) -> u8 {
    match function {
        // Never asked of a library, so that no answer fits.
        Function::Describe
        | Function::Decode
        | Function::Search
        | Function::Refund
        | Function::SetClock
        | Function::Enter
        | Function::ReadRecords
        | Function::Plan
        | Function::Issue
        | Function::CardTakeBack => command::DESCRIBE,
        Function::Probe => command::PROBE,
        Function::Read => command::READ,
        Function::Open => command::OPEN,
        Function::Sell => command::SELL,
        Function::Clear => command::CLEAR,
        Function::Check => command::CHECK,
        Function::Control => command::CONTROL,
        Function::SetParameters => command::SET,
        Function::CardIdentify => command::CARD_IDENTIFY,
        Function::CardCheck => command::CARD_CHECK,
        Function::CardOpen => command::CARD_OPEN,
        Function::CardSell => command::CARD_SELL,
        Function::CardReplace => command::CARD_REPLACE,
        Function::CardClear => command::CARD_CLEAR,
        Function::CardMake => command::CARD_SET,
    }
}

fn opened(frame: &Frame, asked: u8) -> Read<Items<'_>> {
    let wanted = asked | ANSWER;
    if frame.command != wanted {
        return Err(ItemsError::Command(frame.command, wanted));
    }
    Items::parse(&frame.data)
}

fn done(function: Function, items: &Items<'_>) -> Read<Outcome> {
    Ok(match function {
        Function::Describe
        | Function::Decode
        | Function::Search
        | Function::Refund
        | Function::SetClock
        | Function::Enter
        | Function::ReadRecords
        | Function::Plan
        | Function::Issue
        | Function::CardTakeBack => {
            return Err(ItemsError::Missing(identifier::VENDOR));
        }
        Function::Probe => Outcome::Identity(Identity {
            address: items.need(identifier::ADDRESS)?.text()?,
            model: optional(items, identifier::MODEL, Field::text)?.unwrap_or_default(),
            extras: extras(items)?,
        }),
        Function::Read => Outcome::Snapshot(Snapshot {
            measurements: items
                .all(identifier::MEASUREMENT)
                .map(measurement)
                .collect::<Read<_>>()?,
            supply: optional(items, identifier::SUPPLY, Field::u16)?.unwrap_or_default(),
            extras: extras(items)?,
        }),
        Function::CardIdentify => Outcome::CardIdentity(Some(card_identity(items)?)),
        Function::CardCheck => Outcome::CardContents(card_contents(items)?),
        Function::Open
        | Function::Sell
        | Function::Clear
        | Function::CardOpen
        | Function::CardSell
        | Function::CardReplace
        | Function::CardClear
        | Function::CardMake => Outcome::Sell(SellOutcome::Confirmed(Receipt {
            count: items.need(identifier::COUNT)?.u32()?,
            balance: optional(items, identifier::BALANCE, Field::credit)?,
            extras: extras(items)?,
        })),
        Function::Check => Outcome::Evidence(Evidence {
            count: items.need(identifier::COUNT)?.u32()?,
            purchase: optional(items, identifier::PURCHASE, Field::counted)?
                .map(|(count, credit)| Purchase { count, credit }),
            balance: optional(items, identifier::BALANCE, Field::credit)?,
        }),
        Function::Control => {
            Outcome::Control(ControlOutcome::Confirmed(items.need(identifier::SUPPLY)?.u16()?))
        }
        Function::SetParameters => Outcome::Set(SetOutcome::Confirmed),
    })
}

/// What is missing is empty.
fn card_identity(items: &Items<'_>) -> Read<CardIdentity> {
    /// `identity.purpose`.
    const BLANK: u16 = 0;
    const USER: u16 = 1;
    const SETTING: u16 = 2;
    let kind = items.need(identifier::CARD_KIND)?.u8()?;
    let purpose = match kind {
        card::BLANK | card::CLEARED => BLANK,
        card::OPENS | card::SELLS => USER,
        card::SETS => SETTING,
        other => return Err(ItemsError::CardKind(other)),
    };
    let text = |identifier| Ok(optional(items, identifier, Field::text)?.unwrap_or_default());
    Ok(CardIdentity {
        vendor_code: items.need(identifier::VENDOR)?.text()?,
        purpose,
        region: text(identifier::REGION)?,
        // What a blank card says of a customer is nobody.
        customer_number: if purpose == USER { text(identifier::CUSTOMER)? } else { String::new() },
        device: text(identifier::ADDRESS)?,
        serial: text(identifier::CARD_NUMBER)?,
    })
}

/// COUNT is the card's, PURCHASE has the amount that lies on it under the count that the meter wrote
/// back.
fn card_contents(items: &Items<'_>) -> Read<CardContents> {
    /// `contents.taken`.
    const NOT_TAKEN: u16 = 1;
    const TAKEN: u16 = 2;
    let identity = card_identity(items)?;
    let count = items.need(identifier::COUNT)?.u32()?;
    let (written, credit) = items.need(identifier::PURCHASE)?.counted()?;
    let balance = optional(items, identifier::BALANCE, Field::credit)?;
    let written_back = (written > 0).then(|| WrittenBack {
        count: written,
        balance,
        at: None,
        measurements: Vec::new(),
        extras: Vec::new(),
    });
    Ok(CardContents {
        identity,
        purchase: (count > 0).then_some(Purchase { count, credit }),
        taken: if written >= count { TAKEN } else { NOT_TAKEN },
        written_back,
        extras: extras(items)?,
    })
}

fn optional<'a, T>(
    items: &Items<'a>,
    identifier: u16,
    read: impl FnOnce(Field<'a>) -> Read<T>,
) -> Read<Option<T>> {
    items.find(identifier).map(read).transpose()
}

fn extras(items: &Items<'_>) -> Read<Extras> {
    items.all(identifier::EXTRA).map(Field::named).collect()
}

fn measurement(field: Field<'_>) -> Read<Measurement> {
    let (register, unit, quality, value) = field.register()?;
    Ok(Measurement { register, value, unit, quality })
}

fn detail(items: &Items<'_>) -> Read<String> {
    Ok(optional(items, identifier::DETAIL, Field::text)?.unwrap_or_default())
}

fn refusal(items: &Items<'_>) -> Read<Refusal> {
    Ok(Refusal {
        code: items.need(identifier::CODE)?.u16()?,
        detail: detail(items)?,
        device_code: optional(items, identifier::DEVICE_CODE, Field::text)?,
    })
}

fn failure(items: &Items<'_>) -> Read<DriverError> {
    Ok(DriverError {
        code: items.need(identifier::CODE)?.u16()?,
        detail: detail(items)?,
        device_code: optional(items, identifier::DEVICE_CODE, Field::text)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Writer;
    use polymeter_transcript::{Credit, Decimal, Value};
    use proptest::prelude::*;

    fn frame(command: u8, write: impl FnOnce(&mut Writer)) -> Frame {
        let mut data = Writer::default();
        write(&mut data);
        Frame { command, data: data.into_bytes() }
    }

    fn credit(amount: u64) -> Credit {
        Credit { quantity: 1, amount }
    }

    #[test]
    fn a_yes_needs_all_that_proves_it() {
        let yes = frame(0x84, |data| {
            data.item(identifier::RESULT, &[result::DONE]).item(identifier::COUNT, &[0, 0, 0, 7]);
            data.credit(identifier::BALANCE, &credit(500));
        });
        let receipt = Receipt { count: 7, balance: Some(credit(500)), extras: vec![] };
        let confirmed = Outcome::Sell(SellOutcome::Confirmed(receipt));
        assert_eq!(answered(Function::Sell, &yes), Ok(confirmed));
        let bare = frame(0x84, |data| {
            data.item(identifier::RESULT, &[result::DONE]);
        });
        assert_eq!(answered(Function::Sell, &bare), Err(ItemsError::Missing(identifier::COUNT)));
        assert_eq!(
            answered(Function::Clear, &yes),
            Err(ItemsError::Command(0x84, 0x85)),
            "the answer to another question"
        );
        let empty = frame(0x84, |_| {});
        assert_eq!(answered(Function::Sell, &empty), Err(ItemsError::Missing(identifier::RESULT)));
    }

    #[test]
    fn a_no_and_a_do_not_know_are_no_yes() {
        let no = |said: u8| {
            frame(0x84, |data| {
                data.item(identifier::RESULT, &[said]).item(identifier::CODE, &[0, 10]);
                data.item(identifier::DETAIL, b"wrong password");
                data.item(identifier::DEVICE_CODE, b"02").item(0x7777, b"new");
            })
        };
        let device_code = Some("02".to_owned());
        let detail = || "wrong password".to_owned();
        let refusal = Refusal { code: 10, detail: detail(), device_code: device_code.clone() };
        let failure = DriverError { code: 10, detail: detail(), device_code };
        for (said, outcome) in [
            (result::REFUSED, Ok(Outcome::Sell(SellOutcome::Refused(refusal)))),
            (result::UNKNOWN, Ok(Outcome::Sell(SellOutcome::Unknown(detail())))),
            (result::FAILED, Ok(Outcome::Error(failure))),
            (9, Err(ItemsError::Result(9))),
        ] {
            assert_eq!(answered(Function::Sell, &no(said)), outcome);
        }
        let read = Frame { command: 0x82, ..no(result::REFUSED) };
        assert_eq!(answered(Function::Read, &read), Err(ItemsError::Result(result::REFUSED)));
    }

    #[test]
    fn values_are_read_as_they_are_written() {
        let number = Value::Number(Decimal { mantissa: -186, scale: -2 });
        let read = frame(0x82, |data| {
            data.item(identifier::RESULT, &[result::DONE]).item(identifier::SUPPLY, &[0, 2]);
            let value = [1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x46, 0xFE];
            let register = [&[1, 0, 1, 8, 0, 255, 0, 30, 0], value.as_slice()].concat();
            data.item(identifier::MEASUREMENT, &register);
            data.named(identifier::EXTRA, "电", &Value::Text("x".to_owned()));
        });
        let snapshot = Snapshot {
            measurements: vec![Measurement {
                register: "1.0.1.8.0.255".to_owned(),
                value: number,
                unit: 30,
                quality: 0,
            }],
            supply: 2,
            extras: vec![("电".to_owned(), Value::Text("x".to_owned()))],
        };
        assert_eq!(answered(Function::Read, &read), Ok(Outcome::Snapshot(snapshot)));
    }

    #[test]
    fn what_is_cut_short_or_too_long_is_named() {
        let with = |identifier: u16, value: &[u8]| {
            frame(0x86, |data| {
                data.item(identifier::RESULT, &[0]).item(identifier, value);
            })
        };
        for (frame, error) in [
            (with(identifier::COUNT, &[0; 3]), ItemsError::Length(identifier::COUNT, 3)),
            (with(identifier::COUNT, &[0; 5]), ItemsError::Length(identifier::COUNT, 1)),
            (with(identifier::DETAIL, &[]), ItemsError::Missing(identifier::COUNT)),
            (Frame { command: 0x86, data: vec![0, 1, 0, 2, 0] }, ItemsError::Short),
            (Frame { command: 0x86, data: vec![0, 1, 0] }, ItemsError::Short),
        ] {
            assert_eq!(answered(Function::Check, &frame), Err(error));
        }
    }

    proptest! {
        #[test]
        fn any_data_is_safe(
            data in prop::collection::vec(any::<u8>(), 0..200),
            number in 0..Function::ALL.len(),
        ) {
            let function = Function::ALL[number];
            let mut frame = Frame { command: code_of(function) | ANSWER, data };
            let _ = answered(function, &frame);
            frame.command = ANSWER;
            let _ = described(&frame);
        }
    }
}
