//! Reads, in parallel with each other and with the writer, on a few threads of their own, each with a
//! connection that cannot write. Each read sees one committed state of the file, and every write
//! acknowledged before it began, by whichever process.
//!
//! Own threads and not the runtime's blocking ones: the way there and back took 10 µs instead of 35.
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use tokio::sync::{Semaphore, oneshot};

use super::{Trouble, schema, unavailable, writer};
use crate::shared::ports::documents::{Container, Document, StoreError};

/// Works with a connection, or is told why there is none.
type Work = Box<dyn FnOnce(rusqlite::Result<&Connection>) + Send>;

/// A thread that waits for work. It ends when this is dropped.
struct Reader(Sender<Work>);

pub(super) struct Readers {
    path: PathBuf,
    patience: Duration,
    idle: Mutex<Vec<Reader>>,
    turns: Arc<Semaphore>,
}

impl Readers {
    /// Threads start at their first use.
    pub(super) fn new(path: PathBuf, readers_max: usize, patience: Duration) -> Readers {
        Readers { path, patience, idle: Mutex::default(), turns: Arc::new(Semaphore::new(readers_max)) }
    }

    /// Runs `work` on a thread that may block.
    pub(super) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let slow = |_| unavailable(Trouble::Slow(self.patience));
        tokio::time::timeout(self.patience, self.submit(work)).await.map_err(slow)?
    }

    async fn submit<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(unavailable)?;
        let reader = self.take().map_err(unavailable)?;
        let sender = reader.0.clone();
        let (answer, answered) = oneshot::channel();
        let readers = Arc::clone(self);
        // The reader and the turn travel with the work: a caller who leaves early frees neither too soon.
        let all: Work = Box::new(move |connection| {
            let outcome = connection.map_err(unavailable).and_then(work);
            readers.idle.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
            drop(turn);
            drop(answer.send(outcome));
        });
        sender.send(all).map_err(|_| unavailable(Trouble::Ended))?;
        drop(sender);
        answered.await.map_err(|_| unavailable(Trouble::Ended))?
    }

    /// The reader that worked last, since its caches are warm, or a new one.
    fn take(&self) -> std::io::Result<Reader> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| start(self.path.clone(), self.patience), Ok)
    }
}

fn start(path: PathBuf, patience: Duration) -> std::io::Result<Reader> {
    let (sender, work) = channel();
    thread::Builder::new().name("store-reader".into()).spawn(move || serve(&path, patience, &work))?;
    Ok(Reader(sender))
}

fn serve(path: &Path, patience: Duration, work: &Receiver<Work>) {
    let mut connection = None;
    while let Ok(work) = work.recv() {
        match connection.take().map_or_else(|| schema::open_reader(path, patience), Ok) {
            Ok(open) => work(Ok(connection.insert(open))),
            // Tried again with the next work.
            Err(error) => work(Err(error)),
        }
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
