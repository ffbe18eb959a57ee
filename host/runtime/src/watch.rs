//! What stands between a driver and its imports: everything that passes is written down, and where a
//! transcript is played, the transcript answers instead of the line and the vault.
//!
//! Invariant: a played call reaches neither line nor key, but to unmask what the transcript masks,
//! and then the digest must agree. Not here: what the imports do (host_calls), the slot of cards (slot).

use crate::bindings::polymeter::driver::{line, log, vault};
use crate::carried::Carried;
use crate::state::State;
use polymeter_transcript::{Content, Fault, Player, Transcript, VaultAct};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wasmtime::component::HasData;

/// A player that outlives the store in which it plays.
pub(crate) type Stage = Arc<Mutex<Player<Arc<Transcript>>>>;

/// The imports of a driver as its linker sees them.
pub(crate) struct Watch;

impl HasData for Watch {
    type Data<'a> = Watched<'a>;
}

pub(crate) struct Watched<'a>(pub(crate) &'a mut State);

type Answer<T, E> = wasmtime::Result<Result<T, E>>;

pub(crate) fn played(stage: &Stage) -> MutexGuard<'_, Player<Arc<Transcript>>> {
    stage.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A call that was cut off ends where it did.
pub(crate) fn cut_off() -> wasmtime::Error {
    wasmtime::Error::msg("the transcript ends here")
}

fn line_answer<T>(answer: Result<T, Fault>) -> Answer<T, line::LineError> {
    match answer.map_err(Fault::on_line) {
        Ok(answer) => Ok(Ok(answer)),
        Err(Some((code, detail))) => Ok(Err(line::LineError { code, detail })),
        Err(None) => Err(cut_off()),
    }
}

fn line_fault(error: &line::LineError) -> Fault {
    Fault::Refused { code: error.code, detail: error.detail.clone() }
}

impl line::Host for Watched<'_> {
    async fn send(&mut self, bytes: Vec<u8>) -> Answer<(), line::LineError> {
        if let Some(stage) = &self.0.stage {
            return line_answer(played(stage).send(&bytes));
        }
        self.0.recorder.sending(&bytes);
        let answer = line::Host::send(self.0, bytes).await?;
        if self.0.recorder.is_on() {
            self.0.recorder.sent(answer.as_ref().copied().map_err(line_fault));
        }
        Ok(answer)
    }

    async fn receive(&mut self, want: u32) -> Answer<Vec<u8>, line::LineError> {
        if let Some(stage) = &self.0.stage {
            return line_answer(played(stage).receive(want));
        }
        self.0.recorder.receiving(want);
        let answer = line::Host::receive(self.0, want).await?;
        if self.0.recorder.is_on() {
            self.0.recorder.received(answer.as_ref().map(Vec::as_slice).map_err(line_fault));
        }
        Ok(answer)
    }

    async fn drain(&mut self) -> Answer<u32, line::LineError> {
        if let Some(stage) = &self.0.stage {
            return line_answer(played(stage).drain());
        }
        let answer = line::Host::drain(self.0).await?;
        if self.0.recorder.is_on() {
            self.0.recorder.drained(answer.as_ref().copied().map_err(line_fault));
        }
        Ok(answer)
    }
}

impl Watched<'_> {
    fn ask_vault(&mut self, act: VaultAct) -> Answer<Vec<u8>, vault::VaultError> {
        let Some(stage) = self.0.stage.clone() else {
            let asked = self.0.recorder.is_on().then(|| act.clone());
            let answer = self.vault(act)?;
            if let Some(asked) = asked {
                let told = answer.as_ref().map(Vec::as_slice).map_err(|error| Fault::Refused {
                    code: error.code,
                    detail: error.detail.clone(),
                });
                self.0.recorder.vault(&asked, told);
            }
            return Ok(answer);
        };
        let answer = played(&stage).vault(&act);
        match answer.map_err(Fault::of_vault) {
            Ok(Content::Plain(bytes)) => Ok(Ok(bytes)),
            Ok(masked @ Content::Masked { .. }) => self.unmask(&stage, act, &masked),
            Err(Some((code, detail))) => Ok(Err(vault::VaultError { code, detail })),
            Err(None) => Err(cut_off()),
        }
    }

    /// Only who has the key can: the vault is asked once more.
    fn unmask(
        &mut self,
        stage: &Stage,
        act: VaultAct,
        masked: &Content,
    ) -> Answer<Vec<u8>, vault::VaultError> {
        let asked = act.to_string();
        let answer = self.vault(act)?;
        let problem = match &answer {
            Ok(bytes) if masked.is(bytes) => return Ok(answer),
            Ok(_) => {
                format!("the vault answers `{asked}` otherwise than it did: is its key another?")
            }
            Err(error) => format!(
                "what the vault answered to `{asked}` is masked, and the key is not here: {}",
                error.detail
            ),
        };
        played(stage).object(problem);
        let detail = "masked in the transcript".to_owned();
        Ok(Err(vault::VaultError { code: 4, detail }))
    }

    /// The real one.
    fn vault(&mut self, act: VaultAct) -> Answer<Vec<u8>, vault::VaultError> {
        match act {
            VaultAct::Mac { key, algorithm, iv, data } => {
                vault::Host::mac(self.0, key.carried(), algorithm, iv, data)
            }
            VaultAct::Encrypt { key, algorithm, iv, associated, data } => {
                // What a driver asks is never masked.
                let Content::Plain(data) = data else { return Ok(Ok(Vec::new())) };
                vault::Host::encrypt(self.0, key.carried(), algorithm, iv, associated, data)
            }
            VaultAct::Decrypt { key, algorithm, iv, associated, data } => {
                vault::Host::decrypt(self.0, key.carried(), algorithm, iv, associated, data)
            }
            VaultAct::Random { length } => vault::Host::random(self.0, length),
        }
    }
}

impl vault::Host for Watched<'_> {
    fn mac(
        &mut self,
        key: vault::Key,
        algorithm: u16,
        iv: Vec<u8>,
        data: Vec<u8>,
    ) -> Answer<Vec<u8>, vault::VaultError> {
        self.ask_vault(VaultAct::Mac { key: key.carried(), algorithm, iv, data })
    }

    fn encrypt(
        &mut self,
        key: vault::Key,
        algorithm: u16,
        iv: Vec<u8>,
        associated: Vec<u8>,
        data: Vec<u8>,
    ) -> Answer<Vec<u8>, vault::VaultError> {
        let data = Content::Plain(data);
        self.ask_vault(VaultAct::Encrypt { key: key.carried(), algorithm, iv, associated, data })
    }

    fn decrypt(
        &mut self,
        key: vault::Key,
        algorithm: u16,
        iv: Vec<u8>,
        associated: Vec<u8>,
        data: Vec<u8>,
    ) -> Answer<Vec<u8>, vault::VaultError> {
        self.ask_vault(VaultAct::Decrypt { key: key.carried(), algorithm, iv, associated, data })
    }

    fn random(&mut self, length: u32) -> Answer<Vec<u8>, vault::VaultError> {
        self.ask_vault(VaultAct::Random { length })
    }
}

impl log::Host for Watched<'_> {
    fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        let most = self.0.limits.log_line_bytes;
        if let Some(stage) = &self.0.stage {
            played(stage).log(level.carried(), &crate::text::printable(&message, most));
            if level == log::Level::Error {
                self.0.keep_last_words(&message);
            }
            return Ok(());
        }
        self.0.recorder.log(level.carried(), &message, most);
        log::Host::write(self.0, level, message)
    }
}
