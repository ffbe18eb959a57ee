//! The ledger as accountants look at it.

use super::error::{ApiError, Problem};
use super::extract::Parameters;
use super::values::time;
use crate::app::App;
use crate::moment;
use axum::Json;
use axum::extract::State;
use polymeter_service as service;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Serialize, ToSchema)]
pub struct TrialBalance {
    /// The last transfer that is in it; 0 where there is none.
    pub sequence: i64,
    /// When that transfer was booked.
    pub booked_at: Option<String>,
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
            sequence: balance.sequence,
            booked_at: balance.booked_at.map(time),
            lines: balance.lines.iter().map(line).collect(),
            difference: balance.difference.to_string(),
            currency: balance.difference.currency().code().to_owned(),
        }
    }
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct At {
    /// A moment of the books: the number of a transfer (all up to it), an RFC 3339 time, a time at the
    /// site without an offset, or a day of the site (its end). A time means the last transfer that was
    /// booked at or before it, with all before that one, whatever the clock said then. Now, where it is
    /// left out.
    #[serde(default)]
    pub at: String,
}

/// All accounts with both their sides, at a moment of the books.
#[utoipa::path(get, path = "/api/v1/ledger/trial-balance", tag = "ledger", params(At), responses(
    (status = 200, description = "The trial balance", body = TrialBalance),
    (status = 422, description = "`invalid-field`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn trial_balance(
    State(app): State<App>,
    Parameters(At { at }): Parameters<At>,
) -> Result<Json<TrialBalance>, ApiError> {
    let moment = moment::parse(&at, &app.time_zone).map_err(|why| ApiError::invalid("at", why))?;
    Ok(Json(TrialBalance::from(&app.service.trial_balance_at(moment).await?)))
}
