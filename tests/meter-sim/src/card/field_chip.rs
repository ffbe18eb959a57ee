//! The contactless chip of a reader, a PN532, with the card that lies on it (NXP UM0701-02, 7.3; the
//! direct transmit of ACR122S Communication Protocol 2.01, page 16, and its error codes on page 56).
//!
//! Invariant: a card without a field has no power; one that was not selected since it has it says nothing.
//!
//! Deliberately not here: more than one card at a time, other cards than those of type A.

use super::Card;

/// What a card of type A says of itself before it is asked anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contactless {
    pub sens_res: [u8; 2],
    pub sel_res: u8,
    pub uid: Vec<u8>,
    /// With its length in front; empty where the card has none.
    pub ats: Vec<u8>,
}

/// Of the error codes.
const TIMED_OUT: u8 = 0x01;
const WRONG_FORMAT: u8 = 0x13;
const NOT_AUTHENTICATED: u8 = 0x14;
const NO_SUCH_TARGET: u8 = 0x27;

#[derive(Debug, Default)]
pub(super) struct FieldChip {
    card: Option<Card>,
    has_field: bool,
    is_selected: bool,
    /// Until somebody says otherwise it looks for a card until one comes.
    looks_briefly: bool,
}

impl FieldChip {
    pub(super) fn put(&mut self, card: Option<Card>) {
        if let Some(old) = &self.card {
            old.power_off();
        }
        self.is_selected = false;
        self.card = card;
        if let Some(new) = self.card.as_ref().filter(|_| self.has_field) {
            new.power_on();
        }
    }

    pub(super) fn has_card(&self) -> bool {
        self.card.is_some()
    }

    pub(super) fn has_field(&self) -> bool {
        self.has_field
    }

    /// The cable is pulled.
    pub(super) fn lose_power(&mut self) {
        self.switch(false);
        self.looks_briefly = false;
    }

    fn switch(&mut self, on: bool) {
        if self.has_field != on {
            self.is_selected = false;
            if let Some(card) = &self.card {
                if on { card.power_on() } else { card.power_off() }
            }
        }
        self.has_field = on;
    }

    /// What a direct transmit brings; none: it never ends.
    pub(super) fn tell(&mut self, command: &[u8]) -> Option<Vec<u8>> {
        let said = match command {
            [0xD4, 0x32, 0x01, state] => {
                self.switch(state & 1 == 1);
                vec![0xD5, 0x33]
            }
            [0xD4, 0x32, 0x05, _, _, tries] => {
                self.looks_briefly = *tries < 0xFF;
                vec![0xD5, 0x33]
            }
            [0xD4, 0x4A, 1, 0] => [&[0xD5, 0x4B][..], &self.list()?].concat(),
            [0xD4, 0x40, 1, data @ ..] => [&[0xD5, 0x41][..], &self.exchange(data)].concat(),
            [0xD4, 0x40, ..] => vec![0xD5, 0x41, NO_SUCH_TARGET],
            [0xD4, 0x44 | 0x52, 0 | 1] => {
                self.is_selected = false;
                vec![0xD5, command.get(1)? + 1, 0]
            }
            _ => return Some(vec![0x63, 0x7F]),
        };
        Some([&said[..], &[0x90, 0x00]].concat())
    }

    fn list(&mut self) -> Option<Vec<u8>> {
        let card = self.card.as_ref().filter(|_| self.has_field).and_then(Card::contactless);
        let Some(card) = card else { return self.looks_briefly.then(|| vec![0]) };
        self.is_selected = true;
        let number = u8::try_from(card.uid.len()).unwrap_or_default();
        let head = [1, 1, card.sens_res[0], card.sens_res[1], card.sel_res, number];
        Some([&head[..], &card.uid, &card.ats].concat())
    }

    /// The status, and what the card answered.
    fn exchange(&mut self, data: &[u8]) -> Vec<u8> {
        let Some(card) = self.card.clone().filter(|_| self.has_field && self.is_selected) else {
            return vec![TIMED_OUT];
        };
        let Some(facts) = card.contactless() else { return vec![TIMED_OUT] };
        let told = if facts.sel_res & 0x20 != 0 {
            card.transmit(data).map_err(|_| None)
        } else {
            memory(&card, &facts, data)
        };
        match told {
            Ok(answer) => [&[0][..], &answer].concat(),
            Err(Some(error)) => {
                // A card that says no waits to be woken (MF1S50YYX, 8.2).
                self.is_selected = false;
                vec![error]
            }
            Err(None) => {
                self.put(None);
                vec![TIMED_OUT]
            }
        }
    }
}

/// A command of a Mifare Classic (MF1S50YYX, table 9), told to the card as its reader hears it from a
/// host. `None`: the card is out.
fn memory(card: &Card, facts: &Contactless, command: &[u8]) -> Result<Vec<u8>, Option<u8>> {
    let ask = |command: &[u8], error: u8| {
        let answer = card.transmit(command).map_err(|_| None)?;
        match answer.split_last_chunk() {
            Some((data, [0x90, 0x00])) => Ok(data.to_vec()),
            _ => Err(Some(error)),
        }
    };
    match command {
        [kind @ (0x60 | 0x61), block, rest @ ..] => {
            let (key, uid) = rest.split_at_checked(6).ok_or(Some(WRONG_FORMAT))?;
            if *uid != *facts.uid {
                return Err(Some(NOT_AUTHENTICATED));
            }
            ask(&[&[0xFF, 0x82, 0, 0, 6][..], key].concat(), NOT_AUTHENTICATED)?;
            ask(&[0xFF, 0x86, 0, 0, 5, 1, 0, *block, *kind, 0], NOT_AUTHENTICATED)
        }
        [0x30, block] => ask(&[0xFF, 0xB0, 0, *block, 16], WRONG_FORMAT),
        [0xA0, block, data @ ..] if data.len() == 16 => {
            ask(&[&[0xFF, 0xD6, 0, *block, 16][..], data].concat(), WRONG_FORMAT)
        }
        _ => Err(Some(WRONG_FORMAT)),
    }
}
