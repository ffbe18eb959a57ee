//! The ledger as accountants look at it.

use super::error::{ApiError, Problem};
use crate::app::App;
use axum::Json;
use axum::extract::State;
use polymeter_service as service;
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Debug, Serialize, ToSchema)]
pub struct TrialBalance {
    pub lines: Vec<TrialLine>,
    /// "0.00", or the ledger is broken.
    pub difference: String,
    pub currency: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct TrialLine {
    pub account: String,
    pub debits_pending: String,
    pub credits_pending: String,
    pub debits_posted: String,
    pub credits_posted: String,
}

impl From<&service::TrialBalance> for TrialBalance {
    fn from(balance: &service::TrialBalance) -> Self {
        let line = |line: &service::TrialLine| TrialLine {
            account: line.account.clone(),
            debits_pending: line.debits_pending.to_string(),
            credits_pending: line.credits_pending.to_string(),
            debits_posted: line.debits_posted.to_string(),
            credits_posted: line.credits_posted.to_string(),
        };
        TrialBalance {
            lines: balance.lines.iter().map(line).collect(),
            difference: balance.difference.to_string(),
            currency: balance.difference.currency().code().to_owned(),
        }
    }
}

/// All accounts with both their sides.
#[utoipa::path(get, path = "/api/v1/ledger/trial-balance", tag = "ledger", responses(
    (status = 200, description = "The trial balance", body = TrialBalance),
    (status = 500, description = "`storage`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn trial_balance(State(app): State<App>) -> Result<Json<TrialBalance>, ApiError> {
    Ok(Json(TrialBalance::from(&app.service.trial_balance().await?)))
}
