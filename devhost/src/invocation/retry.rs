//! The delays of a function's retry policy, as the WebJobs retry strategies compute them.
use std::time::Duration;

use crate::functions::RetryDelay;

/// The wait before retry number `retry` (1 is the first). `permille` is a random factor between 800 and 1,200.
///
/// Exponential: the first wait is the minimum; then minimum + factor · 2^(retry−1) · minimum, at most the maximum.
pub(super) fn delay(policy: &RetryDelay, retry: u32, permille: u32) -> Duration {
    match policy {
        RetryDelay::Fixed(delay) => *delay,
        RetryDelay::Exponential { minimum, .. } if retry <= 1 => *minimum,
        RetryDelay::Exponential { minimum, maximum } => {
            let growth = 2_u32.checked_pow(retry - 1).and_then(|it| minimum.checked_mul(it));
            let growth = growth.and_then(|it| it.checked_mul(permille)).map(|it| it / 1000);
            growth.and_then(|it| it.checked_add(*minimum)).map_or(*maximum, |it| it.min(*maximum))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_their_maximum() {
        let seconds = Duration::from_secs;
        assert_eq!(delay(&RetryDelay::Fixed(seconds(5)), 7, 800), seconds(5));
        let growing = RetryDelay::Exponential { minimum: seconds(2), maximum: seconds(60) };
        let delays: Vec<u64> = (1..=6).map(|it| delay(&growing, it, 1000).as_secs()).collect();
        assert_eq!(delays, [2, 6, 10, 18, 34, 60]);
        assert_eq!(delay(&growing, 2, 800), Duration::from_millis(5200));
        assert_eq!(delay(&growing, u32::MAX, 1200), seconds(60));
    }
}
