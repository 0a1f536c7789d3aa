//! What a message is: as a sender hands it over, and as a receiver gets it.
//!
//! What must stay true: a body is bytes and comes out exactly as it went in; times are milliseconds since 1970-01-01 UTC.
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::entities::EntitiesError;
use crate::database::DatabaseError;

/// Largest message, properties included. Source: Service Bus quotas, "Message size for a queue/topic: 256 KB" (standard tier).
pub const MESSAGE_MAX_BYTES: usize = 256 * 1024;
/// Longest message id and session id. Source: Service Bus quotas.
const ID_MAX_CHARS: usize = 128;
/// Longest life of a message without one of its own: about 100 years, which keeps sums of times far from overflow.
const LIFE_MAX_MS: i64 = 100 * 366 * 86_400_000;

/// Why a broker refused.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    #[error("no queue, topic or hub is named `{0}`")]
    UnknownEntity(String),
    #[error("`{0}` requires a session: set SessionId")]
    SessionRequired(String),
    #[error("{0}")]
    Invalid(String),
    #[error("the message is larger than {0} bytes")]
    TooLarge(usize),
    /// The lock ended, or another receiver has the message; it will come again.
    #[error("the message's lock is lost")]
    LockLost,
    #[error("the broker's file failed")]
    Database(#[from] DatabaseError),
    #[error("a stored message is not understood")]
    Stored(#[from] serde_json::Error),
    #[error(transparent)]
    Entities(#[from] EntitiesError),
}

impl From<rusqlite::Error> for BrokerError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(DatabaseError::Statement(error))
    }
}

/// The properties that travel with a body unchanged.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Also called label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to_session_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition_key: Option<String>,
    /// The sender's own properties: strings, numbers and booleans.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub properties: Map<String, Value>,
}

/// A message on its way in.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outgoing {
    /// Made up when absent.
    pub message_id: Option<String>,
    pub session: Option<String>,
    /// Not before this moment; one in the past is now.
    pub scheduled_ms: Option<i64>,
    pub time_to_live_ms: Option<i64>,
    pub facts: Facts,
    pub body: Vec<u8>,
}

impl Outgoing {
    /// Refuses what Service Bus refuses whatever the entity is.
    ///
    /// # Errors
    /// [`BrokerError::Invalid`] or [`BrokerError::TooLarge`].
    pub fn check(&self) -> Result<(), BrokerError> {
        let too_long = |text: &Option<String>| text.as_ref().is_some_and(|t| t.chars().count() > ID_MAX_CHARS);
        if too_long(&self.message_id) || too_long(&self.session) || too_long(&self.facts.partition_key) {
            return Err(BrokerError::Invalid(format!(
                "MessageId, SessionId and PartitionKey hold at most {ID_MAX_CHARS} characters"
            )));
        }
        if self.message_id.as_ref().is_some_and(String::is_empty) {
            return Err(BrokerError::Invalid("MessageId must not be empty".to_owned()));
        }
        if let (Some(session), Some(key)) = (&self.session, &self.facts.partition_key)
            && session != key
        {
            return Err(BrokerError::Invalid("PartitionKey must equal SessionId".to_owned()));
        }
        if self.time_to_live_ms.is_some_and(|life| life <= 0) {
            return Err(BrokerError::Invalid("TimeToLive must be more than 0".to_owned()));
        }
        let size = self.body.len() + serde_json::to_string(&self.facts)?.len();
        if size > MESSAGE_MAX_BYTES {
            return Err(BrokerError::TooLarge(MESSAGE_MAX_BYTES));
        }
        Ok(())
    }

    /// When a message that becomes visible at `enqueued_ms` in a place with this default dies.
    pub(super) fn expires_ms(&self, enqueued_ms: i64, entity_life_ms: Option<i64>) -> Option<i64> {
        let life = match (self.time_to_live_ms, entity_life_ms) {
            (Some(own), Some(most)) => own.min(most),
            (Some(life), None) | (None, Some(life)) => life,
            (None, None) => return None,
        };
        Some(enqueued_ms + life.min(LIFE_MAX_MS))
    }
}

/// A message under the lock of one receiver.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// A queue's name or `topic/subscription`.
    pub entity: String,
    pub sequence: i64,
    pub token: String,
    /// 1 on the first delivery.
    pub delivery_count: i64,
    pub message_id: String,
    pub session: Option<String>,
    pub enqueued_ms: i64,
    pub expires_ms: Option<i64>,
    pub facts: Facts,
    pub body: Vec<u8>,
}

/// A message that is not delivered any more until someone replays it.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter {
    pub sequence: i64,
    pub reason: String,
    pub delivery_count: i64,
    pub message_id: String,
    pub session: Option<String>,
    pub enqueued_ms: i64,
    pub facts: Facts,
    pub body: Vec<u8>,
}
