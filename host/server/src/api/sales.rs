//! Sales: made by the client's id, watched, and settled when they stick.
//!
//! Invariant: the id comes from the client, so that asking twice is one sale.

use super::error::{ApiError, Meaning, Problem};
use super::extract::{Body, Id, Parameters, channel, money};
use super::token_entries::TokenEntry;
use super::values::{PageParameters, Paged, time};
use crate::app::App;
use crate::session::Caller;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use polymeter_domain::sale::Decision;
use polymeter_domain::tariff::Commodity;
use polymeter_domain::{Credit, MeterId, Purchase, Quantity, Sale as SaleState, SaleId};
use polymeter_service::{Actor, LedgerEntry, SaleRequest, SaleView};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// The longest that a request may ask to be kept waiting.
const WAIT_S_MAX: u64 = 60;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSale {
    pub meter_id: String,
    /// In the site's currency, above zero.
    #[schema(example = "50.00")]
    pub paid: String,
    /// `cash` (where it is left out), `bank`, `card`, `alipay`, `wechat`, `unionpay`.
    #[serde(default)]
    pub channel: Option<String>,
    /// Credit given free on top, within what the site allows.
    #[serde(default)]
    pub gift: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Sale {
    pub sale_id: String,
    pub meter_id: String,
    pub customer_id: String,
    /// Who sold; `null` where the system itself did.
    pub operator_id: Option<String>,
    pub paid: String,
    pub currency: String,
    /// How it was paid: `cash`, `bank`, `card`, `alipay`, `wechat`, `unionpay`.
    pub channel: &'static str,
    /// Of `paid`: for arrears (欠费), and for the fee of the month.
    pub arrears: String,
    pub fee: String,
    /// Credit given free on top.
    pub gift: String,
    /// The customer's receipt (收据), once the device has taken the credit.
    pub receipt_number: Option<u64>,
    /// The version of a tariff plan that it was priced by; `explanation` has the arithmetic.
    pub tariff_version_id: String,
    /// What `paid` buys, rounded down; `null` for water.
    pub energy_wh: Option<u64>,
    /// The same in litres; `null` for energy.
    pub volume_l: Option<u64>,
    /// What the customer types into a meter without a line, once the sale is confirmed.
    pub token: Option<SoldToken>,
    /// `reserved`, `dispatched`, `unresolved`, or at the end `confirmed`, `refused`, `cancelled`.
    pub state: &'static str,
    /// No event leads out of this state.
    pub settled: bool,
    /// What the device is asked to take, once the sale is dispatched.
    pub purchase: Option<PurchaseJson>,
    /// The device's yes.
    pub receipt: Option<Receipt>,
    /// The device's no.
    pub refusal: Option<Refusal>,
    pub created_at: String,
    pub settled_at: Option<String>,
    /// Every state that it has been in, oldest first.
    pub history: Vec<Event>,
    /// The ledger's lines behind it.
    pub entries: Vec<Entry>,
}

/// Digits that are worth money.
#[derive(Debug, Serialize, ToSchema)]
pub struct SoldToken {
    /// In the order in which they are typed, in groups of four.
    #[schema(example = json!(["6647 5648 3167 5682 1785"]))]
    pub tokens: Vec<String>,
    /// What the meter adds: not less than was bought.
    pub credit: CreditJson,
    /// Over the meter's line, where it has one.
    pub entry: Option<TokenEntry>,
}

impl From<&polymeter_service::SoldToken> for SoldToken {
    fn from(token: &polymeter_service::SoldToken) -> Self {
        SoldToken {
            tokens: token.digits.grouped(),
            credit: token.credit.into(),
            entry: token.entry.as_ref().map(TokenEntry::from),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PurchaseJson {
    pub count: u32,
    pub credit: CreditJson,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct CreditJson {
    /// `money` in minor units, `energy` in Wh, `volume` in litres.
    pub quantity: &'static str,
    pub amount: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Receipt {
    /// The device's purchase count (购电次数).
    pub count: u32,
    /// What the purse holds afterwards, where the device said so.
    pub balance: Option<CreditJson>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Refusal {
    pub code: u16,
    pub detail: String,
    /// The device's own, as it gave it.
    pub device_code: Option<String>,
    /// What the meter's driver says that the device's code means.
    pub meaning: Option<Meaning>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Event {
    pub at: String,
    pub state: &'static str,
    pub detail: String,
}

/// One transfer.
#[derive(Debug, Serialize, ToSchema)]
pub struct Entry {
    pub transfer_id: String,
    pub kind: &'static str,
    pub debit: String,
    pub credit: String,
    pub amount: String,
    pub at: String,
}

impl From<Credit> for CreditJson {
    fn from(credit: Credit) -> Self {
        let quantity = match credit.quantity {
            Quantity::Money => "money",
            Quantity::Energy => "energy",
            Quantity::Volume => "volume",
        };
        CreditJson { quantity, amount: credit.amount }
    }
}

impl From<&LedgerEntry> for Entry {
    fn from(entry: &LedgerEntry) -> Self {
        Entry {
            transfer_id: entry.transfer_id.to_string(),
            kind: entry.kind,
            debit: entry.debit.clone(),
            credit: entry.credit.clone(),
            amount: entry.amount.to_string(),
            at: time(entry.at),
        }
    }
}

impl From<&SaleView> for Sale {
    fn from(sale: &SaleView) -> Self {
        let (purchase, receipt, refusal) = parts(sale);
        Sale {
            sale_id: sale.sale_id.to_string(),
            meter_id: sale.meter_id.to_string(),
            customer_id: sale.customer_id.to_string(),
            operator_id: match &sale.operator {
                Actor::Operator(id) => Some(id.to_string()),
                Actor::System => None,
            },
            paid: sale.paid.to_string(),
            currency: sale.paid.currency().code().to_owned(),
            channel: sale.channel.name(),
            arrears: sale.deductions.arrears.to_string(),
            fee: sale.deductions.fee.to_string(),
            gift: sale.deductions.gift.to_string(),
            receipt_number: sale.receipt,
            tariff_version_id: sale.tariff_version_id.to_string(),
            energy_wh: (sale.commodity == Commodity::Energy).then_some(sale.bought),
            volume_l: (sale.commodity == Commodity::Water).then_some(sale.bought),
            token: sale.token.as_ref().map(SoldToken::from),
            state: sale.state.name(),
            settled: sale.state.is_settled(),
            purchase,
            receipt,
            refusal,
            created_at: time(sale.created_at),
            settled_at: sale.settled_at.map(time),
            history: sale
                .history
                .iter()
                .map(|it| Event { at: time(it.at), state: it.state, detail: it.detail.clone() })
                .collect(),
            entries: sale.entries.iter().map(Entry::from).collect(),
        }
    }
}

fn parts(sale: &SaleView) -> (Option<PurchaseJson>, Option<Receipt>, Option<Refusal>) {
    let purchase = |it: &Purchase| PurchaseJson { count: it.count.get(), credit: it.credit.into() };
    match &sale.state {
        SaleState::Quoted | SaleState::Reserved | SaleState::Cancelled => (None, None, None),
        SaleState::Dispatched(asked) | SaleState::Unresolved(asked) => {
            (Some(purchase(asked)), None, None)
        }
        SaleState::Confirmed(it) => {
            let balance = it.balance.map(CreditJson::from);
            (None, Some(Receipt { count: it.count.get(), balance }), None)
        }
        SaleState::Refused(it) => (
            None,
            None,
            Some(Refusal {
                code: it.code,
                detail: it.detail.clone(),
                device_code: it.device_code.clone(),
                meaning: sale.meaning.as_ref().map(Meaning::from),
            }),
        ),
    }
}

/// Make a sale under the client's own id. Repeating it is safe: the same id and body give the same
/// sale; another body is refused. `Prefer: wait=N` (RFC 7240, at most 60 s) waits for its end.
#[utoipa::path(put, path = "/api/v1/sales/{sale_id}", tag = "sales",
    params(
        ("sale_id" = String, Path, description = "A UUID made by the client"),
        ("prefer" = Option<String>, Header, description = "`wait=N`, seconds"),
    ),
    request_body = NewSale, responses(
    (status = 200, description = "Settled: confirmed, refused or cancelled", body = Sale),
    (status = 202, description = "Durable, and not yet settled", body = Sale),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 409, description = "`sale-differs`, `unsettled-sale`, `no-open-account`, `no-open-shift`",
        body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`bad-amount`, `invalid-field`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn put(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<SaleId>,
    headers: HeaderMap,
    Body(new): Body<NewSale>,
) -> Result<Response, ApiError> {
    let meter_id = new.meter_id.parse().map_err(|error| ApiError::invalid("meter_id", error))?;
    let paid = money("paid", &new.paid, app.currency)?;
    let channel = channel(new.channel.as_deref())?;
    let gift = match &new.gift {
        None => None,
        Some(text) => Some(money("gift", text, app.currency)?),
    };
    let request = SaleRequest { meter_id, paid, channel, gift };
    let (wait, actor) = (preferred_wait(&headers), caller.actor());
    let made = match wait {
        Some(seconds) => {
            let at_most = Duration::from_secs(seconds);
            app.service.put_sale_and_wait(id, request, at_most, &actor).await?
        }
        None => app.service.put_sale(id, request, &actor).await?,
    };
    Ok(answered(&made, wait))
}

/// 200 when settled, else 202; waits first where that is preferred.
async fn answer(app: &App, mut sale: SaleView, wait: Option<u64>) -> Result<Response, ApiError> {
    if let Some(seconds) = wait
        && !sale.state.is_settled()
    {
        sale = app.service.wait_for_sale(sale.sale_id, Duration::from_secs(seconds)).await?;
    }
    Ok(answered(&sale, wait))
}

fn answered(sale: &SaleView, wait: Option<u64>) -> Response {
    let status = if sale.state.is_settled() { StatusCode::OK } else { StatusCode::ACCEPTED };
    let mut response = (status, Json(Sale::from(sale))).into_response();
    if let Some(seconds) = wait {
        let applied = HeaderValue::from_str(&format!("wait={seconds}"));
        response.headers_mut().extend(applied.ok().map(|it| (PREFERENCE_APPLIED, it)));
    }
    response
}

const PREFERENCE_APPLIED: axum::http::HeaderName =
    axum::http::HeaderName::from_static("preference-applied");

/// Seconds of `Prefer: wait=N`, cut to what is allowed. A preference that is not understood is
/// ignored (RFC 7240, 2).
fn preferred_wait(headers: &HeaderMap) -> Option<u64> {
    let lines = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    lines
        .flat_map(|line| line.split([',', ';']))
        .filter_map(|preference| preference.trim().split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("wait"))
        .and_then(|(_, seconds)| seconds.trim().trim_matches('"').parse::<u64>().ok())
        .map(|seconds| seconds.min(WAIT_S_MAX))
}

/// One sale as it stands.
#[utoipa::path(get, path = "/api/v1/sales/{sale_id}", tag = "sales",
    params(("sale_id" = String, Path)), responses(
    (status = 200, description = "The sale", body = Sale),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn get(State(app): State<App>, Id(id): Id<SaleId>) -> Result<Json<Sale>, ApiError> {
    Ok(Json(Sale::from(&app.service.sale(id).await?)))
}

/// The meter's sales, newest first.
#[utoipa::path(get, path = "/api/v1/meters/{meter_id}/sales", tag = "sales",
    params(("meter_id" = String, Path), PageParameters), responses(
    (status = 200, description = "One page", body = Paged<Sale>),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`: `after` is not an id", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn of_meter(
    State(app): State<App>,
    Id(id): Id<MeterId>,
    Parameters(parameters): Parameters<PageParameters>,
) -> Result<Json<Paged<Sale>>, ApiError> {
    let page = parameters.page();
    let found = app.service.sales(id, &page).await?;
    Ok(Json(Paged::of(&found, page.limit, |it| it.sale_id.to_string())))
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Which {
    Unsettled,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WhichSales {
    /// The sales that still need somebody.
    #[param(inline)]
    pub state: Which,
}

/// All sales that are not settled, of every meter.
#[utoipa::path(get, path = "/api/v1/sales", tag = "sales", params(WhichSales), responses(
    (status = 200, description = "All of them", body = [Sale]),
))]
pub async fn list(
    State(app): State<App>,
    Parameters(which): Parameters<WhichSales>,
) -> Result<Json<Vec<Sale>>, ApiError> {
    let found = match which.state {
        Which::Unsettled => app.service.unsettled_sales().await?,
    };
    Ok(Json(found.iter().map(Sale::from).collect()))
}

/// Deliver a reserved sale again.
#[utoipa::path(post, path = "/api/v1/sales/{sale_id}/delivery", tag = "sales",
    params(
        ("sale_id" = String, Path),
        ("prefer" = Option<String>, Header, description = "`wait=N`, seconds"),
    ),
    responses(
    (status = 200, description = "Settled", body = Sale),
    (status = 202, description = "Under way", body = Sale),
    (status = 409, description = "`sale-out-of-order`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn deliver(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<SaleId>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let sale = app.service.deliver_sale(id, &caller.actor()).await?;
    answer(&app, sale, preferred_wait(&headers)).await
}

/// Cancel a reserved sale; nothing was sent, and its money is free again.
#[utoipa::path(post, path = "/api/v1/sales/{sale_id}/cancellation", tag = "sales",
    params(("sale_id" = String, Path)), responses(
    (status = 200, description = "Cancelled", body = Sale),
    (status = 409, description = "`sale-out-of-order`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn cancel(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<SaleId>,
) -> Result<Response, ApiError> {
    let sale = app.service.cancel_sale(id, &caller.actor()).await?;
    answer(&app, sale, None).await
}

/// Ask the device what became of an unresolved sale. Sends no credit.
#[utoipa::path(post, path = "/api/v1/sales/{sale_id}/reconciliation", tag = "sales",
    params(("sale_id" = String, Path)), responses(
    (status = 200, description = "Settled by the device's own record", body = Sale),
    (status = 202, description = "Still open", body = Sale),
    (status = 409, description = "`sale-out-of-order`", body = Problem,
        content_type = "application/problem+json"),
    (status = 504, description = "`device-silent`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn reconcile(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<SaleId>,
) -> Result<Response, ApiError> {
    let sale = app.service.reconcile_sale(id, &caller.actor()).await?;
    answer(&app, sale, None).await
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Decided {
    /// Whether the device took it.
    pub applied: bool,
    /// How that was found out; it stands in the audit trail.
    pub reason: String,
}

/// Decide an unresolved sale where the device can prove nothing.
#[utoipa::path(post, path = "/api/v1/sales/{sale_id}/decision", tag = "sales",
    params(("sale_id" = String, Path)), request_body = Decided, responses(
    (status = 200, description = "Settled", body = Sale),
    (status = 409, description = "`sale-out-of-order`", body = Problem,
        content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn decide(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<SaleId>,
    Body(decided): Body<Decided>,
) -> Result<Response, ApiError> {
    let decision = if decided.applied { Decision::Applied } else { Decision::NotApplied };
    let sale = app.service.decide_sale(id, decision, &decided.reason, &caller.actor()).await?;
    answer(&app, sale, None).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(prefer: &str, seconds: Option<u64>) {
        let value = HeaderValue::from_str(prefer).expect("a header");
        let headers =
            HeaderMap::from_iter([(axum::http::HeaderName::from_static("prefer"), value)]);
        assert_eq!(preferred_wait(&headers), seconds, "{prefer}");
    }

    #[test]
    fn waiting_is_a_preference() {
        check("wait=5", Some(5));
        check("respond-async, Wait = \"7\"", Some(7));
        check("wait=3600", Some(60));
        check("wait=-1", None);
        check("wait=soon", None);
        check("return=minimal", None);
    }
}
