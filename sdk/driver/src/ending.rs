//! How an act on a card ends, for drivers of several kinds of card: why a dialogue stops early, and what
//! an act makes of that and of what the card shows afterwards.
//!
//! Invariant: *refused* is said only of what did not happen, *confirmed* only of what the card shows.
//!
//! Not here: what is said to which card (drivers).

use crate::codes::{error, refusal};
use crate::{DriverError, Receipt, Refusal, SellOutcome, SlotError, VaultError};

/// Why a dialogue with a card ends early.
#[derive(Debug)]
pub enum Stop {
    /// No answer, none that is one, or no key.
    Failed(DriverError),
    /// The card, or its driver, declined.
    Refused(Refusal),
}

impl From<DriverError> for Stop {
    fn from(error: DriverError) -> Stop {
        Stop::Failed(error)
    }
}

impl From<SlotError> for Stop {
    fn from(error: SlotError) -> Stop {
        Stop::Failed(error.into())
    }
}

impl From<VaultError> for Stop {
    fn from(error: VaultError) -> Stop {
        Stop::Failed(error.into())
    }
}

/// For calls that look at a card: its no is an error there.
impl From<Stop> for DriverError {
    fn from(stop: Stop) -> DriverError {
        match stop {
            Stop::Failed(error) => error,
            Stop::Refused(Refusal { detail, device_code, .. }) => {
                DriverError { code: error::DEVICE_SAYS_NO, detail, device_code }
            }
        }
    }
}

impl Stop {
    /// A no, by a code of [`refusal`].
    pub fn refused(code: u16, detail: impl Into<String>) -> Stop {
        Stop::Refused(Refusal { code, detail: detail.into(), device_code: None })
    }

    /// An answer that is none.
    pub fn garbled(detail: impl Into<String>) -> Stop {
        Stop::Failed(DriverError::new(error::GARBLED, detail))
    }

    fn detail(&self) -> &str {
        match self {
            Stop::Failed(error) => &error.detail,
            Stop::Refused(refusal) => &refusal.detail,
        }
    }
}

/// What the card shows after an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// What was ordered.
    New,
    /// What it held before.
    Old,
    /// Neither.
    Other,
}

/// An act that stopped before the card was changed.
///
/// # Errors
/// Where nobody said no.
pub fn before(stop: Stop) -> Result<SellOutcome, DriverError> {
    match stop {
        Stop::Failed(error) => Err(error),
        Stop::Refused(refusal) => Ok(SellOutcome::Refused(refusal)),
    }
}

/// An act that is done, as the card shows: a receipt with the card's count.
pub fn confirmed(count: u32) -> SellOutcome {
    SellOutcome::Confirmed(Receipt { count, balance: None, extras: Vec::new() })
}

/// An act whose writing ended so. Where a command that changes a card was begun (`changed`), a look at
/// the card decides, and without one nobody knows.
///
/// ```
/// use polymeter_driver::ending::{Shown, Stop, ended};
/// use polymeter_driver::{SellOutcome, codes::refusal};
///
/// let no = || Err(Stop::refused(refusal::WRONG_MAC, "wrong MAC"));
/// let refused = ended(true, 2, no(), || Ok(Shown::Old))?;
/// assert!(matches!(refused, SellOutcome::Refused(_)));
/// // The card says no, and holds the new purchase all the same.
/// let confirmed = ended(true, 2, no(), || Ok(Shown::New))?;
/// assert!(matches!(confirmed, SellOutcome::Confirmed(_)));
/// // Written, and pulled before anybody could look.
/// let unknown = ended(true, 2, Ok(()), || Err(Stop::garbled("the card is gone")))?;
/// assert!(matches!(unknown, SellOutcome::Unknown(_)));
/// # Ok::<(), polymeter_driver::DriverError>(())
/// ```
///
/// # Errors
/// Where nothing was begun and nobody said no.
pub fn ended(
    changed: bool,
    count: u32,
    written: Result<(), Stop>,
    look: impl FnOnce() -> Result<Shown, Stop>,
) -> Result<SellOutcome, DriverError> {
    match written {
        Err(stop) if !changed => before(stop),
        written => Ok(after(count, &written, look())),
    }
}

fn after(count: u32, written: &Result<(), Stop>, shown: Result<Shown, Stop>) -> SellOutcome {
    let unknown = |what: &str| {
        let why = written.as_ref().err().map(|stop| format!(": {}", stop.detail()));
        SellOutcome::Unknown(format!("{what}{}", why.unwrap_or_default()))
    };
    match (written, shown) {
        (_, Ok(Shown::New)) => confirmed(count),
        (Err(Stop::Refused(refusal)), Ok(Shown::Old)) => SellOutcome::Refused(refusal.clone()),
        (Err(Stop::Failed(error)), Ok(Shown::Old)) => SellOutcome::Refused(Refusal {
            code: refusal::OTHER,
            detail: format!("the card holds what it held before: {}", error.detail),
            device_code: error.device_code.clone(),
        }),
        (Ok(()), Ok(Shown::Old)) => unknown("the card took it and holds what it held before"),
        (_, Ok(Shown::Other)) => unknown("the card holds neither the old nor the new"),
        (Ok(()), Err(stop)) => {
            SellOutcome::Unknown(format!("written and not read back: {}", stop.detail()))
        }
        (Err(_), Err(_)) => unknown("the card could not be written to its end"),
    }
}
