//! Logging in and out.

use super::error::{ApiError, Problem};
use super::extract::Body;
use crate::app::App;
use crate::session::Caller;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogIn {
    pub name: String,
    pub password: String,
}

impl fmt::Debug for LogIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogIn({}, [redacted])", self.name)
    }
}

/// A live session, 12 hours long.
#[derive(Serialize, ToSchema)]
pub struct Session {
    /// For `Authorization: Bearer ...`.
    pub token: String,
    pub operator_id: String,
    pub name: String,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({}, [redacted])", self.name)
    }
}

/// Begin a session. Wrong passwords are throttled by name.
#[utoipa::path(post, path = "/api/v1/sessions", tag = "sessions",
    request_body = LogIn, security(()), responses(
    (status = 201, description = "The session", body = Session),
    (status = 401, description = "`bad-login`", body = Problem,
        content_type = "application/problem+json"),
    (status = 429, description = "`too-many-logins`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn log_in(
    State(app): State<App>,
    Body(request): Body<LogIn>,
) -> Result<(StatusCode, Json<Session>), ApiError> {
    let (operator, token) = app.service.log_in(&request.name, &request.password).await?;
    let operator_id = operator.operator_id.to_string();
    Ok((StatusCode::CREATED, Json(Session { token, operator_id, name: operator.name })))
}

/// End this session.
#[utoipa::path(delete, path = "/api/v1/sessions/current", tag = "sessions", responses(
    (status = 204, description = "It is over"),
    (status = 401, description = "`not-logged-in`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn log_out(State(app): State<App>, caller: Caller) -> Result<StatusCode, ApiError> {
    app.service.log_out(&caller.token).await?;
    Ok(StatusCode::NO_CONTENT)
}
