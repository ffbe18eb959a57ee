//! The final bill of a post-paid meter that leaves its customer (末次账单): what it counted since its last bill,
//! on a bill without a period.
//!
//! Invariant: its charge is a link of the meter's chain, so that no later period bills the same again.

use super::bill::{self, NewBill};
use super::period::line_of;
use crate::Service;
use crate::audit::{self, Act, Actor};
use crate::booking::receivable_account;
use crate::charge::{self, How, Next};
use crate::error::{Result, ServiceError};
use crate::meter::{self, MeterRecord};
use crate::reading::Reading;
use polymeter_domain::{BillId, CustomerId};
use polymeter_ledger::Transaction;

/// `None` where nothing was used.
pub(crate) async fn final_bill(
    service: &Service,
    meter: &MeterRecord,
    reading: Reading,
    how: How,
    actor: &Actor,
) -> Result<Option<BillId>> {
    let (inside, id, actor) = (service.clone(), meter.meter_id, actor.clone());
    service
        .database()
        .write(move |tx| {
            Box::pin(async move {
                let meter = meter::record(&mut *tx.connection(), id).await?;
                let Some(customer) = meter.customer_id else { return Ok(None) };
                make(&inside, tx, &meter, customer, &reading, how, &actor).await
            })
        })
        .await
}

async fn make(
    service: &Service,
    tx: &mut Transaction,
    meter: &MeterRecord,
    customer: CustomerId,
    reading: &Reading,
    how: How,
    actor: &Actor,
) -> Result<Option<BillId>> {
    let next = charge::next(service, &mut tx.connection(), meter, reading, how, actor).await?;
    let new = match next {
        Next::Nothing(_) => return Ok(None),
        Next::Unbelievable(_, why) => {
            let what = format!("meter {}", meter.serial_number);
            let why = format!("its last reading cannot be billed: {why}");
            return Err(ServiceError::Blocked { what, why });
        }
        Next::Charge(new) => *new,
    };
    if new.charge.amount.minor() == 0 {
        charge::store::insert(tx.connection(), &new).await?;
        return Ok(None);
    }
    let debit = receivable_account(customer);
    let bill = NewBill {
        bill_id: BillId::new(service.clock().id()),
        period: None,
        customer_id: customer,
        due: bill::later(service.today()?, service.billing_rules().days_to_pay),
        lines: vec![line_of(&meter.serial_number, &new.charge)],
        bookings: charge::lines(&new.charge, &debit),
    };
    bill::insert_head(service, tx, &bill, actor).await?;
    charge::store::insert(tx.connection(), &new).await?;
    bill::insert_lines_and_book(service, tx, &bill).await?;
    let (at, object) = (service.clock().at(), format!("bill/{}", bill.bill_id));
    let detail = format!("meter {}, {}", meter.serial_number, new.charge.amount);
    let act = Act { at, actor, act: "final-bill-made", object, detail: &detail };
    audit::record(tx.connection(), act).await?;
    Ok(Some(bill.bill_id))
}
