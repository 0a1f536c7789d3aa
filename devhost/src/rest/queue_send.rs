//! `POST /{queueOrTopic}/messages`: send one message. Source: Service Bus REST reference, "Send Message".
//!
//! What must stay true: 201 means that the message is on disk (or that its id was seen within the window). Other headers become the
//! sender's own properties, as text.
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value};

use super::broker_properties::BrokerProperties;
use super::{Reply, broker_fault, fault, page};
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

/// Accepts one message.
pub async fn send(brokers: &Brokers, destination: &str, headers: &HeaderMap, body: Bytes) -> Reply {
    let message = match message(headers, body) {
        Ok(message) => message,
        Err(sentence) => return fault(StatusCode::BAD_REQUEST, sentence),
    };
    match brokers.send(destination, message).await {
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
