//! One price per kWh, as meters have it today.

use crate::Money;

/// Minor units per kWh, at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlatPrice(Money);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a price must be above zero")]
pub struct NotAPrice;

impl FlatPrice {
    pub fn new(per_kwh: Money) -> Result<Self, NotAPrice> {
        if per_kwh.minor() <= 0 { Err(NotAPrice) } else { Ok(Self(per_kwh)) }
    }
    pub fn per_kwh(self) -> Money {
        self.0
    }

    /// The energy that `paid` buys, in Wh, rounded down: never more than was paid for.
    /// `None` for a negative amount, another currency, or more than 64 bits hold.
    pub fn energy_wh(self, paid: Money) -> Option<u64> {
        if paid.minor() < 0 || paid.currency() != self.0.currency() {
            return None;
        }
        u64::try_from(i128::from(paid.minor()) * 1000 / i128::from(self.0.minor())).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Currency;

    #[test]
    fn energy_is_rounded_down_to_the_watt_hour() {
        let fen = |minor| Money::new(minor, Currency::CNY);
        let price = FlatPrice::new(fen(52)).expect("above zero");
        for (paid, wh) in [(0, 0), (1, 19), (52, 1000), (5000, 96_153)] {
            assert_eq!(price.energy_wh(fen(paid)), Some(wh), "{paid}");
        }
        for unpriceable in [-1, i64::MAX] {
            assert_eq!(price.energy_wh(fen(unpriceable)), None, "{unpriceable}");
        }
        assert_eq!(FlatPrice::new(fen(0)), Err(NotAPrice));
    }
}
