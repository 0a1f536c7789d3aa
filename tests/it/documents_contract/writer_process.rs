//! The process that `kill.rs` kills: this very test binary, started again with one test named and a
//! variable set. In an ordinary run the variable is absent and the test is over at once.
//!
//! Two of its kinds are planted faults that the kill test has to find. They write the store's own tables with
//! plain SQL, so that the adapter has no switch that could ever make it do the same.
use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use offpeak::shared::{
    adapters::sqlite::SqliteDocuments,
    ports::documents::{Container, Documents},
};
use rusqlite::{Connection, params};
use serde_json::json;
use tokio::task::JoinSet;

use super::{HandClock, concurrency::increment, create};

/// Documents in one batch.
pub(super) const BATCH: u64 = 5;
/// Batches under way at once.
pub(super) const CALLERS: u64 = 4;
pub(super) const CONTAINER: Container = Container::Carts;
/// A writer that nobody kills ends by itself.
const LIFE_MAX: Duration = Duration::from_secs(30);
/// How long a planted writer stays in the state that it should not be in.
const PAUSE: Duration = Duration::from_millis(3);

const KIND: &str = "OFFPEAK_TEST_WRITER_KIND";
const FILE: &str = "OFFPEAK_TEST_WRITER_FILE";
const RUN: &str = "OFFPEAK_TEST_WRITER_RUN";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The adapter, four callers.
    Honest,
    /// The adapter, adding to one counter `INCREMENTS` times.
    Counter,
    /// Planted: acknowledges before COMMIT.
    AcknowledgesEarly,
    /// Planted: splits a batch over two commits.
    SplitsBatches,
}

/// What one counting process adds.
pub(super) const INCREMENTS: u64 = 100;

const KINDS: [Kind; 4] = [Kind::Honest, Kind::Counter, Kind::AcknowledgesEarly, Kind::SplitsBatches];

/// The command that runs a writer on `file`; it prints a line `ack N` for every batch acknowledged.
pub(super) fn command(kind: Kind, file: &Path, run: usize) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "documents_contract::writer_process::writer_process", "--nocapture"])
        .env(KIND, format!("{kind:?}"))
        .env(FILE, file)
        .env(RUN, run.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command
}

pub(super) fn partition(run: usize, batch: u64) -> String {
    format!("run {run} batch {batch}")
}

#[test]
fn writer_process() {
    let Some((kind, file, run)) = asked() else { return };
    match kind {
        Kind::Honest => block_on(write_batches(file, run)),
        Kind::Counter => block_on(count(file)),
        Kind::AcknowledgesEarly => plant(&file, run, |connection, batch| {
            begin(connection);
            insert(connection, run, batch, 0..BATCH);
            acknowledge(batch);
            thread::sleep(PAUSE);
            connection.execute_batch("COMMIT").unwrap();
        }),
        Kind::SplitsBatches => plant(&file, run, |connection, batch| {
            for documents in [0..BATCH / 2, BATCH / 2..BATCH] {
                begin(connection);
                insert(connection, run, batch, documents);
                connection.execute_batch("COMMIT").unwrap();
                thread::sleep(PAUSE);
            }
            acknowledge(batch);
        }),
    }
}

#[expect(clippy::disallowed_methods, reason = "how the test speaks to its own second process")]
fn asked() -> Option<(Kind, PathBuf, usize)> {
    let kind = std::env::var(KIND).ok()?;
    let kind = KINDS.into_iter().find(|it| format!("{it:?}") == kind).unwrap();
    Some((kind, std::env::var(FILE).unwrap().into(), std::env::var(RUN).unwrap().parse().unwrap()))
}

fn block_on(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(work);
}

/// The line is whole or absent: it is written at once. Without a reader the writer ends.
fn acknowledge(batch: u64) {
    let mut out = std::io::stdout().lock();
    if out.write_all(format!("\nack {batch}\n").as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

async fn write_batches(file: PathBuf, run: usize) {
    let store = Arc::new(SqliteDocuments::open(&file, HandClock::new()).unwrap());
    let (next, since) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (store, next) = (Arc::clone(&store), Arc::clone(&next));
        callers.spawn(async move {
            while since.elapsed() < LIFE_MAX {
                let batch = next.fetch_add(1, Ordering::SeqCst);
                let writes = (0..BATCH).map(|n| create(&n.to_string(), body(n))).collect();
                store.write(CONTAINER, &partition(run, batch), writes).await.unwrap();
                acknowledge(batch);
            }
        });
    }
    callers.join_all().await;
}

/// Large enough that a batch spans several pages of the file.
fn body(n: u64) -> serde_json::Value {
    json!({"n": n, "filler": "x".repeat(2_000)})
}

async fn count(file: PathBuf) {
    let store = SqliteDocuments::open(&file, HandClock::new()).unwrap();
    for _ in 0..INCREMENTS {
        increment(&store as &dyn Documents, "shared").await;
    }
}

fn plant(file: &Path, run: usize, write: impl Fn(&Connection, u64)) {
    drop(SqliteDocuments::open(file, HandClock::new()).unwrap());
    let connection = Connection::open(file).unwrap();
    connection.busy_timeout(Duration::from_secs(5)).unwrap();
    connection.execute_batch("PRAGMA synchronous=FULL").unwrap();
    let since = Instant::now();
    for batch in (0..).take_while(|_| since.elapsed() < LIFE_MAX) {
        write(&connection, batch);
    }
    unreachable!("run {run} outlived its killer");
}

fn begin(connection: &Connection) {
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
}

fn insert(connection: &Connection, run: usize, batch: u64, documents: std::ops::Range<u64>) {
    let next = "UPDATE sequence SET last = last + 1 RETURNING last";
    let row = "INSERT INTO carts (partition, id, etag, body) VALUES (?1, ?2, ?3, ?4)";
    for n in documents {
        let etag: i64 = connection.query_row(next, [], |row| row.get(0)).unwrap();
        let values = params![partition(run, batch), n.to_string(), etag, body(n).to_string()];
        connection.execute(row, values).unwrap();
    }
}
