//! A card meter of ACME, written from "What the device does" in the README of
//! `drivers/card-sle4442-acme`.

use super::{CardError, Purse, Shown, Stage, ask};
use crate::card::acme::{
    AcmeKeys, AcmeState, AcmeWrittenBack, WRITE_BACK_BYTES, WRITE_BACKS, counting, number,
    unwrapped, wrapped_key,
};
use crate::card::{Card, sle4442};

const USER: u8 = 1;
const SETTING: u8 = 2;
const CHECK: u8 = 3;
const CLEAR: u8 = 4;
const RESET: u8 = 5;
const PRICE: u8 = 6;
const AREA: u8 = 7;
const TEST: u8 = 8;
const KEY_CHANGE: u8 = 9;
const OPENS: u8 = 1;
const BUYS: u8 = 2;
const REPLACES: u8 = 3;

/// One device.
#[derive(Debug, Clone)]
pub struct AcmeMeter {
    /// BCD.
    device: [u8; 6],
    keys: AcmeKeys,
    /// What a key-change card is wrapped by; none in a device that takes no such card.
    transport: Option<[u8; 16]>,
    /// Of the key of MACs that a card brought; 0: the maker's, which is version 1.
    key_version: u8,
    /// None: it takes cards of all regions that have its keys.
    pub region: Option<[u8; 8]>,
    /// Of a kWh in the sharp, peak, flat and valley period, 0.0001 yuan.
    pub prices: [u16; 4],
    /// How often a test card moved its relay and lit its display.
    pub tests: u32,
    pub purse: Purse,
}

impl AcmeMeter {
    /// As it leaves the maker, in its trial, with the keys of its region.
    pub fn new(device: [u8; 6], keys: AcmeKeys) -> Self {
        Self {
            device,
            keys,
            transport: None,
            key_version: 0,
            region: None,
            prices: [5_000; 4],
            tests: 0,
            purse: Purse::new(),
        }
    }

    /// Of the maker's that gives each device a key for key-change cards.
    #[must_use]
    pub fn with_transport_key(self, key: [u8; 16]) -> Self {
        Self { transport: Some(key), ..self }
    }

    /// The customer uses energy in one of the four periods, at its price; parts of a fen are lost.
    pub fn use_energy(&mut self, period: usize, wh: u32) {
        let price = self.prices.get(period).copied().unwrap_or_default();
        let fen = u64::from(price) * u64::from(wh) / 100_000;
        self.purse.use_up(u32::try_from(fen).unwrap_or(u32::MAX));
    }

    /// A card is put in, and taken out when the display has settled.
    pub fn insert(&mut self, card: &Card) -> Shown {
        card.power_on();
        let result = self.take(card);
        card.power_off();
        self.purse.shown(result)
    }

    fn take(&mut self, card: &Card) -> Result<Shown, CardError> {
        self.purse.healthy()?;
        if card.atr() != sle4442::ATR {
            return Err(CardError::NoAnswer);
        }
        ask(card, &[0xFF, 0xA4, 0, 0, 1, 6])?;
        let memory = ask(card, &[0xFF, 0xB0, 0, 0, 0])?;
        let number = number(&memory).ok_or(CardError::Type)?;
        let state = AcmeState::read(&memory, number, &self.keys).ok_or(CardError::Mac)?;
        if self.region.is_some_and(|region| region != state.region) {
            return Err(CardError::Region);
        }
        let is_for_all = state.device == [0; 6] && (SETTING..=KEY_CHANGE).contains(&state.purpose);
        if state.device != self.device && !is_for_all {
            return Err(CardError::Device);
        }
        let shown = match state.purpose {
            USER => self.user(&state, number)?,
            CHECK => Shown::Checked,
            TEST => {
                self.tests += 1;
                Shown::Tested
            }
            KEY_CHANGE => self.change_key(&state, &memory)?,
            SETTING => return Ok(self.set(&state)),
            PRICE => {
                for (nth, price) in self.prices.iter_mut().enumerate() {
                    *price = state.carried_short(2 * nth).unwrap_or(*price);
                }
                return Ok(Shown::Priced);
            }
            AREA => {
                self.region = Some(state.carried);
                return Ok(Shown::Moved);
            }
            CLEAR => {
                self.purse.clear();
                return Ok(Shown::Cleared);
            }
            RESET => {
                if self.purse.stage == Stage::Trial {
                    self.purse.stage = Stage::Reset;
                }
                return Ok(Shown::End);
            }
            _ => return Err(CardError::Type),
        };
        self.write_back(card, &state, number, &memory)?;
        Ok(shown)
    }

    fn set(&mut self, state: &AcmeState) -> Shown {
        let purse = &mut self.purse;
        purse.alarm_fen = state.carried_word(0).unwrap_or(purse.alarm_fen);
        purse.overdraft_limit_fen = state.carried_word(4).unwrap_or(purse.overdraft_limit_fen);
        Shown::Set
    }

    fn change_key(&mut self, state: &AcmeState, memory: &[u8]) -> Result<Shown, CardError> {
        let transport = self.transport.ok_or(CardError::Type)?;
        let from = state.carried_short(0);
        let to = state.carried_short(2).and_then(|to| u8::try_from(to).ok());
        let (Some(from), Some(to)) = (from, to) else { return Err(CardError::Format) };
        if from != u16::from(self.key_version.max(1)) {
            return Err(CardError::KeyState);
        }
        let wrapped = wrapped_key(memory).ok_or(CardError::Format)?;
        self.keys.data = unwrapped(wrapped, transport).ok_or(CardError::Authentication)?;
        self.key_version = to;
        Ok(Shown::KeyChanged)
    }

    fn user(&mut self, state: &AcmeState, number: [u8; 8]) -> Result<Shown, CardError> {
        let purse = &mut self.purse;
        let is_known = purse.customer == Some(state.customer);
        let is_its_card = purse.card == Some(number);
        match state.act {
            // The card that opened it may come again.
            OPENS if purse.stage == Stage::Opened && is_known && is_its_card => {}
            OPENS if purse.stage != Stage::Cleared => return Err(CardError::NotCleared),
            OPENS if state.count > 1 => return Err(CardError::Count),
            OPENS => {}
            BUYS | REPLACES if purse.stage != Stage::Opened => return Err(CardError::NotOpened),
            BUYS | REPLACES if !is_known => return Err(CardError::Customer),
            BUYS if !is_its_card => return Err(CardError::Serial),
            BUYS | REPLACES => {}
            _ => return Err(CardError::Type),
        }
        let is_next = purse.count.checked_add(1) == Some(state.count);
        if !is_next && state.count != purse.count {
            return Err(CardError::Count);
        }
        if is_next {
            purse.fits(state.amount_fen)?;
        }
        if purse.stage == Stage::Cleared {
            (purse.stage, purse.customer) = (Stage::Opened, Some(state.customer));
        }
        purse.card = Some(number);
        if !is_next {
            return Ok(Shown::Known);
        }
        purse.credit(state.amount_fen, state.count);
        Ok(Shown::Credited { amount_fen: state.amount_fen })
    }

    fn write_back(
        &self,
        card: &Card,
        state: &AcmeState,
        number: [u8; 8],
        memory: &[u8],
    ) -> Result<(), CardError> {
        let code = match state.code {
            0 => sle4442::TRANSPORT_CODE,
            2 => self.keys.code(number),
            _ => return Err(CardError::KeyState),
        };
        let counter = ask(card, &[0xFF, 0xB1, 0, 0, 4])?;
        // A device kills no card either.
        if counter.first().is_none_or(|tries| tries.count_ones() < 2) {
            return Err(CardError::KeyState);
        }
        verify(card, code)?;
        let (_, (at, sequence)) = counting(memory, WRITE_BACKS, WRITE_BACK_BYTES);
        let slot = self.written_back().slot(sequence);
        let place = u8::try_from(at).unwrap_or(u8::MAX);
        let length = u8::try_from(slot.len()).unwrap_or(u8::MAX);
        ask(card, &[&[0xFF, 0xD0, 0, place, length], &slot[..]].concat())?;
        let read = ask(card, &[0xFF, 0xB0, 0, place, length])?;
        if read.starts_with(&slot) { Ok(()) } else { Err(CardError::Communication) }
    }

    fn written_back(&self) -> AcmeWrittenBack {
        let purse = &self.purse;
        let bits = [(1, !purse.is_closed()), (2, purse.is_low()), (4, purse.overdrawn_fen() > 0)];
        AcmeWrittenBack {
            state: bits.iter().filter(|(_, is_so)| *is_so).map(|(bit, _)| bit).sum(),
            last_error: purse.last_error.map_or(0, |error| error as u8),
            device: self.device,
            customer: purse.customer.unwrap_or_default(),
            count: purse.count,
            balance_fen: purse.balance_fen(),
            overdrawn_fen: purse.overdrawn_fen(),
            at: purse.time(),
            key_version: self.key_version,
        }
    }
}

fn verify(card: &Card, code: [u8; 3]) -> Result<(), CardError> {
    let answer = card
        .transmit(&[&[0xFF, 0x20, 0, 0, 3], &code[..]].concat())
        .map_err(|_| CardError::PulledEarly)?;
    if answer == [0x90, 0x07] { Ok(()) } else { Err(CardError::Authentication) }
}
