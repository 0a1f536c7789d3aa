//! What the shop may forget at any moment: answers that processes share, counters and short lists.
//!
//! Nothing that has to be right stands on it. An entry may vanish before its time, never outlives it, and whoever
//! cannot reach the cache goes on without. Only `get`, `delete` and `push` wait for anything, and none of them longer
//! than [`PATIENCE`].
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

/// Longest wait of one call, whatever is wrong with the cache.
pub const PATIENCE: Duration = Duration::from_millis(50);
/// Longest key, in bytes.
pub const KEY_MAX_BYTES: usize = 512;
/// Largest value or item of a list, in bytes.
pub const VALUE_MAX_BYTES: usize = 512 * 1024;
/// Most keys of one call.
pub const KEYS_MAX: usize = 500;
/// Most items that a list keeps.
pub const LIST_MAX: usize = 100;
/// Longest time that anything is kept.
pub const TTL_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// A value that is there, and how long it will be at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub value: Bytes,
    pub left: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// Our own fault: beyond the port's limits.
    #[error("the cache refuses it: {0}")]
    Refused(String),
    /// Not reached, too slow, or given up for the moment.
    #[error("the cache did not answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

#[async_trait]
pub trait Cache: Send + Sync {
    /// Whether other processes see what is kept here. What one process alone sees need not be kept twice in it.
    fn is_shared(&self) -> bool;

    /// The values under these keys, in their order, in one round trip.
    ///
    /// # Errors
    /// [`CacheError`].
    async fn get(&self, keys: &[String]) -> Result<Vec<Option<Kept>>, CacheError>;

    /// Keeps a value soon; nobody waits for it, and it may be lost.
    ///
    /// # Errors
    /// `Refused` for what is beyond the limits.
    fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), CacheError>;

    /// Forgets these values now.
    ///
    /// # Errors
    /// [`CacheError`]; then they stay until their time is over.
    async fn delete(&self, keys: &[String]) -> Result<(), CacheError>;

    /// Adds to a counter, which is forgotten `window` after its first unit, and answers its total at once: of this
    /// process all units, of others those that are known here so far.
    fn count(&self, key: &str, units: u64, window: Duration) -> u64;

    /// Appends to a list, of which the last `keep` items stay for another `ttl`, and answers it, oldest first, in one
    /// round trip of no more than `patience`. Without items it only reads.
    ///
    /// # Errors
    /// [`CacheError`].
    async fn push(
        &self,
        key: &str,
        items: &[Bytes],
        keep: usize,
        ttl: Duration,
        patience: Duration,
    ) -> Result<Vec<Bytes>, CacheError>;
}

fn refuse<T>(reason: String) -> Result<T, CacheError> {
    Err(CacheError::Refused(reason))
}

/// # Errors
/// `Refused` for a key that is empty, too long or holds control characters.
pub fn check_key(key: &str) -> Result<(), CacheError> {
    if key.is_empty() || key.len() > KEY_MAX_BYTES || key.chars().any(char::is_control) {
        return refuse(format!("a key has 1 to {KEY_MAX_BYTES} bytes without control characters"));
    }
    Ok(())
}

/// # Errors
/// `Refused` for too many keys, or a bad one.
pub fn check_keys(keys: &[String]) -> Result<(), CacheError> {
    if keys.len() > KEYS_MAX {
        return refuse(format!("one call has at most {KEYS_MAX} keys, not {}", keys.len()));
    }
    keys.iter().try_for_each(|key| check_key(key))
}

/// # Errors
/// `Refused` for a bad key, a value that is too large, a time that is nothing or too long.
pub fn check_set(key: &str, value: &Bytes, ttl: Duration) -> Result<(), CacheError> {
    check_key(key)?;
    if value.len() > VALUE_MAX_BYTES {
        return refuse(format!("a value has at most {VALUE_MAX_BYTES} bytes, not {}", value.len()));
    }
    if ttl < Duration::from_millis(1) || ttl > TTL_MAX {
        return refuse(format!("a value is kept for 1 ms to {} s, not {ttl:?}", TTL_MAX.as_secs()));
    }
    Ok(())
}

/// # Errors
/// As [`check_set`], and `Refused` for a list that keeps nothing or too much.
pub fn check_push(key: &str, items: &[Bytes], keep: usize, ttl: Duration) -> Result<(), CacheError> {
    if keep == 0 || keep > LIST_MAX || items.len() > LIST_MAX {
        return refuse(format!("a list keeps and is given 1 to {LIST_MAX} items"));
    }
    check_set(key, &Bytes::new(), ttl)?;
    items.iter().try_for_each(|item| check_set(key, item, ttl))
}
