//! A driver's host with the real vault and a simulated AT88SC102 in a reader that takes ACS's commands,
//! and the device that such a card is put into, by the README.

use meter_sim::card::{At88sc102, Card, Chip};
use polymeter_codec::x25;
use polymeter_domain::VendorCode;
use polymeter_driver::codes::{card, line, slot};
use polymeter_driver::{
    Host, InsertedCard, Key, Level, LineError, Secret as Presented, SlotError, VaultError,
};
use polymeter_vault::{KeyName, Kind, Scope, Secret, Vault};

const ISSUER: [u8; 8] = *b"NOVA\xA0\x01\x02\x03";
const ZONES: [usize; 2] = [22, 92];
pub const KEYS: [u8; 3] = [0x51, 0x52, 0x53];

type Answer = Result<Vec<u8>, VaultError>;

fn vault(keys: [u8; 3]) -> Vault {
    let vendor = || VendorCode::new("NOVA").unwrap();
    let named = ["card-sc", "card-erase", "card-data"].into_iter().zip(keys);
    named.fold(Vault::default(), |vault, (label, key)| {
        vault.with(vendor(), label, Kind::Hmac, Secret::new(vec![key; 16])).unwrap()
    })
}

fn hmac(vault: &Vault, label: &str, data: &[u8]) -> Answer {
    let scope = Scope { vendor: VendorCode::new("NOVA").unwrap(), region: None };
    let named = KeyName { label, path: Vec::new() };
    let refused =
        |no: polymeter_vault::Refused| VaultError { code: no.code(), detail: no.to_string() };
    vault.mac(&scope, &named, 2, &[], data).map_err(refused)
}

/// As the issuer delivers one.
pub fn fresh() -> Card {
    let vault = vault(KEYS);
    let of = |label| hmac(&vault, label, &ISSUER).unwrap();
    let (code, erase) = (of("card-sc"), of("card-erase"));
    let mut chip = At88sc102::blank();
    let check = [&of("card-data")[..4], &[0xFF; 2]].concat();
    let sum = x25(&[&ISSUER[..], &check].concat()).to_be_bytes();
    chip.memory_mut()[2..10].copy_from_slice(&ISSUER);
    chip.memory_mut()[14..22].copy_from_slice(&[&check[..], &sum].concat());
    let (code, first) = (code[..2].try_into().unwrap(), erase[..6].try_into().unwrap());
    let chip = chip.issued(code, first, erase[..4].try_into().unwrap());
    Card::new(Chip::At88sc102(Box::new(chip)))
}

/// Changes the memory behind everybody's back.
pub fn alter(card: &Card, change: impl FnOnce(&mut [u8])) {
    card.alter(|chip| {
        let Chip::At88sc102(chip) = chip else { panic!("not an AT88SC102") };
        change(chip.memory_mut());
    });
}

/// A device, as far as a user card goes.
#[derive(Default)]
pub struct Device {
    pub count: u32,
    pub credited: u64,
}

impl Device {
    /// Takes the purchase of the zone that counts, if it is the next one, and writes back once.
    pub fn insert(&mut self, card: &Card) {
        let memory = card.truth().memory;
        let good = ZONES.into_iter().filter(|zone| {
            memory[zone + 39..zone + 41] == x25(&memory[zone + 1..zone + 39]).to_be_bytes()
        });
        let sequence = |zone: &usize| u16::from_be_bytes([memory[zone + 1], memory[zone + 2]]);
        let Some(zone) = good.max_by_key(sequence) else { return };
        let word = |at: usize| u32::from_be_bytes(memory[zone + at..][..4].try_into().unwrap());
        if memory[zone + 3] != 1 {
            return;
        }
        if word(20) == self.count + 1 {
            self.count += 1;
            self.credited += u64::from(word(24));
        }
        if word(20) == self.count && memory[zone + 41..zone + 64] == [0xFF; 23] {
            let balance = u32::try_from(self.credited).unwrap().to_be_bytes();
            let at = [0x26, 0x11, 0x26, 0x12, 0x00];
            let device = &memory[zone + 14..zone + 20];
            let mut back = [&[0, 0], device, &self.count.to_be_bytes(), &balance, &at].concat();
            back.extend(x25(&back).to_be_bytes());
            alter(card, |memory| memory[zone + 41..zone + 64].copy_from_slice(&back));
        }
    }
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
        Bench::with_keys(card, KEYS)
    }

    /// Keys of the security code, of erasing and of MACs.
    pub fn with_keys(card: Card, keys: [u8; 3]) -> Bench {
        let mut bench = Bench { vault: vault(keys), card, sent: 0, gone: None };
        bench.insert();
        bench
    }

    /// The card is put in, again.
    pub fn insert(&mut self) {
        self.gone = None;
        self.card.power_on();
        assert_eq!(self.card.transmit(&[0xFF, 0xA4, 0, 0, 1, 9]).unwrap(), [0x90, 0x00]);
    }

    fn done(&mut self, command: &[u8]) -> Result<Vec<u8>, SlotError> {
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
        if status == [0x90, 0x00] { Ok(answer) } else { Err(no(slot::CARD_SAYS_NO)) }
    }

    fn code(&self, presented: &Presented, bytes: usize) -> Vec<u8> {
        match presented {
            Presented::Published(code) => code.clone(),
            Presented::OfVault((key, factor)) => {
                hmac(&self.vault, &key.label, factor).unwrap()[..bytes].to_vec()
            }
        }
    }
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
        hmac(&self.vault, &key.label, data)
    }
    fn encrypt(&mut self, _: &Key, _: u16, _: &[u8], _: &[u8], _: &[u8]) -> Answer {
        panic!("nothing is encrypted here")
    }
    fn decrypt(&mut self, _: &Key, _: u16, _: &[u8], _: &[u8], _: &[u8]) -> Answer {
        panic!("nothing is decrypted here")
    }
    fn random(&mut self, _: u32) -> Answer {
        panic!("nothing is random here")
    }
    fn log(&mut self, _: Level, _: &str) {}
    fn inserted(&mut self) -> Result<InsertedCard, SlotError> {
        Ok(InsertedCard { kind: card::AT88SC102, atr: self.card.atr(), uid: Vec::new() })
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
    fn erase_card(&mut self, zone: u16, code: &Presented) -> Result<(), SlotError> {
        let (at, bytes) = if zone == 1 { (0x56, 6) } else { (0x9C, 4) };
        let code = self.code(code, bytes);
        let head = [0xFF, 0x20, 0, at, bytes.try_into().unwrap()];
        self.done(&[&head, &code[..]].concat())?;
        let erased = self.read_card(if zone == 1 { 22 } else { 92 }, 64)?;
        if erased == [0xFF; 64] { Ok(()) } else { Err(no(slot::CARD_SAYS_NO)) }
    }
    fn tries_left(&mut self, _: u16) -> Result<u8, SlotError> {
        let counter = self.read_card(12, 1)?;
        Ok(u8::try_from(counter[0].count_ones()).unwrap().saturating_sub(4))
    }
    fn verify_code(&mut self, code: u16, presented: &Presented) -> Result<(), SlotError> {
        if self.tries_left(code)? <= 1 {
            return Err(no(slot::NO_TRIES));
        }
        let code = self.code(presented, 2);
        self.done(&[&[0xFF, 0x20, 0x08, 0x0A, 2], &code[..]].concat())?;
        if self.read_card(12, 1)? == [0xFF] { Ok(()) } else { Err(no(slot::CARD_SAYS_NO)) }
    }
}
