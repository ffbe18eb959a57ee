//! One comparison: the product against a named reference, in turn, in one run.
//!
//! Invariant: each round measures reference, product, reference again; the second over the first
//! reference is the control, and a comparison whose control strays is thrown away, not mended.

use anyhow::Result;
use std::time::Duration;

/// Beyond this the machine was too uneven to say anything (targets.md, section 1).
const CONTROL: std::ops::RangeInclusive<f64> = 0.95..=1.05;
/// How often an uneven comparison is tried again before it is reported as discarded.
const TRIES: usize = 3;

/// Time for one operation.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    pub reference: Duration,
    pub product: Duration,
    pub reference_again: Duration,
}

#[derive(Debug, Clone)]
pub struct Comparison {
    pub rounds: Vec<Round>,
}

impl Comparison {
    /// Medians over the rounds, in nanoseconds an operation.
    pub fn reference_ns(&self) -> f64 {
        self.median(|round| (ns(round.reference) + ns(round.reference_again)) / 2.0)
    }
    pub fn product_ns(&self) -> f64 {
        self.median(|round| ns(round.product))
    }
    /// Product time over reference time, round by round, the median.
    pub fn ratio(&self) -> f64 {
        self.median(|round| {
            2.0 * ns(round.product) / (ns(round.reference) + ns(round.reference_again))
        })
    }
    pub fn ratio_span(&self) -> (f64, f64) {
        let ratios = self.sorted(|round| {
            2.0 * ns(round.product) / (ns(round.reference) + ns(round.reference_again))
        });
        (ratios[0], ratios[ratios.len() - 1])
    }
    pub fn control(&self) -> f64 {
        self.median(|round| ns(round.reference_again) / ns(round.reference))
    }
    pub fn is_even(&self) -> bool {
        CONTROL.contains(&self.control())
    }

    fn median(&self, of: impl Fn(&Round) -> f64) -> f64 {
        let sorted = self.sorted(of);
        sorted[sorted.len() / 2]
    }
    fn sorted(&self, of: impl Fn(&Round) -> f64) -> Vec<f64> {
        let mut all: Vec<f64> = self.rounds.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all
    }
}

fn ns(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e9
}

/// Runs `rounds` rounds; `measure(product)` does one contender's share of a round and says how long
/// one operation took. Tried again while the control strays, and the last try is returned as it is.
pub async fn compare<F, G>(rounds: usize, mut reference: F, mut product: G) -> Result<Comparison>
where
    F: AsyncFnMut() -> Result<Duration>,
    G: AsyncFnMut() -> Result<Duration>,
{
    let mut comparison = Comparison { rounds: Vec::new() };
    for _ in 0..TRIES {
        // One share each that is not counted warms caches and fills pools.
        reference().await?;
        product().await?;
        comparison.rounds.clear();
        for _ in 0..rounds {
            comparison.rounds.push(Round {
                reference: reference().await?,
                product: product().await?,
                reference_again: reference().await?,
            });
        }
        if comparison.is_even() {
            break;
        }
    }
    Ok(comparison)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rounds: &[(u64, u64, u64)], ratio: f64, control: f64, even: bool) {
        let ms = Duration::from_millis;
        let round = |&(reference, product, again)| Round {
            reference: ms(reference),
            product: ms(product),
            reference_again: ms(again),
        };
        let comparison = Comparison { rounds: rounds.iter().map(round).collect() };
        assert!((comparison.ratio() - ratio).abs() < 1e-9, "{}", comparison.ratio());
        assert!((comparison.control() - control).abs() < 1e-9, "{}", comparison.control());
        assert_eq!(comparison.is_even(), even);
    }

    #[test]
    fn medians_and_the_control() {
        check(&[(10, 20, 10)], 2.0, 1.0, true);
        check(&[(10, 20, 10), (10, 90, 10), (10, 30, 10)], 3.0, 1.0, true);
        check(&[(10, 20, 12), (10, 20, 12), (10, 20, 10)], 2.0 / 1.1, 1.2, false);
    }
}
