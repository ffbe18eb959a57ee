//! The vault's no to a driver, in the contract's codes.

use crate::kind::Kind;
use crate::limits::RANDOM_BYTES;
use crate::name::Scope;

/// The numbers of [`Refused::code`] are the contract's (`vault-error.code`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("{scope} has no key `{label}` in the vault")]
    NoSuchKey { scope: String, label: String },
    #[error("a driver that is only looked at has no keys")]
    NoVendor,
    #[error("{operation} has no algorithm {algorithm}")]
    NotOffered { operation: &'static str, algorithm: u16 },
    #[error("the token that holds this key has no {mechanism}")]
    NoMechanism { mechanism: &'static str },
    #[error("{what} of {length} bytes or steps is not possible")]
    BadLength { what: &'static str, length: usize },
    #[error("{length} random bytes are more than {RANDOM_BYTES}")]
    TooMuchRandom { length: u32 },
    #[error("the random source of this machine does not answer")]
    NoRandomSource,
    #[error("{operation} needs a key for {needed} and this one is for {found}")]
    OtherKind { operation: &'static str, needed: Kind, found: Kind },
    #[error("this key serves to derive others and for nothing else")]
    DeriveOnly,
    #[error("these tables of EA07 do not hold every number once")]
    NotTables,
    #[error("a key change takes one of its sections, of a decoder key as long as the new one")]
    NotASection,
    #[error("a {found} key is wrapped for nobody")]
    NotToWrap { found: Kind },
    #[error("the tag of what was to be decrypted is wrong")]
    WrongTag,
    #[error("the token that holds this key does not do it: {why}")]
    NoAnswer { why: String },
}

/// A driver chooses the label: this much of it is worth a message.
const SHOWN_BYTES: usize = 80;

impl Refused {
    pub(crate) fn no_such_key(scope: &Scope, label: &str) -> Refused {
        let label = label.chars().take(SHOWN_BYTES).flat_map(char::escape_default).collect();
        Refused::NoSuchKey { scope: scope.to_string(), label }
    }

    pub fn code(&self) -> u16 {
        match self {
            Refused::NoSuchKey { .. } | Refused::NoVendor => 1,
            Refused::NotOffered { .. } | Refused::NoMechanism { .. } => 2,
            Refused::BadLength { .. } | Refused::TooMuchRandom { .. } | Refused::NotASection => 3,
            Refused::OtherKind { .. }
            | Refused::DeriveOnly
            | Refused::NotTables
            | Refused::NotToWrap { .. } => 5,
            Refused::WrongTag => 6,
            Refused::NoAnswer { .. } | Refused::NoRandomSource => 7,
        }
    }
}
