//! A cache in this process's memory, for one process or where each may have its own; and one that keeps nothing.
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;

use crate::shared::ports::{
    cache::{Cache, CacheError, Kept, check_key, check_keys, check_push, check_set},
    clock::Clock,
};

/// Bytes of keys and values, near enough. Beyond them what has lapsed goes first, then whatever comes to hand.
const BYTES_MAX: usize = 8 * 1024 * 1024;
/// What an entry takes beside its key and value.
const ENTRY_BYTES: usize = 100;

/// Lapses by the clock it is given.
pub struct MemoryCache {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entries: HashMap<String, Entry>,
    bytes: usize,
}

struct Entry {
    thing: Thing,
    /// Unix milliseconds.
    until: i128,
}

enum Thing {
    Value(Bytes),
    Count(u64),
    List(VecDeque<Bytes>),
}

impl MemoryCache {
    pub fn new(clock: Arc<dyn Clock>) -> MemoryCache {
        MemoryCache { clock, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Unix milliseconds.
    fn now(&self) -> i128 {
        self.clock.now().unix_timestamp_nanos() / 1_000_000
    }
}

fn ms(time: Duration) -> i128 {
    i128::try_from(time.as_millis()).unwrap_or(i128::MAX)
}

impl Entry {
    fn bytes(&self, key: &str) -> usize {
        let inside = match &self.thing {
            Thing::Value(value) => value.len(),
            Thing::Count(_) => 0,
            Thing::List(items) => items.iter().map(|it| it.len() + ENTRY_BYTES).sum(),
        };
        ENTRY_BYTES + key.len() + inside
    }
}

impl State {
    /// What is there and has not lapsed.
    fn live(&self, key: &str, now: i128) -> Option<&Entry> {
        self.entries.get(key).filter(|it| it.until > now)
    }

    fn remove(&mut self, key: &str) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        self.bytes = self.bytes.saturating_sub(entry.bytes(key));
        Some(entry)
    }

    fn put(&mut self, key: &str, entry: Entry, now: i128) {
        self.remove(key);
        let bytes = entry.bytes(key);
        if self.bytes + bytes > BYTES_MAX {
            self.shrink(now);
        }
        self.bytes += bytes;
        self.entries.insert(key.to_owned(), entry);
    }

    fn shrink(&mut self, now: i128) {
        self.entries.retain(|_, entry| entry.until > now);
        self.bytes = self.entries.iter().map(|(key, entry)| entry.bytes(key)).sum();
        while self.bytes > BYTES_MAX / 4 * 3
            && let Some(key) = self.entries.keys().next().cloned()
        {
            self.remove(&key);
        }
    }
}

#[async_trait]
impl Cache for MemoryCache {
    fn is_shared(&self) -> bool {
        false
    }

    async fn get(&self, keys: &[String]) -> Result<Vec<Option<Kept>>, CacheError> {
        check_keys(keys)?;
        let (now, state) = (self.now(), self.state());
        let kept = |key: &String| match state.live(key, now)? {
            Entry { thing: Thing::Value(value), until } => {
                let left = Duration::from_millis(u64::try_from(until - now).unwrap_or_default());
                Some(Kept { value: value.clone(), left })
            }
            _ => None,
        };
        Ok(keys.iter().map(kept).collect())
    }

    fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), CacheError> {
        check_set(key, &value, ttl)?;
        let now = self.now();
        self.state().put(key, Entry { thing: Thing::Value(value), until: now + ms(ttl) }, now);
        Ok(())
    }

    async fn delete(&self, keys: &[String]) -> Result<(), CacheError> {
        check_keys(keys)?;
        let mut state = self.state();
        keys.iter().for_each(|key| drop(state.remove(key)));
        Ok(())
    }

    fn count(&self, key: &str, units: u64, window: Duration) -> u64 {
        if check_key(key).is_err() {
            return units;
        }
        let (now, mut state) = (self.now(), self.state());
        let (earlier, until) = match state.live(key, now) {
            Some(Entry { thing: Thing::Count(total), until }) => (*total, *until),
            _ => (0, now + ms(window)),
        };
        let total = earlier.saturating_add(units);
        state.put(key, Entry { thing: Thing::Count(total), until }, now);
        total
    }

    async fn push(
        &self,
        key: &str,
        items: &[Bytes],
        keep: usize,
        ttl: Duration,
        _: Duration,
    ) -> Result<Vec<Bytes>, CacheError> {
        check_push(key, items, keep, ttl)?;
        let (now, mut state) = (self.now(), self.state());
        let mut list = match state.live(key, now) {
            Some(Entry { thing: Thing::List(list), .. }) => list.clone(),
            _ => VecDeque::new(),
        };
        if !items.is_empty() {
            list.extend(items.iter().cloned());
            list.drain(..list.len().saturating_sub(keep));
            state.put(key, Entry { thing: Thing::List(list.clone()), until: now + ms(ttl) }, now);
        }
        Ok(list.into())
    }
}

/// Keeps nothing: every question goes to where the answer comes from, and every count is the first.
pub struct NoCache;

#[async_trait]
impl Cache for NoCache {
    fn is_shared(&self) -> bool {
        false
    }

    async fn get(&self, keys: &[String]) -> Result<Vec<Option<Kept>>, CacheError> {
        Ok(vec![None; keys.len()])
    }

    fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), CacheError> {
        check_set(key, &value, ttl)
    }

    async fn delete(&self, _: &[String]) -> Result<(), CacheError> {
        Ok(())
    }

    fn count(&self, _: &str, units: u64, _: Duration) -> u64 {
        units
    }

    async fn push(
        &self,
        key: &str,
        items: &[Bytes],
        keep: usize,
        ttl: Duration,
        _: Duration,
    ) -> Result<Vec<Bytes>, CacheError> {
        check_push(key, items, keep, ttl)?;
        Ok(items.to_vec())
    }
}
