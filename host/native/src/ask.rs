//! A call of the contract as the frame that asks a library for it.
//!
//! Invariant: what a driver in the sandbox is told, a library is told too, and no more. Not here: the
//! password, which is an argument of its own and never in a frame.

use crate::frame::Frame;
use crate::item::Writer;
use crate::words::{command, identifier};
use polymeter_transcript::{Request, Told};

/// A library is not asked for this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a native library explains no captured frames and searches no line")]
pub struct Unaskable;

pub fn asked(request: &Request) -> Result<Frame, Unaskable> {
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
        Request::Decode(_)
        | Request::Search { .. }
        | Request::Refund(..)
        | Request::SetClock(..)
        | Request::ReadRecords { .. }
        | Request::Plan(..)
        | Request::Issue(..)
        | Request::CardIdentify(_)
        | Request::CardCheck(_)
        | Request::CardClear(_)
        | Request::Card(..) => return Err(Unaskable),
    };
    Ok(Frame { command, data: data.into_bytes() })
}

fn tell(data: &mut Writer, told: &Told) {
    data.item(identifier::ADDRESS, told.address.as_bytes());
    data.time(identifier::NOW, &told.now);
    data.item(identifier::NONCE, &told.nonce);
    for (name, value) in &told.parameters {
        data.named(identifier::PARAMETER, name, value);
    }
}
