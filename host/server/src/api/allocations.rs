//! Public-area use shared out (公摊): allocations, their previews, runs, and undoing one.

use super::error::{ApiError, Problem};
use super::extract::{Body, Id, money};
use crate::app::App;
use crate::arithmetic;
use crate::session::Caller;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use polymeter_domain::{AllocationId, AllocationRunId};
use polymeter_service as service;
use polymeter_service::{AllocationBasis, PaidFrom};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAllocation {
    #[schema(example = "Stairs, house 3")]
    pub name: String,
    /// Post-paid, with an open account of whoever stands for the public area.
    pub master_meter_id: String,
    /// `ratio`, `area` or `use`.
    pub basis: String,
    /// `purse` or `bill`.
    pub paid_from: String,
    pub members: Vec<Member>,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Member {
    pub customer_id: String,
    /// By use: the meter that tells it.
    pub meter_id: Option<String>,
    /// By ratio: above zero.
    pub weight: Option<u32>,
}

impl Member {
    fn read(&self) -> Result<service::Member, ApiError> {
        let customer = self.customer_id.parse();
        let meter = self.meter_id.as_deref().map(str::parse).transpose();
        Ok(service::Member {
            customer_id: customer.map_err(|error| ApiError::invalid("customer_id", error))?,
            meter_id: meter.map_err(|error| ApiError::invalid("meter_id", error))?,
            weight: self.weight,
        })
    }
}

impl NewAllocation {
    fn read(&self) -> Result<service::NewAllocation, ApiError> {
        let none = |field: &str, text: &str, names: &str| {
            ApiError::invalid(field, format!("`{text}` is none of {names}"))
        };
        let master = self.master_meter_id.parse();
        Ok(service::NewAllocation {
            name: self.name.clone(),
            master: master.map_err(|error| ApiError::invalid("master_meter_id", error))?,
            basis: AllocationBasis::from_name(&self.basis)
                .ok_or_else(|| none("basis", &self.basis, "ratio, area, use"))?,
            paid_from: PaidFrom::from_name(&self.paid_from)
                .ok_or_else(|| none("paid_from", &self.paid_from, "purse, bill"))?,
            members: self.members.iter().map(Member::read).collect::<Result<_, _>>()?,
        })
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Allocation {
    pub allocation_id: String,
    pub name: String,
    pub master_meter_id: String,
    pub basis: &'static str,
    pub paid_from: &'static str,
    pub members: Vec<Member>,
}

impl From<&service::Allocation> for Allocation {
    fn from(it: &service::Allocation) -> Self {
        let member = |member: &service::Member| Member {
            customer_id: member.customer_id.to_string(),
            meter_id: member.meter_id.map(|id| id.to_string()),
            weight: member.weight,
        };
        Allocation {
            allocation_id: it.allocation_id.to_string(),
            name: it.name.clone(),
            master_meter_id: it.master.to_string(),
            basis: it.basis.name(),
            paid_from: it.paid_from.name(),
            members: it.members.iter().map(member).collect(),
        }
    }
}

/// What the master meter's charge comes to, and how it is shared out.
#[derive(Debug, Serialize, ToSchema)]
pub struct AllocationRun {
    /// `null`: a preview.
    pub allocation_run_id: Option<String>,
    /// Its explanation is the whole arithmetic of the amount; only of a run that was posted.
    pub charge_id: Option<String>,
    #[schema(example = "120.500 kWh")]
    pub used: String,
    pub amount: String,
    /// Together the amount.
    pub parts: Vec<AllocationPart>,
    pub is_undone: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AllocationPart {
    pub customer_id: String,
    pub weight: u64,
    pub amount: String,
    pub bill_id: Option<String>,
}

impl From<&service::AllocationRun> for AllocationRun {
    fn from(run: &service::AllocationRun) -> Self {
        let part = |part: &service::AllocationPart| AllocationPart {
            customer_id: part.customer_id.to_string(),
            weight: part.weight,
            amount: part.amount.to_string(),
            bill_id: part.bill_id.map(|id| id.to_string()),
        };
        AllocationRun {
            allocation_run_id: run.run_id.map(|id| id.to_string()),
            charge_id: run.run_id.map(|_| run.charge_id.to_string()),
            used: arithmetic::amount(run.used, run.commodity),
            amount: run.amount.to_string(),
            parts: run.parts.iter().map(part).collect(),
            is_undone: run.is_undone,
        }
    }
}

/// Share a master meter out among customers. It never changes.
#[utoipa::path(post, path = "/api/v1/allocations", tag = "billing",
    request_body = NewAllocation, responses(
    (status = 201, description = "The allocation", body = Allocation),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 409, description = "`exists`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn add(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<NewAllocation>,
) -> Result<(StatusCode, Json<Allocation>), ApiError> {
    let added = app.service.add_allocation(new.read()?, &caller.actor()).await?;
    Ok((StatusCode::CREATED, Json(Allocation::from(&added))))
}

/// All allocations, by name.
#[utoipa::path(get, path = "/api/v1/allocations", tag = "billing",
    responses((status = 200, description = "All of them", body = [Allocation])))]
pub async fn list(State(app): State<App>) -> Result<Json<Vec<Allocation>>, ApiError> {
    Ok(Json(app.service.allocations().await?.iter().map(Allocation::from).collect()))
}

/// How the master meter's last reading would be shared out; nothing is stored.
#[utoipa::path(get, path = "/api/v1/allocations/{allocation_id}/preview", tag = "billing",
    params(("allocation_id" = String, Path)), responses(
    (status = 200, description = "The preview", body = AllocationRun),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`: why nothing can be shared out", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn preview(
    State(app): State<App>,
    Id(id): Id<AllocationId>,
) -> Result<Json<AllocationRun>, ApiError> {
    Ok(Json(AllocationRun::from(&app.service.preview_allocation(id).await?)))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRun {
    /// The `amount` of the preview that was looked at.
    #[schema(example = "62.66")]
    pub amount: String,
}

/// Post what was looked at. Where it comes to another amount by now, nothing is booked.
#[utoipa::path(post, path = "/api/v1/allocations/{allocation_id}/runs", tag = "billing",
    params(("allocation_id" = String, Path)), request_body = NewRun, responses(
    (status = 201, description = "The run", body = AllocationRun),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 409, description = "`conflict`: it comes to another amount by now", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`: why nothing can be shared out", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn post(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<AllocationId>,
    Body(new): Body<NewRun>,
) -> Result<(StatusCode, Json<AllocationRun>), ApiError> {
    let expected = money("amount", &new.amount, app.currency)?;
    let run = app.service.post_allocation(id, expected, &caller.actor()).await?;
    Ok((StatusCode::CREATED, Json(AllocationRun::from(&run))))
}

/// The runs of an allocation, newest first.
#[utoipa::path(get, path = "/api/v1/allocations/{allocation_id}/runs", tag = "billing",
    params(("allocation_id" = String, Path)), responses(
    (status = 200, description = "The last 200", body = [AllocationRun]),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn runs(
    State(app): State<App>,
    Id(id): Id<AllocationId>,
) -> Result<Json<Vec<AllocationRun>>, ApiError> {
    let runs = app.service.allocation_runs(id).await?;
    Ok(Json(runs.iter().map(AllocationRun::from).collect()))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Undo {
    pub reason: String,
}

/// Undo a run by contra rows; what the master meter counted is in the next run.
#[utoipa::path(post, path = "/api/v1/allocation-runs/{allocation_run_id}/undo", tag = "billing",
    params(("allocation_run_id" = String, Path)), request_body = Undo, responses(
    (status = 204, description = "Undone"),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 409, description = "`conflict`: it is undone, or a later run was posted",
        body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn undo(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<AllocationRunId>,
    Body(new): Body<Undo>,
) -> Result<StatusCode, ApiError> {
    app.service.undo_allocation(id, &new.reason, &caller.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}
