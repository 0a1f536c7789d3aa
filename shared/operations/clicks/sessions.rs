//! What a session has seen, in the cache: forgotten with it, and never waited for.
use std::time::Duration;

use bytes::Bytes;
use offpeak_domain::recommend::SESSION_MAX;
use tokio::time::{Instant, sleep};

use crate::shared::ports::{Ports, cache::CacheError, chain};

/// As long as a request waits for what a session has seen.
const PATIENCE: Duration = Duration::from_millis(20);
/// How long it is tried to forget a session, and the pause between two tries: a process that has just started is not
/// connected to its cache yet.
const FORGET_PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(50);
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
    let until = Instant::now() + FORGET_PATIENCE;
    while let Err(err) = ports.cache.delete(&[key(session)]).await {
        if Instant::now() >= until {
            tracing::warn!(error = %chain(&err), "What a session has seen is not forgotten yet.");
            return Err(NotForgotten);
        }
        sleep(PAUSE).await;
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
