//! What one customer may still buy of limited SKUs, for whoever shows or refuses it. Advisory: what decides is the
//! claim at completion, see `promotions/claims.rs`.
use futures_util::future::try_join_all;
use offpeak_domain::{
    allowance::{self, Bought, Wanted},
    cart::CartLine,
    ids::OrderId,
    order::Order,
    pricing::Priced,
    problems::CartProblem,
    sku::Sku,
    store::QuantityLimits,
};

use crate::shared::{
    documents::promo_use::{self, PoolKey},
    ports::{Ports, documents::StoreError},
};

/// How often a change looks again because someone else was faster.
const ATTEMPTS_MAX: u32 = 20;

/// The limited lines of a purchase, as they were when it was priced; what is given away counts for nothing.
pub fn wanted(priced: &Priced) -> Vec<Wanted> {
    let limited = priced.lines.iter().filter_map(|it| Some((it, it.customer_limit?)));
    limited.map(|(it, limit)| Wanted { sku: it.sku.clone(), units: it.quantity.get(), limit }).collect()
}

/// The lines of a cart that are more than this customer may buy, by each of their names that are known.
///
/// # Errors
/// As the store's.
pub async fn problems(
    ports: &Ports,
    limits: &QuantityLimits,
    lines: &[CartLine],
    customers: &[String],
    own: OrderId,
) -> Result<Vec<CartProblem>, StoreError> {
    let limited = |it: &CartLine| {
        let limit = limits.of_customer(&it.sku)?;
        Some(Wanted { sku: it.sku.clone(), units: it.quantity.get(), limit })
    };
    let wanted: Vec<Wanted> = lines.iter().filter_map(limited).collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let now = ports.clock.now();
    let known = try_join_all(customers.iter().map(|it| read(ports, it))).await?;
    let nothing: Vec<Bought> = Vec::new();
    let worst = |it: &Wanted| {
        let by_name = known.iter().chain([&nothing]).filter_map(|bought| it.exceeds(bought, own, now));
        by_name.min_by_key(|it| it.available)
    };
    Ok(wanted.iter().filter_map(worst).map(CartProblem::AboveCustomerMaximum).collect())
}

async fn read(ports: &Ports, customer: &str) -> Result<Vec<Bought>, StoreError> {
    Ok(promo_use::read_bought(ports.documents.as_ref(), &PoolKey::customer(customer)).await?.0)
}

/// Lets the customer buy again what was cancelled of an order that goes on. A repeat changes nothing.
///
/// # Errors
/// As the store's.
pub async fn give_back_cancelled(ports: &Ports, order: &Order) -> Result<(), StoreError> {
    let kept = kept(order);
    for customer in order.buyer.customer_keys() {
        keep(ports, &PoolKey::customer(&customer), order.id, &kept).await?;
    }
    Ok(())
}

/// Units of each limited SKU that the order has not cancelled.
pub fn kept(order: &Order) -> Vec<(Sku, u32)> {
    let lines = order.priced.lines.iter().zip(&order.units).filter(|(line, _)| line.customer_limit.is_some());
    lines.map(|(line, units)| (line.sku.clone(), units.ordered.saturating_sub(units.cancelled))).collect()
}

async fn keep(ports: &Ports, pool: &PoolKey, order: OrderId, kept: &[(Sku, u32)]) -> Result<(), StoreError> {
    let documents = ports.documents.as_ref();
    for _ in 0..ATTEMPTS_MAX {
        let (bought, etag) = promo_use::read_bought(documents, pool).await?;
        let after = allowance::keep(&bought, order, kept);
        if after == bought {
            return Ok(());
        }
        let write = promo_use::put_bought(&after, etag.as_ref(), ports.clock.now())?;
        match promo_use::write(documents, pool, vec![write]).await {
            Err(StoreError::Changed { .. } | StoreError::Exists { .. }) => {}
            done => return done.map(drop),
        }
    }
    Err(StoreError::Changed { id: format!("what {} has bought", pool.as_str()) })
}
