//! The imports of a driver: line, vault and log. Every one charges a budget before it acts.
//!
//! Invariant: no key and no socket is reachable from here but through these functions, and none of
//! them traps on bad input: the driver is told, in the contract's codes.

use crate::bindings::polymeter::driver::{line, log, types, vault};
use crate::carried::Carried;
use crate::state::State;
use polymeter_transcript::Level;
use polymeter_transport::LineError;
use polymeter_vault::{Derivation, KeyName, Message, Refused, Scope, Vault};
use std::time::Instant;

/// `line-error.code`.
const SILENT: u16 = 1;
const DOWN: u16 = 2;
const LIMIT_SPENT: u16 = 3;
const NOT_GRANTED: u16 = 4;

/// `vault-error.code` "not granted": to this call, nothing more is.
const NO_MORE: u16 = 4;

type Answer<T, E> = wasmtime::Result<Result<T, E>>;

impl line::Host for State {
    async fn send(&mut self, bytes: Vec<u8>) -> Answer<(), line::LineError> {
        if self.lease.is_none() {
            return Ok(Err(no_line()));
        }
        if let Err(detail) = self.take_exchange(bytes.len()) {
            return Ok(Err(spent(detail)));
        }
        let Some(lease) = &mut self.lease else { return Ok(Err(no_line())) };
        let began = Instant::now();
        let sent = lease.send(&bytes).await;
        self.has_waited(began);
        Ok(sent.map_err(told))
    }

    async fn receive(&mut self, want: u32) -> Answer<Vec<u8>, line::LineError> {
        let left = self.line_bytes_left();
        let Some(lease) = &mut self.lease else { return Ok(Err(no_line())) };
        if left == 0 {
            let detail = self.take_line_bytes(1).err().unwrap_or_default();
            return Ok(Err(spent(detail)));
        }
        let began = Instant::now();
        let want = usize::try_from(want).unwrap_or(usize::MAX).clamp(1, left);
        let received = lease.receive(want).await;
        self.has_waited(began);
        Ok(match received {
            Ok(bytes) => self.take_line_bytes(bytes.len()).map(|()| bytes).map_err(spent),
            Err(error) => Err(told(error)),
        })
    }

    async fn drain(&mut self) -> Answer<u32, line::LineError> {
        let left = self.line_bytes_left();
        let Some(lease) = &mut self.lease else { return Ok(Err(no_line())) };
        if left == 0 {
            let detail = self.take_line_bytes(1).err().unwrap_or_default();
            return Ok(Err(spent(detail)));
        }
        let began = Instant::now();
        let drained = lease.drain().await;
        self.has_waited(began);
        Ok(match drained {
            Ok(bytes) => self
                .take_line_bytes(bytes)
                .map(|()| u32::try_from(bytes).unwrap_or(u32::MAX))
                .map_err(spent),
            Err(error) => Err(told(error)),
        })
    }
}

/// `describe` and `decode` are asked without a device.
fn no_line() -> line::LineError {
    line::LineError { code: NOT_GRANTED, detail: "this call has no line".to_owned() }
}

fn spent(detail: &str) -> line::LineError {
    line::LineError { code: LIMIT_SPENT, detail: detail.to_owned() }
}

fn told(error: LineError) -> line::LineError {
    let code = match &error {
        LineError::Silent { .. } => SILENT,
        // Lent cannot be: the line is the call's own.
        LineError::Down { .. } | LineError::Busy { .. } | LineError::Lent { .. } => DOWN,
        LineError::OutOfTime { .. } => LIMIT_SPENT,
    };
    line::LineError { code, detail: error.to_string() }
}

impl vault::Host for State {
    fn mac(
        &mut self,
        key: vault::Key,
        algorithm: u16,
        iv: Vec<u8>,
        data: Vec<u8>,
    ) -> Answer<Vec<u8>, vault::VaultError> {
        Ok(self.ask(|vault, scope| vault.mac(scope?, &name(&key), algorithm, &iv, &data)))
    }

    fn encrypt(
        &mut self,
        key: vault::Key,
        algorithm: u16,
        iv: Vec<u8>,
        associated: Vec<u8>,
        data: Vec<u8>,
    ) -> Answer<Vec<u8>, vault::VaultError> {
        let message = Message { iv: &iv, associated: &associated, data: &data };
        Ok(self.ask(|vault, scope| vault.encrypt(scope?, &name(&key), algorithm, message)))
    }

    fn decrypt(
        &mut self,
        key: vault::Key,
        algorithm: u16,
        iv: Vec<u8>,
        associated: Vec<u8>,
        data: Vec<u8>,
    ) -> Answer<Vec<u8>, vault::VaultError> {
        let message = Message { iv: &iv, associated: &associated, data: &data };
        Ok(self.ask(|vault, scope| vault.decrypt(scope?, &name(&key), algorithm, message)))
    }

    fn random(&mut self, length: u32) -> Answer<Vec<u8>, vault::VaultError> {
        Ok(self.ask(|_, _| Vault::random(length)))
    }
}

impl State {
    /// One request to the vault, charged before it is made.
    fn ask(
        &mut self,
        request: impl FnOnce(&Vault, Result<&Scope, Refused>) -> Result<Vec<u8>, Refused>,
    ) -> Result<Vec<u8>, vault::VaultError> {
        if let Err(detail) = self.take_vault_request() {
            return Err(vault::VaultError { code: NO_MORE, detail: detail.to_owned() });
        }
        // Whose keys this driver may use.
        let scope = self.scope.as_ref().ok_or(Refused::NoVendor);
        request(&self.vault, scope).map_err(refused)
    }
}

fn name(key: &vault::Key) -> KeyName<'_> {
    let path = key
        .path
        .iter()
        .map(|step| Derivation { algorithm: step.algorithm, factor: &step.factor })
        .collect();
    KeyName { label: &key.label, path }
}

fn refused(refused: Refused) -> vault::VaultError {
    vault::VaultError { code: refused.code(), detail: refused.to_string() }
}

impl log::Host for State {
    fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        if level == log::Level::Error {
            self.keep_last_words(&message);
        }
        let level: Level = level.carried();
        let Some(line) = self.log_line(level, &message) else { return Ok(()) };
        let driver = &*self.driver;
        match level {
            Level::Trace => tracing::trace!(driver, "{line}"),
            Level::Debug => tracing::debug!(driver, "{line}"),
            Level::Info => tracing::info!(driver, "{line}"),
            Level::Warn => tracing::warn!(driver, "{line}"),
            Level::Error => tracing::error!(driver, "{line}"),
        }
        Ok(())
    }
}

impl types::Host for State {}
