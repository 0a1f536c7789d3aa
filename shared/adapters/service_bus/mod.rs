//! Messages out to Service Bus, or to the dev host, which answers the same REST call: one `POST` for each
//! message. A message counts as sent only after the broker's 201.
//!
//! Nothing is tried twice here: the outbox keeps what was not sent and knows when to try again.
mod reach;
mod transport;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use azure_core::error::ErrorKind;
use azure_messaging_servicebus::service_bus::{QueueClient, SendMessageOptions};
use serde::Serialize;
use time::{OffsetDateTime, UtcOffset, format_description::BorrowedFormatItem, macros::format_description};

use self::transport::Transport;
use super::{broker_access::Access, http_client::HttpClient};
use crate::shared::ports::bus::{Bus, BusError, MESSAGE_MAX_BYTES, Message};

/// How long one send may take unless the caller says otherwise.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of headers that Service Bus counts beside the broker properties: content type, names, framing.
const HEADERS_BYTES: usize = 512;
/// Source: Service Bus REST reference, "Message Headers and Properties": `Sun, 06 Nov 1994 08:49:37 GMT`.
const HTTP_DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not the address of a message broker: an http or https URL without path, query or user")]
pub struct BadEndpoint(String);

pub struct ServiceBus {
    transport: Arc<dyn azure_core::HttpClient>,
    /// The SDK's part of the address; only its signature shows it.
    namespace: String,
    policy: (String, String),
    patience: Duration,
}

impl ServiceBus {
    /// Connects to nothing yet. `endpoint` is `https://NAMESPACE.servicebus.windows.net` or a dev host's address.
    ///
    /// # Errors
    /// `BadEndpoint`.
    pub fn new(
        client: HttpClient,
        endpoint: &str,
        access: Access,
        patience: Duration,
    ) -> Result<ServiceBus, BadEndpoint> {
        let bad = || BadEndpoint(endpoint.to_owned());
        let url = reqwest::Url::parse(endpoint).map_err(|_| bad())?;
        let bare = url.path() == "/" && url.query().is_none() && url.username().is_empty();
        let host = url.host_str().filter(|_| bare && matches!(url.scheme(), "http" | "https")).ok_or_else(bad)?;
        let namespace = host.split('.').next().unwrap_or(host).to_owned();
        let (policy, tokens) = match access {
            Access::Policy { name, key } => ((name, key), None),
            // The SDK signs whatever it is given; the transport puts the token in the signature's place.
            Access::Identity(tokens) => ((String::new(), String::new()), Some(tokens)),
        };
        Ok(ServiceBus {
            transport: Arc::new(Transport::new(client, url, tokens, patience)),
            namespace,
            policy,
            patience,
        })
    }
}

impl ServiceBus {
    fn client(&self, destination: &str) -> azure_core::Result<QueueClient> {
        let (policy, key) = self.policy.clone();
        QueueClient::new(Arc::clone(&self.transport), &self.namespace, destination, policy, key)
    }
}

impl fmt::Debug for ServiceBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceBus").field("transport", &self.transport).finish_non_exhaustive()
    }
}

#[async_trait]
impl Bus for ServiceBus {
    async fn send(&self, message: &Message) -> Result<(), BusError> {
        let options = options(message)?;
        let client = self.client(&message.destination).map_err(|error| BusError::Refused(error.to_string()))?;
        let sending = client.send_message(&message.body, Some(options));
        match tokio::time::timeout(self.patience, sending).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(translate(message, error)),
            Err(slow) => Err(BusError::Unavailable(Box::new(slow))),
        }
    }
}

/// Sent as the header `BrokerProperties`. The SDK's own type writes a time zone that the reference does not show.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct BrokerProperties<'a> {
    message_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<&'a str>,
    label: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled_enqueue_time_utc: Option<String>,
}

fn options(message: &Message) -> Result<SendMessageOptions, BusError> {
    let destination = &message.destination;
    let plain = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_' | b'.');
    if destination.is_empty() || !destination.bytes().all(plain) {
        return Err(BusError::Refused(format!("{destination:?} is not a queue or topic")));
    }
    let properties = BrokerProperties {
        message_id: &message.id,
        session_id: message.session.as_deref(),
        label: &message.subject,
        scheduled_enqueue_time_utc: message.scheduled.map(http_date).transpose()?,
    };
    let properties = serde_json::to_string(&properties).map_err(|error| BusError::Refused(error.to_string()))?;
    let properties = ascii(&properties);
    let bytes = message.body.len() + properties.len() + HEADERS_BYTES;
    if bytes > MESSAGE_MAX_BYTES {
        return Err(BusError::Refused(format!("message {} has {bytes} of {MESSAGE_MAX_BYTES} bytes", message.id)));
    }
    Ok(SendMessageOptions {
        content_type: Some("application/json".into()),
        broker_properties: None,
        custom_properties: Some([("brokerproperties".to_owned(), properties)].into()),
    })
}

/// Whole seconds, rounded up: a message is never early.
fn http_date(moment: OffsetDateTime) -> Result<String, BusError> {
    let whole = if moment.nanosecond() == 0 { Some(moment) } else { moment.checked_add(time::Duration::SECOND) };
    let refused = || BusError::Refused(format!("{moment} is not a time that can be scheduled"));
    whole.and_then(|it| it.to_offset(UtcOffset::UTC).format(HTTP_DATE).ok()).ok_or_else(refused)
}

/// JSON as a header can carry it: what is not ASCII stands as `\u` escapes.
fn ascii(json: &str) -> String {
    let mut units = [0; 2];
    let mut escaped = String::with_capacity(json.len());
    for it in json.chars() {
        if it.is_ascii() {
            escaped.push(it);
        } else {
            escaped.extend(it.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    escaped
}

/// Too many requests, a broken broker and no connection pass; what the broker says no to stays a no.
fn translate(message: &Message, error: azure_core::Error) -> BusError {
    match error.kind() {
        ErrorKind::HttpResponse { status, .. } => match u16::from(*status) {
            status @ 400..=499 if !matches!(status, 408 | 429) => {
                BusError::Refused(format!("{} answers {status} to message {}", message.destination, message.id))
            }
            _ => BusError::Unavailable(Box::new(error)),
        },
        _ => BusError::Unavailable(Box::new(error)),
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn dates_are_as_the_broker_writes_them_and_never_early() {
        let check = |moment, want: &str| assert_eq!(http_date(moment).unwrap(), want);
        check(datetime!(1994-11-06 08:49:37 UTC), "Sun, 06 Nov 1994 08:49:37 GMT");
        check(datetime!(1994-11-06 08:49:36.000_000_001 UTC), "Sun, 06 Nov 1994 08:49:37 GMT");
        check(datetime!(1994-11-06 09:49:37 +1), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn a_header_is_ascii() {
        let text = serde_json::to_string("é \u{1F6D2} \"\n").unwrap();
        assert_eq!(ascii(&text), r#""\u00e9 \ud83d\uded2 \"\n""#);
    }

    #[test]
    fn an_endpoint_is_an_address_and_nothing_else() {
        let access = || Access::Policy { name: "send".into(), key: "secret".into() };
        let check = |endpoint| ServiceBus::new(HttpClient::default(), endpoint, access(), PATIENCE).is_ok();
        assert!(check("https://shop.servicebus.windows.net") && check("http://127.0.0.1:7071/"));
        for bad in
            ["", "shop", "ftp://a", "http://a/b", "http://a?b", "http://user@a", "sb://shop.servicebus.windows.net"]
        {
            assert!(!check(bad), "{bad}");
        }
    }
}
