//! What energy or water that is left in a purse is worth: what was paid for it.
//!
//! What was bought last is left last, so the newest purchases are counted back until they hold what is
//! left. No price of today comes in, and nothing is worth more than was paid for it.
//! Not here: a purse of money, which is worth what it says.

use crate::Service;
use crate::error::{Result, bad_column};
use crate::stored;
use polymeter_domain::tariff::Rounding;
use polymeter_domain::{Credit, MeterId, Money, Quantity};
use sqlx::AnyExecutor;

/// `None`: more is left than was sold into the meter, so that nobody knows what the rest is worth.
pub(super) async fn worth(
    service: &Service,
    meter: MeterId,
    left: Credit,
) -> Result<Option<Money>> {
    let currency = service.currency();
    if left.quantity == Quantity::Money {
        let minor = i64::try_from(left.amount).ok();
        return Ok(minor.map(|minor| Money::new(minor, currency)));
    }
    let bought = bought(service.reader(), meter, left.quantity).await?;
    let minor = of_the_newest(&bought, left.amount);
    Ok(minor.map(|minor| Money::new(minor, currency)))
}

/// A purchase: what the purse was given, and what that was paid with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    amount: u64,
    minor: i64,
}

/// The newest first, without what was taken back.
async fn bought(
    executor: impl AnyExecutor<'_>,
    meter: MeterId,
    quantity: Quantity,
) -> Result<Vec<Part>> {
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "select amount, paid_minor - arrears_minor - fee_minor + gift_minor from sale
         where meter_id = $1 and quantity = $2 and state = 'confirmed'
           and not exists (select 1 from counter_act
                           where counter_act.sale_id = sale.sale_id
                             and counter_act.state = 'confirmed')
         order by settled_at_ms desc, purchase_count desc",
    )
    .bind(meter.to_string())
    .bind(stored::quantity_name(quantity))
    .fetch_all(executor)
    .await?;
    let part = |(amount, minor): (i64, i64)| {
        let amount = u64::try_from(amount).map_err(|_| bad_column("amount", amount.to_string()))?;
        if minor < 0 {
            return Err(bad_column("paid_minor", minor.to_string()));
        }
        Ok(Part { amount, minor })
    };
    rows.into_iter().map(part).collect()
}

/// Minor units; the part of a purchase is rounded up, so that no customer loses by it. `None`: the
/// purchases do not hold so much.
fn of_the_newest(bought: &[Part], left: u64) -> Option<i64> {
    let (mut left, mut sum) = (left, 0_i128);
    for part in bought {
        let taken = left.min(part.amount);
        if taken > 0 {
            let paid = i128::from(part.minor) * i128::from(taken);
            sum += Rounding::Up.divide(paid, i128::from(part.amount));
        }
        left -= taken;
    }
    if left > 0 { None } else { i64::try_from(sum).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bought: &[(u64, i64)], left: u64, expected: Option<i64>) {
        let parts: Vec<Part> =
            bought.iter().map(|&(amount, minor)| Part { amount, minor }).collect();
        assert_eq!(of_the_newest(&parts, left), expected);
    }

    #[test]
    fn what_is_left_is_worth_what_was_paid_for_the_newest() {
        let dear_then_cheap = [(10_000, 1_000), (20_000, 1_000)];
        check(&dear_then_cheap, 0, Some(0));
        check(&dear_then_cheap, 10_000, Some(1_000));
        check(&dear_then_cheap, 15_000, Some(1_250));
        check(&dear_then_cheap, 30_000, Some(2_000));
        // A third of a fen is a fen.
        check(&[(30, 1)], 10, Some(1));
    }

    #[test]
    fn more_than_was_sold_has_no_worth() {
        check(&[], 10, None);
        check(&[(10_000, 1_000)], 10_010, None);
        check(&[(0, 5)], 10, None);
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        check(&[(u64::MAX, i64::MAX)], u64::MAX, Some(i64::MAX));
        check(&[(1, i64::MAX), (1, i64::MAX)], 2, None);
    }
}
