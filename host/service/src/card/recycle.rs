//! Cards made blank again (回收).
//!
//! Invariants: the card of an open account is not touched; the trail says who asked for it before it is
//! done.

use super::Finding;
use super::maintenance::told;
use super::store::{self, Ending};
use crate::audit::{self, Act, Actor};
use crate::error::{Result, ServiceError};
use crate::mode::reason_of;
use crate::{Service, to_the_end};
use polymeter_domain::MeterId;
use polymeter_runtime::Device;
use polymeter_transport::CardReader;

impl Service {
    /// Makes the card in this reader blank. That of an open account is not touched: that is closed, or
    /// the card replaced, first.
    pub async fn recycle_card(&self, reader: &str, reason: &str, actor: &Actor) -> Result<()> {
        let reason = reason_of(reason)?;
        let looked = self.look_at(reader).await?;
        let reader = self.card_reader(reader)?;
        let Finding::Known(card) = looked.finding else {
            let what = format!("the card in reader {}", reader.name());
            let why = "nobody's driver knows it, so nobody can make it blank".to_owned();
            return Err(ServiceError::Blocked { what, why });
        };
        let serves = card.verdict.serves_account();
        let identity = card.contents.identity;
        if serves {
            let what = format!("card {} of {}", identity.serial, identity.vendor);
            let why =
                "it is the card of an open account: close that, or replace the card".to_owned();
            return Err(ServiceError::Blocked { what, why });
        }
        let driver = self
            .card_driver(&identity.vendor)
            .ok_or_else(|| ServiceError::NoDriver { vendor: identity.vendor.clone() })?;
        let detail = format!("card {} of {}: {reason}", identity.serial, identity.vendor);
        self.audit_card(&reader, actor, "card-recycling-asked", detail).await?;
        let (service, actor) = (self.clone(), actor.clone());
        to_the_end(async move {
            let device = identity.device.map(|address| Device { address, parameters: Vec::new() });
            let mut lease = reader.lease().await.map_err(ServiceError::Card)?;
            let moment = service.clock().moment();
            let act = driver.clear_card(&mut lease, device.as_ref(), moment);
            let delivery = act.await.outcome;
            drop(lease);
            let (detail, result) = told(&driver, delivery);
            service.audit_card(&reader, &actor, "card-recycled", detail).await?;
            // What lies there is another card now.
            service.look_at(reader.name()).await?;
            result
        })
        .await
    }

    async fn audit_card(
        &self,
        reader: &CardReader,
        actor: &Actor,
        act: &'static str,
        detail: String,
    ) -> Result<()> {
        let (at, actor) = (self.clock().at(), actor.clone());
        let object = format!("reader/{}", reader.name());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    let act = Act { at, actor: &actor, act, object, detail: &detail };
                    audit::record(tx.connection(), act).await
                })
            })
            .await
    }

    /// The card of a meter was made blank; where that is not stored, the next look at it tells.
    pub(crate) async fn card_is_recycled(&self, meter_id: MeterId) {
        let at = self.clock().at();
        let ended = self
            .database()
            .write(move |tx| {
                Box::pin(async move {
                    store::end(tx.connection(), meter_id, Ending::Recycled, at).await
                })
            })
            .await;
        if let Err(error) = ended {
            tracing::error!(%meter_id, error = crate::error::chain(&error), "a recycled card");
        }
    }
}
