//! What the device says of a sale that shall be taken back. Asking changes nothing in it.

use super::store::{self, Step};
use super::{StoredAct, out_of_order};
use crate::Service;
use crate::crash_point::crash_point;
use crate::discrepancy::{self, Seen};
use crate::driver::Kind;
use crate::error::{Result, ServiceError, bad_column, chain};
use crate::sale::{self, Claim};
use polymeter_domain::{ActEvent, ActState, CounterActId, Evidence, Proof, Purchase, Sale, SaleId};
use polymeter_transport::Priority;

impl Service {
    /// The sole right to carry an act on: that of its sale, so that nobody works on that meanwhile.
    pub(super) fn claim_act(&self, act: &StoredAct) -> Result<Claim> {
        let id = act.sale_id.unwrap_or(SaleId::new(act.act_id.uuid()));
        let claim = self.inner.under_way.claim(id);
        claim.ok_or_else(|| out_of_order(act, "changed while its device is being asked"))
    }

    /// Asks the device and lets its record decide. Where it does not answer the act stays as it was,
    /// and its history says why; that is no error here. Somebody who asks already is left alone.
    pub(crate) async fn ask_for_act(&self, id: CounterActId) -> Result<()> {
        let act = store::record(self.reader(), id).await?;
        if !matches!(act.state, ActState::Reserved | ActState::Unresolved) {
            return Ok(());
        }
        let Ok(_claim) = self.claim_act(&act) else { return Ok(()) };
        let (asked, evidence) = match ask(self, &act).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(act_id = %id, why = chain(&error), "the act waits");
                return store::note_only(self, Step::new(self, id, chain(&error))).await;
            }
        };
        crash_point("after-refund-ask");
        let proof = Proof::of(asked, &evidence);
        let detail = match &proof {
            Proof::Absent => format!(
                "the device stands at purchase {}: it does not have purchase {}",
                evidence.count, asked.count
            ),
            Proof::Held => format!(
                "the device holds purchase {}, and no driver takes credit back",
                asked.count
            ),
            Proof::Nothing(why) => why.clone(),
        };
        if matches!(proof, Proof::Nothing(_))
            && let Some(meter_id) = act.meter_id
        {
            let seen = Seen::unproved(meter_id, format!("counter-act/{id}"), asked, &evidence);
            let inside = self.clone();
            self.database()
                .write(move |tx| {
                    Box::pin(async move { discrepancy::see(&inside, tx.connection(), &seen).await })
                })
                .await?;
        }
        let count = (proof == Proof::Absent).then_some(evidence.count);
        let step = Step::new(self, id, detail);
        let state = store::advance(self, step, ActEvent::Proved(proof), count).await?;
        crash_point("after-refund-settle");
        tracing::info!(act_id = %id, state = state.name(), "counter act asked about");
        Ok(())
    }
}

/// The purchase that the sale was, and what the device remembers of it.
async fn ask(service: &Service, act: &StoredAct) -> Result<(Purchase, Evidence)> {
    let (Some(sale_id), Some(meter_id)) = (act.sale_id, act.meter_id) else {
        return Err(bad_column("sale_id", "none"));
    };
    let sale = sale::stored(service.reader(), sale_id).await?;
    let Sale::Confirmed(receipt) = sale.state else {
        return Err(bad_column("state", sale.state.name()));
    };
    let asked = Purchase { count: receipt.count, credit: sale.credit };
    let reach = service.reach(meter_id, Kind::Change).await?;
    let mut lease = reach.line.lease(Priority::Sale).await.map_err(ServiceError::Line)?;
    let device = &reach.meter.device;
    let evidence = service.check_device(&reach.pick, device, &mut lease, Some(asked.count)).await;
    service.keep_failure(&reach).await;
    Ok((asked, evidence?))
}
