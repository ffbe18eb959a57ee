//! The periods of a day by their price (尖峰平谷, 深谷), and an amount for each.

use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    Sharp,
    Peak,
    Flat,
    Valley,
    DeepValley,
}

impl Period {
    pub const ALL: [Period; 5] =
        [Period::Sharp, Period::Peak, Period::Flat, Period::Valley, Period::DeepValley];

    pub fn name(self) -> &'static str {
        match self {
            Period::Sharp => "sharp",
            Period::Peak => "peak",
            Period::Flat => "flat",
            Period::Valley => "valley",
            Period::DeepValley => "deep-valley",
        }
    }

    pub fn from_name(name: &str) -> Option<Period> {
        Period::ALL.into_iter().find(|period| period.name() == name)
    }

    pub fn chinese(self) -> &'static str {
        match self {
            Period::Sharp => "尖",
            Period::Peak => "峰",
            Period::Flat => "平",
            Period::Valley => "谷",
            Period::DeepValley => "深谷",
        }
    }

    pub(super) const fn index(self) -> usize {
        match self {
            Period::Sharp => 0,
            Period::Peak => 1,
            Period::Flat => 2,
            Period::Valley => 3,
            Period::DeepValley => 4,
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Wh or litres, one for each period. A meter with one register alone has it in `flat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amounts([u64; 5]);

impl Amounts {
    /// In the order of [`Period::ALL`].
    pub const fn new(amounts: [u64; 5]) -> Amounts {
        Amounts(amounts)
    }

    pub const fn one(amount: u64) -> Amounts {
        Amounts([0, 0, amount, 0, 0])
    }

    /// All of it in the first period that fits.
    pub fn in_first(amount: u64, fits: impl Fn(Period) -> bool) -> Amounts {
        let period = Period::ALL.into_iter().find(|period| fits(*period)).unwrap_or(Period::Flat);
        let mut amounts = [0; 5];
        amounts[period.index()] = amount;
        Amounts(amounts)
    }

    pub fn of(&self, period: Period) -> u64 {
        self.0[period.index()]
    }

    pub fn all(&self) -> [u64; 5] {
        self.0
    }

    /// `None` beyond 64 bits.
    pub fn total(&self) -> Option<u64> {
        self.0.iter().try_fold(0_u64, |sum, amount| sum.checked_add(*amount))
    }

    /// The same act on each pair; `None` where it fails on one.
    pub(super) fn zip(
        &self,
        other: &Amounts,
        act: impl Fn(u64, u64) -> Option<u64>,
    ) -> Option<Amounts> {
        let mut all = [0; 5];
        for (out, (mine, theirs)) in all.iter_mut().zip(self.0.into_iter().zip(other.0)) {
            *out = act(mine, theirs)?;
        }
        Some(Amounts(all))
    }
}
