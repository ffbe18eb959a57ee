//! After the unknown: the device's own record decides, by count and amount. At once after an
//! attempt, at start-up for what a crash left, and on demand. No timer is in here.

use super::delivery::{self, Claim, in_words, purse, stay};
use super::store::{self, Step, StoredSale};
use super::{SaleView, out_of_order, token};
use crate::audit::Actor;
use crate::crash_point::crash_point;
use crate::discrepancy::{self, Seen};
use crate::driver::{Kind, Pick};
use crate::error::{Result, ServiceError, chain};
use crate::{Service, to_the_end};
use polymeter_domain::{Evidence, Purchase, Sale, SaleId};
use polymeter_transport::Priority;
use std::collections::HashMap;
use tracing::Instrument;

impl Service {
    /// Settles what a crash left: dispatched becomes unresolved and is reconciled, reserved is
    /// delivered. Returns them as they stand afterwards. Sales on different lines do not wait for
    /// each other; those of one line go one by one. Work goes on where the caller goes away.
    pub async fn resume(&self) -> Result<Vec<SaleView>> {
        let left = store::unsettled(self.reader()).await?;
        let mut lines: HashMap<String, Vec<Claim>> = HashMap::new();
        for sale in &left {
            let meter = crate::meter::record(self.reader(), sale.meter_id).await?;
            // One that has an owner already was not left by a crash.
            if let Some(claim) = self.inner.under_way.claim(sale.sale_id) {
                lines.entry(meter.line).or_default().push(claim);
            }
        }
        tracing::info!(sales = left.len(), "resuming unsettled sales");
        let tasks: Vec<_> = lines
            .into_values()
            .map(|claims| tokio::spawn(resume_line(self.clone(), claims)))
            .collect();
        for task in tasks {
            task.await.map_err(|error| ServiceError::Storage(Box::new(error)))?;
        }
        self.resume_acts().await?;
        self.resume_swaps().await?;
        self.resume_closings().await?;
        self.resume_clearings().await?;
        self.resume_tokens().await?;
        self.resume_entries().await?;
        self.resume_clocks().await?;
        self.resume_cards().await?;
        let mut views = Vec::with_capacity(left.len());
        for sale in left {
            views.push(self.sale(sale.sale_id).await?);
        }
        Ok(views)
    }

    /// Asks the device for its record of an unresolved sale (or of one whose attempt was cut off).
    /// A device that does not answer is an error here, and the sale stays as it was.
    pub async fn reconcile_sale(&self, id: SaleId, actor: &Actor) -> Result<SaleView> {
        let sale = store::record(self.reader(), id).await?;
        let Some(claim) = self.inner.under_way.claim(id) else {
            return Err(out_of_order(&sale, "reconciled while it is under way"));
        };
        let (service, actor) = (self.clone(), actor.clone());
        let work = async move {
            if token::is_made_for(&service, id).await? {
                // No device has a word in it: what was cut off is made to its end.
                token::go_on(&service, id).await?;
                drop(claim);
                return service.sale(id).await;
            }
            interrupt(&service, id).await?;
            let sale = store::record(service.reader(), id).await?;
            if !matches!(sale.state, Sale::Unresolved(_)) {
                return Err(out_of_order(&sale, "reconciled"));
            }
            service.audit_sale(id, &actor, "sale-reconcile-asked").await?;
            match ask(&service, &sale, None).await {
                Ok(evidence) => judge(&service, id, evidence).await?,
                Err(error) => {
                    stay(&service, &sale, chain(&error)).await?;
                    return Err(error);
                }
            };
            drop(claim);
            service.sale(id).await
        };
        to_the_end(work.instrument(tracing::info_span!("sale", sale_id = %id))).await
    }
}

async fn resume_line(service: Service, claims: Vec<Claim>) {
    for claim in claims {
        delivery::take_up(&service, claim).await;
    }
}

/// The state of a sale that nobody has worked on since it was stored, once its device has been asked
/// where that can tell.
pub(super) async fn find_out(service: &Service, id: SaleId) -> Result<Sale> {
    interrupt(service, id).await?;
    match store::record(service.reader(), id).await?.state {
        Sale::Unresolved(_) => try_reconcile(service, id, None).await,
        state => Ok(state),
    }
}

/// A sale that is dispatched while nobody works on it was cut off in the middle.
async fn interrupt(service: &Service, id: SaleId) -> Result<()> {
    if matches!(store::record(service.reader(), id).await?.state, Sale::Dispatched(_)) {
        crash_point("before-interrupt");
        let step = Step::new(service, id, "cut off before the answer was stored");
        store::advance(service, step, Sale::interrupt).await?;
        crash_point("after-interrupt");
    }
    Ok(())
}

/// Asks the device once. Where it does not answer the sale stays unresolved, and its history says
/// why. The caller holds the sale's claim, and names the version that began the sale where it is
/// known.
pub(super) async fn try_reconcile(
    service: &Service,
    id: SaleId,
    begun_by: Option<&Pick>,
) -> Result<Sale> {
    let sale = store::record(service.reader(), id).await?;
    match ask(service, &sale, begun_by).await {
        Ok(evidence) => judge(service, id, evidence).await,
        Err(error) => {
            stay(service, &sale, chain(&error)).await?;
            tracing::error!("sale is unresolved and its device does not answer");
            Ok(sale.state)
        }
    }
}

async fn ask(service: &Service, sale: &StoredSale, begun_by: Option<&Pick>) -> Result<Evidence> {
    let Sale::Unresolved(asked) = sale.state else {
        return Err(out_of_order(sale, "reconciled"));
    };
    let reach = service.reach(sale.meter_id, Kind::Change).await?;
    let mut lease = reach.lease(Priority::Sale).await?;
    let pick = begun_by.unwrap_or(&reach.pick);
    let device = &reach.meter.device;
    let evidence = service.check_device(pick, device, &mut lease, Some(asked.count)).await;
    service.keep_failure(&reach).await;
    evidence
}

async fn judge(service: &Service, id: SaleId, evidence: Evidence) -> Result<Sale> {
    crash_point("before-reconcile");
    let record = match evidence.purchase {
        Some(purchase) => format!(
            "{} as purchase {}",
            in_words(purchase.credit, service.currency()),
            purchase.count
        ),
        None => "no record of it".to_owned(),
    };
    let purse = purse(evidence.balance, service.currency());
    let detail = format!("the device stands at purchase {}, {record}{purse}", evidence.count);
    let step = Step::new(service, id, detail);
    let seen = evidence.clone();
    let state = store::advance(service, step, move |sale| sale.reconcile(&evidence)).await?;
    crash_point("after-reconcile");
    match &state {
        Sale::Unresolved(asked) => {
            keep_story(service, id, *asked, &seen).await?;
            tracing::error!("sale is unresolved: the device's record proves nothing; decide it");
        }
        state => tracing::info!(state = state.name(), "sale reconciled"),
    }
    Ok(state)
}

/// What the device shows is neither our sale nor its absence: a story that somebody has to look into.
async fn keep_story(
    service: &Service,
    id: SaleId,
    asked: Purchase,
    evidence: &Evidence,
) -> Result<()> {
    let meter_id = store::record(service.reader(), id).await?.meter_id;
    let seen = Seen::unproved(meter_id, format!("sale/{id}"), asked, evidence);
    let inside = service.clone();
    service
        .database()
        .write(move |tx| {
            Box::pin(async move { discrepancy::see(&inside, tx.connection(), &seen).await })
        })
        .await
}
