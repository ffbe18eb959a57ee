//! The component's side of [`crate::MeterDriver`] and [`crate::CardDriver`]: the generated export
//! traits on one end, a driver's own type on the other. Holds no logic but the panic hook, without
//! which a trap says only "unreachable".

use crate::bindings::bus_search::exports::polymeter::driver::bus;
use crate::bindings::card_handling::exports::polymeter::driver::card;
use crate::bindings::card_handling::polymeter::driver::card_slot;
use crate::bindings::clock_setting::exports::polymeter::driver::clock;
use crate::bindings::describing::exports::polymeter::driver::info;
use crate::bindings::exports::polymeter::driver::{frames, meter, purse, settings, supply};
use crate::bindings::polymeter::driver::{line, log, vault};
use crate::bindings::purse_refund::exports::polymeter::driver::refund;
use crate::bindings::record_reading::exports::polymeter::driver::records;
use crate::bindings::token_entry::exports::polymeter::driver::entry;
use crate::bindings::token_issue::exports::polymeter::driver::token;
use crate::card::no_slot;
use crate::{
    Call, CardContents, CardDriver, CardIdentity, CardOrder, ClockOutcome, ControlOutcome,
    Description, Draft, DriverError, EntryOutcome, Evidence, Explanation, Extras, Host, Identity,
    InsertedCard, Issued, Key, Level, LineError, LocalTime, MeterDriver, Opening, Order, Purchase,
    RecordEntries, RecordKind, RecordsAsked, Secret, SellOutcome, SetOutcome, SlotError, Snapshot,
    Step, TokenOrder, VaultError, Way, codes,
};
use std::marker::PhantomData;
use std::sync::Once;

/// The host as a component sees it: its imports. Without `VAULT` the interface `vault` is never
/// named, so that the component does not import what its driver does not use; with `SLOT` it has a
/// card's slot in place of a line.
#[derive(Debug)]
pub struct Imports<const VAULT: bool, const SLOT: bool = false>;

/// What a card driver hears that asks for a line.
fn without_line<T>() -> Result<T, LineError> {
    let detail = "a driver of cards has no line".to_owned();
    Err(LineError { code: codes::line::NOT_GRANTED, detail })
}

/// What a driver hears that was exported without the vault and asks for it: code 4, not granted.
fn without_vault<T>() -> Result<T, VaultError> {
    Err(VaultError { code: 4, detail: "this driver was exported without the vault".to_owned() })
}

impl<const VAULT: bool, const SLOT: bool> Host for Imports<VAULT, SLOT> {
    fn send(&mut self, bytes: &[u8]) -> Result<(), LineError> {
        if SLOT { without_line() } else { line::send(bytes) }
    }
    fn receive(&mut self, want: u32) -> Result<Vec<u8>, LineError> {
        if SLOT { without_line() } else { line::receive(want) }
    }
    fn drain(&mut self) -> Result<u32, LineError> {
        if SLOT { without_line() } else { line::drain() }
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
    fn inserted(&mut self) -> Result<InsertedCard, SlotError> {
        if SLOT { card_slot::inserted() } else { no_slot() }
    }
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, SlotError> {
        if SLOT { card_slot::transmit(command) } else { no_slot() }
    }
    fn read_card(&mut self, offset: u32, length: u32) -> Result<Vec<u8>, SlotError> {
        if SLOT { card_slot::read(offset, length) } else { no_slot() }
    }
    fn write_card(&mut self, offset: u32, bytes: &[u8]) -> Result<(), SlotError> {
        if SLOT { card_slot::write(offset, bytes) } else { no_slot() }
    }
    fn erase_card(&mut self, zone: u16, code: &Secret) -> Result<(), SlotError> {
        if SLOT { card_slot::erase(zone, code) } else { no_slot() }
    }
    fn tries_left(&mut self, code: u16) -> Result<u8, SlotError> {
        if SLOT { card_slot::tries_left(code) } else { no_slot() }
    }
    fn verify_code(&mut self, code: u16, presented: &Secret) -> Result<(), SlotError> {
        if SLOT { card_slot::verify(code, presented) } else { no_slot() }
    }
    fn set_code(&mut self, code: u16, presented: &Secret) -> Result<(), SlotError> {
        if SLOT { card_slot::set_code(code, presented) } else { no_slot() }
    }
}

/// Carries a driver's type through the generated export macro.
#[derive(Debug)]
pub struct Exported<D, const VAULT: bool>(PhantomData<D>);

/// The same for a driver of cards.
#[derive(Debug)]
pub struct ExportedCard<D>(PhantomData<D>);

fn imports<const VAULT: bool>() -> Imports<VAULT> {
    hook();
    Imports
}

fn slot() -> Imports<true, true> {
    hook();
    Imports
}

/// The message and place of a panic reach the host's log before the trap does.
fn hook() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        std::panic::set_hook(Box::new(|panic| log::write(Level::Error, &panic.to_string())));
    });
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

impl<D: MeterDriver, const VAULT: bool> entry::Guest for Exported<D, VAULT> {
    fn enter(call: Call, digits: String) -> Result<EntryOutcome, DriverError> {
        D::enter(&mut imports::<VAULT>(), &call, &digits)
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

impl<D: CardDriver> info::Guest for ExportedCard<D> {
    fn describe() -> Description {
        hook();
        D::describe()
    }
}

impl<D: CardDriver> card::Guest for ExportedCard<D> {
    fn identify(call: Call) -> Result<Option<CardIdentity>, DriverError> {
        D::identify(&mut slot(), &call)
    }
    fn check(call: Call) -> Result<CardContents, DriverError> {
        D::check(&mut slot(), &call)
    }
    fn open(call: Call, order: CardOrder) -> Result<SellOutcome, DriverError> {
        D::open(&mut slot(), &call, &order)
    }
    fn sell(call: Call, order: CardOrder) -> Result<SellOutcome, DriverError> {
        D::sell(&mut slot(), &call, &order)
    }
    fn replace(call: Call, order: CardOrder) -> Result<SellOutcome, DriverError> {
        D::replace(&mut slot(), &call, &order)
    }
    fn take_back(call: Call, order: CardOrder) -> Result<SellOutcome, DriverError> {
        D::take_back(&mut slot(), &call, &order)
    }
    fn clear(call: Call) -> Result<SellOutcome, DriverError> {
        D::clear(&mut slot(), &call)
    }
    fn make(call: Call, order: CardOrder) -> Result<SellOutcome, DriverError> {
        D::make(&mut slot(), &call, &order)
    }
}
