//! The devices of a closing, one by one: read again after a wait, and emptied.

use super::{ClearingState, ClosingMeter};
use crate::Service;
use crate::account::money::{Keyed, ToldBy, figures, money};
use crate::audit::Actor;
use crate::crash_point::crash_point;
use crate::driver::Kind;
use crate::error::{Result, ServiceError, invalid};
use polymeter_domain::{ClosingId, Delivery, MeterId, Money};
use polymeter_transport::Priority;

/// Empties one device under one lease: what it holds is kept once more, then that it is being asked,
/// then its yes. Emptying names a final state, so that asking twice does no harm.
pub(super) async fn empty(service: &Service, closing: ClosingId, it: &ClosingMeter) -> Result<()> {
    let reach = service.reach(it.meter_id, Kind::Change).await?;
    let mut lease = reach.lease(Priority::Sale).await?;
    let device = &reach.meter.device;
    if it.state == ClearingState::Measured {
        let evidence = service.check_device(&reach.pick, device, &mut lease, None).await?;
        let now = money(service, it.meter_id, evidence.balance).await?.unwrap_or(it.remaining);
        mark(service, closing, it.meter_id, ClearingState::Clearing, Some(now)).await?;
    }
    crash_point("before-closing-cleared");
    let delivery = service.clear_device(&reach, &mut lease).await;
    service.keep_failure(&reach).await;
    drop(lease);
    service.look_again(&reach).await;
    let error = match delivery {
        Delivery::Confirmed(_) => {
            crash_point("after-closing-cleared");
            return mark(service, closing, it.meter_id, ClearingState::Cleared, None).await;
        }
        Delivery::Refused(refusal) => ServiceError::refused(&reach.pick.driver, "purse", refusal),
        Delivery::NotSent(why) => ServiceError::NotSent(why),
        Delivery::Unknown(why) => {
            return Err(ServiceError::Unknown(format!("{why}; continue the closing")));
        }
    };
    // It holds its money still, for certain.
    if it.state == ClearingState::Measured {
        mark(service, closing, it.meter_id, ClearingState::Measured, None).await?;
    }
    Err(error)
}

/// While a second person was waited for, the meter went on: its final figures are those of now. Of one that
/// does not answer, or that shows less than figures, the earlier ones stay.
pub(super) async fn measure_again(
    service: &Service,
    closing: ClosingId,
    it: &ClosingMeter,
    actor: &Actor,
) -> Result<()> {
    let now = match figures(service, it.meter_id, Keyed::default(), actor).await {
        Ok(now) if now.told_by == ToldBy::Device && now.reading >= it.reading => now,
        Err(error @ ServiceError::Storage(_)) => return Err(error),
        Ok(_) | Err(_) => return Ok(()),
    };
    let reading = i64::try_from(now.reading).map_err(|_| invalid("reading", "too large"))?;
    let meter_id = it.meter_id;
    service
        .database()
        .write(move |tx| {
            Box::pin(async move {
                sqlx::query(
                    "update closing_meter set reading = $1, remaining_minor = $2
                     where closing_id = $3 and meter_id = $4 and state = 'measured'",
                )
                .bind(reading)
                .bind(now.remaining.minor())
                .bind(closing.to_string())
                .bind(meter_id.to_string())
                .execute(tx.connection())
                .await?;
                Ok(())
            })
        })
        .await
}

async fn mark(
    service: &Service,
    closing: ClosingId,
    meter: MeterId,
    state: ClearingState,
    remaining: Option<Money>,
) -> Result<()> {
    service
        .database()
        .write(move |tx| {
            Box::pin(async move {
                sqlx::query(
                    "update closing_meter set state = $1,
                            remaining_minor = coalesce($2, remaining_minor)
                     where closing_id = $3 and meter_id = $4",
                )
                .bind(state.name())
                .bind(remaining.map(|it| it.minor()))
                .bind(closing.to_string())
                .bind(meter.to_string())
                .execute(tx.connection())
                .await?;
                Ok(())
            })
        })
        .await
}
