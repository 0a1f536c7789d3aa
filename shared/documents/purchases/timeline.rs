//! Rows `timeline:<number>`: what happened to the order, one for each of its changes, written with the
//! change. The path `timeline` is indexed, so the rows are one query of the purchase's partition.
use offpeak_domain::{
    ids::CheckoutId,
    money::{Currency, Money},
    order::{Actor, Entry, EntryKind, LineAsk},
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::super::{Minor, Stored, checkout_id_text, create, currency_text, parse};
use crate::shared::ports::documents::{
    Container, Direction, Document, Documents, Filter, Query, Scope, StoreError, Test, Write,
};

/// Rows of one page.
pub const TIMELINE_PAGE: usize = 100;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EntryDocument {
    r#type: String,
    #[serde(with = "checkout_id_text")]
    checkout_id: CheckoutId,
    /// The number, in a form that sorts as text.
    timeline: String,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    actor: ActorDocument,
    kind: String,
    subject: Option<String>,
    amount: Option<AmountDocument>,
    lines: Vec<UnitsDocument>,
    note: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum ActorDocument {
    Customer,
    Staff(String),
    System,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AmountDocument {
    amount: Minor,
    #[serde(with = "currency_text")]
    currency: Currency,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct UnitsDocument {
    line: usize,
    units: u32,
}

impl Stored for EntryDocument {
    const SCHEMA: &'static str = "timeline/1";
}

/// A row to write with the change it tells of.
///
/// # Errors
/// `Refused` if the value has no JSON form.
pub fn add_entry(checkout: CheckoutId, entry: &Entry) -> Result<Write, StoreError> {
    let timeline = place(entry.number);
    let document = EntryDocument {
        r#type: "timeline".to_owned(),
        checkout_id: checkout,
        at: entry.at,
        actor: match &entry.actor {
            Actor::Customer => ActorDocument::Customer,
            Actor::Staff(subject) => ActorDocument::Staff(subject.clone()),
            Actor::System => ActorDocument::System,
        },
        kind: entry.kind.name().to_owned(),
        subject: entry.subject.clone(),
        amount: entry.amount.map(|it| AmountDocument { amount: Minor(it.minor()), currency: it.currency() }),
        lines: entry.lines.iter().map(|it| UnitsDocument { line: it.line, units: it.units }).collect(),
        note: entry.note.clone(),
        timeline,
    };
    create(row_id(entry.number), &document, None)
}

fn place(number: u32) -> String {
    format!("{number:08}")
}

fn row_id(number: u32) -> String {
    format!("timeline:{}", place(number))
}

/// One row, by its number.
///
/// # Errors
/// As the port's.
pub async fn read_entry(
    documents: &dyn Documents,
    checkout: CheckoutId,
    number: u32,
) -> Result<Option<Entry>, StoreError> {
    let found = documents.read(Container::Purchases, &checkout.to_string(), &row_id(number)).await?;
    found.map(entry_of).transpose()
}

fn entry_of(document: Document) -> Result<Entry, StoreError> {
    let id = document.id.clone();
    let entry = parse::<EntryDocument>(document)?.value.into_domain();
    entry.map_err(|reason| StoreError::Unreadable { id, reason })
}

/// The last [`TIMELINE_PAGE`] rows, newest first.
///
/// # Errors
/// As the port's.
pub async fn read_timeline(documents: &dyn Documents, checkout: CheckoutId) -> Result<Vec<Entry>, StoreError> {
    let query = Query {
        filters: vec![Filter { path: "timeline", test: Test::AtLeast("".into()) }],
        order: Some(("timeline", Direction::Descending)),
        limit: TIMELINE_PAGE,
        after: None,
    };
    let partition = checkout.to_string();
    let page = documents.query(Container::Purchases, Scope::Partition(&partition), &query).await?;
    page.items.into_iter().map(entry_of).collect()
}

impl EntryDocument {
    fn into_domain(self) -> Result<Entry, String> {
        Ok(Entry {
            number: self.timeline.parse().map_err(|_| format!("number `{}`", self.timeline))?,
            at: self.at,
            actor: match self.actor {
                ActorDocument::Customer => Actor::Customer,
                ActorDocument::Staff(subject) => Actor::Staff(subject),
                ActorDocument::System => Actor::System,
            },
            kind: EntryKind::parse(&self.kind).ok_or_else(|| format!("kind `{}`", self.kind))?,
            subject: self.subject,
            amount: self.amount.map(|it| Money::new(it.amount.0, it.currency)),
            lines: self.lines.into_iter().map(|it| LineAsk { line: it.line, units: it.units }).collect(),
            note: self.note,
        })
    }
}
