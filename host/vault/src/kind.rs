//! What a key is for. A key serves the algorithms of its kind only, so that what one cipher gives
//! away about it helps nobody with another.

use std::fmt;

/// Two substitutions of a nibble and a permutation of 64 bits.
const STS_TABLES_BYTES: usize = 16 + 16 + 64;

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
    /// A vending key of STS for DKGA02: one key of DES, 8 bytes. Decoder keys come of it and nothing
    /// else.
    StsDes,
    /// A vending key of STS for DKGA04, 20 bytes. Decoder keys come of it and nothing else.
    StsKdf,
    /// A decoder key of STS for EA07.
    StsEa07,
    /// A decoder key of STS for EA11.
    StsEa11,
    /// The tables of EA07, which the STS Association gives to its members: two substitutions of 16
    /// numbers, then a permutation of 64, a byte each. No key, and kept like one (ADR 0032).
    StsTables,
    /// AES, 16 or 32 bytes: wraps other keys for the devices that hold it, and does nothing else.
    KeyWrap,
}

impl Kind {
    pub const ALL: [Kind; 11] = [
        Kind::TripleDes,
        Kind::Aes,
        Kind::Sm4,
        Kind::Hmac,
        Kind::Dlms,
        Kind::StsDes,
        Kind::StsKdf,
        Kind::StsEa07,
        Kind::StsEa11,
        Kind::StsTables,
        Kind::KeyWrap,
    ];

    /// As files and command lines write it.
    pub fn word(self) -> &'static str {
        match self {
            Kind::TripleDes => "3des",
            Kind::Aes => "aes",
            Kind::Sm4 => "sm4",
            Kind::Hmac => "hmac",
            Kind::Dlms => "dlms",
            Kind::StsDes => "sts-des",
            Kind::StsKdf => "sts-kdf",
            Kind::StsEa07 => "sts-ea07",
            Kind::StsEa11 => "sts-ea11",
            Kind::StsTables => "sts-tables",
            Kind::KeyWrap => "key-wrap",
        }
    }

    pub fn from_word(word: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.word() == word)
    }

    pub fn takes(self, bytes: usize) -> bool {
        match self {
            Kind::TripleDes | Kind::Sm4 | Kind::StsEa11 => bytes == 16,
            Kind::StsDes | Kind::StsEa07 => bytes == 8,
            Kind::StsKdf => bytes == 20,
            Kind::StsTables => bytes == STS_TABLES_BYTES,
            Kind::Aes | Kind::KeyWrap => matches!(bytes, 16 | 32),
            Kind::Hmac => (16..=64).contains(&bytes),
            Kind::Dlms => matches!(bytes, 32 | 64),
        }
    }

    /// For messages: which lengths `takes` takes.
    pub fn lengths(self) -> &'static str {
        match self {
            Kind::TripleDes | Kind::Sm4 | Kind::StsEa11 => "16 bytes",
            Kind::StsDes | Kind::StsEa07 => "8 bytes",
            Kind::StsKdf => "20 bytes",
            Kind::StsTables => "96 bytes (two substitutions of 16, a permutation of 64)",
            Kind::Aes | Kind::KeyWrap => "16 or 32 bytes",
            Kind::Hmac => "16 to 64 bytes",
            Kind::Dlms => "32 or 64 bytes (encryption key, then authentication key)",
        }
    }

    /// The length of a key that is generated.
    pub fn generated_bytes(self) -> usize {
        match self {
            Kind::TripleDes | Kind::Sm4 | Kind::Aes | Kind::StsEa11 | Kind::KeyWrap => 16,
            Kind::Hmac | Kind::Dlms => 32,
            Kind::StsDes | Kind::StsEa07 => 8,
            Kind::StsKdf => 20,
            Kind::StsTables => STS_TABLES_BYTES,
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
