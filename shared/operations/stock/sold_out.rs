//! SKUs of which nothing was left a moment ago, where processes share a cache: a completion that asks for one is refused
//! before it writes anything, so that a crowd after the last unit costs the store nothing.
//!
//! It only ever refuses, and only for [`SOLD_OUT_FOR`]: what came back by itself is sold again then, and what a process
//! gives back, counts or restocks at once.
use std::time::Duration;

use bytes::Bytes;
use offpeak_domain::{sku::Sku, stock::Levels};
use time::OffsetDateTime;

use crate::shared::ports::{Ports, chain};

/// How long the shop believes that nothing is left.
pub const SOLD_OUT_FOR: Duration = Duration::from_secs(1);

fn key(sku: &Sku) -> String {
    format!("soldout/1:{sku}")
}

/// Which of these were sold out a moment ago; none, if nobody knows. One round trip.
pub async fn known(ports: &Ports, skus: &[&Sku]) -> Vec<bool> {
    let keys: Vec<String> = skus.iter().map(|sku| key(sku)).collect();
    if !ports.cache.is_shared() {
        return vec![false; keys.len()];
    }
    match ports.cache.get(&keys).await {
        Ok(kept) => kept.into_iter().map(|it| it.is_some()).collect(),
        Err(_) => vec![false; keys.len()],
    }
}

/// Whether a unit could be had anywhere.
pub(super) fn is_any_left(levels: &Levels, now: OffsetDateTime) -> bool {
    levels.by_location.values().any(|level| level.available(now) > 0)
}

/// Someone was refused, and nothing is left anywhere.
pub(super) fn note(ports: &Ports, sku: &Sku) {
    if ports.cache.is_shared()
        && let Err(err) = ports.cache.set(&key(sku), Bytes::from_static(b"1"), SOLD_OUT_FOR)
    {
        tracing::debug!(error = %chain(&err), "That a SKU is sold out is not shared.");
    }
}

/// There is something again. A cache that does not hear it forgets by itself.
pub(super) async fn clear(ports: &Ports, sku: &Sku) {
    if ports.cache.is_shared()
        && let Err(err) = ports.cache.delete(&[key(sku)]).await
    {
        tracing::debug!(error = %chain(&err), "A SKU may count as sold out for a moment yet.");
    }
}
