//! One SQLite file with one writer thread that commits for many callers at once.
//!
//! What must stay true: nobody is answered before the commit that holds his change has been synced (WAL, synchronous=FULL), a
//! change that fails is undone alone (its own SAVEPOINT), and a failed commit fails everyone in it. Sending 200 messages at once
//! therefore costs a handful of syncs, not 200.
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tokio::sync::oneshot;

/// Most changes in one commit; bounds how long the first of them waits for the others.
const GROUP_MAX: usize = 256;
/// Most changes waiting for the writer. Beyond it the caller is refused instead of piling up memory.
const BACKLOG_MAX: usize = 8_192;
/// How long a change may wait for its commit. Shorter than every caller's own limit.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long another process may hold the file before an operation gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the file did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error("the database could not be opened")]
    Open(#[source] rusqlite::Error),
    #[error("a database statement failed")]
    Statement(#[from] rusqlite::Error),
    /// The change was rolled back together with all others of its commit.
    #[error("the commit failed: {0}")]
    Commit(String),
    /// Nothing was changed: too many changes are waiting already.
    #[error("the database has too many changes waiting")]
    Busy,
    /// The change may or may not be made later.
    #[error("the database did not answer in time")]
    Timeout,
    #[error("the database is closed")]
    Closed,
}

/// Told how the commit went, answers the caller.
type Answer = Box<dyn FnOnce(Result<(), String>) + Send>;
/// Makes its change inside its SAVEPOINT and says whether to keep it.
type Work = Box<dyn FnOnce(&Connection) -> (bool, Answer) + Send>;

/// A handle that is cheap to clone; the writer thread ends with the last one.
#[derive(Clone)]
pub struct Database {
    writer: SyncSender<Work>,
    reader: Arc<Mutex<Connection>>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Database")
    }
}

impl Database {
    /// Opens or creates the file, runs `schema` (statements that may run again and again) and starts the writer.
    ///
    /// # Errors
    /// [`DatabaseError::Open`] if the file cannot be opened or `schema` fails.
    pub fn open(path: &Path, schema: &str) -> Result<Self, DatabaseError> {
        let connection = Connection::open(path).map_err(DatabaseError::Open)?;
        prepare(&connection).map_err(DatabaseError::Open)?;
        connection.execute_batch(schema).map_err(DatabaseError::Open)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let reader = Connection::open_with_flags(path, flags).map_err(DatabaseError::Open)?;
        reader.busy_timeout(BUSY_TIMEOUT).map_err(DatabaseError::Open)?;
        let (writer, work) = sync_channel(BACKLOG_MAX);
        std::thread::Builder::new()
            .name("database".to_owned())
            .spawn(move || commit_groups(&connection, &work))
            .map_err(|error| DatabaseError::Commit(error.to_string()))?;
        Ok(Self { writer, reader: Arc::new(Mutex::new(reader)) })
    }

    /// Runs `work` in the writer and answers once its change is durable. An error from `work` undoes what it did.
    ///
    /// # Errors
    /// What `work` answers, or a [`DatabaseError`] converted into it.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let job: Work = Box::new(move |connection| {
            let outcome = work(connection);
            let keep = outcome.is_ok();
            let answer: Answer = Box::new(move |committed| {
                // The caller may have given up; then nobody is left to be told.
                drop(sender.send(match committed {
                    Ok(()) => outcome,
                    Err(why) => Err(E::from(DatabaseError::Commit(why))),
                }));
            });
            (keep, answer)
        });
        self.writer.try_send(job).map_err(|error| match error {
            std::sync::mpsc::TrySendError::Full(_) => DatabaseError::Busy,
            std::sync::mpsc::TrySendError::Disconnected(_) => DatabaseError::Closed,
        })?;
        match tokio::time::timeout(WRITE_TIMEOUT, receiver).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(E::from(DatabaseError::Closed)),
            Err(_) => Err(E::from(DatabaseError::Timeout)),
        }
    }

    /// Runs `work` on the reading connection, which sees every acknowledged change.
    ///
    /// # Errors
    /// What `work` answers, or a [`DatabaseError`] converted into it.
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
    {
        let reader = Arc::clone(&self.reader);
        let reading = tokio::task::spawn_blocking(move || {
            let connection = reader.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            work(&connection)
        });
        match tokio::time::timeout(WRITE_TIMEOUT, reading).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(E::from(DatabaseError::Closed)),
            Err(_) => Err(E::from(DatabaseError::Timeout)),
        }
    }
}

fn prepare(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

fn commit_groups(connection: &Connection, work: &Receiver<Work>) {
    while let Ok(first) = work.recv() {
        let mut answers = Vec::new();
        let committed = commit_group(connection, first, work, &mut answers).map_err(|error| error.to_string());
        if committed.is_err() && !connection.is_autocommit() {
            // A commit that failed leaves its transaction open; without this the next group could not begin.
            if let Err(error) = connection.execute_batch("ROLLBACK") {
                tracing::error!(%error, "A failed commit could not be rolled back.");
            }
        }
        for answer in answers {
            answer(committed.clone());
        }
    }
}

fn commit_group(
    connection: &Connection,
    first: Work,
    work: &Receiver<Work>,
    answers: &mut Vec<Answer>,
) -> Result<(), rusqlite::Error> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let mut next = Some(first);
    while let Some(job) = next {
        connection.execute_batch("SAVEPOINT change")?;
        let (keep, answer) = job(connection);
        answers.push(answer);
        connection.execute_batch(if keep { "RELEASE change" } else { "ROLLBACK TO change; RELEASE change" })?;
        next = if answers.len() < GROUP_MAX { work.try_recv().ok() } else { None };
    }
    connection.execute_batch("COMMIT")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS numbers(n INTEGER PRIMARY KEY)";

    async fn put(database: &Database, n: i64) -> Result<(), DatabaseError> {
        database
            .write(move |connection| {
                connection.execute("INSERT INTO numbers(n) VALUES (?1)", [n])?;
                Ok(())
            })
            .await
    }

    async fn count(database: &Database) -> i64 {
        database
            .read::<_, DatabaseError, _>(|c| Ok(c.query_row("SELECT count(*) FROM numbers", [], |row| row.get(0))?))
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn a_failing_change_is_undone_alone() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("a.db"), SCHEMA).unwrap();
        let (first, twin, other) = tokio::join!(put(&database, 1), put(&database, 1), put(&database, 2));
        assert!(first.is_ok() && other.is_ok());
        assert!(matches!(twin, Err(DatabaseError::Statement(_))));
        assert_eq!(count(&database).await, 2);
    }

    #[tokio::test]
    async fn changes_that_wait_together_share_one_commit() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("a.db"), SCHEMA).unwrap();
        let (go, gate) = std::sync::mpsc::channel::<()>();
        let mut changes = tokio::task::JoinSet::new();
        let first = database.clone();
        let held_up = move |_: &Connection| {
            gate.recv().unwrap();
            Ok::<_, DatabaseError>(())
        };
        changes.spawn(async move { first.write(held_up).await });
        for n in 0..i64::try_from(GROUP_MAX).unwrap() - 1 {
            let database = database.clone();
            changes.spawn(async move { put(&database, n).await });
        }
        let seen = database.clone();
        // Let every change reach the writer, which the first one holds up.
        for _ in 0..GROUP_MAX {
            tokio::task::yield_now().await;
        }
        assert_eq!(count(&seen).await, 0, "nothing is there before the commit");
        go.send(()).unwrap();
        // The first answer comes after the commit, and by then the whole group is there.
        changes.join_next().await.unwrap().unwrap().unwrap();
        assert_eq!(count(&seen).await, i64::try_from(GROUP_MAX).unwrap() - 1);
        changes.join_all().await.into_iter().for_each(|one| one.unwrap());
    }

    #[tokio::test]
    async fn the_writer_syncs_every_commit() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("a.db"), SCHEMA).unwrap();
        let modes = database
            .write::<_, DatabaseError, _>(|connection| {
                let journal: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
                let synchronous: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
                Ok((journal, synchronous))
            })
            .await
            .unwrap();
        assert_eq!(modes, ("wal".to_owned(), 2));
    }
}
