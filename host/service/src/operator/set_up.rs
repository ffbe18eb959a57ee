//! The first operator, made by a link that works once: there is no default password.

use super::password::{check_password, secret, sha256};
use super::{Operator, Right, insert};
use crate::Service;
use crate::audit::Actor;
use crate::customer::typed_not_empty;
use crate::error::{Result, ServiceError};
use crate::limits::MAX_OPERATOR_NAME_CHARS;
use polymeter_domain::OperatorId;
use polymeter_ledger::Transaction;

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
        let password_hash = self.inner.passwords.hash(password).await?;
        let operator = Operator {
            operator_id: OperatorId::new(self.clock().id()),
            name,
            rights: Right::ALL.into(),
            disabled_at: None,
        };
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
                    insert(tx, &operator, password_hash, at, &Actor::System, "by setup link")
                        .await?;
                    Ok(operator)
                })
            })
            .await?;
        tracing::info!(operator_id = %made.operator_id, "first operator made");
        Ok(made)
    }
}

async fn operators(tx: &mut Transaction) -> Result<i64> {
    Ok(sqlx::query_scalar("select count(*) from operator").fetch_one(tx.connection()).await?)
}
