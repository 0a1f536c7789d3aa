//! Documents in one SQLite file, for one machine. Several processes may share the file, and any of them may
//! be killed at any moment: a write that was acknowledged is there, and no batch is ever half there.
//!
//! One thread writes, by group commit; reads run beside it. Every call ends within `Options::patience`.
mod query;
mod reader;
mod schema;
mod writer;

use std::{
    path::Path,
    sync::{Arc, mpsc::Sender},
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::{Semaphore, oneshot};

use self::{
    reader::Readers,
    writer::{Job, Request},
};
pub use self::{schema::OpenError, writer::Durability};
use crate::shared::{
    ports::{
        clock::Clock,
        documents::{Container, Document, Documents, ETag, Page, Query, Scope, StoreError, Write},
        limits,
        reach::{self, Reach, Unreached},
    },
    telemetry::{StoreOp, store_op},
};

/// What a caller may choose. The default suits the handler.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The longest that a call takes; then it fails as unavailable.
    pub patience: Duration,
    /// Batches that wait for the writer; further callers wait for a place.
    pub queue_max: usize,
    /// Reads at the same time.
    pub readers_max: usize,
    /// After this long without a write, expired documents are removed, a few at a time.
    pub prune_when_idle: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            patience: Duration::from_secs(5),
            queue_max: 1_024,
            readers_max: 4,
            prune_when_idle: Duration::from_secs(30),
        }
    }
}

/// Why the store gave no answer.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("no answer within {0:?}")]
    Slow(Duration),
    #[error("the writer has ended")]
    Ended,
}

pub struct SqliteDocuments {
    clock: Arc<dyn Clock>,
    jobs: Sender<Job>,
    places: Arc<Semaphore>,
    readers: Arc<Readers>,
    patience: Duration,
}

impl SqliteDocuments {
    /// Opens the file, making it and its folder if need be.
    ///
    /// # Errors
    /// See [`OpenError`]; a file written by a newer version is refused.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<SqliteDocuments, OpenError> {
        SqliteDocuments::open_with(path, clock, Options::default())
    }

    /// # Errors
    /// As [`SqliteDocuments::open`].
    pub fn open_with(path: &Path, clock: Arc<dyn Clock>, options: Options) -> Result<SqliteDocuments, OpenError> {
        // The writer gives up on other processes' locks before its callers give up on it.
        let lock_patience = options.patience / 2;
        let connection = schema::open_writer(path, lock_patience)?;
        let jobs = writer::start(connection, Arc::clone(&clock), lock_patience, options.prune_when_idle)
            .map_err(OpenError::Thread)?;
        Ok(SqliteDocuments {
            clock,
            jobs,
            places: Arc::new(Semaphore::new(options.queue_max)),
            readers: Arc::new(Readers::new(path.to_owned(), options.readers_max, options.patience)),
            patience: options.patience,
        })
    }

    /// Asks the writer's own connection how durable it is.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn durability(&self) -> Result<Durability, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.jobs.send(Job::Durability(answer)).map_err(|_| unavailable(Trouble::Ended))?;
        self.in_time(answered).await?.map_err(unavailable)
    }

    async fn in_time<T>(&self, answered: oneshot::Receiver<T>) -> Result<T, StoreError> {
        let slow = |_| unavailable(Trouble::Slow(self.patience));
        tokio::time::timeout(self.patience, answered).await.map_err(slow)?.map_err(|_| unavailable(Trouble::Ended))
    }

    async fn submit(
        &self,
        container: Container,
        partition: &str,
        writes: Vec<limits::CheckedWrite>,
    ) -> Result<Vec<ETag>, StoreError> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(unavailable)?;
        let (answer, answered) = oneshot::channel();
        let request = Request { container, partition: partition.to_owned(), writes, answer, place };
        self.jobs.send(Job::Write(request)).map_err(|_| unavailable(Trouble::Ended))?;
        answered.await.map_err(|_| unavailable(Trouble::Ended))?
    }
}

#[async_trait]
impl Documents for SqliteDocuments {
    async fn read(&self, container: Container, partition: &str, id: &str) -> Result<Option<Document>, StoreError> {
        store_op(StoreOp::Read);
        limits::check_read(partition, id)?;
        let now = unix_ms(self.clock.as_ref());
        let (partition, id) = (partition.to_owned(), id.to_owned());
        self.readers.run(move |it| reader::point(it, container, &partition, &id, now)).await
    }

    async fn write(&self, container: Container, partition: &str, writes: Vec<Write>) -> Result<Vec<ETag>, StoreError> {
        store_op(StoreOp::Write);
        let checked = limits::check_writes(partition, writes)?;
        let slow = |_| unavailable(Trouble::Slow(self.patience));
        tokio::time::timeout(self.patience, self.submit(container, partition, checked)).await.map_err(slow)?
    }

    async fn query(&self, container: Container, scope: Scope<'_>, query: &Query) -> Result<Page, StoreError> {
        let partition = match scope {
            Scope::Partition(partition) => Some(partition.to_owned()),
            Scope::Container => None,
        };
        store_op(StoreOp::Query);
        limits::check_query(container, partition.as_deref(), query)?;
        let now = unix_ms(self.clock.as_ref());
        let query = query.clone();
        self.readers
            .run(move |it| {
                let scope = partition.as_deref().map_or(Scope::Container, Scope::Partition);
                query::page(it, container, scope, &query, now)
            })
            .await
    }
}

#[async_trait]
impl Reach for SqliteDocuments {
    async fn reach(&self) -> Result<(), Unreached> {
        reach::documents(self).await
    }
}

fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Unavailable(Box::new(error))
}

/// Unix milliseconds.
fn unix_ms(clock: &dyn Clock) -> i64 {
    i64::try_from(clock.now().unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}
