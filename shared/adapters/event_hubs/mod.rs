//! Events out to Event Hubs, or to the dev host, by the REST call that both answer. Events count as sent only after the
//! broker's 201. There is no crate for it that goes with the store's SDK, so the few lines of the call are our own.
//!
//! A send that the broker did not answer, or turned away for the moment, is made once more if there is time; events may
//! come twice, which whoever reads them has to stand anyway. While the broker has too much to do nothing is sent to it.
mod reach;
mod signature;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use reqwest::{
    StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER},
};
use serde::Serialize;
use tokio::time::Instant;

use super::{
    broker_access::Access,
    http_client::{self, HttpClient},
};
use crate::shared::ports::{
    clock::Clock,
    hub::{Hub, HubError, SEND_MAX_BYTES, check_send},
};

/// How long one send may take, with its second try.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// Between the tries.
const PAUSE: Duration = Duration::from_millis(100);
/// What to wait where the broker does not say. Source: Event Hubs, "ServerBusyException": wait for 10 seconds.
const BUSY: Duration = Duration::from_secs(10);
/// Longest wait that is believed.
const BUSY_MAX: Duration = Duration::from_secs(60);
/// Source: Event Hubs REST reference, "Send event" and "Send batch events".
const ONE: &str = "application/atom+xml;type=entry;charset=utf-8";
const BATCH: &str = "application/vnd.microsoft.servicebus.json";
const BROKER_PROPERTIES: &str = "brokerproperties";
/// Bytes of headers and framing that count beside the body.
const FRAME_BYTES: usize = 1024;

#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not the address of a broker: an http or https URL without path, query or user")]
pub struct BadEndpoint(String);

pub struct EventHubs {
    client: HttpClient,
    endpoint: Url,
    access: Access,
    patience: Duration,
    clock: Arc<dyn Clock>,
    /// Until when the broker has asked to be left alone.
    quiet: Mutex<Option<Instant>>,
}

impl EventHubs {
    /// Connects to nothing yet. `endpoint` is `https://NAMESPACE.servicebus.windows.net` or a dev host's address.
    ///
    /// # Errors
    /// `BadEndpoint`.
    pub fn new(
        client: HttpClient,
        endpoint: Url,
        access: Access,
        clock: Arc<dyn Clock>,
        patience: Duration,
    ) -> Result<EventHubs, BadEndpoint> {
        let bare = endpoint.path() == "/" && endpoint.query().is_none() && endpoint.username().is_empty();
        if !bare || !matches!(endpoint.scheme(), "http" | "https") || endpoint.host_str().is_none() {
            return Err(BadEndpoint(endpoint.to_string()));
        }
        Ok(EventHubs { client, endpoint, access, patience, clock, quiet: Mutex::default() })
    }

    fn quiet(&self) -> Option<Duration> {
        let until = *self.quiet.lock().unwrap_or_else(PoisonError::into_inner);
        until.map(|it| it.saturating_duration_since(Instant::now())).filter(|it| !it.is_zero())
    }

    async fn authorisation(&self, url: &Url) -> Result<String, Failed> {
        match &self.access {
            Access::Policy { name, key } => Ok(signature::sign(url.as_str(), name, key, self.clock.now())),
            Access::Identity(tokens) => match tokens.token().await {
                Ok(token) => Ok(format!("Bearer {token}")),
                Err(source) => Err(Failed::Again(source)),
            },
        }
    }

    async fn try_once(&self, hub: &str, sent: &Sent) -> Result<(), Failed> {
        let mut url = self.endpoint.clone();
        url.set_path(&format!("{hub}/messages"));
        let authorisation = self.authorisation(&url).await?;
        let client = self.client.get().map_err(|err| Failed::Again(err.into()))?;
        let mut sending = client.post(url).timeout(self.patience).body(sent.body.clone());
        sending = sending.header(AUTHORIZATION, authorisation).header(CONTENT_TYPE, sent.content_type);
        if let Some(properties) = &sent.properties {
            sending = sending.header(BROKER_PROPERTIES, properties);
        }
        // The address may name what is not the log's to know.
        let answer = sending.send().await.map_err(|err| Failed::Again(err.without_url().into()))?;
        let (status, wait) = (answer.status(), retry_after(&answer));
        let broker = || Failed::Again(format!("the broker answers {status} in place of 201").into());
        match status {
            StatusCode::CREATED => Ok(()),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                Err(Failed::Busy(wait.unwrap_or(BUSY).min(BUSY_MAX)))
            }
            StatusCode::REQUEST_TIMEOUT => Err(broker()),
            status if status.is_client_error() => {
                // Read so that the connection serves again; what it says may repeat what was sent.
                http_client::body(answer).await.ok();
                Err(Failed::Refused { status, reason: format!("{hub} answers {status}: {}", advice(status)) })
            }
            _ => Err(broker()),
        }
    }

    async fn insist(&self, hub: &str, sent: &Sent) -> Result<(), HubError> {
        let first = match self.try_once(hub, sent).await {
            Err(Failed::Again(_)) => {
                tokio::time::sleep(PAUSE).await;
                self.try_once(hub, sent).await
            }
            other => other,
        };
        first.map_err(|failed| match failed {
            Failed::Refused { reason, .. } => HubError::Refused(reason),
            Failed::Again(source) => HubError::Unavailable { wait: Duration::from_secs(1), source },
            Failed::Busy(wait) => {
                *self.quiet.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + wait);
                HubError::Unavailable { wait, source: Box::new(Busy) }
            }
        })
    }
}

impl fmt::Debug for EventHubs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { endpoint, access, .. } = self;
        f.debug_struct("EventHubs")
            .field("endpoint", &endpoint.as_str())
            .field("access", access)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Hub for EventHubs {
    async fn send(&self, hub: &str, key: &str, events: &[String]) -> Result<(), HubError> {
        check_send(hub, key, events)?;
        let sent = Sent::new(key, events)?;
        if let Some(wait) = self.quiet() {
            return Err(HubError::Unavailable { wait, source: Box::new(Busy) });
        }
        let sending = self.insist(hub, &sent);
        let slow = |slow| HubError::Unavailable { wait: Duration::from_secs(1), source: Box::new(slow) };
        tokio::time::timeout(self.patience, sending).await.map_err(slow)?
    }
}

/// Why one try did not do.
enum Failed {
    /// Not known to be stored; worth another try.
    Again(Box<dyn std::error::Error + Send + Sync>),
    Busy(Duration),
    Refused {
        status: StatusCode,
        reason: String,
    },
}

#[derive(Debug, thiserror::Error)]
#[error("the broker has too much to do")]
struct Busy;

fn retry_after(answer: &reqwest::Response) -> Option<Duration> {
    let seconds = answer.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// What to look at.
fn advice(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => {
            "OFFPEAK_HUB_KEY_NAME and OFFPEAK_HUB_KEY, or the role Azure Event Hubs Data Sender, and this machine's clock"
        }
        StatusCode::FORBIDDEN => "the role Azure Event Hubs Data Sender, and the namespace's network rules",
        StatusCode::NOT_FOUND => "OFFPEAK_HUB_ENDPOINT, and whether the namespace has this hub",
        StatusCode::PAYLOAD_TOO_LARGE => "the tier, which says how large a send may be",
        _ => "the broker's own log has the reason",
    }
}

/// One request.
struct Sent {
    content_type: &'static str,
    properties: Option<String>,
    body: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Properties<'a> {
    partition_key: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<'a> {
    body: &'a str,
    broker_properties: Properties<'a>,
}

impl Sent {
    fn new(key: &str, events: &[String]) -> Result<Sent, HubError> {
        let json = |it: serde_json::Result<String>| it.map_err(|err| HubError::Refused(err.to_string()));
        let sent = match events {
            [one] => {
                let properties = json(serde_json::to_string(&Properties { partition_key: key }))?;
                Sent { content_type: ONE, properties: Some(properties), body: one.clone() }
            }
            many => {
                let entry = |body| Entry { body, broker_properties: Properties { partition_key: key } };
                let entries: Vec<Entry<'_>> = many.iter().map(|it| entry(it)).collect();
                Sent { content_type: BATCH, properties: None, body: json(serde_json::to_string(&entries))? }
            }
        };
        let bytes = sent.body.len() + FRAME_BYTES;
        if bytes > SEND_MAX_BYTES {
            return Err(HubError::Refused(format!("{} events have {bytes} of {SEND_MAX_BYTES} bytes", events.len())));
        }
        Ok(sent)
    }
}
