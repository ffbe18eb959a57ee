//! The component's side of [`crate::MeterDriver`]: the generated export traits on one end, a driver's
//! own type on the other. Holds no logic but the panic hook, without which a trap says only
//! "unreachable".

use crate::bindings::exports::polymeter::driver::{frames, info, meter, purse, settings, supply};
use crate::bindings::polymeter::driver::{line, log, vault};
use crate::{
    Call, ControlOutcome, Description, DriverError, Evidence, Explanation, Extras, Host, Identity,
    Key, Level, LineError, LocalTime, MeterDriver, Opening, Order, SellOutcome, SetOutcome,
    Snapshot, VaultError,
};
use std::marker::PhantomData;
use std::sync::Once;

/// The host as a component sees it: its imports.
#[derive(Debug)]
pub struct Imports;

impl Host for Imports {
    fn send(&mut self, bytes: &[u8]) -> Result<(), LineError> {
        line::send(bytes)
    }
    fn receive(&mut self, want: u32) -> Result<Vec<u8>, LineError> {
        line::receive(want)
    }
    fn drain(&mut self) -> Result<u32, LineError> {
        line::drain()
    }
    fn mac(
        &mut self,
        key: &Key,
        algorithm: u16,
        iv: &[u8],
        data: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        vault::mac(key, algorithm, iv, data)
    }
    fn encrypt(&mut self, key: &Key, algorithm: u16, data: &[u8]) -> Result<Vec<u8>, VaultError> {
        vault::encrypt(key, algorithm, data)
    }
    fn decrypt(&mut self, key: &Key, algorithm: u16, data: &[u8]) -> Result<Vec<u8>, VaultError> {
        vault::decrypt(key, algorithm, data)
    }
    fn random(&mut self, length: u32) -> Result<Vec<u8>, VaultError> {
        vault::random(length)
    }
    fn log(&mut self, level: Level, message: &str) {
        log::write(level, message);
    }
}

/// Carries a driver's type through the generated export macro.
#[derive(Debug)]
pub struct Exported<D>(PhantomData<D>);

/// The message and place of a panic reach the host's log before the trap does.
fn imports() -> Imports {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        std::panic::set_hook(Box::new(|panic| log::write(Level::Error, &panic.to_string())));
    });
    Imports
}

impl<D: MeterDriver> info::Guest for Exported<D> {
    fn describe() -> Description {
        let _ = imports();
        D::describe()
    }
}

impl<D: MeterDriver> meter::Guest for Exported<D> {
    fn probe(call: Call) -> Result<Identity, DriverError> {
        D::probe(&mut imports(), &call)
    }
    fn read(call: Call) -> Result<Snapshot, DriverError> {
        D::read(&mut imports(), &call)
    }
}

impl<D: MeterDriver> purse::Guest for Exported<D> {
    fn open(call: Call, opening: Opening) -> Result<SellOutcome, DriverError> {
        D::open(&mut imports(), &call, &opening)
    }
    fn sell(call: Call, order: Order) -> Result<SellOutcome, DriverError> {
        D::sell(&mut imports(), &call, &order)
    }
    fn clear(call: Call) -> Result<SellOutcome, DriverError> {
        D::clear(&mut imports(), &call)
    }
    fn check(call: Call, count: Option<u32>) -> Result<Evidence, DriverError> {
        D::check(&mut imports(), &call, count)
    }
}

impl<D: MeterDriver> supply::Guest for Exported<D> {
    fn control(
        call: Call,
        command: u16,
        valid_until: Option<LocalTime>,
    ) -> Result<ControlOutcome, DriverError> {
        D::control(&mut imports(), &call, command, valid_until)
    }
}

impl<D: MeterDriver> settings::Guest for Exported<D> {
    fn set_parameters(call: Call, parameters: Extras) -> Result<SetOutcome, DriverError> {
        D::set_parameters(&mut imports(), &call, &parameters)
    }
}

impl<D: MeterDriver> frames::Guest for Exported<D> {
    fn decode(frame: Vec<u8>) -> Result<Explanation, String> {
        let _ = imports();
        D::decode(&frame)
    }
}
