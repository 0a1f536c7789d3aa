//! What an order claims before its payment and gives back when it is undone or cancelled whole.
//!
//! One claim in the pool of each limited promotion, one in that of each single-use code, and one in the
//! customer's own pool, by e-mail address and by account, which every order has: that is how a first order is known, and
//! what is bought of SKUs limited by customer lies there as well. A promotion without a limit
//! claims nothing. Each claim stands alone: whoever fails in the middle gives back all of them, and giving back
//! what was not claimed only keeps it from being claimed late.
use futures_util::future::join_all;
use offpeak_domain::{
    allowance::Wanted,
    checkout::{Buyer, Refusal},
    ids::CheckoutId,
    pricing::{Discount, Priced},
    promotion::CouponCode,
    uses::{UseClaim, UseLimits, UseRefusal, UseState},
};

use super::uses::{UseError, claim_use_and_units, release_use_and_units};
use crate::shared::{
    documents::{coupon_codes::code_pool, promo_use::PoolKey},
    operations::customer_limits,
    ports::{Ports, documents::StoreError},
};

/// The fence of a decision after which nothing is claimed for this order any more.
pub const FOR_GOOD: u32 = u32::MAX;

/// One claim of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needed {
    pub pool: PoolKey,
    pub limits: UseLimits,
    /// The customer's keys where the pool counts by customer; else empty.
    pub customers: Vec<String>,
    /// What is taken of SKUs limited by customer; only in a customer's own pool.
    pub bought: Vec<Wanted>,
    /// The promotion and code to name when nothing is left.
    pub blame: Option<(String, Option<CouponCode>)>,
}

/// The claims that belong to an order with these discounts by this customer.
pub fn needed(priced: &Priced, buyer: &Buyer) -> Vec<Needed> {
    let customers = buyer.customer_keys();
    let blame = |it: &Discount| Some((it.promotion.to_string(), it.code.clone()));
    let mut needed = Vec::new();
    for discount in &priced.discounts {
        let limits = discount.limits;
        if limits.total.is_some() || limits.per_customer.is_some() {
            needed.push(Needed {
                pool: PoolKey::promotion(discount.promotion.as_str()),
                limits: UseLimits { total: limits.total, per_customer: limits.per_customer },
                customers: customers.clone(),
                bought: Vec::new(),
                blame: blame(discount),
            });
        }
        if let Some(code) = discount.code.as_ref().filter(|_| limits.single_use_code) {
            let limits = UseLimits { total: Some(1), per_customer: None };
            let (pool, blame) = (code_pool(code), blame(discount));
            needed.push(Needed { pool, limits, customers: Vec::new(), bought: Vec::new(), blame });
        }
    }
    let first = priced.discounts.iter().find(|it| it.limits.first_order);
    let bought = customer_limits::wanted(priced);
    needed.extend(customers.iter().map(|customer| Needed {
        pool: PoolKey::customer(customer),
        limits: UseLimits { total: first.map(|_| 1), per_customer: None },
        customers: Vec::new(),
        bought: bought.clone(),
        blame: first.and_then(blame),
    }));
    needed
}

/// Claims everything an order needs; `Some`: it cannot have it, and what was claimed must be released.
/// `fence` is that of the attempt's run. Repeating it changes nothing.
///
/// # Errors
/// As the store's; `Changed` if a newer run owns this checkout.
pub async fn claim(
    ports: &Ports,
    checkout: CheckoutId,
    fence: u32,
    priced: &Priced,
    buyer: &Buyer,
) -> Result<Option<Refusal>, StoreError> {
    let needed = needed(priced, buyer);
    let claims = needed.iter().map(|it| async move {
        let (order, customers) = (checkout.order(), it.customers.clone());
        let wanted = UseClaim { order, customers, fence, state: UseState::Live };
        claim_use_and_units(ports, &it.pool, &wanted, it.limits, &it.bought).await
    });
    let mut refusal = None;
    // All are waited for, so none is under way when they are released.
    for (needed, done) in needed.iter().zip(join_all(claims).await) {
        match done {
            Ok(()) => {}
            Err(UseError::Refused(UseRefusal::Superseded)) => return Err(superseded(checkout)),
            Err(UseError::Refused(UseRefusal::Exhausted | UseRefusal::ExhaustedForCustomer)) => {
                let (promotion, code) = needed.blame.clone().unwrap_or_default();
                let code = code.map(|it| it.to_string());
                refusal = refusal.or(Some(Refusal::PromotionExhausted { promotion, code }));
            }
            Err(UseError::Exceeded(exceeded)) => {
                refusal = refusal.or(Some(Refusal::AboveCustomerMaximum(*exceeded)));
            }
            Err(UseError::Store(err)) => return Err(err),
        }
    }
    Ok(refusal)
}

/// Gives back all that an order has claimed, once, and lets no claim of this or an older run come later.
/// `fence` is that of the run that undoes the attempt, or [`FOR_GOOD`] for an order that was cancelled whole.
///
/// # Errors
/// As the store's; `Changed` if a newer run owns this checkout.
pub async fn release(
    ports: &Ports,
    checkout: CheckoutId,
    fence: u32,
    priced: &Priced,
    buyer: &Buyer,
) -> Result<(), StoreError> {
    let needed = needed(priced, buyer);
    let releases = needed.iter().map(|it| release_use_and_units(ports, &it.pool, checkout.order(), fence, &it.bought));
    for done in join_all(releases).await {
        match done {
            Ok(()) => {}
            Err(UseError::Store(err)) => return Err(err),
            Err(UseError::Refused(_) | UseError::Exceeded(_)) => return Err(superseded(checkout)),
        }
    }
    Ok(())
}

fn superseded(checkout: CheckoutId) -> StoreError {
    StoreError::Changed { id: format!("uses of {checkout}") }
}
