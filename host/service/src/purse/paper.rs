//! What a payment leaves at the counter: an entry in the operator's shift, and a receipt with a number.

use super::{Direction, NewPayment};
use crate::audit::Actor;
use crate::clock::UnixMs;
use crate::customer_receipt::{self, NewReceipt, line};
use crate::error::Result;
use crate::shift::{self, Movement};
use polymeter_domain::{Money, PursePaymentId};
use polymeter_ledger::Connection;

pub(super) async fn issue(
    connection: &mut Connection,
    id: PursePaymentId,
    new: &NewPayment,
    balance_after: Money,
    actor: &Actor,
    at: UnixMs,
) -> Result<()> {
    let (reference, channel, amount) = (id.uuid(), new.channel, new.amount);
    let movement = Movement { reference, channel, amount, at, actor };
    let (kind, label, chinese) = match new.direction {
        Direction::In => {
            shift::taken(&mut *connection, movement).await?;
            ("purse-payment", "Paid in", "充值")
        }
        Direction::Out => {
            shift::paid_out(&mut *connection, movement).await?;
            ("purse-refund", "Given back", "退费")
        }
    };
    let (number, name): (String, String) =
        sqlx::query_as("select number, name from customer where customer_id = $1")
            .bind(new.customer_id.to_string())
            .fetch_one(&mut *connection)
            .await?;
    let currency = amount.currency();
    let code = currency.code();
    let mut lines = vec![
        line("Customer number", "户号", number),
        line("Customer", "用户", name),
        line(label, chinese, format!("{amount} {code}")),
        line("Balance", "余额", format!("{balance_after} {code}")),
    ];
    if !new.reason.is_empty() {
        lines.push(line("Reason", "原因", new.reason.clone()));
    }
    let receipt = NewReceipt {
        kind,
        reference,
        customer_id: Some(new.customer_id),
        meter_id: None,
        operator: actor.clone(),
        channel,
        amount,
        lines,
        at,
    };
    customer_receipt::issue(connection, &receipt).await
}
