//! What a customer owes (欠费) and has deposited (押金): the sums of two of their ledger accounts, kept
//! beside the ledger so that asking adds nothing up.
//!
//! Invariant: [`change`] is called in the job that books on `arrears/<customer>` or
//! `deposit/<customer>`, and nowhere else; neither sum goes below zero.

use crate::Service;
use crate::error::{Result, invalid};
use polymeter_domain::{Currency, CustomerId, Money};
use polymeter_ledger::Connection;
use sqlx::AnyExecutor;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub arrears: Money,
    pub deposit: Money,
}

/// What a booking adds to or, below zero, takes from the two sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Difference {
    pub arrears_minor: i64,
    pub deposit_minor: i64,
}

pub(crate) async fn of(
    executor: impl AnyExecutor<'_>,
    customer: CustomerId,
    currency: Currency,
) -> Result<Standing> {
    let sums: Option<(i64, i64)> = sqlx::query_as(
        "select arrears_minor, deposit_minor from customer_standing where customer_id = $1",
    )
    .bind(customer.to_string())
    .fetch_optional(executor)
    .await?;
    let (arrears, deposit) = sums.unwrap_or_default();
    Ok(Standing { arrears: Money::new(arrears, currency), deposit: Money::new(deposit, currency) })
}

pub(crate) async fn change(
    connection: &mut Connection,
    customer: CustomerId,
    by: Difference,
    currency: Currency,
) -> Result<()> {
    if by == Difference::default() {
        return Ok(());
    }
    // The row first, so that the change itself is one statement.
    sqlx::query(
        "insert into customer_standing (customer_id, arrears_minor, deposit_minor, currency)
         values ($1, 0, 0, $2) on conflict (customer_id) do nothing",
    )
    .bind(customer.to_string())
    .bind(currency.code())
    .execute(&mut *connection)
    .await?;
    let changed = sqlx::query(
        "update customer_standing
         set arrears_minor = arrears_minor + $1, deposit_minor = deposit_minor + $2
         where customer_id = $3 and arrears_minor + $1 >= 0 and deposit_minor + $2 >= 0",
    )
    .bind(by.arrears_minor)
    .bind(by.deposit_minor)
    .bind(customer.to_string())
    .execute(connection)
    .await?;
    if changed.rows_affected() == 1 {
        return Ok(());
    }
    let what = if by.arrears_minor < 0 { "what is owed" } else { "what was deposited" };
    Err(invalid("amount", format!("more than {what}")))
}

impl Service {
    pub async fn standing(&self, customer: CustomerId) -> Result<Standing> {
        self.customer(customer).await?;
        of(self.reader(), customer, self.currency()).await
    }
}
