//! What the cache port promises of every way to keep things for a while, and what a real Redis server does beside it.
mod faults;
pub(crate) mod redis;
pub(crate) mod server;

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use offpeak::shared::{
    adapters::memory_cache::{MemoryCache, NoCache},
    ports::{
        cache::{Cache, CacheError, KEY_MAX_BYTES, KEYS_MAX, Kept, LIST_MAX, TTL_MAX, VALUE_MAX_BYTES},
        clock::Clock,
    },
};
use tokio::{task::JoinSet, time::sleep};

use crate::documents_contract::HandClock;

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_secs(2);

/// A cache, and how its time passes: by hand, or by itself.
pub(crate) struct Subject {
    pub(crate) cache: Arc<dyn Cache>,
    pub(crate) clock: Option<Arc<HandClock>>,
}

impl Subject {
    /// More than [`SHORT`] passes.
    async fn wait(&self) {
        match &self.clock {
            Some(clock) => clock.advance(3),
            None => sleep(SHORT + SHORT / 2).await,
        }
    }

    async fn get(&self, key: &str) -> Option<Bytes> {
        got(self.cache.as_ref(), key).await.map(|it| it.value)
    }

    /// Sets, and waits until it is there.
    async fn put(&self, key: &str, value: &[u8], ttl: Duration) {
        let value = Bytes::copy_from_slice(value);
        self.cache.set(key, value.clone(), ttl).unwrap();
        soon(|| async { self.get(key).await.as_ref() == Some(&value) }).await;
    }

    async fn push(&self, key: &str, items: &[Bytes], keep: usize) -> Vec<Bytes> {
        self.cache.push(key, items, keep, LONG, LONG).await.unwrap()
    }
}

pub(crate) async fn got(cache: &dyn Cache, key: &str) -> Option<Kept> {
    cache.get(&[key.to_owned()]).await.unwrap().pop().unwrap()
}

/// Looks until it is so. What nobody waits for is there soon, and nobody says when.
///
/// # Panics
/// If it is never so.
pub(crate) async fn soon<F: Future<Output = bool>>(mut is_so: impl FnMut() -> F) {
    for _ in 0..2_000 {
        if is_so().await {
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
    panic!("it never came");
}

/// Asks everything of one adapter. Each case has keys of its own.
pub(crate) async fn cache_contract(subject: &Subject) {
    values(subject).await;
    limits(subject).await;
    counters(subject).await;
    lists(subject).await;
    times(subject).await;
}

async fn values(subject: &Subject) {
    assert_eq!(subject.get("v:none").await, None);
    let every_byte: Vec<u8> = (0..=255).chain([0, 13, 10, 0]).collect();
    subject.put("v:bytes", &every_byte, LONG).await;
    subject.put("v:empty", b"", LONG).await;
    subject.put("v:clé", "£".as_bytes(), LONG).await;
    subject.put("v:large", &vec![7; VALUE_MAX_BYTES], LONG).await;
    let kept = got(subject.cache.as_ref(), "v:bytes").await.unwrap();
    assert!(!kept.left.is_zero() && kept.left <= LONG, "{:?}", kept.left);

    subject.put("v:bytes", b"another", LONG).await;
    let keys = ["v:bytes", "v:none", "v:empty", "v:bytes"].map(str::to_owned);
    let many = subject.cache.get(&keys).await.unwrap();
    let many: Vec<_> = many.into_iter().map(|it| it.map(|it| it.value)).collect();
    assert_eq!(many, [Some("another".into()), None, Some(Bytes::new()), Some("another".into())]);
    assert_eq!(subject.cache.get(&[]).await.unwrap(), []);

    subject.cache.delete(&["v:bytes".to_owned(), "v:none".to_owned()]).await.unwrap();
    assert_eq!((subject.get("v:bytes").await, subject.get("v:empty").await), (None, Some(Bytes::new())));

    // What is forgotten before it was sent does not come after all: the next value of another key is there, it is not.
    subject.cache.set("v:early", Bytes::from_static(b"soon forgotten"), LONG).unwrap();
    subject.cache.delete(&["v:early".to_owned()]).await.unwrap();
    subject.put("v:later", b"", LONG).await;
    assert_eq!(subject.get("v:early").await, None);
    for value in [b"one", b"two"] {
        subject.cache.set("v:twice", Bytes::from_static(value), LONG).unwrap();
    }
    soon(|| async { subject.get("v:twice").await == Some("two".into()) }).await;
}

async fn limits(subject: &Subject) {
    fn refused<T>(done: Result<T, CacheError>) -> bool {
        matches!(done, Err(CacheError::Refused(_)))
    }
    let cache = subject.cache.as_ref();
    let too_large = Bytes::from(vec![7; VALUE_MAX_BYTES + 1]);
    assert!(refused(cache.set("l:large", too_large.clone(), LONG)));
    assert!(refused(cache.push("l:large", &[too_large], 5, LONG, LONG).await));
    assert!(refused(cache.set("l:time", Bytes::new(), Duration::ZERO)));
    assert!(refused(cache.set("l:time", Bytes::new(), TTL_MAX + SHORT)));
    assert!(refused(cache.push("l:list", &[], 0, LONG, LONG).await));
    assert!(refused(cache.push("l:list", &[], LIST_MAX + 1, LONG, LONG).await));
    assert!(refused(cache.push("l:list", &vec![Bytes::new(); LIST_MAX + 1], 5, LONG, LONG).await));
    for key in [String::new(), "k".repeat(KEY_MAX_BYTES + 1), "two\r\nlines".to_owned()] {
        assert!(refused(cache.set(&key, Bytes::new(), LONG)), "{key:?}");
        assert!(refused(cache.get(std::slice::from_ref(&key)).await), "{key:?}");
        assert!(refused(cache.delete(std::slice::from_ref(&key)).await), "{key:?}");
    }
    assert!(refused(cache.get(&vec!["k".to_owned(); KEYS_MAX + 1]).await));
    assert_eq!(subject.get("l:large").await, None, "what was refused left nothing");
}

async fn counters(subject: &Subject) {
    let mut callers = JoinSet::new();
    for _ in 0..16 {
        let cache = Arc::clone(&subject.cache);
        callers.spawn(async move {
            for _ in 0..50 {
                cache.count("c:many", 1, LONG);
                tokio::task::yield_now().await;
            }
        });
    }
    callers.join_all().await;
    soon(|| async { subject.cache.count("c:many", 0, LONG) == 800 }).await;
    assert_eq!(subject.cache.count("c:other", 3, LONG), 3, "each key counts by itself");
}

async fn lists(subject: &Subject) {
    let item = |number: usize| Bytes::from(format!("item\r\n{number}"));
    let items = |range: std::ops::Range<usize>| range.map(item).collect::<Vec<_>>();
    assert_eq!(subject.push("p:a", &[], 50).await, Vec::<Bytes>::new());
    assert_eq!(subject.push("p:a", &items(0..3), 50).await, items(0..3));
    assert_eq!(subject.push("p:a", &items(3..60), 50).await, items(10..60), "the last fifty stay, oldest first");
    assert_eq!(subject.push("p:a", &items(60..61), 2).await, items(59..61));
    assert_eq!(subject.push("p:a", &[], 50).await, items(59..61));

    let mut callers = JoinSet::new();
    for caller in 0..10 {
        let (cache, own) = (Arc::clone(&subject.cache), items(caller * 5..caller * 5 + 5));
        callers.spawn(async move { cache.push("p:b", &own, 50, LONG, LONG).await.unwrap() });
    }
    callers.join_all().await;
    let list = subject.push("p:b", &[], 50).await;
    assert_eq!(list.len(), 50, "none is lost");
    for first in 0..10 {
        let at = list.iter().position(|it| *it == item(first * 5)).unwrap();
        assert_eq!(list[at..at + 5], items(first * 5..first * 5 + 5), "what was pushed together stays together");
    }
}

async fn times(subject: &Subject) {
    let one = [Bytes::from_static(b"one")];
    subject.put("t:long", b"stays", LONG).await;
    subject.put("t:short", b"goes", SHORT).await;
    subject.cache.push("t:list", &one, 5, SHORT, LONG).await.unwrap();
    subject.cache.push("t:list again", &one, 5, SHORT, LONG).await.unwrap();
    subject.cache.push("t:list again", &one, 5, LONG, LONG).await.unwrap();
    assert_eq!(subject.cache.count("t:count", 7, SHORT), 7);
    subject.wait().await;
    assert_eq!((subject.get("t:long").await, subject.get("t:short").await), (Some("stays".into()), None));
    assert_eq!(subject.push("t:list", &[], 5).await, Vec::<Bytes>::new());
    assert_eq!(subject.push("t:list again", &[], 5).await.len(), 2, "each push gives the list new time");
    assert_eq!(subject.cache.count("t:count", 1, SHORT), 1, "the next window begins at nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_keeps_the_contract() {
    let clock = HandClock::new();
    let cache = Arc::new(MemoryCache::new(Arc::clone(&clock) as Arc<dyn Clock>));
    cache_contract(&Subject { cache, clock: Some(clock) }).await;
}

#[tokio::test]
async fn memory_takes_no_more_than_its_room() {
    let cache = MemoryCache::new(HandClock::new());
    let value = Bytes::from(vec![7; VALUE_MAX_BYTES]);
    let keys: Vec<_> = (0..100).map(|it| format!("k{it}")).collect();
    for key in &keys {
        cache.set(key, value.clone(), LONG).unwrap();
        assert!(got(&cache, key).await.is_some(), "the newest is there");
    }
    let there = cache.get(&keys).await.unwrap().into_iter().flatten().count();
    assert!((10..20).contains(&there), "{there} of half a mebibyte each in eight");
}

#[tokio::test]
async fn a_shop_without_a_cache_finds_nothing_and_counts_nothing() {
    NoCache.set("k", Bytes::from_static(b"v"), LONG).unwrap();
    assert_eq!(got(&NoCache, "k").await, None);
    assert_eq!([NoCache.count("c", 1, LONG), NoCache.count("c", 1, LONG)], [1, 1]);
}
