//! An SLE4428 behind a contact reader that understands the pseudo-APDUs of ACS (the ACR1281U's manual,
//! chapter 5): 1024 bytes that all may read, each of which can be protected for good. The last three
//! are the error counter, eight bits for eight tries, and the code.
//!
//! Chosen: as an SLE4442, it answers 9000 to a write that it does not take.

use super::apdu::{self, Command, Status, answer};
use super::{Acts, Truth, reader};

const ATR: [u8; 6] = [0x3B, 0x04, 0x92, 0x23, 0x10, 0x91];
const BYTES: usize = 1024;
const CARD_TYPE: u8 = 0x05;
const TRIES: usize = 1021;
const CODE: usize = 1022;

/// One card.
#[derive(Debug, Clone)]
pub struct Sle4428 {
    memory: [u8; BYTES],
    protected: [bool; BYTES],
    selected: bool,
    verified: bool,
    presented: u32,
    wrong: u32,
}

impl Sle4428 {
    /// Empty but for its answer to reset; the code is the maker's, FF FF.
    pub fn blank() -> Self {
        let mut memory = [0xFF; BYTES];
        memory[..4].copy_from_slice(&ATR[2..]);
        let mut protected = [false; BYTES];
        protected[..4].fill(true);
        Self { memory, protected, selected: false, verified: false, presented: 0, wrong: 0 }
    }

    /// The code is its last two bytes.
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
        let at = command.address();
        match command.instruction {
            reader::READ => {
                let shown = self.shown();
                let read = reader::span(&shown, at, command.expected)?;
                Ok(answer(read, apdu::DONE))
            }
            reader::COUNTER => Ok(answer(&self.shown()[TRIES..], apdu::DONE)),
            reader::WRITE => {
                reader::span(&self.memory, at, Some(command.data.len()))?;
                for (at, byte) in (at..).zip(command.data) {
                    self.write(at, *byte);
                }
                Ok(answer(&[], apdu::DONE))
            }
            reader::PROTECT => {
                reader::span(&self.memory, at, Some(command.data.len()))?;
                for (at, byte) in (at..).zip(command.data) {
                    self.protected[at] |= self.verified && self.memory[at] == *byte;
                }
                Ok(answer(&[], apdu::DONE))
            }
            reader::PRESENT => self.present(command),
            _ => Err(apdu::UNKNOWN_INSTRUCTION),
        }
    }

    /// The memory as it reads: the code is zeros to whoever did not present it.
    fn shown(&self) -> [u8; BYTES] {
        let mut shown = self.memory;
        if !self.verified {
            shown[CODE..].fill(0);
        }
        shown
    }

    /// Anybody may lose a try.
    fn write(&mut self, at: usize, byte: u8) {
        if self.verified && !self.protected[at] {
            self.memory[at] = byte;
        } else if at == TRIES {
            self.memory[at] &= byte;
        }
    }

    /// The lowest bit that stands becomes 0.
    fn burn(&mut self) {
        self.memory[TRIES] &= self.memory[TRIES].wrapping_sub(1);
        self.presented += 1;
    }

    fn present(&mut self, command: &Command<'_>) -> Result<Vec<u8>, Status> {
        let code: [u8; 2] = command.data.try_into().map_err(|_| apdu::WRONG_LENGTH)?;
        if self.memory[TRIES] == 0 {
            return Ok(vec![0x90, 0x00]);
        }
        self.burn();
        self.verified = self.memory[CODE..] == code;
        if self.verified {
            self.memory[TRIES] = 0xFF;
        } else {
            self.wrong += 1;
        }
        Ok(vec![0x90, self.memory[TRIES]])
    }
}

impl Acts for Sle4428 {
    fn atr(&self) -> Vec<u8> {
        ATR.to_vec()
    }

    fn power(&mut self) {
        (self.selected, self.verified) = (false, false);
    }

    fn serve(&mut self, command: &Command<'_>) -> Vec<u8> {
        self.done(command).unwrap_or_else(|status| answer(&[], status))
    }

    fn tear(&mut self, command: &Command<'_>, bytes: usize) {
        match command.instruction {
            reader::PRESENT => self.burn(),
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
            tries_left: Some(u8::try_from(self.memory[TRIES].count_ones()).unwrap_or(0)),
            presented: self.presented,
            wrong: self.wrong,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(card: &mut Sle4428, bytes: &[u8]) -> Vec<u8> {
        card.serve(&Command::parse(bytes).unwrap())
    }

    #[test]
    fn eight_wrong_codes_kill_it_and_the_code_is_no_ones_to_read() {
        let mut card = Sle4428::blank();
        assert_eq!(ask(&mut card, &[0xFF, 0xB0, 0, 0, 4]), apdu::NOT_ALLOWED);
        assert_eq!(ask(&mut card, &[0xFF, 0xA4, 0, 0, 1, 5]), apdu::DONE);
        assert_eq!(ask(&mut card, &[0xFF, 0xB0, 3, 0xFD, 3]), [0xFF, 0, 0, 0x90, 0]);
        ask(&mut card, &[0xFF, 0xD0, 1, 0, 2, 5, 6]);
        assert_eq!(card.truth().memory[256], 0xFF);
        assert_eq!(ask(&mut card, &[0xFF, 0x20, 0, 0, 2, 0, 0]), [0x90, 0xFE]);
        assert_eq!(ask(&mut card, &[0xFF, 0x20, 0, 0, 2, 0xFF, 0xFF]), [0x90, 0xFF]);
        ask(&mut card, &[0xFF, 0xD0, 1, 0, 2, 5, 6]);
        ask(&mut card, &[0xFF, 0xD1, 1, 0, 2, 5, 7]);
        ask(&mut card, &[0xFF, 0xD0, 1, 0, 2, 8, 8]);
        assert_eq!(card.truth().memory[256..258], [5, 8]);
        // The code is changed by being written.
        ask(&mut card, &[0xFF, 0xD0, 3, 0xFE, 2, 1, 2]);
        assert_eq!(ask(&mut card, &[0xFF, 0xB1, 0, 0, 3]), [0xFF, 1, 2, 0x90, 0]);

        ask(&mut card, &[0xFF, 0xA4, 0, 0, 1, 5]);
        card.tear(&Command::parse(&[0xFF, 0x20, 0, 0, 2, 1, 2]).unwrap(), 0);
        for left in [0xFC, 0xF8, 0xF0, 0xE0, 0xC0, 0x80, 0] {
            assert_eq!(ask(&mut card, &[0xFF, 0x20, 0, 0, 2, 0, 0]), [0x90, left]);
        }
        assert_eq!(ask(&mut card, &[0xFF, 0x20, 0, 0, 2, 1, 2]), [0x90, 0]);
        assert_eq!((card.truth().tries_left, card.truth().wrong), (Some(0), 8));
    }
}
