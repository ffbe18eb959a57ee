//! Customers' receipts (收据), by their number.

use super::error::{ApiError, Problem};
use super::extract::{Id, Parameters};
use super::values::{Paged, time};
use crate::app::App;
use crate::session::Caller;
use axum::Json;
use axum::extract::State;
use polymeter_service::{Actor, CustomerReceipt, Page};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A receipt as it was issued. Numbers go 1, 2, 3 ... without a gap.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CustomerReceipt)]
pub struct ReceiptJson {
    pub number: u64,
    /// What it is for: `sale`, `refund` ...
    pub kind: String,
    /// The id of that.
    pub reference: String,
    pub customer_id: Option<String>,
    pub meter_id: Option<String>,
    pub operator_id: Option<String>,
    pub channel: &'static str,
    pub amount: String,
    pub currency: String,
    /// What is printed, in order.
    pub lines: Vec<LineJson>,
    pub issued_at: String,
    /// How often it was printed; every print after the first is marked COPY (副本).
    pub prints: u64,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CustomerReceiptLine)]
pub struct LineJson {
    pub label: String,
    pub chinese: String,
    pub text: String,
}

impl From<&CustomerReceipt> for ReceiptJson {
    fn from(receipt: &CustomerReceipt) -> Self {
        ReceiptJson {
            number: receipt.number,
            kind: receipt.kind.clone(),
            reference: receipt.reference.to_string(),
            customer_id: receipt.customer_id.map(|id| id.to_string()),
            meter_id: receipt.meter_id.map(|id| id.to_string()),
            operator_id: match &receipt.operator {
                Actor::Operator(id) => Some(id.to_string()),
                Actor::System => None,
            },
            channel: receipt.channel.name(),
            amount: receipt.amount.to_string(),
            currency: receipt.amount.currency().code().to_owned(),
            lines: receipt
                .lines
                .iter()
                .map(|it| LineJson {
                    label: it.label.clone(),
                    chinese: it.chinese.clone(),
                    text: it.text.clone(),
                })
                .collect(),
            issued_at: time(receipt.at),
            prints: receipt.prints,
        }
    }
}

/// Which receipts.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WhichReceipts {
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

/// Receipts, newest first.
#[utoipa::path(get, path = "/api/v1/receipts", tag = "receipts", params(WhichReceipts), responses(
    (status = 200, description = "One page", body = Paged<ReceiptJson>),
    (status = 422, description = "`invalid-field`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn list(
    State(app): State<App>,
    Parameters(which): Parameters<WhichReceipts>,
) -> Result<Json<Paged<ReceiptJson>>, ApiError> {
    let customer = match which.customer_id {
        None => None,
        Some(id) => Some(id.parse().map_err(|error| ApiError::invalid("customer_id", error))?),
    };
    let limit = which.limit.unwrap_or(50).clamp(1, 200);
    let page = Page { query: None, after: which.after, limit };
    let found = app.service.receipts(customer, &page).await?;
    Ok(Json(Paged::of(&found, limit, |it| it.number.to_string())))
}

/// One receipt.
#[utoipa::path(get, path = "/api/v1/receipts/{number}", tag = "receipts",
    params(("number" = u64, Path)), responses(
    (status = 200, description = "The receipt", body = ReceiptJson),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn get(
    State(app): State<App>,
    Id(number): Id<u64>,
) -> Result<Json<ReceiptJson>, ApiError> {
    Ok(Json(ReceiptJson::from(&app.service.receipt(number).await?)))
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Print {
    pub number: u64,
    /// 0: the original. From 1 on it must be marked COPY (副本).
    pub copy: u64,
}

/// Count a print of a receipt, and learn whether it is a copy. Who printed it stands in the audit trail.
#[utoipa::path(post, path = "/api/v1/receipts/{number}/prints", tag = "receipts",
    params(("number" = u64, Path)), responses(
    (status = 200, description = "Counted", body = Print),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn print(
    State(app): State<App>,
    caller: Caller,
    Id(number): Id<u64>,
) -> Result<Json<Print>, ApiError> {
    let copy = app.service.print_receipt(number, &caller.actor()).await?;
    Ok(Json(Print { number, copy }))
}
