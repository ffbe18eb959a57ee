//! Operators: who may log in, what each may do, and their passwords.
//!
//! Invariants: every change stands in the audit trail with who made it; an operator who is disabled
//! or whose password another has set is logged out everywhere in the same transaction; there is
//! always somebody left who may change operators. Nobody is ever deleted: what they did bears their
//! name. Not here: which act needs which right (host/server).

mod password;
mod right;
mod session;
mod set_up;

pub(crate) use password::Passwords;
pub use right::{Right, Rights};

use crate::Service;
use crate::audit::{self, Act, Actor};
use crate::clock::UnixMs;
use crate::customer::typed_not_empty;
use crate::error::{Constraint, Result, ServiceError, invalid, violated};
use crate::limits::MAX_OPERATOR_NAME_CHARS;
use crate::stored;
use password::check_password;
use polymeter_domain::OperatorId;
use polymeter_ledger::Transaction;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    pub operator_id: OperatorId,
    pub name: String,
    pub rights: Rights,
    /// Since when they may not log in.
    pub disabled_at: Option<UnixMs>,
}

impl Operator {
    pub fn may(&self, right: Right) -> bool {
        self.rights.contains(&right)
    }
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    operator_id: String,
    name: String,
    disabled_at_ms: Option<i64>,
    rights: String,
}

impl TryFrom<Row> for Operator {
    type Error = ServiceError;
    fn try_from(row: Row) -> Result<Operator> {
        let Row { operator_id, name, disabled_at_ms, rights } = row;
        Ok(Operator {
            operator_id: stored::parsed("operator_id", &operator_id)?,
            name,
            rights: right::from_stored(&rights)?,
            disabled_at: disabled_at_ms.map(UnixMs),
        })
    }
}

impl Service {
    /// In the order of their names.
    pub async fn operators(&self) -> Result<Vec<Operator>> {
        self.operators_where(None).await
    }

    pub async fn operator(&self, id: OperatorId) -> Result<Operator> {
        let found = self.operators_where(Some(id)).await?.pop();
        found.ok_or_else(|| ServiceError::NotFound { what: "operator", id: id.to_string() })
    }

    /// All of them, or the one of this id.
    async fn operators_where(&self, id: Option<OperatorId>) -> Result<Vec<Operator>> {
        let rows: Vec<Row> = sqlx::query_as(
            "select operator_id, name, disabled_at_ms,
                    coalesce((select string_agg(operator_right.name, ',') from operator_right
                              where operator_right.operator_id = operator.operator_id), '')
                        as rights
             from operator where $1 is null or operator_id = $1 order by name",
        )
        .bind(id.map(|id| id.to_string()))
        .fetch_all(self.reader())
        .await?;
        rows.into_iter().map(Operator::try_from).collect()
    }

    pub async fn add_operator(
        &self,
        name: &str,
        password: &str,
        rights: Rights,
        actor: &Actor,
    ) -> Result<Operator> {
        let name = typed_not_empty("name", name, MAX_OPERATOR_NAME_CHARS)?;
        check_password(password)?;
        let password_hash = self.inner.passwords.hash(password).await?;
        let operator_id = OperatorId::new(self.clock().id());
        let operator = Operator { operator_id, name, rights, disabled_at: None };
        let (at, actor) = (self.clock().at(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    let detail = format!("may: {}", in_words(&operator.rights));
                    insert(tx, &operator, password_hash, at, &actor, &detail).await?;
                    Ok(operator)
                })
            })
            .await
    }

    pub async fn set_rights(&self, id: OperatorId, rights: Rights, actor: &Actor) -> Result<()> {
        let before = self.operator(id).await?;
        let (at, actor) = (self.clock().at(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    sqlx::query("delete from operator_right where operator_id = $1")
                        .bind(id.to_string())
                        .execute(tx.connection())
                        .await?;
                    give(tx, id, &rights).await?;
                    somebody_is_left(tx).await?;
                    let (old, new) = (in_words(&before.rights), in_words(&rights));
                    let detail = format!("from {old} to {new}");
                    record(tx, at, &actor, "operator-rights-changed", id, &detail).await
                })
            })
            .await
    }

    /// An operator who is disabled is logged out at once.
    pub async fn set_disabled(&self, id: OperatorId, disabled: bool, actor: &Actor) -> Result<()> {
        self.operator(id).await?;
        let (at, actor) = (self.clock().at(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    sqlx::query("update operator set disabled_at_ms = $2 where operator_id = $1")
                        .bind(id.to_string())
                        .bind(disabled.then_some(at.0))
                        .execute(tx.connection())
                        .await?;
                    let act = if disabled {
                        end_sessions(tx, id, None).await?;
                        "operator-disabled"
                    } else {
                        "operator-enabled"
                    };
                    somebody_is_left(tx).await?;
                    record(tx, at, &actor, act, id, "").await
                })
            })
            .await
    }

    /// A new password by somebody who may change operators: ends every session of its owner.
    pub async fn reset_password(
        &self,
        id: OperatorId,
        password: &str,
        actor: &Actor,
    ) -> Result<()> {
        self.operator(id).await?;
        self.store_password(id, password, None, "operator-password-reset", actor).await
    }

    /// A new password by its owner, who knows the old one. Ends their other sessions.
    pub async fn change_password(
        &self,
        operator: &Operator,
        old: &str,
        new: &str,
        token: &str,
    ) -> Result<()> {
        let id = operator.operator_id;
        let passwords = &self.inner.passwords;
        passwords.admit(&operator.name, self.clock().at())?;
        let stored: String =
            sqlx::query_scalar("select password_hash from operator where operator_id = $1")
                .bind(id.to_string())
                .fetch_one(self.reader())
                .await?;
        if !passwords.verify(old, Some(stored)).await? {
            return Err(invalid("old", "not the present password"));
        }
        passwords.forgive(&operator.name);
        let (keep, actor) = (password::sha256(token), Actor::Operator(id));
        self.store_password(id, new, Some(keep), "operator-password-changed", &actor).await
    }

    async fn store_password(
        &self,
        id: OperatorId,
        password: &str,
        keep_session: Option<String>,
        act: &'static str,
        actor: &Actor,
    ) -> Result<()> {
        check_password(password)?;
        let password_hash = self.inner.passwords.hash(password).await?;
        let (at, actor) = (self.clock().at(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    sqlx::query("update operator set password_hash = $2 where operator_id = $1")
                        .bind(id.to_string())
                        .bind(password_hash)
                        .execute(tx.connection())
                        .await?;
                    end_sessions(tx, id, keep_session).await?;
                    record(tx, at, &actor, act, id, "").await
                })
            })
            .await
    }
}

fn in_words(rights: &Rights) -> String {
    let names: Vec<&str> = rights.iter().map(|right| right.name()).collect();
    if names.is_empty() { "look only".to_owned() } else { names.join(", ") }
}

async fn end_sessions(tx: &mut Transaction, id: OperatorId, keep: Option<String>) -> Result<()> {
    sqlx::query("delete from session where operator_id = $1 and ($2 is null or token_hash <> $2)")
        .bind(id.to_string())
        .bind(keep)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// Or nobody could ever give a right again.
async fn somebody_is_left(tx: &mut Transaction) -> Result<()> {
    let left: i64 = sqlx::query_scalar(
        "select count(*) from operator
         join operator_right on operator_right.operator_id = operator.operator_id
         where operator_right.name = 'operators' and disabled_at_ms is null",
    )
    .fetch_one(tx.connection())
    .await?;
    if left > 0 {
        return Ok(());
    }
    Err(invalid("rights", "nobody would be left who may change operators; give that right first"))
}

async fn give(tx: &mut Transaction, id: OperatorId, rights: &Rights) -> Result<()> {
    for right in rights {
        sqlx::query("insert into operator_right (operator_id, name) values ($1, $2)")
            .bind(id.to_string())
            .bind(right.name())
            .execute(tx.connection())
            .await?;
    }
    Ok(())
}

async fn insert(
    tx: &mut Transaction,
    operator: &Operator,
    password_hash: String,
    at: UnixMs,
    actor: &Actor,
    detail: &str,
) -> Result<()> {
    let inserted = sqlx::query(
        "insert into operator (operator_id, name, password_hash, created_at_ms)
         values ($1, $2, $3, $4)",
    )
    .bind(operator.operator_id.to_string())
    .bind(&operator.name)
    .bind(password_hash)
    .bind(at.0)
    .execute(tx.connection())
    .await;
    match inserted {
        Ok(_) => {}
        Err(error) if violated(&error) == Some(Constraint::OperatorName) => {
            return Err(ServiceError::Exists { what: "operator", id: operator.name.clone() });
        }
        Err(error) => return Err(error.into()),
    }
    give(tx, operator.operator_id, &operator.rights).await?;
    record(tx, at, actor, "operator-made", operator.operator_id, detail).await
}

async fn record(
    tx: &mut Transaction,
    at: UnixMs,
    actor: &Actor,
    act: &'static str,
    id: OperatorId,
    detail: &str,
) -> Result<()> {
    let object = format!("operator/{id}");
    audit::record(tx.connection(), Act { at, actor, act, object, detail }).await
}
