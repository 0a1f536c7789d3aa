//! `POST /{queueOrTopic}/messages`: send one message or a batch. Source: Service Bus REST reference, "Send Message", "Send Message
//! Batch".
//!
//! What must stay true: 201 means that the message is on disk (or that its id was seen within the window); a batch is kept whole or
//! refused whole. Other headers of a single message become the sender's own properties, as text.
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::broker_properties::BrokerProperties;
use super::{Reply, broker_fault, fault, is_batch, page};
use crate::brokers::Brokers;
use crate::brokers::message::Outgoing;

/// Headers about the request, not about the message.
const NOT_PROPERTIES: [&str; 22] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "authorization",
    "brokerproperties",
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "expect",
    "host",
    "keep-alive",
    "origin",
    "te",
    "trailer",
    "transfer-encoding",
    "traceparent",
    "tracestate",
    "upgrade",
    "user-agent",
];
/// Prefixes of such headers.
const NOT_PREFIXES: [&str; 3] = ["x-ms-", "x-forwarded-", "sec-"];
/// Most properties of a sender's own.
const PROPERTIES_MAX: usize = 64;

/// Most messages in one batch. Source: Service Bus quotas, "Number of messages per transaction: 100".
const BATCH_MAX_MESSAGES: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Entry {
    body: String,
    #[serde(default)]
    broker_properties: BrokerProperties,
    #[serde(default)]
    user_properties: Map<String, Value>,
}

/// Accepts one message, or a batch by its content type.
pub async fn send(brokers: &Brokers, destination: &str, headers: &HeaderMap, body: Bytes) -> Reply {
    let messages = if is_batch(headers) { batch(&body) } else { message(headers, body).map(|one| vec![one]) };
    let messages = match messages {
        Ok(messages) => messages,
        Err(sentence) => return fault(StatusCode::BAD_REQUEST, sentence),
    };
    match brokers.send_all(destination, messages).await {
        Ok(_) => page(StatusCode::CREATED, "application/xml; charset=utf-8", Bytes::new()),
        Err(error) => broker_fault(&error),
    }
}

fn message(headers: &HeaderMap, body: Bytes) -> Result<Outgoing, String> {
    let mut stated = headers.get_all("brokerproperties").iter();
    let mut message = match stated.next() {
        Some(value) => BrokerProperties::parse(text("BrokerProperties", value)?)?.into_message()?,
        None => Outgoing::default(),
    };
    if stated.next().is_some() {
        return Err("BrokerProperties is set twice".to_owned());
    }
    if let Some(value) = headers.get(header::CONTENT_TYPE) {
        message.facts.content_type = Some(text("Content-Type", value)?.to_owned());
    }
    message.facts.properties = properties(headers)?;
    message.body = body.into();
    Ok(message)
}

fn batch(body: &Bytes) -> Result<Vec<Outgoing>, String> {
    let entries: Vec<Entry> =
        serde_json::from_slice(body).map_err(|error| format!("the batch is not understood: {error}"))?;
    if entries.is_empty() || entries.len() > BATCH_MAX_MESSAGES {
        return Err(format!("a batch holds 1 to {BATCH_MAX_MESSAGES} messages"));
    }
    entries.into_iter().map(Entry::into_message).collect()
}

impl Entry {
    fn into_message(self) -> Result<Outgoing, String> {
        if self.user_properties.values().any(|value| value.is_array() || value.is_object()) {
            return Err("UserProperties holds strings, numbers and booleans".to_owned());
        }
        let mut message = self.broker_properties.into_message()?;
        message.facts.properties = self.user_properties;
        message.body = self.body.into_bytes();
        Ok(message)
    }
}

fn properties(headers: &HeaderMap) -> Result<Map<String, Value>, String> {
    let mut properties = Map::new();
    for (name, value) in headers {
        let name = name.as_str();
        if NOT_PROPERTIES.contains(&name) || NOT_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        let value = text(name, value)?;
        // The reference writes text in double quotes; text without them is taken as it stands.
        let bare = serde_json::from_str::<String>(value).unwrap_or_else(|_| value.to_owned());
        properties.insert(name.to_owned(), Value::String(bare));
    }
    if properties.len() > PROPERTIES_MAX {
        return Err(format!("more than {PROPERTIES_MAX} properties"));
    }
    Ok(properties)
}

fn text<'a>(name: &str, value: &'a http::HeaderValue) -> Result<&'a str, String> {
    // Header bytes above ASCII are read as UTF-8: a label may hold any letter.
    std::str::from_utf8(value.as_bytes()).map_err(|_| format!("{name} is not text"))
}
