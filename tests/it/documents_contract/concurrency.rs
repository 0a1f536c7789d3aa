//! Many callers at once.
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use offpeak::shared::ports::documents::{Container, Documents, Query, Scope, StoreError};
use serde_json::json;
use tokio::task::JoinSet;

use super::{Subject, create, replace};

const STOCK: Container = Container::Stock;

pub(super) async fn all(subject: &Subject) {
    one_of_many_creates_wins(subject).await;
    no_increment_is_lost(subject).await;
    no_half_batch_is_seen(subject).await;
    one_refusal_undoes_no_other_write(subject).await;
    a_caller_that_leaves_stops_nobody(subject).await;
}

/// Adds one to the counter by reading and replacing until it succeeds.
pub(super) async fn increment(store: &dyn Documents, partition: &str) {
    loop {
        let seen = store.read(STOCK, partition, "counter").await.unwrap().unwrap();
        let next = json!({"n": seen.body["n"].as_i64().unwrap() + 1});
        match store.write(STOCK, partition, vec![replace("counter", next, &seen.etag)]).await {
            Ok(_) => return,
            Err(StoreError::Changed { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

async fn one_of_many_creates_wins(subject: &Subject) {
    let mut callers = JoinSet::new();
    for n in 0..64 {
        let store = Arc::clone(&subject.store);
        callers.spawn(async move { store.write(STOCK, "race", vec![create("one", json!({"n": n}))]).await });
    }
    let outcomes = callers.join_all().await;
    let won: Vec<_> = outcomes.iter().flatten().collect();
    assert_eq!(won.len(), 1);
    assert!(outcomes.iter().all(|it| matches!(it, Ok(_) | Err(StoreError::Exists { .. }))));
    assert_eq!(subject.get(STOCK, "race", "one").await.unwrap().etag, won[0][0]);
}

async fn no_increment_is_lost(subject: &Subject) {
    subject.put(STOCK, "count", vec![create("counter", json!({"n": 0}))]).await;
    let mut callers = JoinSet::new();
    for _ in 0..64 {
        let store = Arc::clone(&subject.store);
        callers.spawn(async move { increment(store.as_ref(), "count").await });
    }
    callers.join_all().await;
    assert_eq!(subject.get(STOCK, "count", "counter").await.unwrap().body, json!({"n": 64}));
}

async fn no_half_batch_is_seen(subject: &Subject) {
    const HALVES: [&str; 4] = ["a", "b", "c", "d"];
    let mut etags = subject.put(STOCK, "halves", HALVES.map(|id| create(id, json!({"n": 0}))).into()).await;
    let done = Arc::new(AtomicBool::new(false));
    let mut readers = JoinSet::new();
    for _ in 0..2 {
        let (store, done) = (Arc::clone(&subject.store), Arc::clone(&done));
        readers.spawn(async move {
            let all = Query { limit: 10, ..Query::default() };
            let mut looks = 0;
            while !done.load(Ordering::SeqCst) {
                let page = store.query(STOCK, Scope::Partition("halves"), &all).await.unwrap();
                assert!(page.items.windows(2).all(|it| it[0].body == it[1].body), "half a batch: {page:?}");
                looks += 1;
                tokio::task::yield_now().await;
            }
            looks
        });
    }
    for n in 1..=50 {
        let writes = HALVES.iter().zip(&etags).map(|(id, etag)| replace(id, json!({"n": n}), etag)).collect();
        etags = subject.put(STOCK, "halves", writes).await;
        tokio::task::yield_now().await;
    }
    done.store(true, Ordering::SeqCst);
    readers.join_all().await;
}

async fn one_refusal_undoes_no_other_write(subject: &Subject) {
    subject.put(STOCK, "mixed", vec![create("taken", json!({}))]).await;
    let mut callers = JoinSet::new();
    for n in 0..60 {
        let store = Arc::clone(&subject.store);
        callers.spawn(async move {
            let mut writes = vec![create(&format!("{n}"), json!({"n": n}))];
            if n % 3 == 0 {
                writes.push(create("taken", json!({})));
            }
            (n, store.write(STOCK, "mixed", writes).await.is_ok())
        });
    }
    for (n, done) in callers.join_all().await {
        assert_eq!(done, n % 3 != 0);
        assert_eq!(subject.get(STOCK, "mixed", &format!("{n}")).await.is_some(), done, "{n}");
    }
}

async fn a_caller_that_leaves_stops_nobody(subject: &Subject) {
    for n in 0..20 {
        let leaving = subject.store.write(STOCK, "leaving", vec![create(&format!("{n}"), json!({}))]);
        // It may or may not be stored; either way the next caller is served.
        drop(tokio::time::timeout(Duration::from_micros(50 * n), leaving).await);
        let reading = subject.store.read(STOCK, "leaving", "0");
        drop(tokio::time::timeout(Duration::from_micros(20 * n), reading).await);
    }
    subject.put(STOCK, "leaving", vec![create("last", json!({}))]).await;
    assert!(subject.get(STOCK, "leaving", "last").await.is_some());
}
