//! The audit trail: who did which risky act to what, and why (操作日志).

use super::error::{ApiError, Problem};
use super::extract::Parameters;
use super::values::{Paged, time};
use crate::app::App;
use axum::Json;
use axum::extract::State;
use polymeter_domain::OperatorId;
use polymeter_service::{Actor, AuditEntry, Page};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WhichActs {
    /// Only what this operator did.
    #[serde(default)]
    pub operator_id: Option<String>,
    /// Text to look for in act, object and detail.
    #[serde(default)]
    pub query: Option<String>,
    /// The `next` of the page before.
    #[serde(default)]
    pub after: Option<String>,
    /// 1 to 200; 50 where it is left out.
    #[serde(default)]
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Act {
    pub at: String,
    /// `null`: the system itself, or somebody who is not logged in.
    pub operator_id: Option<String>,
    #[schema(example = "sale-made")]
    pub act: String,
    #[schema(example = "sale/0197f3c2-5b1e-7cc3-98c4-dc0c0c07398f")]
    pub object: String,
    pub detail: String,
}

impl From<&AuditEntry> for Act {
    fn from(entry: &AuditEntry) -> Act {
        Act {
            at: time(entry.at),
            operator_id: match &entry.actor {
                Actor::Operator(id) => Some(id.to_string()),
                Actor::System => None,
            },
            act: entry.act.clone(),
            object: entry.object.clone(),
            detail: entry.detail.clone(),
        }
    }
}

/// What was done, newest first.
#[utoipa::path(get, path = "/api/v1/audit", tag = "operators", params(WhichActs), responses(
    (status = 200, description = "One page", body = Paged<Act>),
    (status = 422, description = "`invalid-field`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn list(
    State(app): State<App>,
    Parameters(which): Parameters<WhichActs>,
) -> Result<Json<Paged<Act>>, ApiError> {
    let WhichActs { operator_id, query, after, limit } = which;
    let by: Option<OperatorId> = operator_id
        .map(|text| text.parse().map_err(|error| ApiError::invalid("operator_id", error)))
        .transpose()?;
    let limit = limit.unwrap_or(50).clamp(1, 200);
    let found = app.service.audit_trail(by, &Page { query, after, limit }).await?;
    Ok(Json(Paged::of(&found, limit, |entry| entry.audit_id.to_string())))
}
