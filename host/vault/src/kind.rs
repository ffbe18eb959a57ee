//! What a key is for. A key serves the algorithms of its kind only, so that what one cipher gives
//! away about it helps nobody with another.

use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Two keys of DES, 16 bytes, parity ignored.
    TripleDes,
    /// 16 or 32 bytes.
    Aes,
    Sm4,
    /// For HMAC-SHA-256, 16 to 64 bytes.
    Hmac,
    /// The encryption key and the authentication key of a DLMS device, 16 + 16 or 32 + 32 bytes.
    Dlms,
}

impl Kind {
    pub const ALL: [Kind; 5] = [Kind::TripleDes, Kind::Aes, Kind::Sm4, Kind::Hmac, Kind::Dlms];

    /// As files and command lines write it.
    pub fn word(self) -> &'static str {
        match self {
            Kind::TripleDes => "3des",
            Kind::Aes => "aes",
            Kind::Sm4 => "sm4",
            Kind::Hmac => "hmac",
            Kind::Dlms => "dlms",
        }
    }

    pub fn from_word(word: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.word() == word)
    }

    pub fn takes(self, bytes: usize) -> bool {
        match self {
            Kind::TripleDes | Kind::Sm4 => bytes == 16,
            Kind::Aes => matches!(bytes, 16 | 32),
            Kind::Hmac => (16..=64).contains(&bytes),
            Kind::Dlms => matches!(bytes, 32 | 64),
        }
    }

    /// For messages: which lengths `takes` takes.
    pub fn lengths(self) -> &'static str {
        match self {
            Kind::TripleDes | Kind::Sm4 => "16 bytes",
            Kind::Aes => "16 or 32 bytes",
            Kind::Hmac => "16 to 64 bytes",
            Kind::Dlms => "32 or 64 bytes (encryption key, then authentication key)",
        }
    }

    /// The length of a key that is generated.
    pub fn generated_bytes(self) -> usize {
        match self {
            Kind::TripleDes | Kind::Sm4 | Kind::Aes => 16,
            Kind::Hmac | Kind::Dlms => 32,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What a driver may do with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    Anything,
    /// Other keys are derived from it, and it does nothing else. Without this, a driver that may
    /// encrypt under a root key can compute the keys derived from it.
    DeriveOnly,
}

impl Use {
    pub fn word(self) -> &'static str {
        match self {
            Use::Anything => "any",
            Use::DeriveOnly => "derive",
        }
    }

    pub fn from_word(word: &str) -> Option<Use> {
        [Use::Anything, Use::DeriveOnly].into_iter().find(|usage| usage.word() == word)
    }
}
