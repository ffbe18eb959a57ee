//! A driver's host with the real vault and a simulated SLE4442 in a reader that takes ACS's commands.

use meter_sim::card::Card;
use meter_sim::card::acme::{self, AcmeKeys};
use polymeter_domain::VendorCode;
use polymeter_driver::codes::{card, line, slot};
use polymeter_driver::{
    Host, InsertedCard, Key, Level, LineError, Secret as Presented, SlotError, VaultError,
};
use polymeter_vault::{KeyName, Kind, Message, Refused, Scope, Secret, Vault};

pub const NUMBER: [u8; 8] = [0xA0, 1, 2, 3, 4, 5, 6, 7];

pub fn keys() -> AcmeKeys {
    AcmeKeys { psc: vec![0x51; 16], data: vec![0x52; 16] }
}

/// What devices open key-change cards by.
pub const TRANSPORT: [u8; 16] = [0x53; 16];

/// As the maker of cards delivers one.
pub fn fresh() -> Card {
    Card::sle4442(acme::blank(NUMBER))
}

pub struct Bench {
    vault: Vault,
    pub card: Card,
    /// How many commands the reader has sent.
    pub sent: u32,
    /// Some while a pulled card stays away: whether it was pulled.
    pub gone: Option<bool>,
}

impl Bench {
    pub fn new(card: Card) -> Bench {
        Bench::with_keys(card, &keys())
    }

    /// The reader powers the card and says what it is.
    pub fn with_keys(card: Card, keys: &AcmeKeys) -> Bench {
        let vendor = || VendorCode::new("ACME").unwrap();
        let named = [("card-psc", &keys.psc), ("card-data", &keys.data)];
        let vault = named.iter().fold(Vault::default(), |vault, (label, key)| {
            vault.with(vendor(), label, Kind::Hmac, Secret::new(key.to_vec())).unwrap()
        });
        let transport = Secret::new(TRANSPORT.to_vec());
        let vault = vault.with(vendor(), "card-transport", Kind::KeyWrap, transport).unwrap();
        let mut bench = Bench { vault, card, sent: 0, gone: None };
        bench.insert();
        bench
    }

    /// The key of the MACs gets its next version.
    #[must_use]
    pub fn rotated(mut self, key: &[u8]) -> Bench {
        let vault = std::mem::take(&mut self.vault);
        let vendor = VendorCode::new("ACME").unwrap();
        let key = Secret::new(key.to_vec());
        self.vault = vault.with(vendor, "card-data", Kind::Hmac, key).unwrap();
        self
    }

    /// The card is put in, again.
    pub fn insert(&mut self) {
        self.gone = None;
        self.card.power_on();
        assert_eq!(self.card.transmit(&[0xFF, 0xA4, 0, 0, 1, 6]).unwrap(), [0x90, 0x00]);
    }

    fn hmac(&self, label: &str, data: &[u8]) -> Result<Vec<u8>, VaultError> {
        let named = KeyName { label, path: Vec::new() };
        self.vault.mac(&scope(), &named, 2, &[], data).map_err(said)
    }

    /// One command of the reader; what it brings without its status.
    fn ask(&mut self, command: &[u8]) -> Result<(Vec<u8>, [u8; 2]), SlotError> {
        self.sent += 1;
        if self.gone == Some(true) {
            return Err(no(slot::GONE));
        }
        let answered = self.card.transmit(command);
        let mut answer = answered.map_err(|_| {
            self.gone = self.gone.map(|_| true);
            no(slot::GONE)
        })?;
        let status = answer.split_off(answer.len() - 2);
        Ok((answer, status.try_into().unwrap()))
    }

    fn done(&mut self, command: &[u8]) -> Result<Vec<u8>, SlotError> {
        match self.ask(command)? {
            (data, [0x90, 0x00]) => Ok(data),
            _ => Err(no(slot::CARD_SAYS_NO)),
        }
    }

    fn code(&self, presented: &Presented) -> Vec<u8> {
        match presented {
            Presented::Published(code) => code.clone(),
            Presented::OfVault((key, factor)) => {
                self.hmac(&key.label, factor).unwrap()[..3].to_vec()
            }
        }
    }
}

fn scope() -> Scope {
    Scope { vendor: VendorCode::new("ACME").unwrap(), region: None }
}

fn said(no: Refused) -> VaultError {
    VaultError { code: no.code(), detail: no.to_string() }
}

fn no(code: u16) -> SlotError {
    let detail = match code {
        slot::GONE => "the card was pulled",
        slot::NO_TRIES => "one try is left, and nothing was presented",
        _ => "the card says no",
    };
    SlotError { code, detail: detail.to_owned() }
}

fn no_line() -> LineError {
    LineError { code: line::NOT_GRANTED, detail: "no line".to_owned() }
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
        assert_eq!((algorithm, iv, key.path.len()), (2, &[][..], 0));
        self.hmac(&key.label, data)
    }
    fn encrypt(
        &mut self,
        key: &Key,
        algorithm: u16,
        iv: &[u8],
        associated: &[u8],
        data: &[u8],
    ) -> Answer {
        let named = KeyName { label: &key.label, path: Vec::new() };
        let message = Message { iv, associated, data };
        self.vault.encrypt(&scope(), &named, algorithm, message).map_err(said)
    }
    fn decrypt(&mut self, _: &Key, _: u16, _: &[u8], _: &[u8], _: &[u8]) -> Answer {
        panic!("nothing is decrypted here")
    }
    fn random(&mut self, _: u32) -> Answer {
        panic!("nothing is random here")
    }
    fn log(&mut self, _: Level, _: &str) {}
    fn inserted(&mut self) -> Result<InsertedCard, SlotError> {
        Ok(InsertedCard { kind: card::SLE4442, atr: self.card.atr(), uid: Vec::new() })
    }
    fn read_card(&mut self, offset: u32, length: u32) -> Result<Vec<u8>, SlotError> {
        let (offset, length) = (offset.try_into().unwrap(), length.try_into().unwrap());
        self.done(&[0xFF, 0xB0, 0, offset, length])
    }
    fn write_card(&mut self, offset: u32, bytes: &[u8]) -> Result<(), SlotError> {
        let head = [0xFF, 0xD0, 0, offset.try_into().unwrap(), bytes.len().try_into().unwrap()];
        self.done(&[&head, bytes].concat())?;
        Ok(())
    }
    fn tries_left(&mut self, _: u16) -> Result<u8, SlotError> {
        let counter = self.done(&[0xFF, 0xB1, 0, 0, 4])?;
        Ok(counter[0].count_ones().try_into().unwrap())
    }
    fn verify_code(&mut self, code: u16, presented: &Presented) -> Result<(), SlotError> {
        if self.tries_left(code)? <= 1 {
            return Err(no(slot::NO_TRIES));
        }
        let code = self.code(presented);
        match self.ask(&[&[0xFF, 0x20, 0, 0, 3], &code[..]].concat())? {
            (_, [0x90, 0x07]) => Ok(()),
            _ => Err(no(slot::CARD_SAYS_NO)),
        }
    }
    fn set_code(&mut self, _: u16, presented: &Presented) -> Result<(), SlotError> {
        let code = self.code(presented);
        self.done(&[&[0xFF, 0xD2, 0, 1, 3], &code[..]].concat())?;
        Ok(())
    }
}
