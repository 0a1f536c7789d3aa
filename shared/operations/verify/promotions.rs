//! One pool of uses: its counters against its claims, and those against the orders that have the discount (I5).
use std::collections::{BTreeMap, BTreeSet};

use offpeak_domain::{order::Lifecycle, uses::UseState};

use super::{Invariant, Judged, QUIET, VerifyError, Violation};
use crate::shared::{
    documents::{
        promo_use::{self, Entry, PoolKey},
        purchases,
    },
    operations::Shop,
    ports::documents::StoreError,
};

/// Customers of one pool whose counters are kept apart while it is read; beyond them only the sum is checked.
const CUSTOMERS_MAX: usize = 100_000;

/// A page of pools.
pub(super) async fn page(shop: &Shop, after: Option<String>) -> Result<(Vec<PoolKey>, Option<String>), VerifyError> {
    let page = promo_use::counters(shop.ports.documents.as_ref(), after).await?;
    Ok((page.entries.into_iter().map(|(pool, _)| pool).collect(), page.next))
}

pub(super) async fn judge(shop: &Shop, pool: PoolKey) -> Result<Judged, VerifyError> {
    let documents = shop.ports.documents.as_ref();
    let before = promo_use::read_counter(documents, &pool).await?;
    let (mut claims, mut wrong, mut after) = (0_u64, Vec::new(), None);
    // By customer: claims that live, and what their counter says, where there is one.
    let mut customers: BTreeMap<String, (u32, Option<u32>)> = BTreeMap::new();
    // Orders with live claims, and those that have units of limited SKUs.
    let (mut live, mut had) = (BTreeSet::new(), Vec::new());
    let mut add = |detail: String| wrong.push(Violation::new(Invariant::I5, pool.as_str(), detail));
    loop {
        let page = promo_use::pool(documents, &pool, after).await?;
        for (_, entry) in page.entries {
            match entry {
                Entry::Claim(claim) if claim.state == UseState::Live => {
                    claims += 1;
                    live.insert(claim.order);
                    for key in &claim.customers {
                        if customers.len() < CUSTOMERS_MAX || customers.contains_key(key) {
                            customers.entry(key.clone()).or_default().0 += 1;
                        }
                    }
                    if let Some(fault) = without_order(shop, claim.order).await? {
                        add(fault);
                    }
                }
                Entry::Customer { key, live } => {
                    if customers.len() < CUSTOMERS_MAX || customers.contains_key(&key) {
                        customers.entry(key).or_default().1 = Some(live);
                    }
                }
                Entry::Bought(bought) => had.extend(bought.into_iter().map(|it| it.order)),
                Entry::Claim(_) | Entry::Counter { .. } => {}
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    if promo_use::read_counter(documents, &pool).await?.seen != before.seen {
        return Ok(Judged::Busy);
    }
    if u64::from(before.live) != claims {
        add(format!("{} uses are counted, {claims} are claimed", before.live));
    }
    for order in had.iter().filter(|it| !live.contains(it)) {
        add(format!("{order} has units of a limited SKU and claims no use"));
    }
    if customers.len() < CUSTOMERS_MAX {
        // Uses of a pool that is one customer's own are counted once, in all.
        for (claims, counted) in customers.values().filter_map(|(claims, live)| Some((*claims, (*live)?))) {
            if claims != counted {
                add(format!("{counted} uses of one customer are counted, {claims} are claimed"));
            }
        }
    }
    Ok(Judged::of(vec![Invariant::I5], wrong))
}

/// What is wrong with the order that claims a use, if anything is.
async fn without_order(shop: &Shop, id: offpeak_domain::ids::OrderId) -> Result<Option<String>, StoreError> {
    let documents = shop.ports.documents.as_ref();
    let rows = purchases::read_rows(documents, id.checkout()).await?;
    let order = purchases::read_order(documents, id.checkout()).await?.map(|it| it.value);
    let is_busy = shop.ports.clock.now() - rows.changed_at < QUIET;
    Ok(match order {
        _ if is_busy => None,
        None => Some(format!("{id} claims a use and is not there")),
        Some(order) if !order.works.is_empty() => None,
        Some(order) => match order.lifecycle {
            Lifecycle::Placed | Lifecycle::Completed => None,
            // A completion that waits for its buyer.
            Lifecycle::Pending => None,
            other => Some(format!("{id} claims a use and is {}", other.name())),
        },
    })
}
