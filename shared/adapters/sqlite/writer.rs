//! The one thread that writes, by group commit: it takes the requests that are there, runs each in its own
//! savepoint inside one transaction, commits once, and only then answers. What it never does: answer before
//! the commit is on the disk, let one request's refusal undo another's writes, or wait for a caller.
use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::Duration,
};

use rusqlite::{Connection, params};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{schema, unix_ms};
use crate::shared::ports::{
    clock::Clock,
    documents::{Container, ETag, StoreError, Write},
    limits::CheckedWrite,
};

/// Requests in one commit.
const GROUP_MAX: usize = 128;
/// Bytes of bodies after which no further request joins a commit.
const GROUP_MAX_BYTES: usize = 8 * 1024 * 1024;
/// Bytes of bodies between two checkpoints; the log, read whole when a killed process starts again, stays
/// within a few times this.
const CHECKPOINT_BYTES: usize = 2 * 1024 * 1024;
/// Pages in the log after which a checkpoint also empties it. A log that several busy processes write is never
/// quite copied back when the next commit comes, and then grows without end.
const LOG_MAX_PAGES: i64 = 4 * 1024;
/// How long emptying the log may hold up writers for the sake of a read that does not end.
const EMPTYING_PATIENCE: Duration = Duration::from_millis(50);
/// A commit writes about this much beside the bodies: the pages of tables, indexes and the sequence.
const COMMIT_BYTES: usize = 16 * 1024;
/// Commits between two prunings when the thread is never idle.
const PRUNE_EVERY: usize = 256;
/// Expired documents removed from one container in one go.
const PRUNE_MAX: i64 = 64;

pub(super) type Answer = Result<Vec<ETag>, StoreError>;

/// One batch, its limits checked.
pub(super) struct Request {
    pub(super) container: Container,
    pub(super) partition: String,
    pub(super) writes: Vec<CheckedWrite>,
    pub(super) answer: oneshot::Sender<Answer>,
    /// The place in the queue, given back with the request.
    pub(super) place: OwnedSemaphorePermit,
}

impl Request {
    fn bytes(&self) -> usize {
        self.writes.iter().map(|it| it.text.len()).sum()
    }
}

pub(super) enum Job {
    Write(Request),
    Durability(oneshot::Sender<rusqlite::Result<Durability>>),
}

/// What the writer's own connection says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durability {
    /// `wal`.
    pub journal_mode: String,
    /// 2 is FULL: the log is synchronised at every commit.
    pub synchronous: i64,
}

/// Starts the thread. It ends when the last sender is dropped, after finishing what is queued.
/// `connection` waits `lock_patience` for other processes' locks.
pub(super) fn start(
    connection: Connection,
    clock: Arc<dyn Clock>,
    lock_patience: Duration,
    prune_when_idle: Duration,
) -> std::io::Result<Sender<Job>> {
    let (sender, jobs) = channel();
    let writer = Writer { connection, clock, lock_patience, prune_when_idle, unchecked_bytes: 0, unpruned: 0 };
    thread::Builder::new().name("store-writer".into()).spawn(move || writer.run(&jobs))?;
    Ok(sender)
}

struct Writer {
    connection: Connection,
    clock: Arc<dyn Clock>,
    /// How long a lock of another process is waited for.
    lock_patience: Duration,
    prune_when_idle: Duration,
    /// Written since the last checkpoint.
    unchecked_bytes: usize,
    /// Commits since the last pruning.
    unpruned: usize,
}

impl Writer {
    fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            match jobs.recv_timeout(self.prune_when_idle) {
                Ok(Job::Write(request)) => self.write_group(request, jobs),
                Ok(Job::Durability(answer)) => drop(answer.send(self.durability())),
                Err(RecvTimeoutError::Timeout) => self.tend(true),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn write_group(&mut self, first: Request, jobs: &Receiver<Job>) {
        let mut bytes = first.bytes();
        let mut group = vec![first];
        while group.len() < GROUP_MAX && bytes < GROUP_MAX_BYTES {
            match jobs.try_recv() {
                Ok(Job::Write(request)) => {
                    bytes += request.bytes();
                    group.push(request);
                }
                Ok(Job::Durability(answer)) => drop(answer.send(self.durability())),
                Err(_) => break,
            }
        }
        // A caller that has given up is told nothing, and "may or may not have happened" allows not.
        group.retain(|it| !it.answer.is_closed());
        self.commit(group);
        self.unchecked_bytes += bytes + COMMIT_BYTES;
        self.unpruned += 1;
        self.tend(false);
    }

    fn commit(&mut self, group: Vec<Request>) {
        match self.transact(&group) {
            Ok(answers) => {
                for (request, answer) in group.into_iter().zip(answers) {
                    drop(request.place);
                    drop(request.answer.send(answer));
                }
            }
            Err(error) => {
                self.roll_back();
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    request.count = group.len(),
                    "A commit of the document store failed."
                );
                let error = Arc::new(error);
                for request in group {
                    let unavailable = StoreError::Unavailable(Box::new(Arc::clone(&error)));
                    drop(request.place);
                    drop(request.answer.send(Err(unavailable)));
                }
            }
        }
    }

    /// One transaction. An error means that none of the group is known to be stored.
    fn transact(&mut self, group: &[Request]) -> rusqlite::Result<Vec<Answer>> {
        if group.is_empty() {
            return Ok(Vec::new());
        }
        self.run_statement("BEGIN IMMEDIATE")?;
        // Read under the lock, so that a wait for another process does not let a document outlive its time.
        let now = unix_ms(self.clock.as_ref());
        let last: i64 = self.connection.prepare_cached("SELECT last FROM sequence")?.query_row([], |row| row.get(0))?;
        let mut sequence = last;
        let answers =
            group.iter().map(|it| self.apply(it, now, &mut sequence)).collect::<rusqlite::Result<Vec<_>>>()?;
        if sequence != last {
            self.connection.prepare_cached("UPDATE sequence SET last = ?1")?.execute([sequence])?;
        }
        self.run_statement("COMMIT")?;
        Ok(answers)
    }

    /// One request in its savepoint. An outer error means that the whole transaction is lost.
    fn apply(&self, request: &Request, now: i64, sequence: &mut i64) -> rusqlite::Result<Answer> {
        self.run_statement("SAVEPOINT request")?;
        let answer = request.writes.iter().map(|it| self.apply_write(request, it, now, sequence)).collect();
        let answer = match answer {
            // The disk is full or broken, and SQLite has undone everything.
            Err(Refusal::Sqlite(error)) if self.connection.is_autocommit() => return Err(error),
            Err(refusal) => {
                self.run_statement("ROLLBACK TO request")?;
                Err(refusal.into())
            }
            Ok(etags) => Ok(etags),
        };
        self.run_statement("RELEASE request")?;
        Ok(answer)
    }

    fn apply_write(
        &self,
        request: &Request,
        checked: &CheckedWrite,
        now: i64,
        sequence: &mut i64,
    ) -> Result<ETag, Refusal> {
        *sequence += 1;
        let (table, partition, text) = (request.container.name(), &request.partition, &checked.text);
        let expires = checked.ttl_s.map(|it| now.saturating_add_unsigned(it.saturating_mul(1_000)));
        let statement = |sql: String| self.connection.prepare_cached(&sql);
        let changed = match &checked.write {
            Write::Create { id, .. } => {
                statement(create_sql(table))?.execute(params![partition, id, *sequence, expires, text, now])?
            }
            Write::Replace { id, etag, .. } => statement(replace_sql(table))?.execute(params![
                partition,
                id,
                *sequence,
                expires,
                text,
                now,
                number(etag)
            ])?,
            Write::Delete { id, etag } => {
                statement(delete_sql(table))?.execute(params![partition, id, now, number(etag)])?
            }
        };
        match (&checked.write, changed) {
            (Write::Create { id, .. }, 0) => Err(Refusal::Port(StoreError::Exists { id: id.clone() })),
            (Write::Replace { id, .. } | Write::Delete { id, .. }, 0) => {
                Err(Refusal::Port(StoreError::Changed { id: id.clone() }))
            }
            (Write::Delete { .. }, _) => Ok(ETag(String::new())),
            (Write::Create { .. } | Write::Replace { .. }, _) => Ok(etag(*sequence)),
        }
    }

    fn run_statement(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(|_| ())
    }

    fn roll_back(&self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(error = &error as &dyn std::error::Error, "The document store cannot roll back.");
        }
    }

    fn durability(&self) -> rusqlite::Result<Durability> {
        let journal_mode = self.connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
        let synchronous = self.connection.query_row("PRAGMA synchronous", [], |row| row.get(0))?;
        Ok(Durability { journal_mode, synchronous })
    }

    /// Checkpoints and prunes when it is time. Both can be left undone without harm, so a failure is only told.
    fn tend(&mut self, idle: bool) {
        if self.unchecked_bytes >= CHECKPOINT_BYTES || (idle && self.unchecked_bytes > 0) {
            self.unchecked_bytes = 0;
            tell(self.checkpoint());
        }
        if idle || self.unpruned >= PRUNE_EVERY {
            self.unpruned = 0;
            tell(self.prune());
        }
    }

    /// Copies the log back into the file, which waits for nobody; only a log that is too long is also emptied,
    /// for which reads under way are waited for, a moment.
    fn checkpoint(&mut self) -> rusqlite::Result<()> {
        let pages: i64 = self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(1))?;
        if pages <= LOG_MAX_PAGES {
            return Ok(());
        }
        schema::wait_when_busy(&mut self.connection, EMPTYING_PATIENCE)?;
        let emptied = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        schema::wait_when_busy(&mut self.connection, self.lock_patience)?;
        emptied
    }

    fn prune(&self) -> rusqlite::Result<()> {
        let now = unix_ms(self.clock.as_ref());
        for container in Container::ALL {
            let table = container.name();
            let look = format!("SELECT EXISTS (SELECT 1 FROM {table} WHERE expires <= ?1)");
            // Looking first keeps the write lock free when there is nothing to do.
            if self.connection.prepare_cached(&look)?.query_row([now], |row| row.get(0))? {
                let sql = format!(
                    "DELETE FROM {table} WHERE rowid IN
                     (SELECT rowid FROM {table} WHERE expires <= ?1 ORDER BY expires LIMIT {PRUNE_MAX})"
                );
                self.connection.prepare_cached(&sql)?.execute([now])?;
            }
        }
        Ok(())
    }
}

/// Why one request is rolled back.
enum Refusal {
    Port(StoreError),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Refusal {
        Refusal::Sqlite(error)
    }
}

impl From<Refusal> for StoreError {
    fn from(refusal: Refusal) -> StoreError {
        match refusal {
            Refusal::Port(error) => error,
            Refusal::Sqlite(error) => StoreError::Unavailable(Box::new(error)),
        }
    }
}

fn tell(outcome: rusqlite::Result<()>) {
    if let Err(error) = outcome {
        tracing::warn!(error = &error as &dyn std::error::Error, "The document store could not be tidied; next time.");
    }
}

/// An expired document does not count as being there.
fn create_sql(table: &str) -> String {
    format!(
        "INSERT INTO {table} (partition, id, etag, expires, body) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (partition, id) DO UPDATE SET etag = ?3, expires = ?4, body = ?5 WHERE expires <= ?6"
    )
}

fn replace_sql(table: &str) -> String {
    format!(
        "UPDATE {table} SET etag = ?3, expires = ?4, body = ?5
         WHERE partition = ?1 AND id = ?2 AND etag = ?7 AND (expires IS NULL OR expires > ?6)"
    )
}

fn delete_sql(table: &str) -> String {
    format!(
        "DELETE FROM {table}
         WHERE partition = ?1 AND id = ?2 AND etag = ?4 AND (expires IS NULL OR expires > ?3)"
    )
}

/// Digits of an etag: sixteen hexadecimal, lower case.
const ETAG_DIGITS: usize = 16;

pub(super) fn etag(number: i64) -> ETag {
    ETag(format!("{number:0ETAG_DIGITS$x}"))
}

/// The number of an etag; `None`, which equals nothing in SQL, for what [`etag`] never made.
fn number(etag: &ETag) -> Option<i64> {
    let canonical = etag.0.len() == ETAG_DIGITS && etag.0.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
    canonical.then(|| i64::from_str_radix(&etag.0, 16).ok()).flatten()
}
