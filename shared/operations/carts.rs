//! A cart is read, priced and changed. A change is a command re-applied to whatever the cart is by then,
//! so two tabs lose nothing; it costs one read and one conditional write.
use std::time::Duration;

use offpeak_domain::{
    cart::{Cart, CartRefusal, CartState},
    catalogue::Availability,
    checkout::CheckoutState,
    ids::CartId,
    money::{Currency, Money},
    offer::Offer,
    pricing::{self, Priced, PricingError},
    quantity::Quantity,
    sku::Sku,
};
use subtle::ConstantTimeEq as _;

use super::{SettingsError, Shop, sha256};
use crate::shared::{
    documents::{
        Seen,
        carts::{self, StoredCart},
        purchases,
    },
    ports::documents::{ETag, StoreError},
};

/// How often a change is applied again because someone else was faster.
const ATTEMPTS_MAX: u32 = 20;

/// A cart as it looks now: priced, with what stands between it and an order.
#[derive(Clone, Debug)]
pub struct PricedCart {
    pub cart: Cart,
    pub etag: ETag,
    /// For each line, in order; `None` when it can no longer be bought.
    pub offers: Vec<Option<Offer>>,
    /// The lines that can be bought.
    pub priced: Priced,
    pub problems: Vec<CartProblem>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CartProblem {
    /// Archived, or without a price here.
    Unavailable {
        sku: Sku,
    },
    OutOfStock {
        sku: Sku,
    },
    PriceChanged {
        sku: Sku,
        was: Money,
        now: Money,
    },
}

#[derive(Debug, thiserror::Error)]
pub enum CartError {
    /// Absent, expired, or the token is not this cart's.
    #[error("no such cart")]
    NotFound,
    #[error("{sku} is not for sale")]
    UnknownSku { sku: Sku },
    #[error("this store sells in {store}")]
    WrongCurrency { store: Currency },
    #[error(transparent)]
    Refused(#[from] CartRefusal),
    #[error("the cart has changed")]
    Changed,
    #[error(transparent)]
    Pricing(#[from] PricingError),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Creates an empty cart; answers it with its token, which is shown this once.
///
/// # Errors
/// [`CartError`].
pub async fn create_cart(shop: &Shop, currency: Option<Currency>) -> Result<(PricedCart, String), CartError> {
    let settings = shop.settings().await?;
    if currency.is_some_and(|it| it != settings.currency) {
        return Err(CartError::WrongCurrency { store: settings.currency });
    }
    let token = shop.ports.ids.token();
    let cart = Cart::new(CartId::new(shop.ports.ids.ulid()), settings.currency);
    let stored = StoredCart { cart, token_hash: sha256(&token) };
    let etag = carts::write_cart(shop.ports.documents.as_ref(), &stored, None, shop.ports.clock.now()).await?;
    let priced = price_cart(shop, stored.cart, etag).await?;
    Ok((priced, token))
}

/// # Errors
/// [`CartError`].
pub async fn get_cart(shop: &Shop, id: CartId, token: &str) -> Result<PricedCart, CartError> {
    let seen = open_cart(shop, id, token).await?;
    price_cart(shop, seen.value.cart, seen.etag).await
}

/// Sets the units of one SKU, or removes its line (`None`).
///
/// # Errors
/// [`CartError`]; `Changed` only if `expected` is given and is not the present version.
pub async fn set_cart_line(
    shop: &Shop,
    id: CartId,
    token: &str,
    sku: &Sku,
    quantity: Option<Quantity>,
    expected: Option<&str>,
) -> Result<PricedCart, CartError> {
    let offer = match quantity {
        None => None,
        Some(_) => shop.catalogue.offers(std::slice::from_ref(sku)).await?.pop().flatten(),
    };
    let mut pause = Duration::from_millis(1);
    for _ in 0..ATTEMPTS_MAX {
        let mut seen = open_cart(shop, id, token).await?;
        if expected.is_some_and(|etag| etag != "*" && etag != seen.etag.0) {
            return Err(CartError::Changed);
        }
        open_lapsed_lock(shop, &mut seen.value).await?;
        match (quantity, &offer) {
            (None, _) => seen.value.cart.remove_line(sku)?,
            (Some(quantity), Some(offer)) => seen.value.cart.set_line(sku, quantity, offer.price)?,
            (Some(_), None) => return Err(CartError::UnknownSku { sku: sku.clone() }),
        }
        let now = shop.ports.clock.now();
        match carts::write_cart(shop.ports.documents.as_ref(), &seen.value, Some(&seen.etag), now).await {
            Ok(etag) => return price_cart(shop, seen.value.cart, etag).await,
            Err(StoreError::Changed { .. }) if expected.is_none_or(|it| it == "*") => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(20));
            }
            Err(StoreError::Changed { .. }) => return Err(CartError::Changed),
            Err(err) => return Err(err.into()),
        }
    }
    Err(CartError::Changed)
}

/// The cart, if the token opens it.
pub(super) async fn open_cart(shop: &Shop, id: CartId, token: &str) -> Result<Seen<StoredCart>, CartError> {
    let seen = carts::read_cart(shop.ports.documents.as_ref(), id).await?.ok_or(CartError::NotFound)?;
    if opens(token, &seen.value.token_hash) { Ok(seen) } else { Err(CartError::NotFound) }
}

/// Compares without telling by time how much was right.
pub(super) fn opens(token: &str, token_hash: &str) -> bool {
    sha256(token).as_bytes().ct_eq(token_hash.as_bytes()).into()
}

/// A lock whose time is over says nothing: the checkout is asked, and the cart opened again if no
/// completion is under way. Costs a read in this rare case only.
async fn open_lapsed_lock(shop: &Shop, stored: &mut StoredCart) -> Result<(), CartError> {
    let CartState::Locked { until, .. } = stored.cart.state else { return Ok(()) };
    if shop.ports.clock.now() < until {
        return Ok(());
    }
    let id = stored.cart.id.checkout();
    let checkout = purchases::read_checkout(shop.ports.documents.as_ref(), id).await?;
    match checkout.map(|it| it.value.checkout.state) {
        None | Some(CheckoutState::Open) => stored.cart.state = CartState::Open,
        Some(CheckoutState::Placed { .. }) => stored.cart.state = CartState::Ordered { order: id.order() },
        Some(CheckoutState::Completing(_)) => {}
    }
    Ok(())
}

async fn price_cart(shop: &Shop, cart: Cart, etag: ETag) -> Result<PricedCart, CartError> {
    let settings = shop.settings().await?;
    let skus: Vec<Sku> = cart.lines.iter().map(|line| line.sku.clone()).collect();
    let offers = shop.catalogue.offers(&skus).await?;
    let availability = shop.catalogue.availability(&skus).await?;
    let problems = problems(&cart, &offers, &availability);
    let sellable = sellable(&cart, &offers);
    let priced = pricing::price(&settings, &sellable, None, None)?;
    Ok(PricedCart { cart, etag, offers, priced, problems })
}

/// The lines that can be bought, with their offers.
pub(super) fn sellable(cart: &Cart, offers: &[Option<Offer>]) -> Vec<(Offer, Quantity)> {
    let lines = cart.lines.iter().zip(offers);
    lines.filter_map(|(line, offer)| offer.clone().map(|offer| (offer, line.quantity))).collect()
}

pub(super) fn problems(cart: &Cart, offers: &[Option<Offer>], availability: &[Availability]) -> Vec<CartProblem> {
    let mut problems = Vec::new();
    for (index, line) in cart.lines.iter().enumerate() {
        let sku = line.sku.clone();
        let Some(offer) = offers.get(index).and_then(Option::as_ref) else {
            problems.push(CartProblem::Unavailable { sku });
            continue;
        };
        if offer.price != line.price_when_added {
            problems.push(CartProblem::PriceChanged { sku: sku.clone(), was: line.price_when_added, now: offer.price });
        }
        if availability.get(index) == Some(&Availability::OutOfStock) {
            problems.push(CartProblem::OutOfStock { sku });
        }
    }
    problems
}
