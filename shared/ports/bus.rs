//! Messages out: queues and topics, by name. Delivery is at least once; consumers keep an inbox key.
use async_trait::async_trait;
use time::OffsetDateTime;

/// One message to a queue or topic declared in `infra/bicep/entities.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Queue or topic name.
    pub destination: String,
    /// The event id; the broker's duplicate window and the consumer's inbox key on it.
    pub id: String,
    /// The aggregate's id where order matters; required by entities that need sessions.
    pub session: Option<String>,
    /// What it is about, e.g. `order.placed`.
    pub subject: String,
    /// Not delivered before this moment.
    pub scheduled: Option<OffsetDateTime>,
    /// JSON text, at most `MESSAGE_MAX_BYTES`.
    pub body: String,
}

/// Largest message accepted by the standard tier, headers included.
/// Source: Service Bus quotas, "Message size for a queue/topic: 256 KB".
pub const MESSAGE_MAX_BYTES: usize = 256 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The broker could not be reached, was too slow or throttled; sending again later is right.
    #[error("the message broker is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Sending this message again can never succeed.
    #[error("the message broker refused the message: {0}")]
    Refused(String),
}

#[async_trait]
pub trait Bus: Send + Sync {
    /// Sends one message; `Ok` means that the broker has it durably.
    ///
    /// # Errors
    /// See [`BusError`].
    async fn send(&self, message: &Message) -> Result<(), BusError>;
}
