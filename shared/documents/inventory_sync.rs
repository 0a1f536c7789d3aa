//! Container `stores`, one document: how the last pull of the inventory feed went and what a person allowed.
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Seen, Stored, parse, put, settings::STORE};
use crate::shared::ports::documents::{Container, Documents, ETag, StoreError};

const ID: &str = "inventory-sync";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncState {
    #[default]
    Never,
    /// Begun; whatever interrupts it, the next pull goes on.
    Applying,
    Applied,
    /// It differs too much: nothing is applied until a person approves this very content.
    Held,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InventorySync {
    pub state: SyncState,
    /// How the feed's publisher names its version.
    pub etag: Option<String>,
    /// SHA-256 of its content.
    pub fingerprint: String,
    /// The version of our updates, one for each content that is applied.
    pub version: i64,
    #[serde(with = "time::serde::rfc3339::option")]
    pub at: Option<OffsetDateTime>,
    /// Content that a person lets through, and who.
    pub approved: Option<String>,
    pub approved_by: Option<String>,
    /// Why the last pull failed, if it did; what stands above is then of the one before.
    pub failure: Option<String>,
    pub report: SyncReport,
}

/// What a feed would change, or did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SyncReport {
    pub rows: u64,
    /// Rows that cannot be used.
    pub refused: u64,
    /// Rows that say what is known.
    pub unchanged: u64,
    /// SKUs at a location where they were never counted.
    pub opened: u64,
    /// Rows that say otherwise.
    pub changed: u64,
    /// Those of them that differ by more than the tolerance.
    pub large: u64,
    /// Those of them that leave nothing on a shelf that had something.
    pub zeroed: u64,
    /// Changes that could not be stored; the next pull tries again.
    pub failed: u64,
    /// Why it is held.
    pub held_because: Option<String>,
    /// The first of each.
    pub refusals: Vec<SyncRefusal>,
    pub differences: Vec<SyncDifference>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SyncRefusal {
    pub line: u64,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SyncDifference {
    pub sku: String,
    pub location: String,
    pub on_hand: i64,
    pub feed: i64,
}

impl Stored for InventorySync {
    const SCHEMA: &'static str = "inventory_sync/1";
}

/// # Errors
/// As the port's.
pub async fn read_sync(documents: &dyn Documents) -> Result<Option<Seen<InventorySync>>, StoreError> {
    documents.read(Container::Stores, STORE, ID).await?.map(parse).transpose()
}

/// # Errors
/// As the port's; `Changed` and `Exists` if somebody else was faster.
pub async fn write_sync(
    documents: &dyn Documents,
    sync: &InventorySync,
    seen: Option<&ETag>,
) -> Result<ETag, StoreError> {
    let written = documents.write(Container::Stores, STORE, vec![put(ID, sync, seen, None)?]).await?;
    Ok(written.into_iter().next().unwrap_or(ETag(String::new())))
}
