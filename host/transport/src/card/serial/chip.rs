//! What the reader's contactless chip, a PN532, is told by direct transmit, and what it answers
//! (ACR122S Communication Protocol 2.01, page 16, whose status words and examples stand more fully in
//! ACR122L Communication Protocol 1.03, pages 19 to 23 and 41 to 43; NXP UM0701-02, 7.3).
//!
//! Invariant: no answer makes it panic, and none is taken that is of another command or has parts
//! missing. Not here: how it gets there (`link`), and what is wanted of a card (`desk`).

use super::target::Target;
use crate::card::limits::UID_BYTES_MAX;

/// From the host to the chip, and back.
const TO_CHIP: u8 = 0xD4;
const FROM_CHIP: u8 = 0xD5;

/// The target that `InListPassiveTarget` numbered; it is told to look for one alone.
const TARGET: u8 = 1;

/// Bytes for a card that one direct transmit has room for: its length is one byte, and three are the
/// command, the chip's and the target's.
pub(super) const TO_CARD_BYTES_MAX: usize = 255 - 3;

/// What the chip does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command<'a> {
    /// RFConfiguration, item 1 (UM0701-02, 7.3.1; off: ACR122L, page 43, step 5).
    Field { on: bool },
    /// RFConfiguration, item 5: look for a card twice and then say that there is none; as it is made it
    /// looks for ever and hears nothing else (UM0701-02, 7.3.1; the first two are its own values).
    LookBriefly,
    /// InListPassiveTarget: one card, 106 kbps type A.
    List,
    /// InDataExchange.
    Exchange(&'a [u8]),
}

/// Why there is no answer of the chip's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// 63 01.
    #[error("no card answers")]
    NoCard,
    /// 63 00, 63 27, 63 7F, or anything else.
    #[error("the reader answers {0:04X}")]
    Status(u16),
    #[error("an answer of the reader's chip that is none")]
    Garbled,
}

/// What a card made of an exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Exchanged {
    Data(Vec<u8>),
    /// The chip's error code (ACR122S, page 56): the card said no, said nothing, or is gone.
    Failed(u8),
}

impl Command<'_> {
    /// The pseudo-APDU of a direct transmit.
    pub(super) fn apdu(self) -> Vec<u8> {
        let mut command = vec![TO_CHIP, self.code()];
        match self {
            Command::Field { on } => command.extend([0x01, u8::from(on)]),
            Command::LookBriefly => command.extend([0x05, 0xFF, 0x01, 0x01]),
            Command::List => command.extend([0x01, 0x00]),
            Command::Exchange(data) => {
                command.push(TARGET);
                command.extend(data);
            }
        }
        let length = u8::try_from(command.len()).unwrap_or(u8::MAX);
        [&[0xFF, 0, 0, 0, length][..], &command].concat()
    }

    fn code(self) -> u8 {
        match self {
            Command::Field { .. } | Command::LookBriefly => 0x32,
            Command::List => 0x4A,
            Command::Exchange(_) => 0x40,
        }
    }

    /// What the chip says, of what the reader answered.
    fn said(self, answer: &[u8]) -> Result<&[u8], Fault> {
        let (said, status) = answer.split_last_chunk().ok_or(Fault::Garbled)?;
        match u16::from_be_bytes(*status) {
            0x9000 => {}
            0x6301 => return Err(Fault::NoCard),
            other => return Err(Fault::Status(other)),
        }
        match said {
            [FROM_CHIP, code, rest @ ..] if *code == self.code() + 1 => Ok(rest),
            _ => Err(Fault::Garbled),
        }
    }
}

/// Of a command that brings nothing.
pub(super) fn done(command: Command<'_>, answer: &[u8]) -> Result<(), Fault> {
    match command.said(answer)? {
        [] => Ok(()),
        _ => Err(Fault::Garbled),
    }
}

/// The card that was found, if one was.
pub(super) fn listed(answer: &[u8]) -> Result<Option<Target>, Fault> {
    let said = match Command::List.said(answer) {
        Err(Fault::NoCard) => return Ok(None),
        other => other?,
    };
    match said {
        [0] => Ok(None),
        [1, TARGET, _, _, select, length, rest @ ..] => {
            let length = usize::from(*length);
            let is_uid = matches!(length, 4 | 7 | UID_BYTES_MAX);
            let cut = rest.split_at_checked(length).filter(|_| is_uid);
            let (uid, ats) = cut.ok_or(Fault::Garbled)?;
            // Its first byte is its length, itself counted (ISO/IEC 14443-4, 5.2.2).
            if ats.first().is_some_and(|length| usize::from(*length) != ats.len()) {
                return Err(Fault::Garbled);
            }
            Ok(Some(Target::new(*select, uid.to_vec(), ats.to_vec())))
        }
        _ => Err(Fault::Garbled),
    }
}

pub(super) fn exchanged(answer: &[u8]) -> Result<Exchanged, Fault> {
    match Command::Exchange(&[]).said(answer) {
        Ok([0, data @ ..]) => Ok(Exchanged::Data(data.to_vec())),
        // Bit 6 says that more is to come, which no short answer needs; bit 7 an address that nobody
        // gave (UM0701-02, 7.1).
        Ok([status, ..]) if status & 0xC0 == 0 => Ok(Exchanged::Failed(*status)),
        Ok(_) => Err(Fault::Garbled),
        // Time out, the target has not answered.
        Err(Fault::NoCard) => Ok(Exchanged::Failed(0x01)),
        Err(other) => Err(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        let digits = text.split(' ').map(|byte| u8::from_str_radix(byte, 16));
        digits.collect::<Result<_, _>>().expect("hexadecimal")
    }

    /// ACR122L Communication Protocol 1.03, pages 42 and 43; the retries as UM0701-02 lays them out.
    #[test]
    fn commands_are_as_the_manual_shows_them() {
        for (command, want) in [
            (Command::List, "FF 00 00 00 04 D4 4A 01 00"),
            (Command::Field { on: false }, "FF 00 00 00 04 D4 32 01 00"),
            (Command::Field { on: true }, "FF 00 00 00 04 D4 32 01 01"),
            (Command::LookBriefly, "FF 00 00 00 06 D4 32 05 FF 01 01"),
            (
                Command::Exchange(&[0x00, 0x84, 0x00, 0x00, 0x08]),
                "FF 00 00 00 08 D4 40 01 00 84 00 00 08",
            ),
        ] {
            assert_eq!(command.apdu(), bytes(want));
        }
        assert_eq!(Command::Exchange(&[0; TO_CARD_BYTES_MAX]).apdu().len(), 5 + 255);
    }

    /// ACR122L Communication Protocol 1.03, pages 41 and 43; nobody: ACR122U API 1.0, page 12.
    #[test]
    fn a_card_is_listed_with_its_number_and_its_answer_to_select() {
        let mifare = listed(&bytes("D5 4B 01 01 00 02 18 04 F6 8E 2A 99 90 00"));
        assert_eq!(mifare, Ok(Some(Target::new(0x18, bytes("F6 8E 2A 99"), Vec::new()))));
        let jcop = "D5 4B 01 01 00 08 28 04 85 82 2F A0 07 77 F7 80 02 47 65 90 00";
        let want = Target::new(0x28, bytes("85 82 2F A0"), bytes("07 77 F7 80 02 47 65"));
        assert_eq!(listed(&bytes(jcop)), Ok(Some(want)));
        assert_eq!(listed(&bytes("D5 4B 00 90 00")), Ok(None));
        assert_eq!(listed(&bytes("63 01")), Ok(None));
        assert_eq!(listed(&bytes("63 00")), Err(Fault::Status(0x6300)));
    }

    #[test]
    fn an_answer_with_a_part_missing_is_none() {
        let whole = bytes("D5 4B 01 01 00 08 28 04 85 82 2F A0 07 77 F7 80 02 47 65");
        for cut in 0..whole.len() {
            let answer = [&whole[..cut], &[0x90, 0x00]].concat();
            // Without any answer to select it is whole too: a card that has none.
            let want = if cut == 12 { None } else { Some(Fault::Garbled) };
            assert_eq!(listed(&answer).err(), want, "{cut}");
        }
        for answer in
            ["", "90", "90 00", "D5 90 00", "D5 4B 90 00", "D5 41 90 00", "D5 41 40 90 00"]
        {
            let answer = if answer.is_empty() { Vec::new() } else { bytes(answer) };
            assert_eq!(exchanged(&answer), Err(Fault::Garbled), "{answer:02X?}");
        }
        assert_eq!(exchanged(&bytes("D5 41 14 90 00")), Ok(Exchanged::Failed(0x14)));
        assert_eq!(exchanged(&bytes("63 01")), Ok(Exchanged::Failed(0x01)));
        let none = Ok(Exchanged::Data(Vec::new()));
        assert_eq!(exchanged(&bytes("D5 41 00 90 00")), none);
        assert_eq!(done(Command::List, &bytes("D5 33 90 00")), Err(Fault::Garbled));
        assert_eq!(done(Command::LookBriefly, &bytes("D5 33 90 00")), Ok(()));
        assert_eq!(done(Command::LookBriefly, &bytes("D5 33 00 90 00")), Err(Fault::Garbled));
    }
}
