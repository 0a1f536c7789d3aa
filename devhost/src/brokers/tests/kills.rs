//! A process that sends, receives and completes is killed again and again; nothing it acknowledged may be lost or doubled.
//!
//! The child is this test binary itself, told by the environment where its file is. It says on its standard output what it was
//! told: `sent ID` after a send was acknowledged, `took ID` when it was given a message, `done ID` after a completion was.
use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::brokers::hubs::{NewEvent, fetch};

const KILLS: usize = 20;
const FOLDER: &str = "OFFPEAK_TEST_KILLS_FOLDER";
const ROUND: &str = "OFFPEAK_TEST_KILLS_ROUND";

/// Does nothing unless the test below starts it.
#[tokio::test]
async fn child() {
    let (Some(folder), Some(round)) = (std::env::var_os(FOLDER), std::env::var_os(ROUND)) else { return };
    let brokers = open(std::path::Path::new(&folder), Arc::new(ManualClock::at(START))).await;
    let round = round.to_string_lossy().into_owned();
    let counter = Arc::new(AtomicU64::new(0));
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..8 {
        let (brokers, counter, round) = (Arc::clone(&brokers), Arc::clone(&counter), round.clone());
        workers.spawn(async move {
            loop {
                let id = format!("{round}-{}", counter.fetch_add(1, Ordering::SeqCst));
                if worker == 0 {
                    let event = NewEvent { body: id.clone().into_bytes(), ..NewEvent::default() };
                    brokers.send_events("clicks", vec![event]).await.unwrap();
                    say("event", &id);
                } else {
                    brokers.send("mail", message(&id)).await.unwrap();
                    say("sent", &id);
                }
            }
        });
    }
    workers.spawn(async move {
        let settings = brokers.settings("mail").unwrap();
        loop {
            for one in brokers.acquire("mail", &settings, 2).await.unwrap() {
                say("took", &one.message_id);
                let (entity, now_ms) = (one.entity, brokers.now_ms());
                let (sequence, token) = (one.sequence, one.token);
                brokers.settle(move |c| statements::complete(c, &entity, sequence, &token, now_ms)).await.unwrap();
                say("done", &one.message_id);
            }
        }
    });
    while workers.join_next().await.is_some() {}
}

fn say(what: &str, id: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{what} {id}").unwrap();
    out.flush().unwrap();
}

/// Runs the child until it has said `lines` things, kills it, and collects everything it had said.
fn run_and_kill(folder: &std::path::Path, round: usize, lines: usize, said: &mut Said) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "--test-threads=1", "brokers::tests::kills::child"])
        .env(FOLDER, folder)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut heard = 0;
    while let Some(Ok(line)) = out.next() {
        heard += usize::from(said.hear(&line));
        if heard == lines {
            // SIGKILL; what is still in the pipe is read to its end.
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(heard >= lines, "the child ended by itself in round {round}");
}

#[derive(Default)]
struct Said {
    sent: HashSet<String>,
    events: HashSet<String>,
    took: HashSet<String>,
    done: HashSet<String>,
}

impl Said {
    fn hear(&mut self, line: &str) -> bool {
        let Some((what, id)) = line.split_once(' ') else { return false };
        let id = id.to_owned();
        match what {
            "sent" => assert!(self.sent.insert(id), "{line} twice"),
            "event" => assert!(self.events.insert(id), "{line} twice"),
            "took" => {
                assert!(!self.done.contains(&id), "{line} after it was completed");
                self.took.insert(id);
            }
            "done" => assert!(self.done.insert(id), "{line} twice"),
            _ => return false,
        }
        true
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_or_doubled_by_twenty_kills() {
    let folder = tempfile::tempdir().unwrap();
    let mut said = Said::default();
    for round in 0..KILLS {
        run_and_kill(folder.path(), round, 15 + 13 * (round % 7), &mut said);
    }
    let brokers = open(folder.path(), Arc::new(ManualClock::at(START))).await;
    let settings = brokers.settings("mail").unwrap();
    let mut left = HashSet::new();
    let taken = brokers.acquire("mail", &settings, usize::MAX).await.unwrap();
    let dead = brokers.dead_letters("mail", 0, 200).await.unwrap();
    let ids = taken.into_iter().map(|one| one.message_id).chain(dead.into_iter().map(|one| one.message_id));
    for id in ids {
        assert!(left.insert(id.clone()), "{id} is there twice");
        assert!(!said.done.contains(&id), "{id} was completed and is there");
    }
    for id in &said.sent {
        assert!(left.contains(id) || said.took.contains(id), "{id} was acknowledged and is lost");
    }
    let kept: Vec<String> = brokers
        .database
        .read(|c| {
            (0..4).map(|partition| fetch(c, "clicks", "$Default", partition, 1_000_000)).collect::<Result<Vec<_>, _>>()
        })
        .await
        .unwrap()
        .into_iter()
        .flatten()
        .map(|event| String::from_utf8(event.body).unwrap())
        .collect();
    let unique: HashSet<&String> = kept.iter().collect();
    assert_eq!(unique.len(), kept.len(), "an event is there twice");
    assert!(said.events.iter().all(|id| unique.contains(id)), "an acknowledged event is lost");
    assert!(!said.sent.is_empty() && !said.done.is_empty() && !said.events.is_empty());
}
