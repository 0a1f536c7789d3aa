//! What the document port promises, asked of every adapter by one function. An adapter is done when
//! [`documents_contract`] passes on it; what only one adapter promises stands in a file of its own.
mod agreement;
mod concurrency;
mod cosmos;
mod kill;
mod limits;
mod queries;
mod sqlite;
mod writer_process;
mod writes;

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use offpeak::shared::{
    adapters::{memory::MemoryDocuments, sqlite::SqliteDocuments},
    ports::{
        clock::Clock,
        documents::{Container, Document, Documents, ETag, StoreError, Write},
    },
};
use serde_json::Value;
use time::OffsetDateTime;

/// A clock that moves only when told.
pub(crate) struct HandClock(AtomicI64);

impl HandClock {
    pub(crate) fn new() -> Arc<HandClock> {
        Arc::new(HandClock(AtomicI64::new(1_800_000_000)))
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

/// An empty store and the clock it goes by.
pub(crate) struct Subject {
    pub(crate) store: Arc<dyn Documents>,
    pub(crate) clock: Arc<HandClock>,
}

/// Asks everything of one adapter. Each case keeps to partitions and values of its own.
pub(crate) async fn documents_contract(subject: &Subject) {
    writes::all(subject).await;
    queries::all(subject).await;
    limits::all(subject).await;
    concurrency::all(subject).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_keeps_the_contract() {
    let clock = HandClock::new();
    let store = Arc::new(MemoryDocuments::new(Arc::clone(&clock) as Arc<dyn Clock>));
    documents_contract(&Subject { store, clock }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let clock = HandClock::new();
    let store = SqliteDocuments::open(&folder.path().join("store.db"), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    documents_contract(&Subject { store: Arc::new(store), clock }).await;
}

impl Subject {
    /// Writes what must succeed and answers the etags.
    async fn put(&self, container: Container, partition: &str, writes: Vec<Write>) -> Vec<ETag> {
        self.store.write(container, partition, writes).await.unwrap()
    }

    /// Writes what must fail and answers the error's name with the document it blames.
    async fn fail(&self, container: Container, partition: &str, writes: Vec<Write>) -> String {
        named(&self.store.write(container, partition, writes).await.unwrap_err())
    }

    /// Nobody writes meanwhile and no copy is behind, so both ways to read say the same.
    async fn get(&self, container: Container, partition: &str, id: &str) -> Option<Document> {
        let read = self.store.read(container, partition, id).await.unwrap();
        assert_eq!(self.store.read_latest(container, partition, id).await.unwrap(), read);
        read
    }
}

fn named(error: &StoreError) -> String {
    match error {
        StoreError::Exists { id } => format!("exists {id}"),
        StoreError::Changed { id } => format!("changed {id}"),
        StoreError::Refused(_) => "refused".into(),
        StoreError::Unreadable { id, .. } => format!("unreadable {id}"),
        StoreError::Unavailable(_) => "unavailable".into(),
    }
}

fn create(id: &str, body: Value) -> Write {
    Write::Create { id: id.into(), body, ttl: None }
}

fn create_for(id: &str, body: Value, seconds: u64) -> Write {
    Write::Create { id: id.into(), body, ttl: Some(Duration::from_secs(seconds)) }
}

fn replace(id: &str, body: Value, etag: &ETag) -> Write {
    Write::Replace { id: id.into(), body, etag: etag.clone(), ttl: None }
}

fn delete(id: &str, etag: &ETag) -> Write {
    Write::Delete { id: id.into(), etag: etag.clone() }
}
