//! What a card driver asks of the slot, and its line.
//!
//! Invariant: a code of the vault stands here by its key and factor and never as bytes; an answer is of
//! the kind that its question has.

use crate::step::{Fault, NOTHING, bytes_text};
use crate::text::{self, ReadError, number};
use crate::value::{InsertedCard, Secret};
use std::fmt;

/// `slot-error.code`: the reader failed. Also what a driver hears once it has left the transcript.
pub(crate) const LOST: u16 = 2;

/// `slot-error.code` of what was never sent to the card: a limit, not granted, not possible, the vault
/// said no, no tries left.
const NOT_BEGUN: [u16; 5] = [3, 4, 5, 7, 8];

/// Instructions that change no card: SELECT, READ BINARY, READ RECORD, GET DATA, GET RESPONSE, GET
/// CHALLENGE, INTERNAL and EXTERNAL AUTHENTICATE (ISO/IEC 7816-4, table 4).
const HARMLESS: [u8; 8] = [0xA4, 0xB0, 0xB2, 0xCA, 0xC0, 0x84, 0x88, 0x82];

/// One function of `card-slot` and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlotAct {
    Inserted,
    Transmit(Vec<u8>),
    Read { offset: u32, length: u32 },
    Write { offset: u32, bytes: Vec<u8> },
    Erase { zone: u16, code: Secret },
    TriesLeft { code: u16 },
    Verify { code: u16, presented: Secret },
    SetCode { code: u16, presented: Secret },
}

/// What it brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlotAnswer {
    /// Of `inserted`.
    Card(InsertedCard),
    /// Of `transmit` and `read`.
    Bytes(Vec<u8>),
    /// Of `tries-left`.
    Tries(u8),
    /// Of all others.
    Done,
}

impl SlotAct {
    /// Whether a card may be another after it. `false`: it was only looked at.
    pub fn may_change(&self) -> bool {
        match self {
            SlotAct::Inserted
            | SlotAct::Read { .. }
            | SlotAct::TriesLeft { .. }
            | SlotAct::Verify { .. } => false,
            SlotAct::Transmit(command) => {
                command.get(1).is_none_or(|instruction| !HARMLESS.contains(instruction))
            }
            SlotAct::Write { .. } | SlotAct::Erase { .. } | SlotAct::SetCode { .. } => true,
        }
    }

    /// Whether the card may be another after this act, which was answered so.
    pub fn has_changed(&self, answer: &Result<SlotAnswer, Fault>) -> bool {
        let begun = match answer {
            Err(Fault::Refused { code, .. }) => !NOT_BEGUN.contains(code),
            Ok(_) | Err(Fault::CutOff) => true,
        };
        begun && self.may_change()
    }

    /// The words between `card ` and ` = `.
    pub(crate) fn read(question: &str) -> Result<SlotAct, ReadError> {
        let words: Vec<&str> = question.split_whitespace().collect();
        Ok(match words.as_slice() {
            ["inserted"] => SlotAct::Inserted,
            ["transmit", command @ ..] => SlotAct::Transmit(bytes(&command.concat())?),
            ["read", offset, length] => SlotAct::Read {
                offset: number(text::named("offset", offset)?)?,
                length: number(text::named("length", length)?)?,
            },
            ["write", offset, data @ ..] => {
                let offset = number(text::named("offset", offset)?)?;
                let data = data.concat();
                SlotAct::Write { offset, bytes: text::bytes(text::named("data", &data)?)? }
            }
            ["erase", zone, code @ ..] => {
                SlotAct::Erase { zone: number(text::named("zone", zone)?)?, code: secret(code)? }
            }
            ["tries-left", code] => {
                SlotAct::TriesLeft { code: number(text::named("code", code)?)? }
            }
            ["verify", code, presented @ ..] => SlotAct::Verify {
                code: number(text::named("code", code)?)?,
                presented: secret(presented)?,
            },
            ["set-code", code, presented @ ..] => SlotAct::SetCode {
                code: number(text::named("code", code)?)?,
                presented: secret(presented)?,
            },
            _ => {
                return ReadError::because(
                    "not a card line: inserted, transmit, read, write, erase, tries-left, verify or \
                     set-code",
                );
            }
        })
    }

    /// What stands after ` = `, where it is no fault.
    pub(crate) fn read_answer(&self, answer: &str) -> Result<SlotAnswer, ReadError> {
        match self {
            SlotAct::Inserted => card(answer),
            SlotAct::Transmit(_) | SlotAct::Read { .. } => Ok(SlotAnswer::Bytes(bytes(answer)?)),
            SlotAct::TriesLeft { .. } => Ok(SlotAnswer::Tries(number(answer)?)),
            SlotAct::Write { .. }
            | SlotAct::Erase { .. }
            | SlotAct::Verify { .. }
            | SlotAct::SetCode { .. } => match answer {
                "done" => Ok(SlotAnswer::Done),
                _ => ReadError::because(format!("`{answer}` is neither `done` nor `refused`")),
            },
        }
    }
}

fn bytes(text: &str) -> Result<Vec<u8>, ReadError> {
    if text == NOTHING { Ok(Vec::new()) } else { text::bytes(text) }
}

/// `key=<key> factor=<hex>` or `published=<hex>`.
fn secret(words: &[&str]) -> Result<Secret, ReadError> {
    match words {
        [published] => Ok(Secret::Published(text::bytes(text::named("published", published)?)?)),
        [key, factor] => {
            let key = text::vault_key(text::named("key", key)?)?;
            Ok(Secret::OfVault(key, text::bytes(text::named("factor", factor)?)?))
        }
        _ => ReadError::because("a code is `key=` and `factor=`, or `published=`"),
    }
}

fn card(answer: &str) -> Result<SlotAnswer, ReadError> {
    let words: Vec<&str> = answer.split_whitespace().collect();
    let (kind, atr, uid) = match words.as_slice() {
        [kind, atr] => (kind, atr, ""),
        [kind, atr, uid] => (kind, atr, text::named("uid", uid)?),
        _ => return ReadError::because("a card is `kind=`, `atr=`, and `uid=` if it has one"),
    };
    Ok(SlotAnswer::Card(InsertedCard {
        kind: number(text::named("kind", kind)?)?,
        atr: text::bytes(text::named("atr", atr)?)?,
        uid: text::bytes(uid)?,
    }))
}

impl SlotAnswer {
    /// The answer to `inserted`.
    pub fn card(self) -> Result<InsertedCard, Fault> {
        match self {
            SlotAnswer::Card(card) => Ok(card),
            SlotAnswer::Bytes(_) | SlotAnswer::Tries(_) | SlotAnswer::Done => {
                Err(Fault::refused(LOST))
            }
        }
    }

    /// That to `transmit` and `read`.
    pub fn bytes(self) -> Result<Vec<u8>, Fault> {
        match self {
            SlotAnswer::Bytes(bytes) => Ok(bytes),
            SlotAnswer::Card(_) | SlotAnswer::Tries(_) | SlotAnswer::Done => {
                Err(Fault::refused(LOST))
            }
        }
    }

    /// That to `tries-left`.
    pub fn tries(self) -> Result<u8, Fault> {
        match self {
            SlotAnswer::Tries(tries) => Ok(tries),
            SlotAnswer::Card(_) | SlotAnswer::Bytes(_) | SlotAnswer::Done => {
                Err(Fault::refused(LOST))
            }
        }
    }
}

impl fmt::Display for SlotAct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SlotAct::Inserted => f.write_str("card inserted"),
            SlotAct::Transmit(command) => write!(f, "card transmit {}", bytes_text(command)),
            SlotAct::Read { offset, length } => {
                write!(f, "card read offset={offset} length={length}")
            }
            SlotAct::Write { offset, bytes } => {
                write!(f, "card write offset={offset} data={}", hex::encode(bytes))
            }
            SlotAct::Erase { zone, code } => write!(f, "card erase zone={zone} {code}"),
            SlotAct::TriesLeft { code } => write!(f, "card tries-left code={code}"),
            SlotAct::Verify { code, presented } => {
                write!(f, "card verify code={code} {presented}")
            }
            SlotAct::SetCode { code, presented } => {
                write!(f, "card set-code code={code} {presented}")
            }
        }
    }
}

impl fmt::Display for SlotAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SlotAnswer::Card(InsertedCard { kind, atr, uid }) => {
                write!(f, "kind={kind} atr={}", hex::encode(atr))?;
                if uid.is_empty() { Ok(()) } else { write!(f, " uid={}", hex::encode(uid)) }
            }
            SlotAnswer::Bytes(bytes) => f.write_str(&bytes_text(bytes)),
            SlotAnswer::Tries(tries) => write!(f, "{tries}"),
            SlotAnswer::Done => f.write_str("done"),
        }
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Secret::OfVault(key, factor) => {
                write!(f, "key={} factor={}", text::key_text(key), hex::encode(factor))
            }
            Secret::Published(code) => write!(f, "published={}", hex::encode(code)),
        }
    }
}
