//! For those who watch the process: is it alive, can it serve.

use super::error::{ApiError, Problem};
use crate::app::App;
use axum::extract::State;
use axum::http::StatusCode;

/// The process answers.
#[utoipa::path(get, path = "/healthz", tag = "health", security(()), responses(
    (status = 200, description = "It does", body = String, content_type = "text/plain"),
))]
pub async fn alive() -> &'static str {
    "ok\n"
}

/// The database answers, so that requests can be served.
#[utoipa::path(get, path = "/readyz", tag = "health", security(()), responses(
    (status = 200, description = "It does", body = String, content_type = "text/plain"),
    (status = 503, description = "`storage`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn ready(State(app): State<App>) -> Result<&'static str, ApiError> {
    match app.service.unsettled_sales().await {
        Ok(_) => Ok("ready\n"),
        Err(error) => {
            let unavailable = StatusCode::SERVICE_UNAVAILABLE;
            Err(ApiError { status: unavailable, ..ApiError::from(error) })
        }
    }
}
