//! The stock of a purchase: held, promised for good, given back.
use std::collections::BTreeMap;

use offpeak_domain::{
    checkout::{Attempt, Refusal, Shortage},
    ids::CheckoutId,
    sku::Sku,
    stock::{Allocation, Hold, Location, Part, Rule, StockRefusal},
};

use super::super::CompleteError;
use crate::shared::{
    documents::Seen,
    operations::{
        Shop,
        stock::{self, StockError},
    },
    ports::documents::StoreError,
};

/// Holds as a run has written them, by SKU.
pub(in super::super) type Holds = BTreeMap<Sku, Seen<Hold>>;

/// Holds every line until the attempt's `hold_until`, in the order of SKUs. All short lines are named.
pub(in super::super) async fn hold_stock(
    shop: &Shop,
    id: CheckoutId,
    attempt: &Attempt,
    holds: &mut Holds,
) -> Result<Option<Refusal>, CompleteError> {
    let from = allocation(shop, attempt).await?;
    let mut short = Vec::new();
    for (sku, units) in units(attempt) {
        let until = attempt.hold_until;
        match stock::hold(&shop.ports, sku, id, units, attempt.fence, until, &from).await {
            Ok(held) => holds.extend(held.map(|it| (sku.clone(), it))),
            Err(err) => note_shortage(err, sku, units, &mut short)?,
        }
    }
    Ok((!short.is_empty()).then_some(Refusal::OutOfStock { short }))
}

/// What became of the goods of an attempt.
pub(in super::super) struct Claimed {
    /// Where each SKU's units are promised.
    pub(in super::super) places: Vec<(Sku, Vec<Part>)>,
    /// Whose hold lapsed and was lost.
    pub(in super::super) short: Vec<Shortage>,
}

/// Promises the held units for good; `beyond` also what is not there, for an order that waits.
pub(in super::super) async fn claim_stock(
    shop: &Shop,
    id: CheckoutId,
    attempt: &Attempt,
    holds: &mut Holds,
    beyond: bool,
) -> Result<Claimed, CompleteError> {
    let from = allocation(shop, attempt).await?;
    let from = if beyond { from.beyond_limits() } else { from };
    let mut claimed = Claimed { places: Vec::new(), short: Vec::new() };
    for (sku, units) in units(attempt) {
        let of = (id, holds.remove(sku));
        match stock::claim_held(&shop.ports, sku, of, units, attempt.fence, &from).await {
            Ok(parts) => claimed.places.push((sku.clone(), parts)),
            Err(err) => note_shortage(err, sku, units, &mut claimed.short)?,
        }
    }
    Ok(claimed)
}

pub(in super::super) async fn release_stock(
    shop: &Shop,
    id: CheckoutId,
    attempt: &Attempt,
) -> Result<(), CompleteError> {
    for (sku, units) in units(attempt) {
        if let Err(err) = stock::release(&shop.ports, sku, id, attempt.fence).await {
            note_shortage(err, sku, units, &mut Vec::new())?;
        }
    }
    Ok(())
}

/// Where the units may come from: what the buyer collects, from the place of collection only.
async fn allocation(shop: &Shop, attempt: &Attempt) -> Result<Allocation, CompleteError> {
    let settings = shop.settings().await?;
    let method = attempt.priced.shipping.as_ref().map(|it| it.method.as_str());
    let rate = settings.shipping.iter().find(|it| Some(it.method.as_str()) == method);
    let pickup = rate.and_then(|it| it.pickup.as_ref()).map(|it| Location::parse(&it.location));
    Ok(match pickup {
        None => settings.stock.delivery(),
        // A place that cannot be has nothing.
        Some(location) => location.map_or_else(|_| Allocation::new(Rule::Priority, Vec::new()), Allocation::only),
    })
}

/// Units of each SKU, a gift's with those that are bought. One order for everyone, so that two buyers of the
/// same goods never wait for each other crosswise.
fn units(attempt: &Attempt) -> BTreeMap<&Sku, i64> {
    let mut units = BTreeMap::new();
    for line in &attempt.priced.lines {
        *units.entry(&line.sku).or_default() += i64::from(line.quantity.get());
    }
    units
}

fn note_shortage(err: StockError, sku: &Sku, requested: i64, short: &mut Vec<Shortage>) -> Result<(), CompleteError> {
    match err {
        StockError::Refused(StockRefusal::Short { available }) => {
            short.push(Shortage { sku: sku.clone(), requested, available });
            Ok(())
        }
        // Another run owns this checkout now; the checkout's etag will say the same.
        StockError::Refused(StockRefusal::Superseded) => {
            Err(StoreError::Changed { id: format!("hold on {sku}") }.into())
        }
        StockError::Refused(_) | StockError::Changed => {
            Err(StoreError::Refused(format!("stock of {sku} refused a hold")).into())
        }
        StockError::Store(err) => Err(err.into()),
    }
}
