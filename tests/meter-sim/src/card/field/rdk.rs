//! A card meter of RDK, written from "The card" in the README of `vendor-examples/rdk-native`.

use super::{CardError, Purse, Shown, Stage, ask};
use crate::card::{Card, reader};

const MAP_BYTES: usize = 43;
const KIND: usize = 3;
const OPENS: u8 = 1;
const BUYS: u8 = 2;
const SETS: u8 = 4;

/// One device.
#[derive(Debug, Clone)]
pub struct RdkMeter {
    /// Filled up with zeros.
    region: [u8; 8],
    /// 0.01 kWh.
    pub energy: u32,
    pub purse: Purse,
}

impl RdkMeter {
    /// Empty and without a customer, as this maker delivers it.
    pub fn new(region: [u8; 8]) -> Self {
        let mut purse = Purse::new();
        purse.stage = Stage::Cleared;
        Self { region, energy: 0, purse }
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
        ask(card, &[0xFF, reader::SELECT_TYPE, 0, 0, 1, 1])?;
        let mut map: [u8; MAP_BYTES] = ask(card, &[0xFF, reader::READ, 0, 0, 43])?
            .try_into()
            .map_err(|_| CardError::Communication)?;
        let (content, [check]) = map.split_at(MAP_BYTES - 1) else {
            return Err(CardError::Format);
        };
        if !content.starts_with(b"RDK") {
            return Err(CardError::Type);
        }
        if *check != xor(content) {
            return Err(CardError::Format);
        }
        if field::<8>(&map, 4) != self.region {
            return Err(CardError::Device);
        }
        let taken = self.user(&map);
        if map[KIND] != SETS {
            map[28..32].copy_from_slice(&self.energy.to_be_bytes());
            map[32..36].copy_from_slice(&self.purse.balance_fen().to_be_bytes());
            let count = u16::try_from(self.purse.count).unwrap_or(u16::MAX);
            map[36..38].copy_from_slice(&count.to_be_bytes());
            map[MAP_BYTES - 1] = xor(&map[..MAP_BYTES - 1]);
            ask(card, &[&[0xFF, reader::WRITE, 0, 0, 43], &map[..]].concat())?;
        }
        taken
    }

    fn user(&mut self, map: &[u8; MAP_BYTES]) -> Result<Shown, CardError> {
        let purse = &mut self.purse;
        let customer: [u8; 6] = field(map, 12);
        let count = u32::from(u16::from_be_bytes(field(map, 18)));
        let amount_fen = u32::from_be_bytes(field(map, 20));
        match map[KIND] {
            SETS => {
                purse.alarm_fen = u32::from_be_bytes(field(map, 24));
                return Ok(Shown::Set);
            }
            OPENS if purse.stage == Stage::Cleared && count <= 1 => {
                purse.fits(amount_fen)?;
                (purse.stage, purse.customer) = (Stage::Opened, Some(customer));
            }
            // Its own again, or another one after it was opened.
            OPENS if purse.customer != Some(customer) => return Err(CardError::NotCleared),
            BUYS if purse.stage != Stage::Opened => return Err(CardError::NotOpened),
            BUYS if purse.customer != Some(customer) => return Err(CardError::Customer),
            OPENS | BUYS => {}
            _ => return Err(CardError::Type),
        }
        if count == purse.count {
            return Ok(Shown::Known);
        }
        if purse.count.checked_add(1) != Some(count) {
            return Err(CardError::Count);
        }
        purse.fits(amount_fen)?;
        purse.credit(amount_fen, count);
        Ok(Shown::Credited { amount_fen })
    }
}

fn field<const N: usize>(map: &[u8; MAP_BYTES], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&map[at..at + N]);
    field
}

fn xor(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum ^ byte)
}
