//! What follows from an act that is done: the contra rows of what it takes back, the till, the sums of
//! the customer, the device's count, the receipt. All of it in the transaction that ends the act.
//! Not here: which act ends, and how (store).

use super::store::{Step, StoredAct, record};
use super::{ActKind, in_words};
use crate::clock::UnixMs;
use crate::customer_receipt::{self, NewReceipt, line};
use crate::error::Result;
use crate::shift::{self, Movement};
use crate::standing::{self, Difference};
use crate::stored;
use polymeter_domain::{Channel, CounterActId, PurchaseCount, SaleId, TransferId};
use polymeter_ledger::{Connection, NewContra, Posting, Transaction};
use uuid::Uuid;

/// Contra rows of everything that the sale or the act booked, as one link.
pub(super) async fn take_back(tx: &mut Transaction, act: &StoredAct, step: &Step) -> Result<()> {
    let of = act.sale_id.map(SaleId::uuid).or(act.of_act.map(CounterActId::uuid));
    let Some(of) = of else { return Ok(()) };
    let booked: Vec<String> = sqlx::query_scalar(
        "select transfer_id from transfer where reference = $1 and kind = 'pending'
         order by sequence",
    )
    .bind(of.to_string())
    .fetch_all(tx.connection())
    .await?;
    let mut postings = Vec::with_capacity(booked.len());
    for (of, nth) in booked.into_iter().zip(0_u128..) {
        postings.push(Posting::Contra(NewContra {
            transfer_id: TransferId::new(Uuid::from_u128(step.transfer_id.uuid().as_u128() ^ nth)),
            of: stored::parsed("transfer_id", &of)?,
            reference: act.act_id.uuid(),
            at_ms: step.at.0,
        }));
    }
    Ok(polymeter_ledger::book_linked(tx, &postings).await?)
}

/// What follows from it outside of the ledger: the till, the sums of the customer, the device's count,
/// the receipt.
pub(super) async fn confirmed(
    connection: &mut Connection,
    act: &StoredAct,
    count: Option<PurchaseCount>,
    at: UnixMs,
) -> Result<()> {
    let original = match act.of_act {
        Some(of_act) => Some(record(&mut *connection, of_act).await?),
        None => None,
    };
    // What is taken back has the contrary effect.
    let (kind, amount) = match &original {
        Some(original) => (original.kind, -act.amount.minor()),
        None => (act.kind, act.amount.minor()),
    };
    let difference = match kind {
        ActKind::Deposit => Difference { deposit_minor: amount, ..Difference::default() },
        ActKind::DepositRefund => Difference { deposit_minor: -amount, ..Difference::default() },
        ActKind::Arrears => Difference { arrears_minor: amount, ..Difference::default() },
        ActKind::ArrearsPayment | ActKind::WriteOff => {
            Difference { arrears_minor: -amount, ..Difference::default() }
        }
        ActKind::Refund | ActKind::Reversal => Difference::default(),
    };
    standing::change(connection, act.customer_id, difference, act.amount.currency()).await?;
    if let (Some(meter), Some(count)) = (act.meter_id, count) {
        sqlx::query("update meter set purchase_count = $1 where meter_id = $2")
            .bind(i64::from(count.get()))
            .bind(meter.to_string())
            .execute(&mut *connection)
            .await?;
    }
    let Some(channel) = act.channel else { return Ok(()) };
    let (reference, actor) = (act.act_id.uuid(), &act.operator);
    let movement = Movement { reference, channel, amount: act.amount, at, actor };
    let takes = matches!(kind, ActKind::Deposit | ActKind::ArrearsPayment);
    if takes != original.is_some() {
        shift::taken(connection, movement).await?;
    } else {
        shift::paid_out(connection, movement).await?;
    }
    receipt(connection, act, channel, at).await
}

async fn receipt(
    connection: &mut Connection,
    act: &StoredAct,
    channel: Channel,
    at: UnixMs,
) -> Result<()> {
    let (number, name): (String, String) =
        sqlx::query_as("select number, name from customer where customer_id = $1")
            .bind(act.customer_id.to_string())
            .fetch_one(&mut *connection)
            .await?;
    let mut lines = vec![line("Customer number", "户号", number), line("Customer", "用户", name)];
    if let Some(meter) = act.meter_id {
        let serial_number: String =
            sqlx::query_scalar("select serial_number from meter where meter_id = $1")
                .bind(meter.to_string())
                .fetch_one(&mut *connection)
                .await?;
        lines.push(line("Meter", "表号", serial_number));
    }
    lines.push(line("Amount", "金额", in_words(act.amount)));
    lines.push(line("Reason", "事由", act.reason.clone()));
    let new = NewReceipt {
        kind: act.kind.name(),
        reference: act.act_id.uuid(),
        customer_id: Some(act.customer_id),
        meter_id: act.meter_id,
        operator: act.operator.clone(),
        channel,
        amount: act.amount,
        lines,
        at,
    };
    customer_receipt::issue(connection, &new).await
}
