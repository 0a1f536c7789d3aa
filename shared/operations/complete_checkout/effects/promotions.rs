//! The limited uses of promotions and codes that a purchase takes: claimed before any money is asked for,
//! given back when no order comes of it.
use offpeak_domain::{
    address::Email,
    checkout::{Attempt, Refusal},
    ids::CheckoutId,
};

use super::super::CompleteError;
use crate::shared::operations::{Shop, promotions::claims};

pub(in super::super) async fn claim_promotions(
    shop: &Shop,
    id: CheckoutId,
    attempt: &Attempt,
    email: &Email,
) -> Result<Option<Refusal>, CompleteError> {
    Ok(claims::claim(&shop.ports, id, attempt.fence, &attempt.priced, email).await?)
}

pub(in super::super) async fn release_promotions(
    shop: &Shop,
    id: CheckoutId,
    attempt: &Attempt,
    email: &Email,
) -> Result<(), CompleteError> {
    Ok(claims::release(&shop.ports, id, attempt.fence, &attempt.priced, email).await?)
}
