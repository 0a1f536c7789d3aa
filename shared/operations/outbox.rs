//! Publishing what the outbox holds: inline right after a commit, and by the sweep for what was left.
//!
//! A row is written with its change and marked sent after the broker has it, so an event is sent at least
//! once and never for a change that did not happen. Whoever is killed in between leaves it to the sweep.
use std::{
    collections::HashMap,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use futures_util::{StreamExt as _, TryStreamExt as _, future::join_all, stream};
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
/// Purchases whose events one sweep sends side by side.
const PURCHASES_AT_ONCE: usize = 8;
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
/// what is not sent stays for the sweep. Answers whether all is sent and marked so.
pub async fn publish_inline(shop: &Shop, events: Vec<Event>) -> bool {
    if events.is_empty() {
        return true;
    }
    if shop.publisher.is_closed(shop.ports.clock.now()) {
        return false;
    }
    match tokio::time::timeout(INLINE_PATIENCE, publish(shop, &events)).await {
        Ok(Ok(sent)) => return sent == events.len(),
        Ok(Err(err)) => tracing::warn!(error = %crate::shared::ports::chain(&err), "Sent events are not yet marked."),
        Err(_) => {
            shop.publisher.close(shop.ports.clock.now());
            tracing::warn!("The broker is slow; {} events are left to the sweep.", events.len());
        }
    }
    false
}

/// Sends events of one purchase and marks the sent ones; answers how many.
///
/// # Errors
/// The store's, when marking; the events then are sent again later.
async fn publish(shop: &Shop, events: &[Event]) -> Result<usize, StoreError> {
    let Some(first) = events.first() else { return Ok(0) };
    let sent = join_all(by_session(events).into_iter().map(|it| send_in_order(shop, it))).await;
    let now = shop.ports.clock.now();
    let (mut marks, mut count) = (Vec::with_capacity(events.len()), 0);
    for (event, sent) in sent.into_iter().flatten() {
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

/// Events of one session keep their order; all else may go side by side.
fn by_session(events: &[Event]) -> Vec<Vec<&Event>> {
    let mut sessions: Vec<Vec<&Event>> = Vec::new();
    for event in events {
        let session = &event.message.session;
        let same = sessions.iter_mut().find(|it| session.is_some() && it[0].message.session == *session);
        match same {
            Some(earlier) => earlier.push(event),
            None => sessions.push(vec![event]),
        }
    }
    sessions
}

/// One after another; what follows on one that the broker did not take waits, so that it does not overtake it.
async fn send_in_order<'a>(shop: &Shop, events: Vec<&'a Event>) -> Vec<(&'a Event, Result<(), BusError>)> {
    let mut sent = Vec::with_capacity(events.len());
    for event in events {
        let done = shop.ports.bus.send(&event.message).await;
        let stop = matches!(done, Err(BusError::Unavailable(_)));
        sent.push((event, done));
        if stop {
            break;
        }
    }
    sent
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

/// Each purchase's events in their order, several purchases side by side; a purchase that another relay took
/// first is skipped.
async fn relay(shop: &Shop, due: Vec<Event>) -> Result<usize, StoreError> {
    let mut purchases: Vec<Vec<Event>> = Vec::new();
    let mut places: HashMap<CheckoutId, usize> = HashMap::new();
    for event in due {
        let place = *places.entry(event.checkout).or_insert(purchases.len());
        if place == purchases.len() {
            purchases.push(Vec::new());
        }
        purchases[place].push(event);
    }
    let sending = purchases.iter().map(|events| async move {
        match publish(shop, events).await {
            Err(StoreError::Changed { .. }) => Ok(events.len()),
            other => other,
        }
    });
    stream::iter(sending.collect::<Vec<_>>())
        .buffered(PURCHASES_AT_ONCE)
        .try_fold(0, |sum, count| std::future::ready(Ok(sum + count)))
        .await
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
