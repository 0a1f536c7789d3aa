//! Stock messages that cannot be applied: set aside with their reason, and listed for operators.
use super::{Shop, stock::MovementsError};
use crate::shared::{documents::rejected_updates as kept, ports::documents::StoreError};

pub use crate::shared::documents::rejected_updates::RejectedUpdate;

/// Longest page.
pub const REJECTED_MAX: usize = 100;

/// Keeps a message and why it was not applied; one that comes again is kept once.
///
/// # Errors
/// As the store's: the message should come again.
pub async fn set_aside(
    shop: &Shop,
    message: &[u8],
    message_id: Option<String>,
    deliveries: u32,
    reason: String,
) -> Result<(), StoreError> {
    tracing::warn!(reason, "A stock message is set aside: {reason}");
    let (body, at) = (kept::kept_text(message), shop.ports.clock.now());
    let rejected = RejectedUpdate { message_id, deliveries, reason, body, at };
    kept::keep(shop.ports.documents.as_ref(), message, &rejected).await
}

/// A page of what was set aside in the last 30 days. `limit` is 1 to [`REJECTED_MAX`].
///
/// # Errors
/// `Cursor`, or as the store's.
pub async fn rejected_updates(
    shop: &Shop,
    limit: usize,
    after: Option<String>,
) -> Result<(Vec<RejectedUpdate>, Option<String>), MovementsError> {
    let foreign = after.is_some();
    match kept::page(shop.ports.documents.as_ref(), limit, after).await {
        Err(StoreError::Refused(_)) if foreign => Err(MovementsError::Cursor),
        page => Ok(page?),
    }
}
