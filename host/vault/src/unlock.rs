//! What unlocks a store: a passphrase or a PIN, from where an admin can put it without showing it to
//! other users of the machine. Never from a command line, which they can see.

use crate::error::StoreError;
use crate::private::{Readers, bytes_of};
use crate::secret::Secret;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unlock {
    /// A file that only its owner may read.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// A credential of the systemd unit (`LoadCredential=` or `LoadCredentialEncrypted=`).
    Credential(String),
}

/// Where systemd puts a unit's credentials.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";
/// 256 bits.
const GENERATED_BYTES: usize = 32;

impl Unlock {
    /// Line ends and blanks at both ends are not part of it.
    pub fn read(&self) -> Result<Secret, StoreError> {
        let secret = match self {
            Unlock::File(path) => bytes_of(path, Readers::OwnerOnly)?,
            Unlock::Environment(name) => {
                use std::os::unix::ffi::OsStringExt;
                let value = std::env::var_os(name);
                Secret::new(value.ok_or_else(|| StoreError::no_variable(name))?.into_vec())
            }
            Unlock::Credential(name) => {
                let folder = std::env::var_os(CREDENTIALS).ok_or(StoreError::NoCredentials)?;
                bytes_of(&Path::new(&folder).join(name), Readers::AsItIs)?
            }
        };
        let trimmed = Secret::new(secret.expose().trim_ascii().to_vec());
        if trimmed.is_empty() {
            Err(StoreError::EmptySecret(self.to_string()))
        } else {
            Ok(trimmed)
        }
    }
}

impl std::fmt::Display for Unlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unlock::File(path) => write!(f, "{}", path.display()),
            Unlock::Environment(name) => write!(f, "the environment variable {name}"),
            Unlock::Credential(name) => write!(f, "the credential {name}"),
        }
    }
}

/// A passphrase that no one has to remember, in hexadecimal digits.
pub fn generated_passphrase() -> Result<Secret, StoreError> {
    let bytes = Secret::random(GENERATED_BYTES).map_err(|_| StoreError::NoRandomSource)?;
    let mut digits = vec![0; GENERATED_BYTES * 2];
    hex::encode_to_slice(bytes.expose(), &mut digits).map_err(|_| StoreError::NoRandomSource)?;
    Ok(Secret::new(digits))
}
