//! A card in a PC/SC reader.
//!
//! Invariant: between `begin` and `end` no other program's command reaches the card; afterwards it
//! is without power. Not here: which reader there is and when a card comes (`readers`).

use std::ffi::{CStr, CString};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use pcsc::{Context, Disposition, Error, Protocols, Scope, ShareMode, Status};

use super::error::CardError;
use super::libpcsclite;
use super::limits::{ANSWER_BYTES_MAX, LOST_FOR, UNNOTICED_AFTER};
use super::slot::CardSlot;

/// What the thread that watches the readers and the slot know of each other.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// Which PC/SC reader it is now.
    pub(super) reader: Option<CString>,
    /// Since when the slot waits for a card that another program may hold.
    pub(super) waiting: Option<Instant>,
}

pub(super) type SharedPlace = Arc<Mutex<Place>>;

pub(super) struct PcscSlot {
    place: SharedPlace,
    card: Option<pcsc::Card>,
    /// When the last card went in the middle of an exchange.
    lost: Option<Instant>,
}

/// What is said of a card that somebody else has.
pub(super) const BUSY: &str = "another program holds the card";

impl PcscSlot {
    pub(super) fn new(place: SharedPlace) -> PcscSlot {
        PcscSlot { place, card: None, lost: None }
    }

    fn place(&self) -> std::sync::MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a card may lie here that pcscd does not know of, as [`revived`] says. Not before it
    /// had the time to see the last one go and this one come.
    fn overlooked(&self) -> bool {
        self.lost.is_some_and(|lost| (UNNOTICED_AFTER..LOST_FOR).contains(&lost.elapsed()))
    }

    fn taken(&mut self) -> Result<Vec<u8>, Error> {
        let reader = self.place().reader.clone().ok_or(Error::ReaderUnavailable)?;
        let context = Context::establish(Scope::System)?;
        let mut card = match context.connect(&reader, ShareMode::Shared, Protocols::ANY) {
            Err(Error::NoSmartcard) if self.overlooked() => revived(&context, &reader)?,
            other => other?,
        };
        let transaction = card.transaction()?;
        // Kept until the card is disconnected, which ends it: it borrows the card, and both are
        // ours.
        std::mem::forget(transaction);
        // Whoever had it until now may have left it without power.
        if !card.status2_owned().is_ok_and(|it| it.status().contains(Status::POWERED)) {
            card.reconnect(ShareMode::Shared, Protocols::ANY, Disposition::ResetCard)?;
        }
        let atr = card.status2_owned()?.atr().to_vec();
        self.card = Some(card);
        self.lost = None;
        Ok(atr)
    }
}

/// A card that lost contact in the middle of an exchange and has it again. pcscd counts it as gone
/// from then on and, where it looks only every 400 ms, does not see it come: it is told to power
/// the slot.
fn revived(context: &Context, reader: &CStr) -> Result<pcsc::Card, Error> {
    let mut slot = context.connect(reader, ShareMode::Direct, Protocols::UNDEFINED)?;
    match slot.reconnect(ShareMode::Shared, Protocols::ANY, Disposition::UnpowerCard) {
        Ok(()) => Ok(slot),
        Err(_) => Err(Error::NoSmartcard),
    }
}

impl CardSlot for PcscSlot {
    fn begin(&mut self) -> Result<Vec<u8>, CardError> {
        libpcsclite::ready().map_err(|missing| CardError::Reader(missing.to_owned()))?;
        self.end();
        self.place().waiting = Some(Instant::now());
        let taken = self.taken();
        self.place().waiting = None;
        taken.map_err(failure)
    }

    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, CardError> {
        let card = self.card.as_ref().ok_or(CardError::Gone)?;
        let mut answer = [0; ANSWER_BYTES_MAX];
        let result = match card.transmit(command, &mut answer) {
            // Ours alone, and yet reset: what was proved to it is forgotten, so it is another card.
            // And one that is pulled while it has a command is a failed exchange first, or an empty
            // answer, and a card that was pulled a moment later.
            Err(Error::ResetCard | Error::UnpoweredCard | Error::NotTransacted) | Ok([]) => {
                Err(CardError::Gone)
            }
            Ok(answer) => Ok(answer.to_vec()),
            Err(other) => Err(failure(other)),
        };
        if result == Err(CardError::Gone) {
            self.lost = Some(Instant::now());
        }
        result
    }

    fn end(&mut self) {
        let Some(card) = self.card.take() else { return };
        if let Err((card, _)) = card.disconnect(Disposition::UnpowerCard) {
            // The card or pcscd is gone: nothing is left to be given back.
            drop(card);
        }
    }
}

/// Into what a caller can act on.
pub(super) fn failure(error: Error) -> CardError {
    match error {
        Error::NoSmartcard | Error::RemovedCard => CardError::Gone,
        Error::UnresponsiveCard
        | Error::UnpoweredCard
        | Error::UnsupportedCard
        | Error::CardUnsupported
        | Error::ProtoMismatch
        | Error::InvalidAtr => CardError::Refused("the card does not answer".to_owned()),
        other => CardError::Reader(reason(other)),
    }
}

/// In words, with what to do where there is something.
pub(super) fn reason(error: Error) -> String {
    match error {
        Error::SharingViolation => BUSY.to_owned(),
        // The last is what its clients see when it ends.
        Error::NoService | Error::ServiceStopped | Error::CommError => {
            "pcscd does not run: systemctl start pcscd.socket".to_owned()
        }
        Error::UnknownReader | Error::ReaderUnavailable => "the reader is unplugged".to_owned(),
        Error::InsufficientBuffer => format!("an answer of more than {ANSWER_BYTES_MAX} bytes"),
        Error::SecurityViolation | Error::NoAccess => {
            "pcscd lets this user have no card: see its polkit rule".to_owned()
        }
        other => format!("PC/SC: {other}"),
    }
}
