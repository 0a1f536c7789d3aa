//! Events out: what shoppers do, by the thousand. What is sent under one key stays in order. Delivery is at least once,
//! and an event that is late or lost costs the shop nothing but knowledge: what must not be lost goes by the bus.
use std::time::Duration;

use async_trait::async_trait;

/// Largest send, all of its events together with what frames them.
/// Source: Event Hubs quotas, "Event Hubs publication size: 1 MB" (standard tier).
pub const SEND_MAX_BYTES: usize = 1024 * 1024;
/// Longest key. Source: Event Hubs quotas, "Number of characters in a partition key: 128".
pub const KEY_MAX_CHARS: usize = 128;
/// Most events in one send.
pub const EVENTS_MAX: usize = 500;

#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The hub was not reached, was too slow, or has too much to do; sending again after `wait` is right.
    #[error("the event hub is unavailable")]
    Unavailable { wait: Duration, source: Box<dyn std::error::Error + Send + Sync> },
    /// Sending these events again can never succeed.
    #[error("the event hub refuses: {0}")]
    Refused(String),
}

#[async_trait]
pub trait Hub: Send + Sync {
    /// Sends events, JSON texts, to the partition that `key` says; `Ok` means that the hub has them all durably.
    ///
    /// # Errors
    /// See [`HubError`].
    async fn send(&self, hub: &str, key: &str, events: &[String]) -> Result<(), HubError>;
}

/// # Errors
/// `Refused`, saying what is wrong with a send before it is made.
pub fn check_send(hub: &str, key: &str, events: &[String]) -> Result<(), HubError> {
    let refuse = |reason: String| Err(HubError::Refused(reason));
    let plain = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_' | b'.');
    if hub.is_empty() || !hub.bytes().all(plain) {
        return refuse(format!("{hub:?} is not the name of a hub"));
    }
    if !(1..=KEY_MAX_CHARS).contains(&key.len()) || key.bytes().any(|it| !it.is_ascii_graphic()) {
        return refuse(format!("a key has 1 to {KEY_MAX_CHARS} characters that can be seen, all of them ASCII"));
    }
    if !(1..=EVENTS_MAX).contains(&events.len()) {
        return refuse(format!("a send has 1 to {EVENTS_MAX} events, not {}", events.len()));
    }
    let bytes: usize = events.iter().map(String::len).sum();
    if bytes > SEND_MAX_BYTES {
        return refuse(format!("{} events have {bytes} of {SEND_MAX_BYTES} bytes", events.len()));
    }
    Ok(())
}
