//! Commands and patterns as the reader profiles write them.
//!
//! Invariant: what parses can be filled in; a value that does not fit its place is an error and
//! never cut. Not here: which command does what (`profile`).

use super::error::CardError;

/// A command with places to fill in: hexadecimal bytes, `{at}` (where, one byte), `{at:2}` (the
/// same in two bytes, high byte first), `{length}` (one byte) and `{data}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Byte(u8),
    At,
    At2,
    Length,
    Data,
}

impl Command {
    pub(crate) fn parse(text: &str) -> Result<Command, String> {
        let pieces: Vec<Piece> = text.split_whitespace().map(piece).collect::<Result<_, _>>()?;
        match pieces.first() {
            Some(Piece::Byte(_)) if pieces.len() >= HEADER_BYTES => Ok(Command(pieces)),
            _ => Err(format!("`{text}` is no command: class, instruction, P1 and P2 come first")),
        }
    }

    /// The command with its places filled in; `length` is that of the data, or how much to read.
    pub(crate) fn filled(&self, at: u32, length: usize, data: &[u8]) -> Result<Vec<u8>, CardError> {
        let narrow = |what: &str| {
            CardError::Unsupported(format!("{what} does not fit into the reader's command"))
        };
        let mut command = Vec::with_capacity(self.0.len() + data.len());
        for piece in &self.0 {
            match piece {
                Piece::Byte(byte) => command.push(*byte),
                Piece::At => command.push(u8::try_from(at).map_err(|_| narrow("the place"))?),
                Piece::At2 => {
                    let at = u16::try_from(at).map_err(|_| narrow("the place"))?;
                    command.extend(at.to_be_bytes());
                }
                Piece::Length => {
                    command.push(u8::try_from(length).map_err(|_| narrow("the length"))?);
                }
                Piece::Data => command.extend(data),
            }
        }
        Ok(command)
    }
}

/// Class, instruction, P1, P2 (ISO/IEC 7816-4, 5.1).
pub(crate) const HEADER_BYTES: usize = 4;

fn piece(word: &str) -> Result<Piece, String> {
    Ok(match word {
        "{at}" => Piece::At,
        "{at:2}" => Piece::At2,
        "{length}" => Piece::Length,
        "{data}" => Piece::Data,
        byte => Piece::Byte(byte_of(byte)?),
    })
}

fn byte_of(word: &str) -> Result<u8, String> {
    let digits = word.len() == 2 && word.bytes().all(|digit| digit.is_ascii_hexdigit());
    let byte = digits.then(|| u8::from_str_radix(word, 16).ok()).flatten();
    byte.ok_or_else(|| format!("`{word}` is neither two hexadecimal digits nor a place"))
}

/// Bytes of which some may be anything (`??`), and after which anything may follow (`*` at the
/// end).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BytePattern {
    bytes: Vec<Option<u8>>,
    open: bool,
}

impl BytePattern {
    pub(crate) fn parse(text: &str) -> Result<BytePattern, String> {
        let mut words: Vec<&str> = text.split_whitespace().collect();
        let open = words.last() == Some(&"*");
        if open {
            words.pop();
        }
        let byte = |word: &&str| if *word == "??" { Ok(None) } else { byte_of(word).map(Some) };
        let bytes: Vec<_> = words.iter().map(byte).collect::<Result<_, _>>()?;
        if bytes.is_empty() {
            return Err(format!("`{text}` names no byte"));
        }
        Ok(BytePattern { bytes, open })
    }

    pub(crate) fn fits(&self, bytes: &[u8]) -> bool {
        let long_enough = if self.open {
            bytes.len() >= self.bytes.len()
        } else {
            bytes.len() == self.bytes.len()
        };
        long_enough
            && self.bytes.iter().zip(bytes).all(|(want, is)| want.is_none_or(|want| want == *is))
    }
}

/// Whether a name fits a pattern in which `*` stands for any text and `?` for any one character.
pub(crate) fn name_fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut seen) = (0, 0);
    // Where the last star stands, and where in the name it was last taken to end.
    let mut star: Option<(usize, usize)> = None;
    while seen < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(want) if *want == '?' || *want == name[seen] => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((place, taken)) = star else { return false };
                star = Some((place, taken + 1));
                at = place + 1;
                seen = taken + 1;
            }
        }
    }
    pattern[at..].iter().all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_filled_in() {
        let check = |text: &str, at, length, data: &[u8], want: &[u8]| {
            let command = Command::parse(text).expect("a command");
            assert_eq!(command.filled(at, length, data).expect("it fits"), want, "{text}");
        };
        check("FF B0 00 {at} {length}", 32, 16, &[], &[0xFF, 0xB0, 0, 32, 16]);
        check("FF B0 {at:2} {length}", 0x3FE, 2, &[], &[0xFF, 0xB0, 3, 0xFE, 2]);
        check("FF D0 00 {at} {length} {data}", 1, 2, &[7, 8], &[0xFF, 0xD0, 0, 1, 2, 7, 8]);
    }

    #[test]
    fn what_does_not_fit_is_no_command() {
        let command = Command::parse("FF B0 00 {at} {length}").expect("a command");
        assert!(matches!(command.filled(256, 1, &[]), Err(CardError::Unsupported(_))));
        assert!(matches!(command.filled(0, 256, &[]), Err(CardError::Unsupported(_))));
        for text in
            ["", "FF B0", "FF B0 00 {where}", "{data} B0 00 00", "FF B0 00 0", "+1 B0 00 00"]
        {
            assert!(Command::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn patterns_fit_what_they_say() {
        let pattern = |text| BytePattern::parse(text).expect("a pattern");
        assert!(pattern("3B ?? 02").fits(&[0x3B, 9, 2]));
        assert!(!pattern("3B ?? 02").fits(&[0x3B, 9, 2, 0]));
        assert!(pattern("3B *").fits(&[0x3B, 9, 2]));
        assert!(!pattern("3B *").fits(&[]));
        assert!(BytePattern::parse("*").is_err());
        assert!(BytePattern::parse("3B * 02").is_err());
        for (pattern, name, fits) in [
            ("ACS *", "ACS ACR38U 00 00", true),
            ("ACS *", "OMNIKEY 3121", false),
            ("*", "", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*b*b", "abab", true),
            ("*b*bc", "abab", false),
            ("甲*", "甲乙", true),
        ] {
            assert_eq!(name_fits(pattern, name), fits, "{pattern} {name}");
        }
    }
}
