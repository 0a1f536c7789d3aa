//! The uses of limited promotions and codes: claimed before the payment, given back when it is undone.
use offpeak_domain::checkout::{Attempt, Refusal};

use super::super::CompleteError;
use crate::shared::{
    documents::purchases::StoredCheckout,
    operations::{Shop, promotions::claims},
};

/// Claims what the attempt's discounts need; `Some`: something is used up, and nothing is charged.
pub(in super::super) async fn claim_uses(
    shop: &Shop,
    stored: &StoredCheckout,
    attempt: &Attempt,
) -> Result<Option<Refusal>, CompleteError> {
    let (id, buyer) = (stored.checkout.id, &stored.checkout.buyer);
    Ok(claims::claim(&shop.ports, id, attempt.fence, &attempt.priced, buyer).await?)
}

/// Gives back what the attempt has claimed, and keeps an older run from claiming it late.
pub(in super::super) async fn release_uses(
    shop: &Shop,
    stored: &StoredCheckout,
    attempt: &Attempt,
) -> Result<(), CompleteError> {
    let (id, buyer) = (stored.checkout.id, &stored.checkout.buyer);
    Ok(claims::release(&shop.ports, id, attempt.fence, &attempt.priced, buyer).await?)
}
