//! What a session has seen, in the cache: forgotten with it, and waited for briefly.
use std::time::Duration;

use bytes::Bytes;
use offpeak_domain::recommend::SESSION_MAX;
use tokio::time::sleep;

use crate::shared::ports::{Ports, cache::CacheError, chain};

/// As long as a request waits for what a session has seen.
const PATIENCE: Duration = Duration::from_millis(20);
/// How often it is tried to forget a session: a process that has just started is not connected to its cache yet. Fewer
/// failures than make a process give its cache up.
const FORGET_TRIES: u32 = 4;
/// Between two tries, and so much longer each time.
const PAUSE: Duration = Duration::from_millis(100);
/// After its last click.
const KEPT: Duration = Duration::from_hours(24);

/// What a session's id looks like, for whoever sent another.
pub const ID_FORM: &str = "16 to 64 of A-Z a-z 0-9 - _, drawn at random for each visitor, as crypto.randomUUID() does";

/// Whether nobody will guess it: whoever knows a session's id can ask what it was shown.
pub fn is_id(text: &str) -> bool {
    (16..=64).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_'))
}

fn key(session: &str) -> String {
    format!("session:{session}")
}

/// Adds items to what a session has seen, oldest first. Whoever cannot reach the cache loses that and nothing else.
pub async fn remember(ports: &Ports, session: &str, skus: &[impl AsRef<str> + Sync]) {
    if !skus.is_empty() {
        let items: Vec<Bytes> = skus.iter().map(|it| Bytes::copy_from_slice(it.as_ref().as_bytes())).collect();
        push(ports, session, &items).await;
    }
}

/// What a session has seen, newest last; nothing where the cache has none, or does not answer in time.
pub async fn recall(ports: &Ports, session: &str) -> Vec<String> {
    let found = push(ports, session, &[]).await;
    found.iter().filter_map(|it| std::str::from_utf8(it).ok()).map(str::to_owned).collect()
}

/// The cache could not be reached: what a session has seen is forgotten only with its time.
#[derive(Debug, thiserror::Error)]
#[error("what the session has seen is not forgotten yet")]
pub struct NotForgotten;

/// Forgets what a session has seen.
///
/// # Errors
/// [`NotForgotten`]: whoever asked for it is to be told.
pub async fn forget(ports: &Ports, session: &str) -> Result<(), NotForgotten> {
    let mut tried = 1;
    while let Err(err) = ports.cache.delete(&[key(session)]).await {
        if tried == FORGET_TRIES {
            tracing::warn!(error = %chain(&err), "What a session has seen is not forgotten yet.");
            return Err(NotForgotten);
        }
        sleep(PAUSE * tried).await;
        tried += 1;
    }
    Ok(())
}

async fn push(ports: &Ports, session: &str, items: &[Bytes]) -> Vec<Bytes> {
    let items = &items[items.len().saturating_sub(SESSION_MAX)..];
    match ports.cache.push(&key(session), items, SESSION_MAX, KEPT, PATIENCE).await {
        Ok(found) => found,
        Err(CacheError::Unavailable(_)) => {
            tracing::debug!("What a session has seen was not there in time.");
            Vec::new()
        }
        Err(refused) => {
            tracing::error!(error = &refused as &dyn std::error::Error, "What a session has seen is refused.");
            Vec::new()
        }
    }
}
