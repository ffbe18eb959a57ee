//! A card in the place of one that was lost (补卡): it carries the last purchase under the same count, so
//! that the meter takes it once, whichever of the two cards comes first.
//!
//! Invariant: no money moves. A sale that nobody knows the end of is carried too, and is then proved by
//! the new card. Not here: the fee for it (a charge item).

use super::store::{self, Ending};
use crate::audit::{self, Act, Actor};
use crate::error::{Result, ServiceError};
use crate::meter::{self, AccountState, MeterRecord};
use crate::mode::reason_of;
use crate::reach::{Reach, user_card};
use crate::{Service, account, counter_act, discrepancy, sale, to_the_end};
use polymeter_domain::{
    CardIdentity, Credit, CustomerId, Delivery, MeterId, Purchase, PurchaseCount, Sale, SaleId,
};

/// What the new card shall carry, and the sale that it will prove.
struct Carried {
    purchase: Purchase,
    proves: Option<SaleId>,
}

impl Service {
    /// Makes the blank card in this reader (or in the only one that holds one) the meter's. Safe to
    /// repeat: a card that was written before is recognised.
    pub async fn replace_card(
        &self,
        id: MeterId,
        reader: Option<&str>,
        reason: &str,
        actor: &Actor,
    ) -> Result<()> {
        let reason = reason_of(reason)?;
        let reach = self.reach_to_open(id, reader).await?;
        let (service, actor) = (self.clone(), actor.clone());
        to_the_end(async move { replace(&service, reach, reason, &actor).await }).await
    }
}

async fn replace(service: &Service, reach: Reach, reason: String, actor: &Actor) -> Result<()> {
    let meter = &reach.meter;
    if !meter.is_by_card(&reach.pick.driver) {
        let what = format!("meter {}", meter.serial_number);
        return Err(ServiceError::Blocked { what, why: "it has no card".to_owned() });
    }
    let (AccountState::Open, Some(customer_id)) = (meter.account, meter.customer_id) else {
        return Err(ServiceError::NotOpened { serial_number: meter.serial_number.clone() });
    };
    let carried = carried(service, meter, &reach).await?;
    let number = account::number_in_device(service, meter.meter_id, customer_id).await?;
    let order = user_card(&reach, &number, carried.purchase);
    let asked = format!("purchase {}: {reason}", carried.purchase.count);
    note(service, meter.meter_id, actor, "card-replacement-asked", asked).await?;

    let mut lease = reach.card_lease().await?;
    let (driver, moment) = (&reach.pick.driver, service.clock().moment());
    let act = driver.replace_card(&mut lease, &meter.device, moment, &order);
    let delivery = service.change_device(&reach.pick, act).await;
    service.keep_failure(&reach).await;
    let error = match delivery {
        Delivery::Confirmed(_) => {
            let moment = service.clock().moment();
            let identity = driver.identify_card(&mut lease, Some(&meter.device), moment).await;
            let identity = identity.map_err(|error| ServiceError::device(driver, "card", error))?;
            drop(lease);
            let identity = identity.ok_or_else(|| {
                ServiceError::Unknown("the card is not known after it was written".to_owned())
            })?;
            keep(service, meter.meter_id, customer_id, identity, actor).await?;
            if let Some(sale_id) = carried.proves {
                service.reconcile_sale(sale_id, actor).await?;
            }
            service.look_again(&reach).await;
            return Ok(());
        }
        Delivery::Refused(refusal) => ServiceError::refused(driver, "card", refusal),
        Delivery::NotSent(why) => ServiceError::NotSent(why),
        Delivery::Unknown(why) => {
            ServiceError::Unknown(format!("{why}; put the card in again and repeat"))
        }
    };
    let ended = error.to_string();
    note(service, meter.meter_id, actor, "card-replacement-failed", ended).await?;
    Err(error)
}

/// The last purchase: of the sale whose end nobody knows, or else the last that was proved.
async fn carried(service: &Service, meter: &MeterRecord, reach: &Reach) -> Result<Carried> {
    let serial_number = || meter.serial_number.clone();
    if let Some(sale_id) = sale::unsettled_of_meter(service.reader(), meter.meter_id).await? {
        return match sale::state_of(service.reader(), sale_id).await?.1 {
            Sale::Unresolved(purchase) => Ok(Carried { purchase, proves: Some(sale_id) }),
            _ => Err(ServiceError::Unsettled { serial_number: serial_number(), sale_id }),
        };
    }
    // What goes back must not come again by another card.
    if let Some(act_id) = counter_act::unsettled_of_meter(service.reader(), meter.meter_id).await? {
        return Err(ServiceError::UnsettledAct { serial_number: serial_number(), act_id });
    }
    let known = meter.purchase_count.unwrap_or_default();
    let count = u32::try_from(known).unwrap_or_default();
    let last = discrepancy::known_last(service.reader(), meter.meter_id, known).await?;
    let Some(quantity) = reach.pick.driver.description().purse else {
        let what = format!("meter {}", serial_number());
        return Err(ServiceError::Blocked { what, why: "its driver has no purse".to_owned() });
    };
    let credit = last.unwrap_or(Credit { quantity, amount: 0 });
    let purchase = Purchase { count: PurchaseCount::new(count), credit };
    Ok(Carried { purchase, proves: None })
}

/// The old card is worth nothing from here on.
async fn keep(
    service: &Service,
    meter_id: MeterId,
    customer_id: CustomerId,
    identity: CardIdentity,
    actor: &Actor,
) -> Result<()> {
    let (at, actor) = (service.clock().at(), actor.clone());
    service
        .database()
        .write(move |tx| {
            Box::pin(async move {
                let current = store::current(&mut *tx.connection(), meter_id).await?;
                let old = current.map_or_else(|| "none".to_owned(), |card| card.serial);
                store::end(tx.connection(), meter_id, Ending::Lost, at).await?;
                store::take_in(tx.connection(), meter_id, customer_id, &identity, at).await?;
                let object = format!("meter/{meter_id}");
                let detail = format!("card {} in the place of {old}", identity.serial);
                let act = "card-replaced";
                let act = Act { at, actor: &actor, act, object, detail: &detail };
                audit::record(tx.connection(), act).await
            })
        })
        .await
}

async fn note(
    service: &Service,
    meter_id: MeterId,
    actor: &Actor,
    act: &'static str,
    detail: String,
) -> Result<()> {
    let (at, actor) = (service.clock().at(), actor.clone());
    service
        .database()
        .write(move |tx| {
            Box::pin(async move {
                meter::record(&mut *tx.connection(), meter_id).await?;
                let object = format!("meter/{meter_id}");
                let act = Act { at, actor: &actor, act, object, detail: &detail };
                audit::record(tx.connection(), act).await
            })
        })
        .await
}
