//! A cart is read, priced and changed. A change is a command re-applied to whatever the cart is by then,
//! so two tabs lose nothing; it costs one read and one conditional write.
use std::time::Duration;

use offpeak_domain::{
    cart::{Cart, CartRefusal, CartState, LineChange, LineRefusal},
    checkout::{CheckoutState, customer_keys},
    ids::CartId,
    money::{Currency, Money},
    offer::Offer,
    pricing::{Priced, PricingError},
    problems::{self, CartProblem},
    quantity::Quantity,
    sku::Sku,
    store::StoreSettings,
};
use subtle::ConstantTimeEq as _;

use super::{
    SettingsError, Shop, customer_limits,
    promotions::quote::{Asked, Freshness, QuoteError, quote},
    sha256,
    taxes::TaxedBasket,
};
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

/// What happens if one of several lines cannot be set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Nothing changes.
    #[default]
    AllOrNothing,
    /// The others are set.
    PerLine,
}

#[derive(Debug, thiserror::Error)]
pub enum CartError {
    /// Absent, expired, or the token is not this cart's.
    #[error("no such cart")]
    NotFound,
    /// The first that was refused; nothing was changed.
    #[error("a line cannot be set")]
    Lines { refused: Vec<(usize, LineRefusal)> },
    #[error("this store sells in {store}")]
    WrongCurrency { store: Currency },
    #[error(transparent)]
    Refused(#[from] CartRefusal),
    #[error("the cart has changed")]
    Changed,
    /// Others changed the cart again and again meanwhile.
    #[error("another change was faster")]
    Busy,
    #[error(transparent)]
    Pricing(#[from] PricingError),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<QuoteError> for CartError {
    fn from(err: QuoteError) -> CartError {
        match err {
            QuoteError::Pricing(err) => err.into(),
            QuoteError::Store(err) => err.into(),
        }
    }
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
    let stored = StoredCart::new(cart, sha256(&token));
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
    let changes = [LineChange { sku: sku.clone(), quantity }];
    set_cart_lines(shop, id, token, &changes, Mode::AllOrNothing, expected).await.map(|it| it.0)
}

/// Sets, adds and removes several lines by one write; other lines stay. Answers what became of each change.
///
/// # Errors
/// [`CartError`]; `Lines` with everything that stands in the way if it is all or nothing.
pub async fn set_cart_lines(
    shop: &Shop,
    id: CartId,
    token: &str,
    changes: &[LineChange],
    mode: Mode,
    expected: Option<&str>,
) -> Result<(PricedCart, Vec<Result<(), LineRefusal>>), CartError> {
    let settings = shop.settings().await?;
    let set: Vec<Sku> = changes.iter().filter(|it| it.quantity.is_some()).map(|it| it.sku.clone()).collect();
    let mut offers = shop.catalogue.offers(&set).await?.into_iter();
    let price = |change: &LineChange| {
        change.quantity?;
        offers.next().flatten().map(|it| it.price).filter(|it| it.currency() == settings.currency)
    };
    let prices: Vec<Option<Money>> = changes.iter().map(price).collect();
    change_cart(shop, id, token, expected, |stored| {
        let done = stored.cart.change(changes, &prices, &settings.limits)?;
        let refused: Vec<_> = done.iter().enumerate().filter_map(|(at, it)| Some((at, it.clone().err()?))).collect();
        if mode == Mode::AllOrNothing && !refused.is_empty() {
            return Err(CartError::Lines { refused });
        }
        Ok(done)
    })
    .await
}

/// Applies a change to the cart, and applies it again to whatever the cart is by then when someone else was
/// faster. `expected` is the etag the caller has seen, or `*`; with an etag nothing is applied to another version.
/// A change that changes nothing writes nothing.
///
/// # Errors
/// [`CartError`], among them what `apply` says; `Changed` if `expected` is not the present version.
pub async fn change_cart<T: Send>(
    shop: &Shop,
    id: CartId,
    token: &str,
    expected: Option<&str>,
    mut apply: impl FnMut(&mut StoredCart) -> Result<T, CartError> + Send,
) -> Result<(PricedCart, T), CartError> {
    let mut pause = Duration::from_millis(1);
    for _ in 0..ATTEMPTS_MAX {
        let Seen { value: before, etag } = open_cart(shop, id, token).await?;
        if expected.is_some_and(|it| it != "*" && it != etag.0) {
            return Err(CartError::Changed);
        }
        let mut stored = before.clone();
        open_lapsed_lock(shop, &mut stored).await?;
        price_in_store_currency(shop, &mut stored.cart).await?;
        let done = apply(&mut stored)?;
        if stored == before {
            return Ok((price_cart(shop, stored.cart, etag).await?, done));
        }
        let now = shop.ports.clock.now();
        match carts::write_cart(shop.ports.documents.as_ref(), &stored, Some(&etag), now).await {
            Ok(etag) => return Ok((price_cart(shop, stored.cart, etag).await?, done)),
            Err(StoreError::Changed { .. }) if expected.is_none_or(|it| it == "*") => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(20));
            }
            Err(StoreError::Changed { .. }) => return Err(CartError::Changed),
            Err(err) => return Err(err.into()),
        }
    }
    Err(CartError::Busy)
}

/// An open cart of a store that sells in another currency by now moves with the store at its next change.
pub(super) async fn price_in_store_currency(shop: &Shop, cart: &mut Cart) -> Result<(), CartError> {
    let settings = shop.settings().await?;
    if cart.currency == settings.currency || cart.state != CartState::Open {
        return Ok(());
    }
    let skus: Vec<Sku> = cart.lines.iter().map(|line| line.sku.clone()).collect();
    let offers = shop.catalogue.offers(&skus).await?;
    cart.move_to(settings.currency, |sku| {
        let at = skus.iter().position(|it| it == sku)?;
        offers.get(at)?.as_ref().map(|it| it.price)
    });
    Ok(())
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
pub(super) async fn open_lapsed_lock(shop: &Shop, stored: &mut StoredCart) -> Result<(), CartError> {
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

pub(super) async fn price_cart(shop: &Shop, cart: Cart, etag: ETag) -> Result<PricedCart, CartError> {
    let settings = shop.settings().await?;
    let skus: Vec<Sku> = cart.lines.iter().map(|line| line.sku.clone()).collect();
    let offers = shop.catalogue.offers(&skus).await?;
    let customers = customer_keys(None, cart.owner.as_deref());
    let mut problems = problems(shop, &settings, &cart, &offers, &customers).await?;
    let sellable = sellable(&cart, &offers);
    let basket = TaxedBasket { lines: &sellable, destination: None, method: None };
    let taxes = shop.taxes.shown(&settings, &basket).await?;
    let asked = Asked {
        lines: &sellable,
        codes: &cart.codes,
        groups: &cart.groups,
        order: Some(cart.id.checkout().order()),
        customers: &customers,
        destination: None,
        method: None,
        taxes: taxes.provided.as_deref(),
    };
    let priced = quote(shop, &settings, &asked, Freshness::Browsing).await?;
    problems::of_pricing(&priced, &mut problems);
    if taxes.estimated {
        problems.push(CartProblem::TaxEstimated);
    }
    Ok(PricedCart { cart, etag, offers, priced, problems })
}

/// The lines that can be bought, with their offers.
pub(super) fn sellable(cart: &Cart, offers: &[Option<Offer>]) -> Vec<(Offer, Quantity)> {
    let lines = cart.lines.iter().zip(offers);
    lines.filter_map(|(line, offer)| offer.clone().map(|offer| (offer, line.quantity))).collect()
}

/// What stands between a cart and an order, as far as lines and stock go; stock as it was lately.
pub(super) async fn problems(
    shop: &Shop,
    settings: &StoreSettings,
    cart: &Cart,
    offers: &[Option<Offer>],
    customers: &[String],
) -> Result<Vec<CartProblem>, StoreError> {
    let skus: Vec<Sku> = cart.lines.iter().map(|line| line.sku.clone()).collect();
    let available = shop.catalogue.units(&skus).await?;
    let mut problems = problems::of_lines(&cart.lines, offers, Some(&available), &settings.limits);
    let own = cart.id.checkout().order();
    problems.extend(customer_limits::problems(&shop.ports, &settings.limits, &cart.lines, customers, own).await?);
    if cart.currency != settings.currency {
        problems.push(CartProblem::CurrencyChanged { was: cart.currency, now: settings.currency });
    }
    Ok(problems)
}
