//! The component's side of [`crate::MeterDriver`]: the generated export traits on one end, a driver's
//! own type on the other. Holds no logic but the panic hook, without which a trap says only
//! "unreachable".

use crate::bindings::bus_search::exports::polymeter::driver::bus;
use crate::bindings::clock_setting::exports::polymeter::driver::clock;
use crate::bindings::exports::polymeter::driver::{frames, info, meter, purse, settings, supply};
use crate::bindings::polymeter::driver::{line, log, vault};
use crate::bindings::purse_refund::exports::polymeter::driver::refund;
use crate::bindings::record_reading::exports::polymeter::driver::records;
use crate::bindings::token_issue::exports::polymeter::driver::token;
use crate::{
    Call, ClockOutcome, ControlOutcome, Description, Draft, DriverError, Evidence, Explanation,
    Extras, Host, Identity, Issued, Key, Level, LineError, LocalTime, MeterDriver, Opening, Order,
    Purchase, RecordEntries, RecordKind, RecordsAsked, SellOutcome, SetOutcome, Snapshot, Step,
    TokenOrder, VaultError, Way,
};
use std::marker::PhantomData;
use std::sync::Once;

/// The host as a component sees it: its imports. Without `VAULT` the interface `vault` is never
/// named, so that the component does not import what its driver does not use.
#[derive(Debug)]
pub struct Imports<const VAULT: bool>;

/// What a driver hears that was exported without the vault and asks for it: code 4, not granted.
fn without_vault<T>() -> Result<T, VaultError> {
    Err(VaultError { code: 4, detail: "this driver was exported without the vault".to_owned() })
}

impl<const VAULT: bool> Host for Imports<VAULT> {
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
        if VAULT { vault::mac(key, algorithm, iv, data) } else { without_vault() }
    }
    fn encrypt(
        &mut self,
        key: &Key,
        algorithm: u16,
        iv: &[u8],
        associated: &[u8],
        data: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        if VAULT { vault::encrypt(key, algorithm, iv, associated, data) } else { without_vault() }
    }
    fn decrypt(
        &mut self,
        key: &Key,
        algorithm: u16,
        iv: &[u8],
        associated: &[u8],
        data: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        if VAULT { vault::decrypt(key, algorithm, iv, associated, data) } else { without_vault() }
    }
    fn random(&mut self, length: u32) -> Result<Vec<u8>, VaultError> {
        if VAULT { vault::random(length) } else { without_vault() }
    }
    fn log(&mut self, level: Level, message: &str) {
        log::write(level, message);
    }
}

/// Carries a driver's type through the generated export macro.
#[derive(Debug)]
pub struct Exported<D, const VAULT: bool>(PhantomData<D>);

/// The message and place of a panic reach the host's log before the trap does.
fn imports<const VAULT: bool>() -> Imports<VAULT> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        std::panic::set_hook(Box::new(|panic| log::write(Level::Error, &panic.to_string())));
    });
    Imports
}

impl<D: MeterDriver, const VAULT: bool> info::Guest for Exported<D, VAULT> {
    fn describe() -> Description {
        let _ = imports::<VAULT>();
        D::describe()
    }
}

impl<D: MeterDriver, const VAULT: bool> meter::Guest for Exported<D, VAULT> {
    fn probe(call: Call) -> Result<Identity, DriverError> {
        D::probe(&mut imports::<VAULT>(), &call)
    }
    fn read(call: Call) -> Result<Snapshot, DriverError> {
        D::read(&mut imports::<VAULT>(), &call)
    }
}

impl<D: MeterDriver, const VAULT: bool> purse::Guest for Exported<D, VAULT> {
    fn open(call: Call, opening: Opening) -> Result<SellOutcome, DriverError> {
        D::open(&mut imports::<VAULT>(), &call, &opening)
    }
    fn sell(call: Call, order: Order) -> Result<SellOutcome, DriverError> {
        D::sell(&mut imports::<VAULT>(), &call, &order)
    }
    fn clear(call: Call) -> Result<SellOutcome, DriverError> {
        D::clear(&mut imports::<VAULT>(), &call)
    }
    fn check(call: Call, count: Option<u32>) -> Result<Evidence, DriverError> {
        D::check(&mut imports::<VAULT>(), &call, count)
    }
}

impl<D: MeterDriver, const VAULT: bool> supply::Guest for Exported<D, VAULT> {
    fn control(
        call: Call,
        command: u16,
        valid_until: Option<LocalTime>,
    ) -> Result<ControlOutcome, DriverError> {
        D::control(&mut imports::<VAULT>(), &call, command, valid_until)
    }
}

impl<D: MeterDriver, const VAULT: bool> settings::Guest for Exported<D, VAULT> {
    fn set_parameters(call: Call, parameters: Extras) -> Result<SetOutcome, DriverError> {
        D::set_parameters(&mut imports::<VAULT>(), &call, &parameters)
    }
}

impl<D: MeterDriver, const VAULT: bool> frames::Guest for Exported<D, VAULT> {
    fn decode(frame: Vec<u8>) -> Result<Explanation, String> {
        let _ = imports::<VAULT>();
        D::decode(&frame)
    }
}

impl<D: MeterDriver, const VAULT: bool> refund::Guest for Exported<D, VAULT> {
    fn refund(
        call: Call,
        customer_number: String,
        taken: Purchase,
    ) -> Result<SellOutcome, DriverError> {
        let order = Order { customer_number, purchase: taken };
        D::refund(&mut imports::<VAULT>(), &call, &order)
    }
}

impl<D: MeterDriver, const VAULT: bool> clock::Guest for Exported<D, VAULT> {
    fn set_clock(call: Call, way: u16) -> Result<ClockOutcome, DriverError> {
        D::set_clock(&mut imports::<VAULT>(), &call, way)
    }
}

impl<D: MeterDriver, const VAULT: bool> records::Guest for Exported<D, VAULT> {
    fn kinds() -> Vec<RecordKind> {
        let _ = imports::<VAULT>();
        D::record_kinds()
    }
    fn read_records(
        call: Call,
        kind: String,
        since: LocalTime,
        position: Option<Vec<u8>>,
        questions: u32,
    ) -> Result<RecordEntries, DriverError> {
        let asked = RecordsAsked { kind: &kind, since, position: position.as_deref(), questions };
        D::read_records(&mut imports::<VAULT>(), &call, asked)
    }
}

impl<D: MeterDriver, const VAULT: bool> token::Guest for Exported<D, VAULT> {
    fn plan(call: Call, order: TokenOrder, last: Option<u32>) -> Result<Draft, DriverError> {
        let _ = imports::<VAULT>();
        D::plan(&call, &order, last)
    }
    fn issue(
        call: Call,
        order: TokenOrder,
        identifier: Option<u32>,
    ) -> Result<Issued, DriverError> {
        D::issue(&mut imports::<VAULT>(), &call, &order, identifier)
    }
}

impl<D: MeterDriver, const VAULT: bool> bus::Guest for Exported<D, VAULT> {
    fn ways() -> Vec<Way> {
        let _ = imports::<VAULT>();
        D::ways()
    }
    fn search(
        call: Call,
        way: String,
        position: Option<Vec<u8>>,
        questions: u32,
    ) -> Result<Step, DriverError> {
        D::search(&mut imports::<VAULT>(), &call, &way, position.as_deref(), questions)
    }
}
