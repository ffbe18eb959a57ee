//! Bringing a reserved sale into its device: which sales are being worked on, and one attempt.
//!
//! Invariants: one delivery of a sale at a time (its [`Claim`]); `dispatched` is on disk before the
//! first byte of a sale leaves; an attempt whose end is unknown is followed by asking the device and
//! never by sending blindly.

use super::store::{self, Step, StoredSale};
use super::{history, reconcile, token};
use crate::Service;
use crate::account;
use crate::audit::{self, Act, Actor};
use crate::crash_point::crash_point;
use crate::driver::Kind;
use crate::error::{Result, ServiceError, chain, meaning_of, refused};
use crate::limits::{AUTOMATIC_ATTEMPTS, STORE_AGAIN_FIRST, STORE_AGAIN_MOST};
use crate::reach::{Lease, Reach, Way};
use polymeter_domain::{
    Credit, Currency, Delivery, Evidence, Money, Purchase, Quantity, Sale, SaleId,
};
use polymeter_runtime::Driver;
use polymeter_transport::Priority;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tracing::Instrument;

/// The sales that somebody in this process is working on. The database is held by one process, so
/// that no other can be.
#[derive(Debug, Clone, Default)]
pub(crate) struct UnderWay(Arc<Mutex<HashMap<SaleId, watch::Receiver<()>>>>);

/// The sole right to work on one sale, until it is dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    sale_id: SaleId,
    under_way: UnderWay,
    /// Closed with the claim; that is what waiters wait for.
    _over: watch::Sender<()>,
}

impl UnderWay {
    /// `None` while somebody else has it.
    pub(crate) fn claim(&self, sale_id: SaleId) -> Option<Claim> {
        let mut claims = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if claims.contains_key(&sale_id) {
            return None;
        }
        let (over, watch) = watch::channel(());
        claims.insert(sale_id, watch);
        Some(Claim { sale_id, under_way: self.clone(), _over: over })
    }

    pub(crate) fn watch(&self, sale_id: SaleId) -> Option<watch::Receiver<()>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&sale_id).cloned()
    }
}

impl Claim {
    pub(super) fn sale_id(&self) -> SaleId {
        self.sale_id
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut claims = self.under_way.0.lock().unwrap_or_else(PoisonError::into_inner);
        claims.remove(&self.sale_id);
    }
}

/// A first attempt is by whichever version the registry picks. One that provably never arrived was not
/// begun, and the next is by the version that has been proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Picked,
    Current,
}

/// Whether the state that an attempt ended in may be tried again without a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Again,
    Nothing,
}

/// Delivers a sale that was just reserved. Whatever state that ends in is stored; there is nothing to
/// return.
pub(super) async fn deliver(service: Service, claim: Claim) {
    see_through(&service, claim, Found::Reserved).await;
}

/// Takes up a sale that nobody works on, in whatever state it is.
pub(super) async fn take_up(service: &Service, claim: Claim) {
    see_through(service, claim, Found::Left).await;
}

/// What is known of a sale at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Reserved,
    Left,
}

/// To a state that is settled or waits for a person. A step that the database did not store is no end:
/// the state on disk is still true, and the sale goes on from there once the database is back.
async fn see_through(service: &Service, claim: Claim, mut found: Found) {
    let sale_id = claim.sale_id();
    let work = async {
        let mut wait = StoreAgain::default();
        while let Err(error) = go_on(service, sale_id, found).await {
            if let Err(error) = wait.after(error).await {
                tracing::error!(error = chain(&error), "the sale cannot go on by itself");
                return;
            }
            found = Found::Left;
        }
    };
    work.instrument(tracing::info_span!("sale", %sale_id)).await;
    drop(claim);
}

/// How long a step that the database did not store waits before it is taken again: longer each time.
#[derive(Debug)]
pub(crate) struct StoreAgain(Duration);

impl Default for StoreAgain {
    fn default() -> Self {
        StoreAgain(STORE_AGAIN_FIRST)
    }
}

impl StoreAgain {
    /// Waits where the database was merely away; any other error comes back.
    pub(crate) async fn after(&mut self, error: ServiceError) -> Result<()> {
        if !error.is_passing() {
            return Err(error);
        }
        tracing::error!(
            error = chain(&error),
            wait_ms = self.0.as_millis(),
            "a step was not stored; it is taken up again"
        );
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(STORE_AGAIN_MOST);
        Ok(())
    }
}

/// Delivers once, and once more where the first attempt provably never arrived.
async fn go_on(service: &Service, sale_id: SaleId, found: Found) -> Result<()> {
    if token::is_made_for(service, sale_id).await? {
        return token::go_on(service, sale_id).await;
    }
    if found == Found::Left && reconcile::find_out(service, sale_id).await? != Sale::Reserved {
        return Ok(());
    }
    for nth in 0..AUTOMATIC_ATTEMPTS {
        let by = if nth == 0 { Version::Picked } else { Version::Current };
        if attempt(service, sale_id, by).await? == Next::Nothing {
            return Ok(());
        }
    }
    tracing::warn!("sale stays reserved: no attempt arrived");
    Ok(())
}

async fn attempt(service: &Service, sale_id: SaleId, by: Version) -> Result<Next> {
    let sale = store::record(service.reader(), sale_id).await?;
    if sale.state != Sale::Reserved {
        return Ok(Next::Nothing);
    }
    let (reach, purchase) = match prepare(service, &sale, by).await {
        Ok(ready) => ready,
        Err(error) => {
            stay(service, &sale, chain(&error)).await?;
            return Ok(Next::Nothing);
        }
    };
    let customer = account::number_in_device(service, sale.meter_id, sale.customer_id).await?;
    let mut lease = match reach.lease(Priority::Sale).await {
        Ok(lease) => lease,
        Err(error) => {
            stay(service, &sale, chain(&error)).await?;
            return Ok(Next::Nothing);
        }
    };
    crash_point("before-dispatch");
    let step = Step::new(service, sale_id, format!("as purchase {}", purchase.count));
    store::advance(service, step, move |sale| sale.dispatch(purchase)).await?;
    crash_point("after-dispatch");
    let delivery = service.sell_to_device(&reach, &mut lease, &customer, purchase).await;
    service.keep_failure(&reach).await;
    crash_point("after-sell");
    drop(lease);
    let told = describe(&delivery, &reach.pick.driver, service.currency());
    let step = Step::new(service, sale_id, told);
    let mut state = store::advance(service, step, move |sale| sale.settle(delivery)).await?;
    crash_point("after-settle");
    tracing::info!(state = state.name(), count = purchase.count.get(), "sale attempted");
    if matches!(state, Sale::Unresolved(_)) {
        state = reconcile::try_reconcile(service, sale_id, Some(&reach.pick)).await?;
    }
    service.look_again(&reach).await;
    Ok(if state == Sale::Reserved { Next::Again } else { Next::Nothing })
}

/// Asks the device for its count before anything is dispatched: a device that does not answer this
/// is not sent a sale.
async fn prepare(service: &Service, sale: &StoredSale, by: Version) -> Result<(Reach, Purchase)> {
    let mut reach = service.reach(sale.meter_id, Kind::Change).await?;
    if by == Version::Current {
        reach.pick = reach.pick.by_current();
    }
    let mut lease = reach.lease(Priority::Sale).await?;
    let evidence = ask_count(service, &reach, &mut lease).await?;
    drop(lease);
    let (known, on_device) = (reach.meter.purchase_count, evidence.count);
    if known.is_some_and(|known| known != i64::from(on_device.get())) {
        count_differs(service, sale, known, on_device.get()).await?;
    }
    let by = format!("sale/{}", sale.sale_id);
    service.compare_counts(sale.meter_id, known, evidence, by).await?;
    if let Way::Card(reader) = &reach.way {
        card_fits(reader.name(), known, on_device.get())?;
    }
    let count = on_device.next().ok_or_else(|| {
        crate::error::invalid("purchase count", "the device's counter is at its end")
    })?;
    Ok((reach, Purchase { count, credit: sale.credit }))
}

async fn ask_count(service: &Service, reach: &Reach, lease: &mut Lease) -> Result<Evidence> {
    let evidence = service.check_device(&reach.pick, &reach.meter.device, lease, None).await;
    service.keep_failure(reach).await;
    evidence
}

/// A device's count rules; a card is only a messenger, and one that is behind may be a copy.
fn card_fits(reader: &str, known: Option<i64>, shows: u32) -> Result<()> {
    match known {
        Some(known) if known != i64::from(shows) => Err(ServiceError::Blocked {
            what: format!("the card in reader {reader}"),
            why: format!("it shows purchase {shows}, and {known} is known"),
        }),
        _ => Ok(()),
    }
}

/// Somebody else sold into this device, or it was reset. No refusal: the device's count rules.
async fn count_differs(
    service: &Service,
    sale: &StoredSale,
    known: Option<i64>,
    on_device: u32,
) -> Result<()> {
    let (at, meter_id, sale_id) = (service.clock().at(), sale.meter_id, sale.sale_id);
    let known = known.unwrap_or_default();
    tracing::warn!(%meter_id, known, on_device, "the device's purchase count is not ours");
    let detail = format!("{known} known, {on_device} in the device, found by sale/{sale_id}");
    service
        .database()
        .write(move |tx| {
            Box::pin(async move {
                let object = format!("meter/{meter_id}");
                let actor = &Actor::System;
                let act = Act { at, actor, act: "purchase-count-differs", object, detail: &detail };
                audit::record(tx.connection(), act).await
            })
        })
        .await
}

/// Nothing was dispatched: the sale stays as it is, and its history says why.
pub(super) async fn stay(service: &Service, sale: &StoredSale, why: String) -> Result<()> {
    let (at, sale_id, state) = (service.clock().at(), sale.sale_id, sale.state.name());
    tracing::warn!(why, state, "the sale waits");
    crash_point("before-stay");
    service
        .database()
        .write(move |tx| {
            Box::pin(async move { history::note(tx.connection(), sale_id, at, state, &why).await })
        })
        .await?;
    crash_point("after-stay");
    Ok(())
}

fn describe(delivery: &Delivery, by: &Driver, currency: Currency) -> String {
    match delivery {
        Delivery::NotSent(why) => format!("nothing was sent: {why}"),
        Delivery::Confirmed(receipt) => {
            format!(
                "the device confirmed purchase {}{}",
                receipt.count,
                purse(receipt.balance, currency)
            )
        }
        Delivery::Refused(refusal) => {
            let meaning = meaning_of(by, "purse", refusal);
            format!("the device refused: {}", refused(refusal, meaning.as_ref()))
        }
        Delivery::Unknown(why) => format!("outcome unknown: {why}"),
    }
}

/// ", purse at 50.00 CNY", where the device said so.
pub(super) fn purse(balance: Option<Credit>, currency: Currency) -> String {
    balance.map_or(String::new(), |credit| format!(", purse at {}", in_words(credit, currency)))
}

/// "50.00 CNY", "1500 Wh".
pub(crate) fn in_words(Credit { quantity, amount }: Credit, currency: Currency) -> String {
    match (quantity, i64::try_from(amount)) {
        (Quantity::Money, Ok(minor)) => {
            format!("{} {}", Money::new(minor, currency), currency.code())
        }
        (Quantity::Money, Err(_)) => format!("{amount} minor units"),
        (Quantity::Energy, _) => format!("{amount} Wh"),
        (Quantity::Volume, _) => format!("{amount} litres"),
    }
}
