//! The store of one machine, a SQLite file, in a world of virtual time: its threads live in real time, so each call is
//! waited for on a thread of its own, and virtual time stands still meanwhile.
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    thread,
};

use async_trait::async_trait;
use offpeak::shared::{
    adapters::sqlite::SqliteDocuments,
    ports::{
        clock::Clock,
        documents::{Container, Document, Documents, ETag, Page, Query, Scope, StoreError, Write},
    },
};
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::runtime::{Builder, Runtime};

/// Where a world's documents lie.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kept {
    InMemory,
    OnDisk,
}

/// The world's time when the last call was made, in Unix nanoseconds: virtual time is known on its own thread only.
struct Told(AtomicI64);

impl Clock for Told {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(self.0.load(Ordering::SeqCst).into()).unwrap()
    }
}

pub(super) struct OnDisk {
    store: SqliteDocuments,
    clock: Arc<dyn Clock>,
    told: Arc<Told>,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    _folder: TempDir,
}

impl OnDisk {
    pub(super) fn new(clock: Arc<dyn Clock>) -> OnDisk {
        let folder = tempfile::tempdir().unwrap();
        let told = Arc::new(Told(AtomicI64::new(0)));
        let store =
            SqliteDocuments::open(&folder.path().join("store.db"), Arc::clone(&told) as Arc<dyn Clock>).unwrap();
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        OnDisk { store, clock, told, runtime: Some(runtime), _folder: folder }
    }

    fn wait<T: Send>(&self, call: impl Future<Output = T> + Send) -> T {
        let now = i64::try_from(self.clock.now().unix_timestamp_nanos()).unwrap();
        self.told.0.store(now, Ordering::SeqCst);
        let runtime = self.runtime.as_ref().unwrap();
        thread::scope(|threads| threads.spawn(|| runtime.block_on(call)).join().unwrap())
    }
}

impl Drop for OnDisk {
    fn drop(&mut self) {
        // The world ends inside a runtime of its own, which lets nobody wait for another one.
        self.runtime.take().unwrap().shutdown_background();
    }
}

#[async_trait]
impl Documents for OnDisk {
    async fn read(&self, container: Container, partition: &str, id: &str) -> Result<Option<Document>, StoreError> {
        self.wait(self.store.read(container, partition, id))
    }

    async fn write(&self, container: Container, partition: &str, writes: Vec<Write>) -> Result<Vec<ETag>, StoreError> {
        self.wait(self.store.write(container, partition, writes))
    }

    async fn query(&self, container: Container, scope: Scope<'_>, query: &Query) -> Result<Page, StoreError> {
        self.wait(self.store.query(container, scope, query))
    }
}
