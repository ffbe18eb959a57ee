//! Money brought in from another system's meter at its retrofit (老表金额转入): a sale that is paid from the
//! account `brought-in` instead of over the counter.
//!
//! Invariant: once per installation, unless the sale came to nothing. Not here: a swap of one of our own
//! meters, whose money is on an account of ours.

use super::file::{self, Change, Why};
use super::installation;
use crate::Service;
use crate::audit::Actor;
use crate::booking::BROUGHT_IN;
use crate::error::{Result, ServiceError};
use crate::meter;
use crate::sale::{self, Carried, SaleView};
use crate::to_the_end;
use polymeter_domain::{InstallationId, MeterId, Money, SaleId};
use polymeter_ledger::{Connection, Transaction};

impl Service {
    /// Idempotent by the sale's id.
    pub async fn bring_in(
        &self,
        sale_id: SaleId,
        meter_id: MeterId,
        amount: Money,
        reason: &str,
        actor: &Actor,
    ) -> Result<SaleView> {
        let why = Why { reason: reason.to_owned(), application: None }.checked()?;
        let (service, actor) = (self.clone(), actor.clone());
        to_the_end(async move {
            let inside = service.clone();
            let carried =
                Carried { sale_id, meter_id, amount, left: None, from: BROUGHT_IN.to_owned() };
            let claim = service
                .database()
                .write(move |tx| {
                    Box::pin(async move { reserve(tx, &inside, carried, &why, &actor).await })
                })
                .await?;
            if let Some(claim) = claim {
                sale::deliver_now(&service, claim);
            }
            Ok(())
        })
        .await?;
        self.sale(sale_id).await
    }
}

async fn reserve(
    tx: &mut Transaction,
    service: &Service,
    carried: Carried,
    why: &Why,
    actor: &Actor,
) -> Result<Option<sale::Claim>> {
    let (sale_id, meter_id, amount) = (carried.sale_id, carried.meter_id, carried.amount);
    let is_repeat = sale::exists(tx.connection(), sale_id).await?;
    let meter = meter::record(&mut *tx.connection(), meter_id).await?;
    let Some(lasting) = installation::current(&mut *tx.connection(), meter_id).await? else {
        return Err(ServiceError::NotOpened { serial_number: meter.serial_number });
    };
    if !is_repeat && came_in(tx.connection(), lasting.installation_id).await? {
        let why = "old money was brought into this installation already".to_owned();
        return Err(ServiceError::Blocked { what: format!("meter {}", meter.serial_number), why });
    }
    let claim = sale::carry(tx, service, carried, actor).await?;
    if is_repeat {
        return Ok(claim);
    }
    sqlx::query("insert into brought_in (sale_id, installation_id, reason) values ($1, $2, $3)")
        .bind(sale_id.to_string())
        .bind(lasting.installation_id.to_string())
        .bind(&why.reason)
        .execute(tx.connection())
        .await?;
    let (at, new) = (service.clock().at(), format!("{amount} {}", amount.currency().code()));
    let (customer, of, field) = (Some(lasting.customer_id), Some(meter_id), "old-meter money");
    let change = Change { at, actor, why, customer, meter: of, field, old: "", new: &new };
    file::record(tx.connection(), change).await?;
    Ok(claim)
}

async fn came_in(connection: &mut Connection, installation: InstallationId) -> Result<bool> {
    let found: i64 = sqlx::query_scalar(
        "select count(*) from brought_in join sale on sale.sale_id = brought_in.sale_id
         where installation_id = $1 and state not in ('refused', 'cancelled')",
    )
    .bind(installation.to_string())
    .fetch_one(connection)
    .await?;
    Ok(found > 0)
}
