//! An SLE4442 behind a contact reader that understands the pseudo-APDUs of ACS (protocols.md 9.2, the
//! ACR1281U's manual chapter 6): 256 bytes that all may read, a code of three bytes before anything
//! is written, three tries, then dead for ever. The first 32 bytes can be protected for good.
//!
//! Chosen: a write that the chip does not take answers 9000 and changes nothing, since the reader
//! hears no more from the chip than that it is busy.

use std::ops::Range;

use super::apdu::{self, Command, Status, answer};
use super::{Acts, Truth, reader};

/// What the reader makes of the chip's own answer to reset, A2 13 10 91.
pub const ATR: [u8; 6] = [0x3B, 0x04, 0xA2, 0x13, 0x10, 0x91];
pub const BYTES: usize = 256;
/// As the maker ships it.
pub const TRANSPORT_CODE: [u8; 3] = [0xFF; 3];
const CARD_TYPE: u8 = 0x06;
const ALL_TRIES: u8 = 0x07;
const PROTECTABLE: usize = 32;

/// One card.
#[derive(Debug, Clone)]
pub struct Sle4442 {
    memory: [u8; BYTES],
    /// A bit for each of the first 32 bytes; 1: may still be written.
    writable: u32,
    code: [u8; 3],
    /// Three bits, one for each try.
    tries: u8,
    /// Its reader puts the protection bits behind what it reads, as some of ACS do.
    appends_protection: bool,
    selected: bool,
    verified: bool,
    presented: u32,
    wrong: u32,
}

impl Sle4442 {
    /// Empty: FF everywhere but in the four bytes that are its answer to reset.
    pub fn blank() -> Self {
        let mut memory = [0xFF; BYTES];
        memory[..4].copy_from_slice(&ATR[2..]);
        Self {
            memory,
            writable: u32::MAX << 4,
            code: TRANSPORT_CODE,
            tries: ALL_TRIES,
            appends_protection: false,
            selected: false,
            verified: false,
            presented: 0,
            wrong: 0,
        }
    }

    /// A card that came with this memory and this code.
    pub fn written(memory: [u8; BYTES], code: [u8; 3]) -> Self {
        Self { memory, code, ..Self::blank() }
    }

    pub fn with_code(self, code: [u8; 3]) -> Self {
        Self { code, ..self }
    }

    /// With these bytes of the first 32 protected for good.
    pub fn protecting(mut self, bytes: Range<usize>) -> Self {
        for at in bytes.filter(|at| *at < PROTECTABLE) {
            self.writable &= !(1 << at);
        }
        self
    }

    /// In a reader that answers a read with the protection bits behind the data.
    pub fn appending_protection(self) -> Self {
        Self { appends_protection: true, ..self }
    }

    /// With so many of its three tries left.
    pub fn with_tries(self, left: u8) -> Self {
        Self { tries: ALL_TRIES >> 3u8.saturating_sub(left), ..self }
    }

    pub fn code(&self) -> [u8; 3] {
        self.code
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
        match command.instruction {
            reader::READ => {
                let read = reader::span(&self.memory, command.address(), command.expected)?;
                let protection = self.writable.to_le_bytes();
                let behind = if self.appends_protection { &protection[..] } else { &[] };
                Ok(answer(&[read, behind].concat(), apdu::DONE))
            }
            reader::COUNTER => {
                let shown = if self.verified { self.code } else { [0; 3] };
                Ok(answer(&[&[self.tries], &shown[..]].concat(), apdu::DONE))
            }
            reader::PROTECTION => Ok(answer(&self.writable.to_le_bytes(), apdu::DONE)),
            reader::WRITE => self.write(command),
            reader::PROTECT => self.protect(command),
            reader::PRESENT => self.present(command),
            reader::CHANGE_CODE => {
                let code = command.data.try_into().map_err(|_| apdu::WRONG_LENGTH)?;
                if (command.p1, command.p2) != (0, 1) {
                    return Err(apdu::WRONG_P1_P2);
                }
                if self.verified {
                    self.code = code;
                }
                Ok(answer(&[], apdu::DONE))
            }
            _ => Err(apdu::UNKNOWN_INSTRUCTION),
        }
    }

    fn may_write(&self, at: usize) -> bool {
        let protected = at < PROTECTABLE && self.writable >> at & 1 == 0;
        self.verified && !protected
    }

    fn write(&mut self, command: &Command<'_>) -> Result<Vec<u8>, Status> {
        let at = command.address();
        reader::span(&self.memory, at, Some(command.data.len()))?;
        for (at, byte) in (at..).zip(command.data) {
            if self.may_write(at) {
                self.memory[at] = *byte;
            }
        }
        Ok(answer(&[], apdu::DONE))
    }

    /// A byte that is told right is protected for good.
    fn protect(&mut self, command: &Command<'_>) -> Result<Vec<u8>, Status> {
        let at = command.address();
        reader::span(&self.memory[..PROTECTABLE], at, Some(command.data.len()))?;
        for (at, byte) in (at..).zip(command.data) {
            if self.verified && self.memory[at] == *byte {
                self.writable &= !(1 << at);
            }
        }
        Ok(answer(&[], apdu::DONE))
    }

    /// The lowest bit that stands becomes 0.
    fn burn(&mut self) {
        self.tries &= self.tries.wrapping_sub(1);
        self.presented += 1;
    }

    fn present(&mut self, command: &Command<'_>) -> Result<Vec<u8>, Status> {
        let code: [u8; 3] = command.data.try_into().map_err(|_| apdu::WRONG_LENGTH)?;
        if self.tries == 0 {
            return Ok(vec![0x90, 0x00]);
        }
        self.burn();
        self.verified = code == self.code;
        if self.verified {
            self.tries = ALL_TRIES;
        } else {
            self.wrong += 1;
        }
        Ok(vec![0x90, self.tries])
    }
}

impl Acts for Sle4442 {
    fn atr(&self) -> Vec<u8> {
        ATR.to_vec()
    }

    fn power(&mut self) {
        (self.selected, self.verified) = (false, false);
    }

    fn serve(&mut self, command: &Command<'_>) -> Vec<u8> {
        self.done(command).unwrap_or_else(|status| answer(&[], status))
    }

    /// A code is then presented and its try not given back.
    fn tear(&mut self, command: &Command<'_>, bytes: usize) {
        match command.instruction {
            reader::PRESENT => self.burn(),
            // The chip writes its code byte by byte.
            reader::CHANGE_CODE if self.verified => {
                let new = command.data.get(..bytes).unwrap_or(command.data);
                self.code.iter_mut().zip(new).for_each(|(code, new)| *code = *new);
            }
            reader::WRITE | reader::PROTECT => {
                let data = command.data.get(..bytes).unwrap_or(command.data);
                let _ = self.done(&Command { data, ..*command });
            }
            _ => {}
        }
    }

    fn truth(&self) -> Truth {
        Truth {
            memory: self.memory.to_vec(),
            tries_left: Some(u8::try_from(self.tries.count_ones()).unwrap_or(0)),
            presented: self.presented,
            wrong: self.wrong,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(card: &mut Sle4442, bytes: &[u8]) -> Vec<u8> {
        card.serve(&Command::parse(bytes).unwrap())
    }

    fn selected() -> Sle4442 {
        let mut card = Sle4442::blank();
        assert_eq!(ask(&mut card, &[0xFF, 0xB0, 0, 0, 4]), [0x69, 0x86]);
        assert_eq!(ask(&mut card, &[0xFF, 0xA4, 0, 0, 1, 5]), [0x63, 0x00]);
        assert_eq!(ask(&mut card, &[0xFF, 0xA4, 0, 0, 1, 6]), [0x90, 0x00]);
        card
    }

    #[test]
    fn only_a_verified_card_is_written_and_its_protected_bytes_stay() {
        let mut card = selected();
        let write = [0xFF, 0xD0, 0, 2, 4, 1, 2, 3, 4];
        assert_eq!(ask(&mut card, &write), [0x90, 0x00]);
        assert_eq!(card.truth().memory[4..6], [0xFF, 0xFF]);

        assert_eq!(ask(&mut card, &[0xFF, 0x20, 0, 0, 3, 0xFF, 0xFF, 0xFF]), [0x90, 0x07]);
        ask(&mut card, &write);
        assert_eq!(
            ask(&mut card, &[0xFF, 0xB0, 0, 0, 8])[..8],
            [0xA2, 0x13, 0x10, 0x91, 3, 4, 0xFF, 0xFF]
        );
        // A byte that is told wrong is not protected.
        ask(&mut card, &[0xFF, 0xD1, 0, 4, 2, 3, 9]);
        assert_eq!(ask(&mut card, &[0xFF, 0xB2, 0, 0, 4])[..2], [0xE0, 0xFF]);
        ask(&mut card, &[0xFF, 0xD0, 0, 4, 2, 7, 7]);
        assert_eq!(card.truth().memory[4..6], [3, 7]);

        ask(&mut card, &[0xFF, 0xD2, 0, 1, 3, 1, 2, 3]);
        assert_eq!(card.code(), [1, 2, 3]);
        card.power();
        ask(&mut card, &[0xFF, 0xA4, 0, 0, 1, 6]);
        ask(&mut card, &[0xFF, 0xD0, 0, 5, 1, 8]);
        assert_eq!(card.truth().memory[5], 7);
    }

    #[test]
    fn three_wrong_codes_kill_it_and_the_right_one_gives_the_tries_back() {
        let mut card = selected();
        let wrong = [0xFF, 0x20, 0, 0, 3, 0, 0, 0];
        let right = [0xFF, 0x20, 0, 0, 3, 0xFF, 0xFF, 0xFF];
        assert_eq!(ask(&mut card, &wrong), [0x90, 0x06]);
        assert_eq!(ask(&mut card, &[0xFF, 0xB1, 0, 0, 4]), [6, 0, 0, 0, 0x90, 0]);
        assert_eq!(ask(&mut card, &wrong), [0x90, 0x04]);
        assert_eq!(ask(&mut card, &right), [0x90, 0x07]);
        for left in [0x06, 0x04, 0x00] {
            assert_eq!(ask(&mut card, &wrong), [0x90, left]);
        }
        assert_eq!(ask(&mut card, &right), [0x90, 0x00]);
        assert_eq!((card.truth().tries_left, card.truth().wrong), (Some(0), 5));
    }

    #[test]
    fn a_torn_write_leaves_the_first_bytes_and_a_torn_code_costs_a_try() {
        let mut card = selected();
        ask(&mut card, &[0xFF, 0x20, 0, 0, 3, 0xFF, 0xFF, 0xFF]);
        let write = [0xFF, 0xD0, 0, 64, 4, 1, 2, 3, 4];
        card.tear(&Command::parse(&write).unwrap(), 3);
        assert_eq!(card.truth().memory[64..68], [1, 2, 3, 0xFF]);
        card.tear(&Command::parse(&[0xFF, 0x20, 0, 0, 3, 0xFF, 0xFF, 0xFF]).unwrap(), 0);
        assert_eq!((card.truth().tries_left, card.truth().wrong), (Some(2), 0));
        ask(&mut card, &[0xFF, 0x20, 0, 0, 3, 0xFF, 0xFF, 0xFF]);
        card.tear(&Command::parse(&[0xFF, 0xD2, 0, 1, 3, 1, 2, 3]).unwrap(), 1);
        assert_eq!(card.code(), [1, 0xFF, 0xFF]);
    }

    #[test]
    fn a_read_beyond_the_end_is_refused_and_a_length_of_zero_is_all() {
        let mut card = selected().appending_protection().with_tries(1);
        assert_eq!(ask(&mut card, &[0xFF, 0xB0, 0, 0, 0]).len(), 256 + 4 + 2);
        assert_eq!(ask(&mut card, &[0xFF, 0xB0, 0, 1, 0]), [0x6B, 0x00]);
        assert_eq!(ask(&mut card, &[0xFF, 0xD0, 0, 255, 2, 1, 1]), [0x6B, 0x00]);
        assert_eq!(card.truth().tries_left, Some(1));
    }
}
