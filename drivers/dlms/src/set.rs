//! SET: one attribute written, in blocks where its value is longer than what the meter takes
//! (IEC 62056-5-3, 9.3.3).
//!
//! Invariant: a value is sent once, and a block only after the one before it was taken. What the meter
//! holds afterwards is for the caller to read.

use crate::session::{Session, expect, garbled, other};
use polymeter_codec::dlms::{Apdu, Attribute, Block, Data, Request, SetResponse};
use polymeter_driver::DriverError;

/// Head of a request with one attribute, and what a cipher puts around it.
const AROUND_VALUE: usize = 40;
/// More of a block than that is its number and length.
const BLOCK_BYTES_MIN: usize = 8;
/// More blocks are no value of ours.
const BLOCKS_MAX: u32 = 64;

impl Session<'_> {
    /// 0, or the meter's reason why not.
    pub fn set(&mut self, attribute: Attribute, value: &[u8]) -> Result<u8, DriverError> {
        let room = match usize::from(self.agreed.apdu_bytes_max) {
            0 => usize::MAX,
            limit => limit.saturating_sub(AROUND_VALUE).max(BLOCK_BYTES_MIN),
        };
        if value.len() > room && self.agreed.blocks_of_set {
            return self.set_in_blocks(attribute, value, room);
        }
        let data = Data::decode(value).map_err(|why| garbled(why.to_string()))?;
        let invoke = self.next();
        let answer = self.ask(invoke, Request::Set(invoke, attribute, data))?;
        match expect(&answer)? {
            Apdu::SetResponse(SetResponse::One { refusal, .. }) => Ok(refusal),
            _ => Err(other("not an answer to one value that is written")),
        }
    }

    fn set_in_blocks(
        &mut self,
        attribute: Attribute,
        value: &[u8],
        room: usize,
    ) -> Result<u8, DriverError> {
        let invoke = self.next();
        let mut parts = value.chunks(room).peekable();
        for number in 1..=BLOCKS_MAX {
            let Some(bytes) = parts.next() else { break };
            let block = Block { last: parts.peek().is_none(), number, bytes };
            let request = match number {
                1 => Request::SetFirst(invoke, attribute, block),
                _ => Request::SetNext(invoke, block),
            };
            let answer = self.ask(invoke, request)?;
            match expect(&answer)? {
                Apdu::SetResponse(SetResponse::Block { block: taken, .. })
                    if taken == number && !block.last => {}
                // A meter that refuses the attribute may say so at once.
                Apdu::SetResponse(
                    SetResponse::LastBlock { refusal, .. } | SetResponse::One { refusal, .. },
                ) if block.last || refusal != 0 => return Ok(refusal),
                _ => return Err(other("not the answer to a block that is written")),
            }
        }
        Err(garbled(format!("a value of more than {BLOCKS_MAX} blocks")))
    }
}
