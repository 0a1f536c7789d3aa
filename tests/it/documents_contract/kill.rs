//! A writer process is killed again and again: what it acknowledged is there, and no batch is half there.
//! The same check has to fail on two planted writers, or it would prove nothing.
use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::Child,
    sync::mpsc::{Sender, channel},
    thread,
    time::Duration,
};

use offpeak::shared::{
    adapters::sqlite::{Durability, SqliteDocuments},
    ports::documents::{Container, Documents, Query, Scope},
};
use serde_json::json;

use super::{
    HandClock, create,
    writer_process::{BATCH, CALLERS, CONTAINER, INCREMENTS, Kind, command, partition},
};

const KILLS: usize = 50;
/// Every so many kills one falls while the writer is still opening the file.
const EARLY_EVERY: usize = 10;
/// A writer that has acknowledged nothing for this long will not.
const FIRST_ACK_MAX: Duration = Duration::from_secs(30);

#[derive(Debug, PartialEq, Eq)]
enum Fault {
    /// An acknowledged batch is not there.
    Lost { run: usize, batch: u64 },
    /// Some documents of a batch are there.
    Half { run: usize, batch: u64, found: u64 },
}

#[tokio::test]
async fn fifty_kills_lose_nothing() {
    let acknowledged = kill_writers(Kind::Honest).await.unwrap();
    assert!(acknowledged > KILLS, "only {acknowledged} batches were acknowledged: the kills came too early to tell");
}

#[tokio::test]
async fn a_writer_that_acknowledges_early_is_found() {
    let fault = kill_writers(Kind::AcknowledgesEarly).await.unwrap_err();
    assert!(matches!(fault, Fault::Lost { .. }), "{fault:?}");
}

#[tokio::test]
async fn a_writer_that_splits_a_batch_is_found() {
    let fault = kill_writers(Kind::SplitsBatches).await.unwrap_err();
    assert!(matches!(fault, Fault::Half { .. }), "{fault:?}");
}

#[tokio::test]
async fn the_log_is_synchronised_at_every_commit() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("store.db"));
    store.write(CONTAINER, "p", vec![create("a", json!({}))]).await.unwrap();
    let want = Durability { journal_mode: "wal".into(), synchronous: 2 };
    assert_eq!(store.durability().await.unwrap(), want);
}

#[tokio::test]
async fn two_processes_count_to_the_exact_sum() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.db");
    let store = open(&file);
    store.write(Container::Stock, "shared", vec![create("counter", json!({"n": 0}))]).await.unwrap();
    let children: Vec<Child> = (0..2).map(|run| command(Kind::Counter, &file, run).spawn().unwrap()).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    // The reader of a third process sees what the other two were told is done.
    let counter = store.read(Container::Stock, "shared", "counter").await.unwrap().unwrap();
    assert_eq!(counter.body, json!({"n": 2 * INCREMENTS}));
}

/// Kills `KILLS` writers of one file and answers the number of acknowledged batches, or the first fault.
async fn kill_writers(kind: Kind) -> Result<usize, Fault> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.db");
    let mut moments = Moments(0x9e37_79b9_7f4a_7c15);
    let mut acknowledged: Vec<(usize, u64)> = Vec::new();
    for run in 0..KILLS {
        let batches = kill_one(kind, &file, run, &mut moments);
        // Opened anew each time, so that it is this process that recovers the log.
        let store = open(&file);
        let under_way = batches.iter().max().map_or(0, |it| it + 1) + CALLERS;
        for batch in 0..under_way {
            check(&store, run, batch, batches.contains(&batch)).await?;
        }
        acknowledged.extend(batches.into_iter().map(|batch| (run, batch)));
    }
    let store = open(&file);
    for &(run, batch) in &acknowledged {
        check(&store, run, batch, true).await?;
    }
    Ok(acknowledged.len())
}

/// Starts a writer, kills it at some moment and answers the batches that it acknowledged.
fn kill_one(kind: Kind, file: &Path, run: usize, moments: &mut Moments) -> Vec<u64> {
    let mut child = command(kind, file, run).spawn().unwrap();
    let output = child.stdout.take().unwrap();
    let (first, seen) = channel();
    let reading = thread::spawn(move || read_acknowledgements(output, &first));
    if run % EARLY_EVERY != EARLY_EVERY - 1 {
        // Two, so that there are more of them than kills, however slow the disk is.
        for _ in 0..2 {
            seen.recv_timeout(FIRST_ACK_MAX).expect("the writer acknowledges nothing");
        }
    }
    thread::sleep(moments.next());
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert!(!status.success(), "the writer ended by itself");
    reading.join().unwrap()
}

fn read_acknowledgements(output: impl Read, first: &Sender<()>) -> Vec<u64> {
    let mut batches = Vec::new();
    for line in BufReader::new(output).split(b'\n') {
        let line = String::from_utf8(line.unwrap()).unwrap();
        if let Some(batch) = line.strip_prefix("ack ") {
            batches.push(batch.parse().unwrap());
            // After the second, nobody listens any more.
            first.send(()).ok();
        }
    }
    batches
}

async fn check(store: &SqliteDocuments, run: usize, batch: u64, acknowledged: bool) -> Result<(), Fault> {
    let all = Query { limit: 100, ..Query::default() };
    let page = store.query(CONTAINER, Scope::Partition(&partition(run, batch)), &all).await.unwrap();
    match page.items.len() as u64 {
        BATCH => Ok(()),
        0 if acknowledged => Err(Fault::Lost { run, batch }),
        0 => Ok(()),
        found => Err(Fault::Half { run, batch, found }),
    }
}

fn open(file: &Path) -> SqliteDocuments {
    SqliteDocuments::open(file, HandClock::new()).unwrap()
}

/// Moments to kill at, up to 20 ms: an xorshift, the same in every run.
struct Moments(u64);

impl Moments {
    fn next(&mut self) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Duration::from_micros(self.0 % 20_000)
    }
}
