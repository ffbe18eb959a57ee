//! What all pseudo-APDUs of a reader for memory cards have in common (protocols.md 9.2, the ACR1281U's
//! manual): class FF, the instructions, and the choice of the card's type before all else.

use super::apdu::{self, Command, Status};

pub const SELECT_TYPE: u8 = 0xA4;
pub const READ: u8 = 0xB0;
pub const COUNTER: u8 = 0xB1;
pub const PROTECTION: u8 = 0xB2;
pub const WRITE: u8 = 0xD0;
pub const PROTECT: u8 = 0xD1;
pub const CHANGE_CODE: u8 = 0xD2;
pub const PRESENT: u8 = 0x20;

/// Whether the command chooses the card's type. A type that is not among `types` makes the reader
/// power a card that does not answer it.
pub fn selects(command: &Command<'_>, types: &[u8]) -> Result<bool, Status> {
    if command.class != 0xFF {
        return Err(apdu::UNKNOWN_CLASS);
    }
    if command.instruction != SELECT_TYPE {
        return Ok(false);
    }
    match command.data {
        [kind] if types.contains(kind) => Ok(true),
        [_] => Err(apdu::FAILED),
        _ => Err(apdu::WRONG_LENGTH),
    }
}

/// `length` bytes of a memory.
pub fn span(memory: &[u8], at: usize, length: Option<usize>) -> Result<&[u8], Status> {
    let length = length.ok_or(apdu::WRONG_LENGTH)?;
    memory.get(at..).and_then(|rest| rest.get(..length)).ok_or(apdu::OUTSIDE)
}
