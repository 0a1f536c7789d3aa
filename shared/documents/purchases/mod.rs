//! Container `purchases`, one partition per checkout: `checkout`, `order`, `payments`, `answer:<key>`, `sent:<event>`,
//! `change:<key>`, `timeline:<number>`
//! and the outbox. Everything that happens to one purchase is one atomic batch here.
mod checkout;
mod order;
mod order_parts;
mod outbox;
mod payments;
mod priced;
mod rows;
mod timeline;

pub use checkout::{StoredCheckout, put_checkout, read_checkout};
pub use offpeak_domain::order::{Order, OrderPayment};
pub use order::{put_order, read_order};
pub use outbox::{Event, OUTBOX_BATCH_MAX, add_event, due_events, mark_sent, postpone, sent_since, unsent_events};
pub use rows::{PurchaseRows, checkout_ids, read_rows, waiting_ids};
pub use timeline::{TIMELINE_PAGE, add_entry, read_entry, read_timeline};

pub use payments::{PAYMENTS_ID, StoredPayments, note_facts, put_payments, read_payments};

use std::time::Duration;

use offpeak_domain::{
    checkout::{KEY_KEPT, KeyUse},
    ids::CheckoutId,
};
use serde::{Deserialize, Serialize};

use super::{Stored, create, has_schema, parse};
use crate::shared::ports::documents::{Container, Document, Documents, ETag, StoreError, Write};

/// How long a consumer remembers an event it has worked on; longer than any broker repeats one.
const INBOX_KEPT: Duration = Duration::from_secs(14 * 24 * 3600);

/// What was answered to an idempotency key, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Answer {
    pub fingerprint: String,
    pub status: u16,
    pub body: String,
    /// Nothing was left to do for the order when this was answered.
    pub settled: bool,
}

impl Stored for Answer {
    const SCHEMA: &'static str = "answer/2";
}

/// Does not say whether anything was left to do.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FirstAnswer {
    fingerprint: String,
    status: u16,
    body: String,
}

impl Stored for FirstAnswer {
    const SCHEMA: &'static str = "answer/1";
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inbox {
    event: String,
}

impl Stored for Inbox {
    const SCHEMA: &'static str = "inbox/1";
}

/// # Errors
/// As the port's.
pub async fn read_answer(
    documents: &dyn Documents,
    checkout: CheckoutId,
    key_hash: &str,
) -> Result<Option<Answer>, StoreError> {
    let found = documents.read(Container::Purchases, &checkout.to_string(), &answer_id(key_hash)).await?;
    found.map(answer_of).transpose()
}

fn answer_of(document: Document) -> Result<Answer, StoreError> {
    if !has_schema::<FirstAnswer>(&document) {
        return Ok(parse::<Answer>(document)?.value);
    }
    let FirstAnswer { fingerprint, status, body } = parse::<FirstAnswer>(document)?.value;
    Ok(Answer { fingerprint, status, body, settled: false })
}

/// # Errors
/// `Refused` if the value has no JSON form.
pub fn add_answer(key_hash: &str, answer: &Answer) -> Result<Write, StoreError> {
    create(answer_id(key_hash), answer, Some(KEY_KEPT.unsigned_abs()))
}

/// What the change of an idempotency key made, written with the change: the answer may not have been kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Made {
    pub fingerprint: String,
    /// The id of the fulfilment, return or refund.
    pub subject: Option<String>,
}

impl Stored for Made {
    const SCHEMA: &'static str = "made/1";
}

/// # Errors
/// As the port's.
pub async fn read_made(
    documents: &dyn Documents,
    checkout: CheckoutId,
    key_hash: &str,
) -> Result<Option<Made>, StoreError> {
    let found = documents.read(Container::Purchases, &checkout.to_string(), &made_id(key_hash)).await?;
    found.map(|document| parse::<Made>(document).map(|seen| seen.value)).transpose()
}

/// # Errors
/// `Refused` if the value has no JSON form.
pub fn add_made(by: &KeyUse, subject: Option<&str>) -> Result<Write, StoreError> {
    let made = Made { fingerprint: by.fingerprint.clone(), subject: subject.map(str::to_owned) };
    create(made_id(&by.key), &made, Some(KEY_KEPT.unsigned_abs()))
}

/// Whether a consumer has worked on this event already.
///
/// # Errors
/// As the port's.
pub async fn in_inbox(documents: &dyn Documents, checkout: CheckoutId, event: &str) -> Result<bool, StoreError> {
    let found = documents.read(Container::Purchases, &checkout.to_string(), &inbox_id(event)).await?;
    Ok(found.is_some())
}

/// # Errors
/// `Refused` if the value has no JSON form.
pub fn add_to_inbox(event: &str) -> Result<Write, StoreError> {
    create(inbox_id(event), &Inbox { event: event.to_owned() }, Some(INBOX_KEPT))
}

/// One batch on one purchase.
///
/// # Errors
/// As the port's.
pub async fn write(
    documents: &dyn Documents,
    checkout: CheckoutId,
    writes: Vec<Write>,
) -> Result<Vec<ETag>, StoreError> {
    documents.write(Container::Purchases, &checkout.to_string(), writes).await
}

fn answer_id(key_hash: &str) -> String {
    format!("answer:{key_hash}")
}

fn made_id(key_hash: &str) -> String {
    format!("change:{key_hash}")
}

fn inbox_id(event: &str) -> String {
    format!("inbox:{event}")
}
