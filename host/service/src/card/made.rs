//! Cards that are no customer's: maintenance cards made of blank ones (设置卡, 清零卡 ...), and cards made
//! blank again (回收).
//!
//! Invariant: the trail says who made which before it is made. Not here: what they do in a device.

use super::store::{self, Ending};
use super::{CardVerdict, Finding};
use crate::audit::{self, Act, Actor};
use crate::error::{Result, ServiceError, invalid};
use crate::mode::reason_of;
use crate::parameter::{self, Home};
use crate::{Service, to_the_end};
use polymeter_domain::{
    CardOrder, CardPurpose, Delivery, MeterAddress, MeterId, Value, VendorCode,
};
use polymeter_runtime::{Device, Driver};
use polymeter_transport::CardReader;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMaintenanceCard {
    pub vendor: VendorCode,
    /// None of blank and user.
    pub purpose: CardPurpose,
    /// The device that it is for; `None`: any of the region.
    pub device: Option<MeterAddress>,
    /// What it carries to the device, of the driver's own parameters.
    pub parameters: Vec<(String, Value)>,
    pub reason: String,
}

impl Service {
    /// Out of the blank card in this reader.
    pub async fn make_maintenance_card(
        &self,
        reader: &str,
        new: NewMaintenanceCard,
        actor: &Actor,
    ) -> Result<()> {
        let reason = reason_of(&new.reason)?;
        if !new.purpose.is_maintenance() {
            return Err(invalid("purpose", format!("{} is no maintenance card", new.purpose)));
        }
        let driver = self
            .card_driver(&new.vendor)
            .ok_or_else(|| ServiceError::NoDriver { vendor: new.vendor.clone() })?;
        let parameters = parameter::checked(&driver, Home::Device, &new.parameters)?;
        let reader = self.card_reader(reader)?;
        let detail = format!("{} card of {}: {reason}", new.purpose, new.vendor);
        self.audit_card(&reader, actor, "card-making-asked", detail).await?;
        let order = CardOrder {
            purpose: new.purpose,
            region: driver.region().cloned(),
            customer_number: None,
            purchase: None,
            parameters,
        };
        let device = new.device.map(|address| Device { address, parameters: Vec::new() });
        let (service, actor) = (self.clone(), actor.clone());
        to_the_end(async move {
            let mut lease = reader.lease().await.map_err(ServiceError::Card)?;
            let moment = service.clock().moment();
            let act = driver.make_card(&mut lease, device.as_ref(), moment, &order);
            let delivery = act.await.outcome;
            drop(lease);
            service.ended(&reader, &driver, delivery, "card-made", &actor).await
        })
        .await
    }

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
        let serves = matches!(
            card.verdict,
            CardVerdict::Sellable
                | CardVerdict::Waiting
                | CardVerdict::Ahead { .. }
                | CardVerdict::Unsettled(_)
        );
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
            service.ended(&reader, &driver, delivery, "card-recycled", &actor).await
        })
        .await
    }

    async fn ended(
        &self,
        reader: &CardReader,
        driver: &Driver,
        delivery: Delivery,
        act: &'static str,
        actor: &Actor,
    ) -> Result<()> {
        let (detail, result) = match delivery {
            Delivery::Confirmed(_) => ("confirmed".to_owned(), Ok(())),
            Delivery::Refused(refusal) => {
                let error = ServiceError::refused(driver, "card", refusal);
                (error.to_string(), Err(error))
            }
            Delivery::NotSent(why) => (format!("not sent: {why}"), Err(ServiceError::NotSent(why))),
            Delivery::Unknown(why) => (format!("unknown: {why}"), Err(ServiceError::Unknown(why))),
        };
        self.audit_card(reader, actor, act, detail).await?;
        // What lies there is another card now.
        self.look_at(reader.name()).await?;
        result
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
