//! A document as an item: `{ id, <partition key>, body, expires?, ttl?, _etag }`. The body stands apart, so that no
//! member of it can be mistaken for the service's own.
use azure_data_cosmos::{
    ContainerClient,
    options::{ItemReadOptions, Precondition},
};
use serde_json::{Map, Value, json};

use super::{Reads, charged, failure::failed, reading, retry::Failed, unavailable};
use crate::shared::ports::{
    documents::{Container, Document, ETag, StoreError},
    limits::CheckedWrite,
};

/// Parts the service's version from when the document expires, in an [`ETag`] of one that does.
const EXPIRES: char = '~';

/// An item as read, expired or not.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) partition: String,
    pub(super) id: String,
    /// The service's, without its quotes.
    pub(super) version: String,
    pub(super) body: Value,
    /// Unix milliseconds.
    pub(super) expires: Option<i64>,
}

impl Item {
    pub(super) fn parse(container: Container, value: Value) -> Result<Item, StoreError> {
        let Value::Object(mut members) = value else { return Err(unreadable("", "it is no object")) };
        let mut text = |name: &str| match members.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let id = text("id").ok_or_else(|| unreadable("", "it has no id"))?;
        let partition = text(container.partition_key()).ok_or_else(|| unreadable(&id, "it has no partition key"))?;
        let version = text("_etag").ok_or_else(|| unreadable(&id, "it has no _etag"))?;
        let version = version.trim_matches('"').to_owned();
        let body = members.remove("body").filter(Value::is_object).ok_or_else(|| unreadable(&id, "it has no body"))?;
        let expires = members.get("expires").and_then(Value::as_i64);
        Ok(Item { partition, id, version, body, expires })
    }

    /// The service removes expired items when it comes to it; for us they are gone at once.
    pub(super) fn is_there(&self, now: i64) -> bool {
        self.expires.is_none_or(|it| it > now)
    }

    pub(super) fn into_document(self) -> Document {
        let etag = etag(&self.version, self.expires);
        Document { partition: self.partition, id: self.id, etag, body: self.body }
    }
}

pub(super) fn etag(version: &str, expires: Option<i64>) -> ETag {
    let version = version.trim_matches('"');
    ETag(expires.map_or_else(|| version.to_owned(), |at| format!("{version}{EXPIRES}{at}")))
}

/// The service's condition; `None` if the document has expired since it was read.
pub(super) fn condition(etag: &ETag, now: i64) -> Option<Precondition> {
    let (version, expires) = etag.0.split_once(EXPIRES).unwrap_or((&etag.0, ""));
    match expires.parse::<i64>() {
        Ok(at) if at <= now => None,
        _ => Some(matching(version)),
    }
}

pub(super) fn matching(version: &str) -> Precondition {
    Precondition::if_match(format!("\"{version}\""))
}

/// The item to store. `now` in Unix milliseconds.
pub(super) fn stored(container: Container, partition: &str, write: &CheckedWrite, body: &Value, now: i64) -> Value {
    let mut members = Map::new();
    members.insert("id".to_owned(), write.write.id().into());
    members.insert(container.partition_key().to_owned(), partition.into());
    members.insert("body".to_owned(), body.clone());
    if let Some(expires) = expires(write, now) {
        members.insert("expires".to_owned(), expires.into());
        members.insert("ttl".to_owned(), json!(write.ttl_s));
    }
    Value::Object(members)
}

/// When what is written expires, in Unix milliseconds.
pub(super) fn expires(write: &CheckedWrite, now: i64) -> Option<i64> {
    write.ttl_s.map(|it| now.saturating_add(i64::try_from(it).unwrap_or(i64::MAX).saturating_mul(1_000)))
}

/// `None` if there is none.
pub(super) async fn read(
    client: &ContainerClient,
    container: Container,
    reads: Reads,
    partition: &str,
    id: &str,
) -> Result<Option<Item>, Failed> {
    let options = ItemReadOptions::default().with_operation_options(reading(reads));
    match client.read_item(partition.to_owned(), id, Some(options)).await {
        Ok(answer) => {
            charged(answer.headers());
            Ok(Some(Item::parse(container, answer.into_model().map_err(unavailable)?)?))
        }
        Err(err) if err.status().is_not_found() => Ok(None),
        Err(err) => Err(failed(container.name(), &err)),
    }
}

fn unreadable(id: &str, reason: &str) -> StoreError {
    StoreError::Unreadable { id: id.to_owned(), reason: reason.to_owned() }
}
