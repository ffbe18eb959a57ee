//! Meter swap (换表): the old meter's last reading and remaining money, a new meter for the same
//! customer, and the money carried into it.
//!
//! Steps, each stored before the next: `begun` with the old meter's figures; the new meter opened by
//! the machine that opens every account; `switched` in one transaction, which books what was used, ends
//! and begins the installations and reserves the sale that carries the rest from the old meter's account
//! to the new one's. That sale is delivered, proved and resumed like any other. A crash leaves one of
//! these, and asking again goes on from there.
//!
//! Invariant: until `switched` nothing of the customer's has changed; what is carried leaves the old
//! meter's account only by a proof of the new device.

mod store;
mod switch;

use super::clearing::clear;
use super::file::Why;
use super::hold::not_suspended;
use super::money::{Keyed, check_keyed, figures};
use crate::audit::{self, Act, Actor};
use crate::clock::UnixMs;
use crate::crash_point::crash_point;
use crate::error::{Result, ServiceError, bad_column, chain, invalid};
use crate::meter::{self, AccountState, MeterRecord};
use crate::sale;
use crate::stored;
use crate::{Service, to_the_end};
use polymeter_domain::{Credit, CustomerId, MeterId, Money, Sale, SaleId, SwapId};
use polymeter_ledger::Connection;
use sqlx::AnyExecutor;
use store::{Row, existing, find_in, insert};
use switch::{carry_again, switch};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwapRequest {
    pub old: MeterId,
    pub new: MeterId,
    /// For a dead old meter, or one whose purse holds no money.
    pub keyed: Keyed,
    /// For a new meter that shows no total.
    pub new_reading: Option<u64>,
    /// The old meter may hold more than was ever sold into it: the rest is brought in.
    pub accept_excess: bool,
    pub why: Why,
}

named! {
    SwapState, "state":
    Begun = "begun", Switched = "switched", Abandoned = "abandoned",
}

/// One swap as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swap {
    pub swap_id: SwapId,
    pub old_meter_id: MeterId,
    pub new_meter_id: MeterId,
    pub customer_id: CustomerId,
    pub state: SwapState,
    pub why: Why,
    pub old_reading: u64,
    pub remaining: Money,
    /// What of energy or water that is: it goes as it is into a purse that holds the same.
    pub left: Option<Credit>,
    /// `device` or `operator`.
    pub told_by: String,
    pub new_reading: Option<u64>,
    pub consumed: Option<Money>,
    pub excess: Option<Money>,
    /// The sale that carries the money, and its state.
    pub sale: Option<(SaleId, Sale)>,
    /// The old device does not hold any more what was carried over.
    pub is_old_cleared: bool,
    pub operator: Actor,
    pub created_at: UnixMs,
    pub ended_at: Option<UnixMs>,
    request: Asked,
}

/// What tells a repeat from another request.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    keyed_reading: Option<u64>,
    keyed_minor: Option<i64>,
    new_reading: Option<u64>,
    accept_excess: bool,
}

impl Swap {
    /// All is where it belongs.
    pub fn is_done(&self) -> bool {
        self.state == SwapState::Switched
            && self.sale.as_ref().is_none_or(|(_, sale)| matches!(sale, Sale::Confirmed(_)))
    }

    /// The sale that should carry the money ended without doing so.
    pub fn waits_for_money(&self) -> bool {
        self.sale
            .as_ref()
            .is_some_and(|(_, sale)| matches!(sale, Sale::Refused(_) | Sale::Cancelled))
    }

    fn must_be(&self, request: &SwapRequest) -> Result<()> {
        let same = self.old_meter_id == request.old
            && self.new_meter_id == request.new
            && self.why == request.why
            && self.request == Asked::of(request);
        let (what, id) = ("swap", self.swap_id.to_string());
        if same { Ok(()) } else { Err(ServiceError::Differs { what, id }) }
    }
}

impl Asked {
    fn of(request: &SwapRequest) -> Asked {
        Asked {
            keyed_reading: request.keyed.reading,
            keyed_minor: request.keyed.credit.map(|credit| credit.minor()),
            new_reading: request.new_reading,
            accept_excess: request.accept_excess,
        }
    }
}

/// Refuses a meter on either side of a swap that was begun and not switched.
pub(crate) async fn not_in_a_swap(
    executor: impl AnyExecutor<'_>,
    meter: &MeterRecord,
) -> Result<()> {
    let swap_id: Option<String> = sqlx::query_scalar(
        "select swap_id from swap
         where (old_meter_id = $1 or new_meter_id = $1) and state = 'begun'",
    )
    .bind(meter.meter_id.to_string())
    .fetch_optional(executor)
    .await?;
    let Some(swap_id) = swap_id else { return Ok(()) };
    let why = format!("it is being swapped (swap {swap_id}); finish or abandon that first");
    Err(ServiceError::Blocked { what: format!("meter {}", meter.serial_number), why })
}

/// Refuses to open a meter whose purse still holds what was carried into another.
pub(super) async fn not_still_full(
    executor: impl AnyExecutor<'_>,
    meter: &MeterRecord,
) -> Result<()> {
    let full: Option<i64> = sqlx::query_scalar(
        "select remaining_minor from swap
         where old_meter_id = $1 and state = 'switched' and old_purse = 'full'
           and remaining_minor > 0
         union all
         select remaining_minor from closing_meter
         where meter_id = $1 and state = 'kept' and remaining_minor > 0
         limit 1",
    )
    .bind(meter.meter_id.to_string())
    .fetch_optional(executor)
    .await?;
    if full.is_none() {
        return Ok(());
    }
    let why = "its purse still holds what was carried over or paid out; clear it first";
    let (what, why) = (format!("meter {}", meter.serial_number), why.to_owned());
    Err(ServiceError::Blocked { what, why })
}

impl Service {
    /// Swaps a meter. Idempotent by id; asking again goes on where an earlier try ended.
    pub async fn put_swap(
        &self,
        swap_id: SwapId,
        request: SwapRequest,
        actor: &Actor,
    ) -> Result<Swap> {
        let request = SwapRequest { why: request.why.checked()?, ..request };
        check_keyed(request.keyed, self)?;
        if let Some(earlier) = self.find_swap(swap_id).await? {
            earlier.must_be(&request)?;
            return self.continue_swap(swap_id, actor).await;
        }
        let (service, actor) = (self.clone(), actor.clone());
        to_the_end(async move {
            begin(&service, swap_id, request, &actor).await?;
            crash_point("after-swap-begun");
            drive(&service, swap_id, &actor).await
        })
        .await?;
        self.swap(swap_id).await
    }

    /// Goes on with a swap that stopped on its way: opens the new meter, switches, or carries the money
    /// by another sale where the last one was refused or cancelled.
    pub async fn continue_swap(&self, swap_id: SwapId, actor: &Actor) -> Result<Swap> {
        let (service, actor) = (self.clone(), actor.clone());
        to_the_end(async move { drive(&service, swap_id, &actor).await }).await?;
        self.swap(swap_id).await
    }

    /// Gives a swap up that has not switched. A new meter that is open already stays with the customer,
    /// as one more.
    pub async fn abandon_swap(&self, swap_id: SwapId, reason: &str, actor: &Actor) -> Result<Swap> {
        let why = Why { reason: reason.to_owned(), application: None }.checked()?;
        let (at, actor) = (self.clock().at(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    let swap = existing(tx.connection(), swap_id).await?;
                    if swap.state != SwapState::Begun {
                        let why = format!("it is {} and cannot be abandoned", swap.state.name());
                        return Err(blocked(swap_id, why));
                    }
                    sqlx::query(
                        "update swap set state = 'abandoned', ended_at_ms = $1 where swap_id = $2",
                    )
                    .bind(at.0)
                    .bind(swap_id.to_string())
                    .execute(tx.connection())
                    .await?;
                    let (act, object) = ("swap-abandoned", format!("swap/{swap_id}"));
                    let act = Act { at, actor: &actor, act, object, detail: &why.reason };
                    audit::record(tx.connection(), act).await
                })
            })
            .await?;
        self.swap(swap_id).await
    }

    pub async fn swap(&self, swap_id: SwapId) -> Result<Swap> {
        let found = self.find_swap(swap_id).await?;
        found.ok_or_else(|| ServiceError::NotFound { what: "swap", id: swap_id.to_string() })
    }

    /// Every swap of a customer, newest first.
    pub async fn swaps_of_customer(&self, customer: CustomerId) -> Result<Vec<Swap>> {
        let ids: Vec<String> = sqlx::query_scalar(
            "select swap_id from swap where customer_id = $1 order by created_at_ms desc, swap_id",
        )
        .bind(customer.to_string())
        .fetch_all(self.reader())
        .await?;
        let mut swaps = Vec::with_capacity(ids.len());
        for text in ids {
            swaps.push(self.swap(stored::parsed("swap_id", &text)?).await?);
        }
        Ok(swaps)
    }

    async fn find_swap(&self, swap_id: SwapId) -> Result<Option<Swap>> {
        let row: Option<Row> = sqlx::query_as("select * from swap where swap_id = $1")
            .bind(swap_id.to_string())
            .fetch_optional(self.reader())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let sale = match row.sale_id.as_deref() {
            Some(text) => {
                Some(sale::state_of(self.reader(), stored::parsed("sale_id", text)?).await?)
            }
            None => None,
        };
        row.swap(sale).map(Some)
    }

    /// Swaps that a crash cut off before they switched go on; one that cannot is left for a person.
    pub async fn resume_swaps(&self) -> Result<()> {
        let ids: Vec<String> =
            sqlx::query_scalar("select swap_id from swap where state = 'begun' order by swap_id")
                .fetch_all(self.reader())
                .await?;
        for text in ids {
            let swap_id = stored::parsed("swap_id", &text)?;
            if let Err(error) = self.continue_swap(swap_id, &Actor::System).await {
                tracing::error!(%swap_id, error = chain(&error), "the swap waits for a person");
            }
        }
        Ok(())
    }
}

fn blocked(swap_id: SwapId, why: impl Into<String>) -> ServiceError {
    ServiceError::Blocked { what: format!("swap {swap_id}"), why: why.into() }
}

/// What a swap may begin from, looked at before the device is asked and again in the job.
async fn may_begin(connection: &mut Connection, request: &SwapRequest) -> Result<CustomerId> {
    if request.old == request.new {
        return Err(invalid("new_meter_id", "a meter is not swapped for itself"));
    }
    let old = meter::record(&mut *connection, request.old).await?;
    let new = meter::record(&mut *connection, request.new).await?;
    let (AccountState::Open, Some(customer_id)) = (old.account, old.customer_id) else {
        return Err(ServiceError::NotOpened { serial_number: old.serial_number });
    };
    if new.account != AccountState::None {
        let what = format!("meter {}", new.serial_number);
        let why = "it is bound to a customer already; choose a free one".to_owned();
        return Err(ServiceError::Blocked { what, why });
    }
    for meter in [&old, &new] {
        not_in_a_swap(&mut *connection, meter).await?;
        not_suspended(&mut *connection, meter).await?;
        sale::none_unsettled(connection, meter).await?;
    }
    not_still_full(&mut *connection, &new).await?;
    // Money in one device can be carried into another; a purse here stays the customer's anyway.
    let is_carried = |meter: &MeterRecord| meter.mode.quantity().is_some();
    if old.mode != new.mode && !(is_carried(&old) && is_carried(&new)) {
        let why = format!(
            "it is {}, and meter {} is {}; choose one that is paid for in the same way",
            new.mode, old.serial_number, old.mode
        );
        return Err(ServiceError::Blocked { what: format!("meter {}", new.serial_number), why });
    }
    Ok(customer_id)
}

async fn begin(
    service: &Service,
    swap_id: SwapId,
    request: SwapRequest,
    actor: &Actor,
) -> Result<()> {
    let early = request.clone();
    // Refused before a device is asked in vain; a read-only job, so that it sees what is committed.
    service
        .database()
        .write(move |tx| {
            Box::pin(async move { may_begin(tx.connection(), &early).await.map(|_| ()) })
        })
        .await?;
    let figures = figures(service, request.old, request.keyed, actor).await?;
    service.charge_last_use_of(request.old, &figures, actor).await?;
    let (inside, actor) = (service.clone(), actor.clone());
    service
        .database()
        .write(move |tx| {
            Box::pin(async move {
                if let Some(earlier) = find_in(tx.connection(), swap_id).await? {
                    return earlier.must_be(&request);
                }
                let customer_id = may_begin(tx.connection(), &request).await?;
                insert(tx, &inside, swap_id, customer_id, &request, figures, &actor).await
            })
        })
        .await
}

/// From wherever it stands to the end, or to where a person or a device is needed.
async fn drive(service: &Service, swap_id: SwapId, actor: &Actor) -> Result<()> {
    let swap = service.swap(swap_id).await?;
    match swap.state {
        SwapState::Abandoned => return Err(blocked(swap_id, "it was abandoned")),
        SwapState::Begun => {
            let (new, why) = (swap.new_meter_id, swap.why.clone());
            service.open_account_why(new, swap.customer_id, why, actor).await?;
            crash_point("after-swap-opened");
            let reading = match swap.request.new_reading {
                Some(reading) => reading,
                None => {
                    let new = meter::record(service.reader(), swap.new_meter_id).await?;
                    service.register_now(&new, actor).await?
                }
            };
            crash_point("before-swap-switched");
            let claim = switch(service, &swap, reading, actor).await?;
            crash_point("after-swap-switched");
            if let Some(claim) = claim {
                sale::deliver_now(service, claim);
            }
        }
        SwapState::Switched if swap.waits_for_money() => {
            let claim = carry_again(service, &swap, actor).await?;
            sale::deliver_now(service, claim);
        }
        SwapState::Switched => {}
    }
    let swap = service.swap(swap_id).await?;
    if !swap.is_old_cleared && swap.told_by == "device" && swap.remaining.minor() > 0 {
        // What was carried over must not be spent twice. One that cannot be cleared is not opened again
        // before it is.
        if let Err(error) = clear(service, swap.old_meter_id, &swap.why.reason, actor).await {
            let why = chain(&error);
            tracing::warn!(meter_id = %swap.old_meter_id, why, "the old meter was not cleared");
        }
    }
    Ok(())
}
