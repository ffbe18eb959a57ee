//! A driver's host with the real vault and a simulated card in its slot.

use meter_sim::card::{Card, CpuCard, CpuKeys};
use polymeter_domain::VendorCode;
use polymeter_driver::codes::{card, slot};
use polymeter_driver::{
    Diversification, Host, InsertedCard, Key, Level, LineError, SlotError, VaultError,
};
use polymeter_vault::{Derivation, KeyName, Kind, Message, Refused, Scope, Secret, Vault};

pub const SERIAL: [u8; 8] = [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88];
pub const KEYS: CpuKeys = CpuKeys { internal: [0x11; 16], external: [0x22; 16], mac: [0x33; 16] };

type Answer = Result<Vec<u8>, VaultError>;

pub struct Bench {
    vault: Vault,
    pub card: Card,
    randoms: u8,
    /// How many commands the driver has sent.
    pub sent: u32,
    /// Some while a pulled card stays away: whether it was pulled.
    pub gone: Option<bool>,
}

pub fn blank() -> Card {
    Card::cpu(CpuCard::blank(SERIAL, &KEYS))
}

impl Bench {
    pub fn new(card: Card) -> Bench {
        Bench::with_keys(card, &KEYS)
    }

    pub fn with_keys(card: Card, keys: &CpuKeys) -> Bench {
        let named = [
            ("card-internal", keys.internal),
            ("card-external", keys.external),
            ("card-mac", keys.mac),
        ];
        let vendor = || VendorCode::new("SGCPU").unwrap();
        let vault = named.iter().fold(Vault::default(), |vault, (label, key)| {
            vault.with(vendor(), label, Kind::TripleDes, Secret::new(key.to_vec())).unwrap()
        });
        Bench { vault, card, randoms: 0, sent: 0, gone: None }
    }

    fn ask(
        &self,
        key: &Key,
        act: impl FnOnce(&Vault, &Scope, &KeyName<'_>) -> Result<Vec<u8>, Refused>,
    ) -> Answer {
        let path = key.path.iter().map(|Diversification { algorithm, factor }| Derivation {
            algorithm: *algorithm,
            factor,
        });
        let named = KeyName { label: &key.label, path: path.collect() };
        let scope = Scope { vendor: VendorCode::new("SGCPU").unwrap(), region: None };
        act(&self.vault, &scope, &named)
            .map_err(|no| VaultError { code: no.code(), detail: no.to_string() })
    }
}

fn no_line() -> LineError {
    LineError { code: polymeter_driver::codes::line::NOT_GRANTED, detail: "no line".to_owned() }
}

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
        associated: &[u8],
        data: &[u8],
    ) -> Answer {
        let message = Message { iv, associated, data };
        self.ask(key, |vault, scope, named| vault.encrypt(scope, named, algorithm, message))
    }
    fn decrypt(&mut self, _: &Key, _: u16, _: &[u8], _: &[u8], _: &[u8]) -> Answer {
        panic!("nothing is decrypted here")
    }
    fn random(&mut self, length: u32) -> Answer {
        self.randoms += 1;
        Ok(vec![self.randoms; usize::try_from(length).unwrap()])
    }
    fn log(&mut self, _: Level, _: &str) {}
    fn inserted(&mut self) -> Result<InsertedCard, SlotError> {
        Ok(InsertedCard { kind: card::CPU, atr: self.card.atr(), uid: Vec::new() })
    }
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, SlotError> {
        self.sent += 1;
        let gone = || SlotError { code: slot::GONE, detail: "the card was pulled".to_owned() };
        if self.gone == Some(true) {
            return Err(gone());
        }
        self.card.transmit(command).map_err(|_| {
            self.gone = self.gone.map(|_| true);
            gone()
        })
    }
}
