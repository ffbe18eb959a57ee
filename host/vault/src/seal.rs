//! How bytes are sealed under a passphrase, and the header that says so.
//!
//! ```text
//! offset  length
//!      0       8  "PMVAULT\0"
//!      8       2  format, 1
//!     10       1  key derivation, 1 = argon2id version 0x13
//!     11       4  its memory in KiB
//!     15       4  its passes
//!     19       4  its lanes
//!     23      16  its salt, new at every write
//!     39       1  cipher, 1 = AES-256-GCM with a tag of 16 bytes
//!     40      12  its initial value, new at every write
//!     52       -  cipher text and tag; bytes 0 to 51 are its associated data
//! ```
//!
//! Numbers are big-endian. Invariant: no byte of a file is free; nothing of the header is trusted
//! beyond its bounds before the tag has been checked under it.

use crate::error::StoreError;
use crate::limits::{ARGON_LANES, ARGON_MEMORY_KIB, ARGON_PASSES};
use crate::secret::Secret;
use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{Aead, KeyInit, Nonce, Payload};
use argon2::{Algorithm, Argon2, Params, Version};
use std::path::Path;
use zeroize::Zeroizing;

const MAGIC: &[u8; 8] = b"PMVAULT\0";
const FORMAT: u16 = 1;
const ARGON2ID: u8 = 1;
const AES_256_GCM: u8 = 1;
const SALT_BYTES: usize = 16;
const NONCE_BYTES: usize = 12;
const HEADER_BYTES: usize = 52;
const KEY_BYTES: usize = 32;

/// What one try at a passphrase costs. It stands in the file, so that it may rise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Cost {
    /// For what a person made up. RFC 9106, 4: the second recommended option.
    pub const PERSON: Cost = Cost { memory_kib: 64 << 10, passes: 3, lanes: 4 };
    /// For 256 random bits, which nobody guesses at any price.
    pub const GENERATED: Cost = Cost { memory_kib: 1 << 10, passes: 1, lanes: 1 };

    fn is_bearable(self) -> bool {
        (1..=ARGON_MEMORY_KIB).contains(&self.memory_kib)
            && (1..=ARGON_PASSES).contains(&self.passes)
            && (1..=ARGON_LANES).contains(&self.lanes)
    }
}

/// `plain`, sealed.
pub fn sealed(passphrase: &Secret, cost: Cost, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
    let mut fresh = [0; SALT_BYTES + NONCE_BYTES];
    getrandom::fill(&mut fresh).map_err(|_| StoreError::NoRandomSource)?;
    let (salt, nonce) = fresh.split_at(SALT_BYTES);
    let mut file = Vec::with_capacity(HEADER_BYTES + plain.len() + 16);
    file.extend(MAGIC);
    file.extend(FORMAT.to_be_bytes());
    file.push(ARGON2ID);
    for number in [cost.memory_kib, cost.passes, cost.lanes] {
        file.extend(number.to_be_bytes());
    }
    file.extend(salt);
    file.push(AES_256_GCM);
    file.extend(nonce);
    let cipher = cipher(passphrase, cost, salt).ok_or(StoreError::NoRandomSource)?;
    let nonce = <&Nonce<Aes256Gcm>>::try_from(nonce).map_err(|_| StoreError::NoRandomSource)?;
    let cipher_text = cipher
        .encrypt(nonce, Payload { msg: plain, aad: &file })
        .map_err(|_| StoreError::NoRandomSource)?;
    file.extend(cipher_text);
    Ok(file)
}

/// What was sealed, and at what cost. `path` is for messages.
pub fn opened(
    path: &Path,
    passphrase: &Secret,
    file: &[u8],
) -> Result<(Zeroizing<Vec<u8>>, Cost), StoreError> {
    let not = |why| StoreError::NotAVault { path: path.to_owned(), why };
    let Some((header, cipher_text)) = file.split_at_checked(HEADER_BYTES) else {
        return Err(not("it is too short"));
    };
    let mut reader = header;
    if take::<8>(&mut reader) != *MAGIC {
        return Err(not("it does not begin with PMVAULT"));
    }
    let version = u16::from_be_bytes(take(&mut reader));
    if version != FORMAT {
        return Err(StoreError::NewerFormat { path: path.to_owned(), version });
    }
    let [derivation] = take(&mut reader);
    let [memory_kib, passes, lanes] = [(); 3].map(|()| u32::from_be_bytes(take(&mut reader)));
    let salt = take::<SALT_BYTES>(&mut reader);
    let [aead] = take(&mut reader);
    let nonce = take::<NONCE_BYTES>(&mut reader);
    if (derivation, aead) != (ARGON2ID, AES_256_GCM) {
        return Err(not("its key derivation or its cipher has no such number in format 1"));
    }
    let cost = Cost { memory_kib, passes, lanes };
    if !cost.is_bearable() {
        return Err(not("opening it would cost more memory or time than is allowed"));
    }
    let closed = || StoreError::DoesNotOpen { path: path.to_owned() };
    let cipher = cipher(passphrase, cost, &salt).ok_or_else(closed)?;
    let plain = cipher
        .decrypt(&Nonce::<Aes256Gcm>::from(nonce), Payload { msg: cipher_text, aad: header })
        .map_err(|_| closed())?;
    Ok((Zeroizing::new(plain), cost))
}

/// The next bytes of a header whose length has been checked; zeros behind its end.
fn take<const N: usize>(reader: &mut &[u8]) -> [u8; N] {
    match reader.split_first_chunk::<N>() {
        Some((bytes, rest)) => {
            *reader = rest;
            *bytes
        }
        None => [0; N],
    }
}

/// `None`: the numbers are none that argon2 works with.
fn cipher(passphrase: &Secret, cost: Cost, salt: &[u8]) -> Option<Aes256Gcm> {
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(KEY_BYTES)).ok()?;
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    argon.hash_password_into(passphrase.expose(), salt, key.as_mut()).ok()?;
    Aes256Gcm::new_from_slice(key.as_ref()).ok()
}
