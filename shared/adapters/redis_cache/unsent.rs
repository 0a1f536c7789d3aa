//! Values that wait for the keeper. What is forgotten meanwhile is not sent, or it would be kept after all.
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::Instant;

/// By key, each with the moment it lapses; the last one kept is the one that is sent.
#[derive(Default)]
pub(super) struct Unsent(Mutex<HashMap<String, (Bytes, Instant)>>);

impl Unsent {
    fn by_key(&self) -> MutexGuard<'_, HashMap<String, (Bytes, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the keeper does not know yet that there is a value.
    pub(super) fn keep(&self, key: &str, value: Bytes, ttl: Duration) -> bool {
        self.by_key().insert(key.to_owned(), (value, Instant::now() + ttl)).is_none()
    }

    /// What is to be sent, and how long it lives yet. It waits no more.
    pub(super) fn take(&self, key: &str) -> Option<(Bytes, Duration)> {
        let (value, until) = self.by_key().remove(key)?;
        let left = until.checked_duration_since(Instant::now()).filter(|it| !it.is_zero())?;
        Some((value, left))
    }
}
