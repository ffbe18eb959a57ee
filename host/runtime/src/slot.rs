//! The slot of cards as a driver's import: what is asked of the card that was lent to this call.
//!
//! Invariant: every act charges a budget before it is begun; whether one was begun that may have changed
//! the card is the host's own observation; a code of the vault is made here, handed to the card and
//! forgotten, and goes neither to the driver nor into a recording. Not here: how a reader is spoken to
//! (transport), what an ending means (outcome).

use crate::bindings::polymeter::driver::card_slot;
use crate::carried::Carried;
use crate::state::State;
use crate::watch::{Watched, cut_off, played};
use polymeter_domain::CardKind;
use polymeter_transcript::{Fault, InsertedCard, Key, Secret, SlotAct, SlotAnswer};
use polymeter_transport::{CardError, CardLease};
use polymeter_vault::{Derivation, KeyName, Refused};
use std::time::Instant;

/// `slot-error.code`.
const GONE: u16 = 1;
const READER: u16 = 2;
const LIMIT_SPENT: u16 = 3;
const NOT_GRANTED: u16 = 4;
const UNSUPPORTED: u16 = 5;
const CARD_SAYS_NO: u16 = 6;
const VAULT_SAID_NO: u16 = 7;
const NO_TRIES: u16 = 8;

/// `vault.mac`'s algorithm by which codes of cards are made.
const HMAC_SHA_256: u16 = 2;

type Told<T> = Result<T, card_slot::SlotError>;
type Answer<T> = wasmtime::Result<Told<T>>;

/// What the host saw of the card during a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The card did something that it was asked.
    pub(crate) answered: bool,
    /// An act that may have changed the card was begun.
    pub(crate) changed: bool,
    /// The card did something after that, or did that.
    pub(crate) heard: bool,
}

impl Seen {
    /// Before an act; what was seen so far.
    fn begins(&mut self, act: &SlotAct) -> Seen {
        let before = *self;
        self.changed |= act.may_change();
        before
    }

    fn ends(&mut self, before: Seen, act: &SlotAct, answer: &Result<SlotAnswer, Fault>) {
        self.changed = before.changed || act.has_changed(answer);
        if answer.is_ok() {
            self.answered = true;
            self.heard |= self.changed;
        }
    }
}

/// The card that was lent, and what was seen of it.
#[derive(Debug)]
pub(crate) struct Lent {
    pub(crate) lease: CardLease,
    pub(crate) seen: Seen,
}

impl State {
    /// One act, with the card that was lent.
    async fn slot(&mut self, act: &SlotAct) -> Told<SlotAnswer> {
        let Some(lent) = &self.card else {
            return Err(refused(NOT_GRANTED, "this call has no card".to_owned()));
        };
        let card = lent.lease.card();
        let kind = card.kind;
        if *act == SlotAct::Inserted {
            let (atr, uid) = (card.atr.clone(), card.uid.clone());
            return Ok(SlotAnswer::Card(InsertedCard { kind: kind.code(), atr, uid }));
        }
        self.charge(act)?;
        let code = self.code(kind, act)?;
        let began = Instant::now();
        let Some(lent) = &mut self.card else {
            return Err(refused(NOT_GRANTED, "this call has no card".to_owned()));
        };
        let before = lent.seen.begins(act);
        let answer = done(&mut lent.lease, act, &code).await.map_err(told);
        let as_fault = answer.as_ref().map_err(fault).cloned();
        lent.seen.ends(before, act, &as_fault);
        self.has_waited(began);
        if let (SlotAct::Transmit(_), Ok(SlotAnswer::Bytes(bytes))) = (act, &answer) {
            self.note_line_bytes(bytes.len());
        }
        answer
    }

    /// A frame for each act, and the bytes that it moves as far as they are known.
    fn charge(&mut self, act: &SlotAct) -> Told<()> {
        let bytes = match act {
            SlotAct::Transmit(bytes) | SlotAct::Write { bytes, .. } => bytes.len(),
            SlotAct::Read { length, .. } => usize::try_from(*length).unwrap_or(usize::MAX),
            SlotAct::Inserted
            | SlotAct::Erase { .. }
            | SlotAct::TriesLeft { .. }
            | SlotAct::Verify { .. }
            | SlotAct::SetCode { .. } => 0,
        };
        self.take_exchange(bytes).map_err(|detail| refused(LIMIT_SPENT, detail.to_owned()))
    }

    /// The code that an act presents; empty for one that presents none.
    fn code(&mut self, kind: CardKind, act: &SlotAct) -> Told<Vec<u8>> {
        let (number, secret) = match act {
            SlotAct::Erase { zone, code } => (*zone, code),
            SlotAct::Verify { code, presented } | SlotAct::SetCode { code, presented } => {
                (*code, presented)
            }
            SlotAct::Inserted
            | SlotAct::Transmit(_)
            | SlotAct::Read { .. }
            | SlotAct::Write { .. }
            | SlotAct::TriesLeft { .. } => return Ok(Vec::new()),
        };
        let Some(length) = kind.code_bytes(number) else {
            return Err(refused(UNSUPPORTED, format!("a card {kind} has no code {number}")));
        };
        match secret {
            Secret::Published(code) if code.len() == length => Ok(code.clone()),
            Secret::Published(code) => {
                let given = code.len();
                let detail = format!("code {number} of {kind} has {length} bytes, and not {given}");
                Err(refused(UNSUPPORTED, detail))
            }
            Secret::OfVault(key, factor) => self.code_of_vault(key, factor, length),
        }
    }

    /// The first bytes of HMAC-SHA-256 over the factor, under a key of this driver's vendor and region.
    fn code_of_vault(&mut self, key: &Key, factor: &[u8], length: usize) -> Told<Vec<u8>> {
        if let Err(detail) = self.take_vault_request() {
            return Err(refused(LIMIT_SPENT, detail.to_owned()));
        }
        let path = key.path.iter();
        let path = path.map(|step| Derivation { algorithm: step.algorithm, factor: &step.factor });
        let name = KeyName { label: &key.label, path: path.collect() };
        let scope = self.scope.as_ref().ok_or(Refused::NoVendor);
        let made = scope.and_then(|scope| self.vault.mac(scope, &name, HMAC_SHA_256, &[], factor));
        let mut code = made.map_err(|no| refused(VAULT_SAID_NO, no.to_string()))?;
        code.truncate(length);
        Ok(code)
    }
}

async fn done(lease: &mut CardLease, act: &SlotAct, code: &[u8]) -> Result<SlotAnswer, CardError> {
    match act {
        SlotAct::Inserted => Ok(SlotAnswer::Done),
        SlotAct::Transmit(command) => lease.transmit(command).await.map(SlotAnswer::Bytes),
        SlotAct::Read { offset, length } => {
            lease.read(*offset, *length).await.map(SlotAnswer::Bytes)
        }
        SlotAct::Write { offset, bytes } => {
            lease.write(*offset, bytes).await.map(|()| SlotAnswer::Done)
        }
        SlotAct::Erase { zone, .. } => lease.erase(*zone, code).await.map(|()| SlotAnswer::Done),
        SlotAct::TriesLeft { code } => lease.tries_left(*code).await.map(SlotAnswer::Tries),
        SlotAct::Verify { code: number, .. } => {
            lease.verify(*number, code).await.map(|()| SlotAnswer::Done)
        }
        SlotAct::SetCode { code: number, .. } => {
            lease.set_code(*number, code).await.map(|()| SlotAnswer::Done)
        }
    }
}

fn refused(code: u16, detail: String) -> card_slot::SlotError {
    card_slot::SlotError { code, detail }
}

fn told(error: CardError) -> card_slot::SlotError {
    let code = match &error {
        CardError::Gone => GONE,
        CardError::Reader(_) | CardError::OutOfTime { .. } => READER,
        CardError::Unsupported(_) => UNSUPPORTED,
        CardError::Refused(_) => CARD_SAYS_NO,
        CardError::NoTries { .. } => NO_TRIES,
    };
    refused(code, error.to_string())
}

fn fault(error: &card_slot::SlotError) -> Fault {
    Fault::Refused { code: error.code, detail: error.detail.clone() }
}

impl Watched<'_> {
    /// The transcript's answer where one is played, else the card's, written down.
    async fn slot(&mut self, act: SlotAct) -> Answer<SlotAnswer> {
        if let Some(stage) = &self.0.stage {
            return heard(played(stage).slot(&act));
        }
        self.0.recorder.asking_card(&act);
        let answer = self.0.slot(&act).await;
        if self.0.recorder.is_on() {
            self.0.recorder.card_answered(answer.as_ref().map_err(fault).cloned());
        }
        Ok(answer)
    }

    async fn done(&mut self, act: SlotAct) -> Answer<()> {
        Ok(self.slot(act).await?.map(drop))
    }
}

/// A transcript whose answer is of another kind than the question is at its end, for a driver.
fn heard<T>(answer: Result<T, Fault>) -> Answer<T> {
    match answer.map_err(Fault::of_slot) {
        Ok(answer) => Ok(Ok(answer)),
        Err(Some((code, detail))) => Ok(Err(refused(code, detail))),
        Err(None) => Err(cut_off()),
    }
}

fn then<T>(answer: Told<SlotAnswer>, kind: fn(SlotAnswer) -> Result<T, Fault>) -> Answer<T> {
    match answer {
        Ok(answer) => heard(kind(answer)),
        Err(error) => Ok(Err(error)),
    }
}

impl card_slot::Host for Watched<'_> {
    async fn inserted(&mut self) -> Answer<card_slot::InsertedCard> {
        let answer = then(self.slot(SlotAct::Inserted).await?, SlotAnswer::card)?;
        Ok(answer.map(Carried::carried))
    }

    async fn transmit(&mut self, command: Vec<u8>) -> Answer<Vec<u8>> {
        then(self.slot(SlotAct::Transmit(command)).await?, SlotAnswer::bytes)
    }

    async fn read(&mut self, offset: u32, length: u32) -> Answer<Vec<u8>> {
        then(self.slot(SlotAct::Read { offset, length }).await?, SlotAnswer::bytes)
    }

    async fn write(&mut self, offset: u32, bytes: Vec<u8>) -> Answer<()> {
        self.done(SlotAct::Write { offset, bytes }).await
    }

    async fn erase(&mut self, zone: u16, code: card_slot::Secret) -> Answer<()> {
        self.done(SlotAct::Erase { zone, code: code.carried() }).await
    }

    async fn tries_left(&mut self, code: u16) -> Answer<u8> {
        then(self.slot(SlotAct::TriesLeft { code }).await?, SlotAnswer::tries)
    }

    async fn verify(&mut self, code: u16, presented: card_slot::Secret) -> Answer<()> {
        self.done(SlotAct::Verify { code, presented: presented.carried() }).await
    }

    async fn set_code(&mut self, code: u16, presented: card_slot::Secret) -> Answer<()> {
        self.done(SlotAct::SetCode { code, presented: presented.carried() }).await
    }
}
