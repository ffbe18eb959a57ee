//! Purses on the platform: what a customer has here, payments, and supplies cut for want of it.

use super::approvals::Approval;
use super::error::{ApiError, Problem};
use super::extract::{Body, Id, MayBeDry, Parameters, money};
use super::idempotency::IdempotencyKey;
use super::values::{PageParameters, Paged, time};
use crate::app::App;
use crate::session::{Caller, NotLetIn};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use polymeter_domain::{Channel, CustomerId, MeterId, PursePaymentId};
use polymeter_service as service;
use polymeter_service::{Direction, Payment, Right};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a customer has here, and what follows from it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Purse {
    pub customer_id: String,
    /// Below zero: what the customer owes.
    #[schema(example = "37.10")]
    pub balance: String,
    pub currency: &'static str,
    /// How far below zero it may go before the supply is cut (透支额度).
    pub overdraft: String,
    /// Since when it is below zero.
    pub below_since: Option<String>,
    /// Supplies that are cut, or are to be, newest first; those that came back too.
    pub cuts: Vec<SupplyCut>,
}

/// A supply that is to be cut, was cut, or was restored.
#[derive(Debug, Serialize, ToSchema)]
pub struct SupplyCut {
    pub meter_id: String,
    /// `wanted`, `cut` (the device said so), `ending` or `ended` (the device said so).
    pub state: String,
    /// Why, or how the last try ended.
    pub detail: String,
    /// Tries for this state.
    pub tries: i64,
    pub opened_at: String,
    pub cut_at: Option<String>,
    pub ended_at: Option<String>,
}

impl From<&service::SupplyCut> for SupplyCut {
    fn from(cut: &service::SupplyCut) -> Self {
        SupplyCut {
            meter_id: cut.meter_id.to_string(),
            state: cut.state.clone(),
            detail: cut.detail.clone(),
            tries: cut.tries,
            opened_at: time(cut.opened_at),
            cut_at: cut.cut_at.map(time),
            ended_at: cut.ended_at.map(time),
        }
    }
}

/// Money that comes in, or is given back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPursePayment {
    #[schema(example = "100.00")]
    pub amount: String,
    /// `cash`, `bank`, `card`, `alipay`, `wechat` or `unionpay`; `cash` where it is left out.
    pub channel: Option<String>,
    /// `in`, or `out` for money that is given back; `in` where it is left out.
    pub direction: Option<String>,
    /// Why it is given back; may be left out of a payment in.
    #[serde(default)]
    pub reason: String,
}

impl NewPursePayment {
    fn read(self, app: &App, customer_id: CustomerId) -> Result<service::NewPayment, ApiError> {
        let none = |field: &str, text: &str, names: &str| {
            ApiError::invalid(field, format!("`{text}` is none of {names}"))
        };
        let channel = self.channel.as_deref().unwrap_or("cash");
        let direction = match self.direction.as_deref() {
            None | Some("in") => Direction::In,
            Some("out") => Direction::Out,
            Some(other) => return Err(none("direction", other, "in, out")),
        };
        Ok(service::NewPayment {
            customer_id,
            direction,
            channel: Channel::from_name(channel).ok_or_else(|| {
                none("channel", channel, &Channel::ALL.map(Channel::name).join(", "))
            })?,
            amount: money("amount", &self.amount, app.currency)?,
            reason: self.reason,
        })
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PursePayment {
    pub purse_payment_id: String,
    pub customer_id: String,
    pub direction: &'static str,
    pub channel: &'static str,
    pub amount: String,
    pub currency: String,
    pub reason: String,
    pub balance_after: String,
    /// `null`: the system itself.
    pub operator_id: Option<String>,
    pub created_at: String,
}

impl From<&service::PursePayment> for PursePayment {
    fn from(payment: &service::PursePayment) -> Self {
        PursePayment {
            purse_payment_id: payment.payment_id.to_string(),
            customer_id: payment.customer_id.to_string(),
            direction: payment.direction.name(),
            channel: payment.channel.name(),
            amount: payment.amount.to_string(),
            currency: payment.amount.currency().code().to_owned(),
            reason: payment.reason.clone(),
            balance_after: payment.balance_after.to_string(),
            operator_id: super::tariffs::operator(&payment.operator),
            created_at: time(payment.created_at),
        }
    }
}

/// A dry run: what the payment would leave.
#[derive(Debug, Serialize, ToSchema)]
pub struct TriedPayment {
    pub balance_after: String,
    /// It would wait for another operator.
    pub needs_second_person: bool,
}

/// What a customer has here (账户余额).
#[utoipa::path(get, path = "/api/v1/customers/{customer_id}/purse", tag = "purses",
    params(("customer_id" = String, Path)), responses(
    (status = 200, description = "The purse", body = Purse),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn get(State(app): State<App>, Id(id): Id<CustomerId>) -> Result<Json<Purse>, ApiError> {
    let purse = app.service.purse(id).await?;
    let cuts = app.service.supply_cuts(id).await?;
    Ok(Json(Purse {
        customer_id: id.to_string(),
        balance: purse.balance.to_string(),
        currency: "CNY",
        overdraft: app.service.overdraft(id).await?.to_string(),
        below_since: purse.below_since.map(time),
        cuts: cuts.iter().map(SupplyCut::from).collect(),
    }))
}

/// Pay into a customer's purse (充值), or give money back (退费). A payment in restores supplies that
/// were cut, in the background. With `dry_run`, only see what it would leave.
#[utoipa::path(post, path = "/api/v1/customers/{customer_id}/purse/payments", tag = "purses",
    params(("customer_id" = String, Path), MayBeDry,
        ("Idempotency-Key" = String, Header, description = "Asking again with it is the same payment")),
    request_body = NewPursePayment, responses(
    (status = 201, description = "The payment", body = PursePayment),
    (status = 202, description = "Given back above the site's limit: another operator has to agree",
        body = Approval),
    (status = 200, description = "A dry run", body = TriedPayment),
    (status = 400, description = "`bad-idempotency-key`", body = Problem,
        content_type = "application/problem+json"),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 409, description = "`differs`: the key was used for another payment; `out-of-order`: \
        nobody agreed to it",
        body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn pay(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<CustomerId>,
    IdempotencyKey(key): IdempotencyKey,
    Parameters(dry): Parameters<MayBeDry>,
    Body(new): Body<NewPursePayment>,
) -> Result<Response, ApiError> {
    let new = new.read(&app, id)?;
    if new.direction == Direction::Out && !caller.operator.may(Right::Refund) {
        return Err(NotLetIn::NoRight(Right::Refund).into());
    }
    if dry.dry_run {
        let needs_second_person = app.service.payment_takes_two(&new);
        let balance_after = app.service.try_payment(new).await?.to_string();
        return Ok(Json(TriedPayment { balance_after, needs_second_person }).into_response());
    }
    let id = PursePaymentId::new(key);
    Ok(match app.service.pay_purse(id, new, &caller.actor()).await? {
        Payment::Made(payment) => {
            (StatusCode::CREATED, Json(PursePayment::from(&payment))).into_response()
        }
        Payment::Waits(id) => {
            let approval = app.service.approval(id).await?;
            (StatusCode::ACCEPTED, Json(Approval::from(&approval))).into_response()
        }
    })
}

/// A customer's payments, newest first.
#[utoipa::path(get, path = "/api/v1/customers/{customer_id}/purse/payments", tag = "purses",
    params(("customer_id" = String, Path), PageParameters), responses(
    (status = 200, description = "One page", body = Paged<PursePayment>),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn payments(
    State(app): State<App>,
    Id(id): Id<CustomerId>,
    Parameters(parameters): Parameters<PageParameters>,
) -> Result<Json<Paged<PursePayment>>, ApiError> {
    let page = parameters.page();
    let found = app.service.purse_payments(id, &page).await?;
    Ok(Json(Paged::of(&found, page.limit, |it| it.payment_id.to_string())))
}

/// How far below zero one customer's purse may go.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOverdraft {
    /// `null`, or left out: as far as the site's configuration says.
    #[schema(example = "50.00")]
    pub overdraft: Option<String>,
    /// It stands in the customer's file and in the audit trail.
    pub reason: String,
}

/// What counts for the customer now.
#[derive(Debug, Serialize, ToSchema)]
pub struct Overdraft {
    pub overdraft: String,
}

/// Give a customer an overdraft allowance of their own (透支额度), or the site's again.
#[utoipa::path(put, path = "/api/v1/customers/{customer_id}/overdraft", tag = "purses",
    params(("customer_id" = String, Path)), request_body = NewOverdraft, responses(
    (status = 200, description = "What counts now", body = Overdraft),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 409, description = "`blocked`: the file is in the archive", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn set_overdraft(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<CustomerId>,
    Body(new): Body<NewOverdraft>,
) -> Result<Json<Overdraft>, ApiError> {
    let allowance = new.overdraft.as_deref().map(|text| money("overdraft", text, app.currency));
    let why = service::Why { reason: new.reason, application: None };
    let set = app.service.set_overdraft(id, allowance.transpose()?, why, &caller.actor()).await?;
    Ok(Json(Overdraft { overdraft: set.to_string() }))
}

/// Whether a meter's supply may be cut for what its customer owes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeepPower {
    pub keeps_power: bool,
    pub reason: String,
}

/// Keep a meter's power whatever is owed (保电), or no longer.
#[utoipa::path(put, path = "/api/v1/meters/{meter_id}/keep-power", tag = "purses",
    params(("meter_id" = String, Path)), request_body = KeepPower, responses(
    (status = 200, description = "The meter", body = super::meters::Meter),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn keep_power(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<MeterId>,
    Body(new): Body<KeepPower>,
) -> Result<Json<super::meters::Meter>, ApiError> {
    let KeepPower { keeps_power, reason } = new;
    let meter = app.service.keep_power(id, keeps_power, &reason, &caller.actor()).await?;
    Ok(Json((&meter).into()))
}
