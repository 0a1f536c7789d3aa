//! The file: how a connection is opened and what stands in it.
//!
//! One table per container, keyed by (partition, id). Each indexed path of a container is a virtual
//! generated column over the body with two partial indexes, one per scope of a query. Tables, columns and
//! indexes that a newer program added are left alone; what this program needs and does not find is made at
//! opening. `user_version` changes only when older programs could no longer read the file.
use std::{
    collections::HashSet,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::shared::ports::documents::Container;

/// The file's shape.
const VERSION: i64 = 1;
/// Statements kept ready on one connection.
const STATEMENTS_MAX: usize = 64;
/// Wait between two looks at a lock that another process holds. Shorter than a commit, since a busy writer
/// leaves the lock free only for a moment.
const BUSY_STEP: Duration = Duration::from_micros(150);
/// How long opening may wait for other processes that open the same file.
const OPEN_PATIENCE: Duration = Duration::from_secs(5);

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the store was written by a newer version of this program (file format {found}, known up to {VERSION})")]
    Newer { found: i64 },
    #[error("the store's folder cannot be made")]
    Folder(#[source] std::io::Error),
    #[error("the store's file cannot be opened")]
    File(#[source] rusqlite::Error),
    #[error("the store's file cannot be kept in WAL mode: it answers `{0}`")]
    NoWal(String),
    #[error("the store's writer cannot be started")]
    Thread(#[source] std::io::Error),
}

/// The column of an indexed path.
pub(super) fn column(path: &str) -> String {
    format!("k_{}", path.replace('.', "_"))
}

/// Opens the writer's connection and brings the file up to date.
pub(super) fn open_writer(path: &Path, patience: Duration) -> Result<Connection, OpenError> {
    if let Some(folder) = path.parent().filter(|it| !it.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(OpenError::Folder)?;
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(OpenError::File)?;
    wait_when_busy(&mut connection, patience.max(OPEN_PATIENCE)).map_err(OpenError::File)?;
    refuse_newer(&connection)?;
    enter_wal(&connection)?;
    // Checkpoints are the writer's own, after it has answered; see `writer.rs`.
    connection
        .execute_batch(
            "PRAGMA synchronous=FULL; PRAGMA fullfsync=ON; PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=-2048",
        )
        .map_err(OpenError::File)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    bring_up_to_date(&mut connection)?;
    wait_when_busy(&mut connection, patience).map_err(OpenError::File)?;
    Ok(connection)
}

/// A connection that cannot write. The writer's has been opened before, so the file is there.
pub(super) fn open_reader(path: &Path, patience: Duration) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    wait_when_busy(&mut connection, patience)?;
    connection.execute_batch("PRAGMA cache_size=-1024")?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(connection)
}

/// Locks held by other processes are waited for, `patience` at most, then the call fails as busy.
pub(super) fn wait_when_busy(connection: &mut Connection, patience: Duration) -> rusqlite::Result<()> {
    let mut since = Instant::now();
    connection.busy_handler(Some(move |before: i32| {
        if before == 0 {
            since = Instant::now();
        }
        let wait = since.elapsed() < patience;
        if wait {
            thread::sleep(BUSY_STEP);
        }
        wait
    }))
}

fn refuse_newer(connection: &Connection) -> Result<(), OpenError> {
    let found = version(connection).map_err(OpenError::File)?;
    if found > VERSION { Err(OpenError::Newer { found }) } else { Ok(()) }
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// The change to WAL needs the file alone and does not always ask the busy handler, so it is repeated here.
fn enter_wal(connection: &Connection) -> Result<(), OpenError> {
    let since = Instant::now();
    loop {
        match connection.query_row("PRAGMA journal_mode=WAL", [], |row| row.get::<_, String>(0)) {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(mode) => return Err(OpenError::NoWal(mode)),
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && since.elapsed() < OPEN_PATIENCE =>
            {
                thread::sleep(BUSY_STEP);
            }
            Err(error) => return Err(OpenError::File(error)),
        }
    }
}

fn bring_up_to_date(connection: &mut Connection) -> Result<(), OpenError> {
    if missing(connection).map_err(OpenError::File)?.is_empty() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(OpenError::File)?;
    // Another process may have been quicker, and may have been newer.
    refuse_newer(&transaction)?;
    let make = |statements: Vec<String>| transaction.execute_batch(&statements.join(";"));
    missing(&transaction)
        .and_then(make)
        .and_then(|()| transaction.pragma_update(None, "user_version", VERSION))
        .and_then(|()| transaction.commit())
        .map_err(OpenError::File)
}

/// The statements that make what the file lacks, in order.
fn missing(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut have: HashSet<String> = connection
        .prepare("SELECT name FROM sqlite_schema")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut statements = Vec::new();
    let mut need = |name: String, statement: String| {
        if have.insert(name) {
            statements.push(statement);
        }
    };
    need("sequence".into(), SEQUENCE.into());
    for container in Container::ALL {
        let table = container.name();
        need(table.into(), format!("{} ({TABLE})", create_table(table)));
        let lapse = format!("{table}_expires");
        let on = format!("CREATE INDEX {lapse} ON {table} (expires) WHERE expires IS NOT NULL");
        need(lapse, on);
        for path in container.indexed() {
            let column = column(path);
            let by = format!("{table}_{column}");
            let add = format!("ALTER TABLE {table} ADD COLUMN {column} AS ({})", expression(path));
            let everywhere =
                format!("CREATE INDEX {by} ON {table} ({column}, partition, id) WHERE {column} IS NOT NULL");
            // The column and its first index are made together, so the one tells of the other.
            need(by.clone(), format!("{add};{everywhere}"));
            let within = format!("CREATE INDEX {by}_p ON {table} (partition, {column}, id) WHERE {column} IS NOT NULL");
            need(format!("{by}_p"), within);
        }
    }
    Ok(statements)
}

/// The last etag given out. It starts at a random number, so that etags of one file mean nothing in another.
const SEQUENCE: &str = "CREATE TABLE sequence (one INTEGER PRIMARY KEY CHECK (one = 1), last INTEGER NOT NULL);
    INSERT INTO sequence VALUES (1, (random() & 0xffffffffff) << 20)";

/// `etag` and `expires` (Unix milliseconds) stand before the body, so that reading them needs no overflow page.
const TABLE: &str = "partition TEXT NOT NULL, id TEXT NOT NULL, etag INTEGER NOT NULL, expires INTEGER,
    body TEXT NOT NULL, PRIMARY KEY (partition, id)";

fn create_table(name: &str) -> String {
    format!("CREATE TABLE {name}")
}

/// A scalar as SQLite compares it: numbers, then text, then booleans as blobs, so that no two types are ever
/// equal; null, objects and arrays are absent.
fn expression(path: &str) -> String {
    let members: Vec<String> = path.split('.').map(|it| format!("\"{it}\"")).collect();
    let at = format!("'$.{}'", members.join("."));
    format!(
        "CASE json_type(body, {at}) WHEN 'text' THEN json_extract(body, {at}) WHEN 'integer' THEN json_extract(body, {at}) \
         WHEN 'real' THEN json_extract(body, {at}) WHEN 'true' THEN x'01' WHEN 'false' THEN x'00' END"
    )
}
