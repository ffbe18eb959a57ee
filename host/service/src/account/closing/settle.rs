//! What a closing books, and the one transaction that books it and archives the file.

use super::second;
use super::store::existing;
use super::{
    ArrearsEnd, ClearingState, Closing, ClosingMeter, ClosingPreview, ClosingState, blocked,
};
use crate::account::application;
use crate::account::file::{self, Change};
use crate::account::installation::{self, Ending};
use crate::account::money::nothing_billed_is_open;
use crate::audit::{self, Act, Actor};
use crate::booking::{
    Booking, CASH, WRITE_OFF, arrears_account, book_all, deposit_account, meter_credit_account,
    purse_account, revenue_account,
};
use crate::clock::UnixMs;
use crate::error::{Result, ServiceError};
use crate::standing::{self, Difference};
use crate::{Service, purse, shift};
use polymeter_domain::tariff::Date;
use polymeter_domain::{Channel, ClosingId, CustomerId, MeterId, Money};
use polymeter_ledger::{Transaction, standing as ledger_standing};

/// What is booked for a closing: of each meter what was used and what is left, the deposit, and the
/// arrears against both.
pub(super) async fn reckon(
    tx: &mut Transaction,
    service: &Service,
    customer: CustomerId,
    meters: &[(MeterId, Money)],
    today: Date,
) -> Result<ClosingPreview> {
    let currency = service.currency();
    let amount = |minor| Money::new(minor, currency);
    let purse = ledger_standing(&mut *tx.connection(), &purse_account(customer), currency).await?;
    let held = purse.credit_balance();
    if held.minor() < 0 || purse.pending > 0 {
        let why = format!("the purse on the platform is at {held}; have that paid in first");
        return Err(ServiceError::Blocked { what: format!("customer {customer}"), why });
    }
    nothing_billed_is_open(tx.connection(), customer, currency).await?;
    let arrears = arrears_account(customer);
    let owing = standing::of(&mut *tx.connection(), customer, currency).await?;
    let mut owed = owing.arrears.minor();
    let (mut movements, mut refunded, mut recovered) = (Vec::new(), 0, 0);
    let mut give_back = |account: &str, minor: i64, movements: &mut Vec<Booking>| {
        let kept = minor.min(owed);
        owed -= kept;
        recovered += kept;
        refunded += minor - kept;
        movements.extend(Booking::of(account, &arrears, amount(kept)));
        movements.extend(Booking::of(account, CASH, amount(minor - kept)));
    };
    for (meter, remaining) in meters {
        let account = meter_credit_account(*meter);
        let stands = ledger_standing(&mut *tx.connection(), &account, currency).await?;
        if stands.pending > 0 {
            let why = "money is on its way into it".to_owned();
            return Err(ServiceError::Blocked { what: format!("meter {meter}"), why });
        }
        let sold = stands.credit_balance().minor().max(0);
        // A meter that holds more than was sold into it is somebody's mistake and nobody's money.
        let left = remaining.minor().min(sold);
        let (_, commodity) = installation::measure(tx.connection(), *meter, today).await?;
        let used = amount(sold - left);
        movements.extend(Booking::of(&account, revenue_account(commodity), used));
        give_back(&account, left, &mut movements);
    }
    give_back(&purse_account(customer), held.minor(), &mut movements);
    let deposit = deposit_account(customer);
    give_back(&deposit, owing.deposit.minor(), &mut movements);
    let (refunded, recovered) = (amount(refunded), amount(recovered));
    Ok(ClosingPreview { movements, refunded, recovered, owed: amount(owed), purse: held })
}

/// Whoever closes says how what is still owed after all is settled.
pub(super) fn nothing_stays_owed(
    closing: ClosingId,
    arrears: ArrearsEnd,
    sums: &ClosingPreview,
) -> Result<()> {
    if arrears != ArrearsEnd::None || sums.owed.minor() == 0 {
        return Ok(());
    }
    let (owed, currency) = (sums.owed, sums.owed.currency());
    let code = currency.code();
    let why = format!("{owed} {code} are still owed; say that they are paid or written off");
    Err(blocked(closing, why))
}

pub(super) async fn settle(service: &Service, closing: ClosingId, actor: &Actor) -> Result<()> {
    let (inside, actor, today) = (service.clone(), actor.clone(), service.today()?);
    service
        .database()
        .write(move |tx| {
            Box::pin(async move {
                let it = existing(tx.connection(), closing).await?;
                if it.state != ClosingState::Begun {
                    return Ok(());
                }
                let is_empty = |it: &ClosingMeter| {
                    matches!(it.state, ClearingState::Cleared | ClearingState::Kept)
                };
                if let Some(full) = it.meters.iter().find(|it| !is_empty(it)) {
                    let why = format!("meter {} is not cleared yet", full.serial_number);
                    return Err(blocked(closing, why));
                }
                let at = inside.clock().at();
                let meters: Vec<_> =
                    it.meters.iter().map(|it| (it.meter_id, it.remaining)).collect();
                let mut sums = reckon(tx, &inside, it.customer_id, &meters, today).await?;
                nothing_stays_owed(closing, it.arrears, &sums)?;
                // What came to more than was agreed to meanwhile: somebody has to agree to that.
                if !second::agreed(tx, &inside, &it, &sums).await? {
                    return Ok(());
                }
                let owing = arrears_account(it.customer_id);
                let from = match it.arrears {
                    ArrearsEnd::Paid => CASH,
                    ArrearsEnd::WrittenOff | ArrearsEnd::None => WRITE_OFF,
                };
                sums.movements.extend(Booking::of(from, &owing, sums.owed));
                book_all(tx, inside.clock(), closing.uuid(), at, &sums.movements).await?;
                let stood = standing::of(&mut *tx.connection(), it.customer_id, inside.currency());
                let stood = stood.await?;
                let by = Difference {
                    arrears_minor: -stood.arrears.minor(),
                    deposit_minor: -stood.deposit.minor(),
                };
                standing::change(tx.connection(), it.customer_id, by, inside.currency()).await?;
                let out = Money::new(-sums.purse.minor(), sums.purse.currency());
                purse::change(tx.connection(), it.customer_id, out, at).await?;
                let till = shift::Movement {
                    reference: closing.uuid(),
                    channel: Channel::Cash,
                    amount: sums.refunded,
                    at,
                    actor: &actor,
                };
                if sums.refunded.minor() > 0 {
                    shift::paid_out(tx.connection(), till).await?;
                }
                if it.arrears == ArrearsEnd::Paid && sums.owed.minor() > 0 {
                    let till = shift::Movement { amount: sums.owed, ..till };
                    shift::taken(tx.connection(), till).await?;
                }
                for meter in &it.meters {
                    let ending =
                        Ending { at, last_reading: Some(meter.reading), why: "account closed" };
                    installation::end(tx.connection(), meter.meter_id, &ending).await?;
                    installation::unbind(tx.connection(), meter.meter_id).await?;
                }
                archive(tx, &it, &sums, at, &actor).await
            })
        })
        .await
}

async fn archive(
    tx: &mut Transaction,
    it: &Closing,
    sums: &ClosingPreview,
    at: UnixMs,
    actor: &Actor,
) -> Result<()> {
    sqlx::query(
        "update closing set state = 'settled', refunded_minor = $1, recovered_minor = $2,
                ended_at_ms = $3
         where closing_id = $4 and state = 'begun'",
    )
    .bind(sums.refunded.minor())
    .bind(sums.recovered.minor())
    .bind(at.0)
    .bind(it.closing_id.to_string())
    .execute(tx.connection())
    .await?;
    sqlx::query("update customer set closed_at_ms = $1 where customer_id = $2")
        .bind(at.0)
        .bind(it.customer_id.to_string())
        .execute(tx.connection())
        .await?;
    let (customer, why) = (Some(it.customer_id), &it.why);
    for meter in &it.meters {
        let (of, field) = (Some(meter.meter_id), "meter");
        let (old, new) = (meter.serial_number.as_str(), "");
        let change = Change { at, actor, why, customer, meter: of, field, old, new };
        file::record(tx.connection(), change).await?;
    }
    let (field, old, new) = ("file", "current", "archive");
    let change = Change { at, actor, why, customer, meter: None, field, old, new };
    file::record(tx.connection(), change).await?;
    let outcome = format!(
        "closed with {} meters, {} {} paid out",
        it.meters.len(),
        sums.refunded,
        sums.refunded.currency().code()
    );
    application::finish(tx, at, why, it.customer_id, &["closing"], &outcome).await?;
    let (act, object) = ("account-closed", format!("closing/{}", it.closing_id));
    audit::record(tx.connection(), Act { at, actor, act, object, detail: &outcome }).await
}
