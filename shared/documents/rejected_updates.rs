//! Container `idem`, one partition for the queue `stock`: messages that were set aside, with the reason, until an
//! operator has looked. The id follows from the message, so that one which comes again is kept once.
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::{Stored, create, parse};
use crate::shared::ports::documents::{Container, Documents, Query, Scope, StoreError};

const PARTITION: &str = "rejected:stock";
/// How long a message is kept.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);
/// What is kept of a message; no update is longer.
const BODY_MAX: usize = 4_096;

/// A message that was set aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RejectedUpdate {
    /// The broker's id of the message.
    pub message_id: Option<String>,
    /// How often it was delivered.
    pub deliveries: u32,
    pub reason: String,
    /// As it was sent, as far as it is text; the first characters.
    pub body: String,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

impl Stored for RejectedUpdate {
    const SCHEMA: &'static str = "rejected_update/1";
}

/// Keeps it, unless it is kept already.
///
/// # Errors
/// As the port's.
pub async fn keep(documents: &dyn Documents, message: &[u8], rejected: &RejectedUpdate) -> Result<(), StoreError> {
    let id = format!("{:x}", Sha256::digest(message));
    match documents.write(Container::Idem, PARTITION, vec![create(id, rejected, Some(KEPT))?]).await {
        Ok(_) | Err(StoreError::Exists { .. }) => Ok(()),
        Err(err) => Err(err),
    }
}

/// The text that is kept of a message.
pub fn kept_text(message: &[u8]) -> String {
    String::from_utf8_lossy(message).chars().take(BODY_MAX).collect()
}

/// A page, and where the next begins. `limit` is 1 to the port's page.
///
/// # Errors
/// As the port's.
pub async fn page(
    documents: &dyn Documents,
    limit: usize,
    after: Option<String>,
) -> Result<(Vec<RejectedUpdate>, Option<String>), StoreError> {
    let query = Query { limit, after, ..Query::default() };
    let page = documents.query(Container::Idem, Scope::Partition(PARTITION), &query).await?;
    let items = page.items.into_iter().map(|it| parse::<RejectedUpdate>(it).map(|seen| seen.value));
    Ok((items.collect::<Result<_, _>>()?, page.next))
}
