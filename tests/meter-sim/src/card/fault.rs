//! What goes wrong between a card and whoever speaks to it. A fault waits for one command, counted from
//! when it was ordered, and is used up by it.

use serde::Deserialize;

/// One thing that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardFault {
    /// With which command from now on; 1 is the next one.
    pub at: u64,
    pub kind: CardFaultKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CardFaultKind {
    /// The card is out before the command reaches it: nothing is done.
    PulledBefore,
    /// The card is pulled while it works. A memory card has taken so many bytes of what is written,
    /// and a code that was being presented has cost a try. A CPU card takes all or nothing: nothing.
    PulledWithin { bytes: usize },
    /// The card has done it, and is out before anybody hears so.
    PulledAfter,
    /// Done, and answered late.
    Slow { wait_ms: u64 },
    /// Done, and another status is heard than the card said.
    Garbled { status: [u8; 2] },
    /// Not done, and this status answered.
    Refused { status: [u8; 2] },
}
