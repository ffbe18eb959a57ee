//! A card meter of LUNA, written from "What the device does" in the README of `drivers/card-m1-luna`.

use super::{CardError, Purse, Shown, Stage};
use crate::card::Card;
use crate::card::luna::{
    LunaKeys, LunaState, SLOT_BYTES, STATES, WRITE_BACKS, counting, is_mark, sequence,
};

const USER: u8 = 1;
const SETTING: u8 = 2;
const CHECK: u8 = 3;
const CLEAR: u8 = 4;
const RESET: u8 = 5;
const OPENS: u8 = 1;
const BUYS: u8 = 2;
const REPLACES: u8 = 3;

/// One device; of an issuer's keys it has those for reading and for MACs.
#[derive(Debug, Clone)]
pub struct LunaMeter {
    /// BCD.
    device: [u8; 6],
    keys: LunaKeys,
    pub purse: Purse,
}

impl LunaMeter {
    /// As it leaves the maker, in its trial.
    pub fn new(device: [u8; 6], keys: LunaKeys) -> Self {
        Self { device, keys: LunaKeys { write: Vec::new(), ..keys }, purse: Purse::new() }
    }

    /// A card is held before it until the display has settled.
    pub fn insert(&mut self, card: &Card) -> Shown {
        card.power_on();
        let result = self.take(card);
        card.power_off();
        self.purse.shown(result)
    }

    fn take(&mut self, card: &Card) -> Result<Shown, CardError> {
        self.purse.healthy()?;
        let uid = ask(card, &[0xFF, 0xCA, 0, 0, 0], CardError::NoAnswer)?;
        let uid: [u8; 4] = uid.try_into().map_err(|_| CardError::NoAnswer)?;
        open(card, 1, [0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0xA5], CardError::Type)?;
        if !is_mark(&ask(card, &[0xFF, 0xB0, 0, 4, 16], CardError::Type)?) {
            return Err(CardError::Type);
        }
        let slots = self.slots(card, uid, STATES)?;
        let contents = [0, 1].map(|at: usize| self.keys.content(uid, &slots[at]));
        let at = counting(contents).ok_or(CardError::Mac)?;
        let state = contents[at].and_then(LunaState::read).ok_or(CardError::Format)?;
        let is_for_all = state.device == [0; 6] && (SETTING..=RESET).contains(&state.purpose);
        if state.device != self.device && !is_for_all {
            return Err(CardError::Device);
        }
        let shown = match state.purpose {
            USER => self.user(&state, uid)?,
            CHECK => Shown::Checked,
            SETTING => {
                let purse = &mut self.purse;
                purse.alarm_fen = state.alarm_fen.unwrap_or(purse.alarm_fen);
                purse.overdraft_limit_fen =
                    state.overdraft_fen.unwrap_or(purse.overdraft_limit_fen);
                return Ok(Shown::Set);
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
        self.write_back(card, uid)?;
        Ok(shown)
    }

    /// Three blocks of each of two sectors.
    fn slots(
        &self,
        card: &Card,
        uid: [u8; 4],
        sectors: [u8; 2],
    ) -> Result<[Vec<u8>; 2], CardError> {
        let mut slots = [Vec::new(), Vec::new()];
        for (slot, sector) in slots.iter_mut().zip(sectors) {
            open(card, sector, self.keys.key_a(uid, sector), CardError::Authentication)?;
            for block in sector * 4..sector * 4 + 3 {
                slot.extend(ask(card, &[0xFF, 0xB0, 0, block, 16], CardError::Communication)?);
            }
        }
        Ok(slots)
    }

    fn user(&mut self, state: &LunaState, uid: [u8; 4]) -> Result<Shown, CardError> {
        let mut own = [0; 8];
        own[4..].copy_from_slice(&uid);
        let purse = &mut self.purse;
        let is_known = purse.customer == Some(state.customer);
        let is_its_card = purse.card == Some(own);
        match state.act {
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
        purse.card = Some(own);
        if !is_next {
            return Ok(Shown::Known);
        }
        purse.credit(state.amount_fen, state.count);
        Ok(Shown::Credited { amount_fen: state.amount_fen })
    }

    fn write_back(&self, card: &Card, uid: [u8; 4]) -> Result<(), CardError> {
        let slots = self.slots(card, uid, WRITE_BACKS)?;
        let contents = [0, 1].map(|at: usize| self.keys.content(uid, &slots[at]));
        let at = counting(contents);
        let last = at.and_then(|at| contents[at]).and_then(sequence);
        let next = last.map_or(0, |last| last.wrapping_add(1));
        let place = if at == Some(0) { 1 } else { 0 };
        let slot: [u8; SLOT_BYTES] = self.keys.slot(uid, &self.written_back(next));
        let sector = WRITE_BACKS[place];
        open(card, sector, self.keys.key_a(uid, sector), CardError::Authentication)?;
        for (block, bytes) in (sector * 4..).zip(slot.chunks_exact(16)) {
            let update = [&[0xFF, 0xD6, 0, block, 16], bytes].concat();
            ask(card, &update, CardError::Communication)?;
        }
        let read = self.slots(card, uid, WRITE_BACKS)?;
        if read[place] == slot { Ok(()) } else { Err(CardError::Communication) }
    }

    fn written_back(&self, sequence: u16) -> Vec<u8> {
        let purse = &self.purse;
        let bits = [(1, !purse.is_closed()), (2, purse.is_low()), (4, purse.overdrawn_fen() > 0)];
        let bits: u8 = bits.iter().filter(|(_, is_so)| *is_so).map(|(bit, _)| bit).sum();
        let last_error = purse.last_error.map_or(0, |error| error as u8);
        [
            &sequence.to_be_bytes()[..],
            &[bits, last_error],
            &self.device,
            &purse.customer.unwrap_or_default(),
            &purse.count.to_be_bytes(),
            &purse.balance_fen().to_be_bytes(),
            &purse.overdrawn_fen().to_be_bytes(),
            &purse.time(),
            &[0; 5],
        ]
        .concat()
    }
}

/// Key A into the reader, and proved to a sector.
fn open(card: &Card, sector: u8, key: [u8; 6], or: CardError) -> Result<(), CardError> {
    ask(card, &[&[0xFF, 0x82, 0, 0, 6], &key[..]].concat(), or)?;
    ask(card, &[0xFF, 0x86, 0, 0, 5, 1, 0, sector * 4, 0x60, 0], or).map(|_| ())
}

/// What comes back before 9000.
fn ask(card: &Card, command: &[u8], or: CardError) -> Result<Vec<u8>, CardError> {
    let mut answer = card.transmit(command).map_err(|_| CardError::PulledEarly)?;
    let status = answer.split_off(answer.len().saturating_sub(2));
    if status == [0x90, 0x00] { Ok(answer) } else { Err(or) }
}
