//! The one task behind the cache: it connects, sends what nobody waits for, and looks after a server that failed until
//! it answers again. Nobody's request is ever the one that tries whether the server is back.
use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use redis::{Cmd, Value};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

use super::{Link, Shared, command, ms};
use crate::shared::{ports::chain, telemetry};

/// How long connecting and a first answer may take, with a token that has to be fetched first.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(500);
/// How long the keeper gathers before it sends: many counts become one.
const GATHER: Duration = Duration::from_millis(2);
/// Most notes sent together.
const NOTES_AT_ONCE: usize = 64;

/// What nobody waits for.
pub(super) enum Note {
    /// This value was not sent.
    Set { key: String },
    /// This counter has units that were not sent.
    Count { key: String },
}

/// Ends when the cache is dropped.
pub(super) async fn keep(shared: Arc<Shared>, mut notes: mpsc::Receiver<Note>) {
    while connect(&shared, &notes).await {
        let Some(link) = shared.link().clone() else { continue };
        loop {
            let first = tokio::select! {
                () = shared.broken.notified() => break,
                note = notes.recv() => note,
            };
            let Some(first) = first else { return };
            sleep(GATHER).await;
            let mut batch = vec![first];
            while batch.len() < NOTES_AT_ONCE
                && let Ok(note) = notes.try_recv()
            {
                batch.push(note);
            }
            send(&shared, &link, batch).await;
        }
        // What waited while nobody answered is old.
        while let Ok(note) = notes.try_recv() {
            match note {
                Note::Set { key } => drop(shared.unsent.take(&key)),
                Note::Count { key } => shared.tallies.keep_to_ourselves(&key),
            }
        }
    }
}

/// Tries until there is a link; false when nobody wants one any more.
async fn connect(shared: &Shared, notes: &mpsc::Receiver<Note>) -> bool {
    let mut has_failed = false;
    loop {
        if notes.is_closed() {
            return false;
        }
        match timeout(CONNECT_PATIENCE, shared.connector.connect()).await {
            Ok(Ok(link)) => {
                shared.breaker.answered();
                *shared.link() = Some(link);
                let connected = telemetry::CACHE_CONNECTED.add();
                tracing::info!(cache.connected = connected, "The cache answers.");
                return true;
            }
            Ok(Err(err)) if !has_failed => tracing::warn!(error = %chain(&err), "The cache cannot be reached."),
            Err(_) if !has_failed => tracing::warn!("The cache takes too long to answer."),
            _ => {}
        }
        has_failed = true;
        sleep(PAUSE).await;
    }
}

/// One round trip for all. What fails is lost.
async fn send(shared: &Shared, link: &Link, batch: Vec<Note>) {
    let (mut parts, mut counted) = (Vec::new(), Vec::new());
    for note in batch {
        match note {
            Note::Set { key } => parts.extend(shared.unsent.take(&key).map(|(value, left)| set(&key, &value, left))),
            Note::Count { key } => {
                if let Some((units, left)) = shared.tallies.take(&key) {
                    counted.push((parts.len(), key.clone(), units));
                    parts.push(count(&key, units, left));
                }
            }
        }
    }
    if parts.is_empty() {
        return;
    }
    let answers = shared.exchange(link, parts, shared.patience).await.unwrap_or_default();
    for (at, key, units) in counted {
        let total = match answers.get(at).and_then(|part| part.last()) {
            Some(Value::Int(total)) => u64::try_from(*total).ok(),
            _ => None,
        };
        shared.tallies.settle(&key, units, total);
    }
}

fn set(key: &str, value: &Bytes, left: Duration) -> Vec<Cmd> {
    vec![command("SET", (key, &value[..], "PX", ms(left)))]
}

/// Whoever counts first says how long the counter lives.
fn count(key: &str, units: u64, left: Duration) -> Vec<Cmd> {
    let begin = command("SET", (key, 0, "NX", "PX", ms(left)));
    vec![begin, command("INCRBY", (key, units))]
}
