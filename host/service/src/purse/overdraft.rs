//! How far below zero one customer's purse may go (透支额度): their own, else the site's.
//!
//! Not here: an allowance inside a device, which is a parameter of its driver.

use crate::Service;
use crate::account::{Change, Why, record_change};
use crate::audit::{self, Act, Actor};
use crate::error::{Result, invalid};
use crate::limits::MAX_SALE_MINOR;
use polymeter_domain::{CustomerId, Money};
use sqlx::AnyExecutor;

/// A customer's own allowance; `None`: the site's.
async fn own(executor: impl AnyExecutor<'_>, id: CustomerId) -> Result<Option<i64>> {
    let found: Option<Option<i64>> =
        sqlx::query_scalar("select overdraft_minor from customer where customer_id = $1")
            .bind(id.to_string())
            .fetch_optional(executor)
            .await?;
    Ok(found.flatten())
}

/// What counts for a customer.
pub(super) async fn overdraft(
    executor: impl AnyExecutor<'_>,
    customer: CustomerId,
    service: &Service,
) -> Result<Money> {
    let own = own(executor, customer).await?;
    let site = service.purse_rules().overdraft;
    Ok(own.map_or(site, |minor| Money::new(minor, site.currency())))
}

impl Service {
    /// How far below zero this customer's purse may go before the supply is cut.
    pub async fn overdraft(&self, customer: CustomerId) -> Result<Money> {
        overdraft(self.reader(), customer, self).await
    }

    /// Gives a customer an allowance of their own; `None`: the site's again. The file and the trail keep it,
    /// and supplies follow in the background.
    pub async fn set_overdraft(
        &self,
        customer: CustomerId,
        allowance: Option<Money>,
        why: Why,
        actor: &Actor,
    ) -> Result<Money> {
        let why = why.checked()?;
        if let Some(amount) = allowance
            && (amount.currency() != self.currency()
                || !(0..=MAX_SALE_MINOR).contains(&amount.minor()))
        {
            let most = Money::new(MAX_SALE_MINOR, self.currency());
            return Err(invalid("overdraft", format!("0.00 to {most}")));
        }
        let (at, actor, site) = (self.clock().at(), actor.clone(), self.purse_rules().overdraft);
        let in_words = move |minor: Option<i64>| match minor {
            Some(minor) => Money::new(minor, site.currency()).to_string(),
            None => "as the site".to_owned(),
        };
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    crate::account::current_customer(tx.connection(), customer).await?;
                    let old = in_words(own(&mut *tx.connection(), customer).await?);
                    let minor = allowance.map(|it| it.minor());
                    let new = in_words(minor);
                    sqlx::query("update customer set overdraft_minor = $1 where customer_id = $2")
                        .bind(minor)
                        .bind(customer.to_string())
                        .execute(tx.connection())
                        .await?;
                    let (of, field) = (Some(customer), "overdraft");
                    let change = Change {
                        at,
                        actor: &actor,
                        why: &why,
                        customer: of,
                        meter: None,
                        field,
                        old: &old,
                        new: &new,
                    };
                    record_change(tx.connection(), change).await?;
                    let detail = format!("{old} to {new}: {}", why.reason);
                    let object = format!("customer/{customer}");
                    let act = "overdraft-changed";
                    let act = Act { at, actor: &actor, act, object, detail: &detail };
                    audit::record(tx.connection(), act).await
                })
            })
            .await?;
        self.tend_soon(customer);
        self.overdraft(customer).await
    }
}
