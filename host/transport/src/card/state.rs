//! What lies in a reader.
//!
//! Not here: whose card it is, which only its driver can tell.

use std::fmt;

use polymeter_domain::CardKind;

/// A card whose kind is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InsertedCard {
    pub kind: CardKind,
    /// The answer to reset, as the reader told it.
    pub atr: Vec<u8>,
    /// The number of a contactless card; empty where the reader tells none.
    pub uid: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReaderState {
    /// It cannot be used now. Why, and where somebody can do something about it, what.
    Gone(String),
    Empty,
    /// There is a card and no profile knows its kind. Without an answer to reset it does not even
    /// answer: it lies the wrong way round, or is no card.
    Unknown {
        atr: Vec<u8>,
    },
    Card(InsertedCard),
}

/// The state of a reader that nobody has looked at yet.
pub(super) const LOOKING: &str = "not looked at yet";

impl ReaderState {
    /// False until the reader was looked at for the first time.
    pub fn is_known(&self) -> bool {
        !matches!(self, ReaderState::Gone(reason) if reason == LOOKING)
    }
}

/// Bytes in hexadecimal, for people.
pub(crate) struct Hex<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(index, byte)| {
            let gap = if index == 0 { "" } else { " " };
            write!(f, "{gap}{byte:02X}")
        })
    }
}

impl fmt::Display for ReaderState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReaderState::Gone(reason) => f.write_str(reason),
            ReaderState::Empty => f.write_str("no card"),
            ReaderState::Unknown { atr } if atr.is_empty() => {
                f.write_str("a card that does not answer: is it the right way round?")
            }
            ReaderState::Unknown { atr } => write!(f, "unknown card, ATR {}", Hex(atr)),
            ReaderState::Card(card) => {
                write!(f, "{}, ATR {}", card.kind, Hex(&card.atr))?;
                if card.uid.is_empty() { Ok(()) } else { write!(f, ", UID {}", Hex(&card.uid)) }
            }
        }
    }
}
