//! Invariant I5, from what is stored: a pool's counter is the number of its live claims, a customer's count the
//! number of theirs, and an order holds what its discounts need exactly as long as it lives.
//!
//! Only for documents at rest: between claim and placing an order has claims and does not live yet.
use std::collections::BTreeMap;

use offpeak_domain::{
    order::Lifecycle,
    uses::{UseClaim, UseState},
};

use offpeak::shared::{
    documents::{
        promo_use::{self, Entry, PoolKey},
        purchases::{self, Order},
    },
    operations::promotions::claims::needed,
    ports::documents::{Documents, StoreError},
};

/// Claims that are looked at in one pool; a pool with more is checked up to here, and said to be.
const CLAIMS_MAX: usize = 100_000;

/// What is wrong, one line each, over all pools and the orders of their claims.
///
/// # Errors
/// As the store's.
pub(super) async fn check_uses(documents: &dyn Documents) -> Result<Vec<String>, StoreError> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = promo_use::counters(documents, after).await?;
        for (pool, _) in &page.entries {
            found.extend(check_pool(documents, pool).await?);
        }
        after = page.next;
        if after.is_none() {
            return Ok(found);
        }
    }
}

/// What is wrong with one pool, and with the orders that have live claims in it.
///
/// # Errors
/// As the store's.
pub(super) async fn check_pool(documents: &dyn Documents, pool: &PoolKey) -> Result<Vec<String>, StoreError> {
    let (mut counter, mut customers, mut live, mut after) = (0, Vec::new(), Vec::<UseClaim>::new(), None);
    let (mut found, mut bought) = (Vec::new(), Vec::new());
    loop {
        let page = promo_use::pool(documents, pool, after).await?;
        for (_, entry) in page.entries {
            match entry {
                Entry::Counter { live } => counter = live,
                Entry::Customer { key, live } => customers.push((key, live)),
                Entry::Claim(claim) if claim.state == UseState::Live => live.push(claim),
                Entry::Claim(_) => {}
                Entry::Bought(entries) => bought = entries,
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
        if live.len() > CLAIMS_MAX {
            return Ok(vec![format!("{}: more than {CLAIMS_MAX} live claims; not checked", pool.as_str())]);
        }
    }
    let name = pool.as_str();
    if usize::try_from(counter) != Ok(live.len()) {
        found.push(format!("{name}: counts {counter} uses, but {} claims are live", live.len()));
    }
    let mut theirs: BTreeMap<&str, u32> = BTreeMap::new();
    for key in live.iter().flat_map(|it| &it.customers) {
        *theirs.entry(key).or_default() += 1;
    }
    for (key, count) in &customers {
        let claims = theirs.remove(key.as_str()).unwrap_or(0);
        if *count != claims {
            found.push(format!("{name}: counts {count} uses of customer {key}, but {claims} claims are live"));
        }
    }
    found.extend(theirs.keys().map(|key| format!("{name}: the uses of customer {key} are not counted")));
    for it in bought.iter().filter(|it| live.iter().all(|claim| claim.order != it.order)) {
        found.push(format!("{name}: {} units of {} count for {}, which claims no use", it.units, it.sku, it.order));
    }
    for claim in live {
        let order = purchases::read_order(documents, claim.order.checkout()).await?.map(|it| it.value);
        let uses = order.as_ref().is_some_and(|it| lives(it) && needs(it, pool));
        if !uses {
            found.push(format!("{name}: a use is claimed for {}, which has no right to it", claim.order));
        }
    }
    Ok(found)
}

/// What an order needs and does not hold, or holds though it lives no more.
///
/// # Errors
/// As the store's.
pub(super) async fn check_order(documents: &dyn Documents, order: &Order) -> Result<Vec<String>, StoreError> {
    let mut found = Vec::new();
    for needed in needed(&order.priced, &order.buyer) {
        let claim = promo_use::read_claim(documents, &needed.pool, order.id).await?;
        let live = claim.is_some_and(|it| it.value.state == UseState::Live);
        if live != lives(order) {
            let what = if live { "holds a use though it lives no more" } else { "uses what it has not claimed" };
            found.push(format!("{}: {} {what}", needed.pool.as_str(), order.id));
        }
    }
    Ok(found)
}

fn needs(order: &Order, pool: &PoolKey) -> bool {
    needed(&order.priced, &order.buyer).iter().any(|it| it.pool == *pool)
}

/// Whether an order counts as a use of what it was priced with. One that was cancelled whole gives its uses back
/// as a work of its own, so it is at rest only when that is done.
fn lives(order: &Order) -> bool {
    matches!(order.lifecycle, Lifecycle::Placed | Lifecycle::Completed)
}
