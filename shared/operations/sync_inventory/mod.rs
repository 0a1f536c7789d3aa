//! Pulls what another system publishes as its inventory and makes it ours.
//!
//! What must stay true: nothing is applied before the whole feed was read and compared; a feed that differs too
//! much waits for a person, who approves that very content; an interrupted pull goes on where it was, because
//! its updates bear one version; and two pulls at once are harmless.
mod compare;
mod lines;

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use offpeak_domain::stock::sources::{Says, SourceName, Update};
use time::OffsetDateTime;
use tokio::time::Instant;

use self::{
    compare::{Plan, compare, read},
    lines::FeedRow,
};
use super::{SettingsError, Shop, stock};
use crate::shared::{
    documents::inventory_sync::{read_sync, write_sync},
    ports::{
        chain,
        documents::{ETag, StoreError},
        inventory::{FeedError, Fetched, InventoryFeed},
    },
};

pub use crate::shared::documents::{
    Seen,
    inventory_sync::{InventorySync, SyncReport, SyncState},
};
pub use lines::NoColumns;

/// Who the feed's updates say they are from.
const SOURCE: &str = "inventory-feed";
/// Changes in flight.
const WRITES_MAX: usize = 8;
/// After so long a pull leaves the rest to the next: an invocation has 100 s, and the last changes must end in it.
const BUDGET: Duration = Duration::from_secs(80);

#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    #[error(transparent)]
    Feed(#[from] FeedError),
    #[error(transparent)]
    Columns(#[from] NoColumns),
    #[error("the feed has more rows or changes than one pull takes")]
    TooManyRows,
    #[error("the pull's time was over when {rows} rows of the feed were compared, so nothing is applied")]
    Slow { rows: u64 },
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, PartialEq, Eq)]
pub enum Synced {
    /// As at the last pull.
    Unchanged,
    Applied(Box<SyncReport>),
    /// Nothing was applied.
    Held(Box<SyncReport>),
    /// Some changes are left for the next pull.
    Interrupted(Box<SyncReport>),
}

/// What a person says to a feed that is held.
#[derive(Debug, thiserror::Error)]
pub enum ApproveError {
    #[error("no feed is held with this content")]
    NotHeld,
    #[error("the report has changed")]
    Changed,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// # Errors
/// [`SyncError`]; nothing is applied then, and what failed is noted.
pub async fn sync_inventory(shop: &Shop, feed: &dyn InventoryFeed) -> Result<Synced, SyncError> {
    let documents = shop.ports.documents.as_ref();
    let before = read_sync(documents).await?;
    let (sync, seen) = before.map_or_else(Default::default, |it| (it.value, Some(it.etag)));
    match pull(shop, feed, sync.clone(), seen.clone()).await {
        // Another pull was faster.
        Err(SyncError::Store(StoreError::Changed { .. } | StoreError::Exists { .. })) => Ok(Synced::Unchanged),
        Err(err) => {
            let failed = InventorySync { failure: Some(chain(&err)), at: Some(shop.ports.clock.now()), ..sync };
            if let Err(lost) = write_sync(documents, &failed, seen.as_ref()).await {
                tracing::warn!(error = %chain(&lost), "That the inventory feed failed is not noted.");
            }
            Err(err)
        }
        done => done,
    }
}

async fn pull(
    shop: &Shop,
    feed: &dyn InventoryFeed,
    sync: InventorySync,
    seen: Option<ETag>,
) -> Result<Synced, SyncError> {
    let until = Instant::now() + BUDGET;
    let approved = sync.state == SyncState::Held && sync.approved.as_deref() == Some(sync.fingerprint.as_str());
    let settled = matches!(sync.state, SyncState::Applied | SyncState::Held) && !approved;
    let known = sync.etag.as_deref().filter(|_| settled);
    let Fetched::New(fetched) = feed.fetch(known).await? else { return Ok(Synced::Unchanged) };
    let etag = fetched.etag.clone();
    let feed = read(fetched).await?;
    let fingerprint = feed.fingerprint.clone();
    let same = fingerprint == sync.fingerprint;
    if same && settled && sync.failure.is_none() {
        return Ok(Synced::Unchanged);
    }
    let plan = compare(shop, feed, until).await?;
    let now = shop.ports.clock.now();
    let next =
        InventorySync { etag, at: Some(now), failure: None, fingerprint, report: plan.report.clone(), ..sync.clone() };
    // What a person has let through, or what was begun, goes on whatever it looks like now.
    let begun = same && (sync.state == SyncState::Applying || approved);
    if let Some(reason) = plan.report.held_because.as_deref().filter(|_| !begun) {
        tracing::error!(reason, "The inventory feed is held until a person approves it: {reason}.");
        let held = InventorySync { state: SyncState::Held, approved: None, approved_by: None, ..next };
        write_sync(shop.ports.documents.as_ref(), &held, seen.as_ref()).await?;
        return Ok(Synced::Held(Box::new(plan.report)));
    }
    let goes_on = same && sync.state == SyncState::Applying;
    let version = if goes_on { sync.version } else { sync.version + 1 };
    let next = InventorySync { version, state: SyncState::Applying, ..next };
    let seen = write_sync(shop.ports.documents.as_ref(), &next, seen.as_ref()).await?;
    apply(shop, plan, Seen { value: next, etag: seen }, now, until).await
}

async fn apply(
    shop: &Shop,
    plan: Plan,
    begun: Seen<InventorySync>,
    now: OffsetDateTime,
    until: Instant,
) -> Result<Synced, SyncError> {
    let Plan { changes, mut report, .. } = plan;
    let version = begun.value.version;
    let work: Vec<_> = changes.iter().map(|row| change(shop, row, version, now, until)).collect();
    let done: Vec<bool> = stream::iter(work).buffer_unordered(WRITES_MAX).collect().await;
    report.failed = u64::try_from(done.iter().filter(|done| !**done).count()).unwrap_or(u64::MAX);
    let whole = report.failed == 0;
    let state = if whole { SyncState::Applied } else { SyncState::Applying };
    let ended = InventorySync { state, report: report.clone(), ..begun.value };
    write_sync(shop.ports.documents.as_ref(), &ended, Some(&begun.etag)).await?;
    Ok(if whole { Synced::Applied(Box::new(report)) } else { Synced::Interrupted(Box::new(report)) })
}

/// Whether the row is stored; what is not is left for the next pull.
async fn change(shop: &Shop, row: &FeedRow, version: i64, at: OffsetDateTime, until: Instant) -> bool {
    if Instant::now() > until {
        return false;
    }
    let source = SourceName::parse(SOURCE).unwrap_or_else(|_| unreachable!("it is a source's name"));
    let update = Update { source, version, says: Says::Absolute, quantity: row.on_hand, at };
    match stock::update(&shop.ports, &row.sku, &row.location, &update).await {
        Ok(_) => true,
        Err(err) => {
            tracing::warn!(error = %chain(&err), stock.sku = %row.sku, "The feed's level of {} is not stored.", row.sku);
            false
        }
    }
}

/// How the last pull went; `None` before the first.
///
/// # Errors
/// As the store's.
pub async fn last_sync(shop: &Shop) -> Result<Option<Seen<InventorySync>>, StoreError> {
    read_sync(shop.ports.documents.as_ref()).await
}

/// Lets the content with this fingerprint through at the next pull. `expected` is the etag that was read.
///
/// # Errors
/// [`ApproveError`].
pub async fn approve_sync(
    shop: &Shop,
    fingerprint: &str,
    expected: Option<&str>,
    by: &str,
) -> Result<Seen<InventorySync>, ApproveError> {
    let seen = last_sync(shop).await?.ok_or(ApproveError::NotHeld)?;
    if expected.is_some_and(|it| it != seen.etag.0) {
        return Err(ApproveError::Changed);
    }
    if seen.value.state != SyncState::Held || seen.value.fingerprint != fingerprint {
        return Err(ApproveError::NotHeld);
    }
    let (approved, approved_by) = (Some(fingerprint.to_owned()), Some(by.to_owned()));
    let sync = InventorySync { approved, approved_by, ..seen.value };
    match write_sync(shop.ports.documents.as_ref(), &sync, Some(&seen.etag)).await {
        Ok(etag) => Ok(Seen { value: sync, etag }),
        Err(StoreError::Changed { .. }) => Err(ApproveError::Changed),
        Err(err) => Err(err.into()),
    }
}
