//! The cart of a purchase: locked while it is being paid for, opened again, marked as ordered.
use offpeak_domain::{
    cart::{Cart, CartState},
    checkout::Attempt,
    ids::CheckoutId,
};

use super::super::CompleteError;
use crate::shared::{
    documents::{
        Seen,
        carts::{StoredCart, read_cart, write_cart},
        purchases::{self, StoredCheckout},
    },
    operations::Shop,
    ports::documents::StoreError,
};

const CONFLICTS_MAX: u32 = 10;

/// Locks the cart for this attempt and answers it; `None` if it no longer holds what was priced. `priced` is the
/// cart as it was read before the attempt began: any later run has changed it, so it needs no second look.
pub(in super::super) async fn lock_cart(
    shop: &Shop,
    owned: &Seen<StoredCheckout>,
    attempt: &Attempt,
    mut priced: Option<Seen<StoredCart>>,
) -> Result<Option<Seen<StoredCart>>, CompleteError> {
    for _ in 0..CONFLICTS_MAX {
        let mut seen = match priced.take() {
            Some(seen) => seen,
            None => match read_own_cart(shop, owned).await? {
                Some(seen) => seen,
                None => return Ok(None),
            },
        };
        if !same_lines(&seen.value.cart, attempt) {
            return Ok(None);
        }
        if matches!(seen.value.cart.state, CartState::Ordered { .. } | CartState::Merged { .. }) {
            return Ok(None);
        }
        seen.value.cart.state = CartState::Locked { until: attempt.hold_until, attempt: attempt.number };
        match write_cart(shop.ports.documents.as_ref(), &seen.value, Some(&seen.etag), shop.ports.clock.now()).await {
            Ok(etag) => return Ok(Some(Seen { etag, ..seen })),
            Err(StoreError::Changed { .. }) => {}
            Err(err) => return Err(err.into()),
        }
    }
    Ok(None)
}

fn same_lines(cart: &Cart, attempt: &Attempt) -> bool {
    let cart = cart.lines.iter().map(|line| (&line.sku, line.quantity));
    let bought = attempt.priced.lines.iter().filter(|line| line.gift_of.is_none());
    cart.eq(bought.map(|line| (&line.sku, line.quantity)))
}

/// Opens the cart again, if it is this attempt that locked it.
pub(in super::super) async fn unlock_cart(shop: &Shop, id: CheckoutId, by: &Attempt) -> Result<(), CompleteError> {
    let mine = |state: &CartState| matches!(state, CartState::Locked { attempt, .. } if *attempt == by.number);
    set_cart_state(shop, id, None, |state| mine(state).then_some(CartState::Open)).await
}

/// The cart, for a run that owns its checkout. Ownership is asked after the cart is read: a run that takes
/// over later changes the cart later, and then the version read here is refused.
async fn read_own_cart(shop: &Shop, owned: &Seen<StoredCheckout>) -> Result<Option<Seen<StoredCart>>, CompleteError> {
    let documents = shop.ports.documents.as_ref();
    let id = owned.value.checkout.id;
    let cart = read_cart(documents, id.cart()).await?;
    let present = purchases::read_checkout(documents, id).await?;
    if present.is_none_or(|it| it.etag != owned.etag) {
        return Err(StoreError::Changed { id: id.to_string() }.into());
    }
    Ok(cart)
}

/// The cart has become an order and refuses every change from now on. `known` is the cart as it was locked.
pub(in super::super) async fn mark_cart_ordered(
    shop: &Shop,
    id: CheckoutId,
    known: Option<Seen<StoredCart>>,
) -> Result<(), CompleteError> {
    let order = id.order();
    let next =
        move |state: &CartState| (!matches!(state, CartState::Ordered { .. })).then_some(CartState::Ordered { order });
    set_cart_state(shop, id, known, next).await
}

async fn set_cart_state(
    shop: &Shop,
    id: CheckoutId,
    mut known: Option<Seen<StoredCart>>,
    next: impl Fn(&CartState) -> Option<CartState>,
) -> Result<(), CompleteError> {
    let documents = shop.ports.documents.as_ref();
    for attempt in 1..=CONFLICTS_MAX {
        let found = match known.take() {
            Some(known) => Some(known),
            None => read_cart(documents, id.cart()).await?,
        };
        let Some(mut seen) = found else { return Ok(()) };
        let Some(state) = next(&seen.value.cart.state) else { return Ok(()) };
        seen.value.cart.state = state;
        match write_cart(documents, &seen.value, Some(&seen.etag), shop.ports.clock.now()).await {
            Ok(_) => return Ok(()),
            Err(StoreError::Changed { .. }) if attempt < CONFLICTS_MAX => {}
            Err(err) => return Err(err.into()),
        }
    }
    Ok(())
}
