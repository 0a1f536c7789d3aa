//! Outbox rows: messages that belong to a change, written in the same batch, published after it.
//!
//! An unsent row carries `due` (indexed), so the sweep is one query; a sent one loses it, and stays a
//! week so that it can be sent again when a broker has lost what it had acknowledged.
use std::time::Duration;

use offpeak_domain::ids::CheckoutId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::{OffsetDateTime, UtcOffset, macros::format_description};

use super::super::{Seen, Stored, checkout_id_text, create, parse, replace};
use crate::shared::ports::{
    bus::Message,
    documents::{Container, Direction, Documents, ETag, Filter, Query, Scope, StoreError, Test, Write},
};

/// Rows looked at in one sweep step.
pub const OUTBOX_BATCH_MAX: usize = 100;
const SENT_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long the writer itself has for publishing before the sweep looks.
const GRACE: time::Duration = time::Duration::seconds(5);

/// One message on its way out.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub checkout: CheckoutId,
    pub message: Message,
    pub etag: ETag,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EventDocument {
    r#type: String,
    #[serde(with = "checkout_id_text")]
    checkout_id: CheckoutId,
    event_id: String,
    destination: String,
    session: Option<String>,
    subject: String,
    #[serde(with = "time::serde::rfc3339::option")]
    scheduled: Option<OffsetDateTime>,
    payload: Value,
    /// When the sweep may send it, in a form that sorts as text; absent once sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due: Option<String>,
    /// When it was sent, in the same form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sent: Option<String>,
}

impl Stored for EventDocument {
    const SCHEMA: &'static str = "outbox/1";
}

/// A row to write with the change it belongs to. `message.id` must be derived from the change.
///
/// # Errors
/// `Refused` if the message's body is not JSON: our own fault.
pub fn add_event(checkout: CheckoutId, message: &Message, now: OffsetDateTime) -> Result<Write, StoreError> {
    let document = document(checkout, message)?;
    create(row_id(&message.id), &EventDocument { due: Some(sortable(now + GRACE)?), ..document }, None)
}

/// Marks a row sent, given the etag under which it was last seen.
///
/// # Errors
/// As [`add_event`].
pub fn mark_sent(event: &Event, now: OffsetDateTime) -> Result<Write, StoreError> {
    let document = document(event.checkout, &event.message)?;
    let sent = EventDocument { sent: Some(sortable(now)?), ..document };
    replace(row_id(&event.message.id), &sent, &event.etag, Some(SENT_KEPT))
}

/// Lets a row that the broker refused rest for a while, so that it does not stand in the way of others.
///
/// # Errors
/// As [`add_event`].
pub fn postpone(event: &Event, until: OffsetDateTime) -> Result<Write, StoreError> {
    let document = document(event.checkout, &event.message)?;
    let later = EventDocument { due: Some(sortable(until)?), ..document };
    replace(row_id(&event.message.id), &later, &event.etag, None)
}

/// Unsent rows whose time has come, oldest first, at most [`OUTBOX_BATCH_MAX`].
///
/// # Errors
/// As the port's.
pub async fn due_events(documents: &dyn Documents, now: OffsetDateTime) -> Result<Vec<Event>, StoreError> {
    let query = Query {
        filters: vec![Filter { path: "due", test: Test::AtMost(sortable(now)?.into()) }],
        order: Some(("due", Direction::Ascending)),
        limit: OUTBOX_BATCH_MAX,
        after: None,
    };
    let page = documents.query(Container::Purchases, Scope::Container, &query).await?;
    page.items.into_iter().map(read).collect()
}

/// Every unsent row of one purchase, due or not.
///
/// # Errors
/// As the port's.
pub async fn unsent_events(documents: &dyn Documents, checkout: CheckoutId) -> Result<Vec<Event>, StoreError> {
    let query = Query {
        filters: vec![Filter { path: "due", test: Test::AtLeast("".into()) }],
        order: Some(("due", Direction::Ascending)),
        limit: OUTBOX_BATCH_MAX,
        after: None,
    };
    let partition = checkout.to_string();
    let page = documents.query(Container::Purchases, Scope::Partition(&partition), &query).await?;
    page.items.into_iter().map(read).collect()
}

/// Sent rows, a page at a time, for sending again; only those sent at or after `since` are kept.
///
/// # Errors
/// As the port's.
pub async fn sent_since(
    documents: &dyn Documents,
    since: OffsetDateTime,
    after: Option<String>,
) -> Result<(Vec<Event>, Option<String>), StoreError> {
    let query = Query {
        filters: vec![Filter { path: "sent", test: Test::AtLeast(sortable(since)?.into()) }],
        order: Some(("sent", Direction::Ascending)),
        limit: OUTBOX_BATCH_MAX,
        after,
    };
    let page = documents.query(Container::Purchases, Scope::Container, &query).await?;
    let events = page.items.into_iter().map(read);
    Ok((events.collect::<Result<_, _>>()?, page.next))
}

fn read(document: crate::shared::ports::documents::Document) -> Result<Event, StoreError> {
    let Seen { value, etag } = parse::<EventDocument>(document)?;
    let message = Message {
        destination: value.destination,
        id: value.event_id,
        session: value.session,
        subject: value.subject,
        scheduled: value.scheduled,
        body: value.payload.to_string(),
    };
    Ok(Event { checkout: value.checkout_id, message, etag })
}

fn document(checkout: CheckoutId, message: &Message) -> Result<EventDocument, StoreError> {
    let payload = serde_json::from_str(&message.body)
        .map_err(|err| StoreError::Refused(format!("event {} is not JSON: {err}", message.id)))?;
    Ok(EventDocument {
        r#type: "outbox".to_owned(),
        checkout_id: checkout,
        event_id: message.id.clone(),
        destination: message.destination.clone(),
        session: message.session.clone(),
        subject: message.subject.clone(),
        scheduled: message.scheduled,
        payload,
        due: None,
        sent: None,
    })
}

fn row_id(event: &str) -> String {
    format!("outbox:{event}")
}

/// Milliseconds, always three digits, always UTC: sorts as text as it sorts in time.
fn sortable(at: OffsetDateTime) -> Result<String, StoreError> {
    let form = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    let utc = at.to_offset(UtcOffset::UTC);
    utc.format(&form).map_err(|err| StoreError::Refused(format!("time {}: {err}", at.unix_timestamp())))
}
