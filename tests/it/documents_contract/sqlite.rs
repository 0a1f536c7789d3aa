//! What only the SQLite adapter promises: the file survives, is shared, is tidied and never makes a caller
//! wait for ever.
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use offpeak::shared::{
    adapters::sqlite::{OpenError, Options, SqliteDocuments},
    ports::documents::{Container, Documents, Query, Scope},
};
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;

use super::{HandClock, create, create_for, delete, named, replace};

const CARTS: Container = Container::Carts;

fn place() -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("data").join("store.db");
    (folder, file)
}

fn open(file: &Path) -> SqliteDocuments {
    SqliteDocuments::open(file, HandClock::new()).unwrap()
}

#[tokio::test]
async fn a_file_opened_again_holds_everything_and_repeats_no_etag() {
    let (_folder, file) = place();
    let first = open(&file);
    let before = first.write(CARTS, "p", vec![create("a", json!({"n": 1}))]).await.unwrap();
    first.write(CARTS, "p", vec![delete("a", &before[0])]).await.unwrap();
    drop(first);
    let second = open(&file);
    let after = second.write(CARTS, "p", vec![create("a", json!({"n": 1}))]).await.unwrap();
    assert_ne!(before, after);
    let stale = second.write(CARTS, "p", vec![replace("a", json!({}), &before[0])]).await.unwrap_err();
    assert_eq!(named(&stale), "changed a");
}

#[tokio::test]
async fn stores_of_one_file_see_each_other_at_once() {
    let (_folder, file) = place();
    let (one, two) = (open(&file), open(&file));
    let mut etag = one.write(CARTS, "p", vec![create("a", json!({"n": 0}))]).await.unwrap();
    for n in 1..=20 {
        let (writer, reader) = if n % 2 == 0 { (&one, &two) } else { (&two, &one) };
        etag = writer.write(CARTS, "p", vec![replace("a", json!({"n": n}), &etag[0])]).await.unwrap();
        let seen = reader.read(CARTS, "p", "a").await.unwrap().unwrap();
        assert_eq!((seen.body, &seen.etag), (json!({"n": n}), &etag[0]));
    }
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused() {
    let (_folder, file) = place();
    drop(open(&file));
    Connection::open(&file).unwrap().pragma_update(None, "user_version", 7).unwrap();
    let error = SqliteDocuments::open(&file, HandClock::new()).err().unwrap();
    assert!(matches!(error, OpenError::Newer { found: 7 }), "{error}");
    assert!(error.to_string().contains("newer version of this program (file format 7, known up to 1)"), "{error}");
}

#[test]
fn what_is_not_a_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.db");
    std::fs::write(&file, "not a database, but long enough to be asked ".repeat(100)).unwrap();
    assert!(matches!(SqliteDocuments::open(&file, HandClock::new()).err().unwrap(), OpenError::File(_)));
    assert!(matches!(SqliteDocuments::open(folder.path(), HandClock::new()).err().unwrap(), OpenError::File(_)));
    let below = file.join("store.db");
    assert!(matches!(SqliteDocuments::open(&below, HandClock::new()).err().unwrap(), OpenError::Folder(_)));
}

#[tokio::test]
async fn a_file_without_an_index_of_this_version_gets_it() {
    let (_folder, file) = place();
    let store = open(&file);
    store.write(Container::Listings, "p", vec![create("a", json!({"title": "t"}))]).await.unwrap();
    drop(store);
    let plain = Connection::open(&file).unwrap();
    plain
        .execute_batch(
            "DROP INDEX listings_k_title; DROP INDEX listings_k_title_p;
             ALTER TABLE listings DROP COLUMN k_title; DROP TABLE idem",
        )
        .unwrap();
    let store = open(&file);
    let by_title = Query {
        order: Some(("title", offpeak::shared::ports::documents::Direction::Ascending)),
        limit: 1,
        ..Query::default()
    };
    let page = store.query(Container::Listings, Scope::Container, &by_title).await.unwrap();
    assert_eq!(page.items.len(), 1, "documents from before are found by it");
    store.write(Container::Idem, "p", vec![create("a", json!({}))]).await.unwrap();
}

#[tokio::test]
async fn many_may_open_a_new_file_at_once() {
    let (_folder, file) = place();
    let openers: Vec<_> = (0..8)
        .map(|n| {
            let file = file.clone();
            std::thread::spawn(move || (n, SqliteDocuments::open(&file, HandClock::new()).unwrap()))
        })
        .collect();
    for opener in openers {
        let (n, store) = opener.join().unwrap();
        store.write(CARTS, "p", vec![create(&format!("{n}"), json!({}))]).await.unwrap();
    }
}

#[tokio::test]
async fn a_lock_that_never_ends_makes_calls_fail_in_time() {
    let (_folder, file) = place();
    let options = Options { patience: Duration::from_secs(3), queue_max: 2, ..Options::default() };
    let store = SqliteDocuments::open_with(&file, HandClock::new(), options).unwrap();
    store.write(CARTS, "p", vec![create("a", json!({}))]).await.unwrap();
    let other = Connection::open(&file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let store = Arc::new(store);
    let mut callers = tokio::task::JoinSet::new();
    for n in 0..8 {
        let store = Arc::clone(&store);
        callers.spawn(async move {
            let since = Instant::now();
            let outcome = store.write(CARTS, "p", vec![create(&format!("x{n}"), json!({}))]).await;
            (named(&outcome.unwrap_err()), since.elapsed())
        });
    }
    for (error, elapsed) in callers.join_all().await {
        assert_eq!(error, "unavailable");
        assert!(elapsed < Duration::from_secs(20), "{elapsed:?}");
    }
    assert!(store.read(CARTS, "p", "a").await.unwrap().is_some(), "reads go on");
    other.execute_batch("ROLLBACK").unwrap();
    store.write(CARTS, "p", vec![create("later", json!({}))]).await.unwrap();
}

#[tokio::test]
async fn a_body_that_is_not_json_is_an_error_with_its_id() {
    let (_folder, file) = place();
    let store = open(&file);
    store.write(CARTS, "p", vec![create("a", json!({})), create("b", json!({}))]).await.unwrap();
    Connection::open(&file).unwrap().execute("UPDATE carts SET body = '{\"cut' WHERE id = 'a'", []).unwrap();
    assert_eq!(named(&store.read(CARTS, "p", "a").await.unwrap_err()), "unreadable a");
    let all = Query { limit: 10, ..Query::default() };
    assert_eq!(named(&store.query(CARTS, Scope::Partition("p"), &all).await.unwrap_err()), "unreadable a");
    assert!(store.read(CARTS, "p", "b").await.unwrap().is_some());
}

#[tokio::test]
async fn expired_documents_leave_the_file() {
    let (_folder, file) = place();
    let clock = HandClock::new();
    let options = Options { prune_when_idle: Duration::from_millis(20), ..Options::default() };
    let store = SqliteDocuments::open_with(&file, Arc::clone(&clock) as Arc<_>, options).unwrap();
    for n in 0..3 {
        let batch = (0..60).map(|it| create_for(&format!("{it}"), json!({}), 60)).chain([create("kept", json!({}))]);
        store.write(CARTS, &format!("p{n}"), batch.collect()).await.unwrap();
    }
    clock.advance(60);
    let plain = Connection::open(&file).unwrap();
    let rows = || plain.query_row("SELECT count(*) FROM carts", [], |row| row.get::<_, i64>(0)).unwrap();
    let since = Instant::now();
    while rows() > 3 && since.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(rows(), 3);
}

#[tokio::test]
async fn a_log_that_has_grown_long_is_emptied() {
    const MEGABYTE: u64 = 1024 * 1024;
    let (_folder, file) = place();
    let (store, log) = (open(&file), file.with_extension("db-wal"));
    let fill = async |from: u32, to: u32| {
        for n in from..to {
            let body = json!({"filler": "x".repeat(500_000)});
            store.write(CARTS, "p", vec![create(&n.to_string(), body)]).await.unwrap();
        }
        std::fs::metadata(&log).unwrap().len() / MEGABYTE
    };
    // A read that stays open keeps the log from being used again, as the writes of other processes can.
    let reader = Connection::open(&file).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM carts").unwrap();
    let grown = fill(0, 40).await;
    assert!(grown >= 16, "{grown} MB");
    reader.execute_batch("COMMIT").unwrap();
    let after = fill(40, 50).await;
    assert!(after <= 8, "{after} MB");
}
