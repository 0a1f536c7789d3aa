//! What a feed would change: every row beside the level as it is.
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use offpeak_domain::{stock::FeedCaution, store::StoreSettings};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::{
    Shop, SyncError,
    lines::{FeedRow, Lines, Row},
};
use crate::shared::{
    documents::{
        inventory_sync::{SyncDifference, SyncRefusal, SyncReport},
        lookups::{self, Name},
    },
    operations::stock,
    ports::{
        documents::StoreError,
        inventory::{Feed, FeedError, FeedFormat},
    },
};

/// Rows of one feed.
const ROWS_MAX: u64 = 500_000;
/// Changes that one pull applies.
const CHANGES_MAX: usize = 100_000;
/// Reads in flight.
const READS_MAX: usize = 32;
/// Of each kind, in the report.
const EXAMPLES_MAX: usize = 100;

/// A whole feed. It is read to its end before any row is looked up: whoever publishes it would not wait.
pub(super) struct Whole {
    pub(super) fingerprint: String,
    format: FeedFormat,
    pieces: Vec<Bytes>,
}

/// What it would change.
pub(super) struct Plan {
    pub(super) changes: Vec<FeedRow>,
    pub(super) report: SyncReport,
}

/// What a row finds.
enum Found {
    /// Units on hand; `None` where it was never counted.
    Level(Option<i64>),
    Unknown(String),
}

pub(super) async fn read(feed: Feed) -> Result<Whole, FeedError> {
    let (mut body, mut pieces, mut hash) = (feed.body, Vec::new(), Sha256::new());
    while let Some(piece) = body.chunk().await? {
        hash.update(&piece);
        pieces.push(piece);
    }
    Ok(Whole { fingerprint: format!("{:x}", hash.finalize()), format: feed.format, pieces })
}

/// Looks up every row, piece by piece; none is begun after `until`, but for the first.
pub(super) async fn compare(shop: &Shop, feed: Whole, until: Instant) -> Result<Plan, SyncError> {
    let settings = shop.settings_latest().await?;
    let mut plan = Plan { changes: Vec::new(), report: SyncReport::default() };
    let mut lines = Lines::new(feed.format);
    for (at, piece) in feed.pieces.into_iter().enumerate() {
        if at > 0 && Instant::now() > until {
            return Err(SyncError::Slow { rows: plan.report.rows });
        }
        let rows = lines.push(&piece)?;
        plan.take(shop, &settings, rows).await?;
    }
    let last = lines.finish()?;
    plan.take(shop, &settings, last.into_iter().collect()).await?;
    plan.report.held_because = plan.doubts(settings.stock.feed);
    Ok(plan)
}

impl Plan {
    async fn take(&mut self, shop: &Shop, settings: &Arc<StoreSettings>, rows: Vec<Row>) -> Result<(), SyncError> {
        let looks: Vec<_> = rows.into_iter().map(|row| look(shop, settings, row)).collect();
        let looked: Vec<_> = stream::iter(looks).buffered(READS_MAX).try_collect().await?;
        for (row, found) in looked {
            self.report.rows += 1;
            if self.report.rows > ROWS_MAX {
                return Err(SyncError::TooManyRows);
            }
            self.note(row, found, settings.stock.feed);
        }
        if self.changes.len() > CHANGES_MAX { Err(SyncError::TooManyRows) } else { Ok(()) }
    }

    fn note(&mut self, row: Row, found: Found, caution: FeedCaution) {
        let report = &mut self.report;
        let refused = match (&row, found) {
            (Err((line, reason)), _) => Some((*line, reason.clone())),
            (Ok(row), Found::Unknown(reason)) => Some((row.line, reason)),
            (Ok(row), Found::Level(None)) => {
                report.opened += 1;
                self.changes.push(row.clone());
                None
            }
            (Ok(row), Found::Level(Some(on_hand))) if on_hand == row.on_hand => {
                report.unchanged += 1;
                None
            }
            (Ok(row), Found::Level(Some(on_hand))) => {
                report.changed += 1;
                report.large += u64::from(caution.is_large(on_hand, row.on_hand));
                report.zeroed += u64::from(row.on_hand == 0 && on_hand > 0);
                if report.differences.len() < EXAMPLES_MAX {
                    let (sku, location) = (row.sku.to_string(), row.location.to_string());
                    report.differences.push(SyncDifference { sku, location, on_hand, feed: row.on_hand });
                }
                self.changes.push(row.clone());
                None
            }
        };
        if let Some((line, reason)) = refused {
            report.refused += 1;
            if report.refusals.len() < EXAMPLES_MAX {
                report.refusals.push(SyncRefusal { line, reason });
            }
        }
    }

    /// Why a person must look first.
    fn doubts(&self, caution: FeedCaution) -> Option<String> {
        let SyncReport { rows, refused, large, zeroed, .. } = &self.report;
        if *rows == 0 {
            return Some("the feed is empty".to_owned());
        }
        let above = |count: u64, percent: u32| count * 100 > rows * u64::from(percent);
        if above(*zeroed, caution.zeroed_percent) {
            return Some(format!("{zeroed} of {rows} rows would leave a shelf empty"));
        }
        if above(*large, caution.large_percent) {
            return Some(format!("{large} of {rows} rows differ by more than is usual"));
        }
        above(*refused, caution.large_percent).then(|| format!("{refused} of {rows} rows cannot be used"))
    }
}

async fn look(shop: &Shop, settings: &StoreSettings, row: Row) -> Result<(Row, Found), StoreError> {
    let Ok(wanted) = &row else { return Ok((row, Found::Level(None))) };
    if !settings.stock.has(&wanted.location) {
        let found = Found::Unknown(format!("the store has no location {}", wanted.location));
        return Ok((row, found));
    }
    let found = match stock::level(&shop.ports, &wanted.sku).await? {
        Some(seen) => Found::Level(seen.value.by_location.get(&wanted.location).map(|level| level.on_hand)),
        None => match lookups::find(shop.ports.documents.as_ref(), &Name::sku(&wanted.sku)).await? {
            Some(_) => Found::Level(None),
            None => Found::Unknown(format!("SKU {} is in no product and was never counted", wanted.sku)),
        },
    };
    Ok((row, found))
}
