//! One amount among several, by weight: the parts sum to the whole, always.
//!
//! Each part is rounded down, and what that leaves goes, one unit each, to those whose part lost
//! most by it (the method of largest remainders); of equal losses the first in the list comes first.

/// `None` where there is no weight at all, or the weights cannot be summed.
pub fn largest_remainder(whole: u64, weights: &[u64]) -> Option<Vec<u64>> {
    let sum = weights.iter().try_fold(0_u64, |sum, weight| sum.checked_add(*weight))?;
    if sum == 0 {
        return None;
    }
    let exact = |weight: &u64| u128::from(whole) * u128::from(*weight);
    let down = |weight: &u64| u64::try_from(exact(weight) / u128::from(sum));
    let mut parts: Vec<u64> = weights.iter().map(down).collect::<Result<_, _>>().ok()?;
    let left = whole - parts.iter().sum::<u64>();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(exact(&weights[*at]) % u128::from(sum)));
    for at in order.into_iter().take(usize::try_from(left).ok()?) {
        parts[at] += 1;
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_largest_loss_is_made_good_first() {
        assert_eq!(largest_remainder(100, &[1, 1, 1]), Some(vec![34, 33, 33]));
        assert_eq!(largest_remainder(100, &[1, 2, 3]), Some(vec![17, 33, 50]));
        assert_eq!(largest_remainder(5, &[0, 7, 0]), Some(vec![0, 5, 0]));
        assert_eq!(largest_remainder(0, &[3, 4]), Some(vec![0, 0]));
        for none in [&[][..], &[0, 0], &[u64::MAX, 1]] {
            assert_eq!(largest_remainder(9, none), None);
        }
    }

    proptest! {
        #[test]
        fn parts_sum_to_the_whole_and_follow_the_weights(
            whole in prop_oneof![0..1_000_u64, any::<u64>()],
            weights in prop::collection::vec(0..u64::MAX / 64, 1..60),
        ) {
            let Some(parts) = largest_remainder(whole, &weights) else {
                prop_assert!(weights.iter().all(|weight| *weight == 0));
                return Ok(());
            };
            prop_assert_eq!(parts.iter().map(|it| u128::from(*it)).sum::<u128>(), u128::from(whole));
            let sum: u128 = weights.iter().map(|it| u128::from(*it)).sum();
            for (part, weight) in parts.iter().zip(&weights) {
                // Within one unit of the exact part; nothing for no weight.
                let exact = u128::from(whole) * u128::from(*weight) / sum;
                prop_assert!((exact..=exact + 1).contains(&u128::from(*part)));
                prop_assert!(*weight > 0 || *part == 0);
            }
            for (one, other) in parts.iter().zip(&weights).zip(parts.iter().zip(&weights).skip(1)) {
                prop_assert!(one.1 < other.1 || one.0 >= other.0 || one.1 == other.1);
            }
        }
    }
}
