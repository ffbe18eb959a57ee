//! Driver for meters that speak DLMS/COSEM by logical names, behind the TCP wrapper or in HDLC, with
//! no, low or high security with GMAC: reads, switches the supply, tells what a prepayment account
//! holds, explains captured frames.
//!
//! Invariant: what changes a meter is asked once; what its objects say afterwards decides, and not its
//! yes. Keys stay in the vault. What is known of these meters, what was chosen and what nobody knows
//! stands in the README beside this crate.
//!
//! Not here: sales, because a credit has no number (README); settings; load profiles.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used
)]

mod account;
mod association;
mod cipher;
mod describe;
mod explain;
mod hdlc;
mod link;
mod measure;
mod read;
mod session;
mod settings;
mod supply;

use polymeter_driver::codes::error;
use polymeter_driver::{
    Call, ControlOutcome, Description, DriverError, Evidence, Explanation, Extras, Host, Identity,
    LocalTime, MeterDriver, Opening, Order, SellOutcome, SetOutcome, Snapshot,
};

#[derive(Debug)]
pub struct Dlms;

impl MeterDriver for Dlms {
    fn describe() -> Description {
        describe::describe()
    }
    fn probe(host: &mut dyn Host, call: &Call) -> Result<Identity, DriverError> {
        read::probe(host, call)
    }
    fn read(host: &mut dyn Host, call: &Call) -> Result<Snapshot, DriverError> {
        read::read(host, call)
    }
    fn open(_: &mut dyn Host, _: &Call, _: &Opening) -> Result<SellOutcome, DriverError> {
        Err(no_sale())
    }
    fn sell(_: &mut dyn Host, _: &Call, _: &Order) -> Result<SellOutcome, DriverError> {
        Err(no_sale())
    }
    fn clear(_: &mut dyn Host, _: &Call) -> Result<SellOutcome, DriverError> {
        Err(no_sale())
    }
    fn check(_: &mut dyn Host, _: &Call, _: Option<u32>) -> Result<Evidence, DriverError> {
        Err(no_sale())
    }
    fn control(
        host: &mut dyn Host,
        call: &Call,
        command: u16,
        valid_until: Option<LocalTime>,
    ) -> Result<ControlOutcome, DriverError> {
        supply::control(host, call, command, valid_until)
    }
    fn set_parameters(_: &mut dyn Host, _: &Call, _: &Extras) -> Result<SetOutcome, DriverError> {
        Err(DriverError::new(error::BAD_PARAMETER, "this driver writes no parameter"))
    }
    fn decode(frame: &[u8]) -> Result<Explanation, String> {
        explain::explain(frame)
    }
}

fn no_sale() -> DriverError {
    DriverError::new(
        error::UNSUPPORTED,
        "a credit of DLMS has no purchase count, so that no sale could be proved: see the README",
    )
}

polymeter_driver::export!(Dlms);
