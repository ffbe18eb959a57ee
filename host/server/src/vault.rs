//! From `[vault]` of the configuration to a vault that answers, in a process that leaves no core file.
//!
//! Not here: the algorithms and the stores themselves (`polymeter-vault`), changing one
//! (commands/vault.rs).

use crate::app::{AppError, chain};
use crate::config::{Config, Problem, Problems, Store, VaultEntry};
use polymeter_vault::{KeyFile, StoreError, Token, Vault};

/// The configured vault; an empty one where there is none.
pub fn open(config: &Config) -> Result<Vault, AppError> {
    let Some(entry) = &config.vault else { return Ok(Vault::default()) };
    opened(entry).map_err(|error| {
        AppError::Vault(Problems::from(Problem {
            file: config.file.clone(),
            line: Some(entry.line),
            what: format!("the vault does not open: {}", chain(&error)),
            fix: "mend it, or make one with `polymeter vault init`".to_owned(),
        }))
    })
}

fn opened(entry: &VaultEntry) -> Result<Vault, StoreError> {
    guard();
    let unlock = entry.unlock.read()?;
    match &entry.store {
        Store::File(path) => Ok(KeyFile::open(path, unlock)?.vault()),
        Store::Token { library, token } => Token::open(library, token, &unlock)?.vault(),
    }
}

/// Before the first key is in memory.
pub fn guard() {
    if let Err(error) = polymeter_vault::keep_out_of_core_files() {
        tracing::warn!(%error, "a core file of this process would hold its keys");
    }
}
