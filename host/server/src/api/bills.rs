//! Bills: for a period of post-paid meters and for items, their payments, contra bills, exports.

use super::error::{ApiError, Problem};
use super::extract::{Body, Id, Parameters, money};
use super::idempotency::IdempotencyKey;
use super::items::day;
use super::values::{Paged, time};
use crate::app::App;
use crate::session::Caller;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use polymeter_domain::{BillId, BillPaymentId, Channel, CustomerId};
use polymeter_service as service;
use polymeter_service::Page;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use utoipa::{IntoParams, ToSchema};

/// One line of a bill or of a draft.
#[derive(Debug, Serialize, ToSchema)]
pub struct BillLine {
    pub title: String,
    /// How it came about, in one line; `charge_id` has the whole arithmetic.
    pub arithmetic: String,
    pub amount: String,
    pub charge_id: Option<String>,
    pub claim_id: Option<String>,
}

impl From<&service::BillLine> for BillLine {
    fn from(line: &service::BillLine) -> Self {
        BillLine {
            title: line.title.clone(),
            arithmetic: line.arithmetic.clone(),
            amount: line.amount.to_string(),
            charge_id: line.charge_id.map(|id| id.to_string()),
            claim_id: line.claim_id.map(|id| id.to_string()),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Bill {
    pub bill_id: String,
    /// 1, 2, 3 ... without a gap.
    pub number: i64,
    pub customer_id: String,
    /// The first day of its period, and the first day after it.
    pub from: Option<String>,
    pub to: Option<String>,
    pub total: String,
    pub paid: String,
    /// What is still to be paid.
    pub open: String,
    pub currency: String,
    /// The last day on which it is paid in time.
    pub due: String,
    /// `open`, `overdue`, `paid`, `taken-back` or `contra`.
    pub state: &'static str,
    pub contra_of: Option<String>,
    pub taken_back_by: Option<String>,
    /// Why it takes another back.
    pub reason: String,
    pub operator_id: Option<String>,
    pub created_at: String,
}

impl From<&service::Bill> for Bill {
    fn from(bill: &service::Bill) -> Self {
        Bill {
            bill_id: bill.bill_id.to_string(),
            number: bill.number,
            customer_id: bill.customer_id.to_string(),
            from: bill.period.map(|(from, _)| from.to_string()),
            to: bill.period.map(|(_, to)| to.to_string()),
            total: bill.total.to_string(),
            paid: bill.paid.to_string(),
            open: bill.open().to_string(),
            currency: bill.total.currency().code().to_owned(),
            due: bill.due.to_string(),
            state: bill.state.name(),
            contra_of: bill.contra_of.map(|id| id.to_string()),
            taken_back_by: bill.taken_back_by.map(|id| id.to_string()),
            reason: bill.reason.clone(),
            operator_id: super::tariffs::operator(&bill.operator),
            created_at: time(bill.created_at),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct BillPayment {
    pub bill_payment_id: String,
    pub bill_id: String,
    pub channel: &'static str,
    pub amount: String,
    pub operator_id: Option<String>,
    pub created_at: String,
}

impl From<&service::BillPayment> for BillPayment {
    fn from(payment: &service::BillPayment) -> Self {
        BillPayment {
            bill_payment_id: payment.payment_id.to_string(),
            bill_id: payment.bill_id.to_string(),
            channel: payment.channel.name(),
            amount: payment.amount.to_string(),
            operator_id: super::tariffs::operator(&payment.operator),
            created_at: time(payment.created_at),
        }
    }
}

/// A bill with its lines, its payments and, where it is open, a text that asks for the money.
#[derive(Debug, Serialize, ToSchema)]
pub struct WholeBill {
    pub bill: Bill,
    pub lines: Vec<BillLine>,
    pub payments: Vec<BillPayment>,
    pub notice: Option<String>,
}

/// A period of days, and what its draft came to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPeriod {
    /// The first day of the period.
    #[schema(example = "2026-06-01")]
    pub from: String,
    /// The first day after it; not after today.
    #[schema(example = "2026-07-01")]
    pub to: String,
    /// The `total` of the dry run that was looked at; not for a dry run itself.
    pub total: Option<String>,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MayBeDraft {
    /// Only say what the bills would be.
    #[serde(default)]
    pub dry_run: bool,
}

/// A customer's bill before it is made.
#[derive(Debug, Serialize, ToSchema)]
pub struct DraftBill {
    pub customer_id: String,
    pub lines: Vec<BillLine>,
    pub total: String,
}

/// What a period comes to, or came to.
#[derive(Debug, Serialize, ToSchema)]
pub struct PeriodRun {
    pub from: String,
    pub to: String,
    pub total: String,
    /// Of those that had no bill for the period yet.
    pub drafts: Vec<DraftBill>,
    /// The bills that were made.
    pub bill_ids: Vec<String>,
    /// Meters that cannot be billed, in a sentence each.
    pub problems: Vec<String>,
}

impl From<&service::PeriodRun> for PeriodRun {
    fn from(run: &service::PeriodRun) -> Self {
        let draft = |it: &service::DraftBill| DraftBill {
            customer_id: it.customer_id.to_string(),
            lines: it.lines.iter().map(BillLine::from).collect(),
            total: it.total.to_string(),
        };
        PeriodRun {
            from: run.from.to_string(),
            to: run.to.to_string(),
            total: run.total.to_string(),
            drafts: run.drafts.iter().map(draft).collect(),
            bill_ids: run.bills.iter().map(ToString::to_string).collect(),
            problems: run.problems.clone(),
        }
    }
}

/// Bill a period of post-paid meters (后付费账单): with `dry_run` look at the draft, then confirm it with
/// its total. Asking again for the same period makes no second bill of anybody.
#[utoipa::path(post, path = "/api/v1/billing-periods", tag = "billing", params(MayBeDraft),
    request_body = NewPeriod, responses(
    (status = 200, description = "The draft, or what was made", body = PeriodRun),
    (status = 409, description = "`conflict`: it overlaps another period, or comes to another total \
        by now", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn period(
    State(app): State<App>,
    caller: Caller,
    Parameters(dry): Parameters<MayBeDraft>,
    Body(new): Body<NewPeriod>,
) -> Result<Json<PeriodRun>, ApiError> {
    let (from, to) = (day("from", &new.from)?, day("to", &new.to)?);
    if dry.dry_run {
        return Ok(Json(PeriodRun::from(&app.service.draft_period(from, to).await?)));
    }
    let text = new.total.as_deref();
    let text = text.ok_or_else(|| ApiError::invalid("total", "say what the draft came to"))?;
    let expected = money("total", text, app.currency)?;
    let run = app.service.bill_period(from, to, expected, &caller.actor()).await?;
    Ok(Json(PeriodRun::from(&run)))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct BillParameters {
    pub customer_id: Option<String>,
    /// Only those that are to be paid.
    #[serde(default)]
    pub open: bool,
    /// The `next` of the page before.
    pub after: Option<String>,
    /// 1 to 200; 50 where it is left out.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
}

impl BillParameters {
    fn customer(&self) -> Result<Option<CustomerId>, ApiError> {
        let id = self.customer_id.as_deref().map(str::parse).transpose();
        id.map_err(|error| ApiError::invalid("customer_id", error))
    }
}

/// Bills, newest first.
#[utoipa::path(get, path = "/api/v1/bills", tag = "billing", params(BillParameters), responses(
    (status = 200, description = "One page", body = Paged<Bill>),
    (status = 422, description = "`invalid-field`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn list(
    State(app): State<App>,
    Parameters(wanted): Parameters<BillParameters>,
) -> Result<Json<Paged<Bill>>, ApiError> {
    let limit = wanted.limit.unwrap_or(50).clamp(1, 200);
    let page = Page { query: None, after: wanted.after.clone(), limit };
    let found = app.service.bills(wanted.customer()?, wanted.open, &page).await?;
    Ok(Json(Paged::of(&found, limit, |it| it.bill_id.to_string())))
}

/// The same as a table (CSV, RFC 4180): all bills, or with `open` those that are to be paid.
#[utoipa::path(get, path = "/api/v1/bills.csv", tag = "billing", params(BillParameters), responses(
    (status = 200, description = "The table", content_type = "text/csv", body = String),
    (status = 422, description = "`invalid-field`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn table(
    State(app): State<App>,
    Parameters(wanted): Parameters<BillParameters>,
) -> Result<Response, ApiError> {
    let customer = wanted.customer()?;
    // A mark for programs that would else take Chinese for something else.
    let mut csv = "\u{feff}number,state,customer number,customer,premises,from,to,total,paid,open,\
                   currency,due,made\r\n"
        .to_owned();
    let mut page = Page { query: None, after: None, limit: 200 };
    loop {
        let found = app.service.bills(customer, wanted.open, &page).await?;
        for bill in &found {
            let who = app.service.customer(bill.customer_id).await?;
            let it = Bill::from(bill);
            let cells = [
                it.number.to_string(),
                it.state.to_owned(),
                text_cell(who.number.as_str()),
                text_cell(&who.name),
                text_cell(&who.premises),
                it.from.unwrap_or_default(),
                it.to.unwrap_or_default(),
                it.total,
                it.paid,
                it.open,
                it.currency,
                it.due,
                it.created_at,
            ];
            let _ = write!(csv, "{}\r\n", cells.join(","));
        }
        match found.last() {
            Some(last) if found.len() == 200 => page.after = Some(last.bill_id.to_string()),
            _ => break,
        }
    }
    let mut response = csv.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    let named = HeaderValue::from_static("attachment; filename=\"bills.csv\"");
    headers.insert(header::CONTENT_DISPOSITION, named);
    Ok(response)
}

/// Quoted, and never a formula in a program for tables.
fn text_cell(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

pub async fn whole(app: &App, id: BillId) -> Result<WholeBill, ApiError> {
    let bill = app.service.bill(id).await?;
    let lines = app.service.bill_lines(id).await?;
    let payments = app.service.bill_payments(id).await?;
    let customer = app.service.customer(bill.customer_id).await?;
    let notice = (bill.open().minor() > 0).then(|| notice(&bill, &customer));
    Ok(WholeBill {
        bill: (&bill).into(),
        lines: lines.iter().map(BillLine::from).collect(),
        payments: payments.iter().map(BillPayment::from).collect(),
        notice,
    })
}

/// What is sent to a customer who has to pay (催缴通知).
fn notice(bill: &service::Bill, customer: &service::Customer) -> String {
    let currency = bill.total.currency();
    let code = currency.code();
    let late = match bill.state {
        service::BillState::Overdue => "，已逾期",
        _ => "",
    };
    format!(
        "尊敬的{}（户号{}）：您的第{}号账单尚有 {} {code} 未缴，缴费截止日为 {}{late}，请及时缴费。\n\
         Dear {} (customer {}): {} {code} of bill {} are still to be paid by {}.",
        customer.name,
        customer.number,
        bill.number,
        bill.open(),
        bill.due,
        customer.name,
        customer.number,
        bill.open(),
        bill.number,
        bill.due
    )
}

/// One bill with its lines, payments and notice.
#[utoipa::path(get, path = "/api/v1/bills/{bill_id}", tag = "billing",
    params(("bill_id" = String, Path)), responses(
    (status = 200, description = "The bill", body = WholeBill),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn get(State(app): State<App>, Id(id): Id<BillId>) -> Result<Json<WholeBill>, ApiError> {
    Ok(Json(whole(&app, id).await?))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBillPayment {
    #[schema(example = "52.00")]
    pub amount: String,
    /// `cash`, `bank`, `card`, `alipay`, `wechat` or `unionpay`; `cash` where it is left out.
    pub channel: Option<String>,
}

/// Pay a bill, wholly or partly.
#[utoipa::path(post, path = "/api/v1/bills/{bill_id}/payments", tag = "billing",
    params(("bill_id" = String, Path),
        ("Idempotency-Key" = String, Header, description = "Asking again with it is the same payment")),
    request_body = NewBillPayment, responses(
    (status = 201, description = "The payment", body = BillPayment),
    (status = 400, description = "`bad-idempotency-key`", body = Problem,
        content_type = "application/problem+json"),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 409, description = "`differs`: the key was used for another payment",
        body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`: more than is open", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn pay(
    State(app): State<App>,
    caller: Caller,
    Id(bill_id): Id<BillId>,
    IdempotencyKey(key): IdempotencyKey,
    Body(new): Body<NewBillPayment>,
) -> Result<(StatusCode, Json<BillPayment>), ApiError> {
    let name = new.channel.as_deref().unwrap_or("cash");
    let none = || {
        let names = Channel::ALL.map(Channel::name).join(", ");
        ApiError::invalid("channel", format!("`{name}` is none of {names}"))
    };
    let channel = Channel::from_name(name).ok_or_else(none)?;
    let amount = money("amount", &new.amount, app.currency)?;
    let new = service::NewBillPayment { bill_id, channel, amount };
    let paid = app.service.pay_bill(BillPaymentId::new(key), new, &caller.actor()).await?;
    Ok((StatusCode::CREATED, Json(BillPayment::from(&paid))))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TakeBack {
    pub reason: String,
}

/// Take a bill back by a contra bill (红冲). What was paid of it goes into the customer's purse; what it
/// charged is on the next bill.
#[utoipa::path(post, path = "/api/v1/bills/{bill_id}/contra", tag = "billing",
    params(("bill_id" = String, Path)), request_body = TakeBack, responses(
    (status = 200, description = "The contra bill", body = Bill),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 409, description = "`conflict`: it is taken back, or a later reading was charged",
        body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "`invalid-field`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn take_back(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<BillId>,
    Body(new): Body<TakeBack>,
) -> Result<Json<Bill>, ApiError> {
    let contra = app.service.take_bill_back(id, &new.reason, &caller.actor()).await?;
    Ok(Json(Bill::from(&contra)))
}

#[cfg(test)]
mod tests {
    use super::text_cell;

    #[test]
    fn a_cell_is_text_and_no_formula() {
        for (text, cell) in [
            ("王小明", "\"王小明\""),
            ("a \"b\", c", "\"a \"\"b\"\", c\""),
            ("=1+1", "\"'=1+1\""),
            ("-5", "\"'-5\""),
        ] {
            assert_eq!(text_cell(text), cell);
        }
    }
}
