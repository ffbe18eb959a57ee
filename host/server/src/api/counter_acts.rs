//! Acts at the counter that are no sale: refund 退电, reversal 冲正, deposit 押金, arrears 欠费, write-off 核销.

use super::error::{ApiError, Problem};
use super::extract::{Body, Id, MayBeDry, Parameters, channel, money};
use super::idempotency::IdempotencyKey;
use super::sales::Entry;
use super::values::{Paged, time};
use crate::app::App;
use crate::session::Caller;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use polymeter_domain::{CounterActId, CustomerId};
use polymeter_service as service;
use polymeter_service::{ActKind, ActRequest, Actor, Page, Subject};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAct {
    /// `refund` names a sale, or a meter and an amount that is taken out of its purse; `reversal` names
    /// a sale or a counter act of today; `deposit`, `deposit-refund`, `arrears` (old debts written
    /// down), `arrears-payment` and `write-off` name a customer and an amount.
    pub kind: String,
    #[serde(default)]
    pub sale_id: Option<String>,
    #[serde(default)]
    pub meter_id: Option<String>,
    /// What a `reversal` takes back, where it is no sale.
    #[serde(default)]
    pub counter_act_id: Option<String>,
    #[serde(default)]
    pub customer_id: Option<String>,
    /// In the site's currency, above zero.
    #[serde(default)]
    pub amount: Option<String>,
    /// Cash where it is left out, of a sale or an act taken back that of it. `arrears` and `write-off`
    /// have none.
    #[serde(default)]
    pub channel: Option<String>,
    /// It stands in the audit trail.
    pub reason: String,
}

/// One act. States: `waiting` (for a second person), `reserved`, `dispatched` (its meter was told to
/// give credit back), `unresolved`, and at the end `confirmed`, `refused`, `cancelled`.
#[derive(Debug, Serialize, ToSchema)]
pub struct CounterAct {
    pub counter_act_id: String,
    pub kind: &'static str,
    pub sale_id: Option<String>,
    pub meter_id: Option<String>,
    /// The act that this one takes back.
    pub of_act_id: Option<String>,
    pub customer_id: String,
    pub channel: Option<&'static str>,
    pub amount: String,
    pub currency: String,
    pub reason: String,
    /// Who asked for it; `null`: the system itself.
    pub operator_id: Option<String>,
    /// The site's day on which it was asked for.
    pub day: String,
    pub state: &'static str,
    /// No event leads out of this state.
    pub settled: bool,
    pub receipt_number: Option<u64>,
    pub created_at: String,
    pub settled_at: Option<String>,
    pub history: Vec<ActNote>,
    pub entries: Vec<Entry>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ActNote {
    pub at: String,
    pub state: &'static str,
    pub detail: String,
}

/// What an act would book.
#[derive(Debug, Serialize, ToSchema)]
pub struct ActPreview {
    pub kind: &'static str,
    pub customer_id: String,
    pub channel: Option<&'static str>,
    pub amount: String,
    pub debit: String,
    pub credit: String,
    pub needs_second_person: bool,
}

impl From<&service::CounterAct> for CounterAct {
    fn from(act: &service::CounterAct) -> Self {
        CounterAct {
            counter_act_id: act.act_id.to_string(),
            kind: act.kind.name(),
            sale_id: act.sale_id.map(|id| id.to_string()),
            meter_id: act.meter_id.map(|id| id.to_string()),
            of_act_id: act.of_act_id.map(|id| id.to_string()),
            customer_id: act.customer_id.to_string(),
            channel: act.channel.map(polymeter_domain::Channel::name),
            amount: act.amount.to_string(),
            currency: act.amount.currency().code().to_owned(),
            reason: act.reason.clone(),
            operator_id: match &act.operator {
                Actor::Operator(id) => Some(id.to_string()),
                Actor::System => None,
            },
            day: act.day.to_string(),
            state: act.state.name(),
            settled: act.state.is_settled(),
            receipt_number: act.receipt,
            created_at: time(act.created_at),
            settled_at: act.settled_at.map(time),
            history: act
                .history
                .iter()
                .map(|it| ActNote {
                    at: time(it.at),
                    state: it.state.name(),
                    detail: it.detail.clone(),
                })
                .collect(),
            entries: act.entries.iter().map(Entry::from).collect(),
        }
    }
}

impl From<&service::ActPreview> for ActPreview {
    fn from(it: &service::ActPreview) -> Self {
        ActPreview {
            kind: it.kind.name(),
            customer_id: it.customer_id.to_string(),
            channel: it.channel.map(polymeter_domain::Channel::name),
            amount: it.amount.to_string(),
            debit: it.debit.clone(),
            credit: it.credit.clone(),
            needs_second_person: it.needs_second_person,
        }
    }
}

fn request(app: &App, new: NewAct) -> Result<ActRequest, ApiError> {
    let Some(kind) = ActKind::from_name(&new.kind) else {
        let all = ActKind::ALL.map(ActKind::name).join(", ");
        return Err(ApiError::invalid("kind", format!("`{}` is none of {all}", new.kind)));
    };
    let names = (new.sale_id, new.counter_act_id, new.meter_id, new.customer_id);
    let subject = match (names, new.amount) {
        ((Some(sale), None, None, None), None) => {
            Subject::Sale(sale.parse().map_err(|error| ApiError::invalid("sale_id", error))?)
        }
        ((None, Some(act), None, None), None) => {
            let act = act.parse();
            Subject::Act(act.map_err(|error| ApiError::invalid("counter_act_id", error))?)
        }
        ((None, None, Some(meter), None), Some(amount)) => Subject::Meter(
            meter.parse().map_err(|error| ApiError::invalid("meter_id", error))?,
            money("amount", &amount, app.currency)?,
        ),
        ((None, None, None, Some(customer)), Some(amount)) => Subject::Customer(
            customer.parse().map_err(|error| ApiError::invalid("customer_id", error))?,
            money("amount", &amount, app.currency)?,
        ),
        _ => {
            let why = "give either sale_id, or counter_act_id, or meter_id and amount, or \
                       customer_id and amount";
            return Err(ApiError::invalid("sale_id", why));
        }
    };
    let channel = match new.channel {
        None => None,
        Some(name) => Some(channel(Some(&name))?),
    };
    Ok(ActRequest { kind, subject, channel, reason: new.reason })
}

/// Refund, reversal, deposit, arrears or write-off. With `dry_run`, only say what it would book.
/// Above the site's limit it waits for a second person. Of what takes credit back the meter is asked first:
/// money goes back where its own record proves that it does not hold the credit, or where it gives it
/// back, which takes a driver that can.
#[utoipa::path(post, path = "/api/v1/counter-acts", tag = "counter acts",
    params(("idempotency-key" = String, Header), MayBeDry), request_body = NewAct, responses(
    (status = 200, description = "A dry run", body = ActPreview),
    (status = 201, description = "Settled", body = CounterAct),
    (status = 202, description = "Waits for a person or for the meter", body = CounterAct),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 409, description = "`differs`, `exists`, `unsettled-sale`, `unsettled-act`, \
        `no-open-shift`, `blocked`", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`, `no-driver`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn add(
    State(app): State<App>,
    caller: Caller,
    key: IdempotencyKey,
    Parameters(dry): Parameters<MayBeDry>,
    Body(new): Body<NewAct>,
) -> Result<Response, ApiError> {
    let request = request(&app, new)?;
    if dry.dry_run {
        let preview = app.service.preview_act(request, &caller.actor()).await?;
        return Ok(Json(ActPreview::from(&preview)).into_response());
    }
    let id = CounterActId::new(key.0);
    let act = app.service.put_act(id, request, &caller.actor()).await?;
    let status = if act.state.is_settled() { StatusCode::CREATED } else { StatusCode::ACCEPTED };
    Ok((status, Json(CounterAct::from(&act))).into_response())
}

/// Which acts.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WhichActs {
    /// Only those of this customer.
    #[serde(default)]
    pub customer_id: Option<String>,
    /// The `next` of the page before.
    #[serde(default)]
    pub after: Option<String>,
    /// 1 to 200; 50 where it is left out.
    #[serde(default)]
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
}

/// Acts, newest first.
#[utoipa::path(get, path = "/api/v1/counter-acts", tag = "counter acts", params(WhichActs),
    responses((status = 200, description = "One page", body = Paged<CounterAct>)))]
pub async fn list(
    State(app): State<App>,
    Parameters(which): Parameters<WhichActs>,
) -> Result<Json<Paged<CounterAct>>, ApiError> {
    let customer = match which.customer_id {
        None => None,
        Some(id) => Some(id.parse().map_err(|error| ApiError::invalid("customer_id", error))?),
    };
    let limit = which.limit.unwrap_or(50).clamp(1, 200);
    let page = Page { query: None, after: which.after, limit };
    let found = app.service.acts(customer, &page).await?;
    Ok(Json(Paged::of(&found, limit, |it| it.act_id.to_string())))
}

/// One act as it stands.
#[utoipa::path(get, path = "/api/v1/counter-acts/{counter_act_id}", tag = "counter acts",
    params(("counter_act_id" = String, Path)), responses(
    (status = 200, description = "The act", body = CounterAct),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn get(
    State(app): State<App>,
    Id(id): Id<CounterActId>,
) -> Result<Json<CounterAct>, ApiError> {
    Ok(Json(CounterAct::from(&app.service.act(id).await?)))
}

/// Ask the meter once more about an act that is reserved or unresolved. Changes nothing in the meter.
#[utoipa::path(post, path = "/api/v1/counter-acts/{counter_act_id}/proof", tag = "counter acts",
    params(("counter_act_id" = String, Path)), responses(
    (status = 200, description = "As it stands now", body = CounterAct),
    (status = 409, description = "`out-of-order`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn prove(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<CounterActId>,
) -> Result<Json<CounterAct>, ApiError> {
    Ok(Json(CounterAct::from(&app.service.prove_act(id, &caller.actor()).await?)))
}

/// Take back an act that waits, or that is reserved while its meter is silent.
#[utoipa::path(post, path = "/api/v1/counter-acts/{counter_act_id}/cancellation",
    tag = "counter acts", params(("counter_act_id" = String, Path)), responses(
    (status = 200, description = "Cancelled", body = CounterAct),
    (status = 409, description = "`out-of-order`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn withdraw(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<CounterActId>,
) -> Result<Json<CounterAct>, ApiError> {
    Ok(Json(CounterAct::from(&app.service.withdraw_act(id, &caller.actor()).await?)))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ActDecided {
    /// Whether the meter holds the credit; if it does, no money goes back.
    pub held: bool,
    /// How that was found out; it stands in the audit trail.
    pub reason: String,
}

/// Decide an act where the meter can prove nothing.
#[utoipa::path(post, path = "/api/v1/counter-acts/{counter_act_id}/decision",
    tag = "counter acts", params(("counter_act_id" = String, Path)), request_body = ActDecided,
    responses(
    (status = 200, description = "Settled", body = CounterAct),
    (status = 409, description = "`out-of-order`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn decide(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<CounterActId>,
    Body(decided): Body<ActDecided>,
) -> Result<Json<CounterAct>, ApiError> {
    let actor = caller.actor();
    let act = app.service.decide_act(id, decided.held, &decided.reason, &actor).await?;
    Ok(Json(CounterAct::from(&act)))
}

/// What a customer owes and has deposited.
#[derive(Debug, Serialize, ToSchema)]
pub struct Standing {
    pub arrears: String,
    pub deposit: String,
    pub currency: String,
}

/// What a customer owes (欠费) and has deposited (押金).
#[utoipa::path(get, path = "/api/v1/customers/{customer_id}/standing", tag = "customers",
    params(("customer_id" = String, Path)), responses(
    (status = 200, description = "The two sums", body = Standing),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn standing(
    State(app): State<App>,
    Id(id): Id<CustomerId>,
) -> Result<Json<Standing>, ApiError> {
    let standing = app.service.standing(id).await?;
    Ok(Json(Standing {
        arrears: standing.arrears.to_string(),
        deposit: standing.deposit.to_string(),
        currency: app.currency.code().to_owned(),
    }))
}
