//! A call of a vendor's native library: its process, the pump between `icdev` and the line, and its
//! answer.
//!
//! Invariant: what the library writes to `icdev` leaves through the very imports that a component has,
//! so it is counted, bounded, recorded and played alike; the library never has the line. Not here: the
//! process and the frames (polymeter-native), what an ending means (session, outcome).

use crate::bindings::exports::polymeter::driver::{card, info, meter, purse, settings, supply};
use crate::bindings::polymeter::driver::{card_slot, line, log, types, vault};
use crate::carried::Carried;
use crate::description::Abilities;
use crate::health::TrapKind;
use crate::limits::{Knob, LIBRARY_LINE_BYTES, Limits, TICK};
use crate::load::Capability;
use crate::state::State;
use crate::watch::Watched;
use polymeter_domain::{CardKind, Region};
use polymeter_native::{
    Bounds, Child, ChildError, End, Event, Frame, Library, Program, answered, asked, described,
};
use polymeter_transcript::{ControlOutcome, Outcome, Request, SellOutcome, SetOutcome};
use std::time::Duration;

/// Beyond its deadline a process lives on for so long where the host is gone.
const ORPHANED: Duration = Duration::from_secs(5);
/// The vault's key that devices' passwords are made of, and the algorithm (`vault.mac`).
const PASSWORD_KEY: &str = "password";
const HMAC_SHA_256: u16 = 2;
/// `driver-error.code`.
const GARBLED: u16 = 2;
const BAD_ARGUMENT: u16 = 6;
const VAULT_SAID_NO: u16 = 7;

/// A library that was loaded, and who runs it.
#[derive(Debug)]
pub(crate) struct Native {
    pub(crate) library: Library,
    pub(crate) program: Program,
    pub(crate) grants: Vec<Capability>,
}

/// Why a library gave no answer that could be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("{0}")]
    Start(ChildError),
    #[error("its process {0}")]
    Ended(End),
    /// What was returned.
    #[error("{0}")]
    Garbled(String),
}

impl Fault {
    /// What broke the process, if that speaks against the library.
    pub(crate) fn trap(&self) -> Option<TrapKind> {
        use nix::libc::{SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP, SIGXCPU};
        let (Fault::Ended(end) | Fault::Start(ChildError::Ended(end))) = self else { return None };
        Some(match end.signal {
            Some(SIGSEGV | SIGBUS) => TrapKind::Memory,
            Some(SIGABRT | SIGILL | SIGTRAP) => TrapKind::Unreachable,
            Some(SIGFPE) => TrapKind::Arithmetic,
            Some(SIGXCPU) => TrapKind::Limit,
            _ => TrapKind::Other,
        })
    }
}

type Answer<T> = wasmtime::Result<Result<T, types::DriverError>>;

/// One call. The process is started when something is asked.
pub(crate) struct Called {
    pub(crate) state: State,
    native: std::sync::Arc<Native>,
    /// A line of the log that has no end yet.
    said: Vec<u8>,
    /// What kind of card it speaks to, once it was asked.
    card_kind: Option<u16>,
}

impl Called {
    pub(crate) fn new(state: State, native: std::sync::Arc<Native>) -> Self {
        Self { state, native, said: Vec::new(), card_kind: None }
    }

    /// What the library says of itself, and what it can do.
    pub(crate) async fn describe(&mut self) -> Answer<(info::Description, Abilities)> {
        let frame = match self.run(&Request::Describe).await? {
            Ok(frame) => frame,
            Err(error) => return Ok(Err(error)),
        };
        Ok(match described(&frame).map_err(garbled)? {
            Ok(said) => {
                let abilities = Abilities {
                    meter: true,
                    cards: said.cards && self.native.grants.contains(&Capability::CardSlot),
                    purse: said.purse,
                    supply: said.supply,
                    settings: said.settings,
                    frames: false,
                    bus: false,
                    refund: false,
                    token: false,
                    clock: false,
                    entry: false,
                    records: false,
                };
                Ok((said.description.carried(), abilities))
            }
            Err(error) => Err(error.carried()),
        })
    }

    pub(crate) async fn ask<T: Told>(&mut self, request: Request) -> Answer<T> {
        let frame = match self.run(&request).await? {
            Ok(frame) => frame,
            Err(error) => return Ok(unanswered(&request, error)),
        };
        match answered(request.function(), &frame).map_err(garbled)? {
            Outcome::Error(error) => Ok(Err(error.carried())),
            outcome => match T::told(outcome) {
                Some(told) => Ok(Ok(told)),
                None => Err(garbled("an answer to another question")),
            },
        }
    }

    async fn run(&mut self, request: &Request) -> Answer<Frame> {
        let error = |code, detail: String| types::DriverError { code, detail, device_code: None };
        let region = self.state.scope.as_ref().and_then(|scope| scope.region.as_ref());
        let frame = match asked(request, region.map(Region::as_str)) {
            Ok(frame) => frame,
            Err(unaskable) => return Ok(Err(error(BAD_ARGUMENT, unaskable.to_string()))),
        };
        let bytes = match frame.encode() {
            Ok(bytes) => bytes,
            Err(long) => {
                return Ok(Err(error(BAD_ARGUMENT, format!("it would be asked in {long}"))));
            }
        };
        let password = match self.password(request)? {
            Ok(password) => password,
            Err(refused) => return Ok(Err(error(VAULT_SAID_NO, refused.detail))),
        };
        let bounds = bounds(&self.state.limits);
        let Native { library, program, .. } = &*self.native;
        let started = Child::start(program, library, &bounds).await;
        let mut child = started.map_err(|error| wasmtime::Error::new(Fault::Start(error)))?;
        if matches!(request, Request::Describe) && !child.is_jailed() {
            let driver = &*self.state.driver;
            tracing::warn!(
                driver,
                "this system has no filter of system calls: its process has limits alone"
            );
        }
        child.call(&password, &bytes).await;
        let of_card = request.function().interface() == "card";
        let pumped = self.pump(&mut child, of_card).await;
        self.say_rest();
        let (returned, reply) = pumped?;
        match returned {
            0 => Ok(Ok(Frame::decode(&reply).map_err(garbled)?)),
            own => {
                // The contract's errors by their numbers; any other is the library's own.
                let code = u16::try_from(-own).ok().filter(|code| (1..=9).contains(code));
                Ok(Err(types::DriverError {
                    code: code.unwrap_or(GARBLED),
                    detail: format!("the library returned {own}"),
                    device_code: code.is_none().then(|| own.to_string()),
                }))
            }
        }
    }

    /// The secret of the device that is asked, made by the vault; none where that is not granted.
    fn password(
        &mut self,
        request: &Request,
    ) -> wasmtime::Result<Result<Vec<u8>, vault::VaultError>> {
        let Some(told) = request.told() else { return Ok(Ok(Vec::new())) };
        let of_card = request.function().interface() == "card";
        if of_card || !self.native.grants.contains(&Capability::Vault) {
            return Ok(Ok(Vec::new()));
        }
        let key = vault::Key { label: PASSWORD_KEY.to_owned(), path: Vec::new() };
        let address = told.address.clone().into_bytes();
        let mac =
            vault::Host::mac(&mut Watched(&mut self.state), key, HMAC_SHA_256, vec![], address)?;
        Ok(mac.map(|mac| {
            let first = mac.iter().take(8);
            first.map(|byte| format!("{byte:02X}")).collect::<String>().into_bytes()
        }))
    }

    /// Between the library and the line, or the card, until the function returns.
    async fn pump(&mut self, child: &mut Child, of_card: bool) -> wasmtime::Result<(i64, Vec<u8>)> {
        // A frame has left, and the line has not fallen silent since.
        let mut listens = false;
        loop {
            let event = if listens && self.is_played() {
                // What is played comes at once, and only as long as the transcript has something.
                listens = self.listen(child).await?;
                continue;
            } else if listens {
                tokio::select! {
                    biased;
                    event = child.next() => event,
                    heard = hear(&mut self.state) => {
                        listens = self.pass(child, heard?).await;
                        continue;
                    }
                }
            } else {
                child.next().await
            };
            self.state.recorder.not_received();
            match event {
                Event::Sends(bytes) if of_card => self.command(child, bytes).await?,
                Event::Sends(bytes) => {
                    let sent = line::Host::send(&mut Watched(&mut self.state), bytes).await?;
                    listens = sent.is_ok();
                    if sent.is_err() {
                        child.hang_up();
                    }
                }
                Event::Says(bytes) => self.say(&bytes)?,
                Event::Answers { returned, reply } => return Ok((returned, reply)),
                Event::Ends(end) => return Err(wasmtime::Error::new(Fault::Ended(end))),
            }
        }
    }

    /// One command to the card, and its answer at once; on a card that is gone, the end.
    async fn command(&mut self, child: &mut Child, bytes: Vec<u8>) -> wasmtime::Result<()> {
        let mut slot = Watched(&mut self.state);
        let kind = match self.card_kind {
            Some(kind) => kind,
            None => match card_slot::Host::inserted(&mut slot).await? {
                Ok(card) => *self.card_kind.insert(card.kind),
                Err(_) => {
                    child.hang_up();
                    return Ok(());
                }
            },
        };
        let answer = match CardCommand::of(kind, bytes) {
            CardCommand::Apdu(bytes) => card_slot::Host::transmit(&mut slot, bytes).await?,
            CardCommand::Read { offset, length } => {
                let read = card_slot::Host::read(&mut slot, offset, length).await?;
                read.map(|bytes| [&bytes[..], &DONE].concat())
            }
            CardCommand::Write { offset, bytes } => {
                let written = card_slot::Host::write(&mut slot, offset, bytes).await?;
                written.map(|()| DONE.to_vec())
            }
            CardCommand::None => Ok(UNKNOWN_INSTRUCTION.to_vec()),
        };
        match answer.map_err(|error| status(error.code)) {
            Ok(bytes) => child.hear(&bytes).await,
            Err(Some(status)) => child.hear(&status).await,
            Err(None) => child.hang_up(),
        }
        Ok(())
    }

    fn is_played(&self) -> bool {
        self.state.stage.is_some()
    }

    /// One receive of the transcript, if it has one here.
    async fn listen(&mut self, child: &mut Child) -> wasmtime::Result<bool> {
        let is_next = self.state.stage.as_ref().is_some_and(|stage| {
            stage.lock().unwrap_or_else(std::sync::PoisonError::into_inner).is_receiving()
        });
        if !is_next {
            return Ok(false);
        }
        let heard = hear(&mut self.state).await?;
        Ok(self.pass(child, heard).await)
    }

    /// Hands on what the line said; whether it may say more.
    async fn pass(&mut self, child: &mut Child, heard: Result<Vec<u8>, line::LineError>) -> bool {
        /// `line-error.code`: nothing came in time.
        const SILENT: u16 = 1;
        match heard {
            Ok(bytes) => {
                child.hear(&bytes).await;
                true
            }
            Err(error) => {
                if error.code != SILENT {
                    child.hang_up();
                }
                false
            }
        }
    }

    /// Into the log, line by line, where that is granted.
    fn say(&mut self, bytes: &[u8]) -> wasmtime::Result<()> {
        self.said.extend(bytes);
        while let Some(end) = self.said.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.said.drain(..=end).collect();
            self.write(&line)?;
        }
        if self.said.len() > LIBRARY_LINE_BYTES {
            let line = std::mem::take(&mut self.said);
            self.write(&line)?;
        }
        Ok(())
    }

    fn say_rest(&mut self) {
        let line = std::mem::take(&mut self.said);
        // The log has no error to tell.
        let _ = self.write(&line);
    }

    fn write(&mut self, line: &[u8]) -> wasmtime::Result<()> {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end();
        if text.is_empty() || !self.native.grants.contains(&Capability::Log) {
            return Ok(());
        }
        self.state.keep_last_words(text);
        log::Host::write(&mut Watched(&mut self.state), log::Level::Info, text.to_owned())
    }
}

/// The two bytes at the end of an answer (ISO/IEC 7816-4, 5.6).
const DONE: [u8; 2] = [0x90, 0x00];
const REFUSED: [u8; 2] = [0x69, 0x82];
const OUTSIDE: [u8; 2] = [0x6B, 0x00];
const UNKNOWN_INSTRUCTION: [u8; 2] = [0x6D, 0x00];

/// What a library hears where the card, or the host for it, says no; `None`: there is no card any more.
fn status(code: u16) -> Option<[u8; 2]> {
    /// `slot-error.code`.
    const UNSUPPORTED: u16 = 5;
    const CARD_SAYS_NO: u16 = 6;
    match code {
        UNSUPPORTED => Some(OUTSIDE),
        CARD_SAYS_NO => Some(REFUSED),
        _ => None,
    }
}

/// What one frame of a library asks of a card.
#[derive(Debug, PartialEq, Eq)]
enum CardCommand {
    /// Of a CPU card: as it is.
    Apdu(Vec<u8>),
    Read {
        offset: u32,
        length: u32,
    },
    Write {
        offset: u32,
        bytes: Vec<u8>,
    },
    /// Nothing that a memory card does.
    None,
}

impl CardCommand {
    /// Memory cards take the two commands of PC/SC, part 3, 3.2.2.1.8 and 9: FF B0 and FF D6.
    fn of(kind: u16, command: Vec<u8>) -> CardCommand {
        let has_commands = [CardKind::Cpu, CardKind::Desfire].map(CardKind::code);
        if has_commands.contains(&kind) {
            return CardCommand::Apdu(command);
        }
        match command.as_slice() {
            [0xFF, 0xB0, high, low, length] => CardCommand::Read {
                offset: u16::from_be_bytes([*high, *low]).into(),
                length: if *length == 0 { 256 } else { (*length).into() },
            },
            [0xFF, 0xD6, high, low, length, bytes @ ..] if bytes.len() == usize::from(*length) => {
                let offset = u16::from_be_bytes([*high, *low]).into();
                CardCommand::Write { offset, bytes: bytes.to_vec() }
            }
            _ => CardCommand::None,
        }
    }
}

/// As soon as something is there.
async fn hear(state: &mut State) -> wasmtime::Result<Result<Vec<u8>, line::LineError>> {
    line::Host::receive(&mut Watched(state), 1).await
}

/// That a card is another vendor's is an answer where it is asked whose it is.
fn unanswered<T: Told>(
    request: &Request,
    error: types::DriverError,
) -> Result<T, types::DriverError> {
    /// `driver-error.code`.
    const OTHER_DEVICE: u16 = 3;
    match request {
        Request::CardIdentify(_) if error.code == OTHER_DEVICE => {
            T::told(Outcome::CardIdentity(None)).ok_or(error)
        }
        _ => Err(error),
    }
}

fn garbled(what: impl ToString) -> wasmtime::Error {
    wasmtime::Error::new(Fault::Garbled(what.to_string()))
}

fn bounds(limits: &Limits) -> Bounds {
    Bounds {
        memory_bytes: limits.get(Knob::MemoryBytes),
        cpu_seconds: cpu_seconds(limits),
        wall_seconds: limits.wall.saturating_add(ORPHANED).as_secs(),
    }
}

/// The system counts the processor's time of a process in whole seconds.
pub(crate) fn cpu_seconds(limits: &Limits) -> u64 {
    let ticks = u32::try_from(limits.cpu_ticks).unwrap_or(u32::MAX);
    TICK.saturating_mul(ticks).as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX)
}

/// What an outcome holds, as the contract's own value.
pub(crate) trait Told: Sized {
    /// `None` for the outcome of another function.
    fn told(outcome: Outcome) -> Option<Self>;
}

macro_rules! told {
    ($($value:ty = $outcome:ident;)*) => {$(
        impl Told for $value {
            fn told(outcome: Outcome) -> Option<Self> {
                if let Outcome::$outcome(value) = outcome { Some(value.carried()) } else { None }
            }
        }
    )*};
}

told! {
    meter::Identity = Identity;
    meter::Snapshot = Snapshot;
    purse::Evidence = Evidence;
    Option<card::Identity> = CardIdentity;
    card::Contents = CardContents;
}

impl Told for types::SellOutcome {
    fn told(outcome: Outcome) -> Option<Self> {
        let Outcome::Sell(ending) = outcome else { return None };
        Some(match ending {
            SellOutcome::Confirmed(receipt) => Self::Confirmed(receipt.carried()),
            SellOutcome::Refused(refusal) => Self::Refused(refusal.carried()),
            SellOutcome::Unknown(why) => Self::Unknown(why),
        })
    }
}

impl Told for supply::ControlOutcome {
    fn told(outcome: Outcome) -> Option<Self> {
        let Outcome::Control(ending) = outcome else { return None };
        Some(match ending {
            ControlOutcome::Confirmed(state) => Self::Confirmed(state),
            ControlOutcome::Refused(refusal) => Self::Refused(refusal.carried()),
            ControlOutcome::Unknown(why) => Self::Unknown(why),
        })
    }
}

impl Told for settings::SetOutcome {
    fn told(outcome: Outcome) -> Option<Self> {
        let Outcome::Set(ending) = outcome else { return None };
        Some(match ending {
            SetOutcome::Confirmed => Self::Confirmed,
            SetOutcome::Refused(refusal) => Self::Refused(refusal.carried()),
            SetOutcome::Unknown(why) => Self::Unknown(why),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_a_command_of_the_kind_of_card() {
        let memory = CardKind::At24c.code();
        for (frame, command) in [
            (vec![0xFF, 0xB0, 1, 2, 3], CardCommand::Read { offset: 258, length: 3 }),
            (vec![0xFF, 0xB0, 0, 0, 0], CardCommand::Read { offset: 0, length: 256 }),
            (vec![0xFF, 0xD6, 0, 9, 1, 7], CardCommand::Write { offset: 9, bytes: vec![7] }),
            (vec![0xFF, 0xD6, 0, 9, 2, 7], CardCommand::None),
            (vec![0xFF, 0x20, 0, 0, 3, 1, 2, 3], CardCommand::None),
            (vec![0, 0xB0, 0, 0, 3], CardCommand::None),
            (vec![], CardCommand::None),
        ] {
            assert_eq!(CardCommand::of(memory, frame), command);
        }
        let apdu = vec![0xFF, 0xB0, 0, 0, 3];
        assert_eq!(CardCommand::of(CardKind::Cpu.code(), apdu.clone()), CardCommand::Apdu(apdu));
    }
}
