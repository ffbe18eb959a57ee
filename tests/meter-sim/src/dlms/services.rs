//! What a client may ask of an association: GET with lists, blocks and selections, SET also in
//! blocks, ACTION, and the proof
//! of who it is (IEC 62056-5-3, 9.3 and 9.2.7).

use super::data;
use super::meter::{Meter, exception};
use super::objects::{
    ASSOCIATION, CLOCK, COUNTER, DENIED, DEVICE_NAME, Name, SERIAL, WRONG_TYPE, known,
};
use super::server::{Association, Blocks, Writing};
use crate::plan::DlmsSecurity;

/// What a ciphered APDU takes more: tag, length, control, counter, tag of the cipher.
const CIPHER_BYTES: usize = 24;
/// What stands around the bytes of a block.
const BLOCK_BYTES: usize = 12;
const BLOCK_NUMBER_INVALID: u8 = 19;

impl Meter {
    /// GET, SET or ACTION in the clear.
    pub(super) fn service(&mut self, association: &mut Association, apdu: &[u8]) -> Vec<u8> {
        let [tag, kind, invoke, rest @ ..] = apdu else { return exception(2, 3) };
        match (tag, kind) {
            (0xC0, 1) => {
                let Some((value, [])) = self.one(association, rest) else { return exception(2, 3) };
                let answer = [&[0xC4, 0x01, *invoke], value.as_slice()].concat();
                match value.as_slice() {
                    [0, value @ ..] if too_long(association, answer.len()) => {
                        start_blocks(association, *invoke, value.to_vec())
                    }
                    _ => answer,
                }
            }
            (0xC0, 2) => next_block(association, *invoke, rest),
            (0xC0, 3) if association.several => {
                let Some(values) = self.several(association, rest) else { return exception(2, 3) };
                let answer = [&[0xC4, 0x03, *invoke], values.as_slice()].concat();
                if too_long(association, answer.len()) {
                    start_blocks(association, *invoke, values)
                } else {
                    answer
                }
            }
            (0xC1, 1) => {
                let Some((class, name, attribute, [0, value @ ..])) = named(rest) else {
                    return exception(2, 3);
                };
                let refusal = self.written(association, (class, name, attribute), value);
                vec![0xC5, 0x01, *invoke, refusal]
            }
            (0xC1, 2) => {
                let Some((class, name, attribute, [0, block @ ..])) = named(rest) else {
                    return exception(2, 3);
                };
                association.writing = Some(Writing {
                    invoke: *invoke & 0x0F,
                    to: (class, name, attribute),
                    number: 0,
                    value: Vec::new(),
                });
                self.take_block(association, *invoke, block)
            }
            (0xC1, 3) => self.take_block(association, *invoke, rest),
            (0xC3, 1) => {
                let Some((class, name, method, rest)) = named(rest) else {
                    return exception(2, 3);
                };
                let argument = match rest {
                    [0] => None,
                    [1, argument @ ..] => Some(argument),
                    _ => return exception(2, 3),
                };
                let (refusal, answer) = self.call(association, class, name, method, argument);
                let answer = answer.map_or(vec![0], |answer| [&[1, 0], answer.as_slice()].concat());
                [&[0xC7, 0x01, *invoke, refusal], answer.as_slice()].concat()
            }
            _ => exception(2, 2),
        }
    }

    fn written(
        &mut self,
        association: &Association,
        (class, name, attribute): (u16, Name, i8),
        value: &[u8],
    ) -> u8 {
        match self.may_change(association) {
            Ok(()) => self.write(class, name, attribute, value),
            Err(why) => why,
        }
    }

    /// A part of a value that is written; the last one writes it.
    fn take_block(&mut self, association: &mut Association, invoke: u8, block: &[u8]) -> Vec<u8> {
        let refused =
            |number: [u8; 4]| [&[0xC5, 0x03, invoke, BLOCK_NUMBER_INVALID], &number[..]].concat();
        let Some(([last, number @ ..], bytes)) = block.split_first_chunk::<5>() else {
            return exception(2, 3);
        };
        let Some((bytes, [])) = data::take_counted(bytes) else { return exception(2, 3) };
        let Some(mut writing) = association.writing.take() else { return refused(*number) };
        writing.number += 1;
        let is_due = writing.number.to_be_bytes() == *number && writing.invoke == invoke & 0x0F;
        if !is_due || !association.blocks_of_set {
            return refused(*number);
        }
        writing.value.extend(bytes);
        if *last == 0 {
            association.writing = Some(writing);
            return [&[0xC5, 0x02, invoke], &number[..]].concat();
        }
        let refusal = self.written(association, writing.to, &writing.value);
        [&[0xC5, 0x03, invoke, refusal], &number[..]].concat()
    }

    /// Whether this association may see an object: all where it may change them, else what anybody
    /// may know.
    fn right(&self, association: &Association, name: Name) -> Result<(), u8> {
        let public = [DEVICE_NAME, COUNTER, CLOCK, ASSOCIATION, SERIAL].contains(&name);
        if public && association.open { Ok(()) } else { self.may_change(association) }
    }

    /// Where the plan wants no security, or the client has proved itself.
    fn may_change(&self, association: &Association) -> Result<(), u8> {
        let proved = association.mechanism != 0 && association.open;
        let free = matches!(self.plan.security, DlmsSecurity::None);
        if proved || free { Ok(()) } else { Err(DENIED) }
    }

    fn call(
        &mut self,
        association: &mut Association,
        class: u16,
        name: Name,
        method: i8,
        argument: Option<&[u8]>,
    ) -> (u8, Option<Vec<u8>>) {
        if (class, name, method) == (15, ASSOCIATION, 1) {
            return self.prove(association, argument);
        }
        match self.may_change(association) {
            Ok(()) => self.method(class, name, method, argument),
            Err(why) => (why, None),
        }
    }

    /// Judges the client's proof, and gives ours.
    fn prove(
        &mut self,
        association: &mut Association,
        argument: Option<&[u8]>,
    ) -> (u8, Option<Vec<u8>>) {
        let proof = argument.and_then(|argument| argument.strip_prefix(&[0x09, 17]));
        let (Some(keys), Some(proof)) = (self.keys, proof) else { return (DENIED, None) };
        let counter = proof.get(1..5).and_then(|bytes| bytes.try_into().ok());
        let counter = counter.map_or(0, u32::from_be_bytes);
        let wanted = keys.proof(association.title, counter, &association.challenges.1);
        if association.open || proof != wanted {
            self.counters.mac_failures += 1;
            return (DENIED, None);
        }
        association.open = true;
        self.own_counter += 1;
        let own = keys.proof(self.title, self.own_counter, &association.challenges.0);
        (0, Some(data::octets(&own)))
    }

    /// One attribute: 00 and its value, or 01 and why not; and what stands behind its name.
    fn one<'a>(&self, association: &Association, rest: &'a [u8]) -> Option<(Vec<u8>, &'a [u8])> {
        let (class, name, attribute, rest) = named(rest)?;
        let (selection, rest) = match rest.split_first()? {
            (0, rest) => (None, rest),
            (1, rest) => {
                let (selector, rest) = rest.split_first()?;
                let (parameters, rest) = data::take(rest)?;
                (Some((*selector, parameters)), rest)
            }
            _ => return None,
        };
        let value = self.right(association, name).and_then(|()| match (class, attribute) {
            (7, 2..) => {
                known(class, name)?;
                self.profile_attribute(name, attribute, selection)
            }
            // No other object can be asked for a part.
            _ if selection.is_some() => Err(WRONG_TYPE),
            _ => self.attribute(association, class, name, attribute),
        });
        Some((
            match value {
                Ok(value) => [&[0], value.as_slice()].concat(),
                Err(why) => vec![1, why],
            },
            rest,
        ))
    }

    fn several(&self, association: &Association, rest: &[u8]) -> Option<Vec<u8>> {
        let (count, mut rest) = rest.split_first().filter(|(count, _)| **count < 0x80)?;
        let mut values = vec![*count];
        for _ in 0..*count {
            let (value, after) = self.one(association, rest)?;
            values.extend(value);
            rest = after;
        }
        rest.is_empty().then_some(values)
    }
}

/// Class, logical name, number, and what follows.
fn named(bytes: &[u8]) -> Option<(u16, Name, i8, &[u8])> {
    let ([a, b, c, d, e, f, g, h, number], rest) = bytes.split_first_chunk::<9>()?;
    let class = u16::from_be_bytes([*a, *b]);
    Some((class, [*c, *d, *e, *f, *g, *h], i8::from_be_bytes([*number]), rest))
}

fn too_long(association: &Association, length: usize) -> bool {
    let more = if association.ciphered { CIPHER_BYTES } else { 0 };
    association.apdu_bytes_max > 0 && length + more > association.apdu_bytes_max
}

fn start_blocks(association: &mut Association, invoke: u8, rest: Vec<u8>) -> Vec<u8> {
    association.blocks = Some(Blocks { invoke, number: 0, rest });
    next_block(association, invoke, &[0; 4])
}

/// The block behind the one that the client has.
fn next_block(association: &mut Association, invoke: u8, has: &[u8]) -> Vec<u8> {
    let more = if association.ciphered { CIPHER_BYTES } else { 0 };
    let bytes = association.apdu_bytes_max.saturating_sub(BLOCK_BYTES + more).max(16);
    let refused = [&[0xC4, 0x02, invoke, 1], has, &[1, BLOCK_NUMBER_INVALID]].concat();
    let Some(blocks) = &mut association.blocks else { return refused };
    if has != blocks.number.to_be_bytes() || invoke & 0x0F != blocks.invoke & 0x0F {
        association.blocks = None;
        return refused;
    }
    blocks.number += 1;
    let rest = blocks.rest.split_off(bytes.min(blocks.rest.len()));
    let block = std::mem::replace(&mut blocks.rest, rest);
    let number = blocks.number.to_be_bytes();
    let last = u8::from(blocks.rest.is_empty());
    if last == 1 {
        association.blocks = None;
    }
    let length = data::length(block.len());
    [&[0xC4, 0x02, invoke, last], &number[..], &[0], &length, &block].concat()
}
