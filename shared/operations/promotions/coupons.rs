//! Codes on a cart. A code goes on only if it opens something that this cart may have one day; whatever keeps it
//! from taking something off right now is said with the cart. Tries are counted before the code is looked at, so
//! guessing many at once gains nothing.
use std::time::Duration;

use offpeak_domain::{
    cart::CartRefusal,
    ids::CartId,
    pricing::{Priced, SkipReason},
    promotion::CouponCode,
};

use crate::shared::{
    documents::{
        carts::StoredCart,
        code_tries::{self, CodeTries},
    },
    operations::{
        Shop,
        carts::{self, CartError, PricedCart},
    },
    ports::documents::StoreError,
};

/// Tries in vain for one cart within [`WINDOW`].
pub const TRIES_MAX: u32 = 20;
/// From the first try that counts.
pub const WINDOW: Duration = Duration::from_secs(3600);
/// How often a change is applied again because someone else was faster.
const ATTEMPTS_MAX: u32 = 20;

#[derive(Debug, thiserror::Error)]
pub enum CouponError {
    /// The cart is as it was. The reason is a name of `SkipReason`; an unknown code and one that is for other
    /// customers are both `unknown_code`.
    #[error("the code cannot be used: {}", .reason.name())]
    Refused { reason: SkipReason },
    #[error("too many codes were tried")]
    TooManyTries { retry_after_s: u32 },
    #[error(transparent)]
    Cart(#[from] CartError),
}

impl From<StoreError> for CouponError {
    fn from(err: StoreError) -> CouponError {
        CouponError::Cart(err.into())
    }
}

impl From<CartRefusal> for CouponError {
    fn from(err: CartRefusal) -> CouponError {
        CouponError::Cart(err.into())
    }
}

/// Puts a code on the cart; a code that is on it already changes nothing.
///
/// # Errors
/// [`CouponError`].
pub async fn add_code(
    shop: &Shop,
    id: CartId,
    token: &str,
    code: &CouponCode,
    expected: Option<&str>,
) -> Result<PricedCart, CouponError> {
    let seen = carts::open_cart(shop, id, token).await?;
    if !seen.value.cart.codes.contains(code) {
        // A code that was made a moment ago counts.
        shop.promotions.latest(shop.ports.documents.as_ref()).await?;
        let mut tried = seen.value;
        carts::open_lapsed_lock(shop, &mut tried).await?;
        tried.cart.add_code(code)?;
        count_try(shop, id).await?;
        let priced = carts::price_cart(shop, tried.cart, seen.etag).await?;
        if let Some(reason) = refused(&priced.priced, code) {
            return Err(CouponError::Refused { reason });
        }
        forgive_try(shop, id).await;
    }
    // What a code is worth depends on nothing that another change of the cart could spoil.
    let add = |stored: &mut StoredCart| Ok(stored.cart.add_code(code)?);
    Ok(carts::change_cart(shop, id, token, expected, add).await?.0)
}

/// Takes a code off the cart; one that is not on it changes nothing.
///
/// # Errors
/// [`CouponError`].
pub async fn remove_code(
    shop: &Shop,
    id: CartId,
    token: &str,
    code: &CouponCode,
    expected: Option<&str>,
) -> Result<PricedCart, CouponError> {
    let remove = |stored: &mut StoredCart| Ok(stored.cart.remove_code(code)?);
    Ok(carts::change_cart(shop, id, token, expected, remove).await?.0)
}

/// Why a code may not go on the cart. What may still come true (more units, another choice) is no reason.
fn refused(priced: &Priced, code: &CouponCode) -> Option<SkipReason> {
    let skipped = priced.skipped.iter().find(|it| it.code.as_ref() == Some(code))?;
    match &skipped.reason {
        // Whether a code that is for others exists is nobody's business.
        SkipReason::UnknownCode | SkipReason::WrongCustomer => Some(SkipReason::UnknownCode),
        reason @ (SkipReason::NotYet { .. }
        | SkipReason::Expired { .. }
        | SkipReason::Exhausted
        | SkipReason::WrongCurrency
        | SkipReason::AlreadyApplied
        | SkipReason::NotFirstOrder
        | SkipReason::TooMany) => Some(reason.clone()),
        SkipReason::BelowMinimum { .. }
        | SkipReason::TooFewUnits { .. }
        | SkipReason::NotCombinable { .. }
        | SkipReason::GiftUnavailable { .. }
        | SkipReason::NoShippingYet
        | SkipReason::NothingToDiscount => None,
    }
}

/// Counts a try, unless there were too many.
async fn count_try(shop: &Shop, id: CartId) -> Result<(), CouponError> {
    let documents = shop.ports.documents.as_ref();
    for attempt in 0..ATTEMPTS_MAX {
        let now = shop.ports.clock.now();
        let seen = code_tries::read_tries(documents, id).await?;
        let running = seen.as_ref().map(|it| it.value).filter(|it| now < it.since + WINDOW);
        let mut tries = running.unwrap_or(CodeTries { since: now, count: 0 });
        if tries.count >= TRIES_MAX {
            let left = (tries.since + WINDOW - now).whole_seconds();
            return Err(CouponError::TooManyTries { retry_after_s: u32::try_from(left).unwrap_or(0).max(1) });
        }
        tries.count += 1;
        match code_tries::write_tries(documents, id, &tries, seen.as_ref().map(|it| &it.etag), WINDOW).await {
            Ok(()) => return Ok(()),
            Err(StoreError::Changed { .. } | StoreError::Exists { .. }) => wait(attempt).await,
            Err(err) => return Err(err.into()),
        }
    }
    Err(CartError::Changed.into())
}

/// The try was not in vain. If this fails the buyer has one try less.
async fn forgive_try(shop: &Shop, id: CartId) {
    let documents = shop.ports.documents.as_ref();
    if let Ok(Some(seen)) = code_tries::read_tries(documents, id).await {
        let tries = CodeTries { count: seen.value.count.saturating_sub(1), ..seen.value };
        if let Err(err) = code_tries::write_tries(documents, id, &tries, Some(&seen.etag), WINDOW).await {
            tracing::debug!(error = %err, "A try that was not in vain stays counted.");
        }
    }
}

async fn wait(attempt: u32) {
    tokio::time::sleep(Duration::from_millis(u64::from(attempt.min(19)) + 1)).await;
}
