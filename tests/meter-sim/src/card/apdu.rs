//! Commands and answers of ISO/IEC 7816-4 with short lengths: what a card or its reader is handed, and
//! what it hands back. Bytes that are no command are one answer, 6700.

/// The two bytes at the end of an answer.
pub type Status = [u8; 2];

pub const DONE: Status = [0x90, 0x00];
pub const WRONG_LENGTH: Status = [0x67, 0x00];
pub const NOT_ALLOWED: Status = [0x69, 0x86];
pub const NOT_AUTHENTICATED: Status = [0x69, 0x82];
pub const BLOCKED: Status = [0x69, 0x83];
pub const NO_CHALLENGE: Status = [0x69, 0x84];
pub const WRONG_MAC: Status = [0x69, 0x88];
pub const NO_FILE: Status = [0x6A, 0x82];
pub const NO_ROOM: Status = [0x6A, 0x84];
pub const WRONG_P1_P2: Status = [0x6A, 0x86];
pub const NO_KEY: Status = [0x6A, 0x88];
pub const OUTSIDE: Status = [0x6B, 0x00];
pub const UNKNOWN_INSTRUCTION: Status = [0x6D, 0x00];
pub const UNKNOWN_CLASS: Status = [0x6E, 0x00];
/// A reader's word for what went wrong between it and the card.
pub const FAILED: Status = [0x63, 0x00];

/// A command cut into its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Command<'a> {
    pub class: u8,
    pub instruction: u8,
    pub p1: u8,
    pub p2: u8,
    /// As many bytes as Lc says; none where there is no Lc.
    pub data: &'a [u8],
    /// How many bytes may come back; a byte 00 asks for 256.
    pub expected: Option<usize>,
}

impl<'a> Command<'a> {
    /// None: no command with short lengths.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (&[class, instruction, p1, p2], rest) = bytes.split_first_chunk()?;
        let whole = |data, expected| Some(Self { class, instruction, p1, p2, data, expected });
        let Some((&first, rest)) = rest.split_first() else { return whole(&[], None) };
        if rest.is_empty() {
            return whole(&[], Some(length(first)));
        }
        match rest.split_at_checked(usize::from(first))? {
            (data, []) if first > 0 => whole(data, None),
            (data, [last]) if first > 0 => whole(data, Some(length(*last))),
            _ => None,
        }
    }

    /// Class, instruction, P1 and P2: what a MAC begins with.
    pub fn header(&self) -> [u8; 4] {
        [self.class, self.instruction, self.p1, self.p2]
    }

    /// P1 and P2 as one number, high byte first.
    pub fn address(&self) -> usize {
        usize::from(u16::from_be_bytes([self.p1, self.p2]))
    }
}

fn length(byte: u8) -> usize {
    if byte == 0 { 256 } else { usize::from(byte) }
}

/// An answer: what comes back, then the status.
pub fn answer(data: &[u8], status: Status) -> Vec<u8> {
    [data, &status].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_cases_are_told_apart_and_the_rest_is_no_command() {
        let check = |bytes: &[u8], data: &[u8], expected| {
            let command = Command::parse(bytes).unwrap();
            assert_eq!((command.data, command.expected), (data, expected), "{bytes:02X?}");
            assert_eq!(command.header(), bytes[..4]);
        };
        check(&[0, 0xA4, 1, 2], &[], None);
        check(&[0, 0xB0, 1, 2, 8], &[], Some(8));
        check(&[0, 0xB0, 1, 2, 0], &[], Some(256));
        check(&[0, 0xD6, 1, 2, 2, 7, 8], &[7, 8], None);
        check(&[0, 0x88, 1, 2, 2, 7, 8, 4], &[7, 8], Some(4));
        for bytes in [&[][..], &[0, 1, 2], &[0, 0xD6, 0, 0, 3, 1, 2], &[0, 0xD6, 0, 0, 0, 0, 1, 9]]
        {
            assert_eq!(Command::parse(bytes), None, "{bytes:02X?}");
        }
    }
}
