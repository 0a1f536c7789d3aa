//! Request units per partition key and second, which the emulator itself enforces on point writes only: here on
//! reads, queries and batches too.
use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use crate::units::Milliunits;

/// Container and partition key.
pub(crate) type Key = (String, String);

#[derive(Default)]
pub(crate) struct Budget(Mutex<Books>);

#[derive(Default)]
struct Books {
    /// A second's, of each partition key of a container; none is no limit.
    limits: HashMap<String, Milliunits>,
    /// What each key has used above what it had: what time has not yet paid back.
    owed: HashMap<Key, (Milliunits, Instant)>,
    spent: HashMap<String, Milliunits>,
    turned: u64,
}

impl Books {
    fn limit(&self, key: &Key) -> Milliunits {
        self.limits.get(&key.0).copied().unwrap_or(0)
    }

    /// Still owed of `key`, after what the time since has paid.
    fn owed(&self, key: &Key) -> Milliunits {
        let Some((owed, since)) = self.owed.get(key) else { return 0 };
        let passed = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
        owed.saturating_sub(self.limit(key).saturating_mul(passed) / 1_000)
    }
}

impl Budget {
    pub(crate) fn limit(&self, container: &str, units: u64) {
        let mut books = self.0.lock().unwrap();
        books.limits.insert(container.to_owned(), units * 1_000);
        books.owed.clear();
    }

    /// How long this key must wait; as the service does, a request is taken while anything is left of the second.
    pub(crate) fn wait(&self, key: &Key) -> Option<Duration> {
        let mut books = self.0.lock().unwrap();
        let limit = books.limit(key);
        let over = books.owed(key).saturating_sub(limit);
        if limit == 0 || over == 0 {
            return None;
        }
        books.turned += 1;
        Some(Duration::from_millis(over * 1_000 / limit + 1))
    }

    pub(crate) fn charge(&self, key: Key, units: Milliunits) {
        let mut books = self.0.lock().unwrap();
        *books.spent.entry(key.0.clone()).or_default() += units;
        if books.limit(&key) > 0 {
            let owed = books.owed(&key) + units;
            books.owed.insert(key, (owed, Instant::now()));
        }
    }

    pub(crate) fn turned(&self) -> u64 {
        self.0.lock().unwrap().turned
    }

    pub(crate) fn spent(&self, container: &str) -> Milliunits {
        self.0.lock().unwrap().spent.get(container).copied().unwrap_or(0)
    }
}
