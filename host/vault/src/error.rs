//! Why a store of keys could not be opened or changed. No message holds a byte of a key, of a
//! passphrase or of a PIN; every one says what to do where that is not plain.

use crate::kind::Kind;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{path} cannot be read")]
    Unreadable {
        path: PathBuf,
        #[source]
        source: Box<std::io::Error>,
    },
    #[error("{path} cannot be written")]
    Unwritable {
        path: PathBuf,
        #[source]
        source: Box<std::io::Error>,
    },
    #[error("{path} may be read by others (mode {mode:o}): chmod 600 {path}")]
    NotPrivate { path: PathBuf, mode: u32 },
    #[error("{path} is longer than the {limit} bytes allowed")]
    TooLong { path: PathBuf, limit: u64 },
    #[error("{path} is there already")]
    Exists { path: PathBuf },
    #[error("{path} is no vault file: {why}")]
    NotAVault { path: PathBuf, why: &'static str },
    #[error("{path} is a vault of format {version}, and this program knows format 1")]
    NewerFormat { path: PathBuf, version: u16 },
    #[error("{path} does not open: the passphrase is another one, or the file was changed")]
    DoesNotOpen { path: PathBuf },
    #[error("{path} opens but its line {line} is not understood")]
    BadLine { path: PathBuf, line: usize },
    #[error("the passphrase has fewer than {least} bytes: take a longer one")]
    ShortPassphrase { least: usize },
    #[error("the environment variable {0} is not set")]
    NoVariable(String),
    #[error("$CREDENTIALS_DIRECTORY is not set: systemd sets it for units with LoadCredential=")]
    NoCredentials,
    #[error("{0} holds nothing that could unlock the vault")]
    EmptySecret(String),
    #[error("the random source of this machine does not answer")]
    NoRandomSource,
    #[error("a key for {kind} has {lengths}, and this one has {found}")]
    KeyLength { kind: Kind, lengths: &'static str, found: usize },
    #[error("tables of EA07 hold every number once: two of 16, then one of 64")]
    NotTables,
    #[error("this is not a key in hexadecimal digits")]
    NotHex,
    #[error("there is a key {0} already: `vault rotate` gives it a new version")]
    KeyExists(String),
    #[error("there is no key {0}: `vault add` puts in a first one")]
    NoSuchKey(String),
    #[error("these keys are in the vault already and differ from the backup's: {0}")]
    Conflict(String),
    #[error("{what} of token `{token}` through {library}: {why}")]
    Token { what: &'static str, token: String, library: PathBuf, why: String },
    #[error("{library} cannot be used as a PKCS#11 library: {why}")]
    Library { library: PathBuf, why: String },
    #[error("{library} has no token `{token}`; it has: {found}")]
    NoToken { library: PathBuf, token: String, found: String },
    #[error("a key for {kind} cannot be in a token: {why}; keep it in a vault file")]
    NotForTokens { kind: Kind, why: &'static str },
}

impl StoreError {
    pub(crate) fn no_variable(name: &str) -> StoreError {
        StoreError::NoVariable(name.to_owned())
    }
}
