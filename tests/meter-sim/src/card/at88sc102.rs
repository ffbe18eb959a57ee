//! An AT88SC102 behind a contact reader that understands the pseudo-APDUs of ACS (the ACR1281U's
//! manual, chapter 9; the chip's data sheet 1419): two application zones, in which a write only
//! clears bits and an erase, under the zone's own key, sets all of them.
//!
//! Chosen: bit 0 of a zone is the highest bit of its first byte; what may not be read reads as zeros; an
//! erase of an application zone needs the security code as well.

use std::ops::Range;

use super::apdu::{self, Command, Status, answer};
use super::{Acts, Truth, reader};

/// It has no answer to reset; the reader makes one up.
const ATR: [u8; 2] = [0x3B, 0x00];
const CARD_TYPE: u8 = 0x09;
const BYTES: usize = 178;
/// As the maker ships it.
pub const TRANSPORT_CODE: [u8; 2] = [0xF0, 0xF0];

const ISSUER: Range<usize> = 2..10;
const CODE: Range<usize> = 10..12;
const TRIES: Range<usize> = 12..14;
const CODE_PROTECTED: Range<usize> = 14..22;
const ZONES: [Range<usize>; 2] = [22..86, 92..156];
const ERASE_KEYS: [Range<usize>; 2] = [86..92, 156..160];
const ERASES_LEFT: Range<usize> = 160..176;
const TEST: Range<usize> = 176..178;
/// The first two bits of an application zone: it may be written; all may read it.
const MAY_WRITE: u8 = 0x80;
const ALL_READ: u8 = 0x40;

/// One card.
#[derive(Debug, Clone)]
pub struct At88sc102 {
    memory: [u8; BYTES],
    /// Four or eight, by the chip's revision.
    tries: u32,
    /// The issuer has blown the fuse: keys and the issuer's zone are fixed.
    issued: bool,
    /// Zone 2 is erased at most as often as its counter has bits.
    counts_erases: bool,
    selected: bool,
    verified: bool,
    presented: u32,
    wrong: u32,
}

impl At88sc102 {
    /// From the maker: all bits set, the transport code in it, four tries, not issued.
    pub fn blank() -> Self {
        let mut memory = [0xFF; BYTES];
        memory[CODE].copy_from_slice(&TRANSPORT_CODE);
        Self {
            memory,
            tries: 4,
            issued: false,
            counts_erases: false,
            selected: false,
            verified: false,
            presented: 0,
            wrong: 0,
        }
    }

    /// Of the older revision.
    pub fn with_eight_tries(self) -> Self {
        Self { tries: 8, ..self }
    }

    /// With this code and these keys, and the fuse blown.
    pub fn issued(mut self, code: [u8; 2], key_1: [u8; 6], key_2: [u8; 4]) -> Self {
        self.memory[CODE].copy_from_slice(&code);
        self.memory[ERASE_KEYS[0].clone()].copy_from_slice(&key_1);
        self.memory[ERASE_KEYS[1].clone()].copy_from_slice(&key_2);
        Self { issued: true, ..self }
    }

    /// With the counter of erases of zone 2 in force.
    pub fn counting_erases(self) -> Self {
        Self { counts_erases: true, ..self }
    }

    pub fn memory_mut(&mut self) -> &mut [u8] {
        &mut self.memory
    }

    fn done(&mut self, command: &Command<'_>) -> Result<Vec<u8>, Status> {
        if reader::selects(command, &[CARD_TYPE])? {
            self.power();
            self.selected = true;
            return Ok(answer(&[], apdu::DONE));
        }
        if !self.selected {
            return Err(apdu::NOT_ALLOWED);
        }
        let at = usize::from(command.p2);
        match command.instruction {
            reader::READ => {
                reader::span(&self.memory, at, command.expected)?;
                let bytes = at..at + command.expected.unwrap_or(0);
                let read: Vec<u8> = bytes.map(|at| self.shown(at)).collect();
                Ok(answer(&read, apdu::DONE))
            }
            reader::WRITE => {
                reader::span(&self.memory, at, Some(command.data.len()))?;
                // A zone's own first byte says what may be written, as it was before.
                let may: Vec<bool> =
                    (at..).take(command.data.len()).map(|at| self.may_write(at)).collect();
                for ((at, byte), may) in (at..).zip(command.data).zip(may) {
                    if may {
                        self.memory[at] &= byte;
                    }
                }
                Ok(answer(&[], apdu::DONE))
            }
            reader::CHANGE_CODE => {
                let word = at & !1;
                reader::span(&self.memory, word, Some(2))?;
                if self.may_erase(word) {
                    self.memory[word..word + 2].fill(0xFF);
                }
                Ok(answer(&[], apdu::DONE))
            }
            reader::PRESENT => match (command.p1, command.p2) {
                (8, 0x0A) => self.present(command),
                (0, 0x56) => self.erase(0, command.data),
                (0, 0x9C) if !self.counts_erases => self.erase(1, command.data),
                (0x80, 0x9C) if self.counts_erases => self.erase_counted(command.data),
                _ => Err(apdu::WRONG_P1_P2),
            },
            _ => Err(apdu::UNKNOWN_INSTRUCTION),
        }
    }

    fn shown(&self, at: usize) -> u8 {
        let zone = ZONES.iter().find(|zone| zone.contains(&at));
        let is_key = ERASE_KEYS.iter().any(|key| key.contains(&at));
        let may = match zone {
            Some(zone) => self.verified || self.memory[zone.start] & ALL_READ != 0,
            None if is_key => self.verified && !self.issued,
            None => !CODE.contains(&at) || (self.verified && !self.issued),
        };
        if may { self.memory[at] } else { 0 }
    }

    fn may_write(&self, at: usize) -> bool {
        if let Some(zone) = ZONES.iter().find(|zone| zone.contains(&at)) {
            return self.verified && self.memory[zone.start] & MAY_WRITE != 0;
        }
        if TRIES.contains(&at) || TEST.contains(&at) {
            return true;
        }
        let is_open = CODE.contains(&at) || CODE_PROTECTED.contains(&at);
        let is_issuers = ISSUER.contains(&at)
            || ERASES_LEFT.contains(&at)
            || ERASE_KEYS.iter().any(|key| key.contains(&at));
        self.verified && (is_open || (is_issuers && !self.issued))
    }

    /// A word outside the application zones, which have keys of their own.
    fn may_erase(&self, at: usize) -> bool {
        TEST.contains(&at)
            || (self.may_write(at)
                && !TRIES.contains(&at)
                && !ZONES.iter().any(|zone| zone.contains(&at)))
    }

    /// How many codes it still bears: bits from the top of its counter.
    fn left(&self) -> u32 {
        let counter = u32::from(self.memory[TRIES.start]) >> (8 - self.tries);
        counter.count_ones()
    }

    /// The highest bit that stands becomes 0.
    fn burn(&mut self) {
        let counter = &mut self.memory[TRIES.start];
        *counter &= !(0x80_u8.checked_shr(counter.leading_zeros()).unwrap_or(0));
        self.presented += 1;
    }

    fn present(&mut self, command: &Command<'_>) -> Result<Vec<u8>, Status> {
        let code: [u8; 2] = command.data.try_into().map_err(|_| apdu::WRONG_LENGTH)?;
        if self.left() == 0 {
            return Err(apdu::FAILED);
        }
        self.burn();
        self.verified = self.memory[CODE] == code;
        if self.verified {
            self.memory[TRIES].fill(0xFF);
        } else {
            self.wrong += 1;
        }
        // The reader does not know; whoever asked looks at the counter.
        Ok(answer(&[], apdu::DONE))
    }

    fn erase(&mut self, zone: usize, key: &[u8]) -> Result<Vec<u8>, Status> {
        if key.len() != ERASE_KEYS[zone].len() {
            return Err(apdu::WRONG_LENGTH);
        }
        if self.verified && self.memory[ERASE_KEYS[zone].clone()] == *key {
            self.memory[ZONES[zone].clone()].fill(0xFF);
        }
        Ok(answer(&[], apdu::DONE))
    }

    fn erase_counted(&mut self, key: &[u8]) -> Result<Vec<u8>, Status> {
        let left = self.memory[ERASES_LEFT].iter_mut().find(|byte| **byte != 0);
        let left = left.ok_or(apdu::FAILED)?;
        *left &= left.wrapping_sub(1);
        self.erase(1, key)
    }
}

impl Acts for At88sc102 {
    fn atr(&self) -> Vec<u8> {
        ATR.to_vec()
    }

    fn power(&mut self) {
        (self.selected, self.verified) = (false, false);
    }

    fn serve(&mut self, command: &Command<'_>) -> Vec<u8> {
        self.done(command).unwrap_or_else(|status| answer(&[], status))
    }

    /// An erase that is torn has set the zone's first bytes.
    fn tear(&mut self, command: &Command<'_>, bytes: usize) {
        match (command.instruction, command.p2) {
            (reader::PRESENT, 0x0A) => self.burn(),
            (reader::PRESENT, _) => {
                let mut after = self.clone();
                let _ = after.done(command);
                for zone in ZONES {
                    let end = zone.end.min(zone.start + bytes);
                    self.memory[zone.start..end].copy_from_slice(&after.memory[zone.start..end]);
                }
            }
            (reader::WRITE, _) => {
                let data = command.data.get(..bytes).unwrap_or(command.data);
                let _ = self.done(&Command { data, ..*command });
            }
            _ => {}
        }
    }

    fn truth(&self) -> Truth {
        Truth {
            memory: self.memory.to_vec(),
            tries_left: Some(u8::try_from(self.left()).unwrap_or(0)),
            presented: self.presented,
            wrong: self.wrong,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY_1: [u8; 6] = [1, 2, 3, 4, 5, 6];
    const KEY_2: [u8; 4] = [7, 8, 9, 10];
    const VERIFY: [u8; 7] = [0xFF, 0x20, 8, 0x0A, 2, 0x12, 0x34];

    fn ask(card: &mut At88sc102, bytes: &[u8]) -> Vec<u8> {
        card.serve(&Command::parse(bytes).unwrap())
    }

    fn issued() -> At88sc102 {
        let mut card = At88sc102::blank().issued([0x12, 0x34], KEY_1, KEY_2);
        assert_eq!(ask(&mut card, &[0xFF, 0xA4, 0, 0, 1, 1]), apdu::FAILED);
        assert_eq!(ask(&mut card, &[0xFF, 0xA4, 0, 0, 1, 9]), apdu::DONE);
        card
    }

    #[test]
    fn a_write_clears_bits_and_an_erase_under_the_key_sets_them() {
        let mut card = issued();
        let write = [0xFF, 0xD0, 0, 30, 2, 0x0F, 0xF0];
        ask(&mut card, &write);
        assert_eq!(card.truth().memory[30..32], [0xFF, 0xFF]);
        assert_eq!(ask(&mut card, &VERIFY), apdu::DONE);
        ask(&mut card, &write);
        ask(&mut card, &[0xFF, 0xD0, 0, 30, 1, 0xF3]);
        assert_eq!(ask(&mut card, &[0xFF, 0xB0, 0, 30, 2]), [0x03, 0xF0, 0x90, 0]);

        ask(&mut card, &[0xFF, 0x20, 0, 0x56, 6, 9, 9, 9, 9, 9, 9]);
        assert_eq!(card.truth().memory[30], 3);
        card.tear(&Command::parse(&[0xFF, 0x20, 0, 0x56, 6, 1, 2, 3, 4, 5, 6]).unwrap(), 9);
        assert_eq!(card.truth().memory[30..32], [0xFF, 0xF0]);
        assert_eq!(ask(&mut card, &[0xFF, 0x20, 0, 0x56, 6, 1, 2, 3, 4, 5, 6]), apdu::DONE);
        assert_eq!(card.truth().memory[22..86], [0xFF; 64]);

        // Zone 2 is closed by its first bits: no write any more, and no one reads it unverified.
        ask(&mut card, &[0xFF, 0xD0, 0, 92, 2, 0x3F, 0x55]);
        ask(&mut card, &[0xFF, 0xD0, 0, 93, 1, 0x00]);
        assert_eq!(ask(&mut card, &[0xFF, 0xB0, 0, 92, 2]), [0x3F, 0x55, 0x90, 0]);
        card.power();
        ask(&mut card, &[0xFF, 0xA4, 0, 0, 1, 9]);
        assert_eq!(ask(&mut card, &[0xFF, 0xB0, 0, 92, 2]), [0, 0, 0x90, 0]);
        assert_eq!(ask(&mut card, &[0xFF, 0xB0, 0, 10, 2]), [0, 0, 0x90, 0]);
        ask(&mut card, &[0xFF, 0x20, 0, 0x9C, 4, 7, 8, 9, 10]);
        assert_eq!(card.truth().memory[93], 0x55);
        ask(&mut card, &VERIFY);
        ask(&mut card, &[0xFF, 0x20, 0, 0x9C, 4, 7, 8, 9, 10]);
        assert_eq!(card.truth().memory[93], 0xFF);
    }

    #[test]
    fn the_fuse_fixes_keys_and_the_code_can_be_changed_all_the_same() {
        let mut card = issued();
        ask(&mut card, &VERIFY);
        for at in [0, 2, 86, 156, 160] {
            ask(&mut card, &[0xFF, 0xD0, 0, at, 1, 0]);
            assert_ne!(card.truth().memory[usize::from(at)], 0, "byte {at}");
        }
        ask(&mut card, &[0xFF, 0xD2, 0, 0x0A, 0]);
        ask(&mut card, &[0xFF, 0xD0, 0, 0x0A, 2, 5, 6]);
        assert_eq!(card.truth().memory[10..12], [5, 6]);
        // An application zone has its own key.
        ask(&mut card, &[0xFF, 0xD0, 0, 40, 1, 0]);
        ask(&mut card, &[0xFF, 0xD2, 0, 40, 0]);
        assert_eq!(card.truth().memory[40], 0);

        let mut new = At88sc102::blank();
        ask(&mut new, &[0xFF, 0xA4, 0, 0, 1, 9]);
        ask(&mut new, &[0xFF, 0x20, 8, 0x0A, 2, 0xF0, 0xF0]);
        ask(&mut new, &[0xFF, 0xD0, 0, 86, 1, 9]);
        assert_eq!(ask(&mut new, &[0xFF, 0xB0, 0, 86, 1]), [9, 0x90, 0]);
    }

    #[test]
    fn wrong_codes_are_answered_with_9000_and_seen_in_the_counter() {
        for (mut card, tries) in [(issued(), 4_u8), (issued().with_eight_tries(), 8)] {
            card.tear(&Command::parse(&VERIFY).unwrap(), 0);
            assert_eq!(ask(&mut card, &[0xFF, 0xB0, 0, 12, 1]), [0x7F, 0x90, 0]);
            ask(&mut card, &VERIFY);
            assert_eq!(ask(&mut card, &[0xFF, 0xB0, 0, 12, 1]), [0xFF, 0x90, 0]);
            for left in (0..tries).rev() {
                assert_eq!(ask(&mut card, &[0xFF, 0x20, 8, 0x0A, 2, 0, 0]), apdu::DONE);
                assert_eq!(card.truth().tries_left, Some(left));
            }
            assert_eq!(ask(&mut card, &VERIFY), apdu::FAILED);
        }
    }

    #[test]
    fn zone_2_can_have_a_number_of_erases() {
        let mut card = issued().counting_erases();
        ask(&mut card, &VERIFY);
        assert_eq!(ask(&mut card, &[0xFF, 0x20, 0, 0x9C, 4, 7, 8, 9, 10]), apdu::WRONG_P1_P2);
        card.memory_mut()[160..175].fill(0);
        for _ in 0..8 {
            ask(&mut card, &[0xFF, 0xD0, 0, 100, 1, 0]);
            assert_eq!(ask(&mut card, &[0xFF, 0x20, 0x80, 0x9C, 4, 7, 8, 9, 10]), apdu::DONE);
            assert_eq!(card.truth().memory[100], 0xFF);
        }
        assert_eq!(ask(&mut card, &[0xFF, 0x20, 0x80, 0x9C, 4, 7, 8, 9, 10]), apdu::FAILED);
    }
}
