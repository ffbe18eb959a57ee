//! A call of the contract as the frame that asks a library for it.
//!
//! Invariant: what a driver in the sandbox is told, a library is told too, and no more. Not here: the
//! password, which is an argument of its own and never in a frame.

use crate::frame::Frame;
use crate::item::Writer;
use crate::words::{command, identifier};
use polymeter_transcript::{CardAct, CardOrder, Credit, Decimal, Function, Request, Told, Value};

/// A library is not asked for this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unaskable {
    #[error("a native library has no command for {0}")]
    NoCommand(Function),
    #[error("a card of purpose {0} is none that a native library makes")]
    Purpose(u16),
    #[error("a settings card carries `alarm`, in minor units, and nothing else")]
    Settings,
}

/// `identity.purpose`.
const USER: u16 = 1;
const SETTING: u16 = 2;

/// `region` is the one that the driver serves by its configuration, for requests that name none.
pub fn asked(request: &Request, region: Option<&str>) -> Result<Frame, Unaskable> {
    let mut data = Writer::default();
    if let Some(told) = request.told() {
        tell(&mut data, told);
    }
    let command = match request {
        Request::Describe => command::DESCRIBE,
        Request::Probe(_) => command::PROBE,
        Request::Read(_) => command::READ,
        Request::Open(_, opening) => {
            data.item(identifier::CUSTOMER, opening.customer_number.as_bytes());
            data.item(identifier::COUNT, &opening.count.to_be_bytes());
            data.credit(identifier::CREDIT, &opening.credit);
            command::OPEN
        }
        Request::Sell(_, order) => {
            data.item(identifier::CUSTOMER, order.customer_number.as_bytes());
            data.item(identifier::COUNT, &order.purchase.count.to_be_bytes());
            data.credit(identifier::CREDIT, &order.purchase.credit);
            command::SELL
        }
        Request::Clear(_) => command::CLEAR,
        Request::Check(_, count) => {
            if let Some(count) = count {
                data.item(identifier::COUNT, &count.to_be_bytes());
            }
            command::CHECK
        }
        Request::Control { command, valid_until, .. } => {
            data.item(identifier::COMMAND, &command.to_be_bytes());
            if let Some(until) = valid_until {
                data.time(identifier::VALID_UNTIL, until);
            }
            command::CONTROL
        }
        Request::SetParameters(_, parameters) => {
            // Told apart from the parameters of the meter's configuration by their identifier.
            for (name, value) in parameters {
                data.named(identifier::EXTRA, name, value);
            }
            command::SET
        }
        Request::CardIdentify(_) => command::CARD_IDENTIFY,
        Request::CardCheck(_) => command::CARD_CHECK,
        Request::CardClear(_) => {
            if let Some(region) = region {
                data.item(identifier::REGION, region.as_bytes());
            }
            command::CARD_CLEAR
        }
        Request::Card(act, _, order) => card(&mut data, *act, order)?,
        Request::Decode(_)
        | Request::Search { .. }
        | Request::Refund(..)
        | Request::SetClock(..)
        | Request::Enter(..)
        | Request::ReadRecords { .. }
        | Request::Plan(..)
        | Request::Issue(..) => return Err(Unaskable::NoCommand(request.function())),
    };
    Ok(Frame { command, data: data.into_bytes() })
}

/// A card of a library's vendor is a customer's, or carries an alarm's sum to a meter.
fn card(data: &mut Writer, act: CardAct, order: &CardOrder) -> Result<u8, Unaskable> {
    data.item(identifier::REGION, order.region.as_bytes());
    let command = match (act, order.purpose) {
        (CardAct::TakeBack, _) => return Err(Unaskable::NoCommand(act.function())),
        (CardAct::Make, SETTING) => {
            data.credit(identifier::CREDIT, &alarm(order)?);
            return Ok(command::CARD_SET);
        }
        (CardAct::Open, USER) => command::CARD_OPEN,
        (CardAct::Sell, USER) => command::CARD_SELL,
        (CardAct::Replace, USER) => command::CARD_REPLACE,
        (CardAct::Open | CardAct::Sell | CardAct::Replace | CardAct::Make, other) => {
            return Err(Unaskable::Purpose(other));
        }
    };
    let nothing = Credit { quantity: MONEY, amount: 0 };
    let (count, credit) = order
        .purchase
        .as_ref()
        .map_or((0, &nothing), |purchase| (purchase.count, &purchase.credit));
    data.item(identifier::CUSTOMER, order.customer_number.as_bytes());
    data.item(identifier::COUNT, &count.to_be_bytes());
    data.credit(identifier::CREDIT, credit);
    Ok(command)
}

/// `credit.quantity`.
const MONEY: u16 = 1;

fn alarm(order: &CardOrder) -> Result<Credit, Unaskable> {
    match order.parameters.as_slice() {
        [(name, Value::Number(Decimal { mantissa, scale: 0 }))] if name == "alarm" => {
            let amount = u64::try_from(*mantissa).map_err(|_| Unaskable::Settings)?;
            Ok(Credit { quantity: MONEY, amount })
        }
        _ => Err(Unaskable::Settings),
    }
}

fn tell(data: &mut Writer, told: &Told) {
    data.item(identifier::ADDRESS, told.address.as_bytes());
    data.time(identifier::NOW, &told.now);
    data.item(identifier::NONCE, &told.nonce);
    for (name, value) in &told.parameters {
        data.named(identifier::PARAMETER, name, value);
    }
}
