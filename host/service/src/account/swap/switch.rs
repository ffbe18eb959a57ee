//! The moment of a swap: one transaction in which the customer's meter changes, what was used is booked,
//! and the sale that carries the rest is reserved.

use super::store::existing;
use super::{Swap, SwapState, blocked};
use crate::Service;
use crate::account::application;
use crate::account::file::{self, Change};
use crate::account::installation::{self, Ending};
use crate::audit::{self, Act, Actor};
use crate::booking::{BROUGHT_IN, Booking, book_all, meter_credit_account, revenue_account};
use crate::clock::UnixMs;
use crate::error::{Result, invalid};
use crate::meter::{self, MeterRecord};
use crate::sale::{self, Carried};
use polymeter_domain::tariff::Date;
use polymeter_domain::{Money, SaleId};
use polymeter_ledger::{Connection, Transaction, standing};

/// The customer's meter changes, in one transaction.
pub(super) async fn switch(
    service: &Service,
    swap: &Swap,
    new_reading: u64,
    actor: &Actor,
) -> Result<Option<sale::Claim>> {
    let (inside, swap_id, actor) = (service.clone(), swap.swap_id, actor.clone());
    let today = service.today()?;
    service
        .database()
        .write(move |tx| {
            Box::pin(async move {
                let swap = existing(tx.connection(), swap_id).await?;
                if swap.state != SwapState::Begun {
                    return Ok(None);
                }
                let old = meter::record(&mut *tx.connection(), swap.old_meter_id).await?;
                let new = meter::record(&mut *tx.connection(), swap.new_meter_id).await?;
                let customer_id = Some(swap.customer_id);
                if old.customer_id != customer_id || new.customer_id != customer_id {
                    return Err(blocked(swap_id, "a meter of it is another customer's by now"));
                }
                sale::none_unsettled(tx.connection(), &old).await?;
                let at = inside.clock().at();
                let parts = book(tx, &inside, &swap, at, today).await?;
                hand_over(tx, &swap, &old, at, new_reading).await?;
                stamp(tx, &swap, &parts, at, new_reading).await?;
                note(tx, &swap, &old, &new, at, &actor).await?;
                carry(tx, &inside, &swap, 1, &actor).await
            })
        })
        .await
}

/// What the old meter's account is split into.
struct Parts {
    consumed: Money,
    excess: Money,
}

/// What was used goes to revenue. What is left stays, to be carried; if that is more than was ever sold
/// into the meter, the rest is brought in.
async fn book(
    tx: &mut Transaction,
    service: &Service,
    swap: &Swap,
    at: UnixMs,
    today: Date,
) -> Result<Parts> {
    let (account, currency) = (meter_credit_account(swap.old_meter_id), swap.remaining.currency());
    let stands = standing(&mut *tx.connection(), &account, currency).await?;
    if stands.pending > 0 {
        return Err(blocked(swap.swap_id, "money is on its way into the old meter"));
    }
    let sold = stands.credit_balance();
    let consumed = (sold.minor() - swap.remaining.minor()).max(0);
    let excess = (swap.remaining.minor() - sold.minor()).max(0);
    if excess > 0 && !swap.request.accept_excess {
        let code = currency.code();
        let why = format!(
            "the old meter holds {} {code}, and only {sold} {code} of what was sold into it is \
             left in the books; say that the rest is accepted, or abandon the swap and begin it \
             with other figures",
            swap.remaining
        );
        return Err(blocked(swap.swap_id, why));
    }
    let parts =
        Parts { consumed: Money::new(consumed, currency), excess: Money::new(excess, currency) };
    let (_, commodity) = installation::measure(tx.connection(), swap.old_meter_id, today).await?;
    let movements: Vec<Booking> = [
        Booking::of(&account, revenue_account(commodity), parts.consumed),
        Booking::of(BROUGHT_IN, &account, parts.excess),
    ]
    .into_iter()
    .flatten()
    .collect();
    book_all(tx, service.clock(), swap.swap_id.uuid(), at, &movements).await?;
    Ok(parts)
}

/// The old installation ends, the new one is told where it began.
async fn hand_over(
    tx: &mut Transaction,
    swap: &Swap,
    old: &MeterRecord,
    at: UnixMs,
    new_reading: u64,
) -> Result<()> {
    let ending = Ending { at, last_reading: Some(swap.old_reading), why: "swapped" };
    installation::end(tx.connection(), old.meter_id, &ending).await?;
    installation::unbind(tx.connection(), old.meter_id).await?;
    installation::set_first(tx.connection(), swap.new_meter_id, new_reading).await
}

async fn stamp(
    tx: &mut Transaction,
    swap: &Swap,
    parts: &Parts,
    at: UnixMs,
    new_reading: u64,
) -> Result<()> {
    sqlx::query(
        "update swap set state = 'switched', new_reading = $1, consumed_minor = $2,
                excess_minor = $3, ended_at_ms = $4
         where swap_id = $5 and state = 'begun'",
    )
    .bind(i64::try_from(new_reading).map_err(|_| invalid("reading", "too large"))?)
    .bind(parts.consumed.minor())
    .bind(parts.excess.minor())
    .bind(at.0)
    .bind(swap.swap_id.to_string())
    .execute(tx.connection())
    .await?;
    Ok(())
}

async fn note(
    tx: &mut Transaction,
    swap: &Swap,
    old: &MeterRecord,
    new: &MeterRecord,
    at: UnixMs,
    actor: &Actor,
) -> Result<()> {
    let (customer, why, field) = (Some(swap.customer_id), &swap.why, "meter");
    let (was, is) = (old.serial_number.as_str(), new.serial_number.as_str());
    for meter in [old.meter_id, new.meter_id] {
        // The customer's file has one line of it, both meters' files have theirs.
        let customer = customer.filter(|_| meter == old.meter_id);
        let meter = Some(meter);
        let change = Change { at, actor, why, customer, meter, field, old: was, new: is };
        file::record(tx.connection(), change).await?;
    }
    let outcome = format!("meter {was} was swapped for {is}");
    application::finish(tx, at, why, swap.customer_id, &["swap"], &outcome).await?;
    let (act, object) = ("swap-switched", format!("swap/{}", swap.swap_id));
    audit::record(tx.connection(), Act { at, actor, act, object, detail: &outcome }).await
}

/// Reserves the sale that carries what is left; `None` where nothing is.
async fn carry(
    tx: &mut Transaction,
    service: &Service,
    swap: &Swap,
    attempt: u32,
    actor: &Actor,
) -> Result<Option<sale::Claim>> {
    if swap.remaining.minor() == 0 {
        return Ok(None);
    }
    // Derived, so that the same attempt of the same swap can only ever be one sale.
    let text = format!("polymeter-swap-{attempt}\n{}\n", swap.swap_id);
    let sale_id = SaleId::new(polymeter_domain::derived_id(&text));
    let carried = Carried {
        sale_id,
        meter_id: swap.new_meter_id,
        amount: swap.remaining,
        left: swap.left,
        from: meter_credit_account(swap.old_meter_id),
    };
    let claim = sale::carry(tx, service, carried, actor).await?;
    sqlx::query("update swap set sale_id = $1 where swap_id = $2")
        .bind(sale_id.to_string())
        .bind(swap.swap_id.to_string())
        .execute(tx.connection())
        .await?;
    Ok(claim)
}

/// The last sale was refused or cancelled, so that its money is back on the old meter's account.
pub(super) async fn carry_again(
    service: &Service,
    swap: &Swap,
    actor: &Actor,
) -> Result<sale::Claim> {
    let (inside, swap_id, actor) = (service.clone(), swap.swap_id, actor.clone());
    service
        .database()
        .write(move |tx| {
            Box::pin(async move {
                let swap = existing(tx.connection(), swap_id).await?;
                if !swap.waits_for_money() {
                    return Err(blocked(swap_id, "its money is under way already"));
                }
                let attempt = attempts(tx.connection(), &swap).await? + 1;
                let claim = carry(tx, &inside, &swap, attempt, &actor).await?;
                claim.ok_or_else(|| blocked(swap_id, "its money is under way already"))
            })
        })
        .await
}

/// Sales of the new meter that were made from the old one's account.
async fn attempts(connection: &mut Connection, swap: &Swap) -> Result<u32> {
    let mut attempt = 0;
    loop {
        let text = format!("polymeter-swap-{}\n{}\n", attempt + 1, swap.swap_id);
        let sale_id = SaleId::new(polymeter_domain::derived_id(&text));
        if sale::exists(&mut *connection, sale_id).await? {
            attempt += 1;
        } else {
            return Ok(attempt);
        }
    }
}
