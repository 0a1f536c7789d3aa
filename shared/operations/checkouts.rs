//! A checkout is begun, changed and shown. There is one per cart; beginning it again is changing it.
use std::time::Duration;

use offpeak_domain::{
    address::{Address, Destination, Email},
    cart::{Cart, CartRefusal, CartState},
    checkout::{Buyer, Checkout, CheckoutState, customer_keys},
    ids::{CartId, CheckoutId, OrderId},
    pricing::{Priced, PricingError},
    problems::{self, CartProblem},
    sku::Sku,
    store::{ShippingRate, StoreSettings},
};

use super::{
    SettingsError, Shop,
    carts::{self, CartError},
    promotions::quote::{Asked, Freshness, QuoteError, quote},
    taxes::TaxedBasket,
};
use crate::shared::{
    documents::{
        Seen,
        purchases::{self, Order, StoredCheckout},
    },
    ports::documents::{ETag, StoreError},
};

/// How often a change is applied again because someone else was faster.
const ATTEMPTS_MAX: u64 = 10;

/// A checkout as it looks now.
#[derive(Clone, Debug)]
pub struct PricedCheckout {
    pub checkout: Checkout,
    pub etag: ETag,
    pub priced: Priced,
    pub shipping_options: Vec<ShippingRate>,
    pub problems: Vec<CartProblem>,
}

/// What a buyer chooses; `None` leaves what was chosen before.
#[derive(Clone, Debug, Default)]
pub struct Choices {
    pub email: Option<Email>,
    pub shipping_address: Option<Address>,
    pub billing_address: Option<Address>,
    pub shipping_method: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum CheckoutError {
    /// Absent, or the token is not this purchase's.
    #[error("no such checkout")]
    NotFound,
    #[error("the cart is empty")]
    Empty,
    /// `email`, `shippingAddress` and `shippingMethod` are needed to begin.
    #[error("{field} is missing")]
    Missing { field: &'static str },
    /// The method does not reach the address; these do.
    #[error("{method} does not reach the address")]
    ShippingUnavailable { method: String, options: Vec<ShippingRate> },
    #[error("the cart is being paid for")]
    Locked,
    #[error("the cart has been ordered as {order}")]
    Ordered { order: OrderId },
    #[error("another change was faster")]
    Busy,
    #[error(transparent)]
    Cart(#[from] CartError),
    #[error(transparent)]
    Pricing(#[from] PricingError),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<QuoteError> for CheckoutError {
    fn from(err: QuoteError) -> CheckoutError {
        match err {
            QuoteError::Pricing(err) => err.into(),
            QuoteError::Store(err) => err.into(),
        }
    }
}

/// Begins the checkout of a cart, or changes it. Answers whether it is new.
///
/// # Errors
/// [`CheckoutError`].
pub async fn start_checkout(
    shop: &Shop,
    cart: CartId,
    token: &str,
    choices: &Choices,
) -> Result<(bool, PricedCheckout), CheckoutError> {
    let seen = carts::open_cart(shop, cart, token).await.map_err(|err| match err {
        CartError::NotFound => CheckoutError::NotFound,
        other => other.into(),
    })?;
    let stored = seen.value;
    if let CartState::Ordered { order } = stored.cart.state {
        return Err(CheckoutError::Ordered { order });
    }
    if let CartState::Merged { into } = stored.cart.state {
        return Err(CartError::Refused(CartRefusal::Merged { into }).into());
    }
    if stored.cart.lines.is_empty() {
        return Err(CheckoutError::Empty);
    }
    let (new, seen) = write_choices(shop, cart.checkout(), &stored.token_hash, choices, true).await?;
    Ok((new, price_checkout(shop, seen.value.checkout, seen.etag, &stored.cart).await?))
}

/// Changes what was chosen.
///
/// # Errors
/// [`CheckoutError`].
pub async fn change_checkout(
    shop: &Shop,
    id: CheckoutId,
    token: &str,
    choices: &Choices,
) -> Result<PricedCheckout, CheckoutError> {
    let stored = open_checkout(shop, id, token).await?.value;
    let (_, seen) = write_choices(shop, id, &stored.token_hash, choices, false).await?;
    show(shop, seen, token).await
}

/// The checkout as it looks now.
///
/// # Errors
/// [`CheckoutError`].
pub async fn get_checkout(shop: &Shop, id: CheckoutId, token: &str) -> Result<PricedCheckout, CheckoutError> {
    let seen = open_checkout(shop, id, token).await?;
    show(shop, seen, token).await
}

/// A placed order, if the token opens it.
///
/// # Errors
/// [`CheckoutError`].
pub async fn get_order(shop: &Shop, id: OrderId, token: &str) -> Result<Seen<Order>, CheckoutError> {
    let seen = purchases::read_order(shop.ports.documents.as_ref(), id.checkout()).await?;
    let seen = seen.ok_or(CheckoutError::NotFound)?;
    if seen.value.lifecycle.was_placed() && carts::opens(token, &seen.value.token_hash) {
        Ok(seen)
    } else {
        Err(CheckoutError::NotFound)
    }
}

/// The checkout, if the token opens it.
pub(super) async fn open_checkout(
    shop: &Shop,
    id: CheckoutId,
    token: &str,
) -> Result<Seen<StoredCheckout>, CheckoutError> {
    let seen = purchases::read_checkout(shop.ports.documents.as_ref(), id).await?.ok_or(CheckoutError::NotFound)?;
    if carts::opens(token, &seen.value.token_hash) { Ok(seen) } else { Err(CheckoutError::NotFound) }
}

/// Upsert by the derived id: whoever is second changes what the first began.
async fn write_choices(
    shop: &Shop,
    id: CheckoutId,
    token_hash: &str,
    choices: &Choices,
    may_create: bool,
) -> Result<(bool, Seen<StoredCheckout>), CheckoutError> {
    let documents = shop.ports.documents.as_ref();
    let settings = shop.settings().await?;
    for attempt in 1..=ATTEMPTS_MAX {
        let before = purchases::read_checkout(documents, id).await?;
        if before.is_none() && !may_create {
            return Err(CheckoutError::NotFound);
        }
        let choices = with_pickup(&settings, before.as_ref().map(|it| &it.value.checkout), choices);
        let stored = apply(before.as_ref().map(|it| &it.value), id, token_hash, &choices)?;
        // What was chosen before and no longer reaches is a problem of the checkout, not of this change.
        if choices.shipping_address.is_some() || choices.shipping_method.is_some() {
            must_reach(&settings, &stored.checkout)?;
        }
        // A repeat changes nothing, so it writes nothing.
        if let Some(before) = before.as_ref().filter(|it| it.value == stored) {
            return Ok((false, before.clone()));
        }
        let seen = before.as_ref().map(|it| &it.etag);
        let write = purchases::put_checkout(&stored, seen, shop.ports.clock.now())?;
        match purchases::write(documents, id, vec![write]).await {
            Ok(etags) => {
                let etag = etags.into_iter().next().unwrap_or(ETag(String::new()));
                return Ok((before.is_none(), Seen { value: stored, etag }));
            }
            Err(StoreError::Exists { .. } | StoreError::Changed { .. }) => {
                tokio::time::sleep(Duration::from_millis(attempt)).await;
            }
            Err(err) => return Err(err.into()),
        }
    }
    Err(CheckoutError::Busy)
}

/// Whoever collects needs no address: the place's own stands for it.
fn with_pickup(settings: &StoreSettings, before: Option<&Checkout>, choices: &Choices) -> Choices {
    let mut choices = choices.clone();
    let pickup = choices.shipping_method.as_ref().and_then(|method| {
        let mut rates = settings.shipping.iter().filter(|it| it.method == *method);
        rates.find_map(|it| it.pickup.as_ref())
    });
    if let Some(pickup) = pickup
        && before.is_none()
        && choices.shipping_address.is_none()
    {
        choices.shipping_address = Some(pickup.address.clone());
    }
    choices
}

fn apply(
    before: Option<&StoredCheckout>,
    id: CheckoutId,
    token_hash: &str,
    choices: &Choices,
) -> Result<StoredCheckout, CheckoutError> {
    let missing = |field| CheckoutError::Missing { field };
    let Some(before) = before else {
        let buyer = Buyer {
            email: choices.email.clone().ok_or_else(|| missing("email"))?,
            shipping_address: choices.shipping_address.clone().ok_or_else(|| missing("shippingAddress"))?,
            billing_address: choices.billing_address.clone(),
            account: None,
        };
        let shipping_method = choices.shipping_method.clone().ok_or_else(|| missing("shippingMethod"))?;
        let state = CheckoutState::Open;
        let checkout = Checkout { id, buyer, shipping_method, state, attempts: 0, fence: 0, last: None };
        return Ok(StoredCheckout { checkout, token_hash: token_hash.to_owned() });
    };
    match before.checkout.state {
        CheckoutState::Open => {}
        CheckoutState::Completing(_) => return Err(CheckoutError::Locked),
        CheckoutState::Placed { .. } => return Err(CheckoutError::Ordered { order: id.order() }),
    }
    let mut after = before.clone();
    let Checkout { buyer, shipping_method, .. } = &mut after.checkout;
    if let Some(email) = &choices.email {
        buyer.email = email.clone();
    }
    if let Some(address) = &choices.shipping_address {
        buyer.shipping_address = address.clone();
    }
    if let Some(address) = &choices.billing_address {
        buyer.billing_address = Some(address.clone());
    }
    if let Some(method) = &choices.shipping_method {
        shipping_method.clone_from(method);
    }
    Ok(after)
}

/// The chosen method, if it still reaches the address; else it is a problem.
pub(super) fn reaching<'a>(
    settings: &StoreSettings,
    destination: &Destination,
    method: &'a str,
    problems: &mut Vec<CartProblem>,
) -> Option<&'a str> {
    if settings.shipping_options(destination).iter().any(|it| it.method == method) {
        return Some(method);
    }
    problems.push(CartProblem::ShippingUnavailable { method: method.to_owned() });
    None
}

fn must_reach(settings: &StoreSettings, checkout: &Checkout) -> Result<(), CheckoutError> {
    let destination = Destination::from(&checkout.buyer.shipping_address);
    let options = settings.shipping_options(&destination);
    let Some(rate) = options.iter().find(|it| it.method == checkout.shipping_method) else {
        return Err(CheckoutError::ShippingUnavailable {
            method: checkout.shipping_method.clone(),
            options: options.into_iter().cloned().collect(),
        });
    };
    // Goods are not sent to the place where someone else would collect them.
    let to_pickup =
        |it: &ShippingRate| it.pickup.as_ref().is_some_and(|it| it.address == checkout.buyer.shipping_address);
    if rate.pickup.is_none() && settings.shipping.iter().any(to_pickup) {
        return Err(CheckoutError::Missing { field: "shippingAddress" });
    }
    Ok(())
}

async fn show(shop: &Shop, seen: Seen<StoredCheckout>, token: &str) -> Result<PricedCheckout, CheckoutError> {
    let Seen { value: StoredCheckout { checkout, .. }, etag } = seen;
    let frozen = match &checkout.state {
        CheckoutState::Open => None,
        CheckoutState::Completing(attempt) => Some(attempt.priced.clone()),
        CheckoutState::Placed { .. } => {
            let order = purchases::read_order(shop.ports.documents.as_ref(), checkout.id).await?;
            order.map(|it| it.value.priced)
        }
    };
    if let Some(priced) = frozen {
        let settings = shop.settings().await?;
        let shipping_options = options(&settings, &checkout);
        return Ok(PricedCheckout { checkout, etag, priced, shipping_options, problems: Vec::new() });
    }
    let cart = match carts::open_cart(shop, checkout.id.cart(), token).await {
        Ok(seen) => seen.value.cart,
        Err(CartError::NotFound) => return Err(CheckoutError::NotFound),
        Err(err) => return Err(err.into()),
    };
    price_checkout(shop, checkout, etag, &cart).await
}

async fn price_checkout(
    shop: &Shop,
    checkout: Checkout,
    etag: ETag,
    cart: &Cart,
) -> Result<PricedCheckout, CheckoutError> {
    let settings = shop.settings().await?;
    let skus: Vec<Sku> = cart.lines.iter().map(|line| line.sku.clone()).collect();
    let offers = shop.catalogue.offers(&skus).await?;
    let customers = customer_keys(Some(&checkout.buyer.email), cart.owner.as_deref());
    let mut problems = carts::problems(shop, &settings, cart, &offers, &customers).await?;
    let lines = carts::sellable(cart, &offers);
    let destination = Destination::from(&checkout.buyer.shipping_address);
    let method = reaching(&settings, &destination, &checkout.shipping_method, &mut problems);
    let taxes =
        shop.taxes.shown(&settings, &TaxedBasket { lines: &lines, destination: Some(&destination), method }).await?;
    let asked = Asked {
        lines: &lines,
        codes: &cart.codes,
        groups: &cart.groups,
        order: Some(checkout.id.order()),
        customers: &customers,
        destination: Some(&destination),
        method,
        taxes: taxes.provided.as_deref(),
    };
    let priced = quote(shop, &settings, &asked, Freshness::Browsing).await?;
    problems::of_pricing(&priced, &mut problems);
    if taxes.estimated {
        problems.push(CartProblem::TaxEstimated);
    }
    let shipping_options = options(&settings, &checkout);
    Ok(PricedCheckout { checkout, etag, priced, shipping_options, problems })
}

fn options(settings: &StoreSettings, checkout: &Checkout) -> Vec<ShippingRate> {
    let destination = Destination::from(&checkout.buyer.shipping_address);
    settings.shipping_options(&destination).into_iter().cloned().collect()
}
