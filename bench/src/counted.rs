//! A store that counts what it is asked: it stands between the shop and SQLite and adds nothing else.
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use async_trait::async_trait;
use offpeak::shared::{
    adapters::sqlite::SqliteDocuments,
    ports::documents::{Container, Document, Documents, ETag, Page, Query, Scope, StoreError, Write},
};

/// SQLite, counted.
pub struct Counted {
    store: SqliteDocuments,
    reads: AtomicU64,
    writes: AtomicU64,
    queries: AtomicU64,
}

impl Counted {
    /// Counts from nothing.
    pub fn new(store: SqliteDocuments) -> Counted {
        Counted { store, reads: AtomicU64::new(0), writes: AtomicU64::new(0), queries: AtomicU64::new(0) }
    }

    /// Reads, batches written, queries.
    pub fn counts(&self) -> (u64, u64, u64) {
        (self.reads.load(Relaxed), self.writes.load(Relaxed), self.queries.load(Relaxed))
    }

    /// Counts from nothing again.
    pub fn forget(&self) {
        for count in [&self.reads, &self.writes, &self.queries] {
            count.store(0, Relaxed);
        }
    }
}

#[async_trait]
impl Documents for Counted {
    async fn read(&self, container: Container, partition: &str, id: &str) -> Result<Option<Document>, StoreError> {
        self.reads.fetch_add(1, Relaxed);
        self.store.read(container, partition, id).await
    }

    async fn write(&self, container: Container, partition: &str, writes: Vec<Write>) -> Result<Vec<ETag>, StoreError> {
        self.writes.fetch_add(1, Relaxed);
        self.store.write(container, partition, writes).await
    }

    async fn query(&self, container: Container, scope: Scope<'_>, query: &Query) -> Result<Page, StoreError> {
        self.queries.fetch_add(1, Relaxed);
        self.store.query(container, scope, query).await
    }
}
