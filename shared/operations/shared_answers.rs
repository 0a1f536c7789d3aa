//! Answers of the catalogue that all processes share: whoever misses one asks the cache first and the store then.
//!
//! An answer is good for so long from the moment it was read in the store, wherever it lies: a process that finds it in
//! the cache keeps it only for what is left. So the two layers together show nothing older than one alone.
use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use moka::Expiry;

use crate::shared::ports::{
    cache::{Cache, Kept},
    chain,
};

/// Something read, and for how long it may be shown from when it came here.
#[derive(Clone, Debug)]
pub(super) struct Fresh<T> {
    pub(super) value: T,
    pub(super) left: Duration,
}

/// Entries leave a process when what is left is over.
pub(super) struct ByWhatIsLeft;

impl<K, T> Expiry<K, Fresh<T>> for ByWhatIsLeft {
    fn expire_after_create(&self, _: &K, entry: &Fresh<T>, _: Instant) -> Option<Duration> {
        Some(entry.left)
    }
}

/// The shared layer. Without a cache that is shared it does nothing.
#[derive(Clone)]
pub(super) struct SharedAnswers {
    cache: Option<Arc<dyn Cache>>,
    fresh: Duration,
    /// Each process spreads its entries differently.
    spread: RandomState,
}

impl SharedAnswers {
    pub(super) fn new(cache: &Arc<dyn Cache>, fresh: Duration) -> SharedAnswers {
        let cache = cache.is_shared().then(|| Arc::clone(cache));
        SharedAnswers { cache, fresh, spread: RandomState::new() }
    }

    /// What another process has read, in one round trip. A cache that fails is as one that has nothing.
    pub(super) async fn find(&self, key: &str) -> Option<Kept> {
        let cache = self.cache.as_ref()?;
        match cache.get(&[key.to_owned()]).await {
            Ok(kept) => kept.into_iter().next().flatten(),
            Err(err) => {
                tracing::debug!(error = %chain(&err), "The cache was not heard.");
                None
            }
        }
    }

    /// As [`SharedAnswers::find`], for several in one round trip; short or empty if there is no answer.
    pub(super) async fn find_all(&self, keys: &[String]) -> Vec<Option<Kept>> {
        let Some(cache) = self.cache.as_ref().filter(|_| !keys.is_empty()) else { return Vec::new() };
        cache.get(keys).await.unwrap_or_else(|err| {
            tracing::debug!(error = %chain(&err), "The cache was not heard.");
            Vec::new()
        })
    }

    /// Keeps what was read just now for the others; nobody waits for it.
    pub(super) fn keep(&self, key: &str, answer: Bytes) -> Duration {
        let left = self.lifetime(key);
        if let Some(cache) = &self.cache
            && let Err(err) = cache.set(key, answer, left)
        {
            tracing::debug!(error = %chain(&err), "An answer is not shared.");
        }
        left
    }

    /// Up to a quarter less than allowed, so that what was read at once does not lapse at once.
    pub(super) fn lifetime(&self, key: &str) -> Duration {
        let share = u32::try_from(self.spread.hash_one(key) % 256).unwrap_or_default();
        self.fresh - self.fresh / 1024 * share
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn lifetimes_are_spread_over_the_last_quarter() {
        let fresh = Duration::from_secs(10);
        let answers = SharedAnswers { cache: None, fresh, spread: RandomState::new() };
        let lifetimes: HashSet<Duration> = (0..1_000).map(|it| answers.lifetime(&format!("page/{it}"))).collect();
        assert!(lifetimes.iter().all(|it| *it > fresh / 4 * 3 && *it <= fresh), "{lifetimes:?}");
        assert!(lifetimes.len() > 200, "{}", lifetimes.len());
    }
}
