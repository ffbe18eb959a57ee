//! What waits for a second person (双人复核), and what was decided.

use super::error::{ApiError, Problem};
use super::extract::{Body, Id, Parameters};
use super::values::{Paged, time};
use crate::app::App;
use crate::session::Caller;
use axum::Json;
use axum::extract::State;
use polymeter_domain::ApprovalId;
use polymeter_service as service;
use polymeter_service::{Actor, Page, Verdict};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What one operator asked for and another has to agree to.
#[derive(Debug, Serialize, ToSchema)]
pub struct Approval {
    pub approval_id: String,
    /// `refund`, `reversal`, `deposit-refund`, `write-off`, `closing`, `clearing`, `purse-refund`,
    /// `clock-setting`, `maintenance-card`, or the kind of a token order.
    pub act: String,
    /// To what: `counter-act/<id>`, `closing/<id>`, `meter-clearing/<id>`,
    /// `purse-payment/<id>`, `token-order/<id>`, `clock-setting/<id>` or `maintenance-card/<id>`.
    pub object: String,
    /// What is given up: of a closing, what it pays out and writes off; of a meter, what it holds.
    pub amount: String,
    pub currency: String,
    pub reason: String,
    pub asked_by: Option<String>,
    pub asked_at: String,
    pub expires_at: String,
    /// `waiting`, `approved`, `rejected`, `expired`, `withdrawn`.
    pub state: &'static str,
    pub decided_by: Option<String>,
    pub decided_at: Option<String>,
    pub decision_reason: Option<String>,
}

impl From<&service::Approval> for Approval {
    fn from(it: &service::Approval) -> Self {
        Approval {
            approval_id: it.approval_id.to_string(),
            act: it.act.clone(),
            object: it.object.clone(),
            amount: it.amount.to_string(),
            currency: it.amount.currency().code().to_owned(),
            reason: it.reason.clone(),
            asked_by: match &it.asked_by {
                Actor::Operator(id) => Some(id.to_string()),
                Actor::System => None,
            },
            asked_at: time(it.asked_at),
            expires_at: time(it.expires_at),
            state: it.state.name(),
            decided_by: it.decided_by.map(|id| id.to_string()),
            decided_at: it.decided_at.map(time),
            decision_reason: it.decision_reason.clone(),
        }
    }
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WhichApprovals {
    /// Only what a second person can still decide.
    #[serde(default)]
    pub waiting: bool,
    /// The `next` of the page before.
    #[serde(default)]
    pub after: Option<String>,
    /// 1 to 200; 50 where it is left out.
    #[serde(default)]
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
}

/// What needed a second person, newest first.
#[utoipa::path(get, path = "/api/v1/approvals", tag = "approvals", params(WhichApprovals),
    responses((status = 200, description = "One page", body = Paged<Approval>)))]
pub async fn list(
    State(app): State<App>,
    Parameters(which): Parameters<WhichApprovals>,
) -> Result<Json<Paged<Approval>>, ApiError> {
    let limit = which.limit.unwrap_or(50).clamp(1, 200);
    let page = Page { query: None, after: which.after, limit };
    let found = app.service.approvals(which.waiting, &page).await?;
    Ok(Json(Paged::of(&found, limit, |it| it.approval_id.to_string())))
}

/// One of them.
#[utoipa::path(get, path = "/api/v1/approvals/{approval_id}", tag = "approvals",
    params(("approval_id" = String, Path)), responses(
    (status = 200, description = "The approval", body = Approval),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn get(
    State(app): State<App>,
    Id(id): Id<ApprovalId>,
) -> Result<Json<Approval>, ApiError> {
    Ok(Json(Approval::from(&app.service.approval(id).await?)))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalDecided {
    pub approved: bool,
    /// It stands in the audit trail.
    pub reason: String,
}

/// Agree, and it is done at once; or refuse. Whoever asked for it cannot agree to it. Repeating the same
/// decision is safe.
#[utoipa::path(post, path = "/api/v1/approvals/{approval_id}/decision", tag = "approvals",
    params(("approval_id" = String, Path)), request_body = ApprovalDecided, responses(
    (status = 200, description = "Decided", body = Approval),
    (status = 403, description = "`second-person`: it was you who asked for it", body = Problem,
        content_type = "application/problem+json"),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 409, description = "`out-of-order`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn decide(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<ApprovalId>,
    Body(decided): Body<ApprovalDecided>,
) -> Result<Json<Approval>, ApiError> {
    let verdict = if decided.approved { Verdict::Approve } else { Verdict::Reject };
    let actor = caller.actor();
    let approval = app.service.decide_approval(id, verdict, &decided.reason, &actor).await?;
    Ok(Json(Approval::from(&approval)))
}

/// Take back what you asked for yourself; it comes to nothing. Safe to repeat.
#[utoipa::path(post, path = "/api/v1/approvals/{approval_id}/withdrawal", tag = "approvals",
    params(("approval_id" = String, Path)), responses(
    (status = 200, description = "Withdrawn", body = Approval),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 409, description = "`out-of-order`; `blocked`: somebody else asked for it",
        body = Problem, content_type = "application/problem+json"),
))]
pub async fn withdraw(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<ApprovalId>,
) -> Result<Json<Approval>, ApiError> {
    let approval = app.service.withdraw_approval(id, &caller.actor()).await?;
    Ok(Json(Approval::from(&approval)))
}
