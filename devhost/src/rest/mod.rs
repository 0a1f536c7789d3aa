//! The dev host's own HTTP pages: what a namespace, a payment provider, an issuer and a mailbox would answer.
//!
//! What must stay true: a body is read up to the limit of its page and no further; every fault is a JSON object with one `error`
//! sentence; nothing is answered before what it claims is durable.
mod broker_properties;
pub mod hub_send;
pub mod pages;
pub mod queue_send;

use std::fmt::Display;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Body;
use serde_json::{Value, json};

use crate::brokers::message::BrokerError;

/// The content type of a batch, for queues, topics and hubs alike.
const BATCH: &str = "application/vnd.microsoft.servicebus.json";

fn is_batch(headers: &http::HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    content_type.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(BATCH))
}

/// How long a caller may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// How much of a body that is too long is read and thrown away, so that the caller sees the 413 instead of a broken connection.
const DRAIN_MAX_BYTES: usize = 16 * 1024 * 1024;

/// What a page answers with.
pub type Reply = Response<Full<Bytes>>;

/// A body together with the content type it has.
#[must_use]
pub fn page(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}

/// A JSON answer.
#[must_use]
pub fn json_reply(status: StatusCode, body: &Value) -> Reply {
    page(status, "application/json", body.to_string())
}

/// A fault in one sentence.
#[must_use]
pub fn fault(status: StatusCode, sentence: impl Display) -> Reply {
    json_reply(status, &json!({ "error": sentence.to_string() }))
}

/// 405 with the methods that the page has.
#[must_use]
pub fn wrong_method(allowed: &'static str) -> Reply {
    let mut reply = fault(StatusCode::METHOD_NOT_ALLOWED, format_args!("this page answers {allowed}"));
    reply.headers_mut().insert(HeaderName::from_static("allow"), HeaderValue::from_static(allowed));
    reply
}

/// The answer to a refusal or fault of the brokers; faults of the file are logged here and named to nobody.
#[must_use]
pub fn broker_fault(error: &BrokerError) -> Reply {
    let status = match error {
        BrokerError::UnknownEntity(_) => StatusCode::NOT_FOUND,
        BrokerError::SessionRequired(_) | BrokerError::Invalid(_) => StatusCode::BAD_REQUEST,
        BrokerError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        BrokerError::LockLost => StatusCode::GONE,
        BrokerError::Database(_) | BrokerError::Stored(_) | BrokerError::Entities(_) => {
            tracing::error!(error = error as &dyn std::error::Error, "The brokers failed.");
            return fault(StatusCode::SERVICE_UNAVAILABLE, "the brokers' file failed; see the dev host's log");
        }
    };
    fault(status, error)
}

/// Reads a body of at most `most` bytes.
///
/// # Errors
/// The answer to give: 413 when it is longer, 408 when it does not come in time, 400 when it breaks off.
pub async fn read_body<B>(mut body: B, most: usize) -> Result<Bytes, Reply>
where
    B: Body<Data = Bytes> + Unpin,
{
    let reading = async {
        let (mut read, mut length) = (BytesMut::new(), 0_usize);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| fault(StatusCode::BAD_REQUEST, "the body broke off"))?;
            let Ok(part) = frame.into_data() else { continue };
            length = length.saturating_add(part.len());
            if length <= most {
                read.extend_from_slice(&part);
            } else if length > DRAIN_MAX_BYTES {
                break;
            }
        }
        if length > most {
            return Err(fault(StatusCode::PAYLOAD_TOO_LARGE, format_args!("the body is larger than {most} bytes")));
        }
        Ok(read.freeze())
    };
    tokio::time::timeout(BODY_TIMEOUT, reading)
        .await
        .unwrap_or_else(|_| Err(fault(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time")))
}

/// Writes text for HTML: in an element or in a double-quoted attribute.
#[must_use]
pub fn escape_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
