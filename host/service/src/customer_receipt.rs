//! Receipts for customers (收据): numbered 1, 2, 3 ... for the whole site, issued in the transaction that
//! settles what they are for, never changed. What is printed is kept as it was, so that a copy (副本)
//! shows what the original showed.
//!
//! Not here: how one looks on paper (server). A device's yes is `domain::Receipt`, another thing.

use crate::Service;
use crate::audit::{self, Act, Actor};
use crate::clock::UnixMs;
use crate::error::{Result, ServiceError, bad_column};
use crate::page::Page;
use crate::stored;
use polymeter_domain::{Channel, CustomerId, MeterId, Money};
use polymeter_ledger::Connection;
use serde_json::{Value as Json, json};
use sqlx::AnyExecutor;
use uuid::Uuid;

/// One receipt as it was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerReceipt {
    pub number: u64,
    /// What it is for: "sale", "refund" ...
    pub kind: String,
    /// The id of that.
    pub reference: Uuid,
    pub customer_id: Option<CustomerId>,
    pub meter_id: Option<MeterId>,
    pub operator: Actor,
    pub channel: Channel,
    pub amount: Money,
    pub lines: Vec<ReceiptLine>,
    pub at: UnixMs,
    /// How often it was printed; the first is the original.
    pub prints: u64,
}

/// One printed line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptLine {
    pub label: String,
    pub chinese: String,
    pub text: String,
}

/// A receipt about to be issued.
#[derive(Debug, Clone)]
pub(crate) struct NewReceipt {
    pub kind: &'static str,
    pub reference: Uuid,
    pub customer_id: Option<CustomerId>,
    pub meter_id: Option<MeterId>,
    pub operator: Actor,
    pub channel: Channel,
    pub amount: Money,
    pub lines: Vec<ReceiptLine>,
    pub at: UnixMs,
}

pub(crate) fn line(label: &str, chinese: &str, text: impl Into<String>) -> ReceiptLine {
    ReceiptLine { label: label.to_owned(), chinese: chinese.to_owned(), text: text.into() }
}

/// Takes the next number. Called once for one settlement: the caller's state sees to it, and so does
/// the constraint `receipt_once`.
pub(crate) async fn issue(connection: &mut Connection, new: &NewReceipt) -> Result<()> {
    sqlx::query(
        "insert into receipt (number, kind, reference, customer_id, meter_id, operator_id, channel,
                              amount_minor, currency, lines, at_ms)
         select coalesce(max(number), 0) + 1, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10 from receipt",
    )
    .bind(new.kind)
    .bind(new.reference.to_string())
    .bind(new.customer_id.map(|id| id.to_string()))
    .bind(new.meter_id.map(|id| id.to_string()))
    .bind(new.operator.stored())
    .bind(new.channel.name())
    .bind(new.amount.minor())
    .bind(new.amount.currency().code())
    .bind(lines_text(&new.lines))
    .bind(new.at.0)
    .execute(connection)
    .await?;
    Ok(())
}

fn lines_text(lines: &[ReceiptLine]) -> String {
    let line = |it: &ReceiptLine| json!([it.label, it.chinese, it.text]);
    lines.iter().map(line).collect::<Json>().to_string()
}

fn lines_from(text: &str) -> Option<Vec<ReceiptLine>> {
    let json: Json = serde_json::from_str(text).ok()?;
    let read = |json: &Json| {
        let [label, chinese, text] = json.as_array()?.as_slice() else { return None };
        Some(line(label.as_str()?, chinese.as_str()?, text.as_str()?))
    };
    json.as_array()?.iter().map(read).collect()
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    number: i64,
    kind: String,
    reference: String,
    customer_id: Option<String>,
    meter_id: Option<String>,
    operator_id: Option<String>,
    channel: String,
    amount_minor: i64,
    currency: String,
    lines: String,
    at_ms: i64,
    prints: i64,
}

impl TryFrom<Row> for CustomerReceipt {
    type Error = ServiceError;
    fn try_from(row: Row) -> Result<CustomerReceipt> {
        let currency = stored::currency(&row.currency)?;
        let whole = |column, number: i64| {
            u64::try_from(number).map_err(|_| bad_column(column, number.to_string()))
        };
        let customer_id = match row.customer_id {
            None => None,
            Some(id) => Some(stored::parsed("customer_id", &id)?),
        };
        let meter_id = match row.meter_id {
            None => None,
            Some(id) => Some(stored::parsed("meter_id", &id)?),
        };
        Ok(CustomerReceipt {
            number: whole("number", row.number)?,
            kind: row.kind,
            reference: row
                .reference
                .parse()
                .map_err(|_| bad_column("reference", &row.reference))?,
            customer_id,
            meter_id,
            operator: Actor::from_stored(row.operator_id.as_deref())?,
            channel: stored::channel(&row.channel)?,
            amount: Money::new(row.amount_minor, currency),
            lines: lines_from(&row.lines).ok_or_else(|| bad_column("lines", &row.lines))?,
            at: UnixMs(row.at_ms),
            prints: whole("prints", row.prints)?,
        })
    }
}

/// Receipts with how often each was printed, and the end of the statement.
macro_rules! receipts {
    ($end:literal) => {
        concat!(
            "select receipt.*, (select cast(count(*) as bigint) from receipt_print
                                where receipt_print.number = receipt.number) as prints
             from receipt ",
            $end
        )
    };
}

async fn find(executor: impl AnyExecutor<'_>, number: i64) -> Result<CustomerReceipt> {
    let row: Option<Row> = sqlx::query_as(receipts!("where number = $1"))
        .bind(number)
        .fetch_optional(executor)
        .await?;
    row.ok_or_else(|| not_found(number))?.try_into()
}

fn not_found(number: i64) -> ServiceError {
    ServiceError::NotFound { what: "receipt", id: number.to_string() }
}

/// A number that fits the column; any other has no receipt.
fn column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Service {
    pub async fn receipt(&self, number: u64) -> Result<CustomerReceipt> {
        find(self.reader(), column(number)).await
    }

    /// The receipt of a sale or of another act, once there is one.
    pub async fn receipt_of(&self, reference: Uuid) -> Result<Option<CustomerReceipt>> {
        let row: Option<Row> =
            sqlx::query_as(receipts!("where reference = $1 order by number limit 1"))
                .bind(reference.to_string())
                .fetch_optional(self.reader())
                .await?;
        row.map(CustomerReceipt::try_from).transpose()
    }

    /// Newest first; `after` is a number.
    pub async fn receipts(
        &self,
        customer: Option<CustomerId>,
        page: &Page,
    ) -> Result<Vec<CustomerReceipt>> {
        let after = page.after_number()?;
        let rows: Vec<Row> = sqlx::query_as(receipts!(
            "where ($1 is null or number < $1) and ($2 is null or customer_id = $2)
             order by number desc limit $3"
        ))
        .bind(after)
        .bind(customer.map(|id| id.to_string()))
        .bind(page.row_limit()?)
        .fetch_all(self.reader())
        .await?;
        rows.into_iter().map(CustomerReceipt::try_from).collect()
    }

    /// Counts a print; 0 is the original, what follows are copies. Who printed it is kept.
    pub async fn print_receipt(&self, number: u64, actor: &Actor) -> Result<u64> {
        let (at, actor, number) = (self.clock().at(), actor.clone(), column(number));
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    let receipt = find(&mut *tx.connection(), number).await?;
                    let copy = receipt.prints;
                    sqlx::query(
                        "insert into receipt_print (number, copy, operator_id, at_ms)
                         values ($1, $2, $3, $4)",
                    )
                    .bind(number)
                    .bind(column(copy))
                    .bind(actor.stored())
                    .bind(at.0)
                    .execute(tx.connection())
                    .await?;
                    let act = if copy == 0 { "receipt-printed" } else { "receipt-reprinted" };
                    let detail = if copy == 0 { String::new() } else { format!("copy {copy}") };
                    let object = format!("receipt/{number}");
                    let act = Act { at, actor: &actor, act, object, detail: &detail };
                    audit::record(tx.connection(), act).await?;
                    Ok(copy)
                })
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_lines_survive_storing() {
        let lines = vec![line("Paid", "金额", "50.00 \"CNY\""), line("", "", "")];
        assert_eq!(lines_from(&lines_text(&lines)), Some(lines));
        for text in ["", "{}", "[1]", r#"[["a","b"]]"#, r#"[["a","b",1]]"#] {
            assert_eq!(lines_from(text), None, "{text}");
        }
    }
}
