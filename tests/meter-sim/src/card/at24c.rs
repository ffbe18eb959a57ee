//! An AT24C memory behind a contact reader that understands the pseudo-APDUs of ACS (the ACR1281U's
//! manual, chapters 1 and 2): nothing but bytes, which anybody may read and write.

use super::apdu::{self, Command, Status, answer};
use super::{Acts, Truth, reader};

/// It has no answer to reset; the reader makes one up.
const ATR: [u8; 2] = [0x3B, 0x00];
/// The reader's types for memories up to 16 kbit and for larger ones.
const SMALL: u8 = 0x01;
const LARGE: u8 = 0x02;
const SMALL_BYTES: usize = 2048;
const PAGE_SIZE: u8 = 0x01;

/// One card.
#[derive(Debug, Clone)]
pub struct At24c {
    memory: Vec<u8>,
    selected: bool,
}

impl At24c {
    /// Empty, of so many kilobits (an AT24C16 has 16).
    pub fn blank(kilobits: usize) -> Self {
        Self { memory: vec![0xFF; kilobits * 128], selected: false }
    }

    pub fn memory_mut(&mut self) -> &mut [u8] {
        &mut self.memory
    }

    fn done(&mut self, command: &Command<'_>) -> Result<Vec<u8>, Status> {
        let own = if self.memory.len() > SMALL_BYTES { LARGE } else { SMALL };
        if reader::selects(command, &[own])? {
            self.selected = true;
            return Ok(answer(&[], apdu::DONE));
        }
        if !self.selected {
            return Err(apdu::NOT_ALLOWED);
        }
        let at = command.address();
        match command.instruction {
            PAGE_SIZE => Ok(answer(&[], apdu::DONE)),
            reader::READ => {
                Ok(answer(reader::span(&self.memory, at, command.expected)?, apdu::DONE))
            }
            reader::WRITE => {
                let place =
                    self.memory.get_mut(at..).and_then(|it| it.get_mut(..command.data.len()));
                place.ok_or(apdu::OUTSIDE)?.copy_from_slice(command.data);
                Ok(answer(&[], apdu::DONE))
            }
            _ => Err(apdu::UNKNOWN_INSTRUCTION),
        }
    }
}

impl Acts for At24c {
    fn atr(&self) -> Vec<u8> {
        ATR.to_vec()
    }

    fn power(&mut self) {
        self.selected = false;
    }

    fn serve(&mut self, command: &Command<'_>) -> Vec<u8> {
        self.done(command).unwrap_or_else(|status| answer(&[], status))
    }

    fn tear(&mut self, command: &Command<'_>, bytes: usize) {
        if command.instruction == reader::WRITE {
            let data = command.data.get(..bytes).unwrap_or(command.data);
            let _ = self.done(&Command { data, ..*command });
        }
    }

    fn truth(&self) -> Truth {
        Truth { memory: self.memory.clone(), tries_left: None, presented: 0, wrong: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anybody_reads_and_writes_it_and_only_its_own_type_is_taken() {
        for (kilobits, own, others) in [(2, 1, 2), (16, 1, 2), (64, 2, 1)] {
            let mut card = At24c::blank(kilobits);
            let mut ask = |bytes: &[u8]| card.serve(&Command::parse(bytes).unwrap());
            assert_eq!(ask(&[0xFF, 0xB0, 0, 0, 2]), apdu::NOT_ALLOWED);
            assert_eq!(ask(&[0xFF, 0xA4, 0, 0, 1, others]), apdu::FAILED);
            assert_eq!(ask(&[0xFF, 0xA4, 0, 0, 1, own]), apdu::DONE);
            assert_eq!(ask(&[0xFF, 0xD0, 0, 200, 2, 7, 8]), apdu::DONE);
            assert_eq!(ask(&[0xFF, 0xB0, 0, 200, 3]), [7, 8, 0xFF, 0x90, 0]);
            let [high, low] = u16::try_from(kilobits * 128 - 1).unwrap().to_be_bytes();
            assert_eq!(ask(&[0xFF, 0xB0, high, low, 1]), [0xFF, 0x90, 0]);
            assert_eq!(ask(&[0xFF, 0xB0, high, low, 2]), apdu::OUTSIDE);
            assert_eq!(ask(&[0xFF, 0xD0, high, low, 2, 1, 1]), apdu::OUTSIDE);
            card.tear(&Command::parse(&[0xFF, 0xD0, 0, 0, 2, 1, 1]).unwrap(), 1);
            assert_eq!(card.truth().memory[..2], [1, 0xFF]);
        }
    }
}
