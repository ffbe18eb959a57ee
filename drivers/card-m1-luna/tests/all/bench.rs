//! A driver's host with the real vault, and a simulated card behind the host's own reader.

use meter_sim::card::{Bay, Card, Chip, luna};
use polymeter_domain::VendorCode;
use polymeter_driver::codes::slot;
use polymeter_driver::{
    Host, InsertedCard, Key, Level, LineError, Secret, SlotError, VaultError, codes,
};
use polymeter_transport::{
    CardError, CardLease, CardReader, CardSlot, ReaderProfiles, ReaderState, SlotEvents,
};
use polymeter_vault::{KeyName, Kind, Message, Refused, Scope, Vault};
use tokio::runtime::Runtime;

pub const UID: [u8; 4] = [0xC0, 0xFF, 0xEE, 0x01];

pub fn keys() -> luna::LunaKeys {
    luna::LunaKeys { read: vec![0x41; 32], write: vec![0x42; 32], data: vec![0x43; 32] }
}

pub fn blank() -> Card {
    Card::new(Chip::MifareClassic(Box::new(luna::blank(UID))))
}

#[derive(Debug, Clone, Default)]
struct Slot(Bay);

impl CardSlot for Slot {
    fn begin(&mut self) -> Result<Vec<u8>, CardError> {
        self.0.power_on().map_err(|_| CardError::Gone)
    }

    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, CardError> {
        self.0.transmit(command).map_err(|_| CardError::Gone)
    }

    fn end(&mut self) {
        self.0.power_off();
    }
}

#[derive(Debug)]
pub struct Bench {
    runtime: Runtime,
    reader: CardReader,
    events: SlotEvents,
    slot: Slot,
    vault: Vault,
    lease: Option<CardLease>,
}

impl Bench {
    pub fn new(keys: &luna::LunaKeys) -> Bench {
        let named =
            [("card-read", &keys.read), ("card-write", &keys.write), ("card-data", &keys.data)];
        let vendor = || VendorCode::new("LUNA").unwrap();
        let vault = named.iter().fold(Vault::default(), |vault, (label, key)| {
            let key = polymeter_vault::Secret::new(key.to_vec());
            vault.with(vendor(), label, Kind::Hmac, key).unwrap()
        });
        let slot = Slot::default();
        let profiles = ReaderProfiles::built_in();
        let (reader, events) = open_reader(&profiles, slot.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Bench { runtime, reader, events, slot, vault, lease: None }
    }

    /// The card lies in the reader and is this call's.
    pub fn with(&mut self, card: &Card) -> &mut Bench {
        self.lease = None;
        self.slot.0.take_out();
        self.events.removed();
        self.until(|state| *state == ReaderState::Empty);
        self.slot.0.put_in(card);
        self.events.inserted();
        self.until(|state| *state != ReaderState::Empty);
        self.lease = self.runtime.block_on(self.reader.lease()).ok();
        self
    }

    fn until(&self, what: impl Fn(&ReaderState) -> bool) {
        let mut changes = self.reader.changes();
        self.runtime.block_on(changes.wait_for(|now| what(now))).unwrap();
    }

    fn ask(
        &self,
        key: &Key,
        act: impl FnOnce(&Vault, &Scope, &KeyName<'_>) -> Result<Vec<u8>, Refused>,
    ) -> Result<Vec<u8>, VaultError> {
        let named = KeyName { label: &key.label, path: Vec::new() };
        let scope = Scope { vendor: VendorCode::new("LUNA").unwrap(), region: None };
        act(&self.vault, &scope, &named)
            .map_err(|no| VaultError { code: no.code(), detail: no.to_string() })
    }

    fn code(&self, secret: &Secret) -> Vec<u8> {
        match secret {
            Secret::Published(code) => code.clone(),
            Secret::OfVault((key, factor)) => {
                let hmac = codes::vault::mac::HMAC_SHA_256;
                let whole =
                    self.ask(key, |vault, scope, name| vault.mac(scope, name, hmac, &[], factor));
                whole.unwrap()[..6].to_vec()
            }
        }
    }

    fn lent<T>(
        &mut self,
        act: impl AsyncFnOnce(&mut CardLease) -> Result<T, CardError>,
    ) -> Result<T, SlotError> {
        let gone = || SlotError { code: slot::GONE, detail: "no card".to_owned() };
        let lease = self.lease.as_mut().ok_or_else(gone)?;
        self.runtime.block_on(act(lease)).map_err(|error| {
            let code = match &error {
                CardError::Gone => slot::GONE,
                CardError::Unsupported(_) => slot::UNSUPPORTED,
                CardError::Refused(_) => slot::CARD_SAYS_NO,
                CardError::NoTries { .. } => slot::NO_TRIES,
                _ => slot::READER,
            };
            SlotError { code, detail: error.to_string() }
        })
    }
}

fn open_reader(profiles: &ReaderProfiles, slot: Slot) -> (CardReader, SlotEvents) {
    CardReader::over("counter-1", "ACS ACR122U 00 00", profiles, slot)
}

fn no_line() -> LineError {
    LineError { code: codes::line::NOT_GRANTED, detail: "no line".to_owned() }
}

type Answer = Result<Vec<u8>, VaultError>;

impl Host for Bench {
    fn send(&mut self, _: &[u8]) -> Result<(), LineError> {
        Err(no_line())
    }
    fn receive(&mut self, _: u32) -> Result<Vec<u8>, LineError> {
        Err(no_line())
    }
    fn drain(&mut self) -> Result<u32, LineError> {
        Err(no_line())
    }
    fn mac(&mut self, key: &Key, algorithm: u16, iv: &[u8], data: &[u8]) -> Answer {
        self.ask(key, |vault, scope, named| vault.mac(scope, named, algorithm, iv, data))
    }
    fn encrypt(
        &mut self,
        key: &Key,
        algorithm: u16,
        iv: &[u8],
        with: &[u8],
        data: &[u8],
    ) -> Answer {
        let message = Message { iv, associated: with, data };
        self.ask(key, |vault, scope, named| vault.encrypt(scope, named, algorithm, message))
    }
    fn decrypt(&mut self, _: &Key, _: u16, _: &[u8], _: &[u8], _: &[u8]) -> Answer {
        panic!("nothing is decrypted here")
    }
    fn random(&mut self, _: u32) -> Answer {
        panic!("nothing is random here")
    }
    fn log(&mut self, _: Level, _: &str) {}
    fn inserted(&mut self) -> Result<InsertedCard, SlotError> {
        self.lent(async |lease| {
            let card = lease.card();
            Ok(InsertedCard {
                kind: card.kind.code(),
                atr: card.atr.clone(),
                uid: card.uid.clone(),
            })
        })
    }
    fn read_card(&mut self, offset: u32, length: u32) -> Result<Vec<u8>, SlotError> {
        self.lent(async |lease| lease.read(offset, length).await)
    }
    fn write_card(&mut self, offset: u32, bytes: &[u8]) -> Result<(), SlotError> {
        self.lent(async |lease| lease.write(offset, bytes).await)
    }
    fn verify_code(&mut self, code: u16, presented: &Secret) -> Result<(), SlotError> {
        let presented = self.code(presented);
        self.lent(async |lease| lease.verify(code, &presented).await)
    }
    fn set_code(&mut self, code: u16, presented: &Secret) -> Result<(), SlotError> {
        let presented = self.code(presented);
        self.lent(async |lease| lease.set_code(code, &presented).await)
    }
}
