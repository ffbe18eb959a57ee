//! Emptying the purse of a meter that no customer has (清零), so that what was carried over or paid out is
//! not used a second time.

use super::Why;
use super::money::money;
use crate::audit::{self, Act, Actor};
use crate::driver::Kind;
use crate::error::{Result, ServiceError};
use crate::meter::{self, AccountState};
use crate::{Service, to_the_end};
use polymeter_domain::{Delivery, MeterId};
use polymeter_transport::Priority;

impl Service {
    /// Empties the purse of a meter that no customer has (清零), by the driver, where the device can.
    pub async fn clear_meter(&self, meter: MeterId, why: Why, actor: &Actor) -> Result<()> {
        let why = why.checked()?;
        let (service, actor) = (self.clone(), actor.clone());
        to_the_end(async move { clear(&service, meter, &why.reason, &actor).await }).await
    }
}

/// Asks the driver to empty the purse of a meter that has no customer, and keeps that it did.
pub(super) async fn clear(
    service: &Service,
    meter: MeterId,
    reason: &str,
    actor: &Actor,
) -> Result<()> {
    let reach = service.reach(meter, Kind::Change).await?;
    let mut lease = reach.line.lease(Priority::Sale).await.map_err(ServiceError::Line)?;
    // Under the lease: nothing opens it meanwhile.
    let now = meter::record(service.reader(), meter).await?;
    if now.account != AccountState::None {
        let what = format!("meter {}", now.serial_number);
        let why = "it is bound to a customer; only a free meter is cleared".to_owned();
        return Err(ServiceError::Blocked { what, why });
    }
    let moment = service.clock().moment();
    let act = reach.pick.driver.clear(&mut lease, &reach.meter.device, moment);
    let delivery = service.change_device(&reach.pick, act).await;
    service.keep_failure(&reach).await;
    let (detail, result) = match delivery {
        Delivery::Confirmed(receipt) => {
            let left = money(receipt.balance, service);
            if left.is_some_and(|left| left.minor() > 0) {
                let why = "the device says that it is cleared and still holds money".to_owned();
                (why.clone(), Err(ServiceError::Unknown(why)))
            } else {
                ("confirmed".to_owned(), Ok(()))
            }
        }
        Delivery::Refused(refusal) => {
            let error = ServiceError::refused(&reach.pick.driver, "purse", refusal);
            (error.to_string(), Err(error))
        }
        Delivery::NotSent(why) => (format!("not sent: {why}"), Err(ServiceError::NotSent(why))),
        Delivery::Unknown(why) => (format!("unknown: {why}"), Err(ServiceError::Unknown(why))),
    };
    let (at, actor, is_cleared) = (service.clock().at(), actor.clone(), result.is_ok());
    let detail = format!("{reason}: {detail}");
    service
        .database()
        .write(move |tx| {
            Box::pin(async move {
                if is_cleared {
                    sqlx::query(
                        "update swap set old_purse = 'cleared'
                         where old_meter_id = $1 and state = 'switched'",
                    )
                    .bind(meter.to_string())
                    .execute(tx.connection())
                    .await?;
                    sqlx::query(
                        "update closing_meter set state = 'cleared'
                         where meter_id = $1 and state = 'kept'",
                    )
                    .bind(meter.to_string())
                    .execute(tx.connection())
                    .await?;
                    sqlx::query("update meter set purchase_count = null where meter_id = $1")
                        .bind(meter.to_string())
                        .execute(tx.connection())
                        .await?;
                }
                let (act, object) = ("meter-cleared", format!("meter/{meter}"));
                let act = Act { at, actor: &actor, act, object, detail: &detail };
                audit::record(tx.connection(), act).await
            })
        })
        .await?;
    drop(lease);
    result
}
