//! What can be said to one card while it is ours: commands to a processor card, and reads, writes
//! and codes of a memory card by the commands of the reader's profile.
//!
//! Invariant: no code is presented before the card's own counter was read and has two tries or
//! more; no answer is taken that is longer or shorter than it must be. Not here: whose turn it is
//! (`worker`).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use polymeter_domain::CardKind;

use super::error::CardError;
use super::limits::{ANSWER_BYTES_MAX, COMMAND_BYTES_MAX};
use super::profile::{CardCommands, Code, Memory};
use super::slot::CardSlot;
use super::template::HEADER_BYTES;

/// What is remembered of a card from its reset to the end of the lease.
#[derive(Debug)]
pub(super) struct Memo {
    pub(super) commands: Arc<CardCommands>,
    /// The counted codes that were proved.
    pub(super) proved: HashSet<u16>,
    /// Mifare Classic: the keys that were proved, by the number of the code.
    pub(super) keys: HashMap<u16, Vec<u8>>,
    /// Mifare Classic: the sector that is open, and by which code.
    pub(super) open: Option<u16>,
    /// An exchange found no card, or one that had been reset.
    pub(super) gone: bool,
}

pub(super) struct Conversation<'a> {
    pub(super) slot: &'a mut dyn CardSlot,
    pub(super) memo: &'a mut Memo,
}

/// The status of success (ISO/IEC 7816-4, 5.6).
const DONE: u16 = 0x9000;

impl Conversation<'_> {
    fn kind(&self) -> CardKind {
        self.memo.commands.kind
    }

    /// A command of a processor card's own.
    pub(super) fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, CardError> {
        if self.memo.commands.memory.is_some() {
            let kind = self.kind();
            return Err(unsupported(format!(
                "a {kind} card knows no commands, only reads and writes"
            )));
        }
        if !(HEADER_BYTES..=COMMAND_BYTES_MAX).contains(&command.len()) {
            let (is, most) = (command.len(), COMMAND_BYTES_MAX);
            return Err(unsupported(format!(
                "a command of {is} bytes; it has {HEADER_BYTES} to {most}"
            )));
        }
        // Class FF is the reader's own (PC/SC part 3, 3.2): it could present codes uncounted.
        if command.first() == Some(&0xFF) {
            return Err(unsupported("class FF is the reader's, not the card's".to_owned()));
        }
        let (mut answer, status) = self.exchange(command)?;
        answer.extend(status.to_be_bytes());
        Ok(answer)
    }

    /// The answer's data and its status.
    pub(super) fn exchange(&mut self, command: &[u8]) -> Result<(Vec<u8>, u16), CardError> {
        let answer = self.slot.transmit(command);
        self.memo.gone |= answer == Err(CardError::Gone);
        let mut answer = answer?;
        if answer.len() > ANSWER_BYTES_MAX {
            let is = answer.len();
            return Err(CardError::Reader(format!(
                "an answer of {is} bytes; {ANSWER_BYTES_MAX} at most"
            )));
        }
        let (Some(second), Some(first)) = (answer.pop(), answer.pop()) else {
            return Err(CardError::Reader("an answer without its two status bytes".to_owned()));
        };
        Ok((answer, u16::from_be_bytes([first, second])))
    }

    /// The data of a command that must succeed.
    fn done(&mut self, what: &str, command: &[u8]) -> Result<Vec<u8>, CardError> {
        match self.exchange(command)? {
            (data, DONE) => Ok(data),
            // Wrong length, wrong parameters, no such instruction, no such class (7816-4, table 5).
            (_, status @ (0x6700 | 0x6800..=0x68FF | 0x6A81 | 0x6D00 | 0x6E00)) => {
                Err(unsupported(format!("{what}: the reader cannot, it answers {status:04X}")))
            }
            (_, status) => Err(CardError::Refused(format!("{what}: the answer is {status:04X}"))),
        }
    }

    fn commands(&self) -> Arc<CardCommands> {
        Arc::clone(&self.memo.commands)
    }

    pub(super) fn read(&mut self, offset: u32, length: u32) -> Result<Vec<u8>, CardError> {
        let commands = self.commands();
        let memory = memory(&commands, offset, length)?;
        if memory.sectors.is_some() {
            return self.read_blocks(memory, offset, length);
        }
        let mut bytes = Vec::new();
        let mut left = usize::try_from(length).unwrap_or(usize::MAX);
        let mut at = offset;
        while left > 0 {
            let piece = left.min(memory.piece);
            let mut data = self.done("read", &memory.read.filled(at, piece, &[])?)?;
            if data.len() == piece + memory.trailer {
                data.truncate(piece);
            }
            exactly("read", piece, &data)?;
            bytes.extend(data);
            left -= piece;
            at += u32::try_from(piece).unwrap_or(u32::MAX);
        }
        Ok(bytes)
    }

    pub(super) fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), CardError> {
        let commands = self.commands();
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let memory = memory(&commands, offset, length)?;
        if memory.sectors.is_some() {
            return self.write_blocks(memory, offset, bytes);
        }
        let mut at = offset;
        for piece in bytes.chunks(memory.piece) {
            self.done("write", &memory.write.filled(at, piece.len(), piece)?)?;
            at += u32::try_from(piece.len()).unwrap_or(u32::MAX);
        }
        // The reader says done of what the card did not take too: a place that is protected, or
        // whose code was not proved, or bits that only an erasure sets.
        if self.read(offset, length)? != bytes {
            return Err(CardError::Refused(format!(
                "{length} bytes at {offset} are not as written"
            )));
        }
        Ok(())
    }

    pub(super) fn erase(&mut self, zone: u16, presented: &[u8]) -> Result<(), CardError> {
        let commands = self.commands();
        let (kind, memory) = (commands.kind, memory(&commands, 0, 0)?);
        let place = usize::from(zone).checked_sub(1).and_then(|index| memory.zones.get(index));
        let place = place
            .ok_or_else(|| unsupported(format!("a {kind} card has no zone {zone} to be erased")))?;
        long_enough(kind, zone, presented)?;
        self.done("erase", &place.erase.filled(place.at, presented.len(), presented)?)?;
        // The reader says done of a wrong code too (ACR38x manual 6.04, 9.3.9.5, its note).
        let after = self.read(place.at, place.bytes)?;
        if after.iter().any(|byte| *byte != 0xFF) {
            return Err(CardError::Refused(format!(
                "zone {zone} is not erased: a wrong erase code"
            )));
        }
        Ok(())
    }

    pub(super) fn tries_left(&mut self, number: u16) -> Result<u8, CardError> {
        let commands = self.commands();
        let code = code(&commands, number)?;
        Ok(tries(code, self.counter(code)?))
    }

    fn counter(&mut self, code: &Code) -> Result<u8, CardError> {
        let data = self.done("counter of tries", &code.counter.filled(0, 0, &[])?)?;
        let first = data.first().copied();
        first
            .ok_or_else(|| CardError::Reader("an empty answer for the counter of tries".to_owned()))
    }

    pub(super) fn verify(&mut self, number: u16, presented: &[u8]) -> Result<(), CardError> {
        let commands = self.commands();
        long_enough(commands.kind, number, presented)?;
        if commands.kind == CardKind::MifareClassic {
            return self.open_sector(number, presented);
        }
        let code = code(&commands, number)?;
        let left = tries(code, self.counter(code)?);
        if left < 2 {
            return Err(CardError::NoTries { left });
        }
        let (_, status) = self.exchange(&code.verify.filled(0, presented.len(), presented)?)?;
        let after = self.counter(code)?;
        if after & code.fresh == code.fresh {
            // Fresh after all, and yet no yes: the code never came to the card.
            if status >> 8 == DONE >> 8 {
                self.memo.proved.insert(number);
                return Ok(());
            }
            return Err(CardError::Refused(format!("code {number}: the answer is {status:04X}")));
        }
        let left = tries(code, after);
        Err(CardError::Refused(format!("code {number} is wrong; tries left: {left}")))
    }

    pub(super) fn set_code(&mut self, number: u16, presented: &[u8]) -> Result<(), CardError> {
        let commands = self.commands();
        long_enough(commands.kind, number, presented)?;
        if commands.kind == CardKind::MifareClassic {
            return self.set_key(number, presented);
        }
        let code = code(&commands, number)?;
        if code.set.is_empty() {
            return Err(unsupported("this reader cannot give such a card a new code".to_owned()));
        }
        if !self.memo.proved.contains(&number) {
            return Err(CardError::Refused(format!("code {number} was not verified before")));
        }
        for command in &code.set {
            self.done("new code", &command.filled(0, presented.len(), presented)?)?;
        }
        // Said done of what was not taken too, here as well; all tries are there for finding out.
        self.verify(number, presented)
    }
}

pub(super) fn unsupported(what: String) -> CardError {
    CardError::Unsupported(what)
}

/// The card's memory, if these bytes are in it.
fn memory(commands: &CardCommands, offset: u32, length: u32) -> Result<&Memory, CardError> {
    let kind = commands.kind;
    let memory = commands.memory.as_ref();
    let memory = memory.ok_or_else(|| unsupported(format!("a {kind} card has no plain memory")))?;
    if offset.checked_add(length).is_none_or(|end| end > memory.bytes) {
        let bytes = memory.bytes;
        return Err(unsupported(format!("{length} bytes at {offset}: a {kind} card has {bytes}")));
    }
    Ok(memory)
}

fn code(commands: &CardCommands, number: u16) -> Result<&Code, CardError> {
    let found = memory(commands, 0, 0)?.codes.get(usize::from(number));
    found.ok_or_else(|| {
        unsupported(format!("a {} card has no counted code {number} in this reader", commands.kind))
    })
}

fn tries(code: &Code, counter: u8) -> u8 {
    let left = (counter & code.fresh).count_ones().saturating_sub(code.spare);
    u8::try_from(left).unwrap_or(u8::MAX)
}

fn long_enough(kind: CardKind, number: u16, presented: &[u8]) -> Result<(), CardError> {
    match kind.code_bytes(number) {
        Some(want) if want == presented.len() => Ok(()),
        Some(want) => {
            let is = presented.len();
            Err(unsupported(format!("code {number} of a {kind} card has {want} bytes, not {is}")))
        }
        None => Err(unsupported(format!("a {kind} card has no code {number}"))),
    }
}

pub(super) fn exactly(what: &str, want: usize, data: &[u8]) -> Result<(), CardError> {
    if data.len() == want {
        return Ok(());
    }
    let is = data.len();
    Err(CardError::Reader(format!("{what}: {want} bytes were asked for and {is} came")))
}
