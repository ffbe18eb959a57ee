//! Why a card or its reader did not do what it was asked.
//!
//! Invariant: each variant is one code of the contract's `slot-error` (`wit/1.1.0/card.wit`); the
//! number stands beside it. Not here: limits and grants of a call (codes 3 and 4) and the vault's
//! no (7), which are the runtime's.

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    /// 1. It was pulled, or it was reset under our hands and has forgotten what we did.
    #[error("the card is gone")]
    Gone,
    /// 2. The reader failed, is gone, or another program holds the card.
    #[error("{0}")]
    Reader(String),
    /// 2. Nothing came back in time; what was asked may still be done.
    #[error("the reader did not answer within {waited_ms} ms")]
    OutOfTime { waited_ms: u64 },
    /// 5. This card, or this reader with this card, cannot do that. Nothing was sent.
    #[error("{0}")]
    Unsupported(String),
    /// 6. The card says no.
    #[error("{0}")]
    Refused(String),
    /// 8. A wrong code could be the card's last: nothing was sent.
    #[error("of the card's tries {left} are left: nothing was presented")]
    NoTries { left: u8 },
}

impl CardError {
    /// Whether another question to the same card may be answered otherwise: the card is there, and said
    /// no or cannot do that.
    pub fn is_about_the_card(&self) -> bool {
        match self {
            CardError::Unsupported(_) | CardError::Refused(_) | CardError::NoTries { .. } => true,
            CardError::Gone | CardError::Reader(_) | CardError::OutOfTime { .. } => false,
        }
    }
}
