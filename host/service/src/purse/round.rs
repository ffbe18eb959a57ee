//! One round over all meters that are paid from a purse: read, charge, cut or restore. `serve` makes
//! one every few minutes.
//!
//! Invariant: a meter that does not answer keeps nobody else waiting longer than its own line does;
//! what one meter's failure leaves undone the next round does.

use crate::Service;
use crate::audit::Actor;
use crate::charge::ChargeOutcome;
use crate::error::{Result, chain};
use crate::stored;
use polymeter_domain::{CustomerId, MeterId, Money};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Meters read at once; those of one line wait for each other anyway.
const AT_ONCE: usize = 16;

/// What a round came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    pub charged: u64,
    pub amount: Money,
    /// Nothing was used since the last one.
    pub unchanged: u64,
    /// Readings that wait for a person.
    pub cases: u64,
    /// Meters that could not be read or charged.
    pub failed: u64,
    /// Supplies that are cut, or wait to be.
    pub cut: u64,
}

impl Round {
    /// Nothing in it is worth a line.
    pub fn is_idle(&self) -> bool {
        self.charged + self.cases + self.failed + self.cut == 0
    }
}

impl Service {
    /// Every meter once, then the supplies of every customer whom it concerns.
    pub async fn charge_all(&self) -> Result<Round> {
        let nothing = Money::new(0, self.currency());
        let mut round =
            Round { charged: 0, amount: nothing, unchanged: 0, cases: 0, failed: 0, cut: 0 };
        let booked = self.book_claims(&Actor::System).await?;
        for why in &booked.waiting {
            tracing::warn!(why, "a charge was not booked");
        }
        let gate = Arc::new(Semaphore::new(AT_ONCE));
        let mut reads = JoinSet::new();
        for meter in self.purse_meters().await? {
            let (service, gate) = (self.clone(), gate.clone());
            reads.spawn(async move {
                let _one = gate.acquire_owned().await;
                (meter, service.charge_meter(meter, &Actor::System).await)
            });
        }
        while let Some(read) = reads.join_next().await {
            match read {
                Ok((_, Ok(ChargeOutcome::Charged(charge)))) => {
                    round.charged += 1;
                    round.amount = round.amount.checked_add(charge.amount).unwrap_or(round.amount);
                }
                Ok((_, Ok(ChargeOutcome::Nothing(_)))) => round.unchanged += 1,
                Ok((_, Ok(ChargeOutcome::Case(_)))) => round.cases += 1,
                Ok((meter, Err(error))) => {
                    round.failed += 1;
                    tracing::warn!(%meter, error = chain(&error), "a meter was not charged");
                }
                Err(error) => {
                    round.failed += 1;
                    tracing::error!(%error, "charging a meter broke off");
                }
            }
        }
        for customer in self.customers_to_tend().await? {
            match self.tend_supply(customer).await {
                Ok(open) => round.cut += u64::try_from(open.len()).unwrap_or_default(),
                Err(error) => {
                    tracing::error!(%customer, error = chain(&error), "a supply was not tended");
                }
            }
        }
        Ok(round)
    }

    async fn purse_meters(&self) -> Result<Vec<MeterId>> {
        let ids: Vec<String> = sqlx::query_scalar(
            "select meter_id from meter where mode = 'platform-purse' and account = 'open'
             order by line, serial_number",
        )
        .fetch_all(self.reader())
        .await?;
        ids.into_iter().map(|id| stored::parsed("meter_id", &id)).collect()
    }

    /// Those who owe, and those whose supply is not as it was.
    async fn customers_to_tend(&self) -> Result<Vec<CustomerId>> {
        let ids: Vec<String> = sqlx::query_scalar(
            "select customer_id from purse where balance_minor < 0
             union select customer_id from supply_cut where state <> 'ended'
             union select customer_id from claim
                   where cuts_supply = 1 and (open_minor > 0 or bill_id is not null)
             order by 1",
        )
        .fetch_all(self.reader())
        .await?;
        ids.into_iter().map(|id| stored::parsed("customer_id", &id)).collect()
    }
}
