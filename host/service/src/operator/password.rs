//! Passwords: under argon2id, guesses slowed down, hashing never on the async threads.
//!
//! Invariant: secrets come from the system's random source and reach neither log nor audit trail.
//! Not here: who may have a new password (the module above), sessions.

use crate::clock::UnixMs;
use crate::error::{Result, ServiceError, bad_column, invalid};
use crate::limits::{CONCURRENT_HASHES, MAX_PASSWORD_CHARS, MIN_PASSWORD_CHARS, SECRET_BYTES};
use crate::throttle::Throttle;
use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use sha2::{Digest, Sha256};
use std::sync::{Mutex, PoisonError};
use tokio::sync::{OnceCell, Semaphore};

/// What passwords are checked with.
pub(crate) struct Passwords {
    throttle: Mutex<Throttle>,
    hashing: Semaphore,
    /// Of a password that nobody knows: what unknown names are checked against. Made by the first
    /// login, whoever asks, so that a start does not wait for it and no name is told by it.
    nobodys_hash: OnceCell<String>,
}

impl std::fmt::Debug for Passwords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passwords([redacted])")
    }
}

impl Passwords {
    pub(crate) fn new() -> Passwords {
        Passwords {
            throttle: Mutex::default(),
            hashing: Semaphore::new(CONCURRENT_HASHES),
            nobodys_hash: OnceCell::new(),
        }
    }

    pub(super) fn admit(&self, name: &str, at: UnixMs) -> Result<()> {
        let mut throttle = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        throttle.admit(name, at).map_err(|wait_ms| ServiceError::TooManyLogins {
            retry_after_s: u64::try_from(wait_ms).unwrap_or(0).div_ceil(1000),
        })
    }

    pub(super) fn forgive(&self, name: &str) {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner).forgive(name);
    }

    pub(super) async fn hash(&self, password: &str) -> Result<String> {
        hash(&self.hashing, password.to_owned()).await
    }

    /// Against a stored hash; without one, at the same cost, against nobody's.
    pub(super) async fn verify(&self, password: &str, stored: Option<String>) -> Result<bool> {
        // Cut, so that nobody can have megabytes hashed; no right password is this long.
        let password: String = password.chars().take(MAX_PASSWORD_CHARS + 1).collect();
        let nobodys_hash = self
            .nobodys_hash
            .get_or_try_init(|| async { hash(&self.hashing, secret()?).await })
            .await?;
        let stored = stored.unwrap_or_else(|| nobodys_hash.clone());
        verify(&self.hashing, password, stored).await
    }
}

/// 32 random bytes in hex.
pub(super) fn secret() -> Result<String> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| ServiceError::Storage(Box::new(error)))?;
    Ok(hex::encode(bytes))
}

/// Enough for a secret that cannot be guessed; passwords go through argon2.
pub(super) fn sha256(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

/// Argon2id at the crate's default cost (19 MiB, two passes: OWASP's minimum).
async fn hash(hashing: &Semaphore, password: String) -> Result<String> {
    let _permit = hashing.acquire().await.expect("the semaphore is never closed");
    let hashed = tokio::task::spawn_blocking(move || {
        Argon2::default().hash_password(password.as_bytes()).map(|hash| hash.to_string())
    })
    .await;
    match hashed {
        Ok(Ok(hash)) => Ok(hash),
        Ok(Err(error)) => Err(ServiceError::Storage(Box::new(error))),
        Err(error) => Err(ServiceError::Storage(Box::new(error))),
    }
}

async fn verify(hashing: &Semaphore, password: String, stored: String) -> Result<bool> {
    let _permit = hashing.acquire().await.expect("the semaphore is never closed");
    let verified = tokio::task::spawn_blocking(move || {
        let hash = PasswordHash::new(&stored).map_err(|_| bad_column("password_hash", "..."))?;
        Ok(Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
    })
    .await;
    verified.map_err(|error| ServiceError::Storage(Box::new(error)))?
}

pub(super) fn check_password(password: &str) -> Result<()> {
    let characters = password.chars().count();
    if characters < MIN_PASSWORD_CHARS {
        return Err(invalid("password", format!("fewer than {MIN_PASSWORD_CHARS} characters")));
    }
    if characters > MAX_PASSWORD_CHARS {
        return Err(invalid("password", format!("more than {MAX_PASSWORD_CHARS} characters")));
    }
    Ok(())
}
