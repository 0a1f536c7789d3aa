//! Movements: append-only, kept for good. One that belongs to a piece of work bears the work's key, so that
//! a repeat meets it and changes nothing; the others bear the number of the change they explain.
use offpeak_domain::{
    sku::Sku,
    stock::{Change, Entry, Kind},
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::location;
use crate::shared::{
    documents::{Stored, create, has_schema, parse},
    ports::documents::{Container, Direction, Document, Documents, Query, Scope, StoreError, Write},
};

/// The path that orders them; only movements have it.
const MOVED: &str = "moved";

/// What tells one movement from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MovementId<'a> {
    /// The number of the change.
    Numbered,
    /// The key of the work behind it: it is done once.
    Keyed(&'a str),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MovementDocument {
    r#type: String,
    moved: i64,
    kind: String,
    cause: String,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    changes: Vec<ChangeDocument>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ChangeDocument {
    location: String,
    on_hand: i64,
    allocated: i64,
}

impl Stored for MovementDocument {
    const SCHEMA: &'static str = "movement/2";
}

/// Without what it meant for each count; the number stands in its id alone.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FirstMovementDocument {
    r#type: String,
    location: String,
    kind: String,
    units: i64,
    cause: String,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
}

impl Stored for FirstMovementDocument {
    const SCHEMA: &'static str = "movement/1";
}

pub(super) fn parse_movement(document: Document) -> Result<Entry, StoreError> {
    let id = document.id.clone();
    if has_schema::<FirstMovementDocument>(&document) {
        let it = parse::<FirstMovementDocument>(document)?.value;
        let kind = kind(&id, &it.kind)?;
        let (on_hand, allocated) = match kind {
            Kind::Allocate => (0, it.units),
            Kind::Deallocate => (0, -it.units),
            _ => (it.units, 0),
        };
        let changes = vec![Change { location: location(&id, &it.location)?, on_hand, allocated }];
        let seq = id.rsplit(':').next().and_then(|it| it.parse().ok()).unwrap_or(0);
        return Ok(Entry { seq, kind, cause: it.cause, at: it.at, changes });
    }
    let it = parse::<MovementDocument>(document)?.value;
    let change = |change: &ChangeDocument| {
        let ChangeDocument { location: name, on_hand, allocated } = change;
        Ok(Change { location: location(&id, name)?, on_hand: *on_hand, allocated: *allocated })
    };
    let changes = it.changes.iter().map(change).collect::<Result<_, StoreError>>()?;
    Ok(Entry { seq: it.moved, kind: kind(&id, &it.kind)?, cause: it.cause, at: it.at, changes })
}

fn kind(id: &str, name: &str) -> Result<Kind, StoreError> {
    Kind::parse(name).ok_or_else(|| StoreError::Unreadable { id: id.to_owned(), reason: format!("movement `{name}`") })
}

/// # Errors
/// `Refused` if the value has no JSON form.
pub fn create_movement(id: MovementId<'_>, entry: &Entry) -> Result<Write, StoreError> {
    let document = MovementDocument {
        r#type: "movement".to_owned(),
        moved: entry.seq,
        kind: entry.kind.name().to_owned(),
        cause: entry.cause.clone(),
        at: entry.at,
        changes: entry
            .changes
            .iter()
            .map(|it| ChangeDocument {
                location: it.location.to_string(),
                on_hand: it.on_hand,
                allocated: it.allocated,
            })
            .collect(),
    };
    let id = match id {
        MovementId::Numbered => format!("movement:{:012}", entry.seq),
        MovementId::Keyed(key) => keyed_id(entry.kind, key),
    };
    create(id, &document, None)
}

fn keyed_id(kind: Kind, key: &str) -> String {
    format!("movement:{}:{key}", kind.name())
}

/// The movement of a piece of work, if it was done.
///
/// # Errors
/// As the port's.
pub async fn read_movement(
    documents: &dyn Documents,
    sku: &Sku,
    kind: Kind,
    key: &str,
) -> Result<Option<Entry>, StoreError> {
    let found = documents.read(Container::Stock, sku.as_str(), &keyed_id(kind, key)).await?;
    found.map(parse_movement).transpose()
}

/// A page of the ledger, newest first, and where the next one begins. `limit` is 1 to `PAGE_MAX`.
///
/// # Errors
/// As the port's.
pub async fn list_movements(
    documents: &dyn Documents,
    sku: &Sku,
    limit: usize,
    after: Option<String>,
) -> Result<(Vec<Entry>, Option<String>), StoreError> {
    let query = Query { filters: Vec::new(), order: Some((MOVED, Direction::Descending)), limit, after };
    let page = documents.query(Container::Stock, Scope::Partition(sku.as_str()), &query).await?;
    let entries = page.items.into_iter().map(parse_movement).collect::<Result<_, _>>()?;
    Ok((entries, page.next))
}
