//! Operators: who may log in, and what each may do (操作员管理).
//!
//! Invariant: a password comes in and never goes out. Not here: sessions (auth).

use super::error::{ApiError, Problem};
use super::extract::{Body, Id};
use super::values::time;
use crate::app::App;
use crate::session::Caller;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use polymeter_domain::OperatorId;
use polymeter_service as service;
use polymeter_service::{Right, Rights};
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOperator {
    pub name: String,
    /// At least 10 characters.
    pub password: String,
    /// Of `sell`, `refund`, `approve`, `customers`, `supply`, `settings`, `tariffs`, `billing`,
    /// `ledger`, `drivers`, `operators`; without any, the operator may only look.
    #[serde(default)]
    pub rights: Vec<String>,
}

impl fmt::Debug for NewOperator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewOperator({}, [redacted], {:?})", self.name, self.rights)
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Operator {
    pub operator_id: String,
    pub name: String,
    pub rights: Vec<&'static str>,
    /// Since when they may not log in; `null`: they may.
    pub disabled_at: Option<String>,
}

impl From<&service::Operator> for Operator {
    fn from(operator: &service::Operator) -> Operator {
        Operator {
            operator_id: operator.operator_id.to_string(),
            name: operator.name.clone(),
            rights: operator.rights.iter().map(|right| right.name()).collect(),
            disabled_at: operator.disabled_at.map(time),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Operators {
    pub items: Vec<Operator>,
}

fn rights(names: &[String]) -> Result<Rights, ApiError> {
    let known = Right::ALL.map(Right::name).join(", ");
    let of = |name: &String| {
        Right::from_name(name)
            .ok_or_else(|| ApiError::invalid("rights", format!("`{name}` is none of {known}")))
    };
    names.iter().map(of).collect()
}

/// Every operator, by name.
#[utoipa::path(get, path = "/api/v1/operators", tag = "operators", responses(
    (status = 200, description = "All of them", body = Operators),
))]
pub async fn list(State(app): State<App>) -> Result<Json<Operators>, ApiError> {
    let items = app.service.operators().await?.iter().map(Operator::from).collect();
    Ok(Json(Operators { items }))
}

/// Let another person work here.
#[utoipa::path(post, path = "/api/v1/operators", tag = "operators",
    request_body = NewOperator, responses(
    (status = 201, description = "The operator", body = Operator),
    (status = 409, description = "`exists`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn add(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<NewOperator>,
) -> Result<(StatusCode, Json<Operator>), ApiError> {
    let rights = rights(&new.rights)?;
    let added = app.service.add_operator(&new.name, &new.password, rights, &caller.actor()).await?;
    Ok((StatusCode::CREATED, Json(Operator::from(&added))))
}

/// One operator.
#[utoipa::path(get, path = "/api/v1/operators/{operator_id}", tag = "operators",
    params(("operator_id" = String, Path)), responses(
    (status = 200, description = "The operator", body = Operator),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn get(
    State(app): State<App>,
    Id(id): Id<OperatorId>,
) -> Result<Json<Operator>, ApiError> {
    Ok(Json(Operator::from(&app.service.operator(id).await?)))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRights {
    /// All that they may do from now on.
    pub rights: Vec<String>,
}

/// Say what an operator may do; counts for their next request.
#[utoipa::path(put, path = "/api/v1/operators/{operator_id}/rights", tag = "operators",
    params(("operator_id" = String, Path)), request_body = NewRights, responses(
    (status = 200, description = "The operator", body = Operator),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`: no such right, or nobody would be left who may \
        change operators", body = Problem, content_type = "application/problem+json"),
))]
pub async fn set_rights(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<OperatorId>,
    Body(new): Body<NewRights>,
) -> Result<Json<Operator>, ApiError> {
    app.service.set_rights(id, rights(&new.rights)?, &caller.actor()).await?;
    get(State(app), Id(id)).await
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    /// At least 10 characters.
    pub password: String,
}

impl fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewPassword([redacted])")
    }
}

/// Give an operator who forgot theirs another password; ends their sessions.
#[utoipa::path(put, path = "/api/v1/operators/{operator_id}/password", tag = "operators",
    params(("operator_id" = String, Path)), request_body = NewPassword, responses(
    (status = 204, description = "It counts from now on"),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn set_password(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<OperatorId>,
    Body(new): Body<NewPassword>,
) -> Result<StatusCode, ApiError> {
    app.service.reset_password(id, &new.password, &caller.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewState {
    /// Disabled operators cannot log in; their sessions end at once.
    pub disabled: bool,
}

/// Disable or enable an operator (停用, 启用).
#[utoipa::path(put, path = "/api/v1/operators/{operator_id}/state", tag = "operators",
    params(("operator_id" = String, Path)), request_body = NewState, responses(
    (status = 200, description = "The operator", body = Operator),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`: nobody would be left who may change operators",
        body = Problem, content_type = "application/problem+json"),
))]
pub async fn set_state(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<OperatorId>,
    Body(new): Body<NewState>,
) -> Result<Json<Operator>, ApiError> {
    app.service.set_disabled(id, new.disabled, &caller.actor()).await?;
    get(State(app), Id(id)).await
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnPassword {
    pub old: String,
    /// At least 10 characters.
    pub new: String,
}

impl fmt::Debug for OwnPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnPassword([redacted])")
    }
}

/// Change your own password; ends your other sessions.
#[utoipa::path(put, path = "/api/v1/password", tag = "sessions",
    request_body = OwnPassword, responses(
    (status = 204, description = "It counts from now on"),
    (status = 422, description = "`invalid-field`", body = Problem,
        content_type = "application/problem+json"),
    (status = 429, description = "`too-many-logins`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn change_own_password(
    State(app): State<App>,
    caller: Caller,
    Body(passwords): Body<OwnPassword>,
) -> Result<StatusCode, ApiError> {
    let OwnPassword { old, new } = passwords;
    app.service.change_password(&caller.operator, &old, &new, &caller.token).await?;
    Ok(StatusCode::NO_CONTENT)
}
