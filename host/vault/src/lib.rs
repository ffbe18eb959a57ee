//! Keys, and the crypto that drivers may ask for by a key's name.
//!
//! Invariant: a key goes in and never comes out again, neither to a driver nor to a log nor to an
//! error; the one exception is a backup, encrypted under a passphrase of its own. A driver reaches
//! the keys of its vendor that have no region or its own region, and no other.
//! Not here: which driver may ask at all (runtime), the command line (server).
//!
//! A [`Vault`] answers drivers. It is opened from one of two stores: an encrypted file
//! ([`KeyFile`], whose format stands in `file.rs`), or a PKCS#11 token ([`Token`]), whose keys stay
//! where they are.

mod algorithm;
mod check_value;
mod error;
mod file;
mod key_line;
mod kind;
mod limits;
mod name;
mod private;
mod process;
mod refused;
mod seal;
mod secret;
mod soft;
mod sts;
mod token;
mod token_keys;
mod unlock;
mod vault;
mod wrap;

pub use error::StoreError;
pub use file::KeyFile;
pub use kind::{Kind, Use};
pub use name::{KeyId, Label, Scope};
pub use private::{private_bytes, secret_from, write_private};
pub use process::keep_out_of_core_files;
pub use refused::Refused;
pub use seal::Cost;
pub use secret::Secret;
pub use token::Token;
pub use unlock::{Unlock, generated_passphrase};
pub use vault::{Derivation, KeyInfo, KeyName, Message, Vault};
