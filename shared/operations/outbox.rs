//! Publishing what the outbox holds: inline right after a commit, and by the sweep for what was left.
//!
//! A row is written with its change and marked sent after the broker has it, so an event is sent at least
//! once and never for a change that did not happen. Whoever is killed in between leaves it to the sweep.
use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use offpeak_domain::ids::CheckoutId;
use time::OffsetDateTime;

use super::Shop;
use crate::shared::{
    documents::purchases::{self, Event},
    ports::{
        bus::{BusError, Message},
        documents::{ETag, StoreError, Write},
    },
};

/// How long a caller waits for the broker; what is not sent by then goes with the sweep.
const INLINE_PATIENCE: Duration = Duration::from_millis(150);
/// How long nobody tries inline after the broker failed: an outage costs a process one wait a second.
const BREAKER_S: i64 = 1;
/// How long an event that the broker refused rests before it is tried again.
const REFUSED_REST: time::Duration = time::Duration::hours(1);
/// Steps of one sweep, so that a tick ends.
const SWEEP_STEPS_MAX: usize = 50;

/// Remembers that the broker is down, so that callers do not wait for it one by one.
#[derive(Debug, Default)]
pub struct Publisher {
    /// Unix second until which inline publishing is off.
    closed_until: AtomicI64,
}

impl Publisher {
    fn is_closed(&self, now: OffsetDateTime) -> bool {
        now.unix_timestamp() < self.closed_until.load(Ordering::Relaxed)
    }

    fn close(&self, now: OffsetDateTime) {
        self.closed_until.store(now.unix_timestamp() + BREAKER_S, Ordering::Relaxed);
    }
}

/// Events of one change: rows to write with it, and what to publish after it.
#[derive(Default)]
pub struct Outgoing {
    messages: Vec<Message>,
}

impl Outgoing {
    pub fn add(&mut self, message: Message) {
        self.messages.push(message);
    }

    /// The outbox rows; append them to the change's batch, last.
    ///
    /// # Errors
    /// `Refused` for a body that is not JSON: our own fault.
    pub fn rows(&self, checkout: CheckoutId, now: OffsetDateTime) -> Result<Vec<Write>, StoreError> {
        self.messages.iter().map(|message| purchases::add_event(checkout, message, now)).collect()
    }

    /// What was written, given the batch's etags (the rows' are its last).
    pub fn written(self, checkout: CheckoutId, etags: &[ETag]) -> Vec<Event> {
        let rows = &etags[etags.len().saturating_sub(self.messages.len())..];
        let events = self.messages.into_iter().zip(rows);
        events.map(|(message, etag)| Event { checkout, message, etag: etag.clone() }).collect()
    }
}

/// Publishes right after the commit, all at once, waiting no longer than [`INLINE_PATIENCE`]. Never fails:
/// what is not sent stays for the sweep.
pub async fn publish_inline(shop: &Shop, events: Vec<Event>) {
    if events.is_empty() || shop.publisher.is_closed(shop.ports.clock.now()) {
        return;
    }
    match tokio::time::timeout(INLINE_PATIENCE, publish(shop, &events)).await {
        Ok(Ok(_)) => {}
        Ok(Err(err)) => tracing::warn!(error = %crate::shared::ports::chain(&err), "Sent events are not yet marked."),
        Err(_) => {
            shop.publisher.close(shop.ports.clock.now());
            tracing::warn!("The broker is slow; {} events are left to the sweep.", events.len());
        }
    }
}

/// Sends events of one purchase and marks the sent ones; answers how many.
///
/// # Errors
/// The store's, when marking; the events then are sent again later.
async fn publish(shop: &Shop, events: &[Event]) -> Result<usize, StoreError> {
    let Some(first) = events.first() else { return Ok(0) };
    let sent = join_all(events.iter().map(|event| shop.ports.bus.send(&event.message))).await;
    let now = shop.ports.clock.now();
    let (mut marks, mut count) = (Vec::with_capacity(events.len()), 0);
    for (event, sent) in events.iter().zip(sent) {
        match sent {
            Ok(()) => {
                marks.push(purchases::mark_sent(event, now)?);
                count += 1;
            }
            Err(err @ BusError::Unavailable(_)) => {
                shop.publisher.close(now);
                let error = crate::shared::ports::chain(&err);
                tracing::warn!(event.id = event.message.id, error, "An event was not sent; the sweep will try again.");
            }
            Err(BusError::Refused(reason)) => {
                tracing::error!(
                    event.id = event.message.id,
                    reason,
                    "The broker refuses an event; it is tried hourly."
                );
                marks.push(purchases::postpone(event, now + REFUSED_REST)?);
            }
        }
    }
    if !marks.is_empty() {
        purchases::write(shop.ports.documents.as_ref(), first.checkout, marks).await?;
    }
    Ok(count)
}

/// Publishes what one purchase has left unsent.
///
/// # Errors
/// The store's.
pub async fn publish_left(shop: &Shop, checkout: CheckoutId) -> Result<(), StoreError> {
    let left = purchases::unsent_events(shop.ports.documents.as_ref(), checkout).await?;
    match publish(shop, &left).await {
        Ok(_) | Err(StoreError::Changed { .. }) => Ok(()),
        Err(err) => Err(err),
    }
}

/// Sends whatever is due, oldest first, until nothing is or the broker fails. Answers how many were sent.
///
/// # Errors
/// The store's.
pub async fn relay_outbox(shop: &Shop) -> Result<usize, StoreError> {
    let mut total = 0;
    for _ in 0..SWEEP_STEPS_MAX {
        let due = purchases::due_events(shop.ports.documents.as_ref(), shop.ports.clock.now()).await?;
        if due.is_empty() {
            break;
        }
        let sent = relay(shop, due).await?;
        total += sent;
        if sent == 0 {
            break;
        }
    }
    Ok(total)
}

/// Per purchase in order, purchases one after another; a purchase another relay took first is skipped.
async fn relay(shop: &Shop, due: Vec<Event>) -> Result<usize, StoreError> {
    let mut sent = 0;
    for events in due.chunk_by(|a, b| a.checkout == b.checkout) {
        match publish(shop, events).await {
            Ok(count) => sent += count,
            Err(StoreError::Changed { .. }) => sent += events.len(),
            Err(err) => return Err(err),
        }
    }
    Ok(sent)
}

/// Sends again what was sent since a moment: what a lost broker had acknowledged is lost with it.
/// Consumers drop what they have seen. Answers how many were sent.
///
/// # Errors
/// The store's, or the broker's at the first event it does not take: begin again from the same moment.
pub async fn resend_since(shop: &Shop, since: OffsetDateTime) -> Result<usize, ResendError> {
    let (mut total, mut after) = (0, None);
    loop {
        let (events, next) = purchases::sent_since(shop.ports.documents.as_ref(), since, after).await?;
        for event in &events {
            shop.ports.bus.send(&event.message).await?;
            total += 1;
        }
        if next.is_none() {
            return Ok(total);
        }
        after = next;
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ResendError {
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error(transparent)]
    Store(#[from] StoreError),
}
