//! Payments of bills: wholly or partly, under the client's own id, with a receipt and an entry in the
//! operator's shift.
//!
//! Not here: the bill (bill).

use super::bill::{Bill, record};
use crate::Service;
use crate::audit::{self, Act, Actor};
use crate::booking::{self, Booking, channel_account, receivable_account};
use crate::clock::UnixMs;
use crate::customer_receipt::{self, NewReceipt, line};
use crate::error::{Result, ServiceError, bad_column, invalid};
use crate::shift::{self, Movement};
use crate::stored;
use polymeter_domain::{BillId, BillPaymentId, Channel, Money};
use polymeter_ledger::{Connection, Transaction};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBillPayment {
    pub bill_id: BillId,
    pub channel: Channel,
    pub amount: Money,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillPayment {
    pub payment_id: BillPaymentId,
    pub bill_id: BillId,
    pub channel: Channel,
    pub amount: Money,
    pub operator: Actor,
    pub created_at: UnixMs,
}

impl Service {
    /// Oldest first.
    pub async fn bill_payments(&self, bill: BillId) -> Result<Vec<BillPayment>> {
        let rows: Vec<PaymentRow> = sqlx::query_as(
            "select * from bill_payment where bill_id = $1
             order by created_at_ms, bill_payment_id",
        )
        .bind(bill.to_string())
        .fetch_all(self.reader())
        .await?;
        rows.into_iter().map(BillPayment::try_from).collect()
    }

    /// Pays a bill wholly or partly, under the client's own id: asking again is the same payment.
    pub async fn pay_bill(
        &self,
        id: BillPaymentId,
        new: NewBillPayment,
        actor: &Actor,
    ) -> Result<BillPayment> {
        let (service, by) = (self.clone(), actor.clone());
        let customer = self.bill(new.bill_id).await?.customer_id;
        let paid = self
            .database()
            .write(move |tx| Box::pin(async move { pay(&service, tx, id, new, by).await }))
            .await?;
        self.tend_soon(customer);
        Ok(paid)
    }
}

#[derive(Debug, sqlx::FromRow)]
struct PaymentRow {
    bill_payment_id: String,
    bill_id: String,
    channel: String,
    amount_minor: i64,
    currency: String,
    operator_id: Option<String>,
    created_at_ms: i64,
}

impl TryFrom<PaymentRow> for BillPayment {
    type Error = ServiceError;
    fn try_from(row: PaymentRow) -> Result<BillPayment> {
        Ok(BillPayment {
            payment_id: stored::parsed("bill_payment_id", &row.bill_payment_id)?,
            bill_id: stored::parsed("bill_id", &row.bill_id)?,
            channel: Channel::from_name(&row.channel)
                .ok_or_else(|| bad_column("channel", &row.channel))?,
            amount: Money::new(row.amount_minor, stored::currency(&row.currency)?),
            operator: Actor::from_stored(row.operator_id.as_deref())?,
            created_at: UnixMs(row.created_at_ms),
        })
    }
}

async fn pay(
    service: &Service,
    tx: &mut Transaction,
    id: BillPaymentId,
    new: NewBillPayment,
    actor: Actor,
) -> Result<BillPayment> {
    let earlier: Option<PaymentRow> =
        sqlx::query_as("select * from bill_payment where bill_payment_id = $1")
            .bind(id.to_string())
            .fetch_optional(tx.connection())
            .await?;
    if let Some(earlier) = earlier {
        let earlier = BillPayment::try_from(earlier)?;
        let same = earlier.bill_id == new.bill_id
            && earlier.channel == new.channel
            && earlier.amount == new.amount;
        let what = "payment of a bill";
        return if same {
            Ok(earlier)
        } else {
            Err(ServiceError::Differs { what, id: id.to_string() })
        };
    }
    let bill = record(&mut *tx.connection(), new.bill_id, service.today()?).await?;
    let (open, amount) = (bill.open(), new.amount);
    if amount.currency() != open.currency() || amount.minor() <= 0 {
        return Err(invalid("amount", format!("{amount} is not above zero")));
    }
    if amount.minor() > open.minor() {
        let why = format!("{amount} is more than the {open} open of bill {}", bill.number);
        return Err(invalid("amount", why));
    }
    service.check_shift(tx, new.channel, &actor).await?;
    let at = service.clock().at();
    paper(tx.connection(), id, &bill, &new, &actor, at).await?;
    let line = Booking {
        debit: channel_account(new.channel),
        credit: receivable_account(bill.customer_id),
        amount,
    };
    booking::book_all(tx, service.clock(), id.uuid(), at, &[line]).await?;
    sqlx::query(
        "insert into bill_payment (bill_payment_id, bill_id, channel, amount_minor, currency,
                                   operator_id, created_at_ms)
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(id.to_string())
    .bind(new.bill_id.to_string())
    .bind(new.channel.name())
    .bind(amount.minor())
    .bind(amount.currency().code())
    .bind(actor.stored())
    .bind(at.0)
    .execute(tx.connection())
    .await?;
    let object = format!("bill/{}", new.bill_id);
    let detail = format!("{amount} by {}", new.channel.name());
    let act = Act { at, actor: &actor, act: "bill-paid", object, detail: &detail };
    audit::record(tx.connection(), act).await?;
    let NewBillPayment { bill_id, channel, .. } = new;
    Ok(BillPayment { payment_id: id, bill_id, channel, amount, operator: actor, created_at: at })
}

/// An entry in the operator's shift, and a receipt with a number.
async fn paper(
    connection: &mut Connection,
    id: BillPaymentId,
    bill: &Bill,
    new: &NewBillPayment,
    actor: &Actor,
    at: UnixMs,
) -> Result<()> {
    let (reference, channel, amount) = (id.uuid(), new.channel, new.amount);
    let movement = Movement { reference, channel, amount, at, actor };
    shift::taken(&mut *connection, movement).await?;
    let (number, name): (String, String) =
        sqlx::query_as("select number, name from customer where customer_id = $1")
            .bind(bill.customer_id.to_string())
            .fetch_one(&mut *connection)
            .await?;
    let currency = amount.currency();
    let code = currency.code();
    let left = Money::new(bill.open().minor() - amount.minor(), currency);
    let receipt = NewReceipt {
        kind: "bill-payment",
        reference,
        customer_id: Some(bill.customer_id),
        meter_id: None,
        operator: actor.clone(),
        channel,
        amount,
        lines: vec![
            line("Customer number", "户号", number),
            line("Customer", "用户", name),
            line("Bill", "账单", bill.number.to_string()),
            line("Paid", "金额", format!("{amount} {code}")),
            line("Still open", "未缴", format!("{left} {code}")),
        ],
        at,
    };
    customer_receipt::issue(connection, &receipt).await
}
