//! Finding an order without its token: number and e-mail address, for a while after it was placed.
//!
//! Whatever is wrong, the answer is the same, so nobody learns which orders there are or whose they are. A
//! number has 50 random bits; what could be guessed is the address of a number seen on a parcel, so tries in
//! vain are counted per number, and after [`TRIES_MAX`] of them in an hour nobody opens it that way.
use std::time::Duration;

use offpeak_domain::{
    address::Email,
    ids::OrderId,
    order::{Entry, Order, OrderNumber},
};

use super::{SettingsError, Shop};
use crate::shared::{
    documents::{Seen, lookups, purchases},
    ports::documents::StoreError,
};

/// Tries in vain within an hour before a number opens nothing.
pub const TRIES_MAX: u32 = 10;
/// How often a number is written while orders that share it are faster.
const ROUNDS_MAX: u32 = 5;

#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// No such order, another address, too late, or too many tries.
    #[error("no such order")]
    NotFound,
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The order of this number, if it was sent to this address and placed lately, with its timeline.
///
/// # Errors
/// [`FindError`].
pub async fn find_order(shop: &Shop, number: &str, email: &str) -> Result<(Seen<Order>, Vec<Entry>), FindError> {
    let documents = shop.ports.documents.as_ref();
    // A slip of the tongue is noticed before anything is read.
    let (Ok(number), Ok(email)) = (OrderNumber::parse(number), Email::parse(email)) else {
        return Err(FindError::NotFound);
    };
    let orders = lookups::find_orders(documents, &number).await?;
    if orders.is_empty() || lookups::failed_tries(documents, &number).await? >= TRIES_MAX {
        return Err(FindError::NotFound);
    }
    let settings = shop.settings().await?;
    let open_for = time::Duration::hours(i64::from(settings.guest_lookup_hours));
    let now = shop.ports.clock.now();
    for id in orders {
        let seen = purchases::read_order(documents, id.checkout()).await?;
        let Some(seen) = seen.filter(|it| it.value.lifecycle.was_placed()) else { continue };
        let recent = seen.value.placed_at.is_some_and(|at| now < at + open_for);
        if recent && same_address(&seen.value.buyer.email, &email) {
            let timeline = purchases::read_timeline(documents, id.checkout()).await?;
            return Ok((seen, timeline));
        }
    }
    lookups::add_failed_try(documents, &number).await?;
    Err(FindError::NotFound)
}

/// Lets an order be found by its number. Safe to repeat; done at the placing, and by the look after it.
///
/// # Errors
/// As the store's.
pub async fn remember_number(shop: &Shop, order: OrderId) -> Result<(), StoreError> {
    let documents = shop.ports.documents.as_ref();
    let mut last = StoreError::Changed { id: order.to_string() };
    for round in 0..ROUNDS_MAX {
        if round > 0 {
            tokio::time::sleep(Duration::from_millis(u64::from(round) * 5)).await;
        }
        match lookups::remember_order(documents, order).await {
            Err(err @ (StoreError::Changed { .. } | StoreError::Exists { .. })) => last = err,
            done => return done,
        }
    }
    Err(last)
}

/// Letters' case makes no other address.
fn same_address(one: &Email, other: &Email) -> bool {
    one.as_str().to_lowercase() == other.as_str().to_lowercase()
}
