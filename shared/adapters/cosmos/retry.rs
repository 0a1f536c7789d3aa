//! What the service turned away without doing it is asked for again: a throttled call (429) not before the service
//! says, one that met another (449) soon. Every wait is drawn from a range, so that callers who were turned away
//! together do not come back together.
use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use crate::shared::ports::documents::StoreError;

/// All waits of one call together.
pub(super) const WAITED_MAX: Duration = Duration::from_secs(3);
/// The first wait where the service names none; doubled each time.
const FIRST_WAIT: Duration = Duration::from_millis(10);
const WAIT_MAX: Duration = Duration::from_millis(500);

/// Why a call has no answer.
#[derive(Debug)]
pub(super) enum Failed {
    /// Nothing was done; it may be asked for again, after as long as the service said.
    Turned { away: StoreError, wait: Option<Duration> },
    /// The region that was asked cannot be reached, or is silent. A write may or may not have happened.
    Lost(StoreError),
    /// For good.
    Ended(StoreError),
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Failed {
        Failed::Ended(error)
    }
}

/// Asks until there is an answer or [`WAITED_MAX`] has passed in waiting.
pub(super) async fn insist<T, A>(mut ask: impl FnMut() -> A) -> Result<T, Failed>
where
    A: Future<Output = Result<T, Failed>>,
{
    let (mut waited, mut backoff) = (Duration::ZERO, FIRST_WAIT);
    loop {
        let (away, wait) = match ask().await {
            Err(Failed::Turned { away, wait }) => (away, spread(wait.unwrap_or(backoff))),
            answered => return answered,
        };
        waited += wait;
        if waited > WAITED_MAX {
            return Err(Failed::Ended(away));
        }
        backoff = (backoff * 2).min(WAIT_MAX);
        tokio::time::sleep(wait).await;
    }
}

/// Between once and twice as long.
fn spread(wait: Duration) -> Duration {
    let drawn = RandomState::new().hash_one(()) % 1_000;
    wait + wait.saturating_mul(u32::try_from(drawn).unwrap_or(0)) / 1_000
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn turned(wait: Option<Duration>) -> Failed {
        Failed::Turned { away: StoreError::Unavailable("429".into()), wait }
    }

    #[tokio::test]
    async fn what_is_turned_away_is_asked_for_again() {
        let asked = Cell::new(0);
        let answer = insist(async || {
            asked.set(asked.get() + 1);
            if asked.get() < 4 { Err(turned(None)) } else { Ok(asked.get()) }
        });
        assert_eq!(answer.await.unwrap(), 4);
    }

    #[tokio::test]
    async fn what_would_take_too_long_is_not_waited_for() {
        let asked = Cell::new(0);
        let answer = insist(async || {
            asked.set(asked.get() + 1);
            Err::<(), _>(turned(Some(WAITED_MAX + Duration::from_secs(1))))
        });
        assert!(matches!(answer.await, Err(Failed::Ended(StoreError::Unavailable(_)))));
        assert_eq!(asked.get(), 1);
    }

    #[tokio::test]
    async fn what_has_failed_for_good_is_asked_once() {
        let asked = Cell::new(0);
        let answer = insist(async || {
            asked.set(asked.get() + 1);
            Err::<(), _>(Failed::Ended(StoreError::Refused(String::new())))
        });
        assert!(matches!(answer.await, Err(Failed::Ended(StoreError::Refused(_)))));
        assert_eq!(asked.get(), 1);
    }

    #[test]
    fn waits_are_never_shorter_than_asked_and_differ() {
        let wait = Duration::from_millis(100);
        let drawn: std::collections::HashSet<_> = (0..64).map(|_| spread(wait)).collect();
        assert!(drawn.iter().all(|it| *it >= wait && *it < wait * 2));
        assert!(drawn.len() > 8, "{drawn:?}");
    }
}
