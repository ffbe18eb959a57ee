//! Sales: made once under the client's own id, delivered in the background, proved by the device.
//!
//! Each state is stored before the step that follows it: reserved with the pending transfer,
//! dispatched before the first byte leaves, then what the device answered together with the post or
//! void. `domain::Sale` alone says which state may follow; `store` is the only writer of them.
//!
//! Not here: refund, reversal, what anything costs (tariff).

mod cap;
mod carry;
mod delivery;
mod history;
mod paper;
mod quote;
mod reconcile;
mod store;
mod token;

pub(crate) use carry::{Carried, carry, deliver_now, exists, state_of};
pub(crate) use delivery::{Claim, StoreAgain, UnderWay, in_words};
pub(crate) use store::{none_unsettled, record as stored, unsettled_of_meter};

use crate::audit::Actor;
use crate::clock::UnixMs;
use crate::crash_point::crash_point;
use crate::error::{Result, ServiceError, invalid, meaning_of};
use crate::limits::MAX_REASON_CHARS;
use crate::meter;
use crate::page::Page;
use crate::token::SoldToken;
use crate::{Service, to_the_end};
use polymeter_domain::sale::Decision;
use polymeter_domain::tariff::{Commodity, Date};
use polymeter_domain::{
    Channel, CustomerId, Deductions, MeterId, Money, Quantity, Sale, SaleId, TariffVersionId,
    TransferId,
};
use polymeter_ledger::Entry;
use polymeter_runtime::Meaning;
use std::time::Duration;
use store::{Step, StoredSale};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaleRequest {
    pub meter_id: MeterId,
    pub paid: Money,
    /// How it was paid.
    pub channel: Channel,
    /// Credit given free on top.
    pub gift: Option<Money>,
}

impl SaleRequest {
    /// Paid in cash.
    pub fn new(meter_id: MeterId, paid: Money) -> SaleRequest {
        SaleRequest { meter_id, paid, channel: Channel::Cash, gift: None }
    }
}

/// One sale as it stands. `history` is every state it has been in, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaleView {
    pub sale_id: SaleId,
    pub meter_id: MeterId,
    pub customer_id: CustomerId,
    pub operator: Actor,
    pub paid: Money,
    pub channel: Channel,
    /// What of it bought nothing, and what was given on top.
    pub deductions: Deductions,
    /// The number of the customer's receipt, once the device has taken the credit.
    pub receipt: Option<u64>,
    /// The version of a plan that it was priced by, on this day of the site.
    pub tariff_version_id: TariffVersionId,
    pub priced_on: Date,
    pub commodity: Commodity,
    /// What it buys, with ratios and losses: Wh or litres.
    pub bought: u64,
    /// What its customer types into the meter, once it is made.
    pub token: Option<SoldToken>,
    pub state: Sale,
    /// What the present driver of the meter says of the device's own code in a refusal.
    pub meaning: Option<Meaning>,
    pub created_at: UnixMs,
    pub settled_at: Option<UnixMs>,
    pub history: Vec<SaleEvent>,
    pub entries: Vec<LedgerEntry>,
}

/// A state reached, or a try that left the state as it was and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaleEvent {
    pub at: UnixMs,
    pub state: &'static str,
    pub detail: String,
}

/// One ledger line behind a sale: a transfer with its accounts' names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    pub transfer_id: TransferId,
    pub kind: &'static str,
    pub debit: String,
    pub credit: String,
    pub amount: Money,
    pub at: UnixMs,
}

impl From<Entry> for LedgerEntry {
    fn from(entry: Entry) -> Self {
        LedgerEntry {
            transfer_id: entry.transfer_id,
            kind: entry.kind.name(),
            debit: entry.debit,
            credit: entry.credit,
            amount: entry.amount,
            at: UnixMs(entry.at_ms),
        }
    }
}

impl Service {
    /// Makes the sale durable (Reserved) and starts its delivery in the background. Idempotent by id.
    pub async fn put_sale(
        &self,
        id: SaleId,
        request: SaleRequest,
        actor: &Actor,
    ) -> Result<SaleView> {
        self.make_sale(id, request, actor).await?;
        self.sale(id).await
    }

    /// As [`Service::put_sale`], and returns when [`Service::wait_for_sale`] does.
    pub async fn put_sale_and_wait(
        &self,
        id: SaleId,
        request: SaleRequest,
        at_most: Duration,
        actor: &Actor,
    ) -> Result<SaleView> {
        self.make_sale(id, request, actor).await?;
        self.wait_for_sale(id, at_most).await
    }

    async fn make_sale(&self, id: SaleId, request: SaleRequest, actor: &Actor) -> Result<()> {
        if let Some(earlier) = store::find(self.reader(), id).await? {
            return earlier.must_be(&request);
        }
        let (service, actor) = (self.clone(), actor.clone());
        // A caller who goes away after the commit must not take the delivery along.
        to_the_end(async move {
            crash_point("before-reserve");
            let claim = quote::reserve(&service, id, request, actor).await?;
            crash_point("after-reserve");
            if let Some(claim) = claim {
                tracing::info!(sale_id = %id, "sale reserved");
                tokio::spawn(delivery::deliver(service, claim));
            }
            Ok(())
        })
        .await
    }

    pub async fn sale(&self, id: SaleId) -> Result<SaleView> {
        self.view(store::record(self.reader(), id).await?).await
    }

    /// Returns when the sale is settled, is unresolved or reserved with nothing under way, or the
    /// time is over.
    pub async fn wait_for_sale(&self, id: SaleId, at_most: Duration) -> Result<SaleView> {
        if let Some(mut over) = self.inner.under_way.watch(id) {
            // Nothing is ever sent: the end of the work closes the channel.
            let _ = tokio::time::timeout(at_most, over.changed()).await;
        }
        self.sale(id).await
    }

    /// Newest first.
    pub async fn sales(&self, meter: MeterId, page: &Page) -> Result<Vec<SaleView>> {
        meter::record(self.reader(), meter).await?;
        let sales = store::of_meter(self.reader(), meter, &page.bound()?).await?;
        self.views(sales).await
    }

    /// Oldest first.
    pub async fn unsettled_sales(&self) -> Result<Vec<SaleView>> {
        self.views(store::unsettled(self.reader()).await?).await
    }

    /// Starts the delivery of a reserved sale again and returns at once; `wait_for_sale` tells its
    /// end. One that is under way already is left alone.
    pub async fn deliver_sale(&self, id: SaleId, actor: &Actor) -> Result<SaleView> {
        let sale = store::record(self.reader(), id).await?;
        if sale.state != Sale::Reserved {
            return Err(out_of_order(&sale, "delivered"));
        }
        if let Some(claim) = self.inner.under_way.claim(id) {
            self.audit_sale(id, actor, "sale-delivered-again").await?;
            tokio::spawn(delivery::deliver(self.clone(), claim));
        }
        self.sale(id).await
    }

    /// Voids a reserved sale with nothing under way; its money was never moved.
    pub async fn cancel_sale(&self, id: SaleId, actor: &Actor) -> Result<SaleView> {
        let sale = store::record(self.reader(), id).await?;
        let Some(_claim) = self.inner.under_way.claim(id) else {
            return Err(out_of_order(&sale, "cancelled while it is being delivered"));
        };
        let step = Step::new(self, id, "cancelled by an operator").audited(actor, "sale-cancelled");
        store::advance(self, step, Sale::cancel).await?;
        tracing::info!(sale_id = %id, "sale cancelled");
        self.sale(id).await
    }

    /// A person says what became of an unresolved sale; who and why is kept.
    pub async fn decide_sale(
        &self,
        id: SaleId,
        decision: Decision,
        reason: &str,
        actor: &Actor,
    ) -> Result<SaleView> {
        let reason = reason.trim();
        if reason.is_empty() {
            return Err(invalid("reason", "empty: the audit trail needs to know why"));
        }
        if reason.chars().count() > MAX_REASON_CHARS {
            return Err(invalid("reason", format!("more than {MAX_REASON_CHARS} characters")));
        }
        let sale = store::record(self.reader(), id).await?;
        let Some(_claim) = self.inner.under_way.claim(id) else {
            return Err(out_of_order(&sale, "decided while the device is being asked"));
        };
        let found = match decision {
            Decision::Applied => "decided as applied",
            Decision::NotApplied => "decided as not applied",
        };
        let step = Step::new(self, id, format!("{found}: {reason}")).audited(actor, "sale-decided");
        store::advance(self, step, move |sale| sale.decide(decision)).await?;
        tracing::info!(sale_id = %id, found, "sale decided");
        self.sale(id).await
    }

    async fn view(&self, sale: StoredSale) -> Result<SaleView> {
        let history = history::of_sale(self.reader(), sale.sale_id).await?;
        let entries = self.database().entries(sale.sale_id.uuid()).await?;
        let meaning = self.meaning_of_refusal(&sale).await?;
        let receipt = match sale.state {
            Sale::Confirmed(_) => self.receipt_of(sale.sale_id.uuid()).await?,
            _ => None,
        };
        let token = match (&sale.state, sale.credit.quantity) {
            (Sale::Confirmed(_), Quantity::Energy) => self.sold_token(sale.sale_id).await?,
            _ => None,
        };
        Ok(SaleView {
            token,
            meaning,
            channel: sale.channel,
            deductions: sale.deductions,
            receipt: receipt.map(|receipt| receipt.number),
            sale_id: sale.sale_id,
            meter_id: sale.meter_id,
            customer_id: sale.customer_id,
            operator: sale.operator,
            paid: sale.paid,
            tariff_version_id: sale.tariff_version,
            priced_on: sale.priced_on,
            commodity: sale.commodity,
            bought: sale.bought,
            state: sale.state,
            created_at: sale.created_at,
            settled_at: sale.settled_at,
            history,
            entries: entries.into_iter().map(LedgerEntry::from).collect(),
        })
    }

    async fn meaning_of_refusal(&self, sale: &StoredSale) -> Result<Option<Meaning>> {
        let Sale::Refused(refusal) = &sale.state else { return Ok(None) };
        let meter = meter::record(self.reader(), sale.meter_id).await?;
        // A vendor whose driver is gone has no words any more; the code itself is kept.
        let driver = self.driver(&meter.vendor).ok();
        Ok(driver.and_then(|driver| meaning_of(&driver, "purse", refusal)))
    }

    async fn views(&self, sales: Vec<StoredSale>) -> Result<Vec<SaleView>> {
        let mut views = Vec::with_capacity(sales.len());
        for sale in sales {
            views.push(self.view(sale).await?);
        }
        Ok(views)
    }

    async fn audit_sale(&self, id: SaleId, actor: &Actor, act: &'static str) -> Result<()> {
        let (at, actor) = (self.clock().at(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    let object = format!("sale/{id}");
                    let act = crate::audit::Act { at, actor: &actor, act, object, detail: "" };
                    crate::audit::record(tx.connection(), act).await
                })
            })
            .await
    }
}

fn out_of_order(sale: &StoredSale, event: &'static str) -> ServiceError {
    ServiceError::OutOfOrder { sale_id: sale.sale_id, state: sale.state.name(), event }
}
