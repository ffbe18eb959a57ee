//! Maintenance cards (维护卡: 设置卡, 清零卡, 电价卡 ...): asked for, and made of the blank card in a reader.

use super::cards::CardReason;
use super::error::{ApiError, Problem};
use super::extract::{Body, Id, Parameters};
use super::files::operator;
use super::values::{DeviceValue, PageParameters, Paged, extras, parameters, time};
use crate::app::App;
use crate::session::Caller;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use polymeter_domain::{CardPurpose, MaintenanceCardId, MeterAddress, VendorCode};
use polymeter_service as service;
use polymeter_service::{MaintenanceCardState, NewMaintenanceCard};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use utoipa::ToSchema;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MakeCard {
    pub vendor: String,
    /// `setting`, `check`, `clear`, `reset`, `price`, `area`, `test` or `key-change`, as far as the
    /// vendor's driver makes it.
    pub purpose: String,
    /// The number of the meter that it is for; left out: any.
    #[serde(default)]
    pub device: Option<String>,
    /// What it carries there, by the driver's names.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, DeviceValue>)]
    pub parameters: BTreeMap<String, Box<RawValue>>,
    pub reason: String,
}

/// In which reader the blank card lies.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InReader {
    pub reader: String,
}

/// A maintenance card that was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct MaintenanceCard {
    pub maintenance_card_id: String,
    pub vendor: String,
    pub purpose: &'static str,
    /// `null`: any.
    pub device: Option<String>,
    pub parameters: BTreeMap<String, DeviceValue>,
    pub reason: String,
    /// `null`: the system itself.
    pub operator_id: Option<String>,
    /// `waiting` for a second person, `approved` (a blank card is wanted), `begun`; then `made`,
    /// `not-made` (no card was changed), `unknown` (the card was not read back) or `withdrawn`.
    pub state: &'static str,
    /// In which it was written.
    pub reader: Option<String>,
    /// What the last try said; empty where it was made.
    pub detail: String,
    /// What it waits for.
    pub approval_id: Option<String>,
    pub created_at: String,
    pub ended_at: Option<String>,
}

impl From<&service::MaintenanceCard> for MaintenanceCard {
    fn from(it: &service::MaintenanceCard) -> Self {
        MaintenanceCard {
            maintenance_card_id: it.maintenance_card_id.to_string(),
            vendor: it.vendor.to_string(),
            purpose: it.purpose.name(),
            device: it.device.as_ref().map(ToString::to_string),
            parameters: extras(&it.parameters),
            reason: it.reason.clone(),
            operator_id: operator(&it.operator),
            state: it.state.name(),
            reader: it.reader.clone(),
            detail: it.detail.clone(),
            approval_id: it.approval.map(|id| id.to_string()),
            created_at: time(it.created_at),
            ended_at: it.ended_at.map(time),
        }
    }
}

/// Make a maintenance card of the blank one in this reader. Where `[approval] clear` is set, a clear, reset
/// or key-change card waits for a second person first.
#[utoipa::path(post, path = "/api/v1/readers/{reader}/maintenance-cards", tag = "cards",
    params(("reader" = String, Path)), request_body = MakeCard, responses(
    (status = 201, description = "It is made", body = MaintenanceCard),
    (status = 202, description = "It waits for a second person", body = MaintenanceCard),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 409, description = "`device-refused`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`: also of a card that the driver does not make; \
        `no-driver`", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "`not-sent`, `card-gone`", body = Problem,
        content_type = "application/problem+json"),
    (status = 504, description = "`outcome-unknown`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn make(
    State(app): State<App>,
    caller: Caller,
    Id(reader): Id<String>,
    Body(asked): Body<MakeCard>,
) -> Result<Response, ApiError> {
    let invalid = |field, error: &dyn std::fmt::Display| ApiError::invalid(field, error);
    let new = NewMaintenanceCard {
        vendor: VendorCode::new(&asked.vendor).map_err(|error| invalid("vendor", &error))?,
        purpose: CardPurpose::from_name(&asked.purpose)
            .ok_or_else(|| invalid("purpose", &"it is none of a card's"))?,
        device: asked
            .device
            .as_deref()
            .map(MeterAddress::new)
            .transpose()
            .map_err(|error| invalid("device", &error))?,
        parameters: parameters(&asked.parameters).map_err(|why| invalid("parameters", &why))?,
        reason: asked.reason,
    };
    let it = app.service.make_maintenance_card(&reader, new, &caller.actor()).await?;
    let status = match it.state {
        MaintenanceCardState::Waiting => StatusCode::ACCEPTED,
        _ => StatusCode::CREATED,
    };
    Ok((status, Json(MaintenanceCard::from(&it))).into_response())
}

/// Make one that a second person agreed to, of the blank card in a reader. Once: what was refused, or
/// never begun, can be tried again.
#[utoipa::path(post, path = "/api/v1/maintenance-cards/{maintenance_card_id}/making", tag = "cards",
    params(("maintenance_card_id" = String, Path)), request_body = InReader, responses(
    (status = 200, description = "It is made", body = MaintenanceCard),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 409, description = "`out-of-order`, `conflict`, `device-refused`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`no-driver`", body = Problem,
        content_type = "application/problem+json"),
    (status = 503, description = "`not-sent`, `card-gone`", body = Problem,
        content_type = "application/problem+json"),
    (status = 504, description = "`outcome-unknown`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn make_agreed(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<MaintenanceCardId>,
    Body(InReader { reader }): Body<InReader>,
) -> Result<Json<MaintenanceCard>, ApiError> {
    let it = app.service.make_agreed_card(id, &reader, &caller.actor()).await?;
    Ok(Json(MaintenanceCard::from(&it)))
}

/// One that a second person agreed to is not made after all.
#[utoipa::path(post, path = "/api/v1/maintenance-cards/{maintenance_card_id}/withdrawal",
    tag = "cards", params(("maintenance_card_id" = String, Path)), request_body = CardReason,
    responses(
    (status = 200, description = "It is withdrawn", body = MaintenanceCard),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 409, description = "`out-of-order`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn withdraw(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<MaintenanceCardId>,
    Body(asked): Body<CardReason>,
) -> Result<Json<MaintenanceCard>, ApiError> {
    let it = app.service.give_up_maintenance_card(id, &asked.reason, &caller.actor()).await?;
    Ok(Json(MaintenanceCard::from(&it)))
}

#[utoipa::path(get, path = "/api/v1/maintenance-cards/{maintenance_card_id}", tag = "cards",
    params(("maintenance_card_id" = String, Path)), responses(
    (status = 200, description = "The card that was asked for", body = MaintenanceCard),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn get(
    State(app): State<App>,
    Id(id): Id<MaintenanceCardId>,
) -> Result<Json<MaintenanceCard>, ApiError> {
    Ok(Json(MaintenanceCard::from(&app.service.maintenance_card(id).await?)))
}

/// Every maintenance card that was asked for, newest first.
#[utoipa::path(get, path = "/api/v1/maintenance-cards", tag = "cards", params(PageParameters),
    responses(
    (status = 200, description = "One page", body = Paged<MaintenanceCard>),
    (status = 422, description = "`invalid-field`: `after` is not an id", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn list(
    State(app): State<App>,
    Parameters(parameters): Parameters<PageParameters>,
) -> Result<Json<Paged<MaintenanceCard>>, ApiError> {
    let page = parameters.page();
    let found = app.service.maintenance_cards(&page).await?;
    Ok(Json(Paged::of(&found, page.limit, |it| it.maintenance_card_id.to_string())))
}
