//! What is taken off a payment before it buys anything, and what is given on top: arrears recovered as a
//! share of every sale, a fee that is due, a gift.
//!
//! Invariant: what is taken off and what is left are the whole payment, and something is left to buy.

use crate::Money;
use crate::tariff::NotSold;

/// The parts of one payment beside what it buys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deductions {
    /// Of old debts (陈欠).
    pub arrears: Money,
    /// Of the month (基本费), with its tax.
    pub fee: Money,
    /// Credit given free (赠送), on top of the payment.
    pub gift: Money,
}

/// What is owed, due and given, and how much of a payment may go into debts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dues {
    pub owed: Money,
    /// Percent of every payment that goes into what is owed.
    pub share_percent: u32,
    pub fee: Money,
    pub gift: Money,
}

impl Deductions {
    /// Rounded down in the customer's favour. Refuses a payment of which nothing is left.
    pub fn of(paid: Money, dues: &Dues) -> Result<Deductions, NotSold> {
        let currency = paid.currency();
        let money = |minor: i64| Money::new(minor, currency);
        let share = i128::from(paid.minor()) * i128::from(dues.share_percent) / 100;
        let arrears = share.clamp(0, i128::from(dues.owed.minor().max(0)));
        let arrears = money(i64::try_from(arrears).unwrap_or(i64::MAX));
        let deductions = Deductions { arrears, fee: dues.fee, gift: dues.gift };
        let off = i128::from(arrears.minor()) + i128::from(dues.fee.minor());
        if off > 0 && i128::from(paid.minor()) <= off {
            let mut what = Vec::new();
            if arrears.minor() > 0 {
                what.push(format!("{arrears} of it pays arrears"));
            }
            if dues.fee.minor() > 0 {
                what.push(format!("{} is the fee of this month", dues.fee));
            }
            return Err(NotSold(format!("{}: nothing is left to buy", what.join(" and "))));
        }
        if deductions.bought_for(paid).is_none() {
            return Err(NotSold("the amount is beyond what money holds".to_owned()));
        }
        Ok(deductions)
    }

    /// Paid, less what is taken off: what goes into credit. `None` beyond what money holds.
    pub fn left_of(&self, paid: Money) -> Option<Money> {
        let minor = paid.minor().checked_sub(self.arrears.minor())?;
        Some(Money::new(minor.checked_sub(self.fee.minor())?, paid.currency()))
    }

    /// That with the gift: what the credit is bought for.
    pub fn bought_for(&self, paid: Money) -> Option<Money> {
        self.left_of(paid)?.checked_add(self.gift)
    }

    pub fn is_none(&self) -> bool {
        [self.arrears, self.fee, self.gift].iter().all(|it| it.minor() == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Currency;

    fn cny(minor: i64) -> Money {
        Money::new(minor, Currency::CNY)
    }

    fn dues(owed: i64, share_percent: u32, fee: i64, gift: i64) -> Dues {
        Dues { owed: cny(owed), share_percent, fee: cny(fee), gift: cny(gift) }
    }

    #[test]
    fn a_payment_is_its_parts() {
        for (paid, asked, expected) in [
            (5000, dues(0, 30, 0, 0), (0, 0, 5000)),
            (5000, dues(10_000, 30, 0, 0), (1500, 0, 3500)),
            (5000, dues(700, 30, 0, 0), (700, 0, 4300)),
            // A share is rounded down.
            (199, dues(700, 50, 0, 0), (99, 0, 100)),
            (5000, dues(10_000, 30, 1000, 200), (1500, 1000, 2700)),
            (5000, dues(10_000, 0, 0, 0), (0, 0, 5000)),
            (1, dues(10_000, 90, 0, 0), (0, 0, 1)),
            (0, dues(10_000, 90, 0, 0), (0, 0, 0)),
            (
                i64::MAX,
                dues(i64::MAX, 90, 0, 0),
                (8_301_034_833_169_298_226, 0, 922_337_203_685_477_581),
            ),
        ] {
            let parts = Deductions::of(cny(paid), &asked).expect("something is left");
            let bought_for = parts.bought_for(cny(paid)).expect("in range").minor();
            assert_eq!((parts.arrears.minor(), parts.fee.minor(), bought_for), expected);
            let left = parts.left_of(cny(paid)).expect("in range").minor();
            assert_eq!(left + parts.arrears.minor() + parts.fee.minor(), paid);
        }
    }

    #[test]
    fn a_payment_of_which_nothing_is_left_is_refused() {
        let refused = |paid, asked| Deductions::of(cny(paid), &asked).expect_err("refused").0;
        assert_eq!(
            refused(1000, dues(0, 0, 1000, 0)),
            "10.00 is the fee of this month: nothing is left to buy"
        );
        assert_eq!(
            refused(1000, dues(5000, 50, 600, 0)),
            "5.00 of it pays arrears and 6.00 is the fee of this month: nothing is left to buy"
        );
        assert_eq!(refused(i64::MAX, dues(0, 0, 0, 1)), "the amount is beyond what money holds");
    }

    #[test]
    fn no_split_loses_or_makes_a_fen() {
        for paid in (1..4000).step_by(37) {
            for owed in [0, 1, 99, 1000, 100_000] {
                for share in [0, 1, 33, 50, 90] {
                    for fee in [0, 1, 500] {
                        let Ok(parts) = Deductions::of(cny(paid), &dues(owed, share, fee, 0))
                        else {
                            continue;
                        };
                        let left = parts.left_of(cny(paid)).expect("in range").minor();
                        assert!(left > 0);
                        assert!((0..=owed).contains(&parts.arrears.minor()));
                        assert_eq!(left + parts.arrears.minor() + parts.fee.minor(), paid);
                    }
                }
            }
        }
    }
}
