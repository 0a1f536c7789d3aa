//! Sharing an amount out in whole minor units, by largest remainder.
//!
//! What must hold: shares sum to the amount exactly; none is above its cap or below zero; as long as no cap
//! is in the way each is within one minor unit of its exact proportion. Units that are left go to the
//! largest fractions, between equal ones to those that stand first.
use std::cmp::Reverse;

use crate::money::MoneyError;

/// One who shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// In proportion to this.
    pub weight: i64,
    /// And never more than this.
    pub cap: i64,
}

impl Share {
    /// In proportion to what is left of it, and at most that.
    pub const fn of_remainder(left: i64) -> Share {
        Share { weight: left, cap: left }
    }

    pub const fn unbounded(weight: i64) -> Share {
        Share { weight, cap: i64::MAX }
    }
}

/// A share of `amount` for each, in order. What a cap turns away goes to the others in proportion; if only
/// those of weight zero have room, in proportion to their room.
///
/// # Errors
/// `NoRoom` if the caps together hold less than the amount, or anything is negative; `Overflow` if the weights
/// together pass 64 bits.
pub fn allocate(amount: i64, shares: &[Share]) -> Result<Vec<i64>, MoneyError> {
    if amount < 0 || shares.iter().any(|it| it.weight < 0 || it.cap < 0) {
        return Err(MoneyError::NoRoom);
    }
    let mut given = vec![0_i64; shares.len()];
    let mut left = i128::from(amount);
    let mut open: Vec<usize> = (0..shares.len()).filter(|it| shares[*it].cap > 0).collect();
    let mut by_room = false;
    while left > 0 {
        let weight = |it: usize| {
            let share = shares[it];
            if by_room { i128::from(share.cap).min(left) } else { i128::from(share.weight) }
        };
        let sum: i128 = open.iter().map(|it| weight(*it)).sum();
        if sum == 0 {
            if by_room || open.is_empty() {
                return Err(MoneyError::NoRoom);
            }
            by_room = true;
            continue;
        }
        // Within 64 bits no product below can pass 128.
        if sum > i128::from(i64::MAX) {
            return Err(MoneyError::Overflow);
        }
        // Whoever is due more than its cap gets the cap; the rest is shared out anew among the others.
        let full = |it: usize| left * weight(it) > i128::from(shares[it].cap) * sum;
        let (over, under): (Vec<usize>, Vec<usize>) = open.iter().partition(|it| full(**it));
        if over.is_empty() {
            spread(left, sum, &under, weight, &mut given)?;
            return Ok(given);
        }
        for it in over {
            given[it] = shares[it].cap;
            left -= i128::from(shares[it].cap);
        }
        open = under;
    }
    Ok(given)
}

/// Whole part and rest of numbers that are not negative. 64 bits are enough for nearly all money, and divide
/// many times faster.
fn divided(dividend: i128, divisor: i128) -> (i128, i128) {
    match (u64::try_from(dividend), u64::try_from(divisor)) {
        (Ok(dividend), Ok(divisor)) => (i128::from(dividend / divisor), i128::from(dividend % divisor)),
        _ => (dividend / divisor, dividend % divisor),
    }
}

/// Whole parts first, then one unit each to the largest fractions.
fn spread(
    amount: i128,
    sum: i128,
    among: &[usize],
    weight: impl Fn(usize) -> i128,
    given: &mut [i64],
) -> Result<(), MoneyError> {
    let mut rest = amount;
    let mut fractions = Vec::with_capacity(among.len());
    for &it in among {
        let (whole, fraction) = divided(amount * weight(it), sum);
        rest -= whole;
        given[it] = i64::try_from(whole).map_err(|_| MoneyError::Overflow)?;
        fractions.push((Reverse(fraction), it));
    }
    let rest = usize::try_from(rest).map_err(|_| MoneyError::Overflow)?;
    fractions.sort_unstable();
    for (_, it) in fractions.into_iter().take(rest) {
        given[it] += 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn even(amount: i64, weights: &[i64]) -> Vec<i64> {
        let shares: Vec<Share> = weights.iter().map(|it| Share::unbounded(*it)).collect();
        allocate(amount, &shares).unwrap()
    }

    #[test]
    fn p9_fixed_cases() {
        assert_eq!(even(10_00, &[5, 5, 5]), [3_34, 3_33, 3_33]);
        assert_eq!(even(1, &[9; 7]), [1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(even(0, &[1, 2]), [0, 0]);
        assert_eq!(even(7, &[0, 1]), [0, 7]);
        let left = |amount, left: &[i64]| {
            let shares: Vec<Share> = left.iter().map(|it| Share::of_remainder(*it)).collect();
            allocate(amount, &shares)
        };
        // 100 % off leaves exactly nothing.
        assert_eq!(left(60, &[10, 20, 30]).unwrap(), [10, 20, 30]);
        // More than there is cannot be taken; callers clamp first.
        assert_eq!(left(61, &[10, 20, 30]), Err(MoneyError::NoRoom));
        assert_eq!(left(1, &[]), Err(MoneyError::NoRoom));
        assert_eq!(left(0, &[]).unwrap(), [0_i64; 0]);
        assert_eq!(left(-1, &[5]), Err(MoneyError::NoRoom));
        assert_eq!(left(1, &[-5, 9]), Err(MoneyError::NoRoom));
        let most = i64::MAX;
        assert_eq!(left(most, &[most - 1, 1]).unwrap(), [most - 1, 1]);
        assert_eq!(left(most, &[most, 1]), Err(MoneyError::Overflow));
        assert_eq!(left(1_000_000_000_000_000_000, &[i64::MAX]).unwrap(), [1_000_000_000_000_000_000]);
    }

    #[test]
    fn what_a_cap_turns_away_goes_to_the_others() {
        let share = |weight, cap| Share { weight, cap };
        assert_eq!(allocate(90, &[share(1, 10), share(1, 100), share(1, 100)]).unwrap(), [10, 40, 40]);
        assert_eq!(allocate(5, &[share(1, 2), share(0, 9), share(0, 3)]).unwrap(), [2, 2, 1]);
    }

    proptest! {
        #[test]
        fn p9_shares_are_exact_bounded_and_fair(
            parts in proptest::collection::vec((0_i64..1_000_000, 0_i64..1_000_000), 1..30),
            percent in 0_i64..=100,
        ) {
            let shares: Vec<Share> = parts.iter().map(|(weight, cap)| Share { weight: *weight, cap: *cap }).collect();
            let room: i64 = shares.iter().map(|it| it.cap).sum();
            let amount = room * percent / 100;
            let given = allocate(amount, &shares).unwrap();
            prop_assert_eq!(given.iter().sum::<i64>(), amount);
            prop_assert!(given.iter().zip(&shares).all(|(given, share)| (0..=share.cap).contains(given)));

            let free: Vec<Share> = shares.iter().map(|it| Share::unbounded(it.weight + 1)).collect();
            let sum: i128 = free.iter().map(|it| i128::from(it.weight)).sum();
            for (given, share) in allocate(amount, &free).unwrap().iter().zip(&free) {
                let exact = i128::from(amount) * i128::from(share.weight);
                prop_assert!((i128::from(*given) * sum - exact).abs() < sum, "{} is not near {}/{}", given, exact, sum);
            }
        }

        #[test]
        fn p9_permuting_parts_permutes_shares(weights in proptest::collection::hash_set(1_i64..1_000_000, 1..12), amount in 0_i64..1_000_000) {
            let mut weights: Vec<i64> = weights.into_iter().collect();
            let mut forward: Vec<(i64, i64)> = weights.iter().copied().zip(even(amount, &weights)).collect();
            weights.reverse();
            let mut backward: Vec<(i64, i64)> = weights.iter().copied().zip(even(amount, &weights)).collect();
            forward.sort_unstable();
            backward.sort_unstable();
            // Equal fractions of different weights go by place, so the sums agree and no share moves by more than one.
            for ((weight, one), (same, other)) in forward.iter().zip(&backward) {
                prop_assert_eq!(weight, same);
                prop_assert!((one - other).abs() <= 1);
            }
        }
    }
}
