//! The guest SDK: all that an author of a driver in Rust needs.
//!
//! Implement [`MeterDriver`], call [`export!`] once, build with `polymeter-sdk build`. A driver talks
//! to its device through [`Host`] and through nothing else; the component it becomes imports the
//! interfaces of `wit/` and nothing else. [`Host`] has two implementations: the component's own
//! imports, and a transcript played natively by `polymeter-replay`. A driver of cards implements
//! [`CardDriver`] instead, and calls [`export_card!`].
//!
//! What drivers of several protocols do alike with a codec's frames is here too ([`listening`],
//! [`captured`], [`dlt645`], [`decimals`], ADR 0035), and how an act on a card ends ([`ending`]).
//!
//! Not here: frames and checksums (`polymeter-codec`), packaging (`polymeter-sdk`).

#![deny(missing_docs)]

#[doc(hidden)]
pub mod bindings;
#[doc(hidden)]
pub mod guest;

pub use card::{
    CardContents, CardDriver, CardIdentity, CardOrder, InsertedCard, Secret, SlotError, WrittenBack,
};

pub use bindings::bus_search::exports::polymeter::driver::bus::{
    Argument, Collision, Found, Step, Way,
};
pub use bindings::clock_setting::exports::polymeter::driver::clock::ClockOutcome;
pub use bindings::describing::exports::polymeter::driver::info::{Description, Parameter};
pub use bindings::exports::polymeter::driver::frames::Explanation;
pub use bindings::exports::polymeter::driver::meter::{Identity, Snapshot};
pub use bindings::exports::polymeter::driver::purse::{Evidence, Opening, Order};
pub use bindings::exports::polymeter::driver::settings::SetOutcome;
pub use bindings::exports::polymeter::driver::supply::ControlOutcome;
pub use bindings::polymeter::driver::line::LineError;
pub use bindings::polymeter::driver::log::Level;
pub use bindings::polymeter::driver::types::{
    Call, Credit, Decimal, DriverError, Extras, LocalTime, Measurement, Purchase, Receipt, Refusal,
    SellOutcome, Value,
};
pub use bindings::polymeter::driver::vault::{Diversification, Key, VaultError};
pub use bindings::record_reading::exports::polymeter::driver::records::{
    Entries as RecordEntries, Entry as RecordEntry, Kind as RecordKind,
};
pub use bindings::token_entry::exports::polymeter::driver::entry::EntryOutcome;
pub use bindings::token_issue::exports::polymeter::driver::token::{
    Draft, Issued, Order as TokenOrder,
};

pub mod captured;
mod card;
pub mod codes;
pub mod decimals;
pub mod dlt645;
pub mod ending;
pub mod listening;
pub mod states;
pub mod time;
pub mod walk;

/// What a driver may ask of the host. Shapes, units and errors: `wit/1.1.0/host.wit`, and of the slot
/// `wit/1.1.0/card.wit`. A meter's driver has no slot and a card's has no line: it is told so (not
/// granted).
pub trait Host {
    /// Drains what came late, keeps the gap before a frame, then writes all bytes.
    fn send(&mut self, bytes: &[u8]) -> Result<(), LineError>;
    /// Waits for `want` bytes, a quiet line or the reply timeout; never an empty answer.
    fn receive(&mut self, want: u32) -> Result<Vec<u8>, LineError>;
    /// Throws away what has arrived; how many bytes that was.
    fn drain(&mut self) -> Result<u32, LineError>;
    /// A MAC under a key of the vault; algorithms in [`codes::vault::mac`].
    fn mac(
        &mut self,
        key: &Key,
        algorithm: u16,
        iv: &[u8],
        data: &[u8],
    ) -> Result<Vec<u8>, VaultError>;
    /// Encrypts under a key of the vault; algorithms in [`codes::vault::cipher`].
    fn encrypt(
        &mut self,
        key: &Key,
        algorithm: u16,
        iv: &[u8],
        associated: &[u8],
        data: &[u8],
    ) -> Result<Vec<u8>, VaultError>;
    /// Decrypts under a key of the vault; algorithms in [`codes::vault::cipher`].
    fn decrypt(
        &mut self,
        key: &Key,
        algorithm: u16,
        iv: &[u8],
        associated: &[u8],
        data: &[u8],
    ) -> Result<Vec<u8>, VaultError>;
    /// At most 256 random bytes.
    fn random(&mut self, length: u32) -> Result<Vec<u8>, VaultError>;
    /// A line for the operator's log.
    fn log(&mut self, level: Level, message: &str);

    /// The card that lies in the reader; kinds in [`codes::card`].
    fn inserted(&mut self) -> Result<InsertedCard, SlotError> {
        card::no_slot()
    }
    /// One command APDU to a CPU card, and its answer, which ends in the two status bytes.
    fn transmit(&mut self, _command: &[u8]) -> Result<Vec<u8>, SlotError> {
        card::no_slot()
    }
    /// Bytes of a memory card, all of them or none.
    fn read_card(&mut self, _offset: u32, _length: u32) -> Result<Vec<u8>, SlotError> {
        card::no_slot()
    }
    /// Writes bytes into a memory card; where it ends in an error, some may have been written.
    fn write_card(&mut self, _offset: u32, _bytes: &[u8]) -> Result<(), SlotError> {
        card::no_slot()
    }
    /// Sets the bits of an application zone to 1, under the zone's erase code.
    fn erase_card(&mut self, _zone: u16, _code: &Secret) -> Result<(), SlotError> {
        card::no_slot()
    }
    /// How many wrong codes the card still bears before it is dead.
    fn tries_left(&mut self, _code: u16) -> Result<u8, SlotError> {
        card::no_slot()
    }
    /// Presents a code, unless the card bears but one more wrong one.
    fn verify_code(&mut self, _code: u16, _presented: &Secret) -> Result<(), SlotError> {
        card::no_slot()
    }
    /// Gives the card a new code in place of the one that was verified.
    fn set_code(&mut self, _code: u16, _presented: &Secret) -> Result<(), SlotError> {
        card::no_slot()
    }
}

/// One vendor's device, as the host sees it. Each verb is one function of `wit/1.1.0/meter-driver.wit`,
/// where shapes, units and codes stand. A driver keeps no state between calls: the host may answer
/// the next one with a fresh instance.
///
/// ```
/// use polymeter_driver::{Call, DriverError, Host, codes};
///
/// /// One question; its answer is a line. What a verb of a driver is made of.
/// fn ask(host: &mut dyn Host, call: &Call) -> Result<Vec<u8>, DriverError> {
///     if call.address.len() != 6 {
///         return Err(DriverError::new(codes::error::BAD_PARAMETER, "an address has 6 digits"));
///     }
///     host.send(format!(":{}R\r\n", call.address).as_bytes())?;
///     Ok(host.receive(64)?)
/// }
/// ```
pub trait MeterDriver {
    /// What this driver is; asked once, at load.
    fn describe() -> Description;
    /// Who is there; the address may be the protocol's wildcard.
    fn probe(host: &mut dyn Host, call: &Call) -> Result<Identity, DriverError>;
    /// Everything that one reading of the device brings.
    fn read(host: &mut dyn Host, call: &Call) -> Result<Snapshot, DriverError>;
    /// Opens an account in the device, with a first credit or none.
    fn open(
        host: &mut dyn Host,
        call: &Call,
        opening: &Opening,
    ) -> Result<SellOutcome, DriverError>;
    /// Sends at most one frame that adds credit.
    fn sell(host: &mut dyn Host, call: &Call, order: &Order) -> Result<SellOutcome, DriverError>;
    /// Empties the purse and forgets the customer.
    fn clear(host: &mut dyn Host, call: &Call) -> Result<SellOutcome, DriverError>;
    /// What the device remembers, of purchase `count` if one is asked about; changes nothing.
    fn check(host: &mut dyn Host, call: &Call, count: Option<u32>)
    -> Result<Evidence, DriverError>;
    /// Opens, closes or protects the supply; commands in [`codes::command`].
    fn control(
        host: &mut dyn Host,
        call: &Call,
        command: u16,
        valid_until: Option<LocalTime>,
    ) -> Result<ControlOutcome, DriverError>;
    /// Writes parameters into the device.
    fn set_parameters(
        host: &mut dyn Host,
        call: &Call,
        parameters: &Extras,
    ) -> Result<SetOutcome, DriverError>;
    /// A captured frame explained; touches no device.
    fn decode(frame: &[u8]) -> Result<Explanation, String>;

    /// Sends at most one frame that takes `order`'s credit back out of the purse, which the device
    /// records like a purchase. Asked only of a driver that is exported `with refund`
    /// (`wit/1.1.0/refund.wit`).
    fn refund(
        _host: &mut dyn Host,
        _call: &Call,
        _order: &Order,
    ) -> Result<SellOutcome, DriverError> {
        Err(DriverError::new(codes::error::UNSUPPORTED, "this driver takes no credit back"))
    }

    /// Puts the device's clock right by `call.now`, by a way of [`codes::clock`], and tells what it shows
    /// afterwards. Asked only of a driver that is exported `with clock` (`wit/1.1.0/clock.wit`).
    fn set_clock(
        _host: &mut dyn Host,
        _call: &Call,
        _way: u16,
    ) -> Result<ClockOutcome, DriverError> {
        Err(DriverError::new(codes::error::UNSUPPORTED, "this driver sets no clock"))
    }

    /// Enters one token over the line; its digits come without blanks. Asked only of a driver that is
    /// exported `with entry` (`wit/1.1.0/entry.wit`).
    fn enter(
        _host: &mut dyn Host,
        _call: &Call,
        _digits: &str,
    ) -> Result<EntryOutcome, DriverError> {
        Err(DriverError::new(codes::error::UNSUPPORTED, "this driver enters no tokens"))
    }

    /// The lists of records that this driver reads. Asked only of a driver that is exported `with
    /// records` (`wit/1.1.0/records.wit`).
    fn record_kinds() -> Vec<RecordKind> {
        Vec::new()
    }
    /// One page of what the device kept, of at most so many questions. A time at which it kept nothing
    /// has no record.
    fn read_records(
        _host: &mut dyn Host,
        _call: &Call,
        _asked: RecordsAsked<'_>,
    ) -> Result<RecordEntries, DriverError> {
        Err(DriverError::new(codes::error::UNSUPPORTED, "this driver reads no records"))
    }

    /// What a token of this order would be: its identifier, greater than `last`, and what it carries.
    /// Asked only of a driver that is exported `with token` (`wit/1.1.0/token.wit`).
    fn plan(_call: &Call, _order: &TokenOrder, _last: Option<u32>) -> Result<Draft, DriverError> {
        Err(DriverError::new(codes::error::UNSUPPORTED, "this driver makes no tokens"))
    }

    /// The digits of an order: a pure function of what is told and of the keys in the vault.
    fn issue(
        _host: &mut dyn Host,
        _call: &Call,
        _order: &TokenOrder,
        _identifier: Option<u32>,
    ) -> Result<Issued, DriverError> {
        Err(DriverError::new(codes::error::UNSUPPORTED, "this driver makes no tokens"))
    }

    /// The ways in which this driver searches a line, the best one for an unknown line first. Asked
    /// only of a driver that is exported `with bus` (`wit/1.1.0/bus.wit`).
    fn ways() -> Vec<Way> {
        Vec::new()
    }
    /// One step of a search, of at most `questions` frames; `position` is where the step before it
    /// stopped. Silence is an answer here and no error.
    fn search(
        _host: &mut dyn Host,
        _call: &Call,
        _way: &str,
        _position: Option<&[u8]>,
        _questions: u32,
    ) -> Result<Step, DriverError> {
        Err(DriverError::new(codes::error::UNSUPPORTED, "this driver cannot search a line"))
    }
}

/// Which page of records is asked for; `wit/1.1.0/records.wit`.
#[derive(Debug, Clone, Copy)]
pub struct RecordsAsked<'a> {
    /// The name of one of the driver's kinds.
    pub kind: &'a str,
    /// The earliest time wanted, by the device's clock.
    pub since: LocalTime,
    /// `next` of the page before; none begins.
    pub position: Option<&'a [u8]>,
    /// At most so many frames are sent.
    pub questions: u32,
}

/// Turns a type that implements [`MeterDriver`] into the component's exports. Once per crate.
///
/// `without vault` leaves the interface `vault` out of the component's imports, so that nobody has to
/// grant it; such a driver's requests to the vault fail. `with bus` also exports the ability to search
/// a line, `with refund` that to take credit back, `with token` that to make tokens, `with clock` that to
/// set the device's clock, `with records` that to read what it keeps of the past, `with entry` that to
/// enter tokens. All may stand there: `export!(Driver, without vault, with bus, with refund)`.
#[macro_export]
macro_rules! export {
    ($driver:ident, without vault $(, with $ability:ident)*) => {
        $crate::export!(@ $driver, false);
        $($crate::export!(@$ability $driver, false);)*
    };
    ($driver:ident $(, with $ability:ident)*) => {
        $crate::export!(@ $driver, true);
        $($crate::export!(@$ability $driver, true);)*
    };
    (@ $driver:ident, $vault:literal) => {
        #[cfg(target_arch = "wasm32")]
        mod polymeter_exports {
            type Exported = $crate::guest::Exported<super::$driver, $vault>;
            $crate::bindings::describing::export_describing!(
                Exported with_types_in $crate::bindings::describing
            );
            $crate::bindings::export_meter!(Exported with_types_in $crate::bindings);
        }
    };
    (@refund $driver:ident, $vault:literal) => {
        #[cfg(target_arch = "wasm32")]
        mod polymeter_refund_exports {
            type Exported = $crate::guest::Exported<super::$driver, $vault>;
            $crate::bindings::purse_refund::export_purse_refund!(
                Exported with_types_in $crate::bindings::purse_refund
            );
        }
    };
    (@clock $driver:ident, $vault:literal) => {
        #[cfg(target_arch = "wasm32")]
        mod polymeter_clock_exports {
            type Exported = $crate::guest::Exported<super::$driver, $vault>;
            $crate::bindings::clock_setting::export_clock_setting!(
                Exported with_types_in $crate::bindings::clock_setting
            );
        }
    };
    (@entry $driver:ident, $vault:literal) => {
        #[cfg(target_arch = "wasm32")]
        mod polymeter_entry_exports {
            type Exported = $crate::guest::Exported<super::$driver, $vault>;
            $crate::bindings::token_entry::export_token_entry!(
                Exported with_types_in $crate::bindings::token_entry
            );
        }
    };
    (@records $driver:ident, $vault:literal) => {
        #[cfg(target_arch = "wasm32")]
        mod polymeter_records_exports {
            type Exported = $crate::guest::Exported<super::$driver, $vault>;
            $crate::bindings::record_reading::export_record_reading!(
                Exported with_types_in $crate::bindings::record_reading
            );
        }
    };
    (@token $driver:ident, $vault:literal) => {
        #[cfg(target_arch = "wasm32")]
        mod polymeter_token_exports {
            type Exported = $crate::guest::Exported<super::$driver, $vault>;
            $crate::bindings::token_issue::export_token_issue!(
                Exported with_types_in $crate::bindings::token_issue
            );
        }
    };
    (@bus $driver:ident, $vault:literal) => {
        #[cfg(target_arch = "wasm32")]
        mod polymeter_bus_exports {
            type Exported = $crate::guest::Exported<super::$driver, $vault>;
            $crate::bindings::bus_search::export_bus_search!(
                Exported with_types_in $crate::bindings::bus_search
            );
        }
    };
}

impl RecordKind {
    /// Values at times of a grid (曲线, 冻结), by the driver's own name and by what people call it.
    #[must_use]
    pub fn profile(name: &str, title_en: &str, title_zh: &str) -> RecordKind {
        RecordKind::of(codes::records::PROFILE, name, title_en, title_zh)
    }

    /// What happened and when (事件记录).
    #[must_use]
    pub fn events(name: &str, title_en: &str, title_zh: &str) -> RecordKind {
        RecordKind::of(codes::records::EVENTS, name, title_en, title_zh)
    }

    fn of(sort: u16, name: &str, title_en: &str, title_zh: &str) -> RecordKind {
        let [name, title_en, title_zh] = [name, title_en, title_zh].map(str::to_owned);
        RecordKind { name, title_en, title_zh, sort }
    }
}

impl DriverError {
    /// An error of one of the kinds in [`codes::error`].
    ///
    /// ```
    /// use polymeter_driver::{DriverError, codes};
    ///
    /// let error = DriverError::new(codes::error::GARBLED, "half an answer");
    /// assert_eq!((error.code, error.device_code), (2, None));
    /// ```
    pub fn new(code: u16, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), device_code: None }
    }
}

impl From<LineError> for DriverError {
    fn from(error: LineError) -> Self {
        let code = if error.code == codes::line::SILENT {
            codes::error::NO_REPLY
        } else {
            codes::error::LINE
        };
        Self::new(code, error.detail)
    }
}

impl From<VaultError> for DriverError {
    fn from(error: VaultError) -> Self {
        Self::new(codes::error::VAULT, error.detail)
    }
}
