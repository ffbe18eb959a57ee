//! Logging in and out: random tokens of which only the hash is stored.
//!
//! Invariants: a name that nobody has costs and answers what a wrong password does, and so does one
//! that is disabled; what an operator may do is looked up with every request, so that a right taken
//! away is gone at once.

use super::password::sha256;
use super::{Operator, Row, password};
use crate::Service;
use crate::audit::{self, Act, Actor};
use crate::error::{Result, ServiceError};
use crate::limits::SESSION_LENGTH;
use crate::stored;
use polymeter_domain::OperatorId;

impl Service {
    /// A fresh session's token (32 random bytes, hex); only its hash is stored. Guesses are throttled
    /// per name.
    pub async fn log_in(&self, name: &str, password: &str) -> Result<(Operator, String)> {
        let name = name.trim();
        self.inner.passwords.admit(name, self.clock().at())?;
        let found: Option<(String, String, Option<i64>)> = sqlx::query_as(
            "select operator_id, password_hash, disabled_at_ms from operator where name = $1",
        )
        .bind(name)
        .fetch_optional(self.reader())
        .await?;
        let (operator_id, stored, is_enabled) = match found {
            Some((id, hash, disabled_at_ms)) => {
                let id = stored::parsed("operator_id", &id)?;
                (Some(OperatorId::new(id)), Some(hash), disabled_at_ms.is_none())
            }
            None => (None, None, false),
        };
        let right = self.inner.passwords.verify(password, stored).await?;
        let Some(operator_id) = operator_id.filter(|_| right && is_enabled) else {
            self.audit_failed_login(operator_id).await?;
            return Err(ServiceError::BadLogin);
        };
        self.inner.passwords.forgive(name);
        let token = self.open_session(operator_id).await?;
        Ok((self.operator(operator_id).await?, token))
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
        let (token, at) = (password::secret()?, self.clock().at());
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

    /// The operator of a live session (12 h), with the rights of this moment.
    pub async fn session(&self, token: &str) -> Result<Option<Operator>> {
        let found: Option<Row> = sqlx::query_as(
            "select operator.operator_id, operator.name, disabled_at_ms,
                    coalesce((select string_agg(operator_right.name, ',') from operator_right
                              where operator_right.operator_id = operator.operator_id), '')
                        as rights
             from session join operator on operator.operator_id = session.operator_id
             where token_hash = $1 and expires_at_ms > $2 and disabled_at_ms is null",
        )
        .bind(sha256(token))
        .bind(self.clock().at().0)
        .fetch_optional(self.reader())
        .await?;
        found.map(Operator::try_from).transpose()
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
