//! `POST /{hub}/messages`: send one event or a batch. Source: Event Hubs REST reference, "Send event", "Send batch events".
//!
//! What must stay true: a batch is kept whole or refused whole, and 201 means that it is on disk.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::broker_properties::BrokerProperties;
use super::{Reply, broker_fault, fault, is_batch, page};
use crate::brokers::Brokers;
use crate::brokers::hubs::NewEvent;

/// Most events in one batch; its bytes are bounded by the body's limit.
const BATCH_MAX_EVENTS: usize = 10_000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Entry {
    body: String,
    #[serde(default)]
    broker_properties: Option<BrokerProperties>,
    #[serde(default)]
    user_properties: Map<String, Value>,
}

/// Accepts one event, or a batch by its content type.
pub async fn send(brokers: &Brokers, hub: &str, headers: &HeaderMap, body: Bytes) -> Reply {
    let events = if is_batch(headers) { batch(&body) } else { single(headers, &body).map(|event| vec![event]) };
    let events = match events {
        Ok(events) => events,
        Err(sentence) => return fault(StatusCode::BAD_REQUEST, sentence),
    };
    match brokers.send_events(hub, events).await {
        Ok(()) => page(StatusCode::CREATED, "application/xml; charset=utf-8", Bytes::new()),
        Err(error) => broker_fault(&error),
    }
}

fn single(headers: &HeaderMap, body: &Bytes) -> Result<NewEvent, String> {
    let properties = match headers.get("brokerproperties") {
        Some(value) => {
            let text = std::str::from_utf8(value.as_bytes()).map_err(|_| "BrokerProperties is not text".to_owned())?;
            BrokerProperties::parse(text)?
        }
        None => BrokerProperties::default(),
    };
    Ok(NewEvent { key: properties.partition_key, properties: Map::new(), body: body.to_vec() })
}

fn batch(body: &Bytes) -> Result<Vec<NewEvent>, String> {
    let entries: Vec<Entry> =
        serde_json::from_slice(body).map_err(|error| format!("the batch is not understood: {error}"))?;
    if entries.is_empty() || entries.len() > BATCH_MAX_EVENTS {
        return Err(format!("a batch holds 1 to {BATCH_MAX_EVENTS} events"));
    }
    entries.into_iter().map(Entry::into_event).collect()
}

impl Entry {
    fn into_event(self) -> Result<NewEvent, String> {
        if self.user_properties.values().any(|value| value.is_array() || value.is_object()) {
            return Err("UserProperties holds strings, numbers and booleans".to_owned());
        }
        Ok(NewEvent {
            key: self.broker_properties.and_then(|properties| properties.partition_key),
            properties: self.user_properties,
            body: self.body.into_bytes(),
        })
    }
}

/// A body for a page: text where it is text, base64 where it is not.
#[must_use]
pub fn shown(body: &[u8]) -> Value {
    match std::str::from_utf8(body) {
        Ok(text) => serde_json::json!({ "text": text }),
        Err(_) => serde_json::json!({ "base64": STANDARD.encode(body) }),
    }
}
