//! Reads, in parallel with each other and with the writer, on a small pool of connections that cannot
//! write. Each read sees one committed state of the file, and every write acknowledged before it began,
//! by whichever process.
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use tokio::sync::Semaphore;

use super::{Trouble, schema, unavailable, writer};
use crate::shared::ports::documents::{Container, Document, StoreError};

pub(super) struct Readers {
    path: PathBuf,
    patience: Duration,
    idle: Mutex<Vec<Connection>>,
    turns: Arc<Semaphore>,
}

impl Readers {
    /// Connections open at their first use.
    pub(super) fn new(path: PathBuf, connections_max: usize, patience: Duration) -> Readers {
        Readers { path, patience, idle: Mutex::default(), turns: Arc::new(Semaphore::new(connections_max)) }
    }

    /// Runs `work` on a thread that may block.
    pub(super) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let readers = Arc::clone(self);
        let answer = async move {
            let turn = Arc::clone(&readers.turns).acquire_owned().await.map_err(unavailable)?;
            let blocking = move || {
                let connection = readers.take().map_err(unavailable)?;
                let outcome = work(&connection);
                readers.give_back(connection);
                // Held here and not by the caller, who may leave before the work is done.
                drop(turn);
                outcome
            };
            tokio::task::spawn_blocking(blocking).await.map_err(unavailable)?
        };
        let slow = |_| unavailable(Trouble::Slow(self.patience));
        tokio::time::timeout(self.patience, answer).await.map_err(slow)?
    }

    fn take(&self) -> rusqlite::Result<Connection> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| schema::open_reader(&self.path, self.patience), Ok)
    }

    fn give_back(&self, connection: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}

/// One document by its key. `now` in Unix milliseconds.
pub(super) fn point(
    connection: &Connection,
    container: Container,
    partition: &str,
    id: &str,
    now: i64,
) -> Result<Option<Document>, StoreError> {
    let sql = format!(
        "SELECT partition, id, etag, body FROM {} WHERE partition = ?1 AND id = ?2 AND (expires IS NULL OR expires > ?3)",
        container.name()
    );
    connection
        .prepare_cached(&sql)
        .and_then(|mut it| it.query_row(params![partition, id, now], |row| Ok(document(row))).optional())
        .map_err(unavailable)?
        .transpose()
}

/// The document in a row that begins with partition, id, etag and body.
pub(super) fn document(row: &Row<'_>) -> Result<Document, StoreError> {
    let partition: String = row.get(0).map_err(unavailable)?;
    let id: String = row.get(1).map_err(unavailable)?;
    let etag = writer::etag(row.get(2).map_err(unavailable)?);
    let text = row.get_ref(3).map_err(unavailable)?.as_str().map_err(unavailable)?;
    match serde_json::from_str(text) {
        Ok(body) => Ok(Document { partition, id, etag, body }),
        Err(error) => Err(StoreError::Unreadable { id, reason: error.to_string() }),
    }
}
