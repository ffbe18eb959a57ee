//! Operators: the first one made by a link that works once, passwords under argon2id, sessions by
//! random tokens of which only the hash is stored.
//!
//! Invariants: there is no default password; a name that nobody has costs and answers what a wrong
//! password does; hashing never runs on the async threads. Secrets come from the system's random
//! source and never reach a log or the audit trail.

use crate::Service;
use crate::audit::{self, Act, Actor};
use crate::clock::UnixMs;
use crate::customer::typed_not_empty;
use crate::error::{Result, ServiceError, bad_column, invalid};
use crate::limits::{
    CONCURRENT_HASHES, MAX_OPERATOR_NAME_CHARS, MAX_PASSWORD_CHARS, MIN_PASSWORD_CHARS,
    SECRET_BYTES, SESSION_LENGTH,
};
use crate::throttle::Throttle;
use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use polymeter_domain::OperatorId;
use polymeter_ledger::Transaction;
use sha2::{Digest, Sha256};
use std::sync::{Mutex, PoisonError};
use tokio::sync::Semaphore;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    pub operator_id: OperatorId,
    pub name: String,
}

/// What passwords are checked with.
pub(crate) struct Passwords {
    throttle: Mutex<Throttle>,
    hashing: Semaphore,
    /// Of a password that nobody knows: what unknown names are checked against.
    nobodys_hash: String,
}

impl std::fmt::Debug for Passwords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passwords([redacted])")
    }
}

impl Passwords {
    pub(crate) async fn new() -> Result<Passwords> {
        let hashing = Semaphore::new(CONCURRENT_HASHES);
        let nobodys_hash = hash(&hashing, secret()?).await?;
        Ok(Passwords { throttle: Mutex::default(), hashing, nobodys_hash })
    }

    fn admit(&self, name: &str, at: UnixMs) -> Result<()> {
        let mut throttle = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        throttle.admit(name, at).map_err(|wait_ms| ServiceError::TooManyLogins {
            retry_after_s: u64::try_from(wait_ms).unwrap_or(0).div_ceil(1000),
        })
    }

    fn forgive(&self, name: &str) {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner).forgive(name);
    }
}

/// 32 random bytes in hex.
fn secret() -> Result<String> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| ServiceError::Storage(Box::new(error)))?;
    Ok(hex::encode(bytes))
}

/// Enough for a secret that cannot be guessed; passwords go through argon2.
fn sha256(secret: &str) -> String {
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

impl Service {
    /// `None` once there is an operator. The secret part of the first-run link; valid once, and only
    /// until the next call: a link on an old terminal does not open the door.
    pub async fn setup_secret(&self) -> Result<Option<String>> {
        let (fresh, at) = (secret()?, self.clock().at());
        let secret_hash = sha256(&fresh);
        let made = self
            .database()
            .write(move |tx| {
                Box::pin(async move {
                    if operators(tx).await? > 0 {
                        return Ok::<_, ServiceError>(false);
                    }
                    sqlx::query(
                        "insert into setup_secret (only_row, secret_hash, created_at_ms)
                         values (1, $1, $2)
                         on conflict (only_row)
                         do update set secret_hash = $1, created_at_ms = $2",
                    )
                    .bind(secret_hash)
                    .bind(at.0)
                    .execute(tx.connection())
                    .await?;
                    Ok(true)
                })
            })
            .await?;
        Ok(made.then_some(fresh))
    }

    /// First run only: makes the first operator. Password at least 10 characters.
    pub async fn set_up(&self, secret: &str, name: &str, password: &str) -> Result<Operator> {
        let secret_hash = sha256(secret);
        // Looked at before the hashing, so that a wrong link costs nothing; the transaction looks
        // again, so that a right one works once.
        let known: i64 =
            sqlx::query_scalar("select count(*) from setup_secret where secret_hash = $1")
                .bind(&secret_hash)
                .fetch_one(self.reader())
                .await?;
        if known == 0 {
            return Err(ServiceError::BadSetupLink);
        }
        let name = typed_not_empty("name", name, MAX_OPERATOR_NAME_CHARS)?;
        check_password(password)?;
        let password_hash = hash(&self.inner.passwords.hashing, password.to_owned()).await?;
        let operator = Operator { operator_id: OperatorId::new(self.clock().id()), name };
        let at = self.clock().at();
        let made = self
            .database()
            .write(move |tx| {
                Box::pin(async move {
                    let used = sqlx::query("delete from setup_secret where secret_hash = $1")
                        .bind(secret_hash)
                        .execute(tx.connection())
                        .await?;
                    if used.rows_affected() == 0 || operators(tx).await? > 0 {
                        return Err(ServiceError::BadSetupLink);
                    }
                    insert(tx, &operator, password_hash, at).await?;
                    Ok(operator)
                })
            })
            .await?;
        tracing::info!(operator_id = %made.operator_id, "first operator made");
        Ok(made)
    }

    /// A fresh session's token (32 random bytes, hex); only its hash is stored. Guesses are throttled
    /// per name.
    pub async fn log_in(&self, name: &str, password: &str) -> Result<(Operator, String)> {
        let name = name.trim();
        self.inner.passwords.admit(name, self.clock().at())?;
        let found: Option<(String, String)> =
            sqlx::query_as("select operator_id, password_hash from operator where name = $1")
                .bind(name)
                .fetch_optional(self.reader())
                .await?;
        let (operator_id, stored) = match found {
            Some((id, hash)) => (
                Some(OperatorId::new(id.parse().map_err(|_| bad_column("operator_id", id))?)),
                hash,
            ),
            None => (None, self.inner.passwords.nobodys_hash.clone()),
        };
        // Cut, so that nobody can have megabytes hashed; no right password is this long.
        let password: String = password.chars().take(MAX_PASSWORD_CHARS + 1).collect();
        let right = verify(&self.inner.passwords.hashing, password, stored).await?;
        let Some(operator_id) = operator_id.filter(|_| right) else {
            self.audit_failed_login(operator_id).await?;
            return Err(ServiceError::BadLogin);
        };
        self.inner.passwords.forgive(name);
        let token = self.open_session(operator_id).await?;
        Ok((Operator { operator_id, name: name.to_owned() }, token))
    }

    /// A name that nobody has is not written down: it is sometimes a password in the wrong field.
    async fn audit_failed_login(&self, operator_id: Option<OperatorId>) -> Result<()> {
        let at = self.clock().at();
        let object = match operator_id {
            Some(id) => format!("operator/{id}"),
            None => "operator/unknown".to_owned(),
        };
        tracing::warn!(object, "login failed");
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    let actor = &Actor::System;
                    let act = Act { at, actor, act: "login-failed", object, detail: "" };
                    audit::record(tx.connection(), act).await
                })
            })
            .await
    }

    async fn open_session(&self, operator_id: OperatorId) -> Result<String> {
        let (token, at) = (secret()?, self.clock().at());
        let token_hash = sha256(&token);
        let length_ms = i64::try_from(SESSION_LENGTH.as_millis()).unwrap_or(i64::MAX);
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    sqlx::query("delete from session where expires_at_ms <= $1")
                        .bind(at.0)
                        .execute(tx.connection())
                        .await?;
                    sqlx::query(
                        "insert into session (token_hash, operator_id, created_at_ms, expires_at_ms)
                         values ($1, $2, $3, $4)",
                    )
                    .bind(token_hash)
                    .bind(operator_id.to_string())
                    .bind(at.0)
                    .bind(at.0.saturating_add(length_ms))
                    .execute(tx.connection())
                    .await?;
                    let actor = &Actor::Operator(operator_id);
                    let object = format!("operator/{operator_id}");
                    let act = Act { at, actor, act: "logged-in", object, detail: "" };
                    audit::record(tx.connection(), act).await
                })
            })
            .await?;
        Ok(token)
    }

    /// The operator of a live session (12 h).
    pub async fn session(&self, token: &str) -> Result<Option<Operator>> {
        let found: Option<(String, String)> = sqlx::query_as(
            "select operator.operator_id, name from session
             join operator on operator.operator_id = session.operator_id
             where token_hash = $1 and expires_at_ms > $2",
        )
        .bind(sha256(token))
        .bind(self.clock().at().0)
        .fetch_optional(self.reader())
        .await?;
        let Some((id, name)) = found else { return Ok(None) };
        let operator_id = id.parse().map_err(|_| bad_column("operator_id", id))?;
        Ok(Some(Operator { operator_id, name }))
    }

    /// Ends a session; ending one that is over is no error.
    pub async fn log_out(&self, token: &str) -> Result<()> {
        let token_hash = sha256(token);
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    sqlx::query("delete from session where token_hash = $1")
                        .bind(token_hash)
                        .execute(tx.connection())
                        .await?;
                    Ok(())
                })
            })
            .await
    }
}

fn check_password(password: &str) -> Result<()> {
    let characters = password.chars().count();
    if characters < MIN_PASSWORD_CHARS {
        return Err(invalid("password", format!("fewer than {MIN_PASSWORD_CHARS} characters")));
    }
    if characters > MAX_PASSWORD_CHARS {
        return Err(invalid("password", format!("more than {MAX_PASSWORD_CHARS} characters")));
    }
    Ok(())
}

async fn operators(tx: &mut Transaction) -> Result<i64> {
    Ok(sqlx::query_scalar("select count(*) from operator").fetch_one(tx.connection()).await?)
}

async fn insert(
    tx: &mut Transaction,
    operator: &Operator,
    password_hash: String,
    at: UnixMs,
) -> Result<()> {
    sqlx::query(
        "insert into operator (operator_id, name, password_hash, created_at_ms)
         values ($1, $2, $3, $4)",
    )
    .bind(operator.operator_id.to_string())
    .bind(&operator.name)
    .bind(password_hash)
    .bind(at.0)
    .execute(tx.connection())
    .await?;
    let object = format!("operator/{}", operator.operator_id);
    let act =
        Act { at, actor: &Actor::System, act: "operator-made", object, detail: "by setup link" };
    audit::record(tx.connection(), act).await
}
