//! The stock of a purchase: held, promised for good, given back.
use offpeak_domain::{
    checkout::{Attempt, Refusal, Shortage},
    ids::CheckoutId,
    order::Part,
    sku::Sku,
    stock::StockRefusal,
};

use super::super::CompleteError;
use crate::shared::{
    operations::{
        Shop,
        stock::{self, StockError},
    },
    ports::documents::StoreError,
};

/// Holds every line until the attempt's `hold_until`, in the order of SKUs. All short lines are named.
pub(in super::super) async fn hold_stock(
    shop: &Shop,
    id: CheckoutId,
    attempt: &Attempt,
) -> Result<Option<Refusal>, CompleteError> {
    let mut short = Vec::new();
    for (sku, units) in units(attempt) {
        let held = stock::hold(&shop.ports, sku, id, units, attempt.fence, attempt.hold_until).await;
        note_shortage(held, sku, units, &mut short)?;
    }
    Ok((!short.is_empty()).then_some(Refusal::OutOfStock { short }))
}

/// Promises the held units for good. A hold that lapsed and was lost is a refusal: nothing is captured yet.
pub(in super::super) async fn claim_stock(
    shop: &Shop,
    id: CheckoutId,
    attempt: &Attempt,
) -> Result<Option<Refusal>, CompleteError> {
    let mut short = Vec::new();
    for (sku, units) in units(attempt) {
        let claimed = stock::claim(&shop.ports, sku, id, units, attempt.fence).await;
        note_shortage(claimed, sku, units, &mut short)?;
    }
    Ok((!short.is_empty()).then_some(Refusal::OutOfStock { short }))
}

pub(in super::super) async fn release_stock(
    shop: &Shop,
    id: CheckoutId,
    attempt: &Attempt,
) -> Result<(), CompleteError> {
    for (sku, units) in units(attempt) {
        note_shortage(stock::release(&shop.ports, sku, id, attempt.fence).await, sku, units, &mut Vec::new())?;
    }
    Ok(())
}

/// Where the goods of an attempt are promised.
pub(in super::super) fn allocations(attempt: &Attempt) -> Vec<(Sku, Vec<Part>)> {
    let part = |units| vec![Part { location: stock::MAIN.to_owned(), units }];
    units(attempt).into_iter().map(|(sku, units)| (sku.clone(), part(units))).collect()
}

/// One order for everyone, so that two buyers of the same goods never wait for each other crosswise.
fn units(attempt: &Attempt) -> Vec<(&Sku, i64)> {
    let lines = attempt.priced.lines.iter();
    let mut units: Vec<_> = lines.map(|line| (&line.sku, i64::from(line.quantity.get()))).collect();
    units.sort_unstable();
    units
}

fn note_shortage(
    done: Result<(), StockError>,
    sku: &Sku,
    requested: i64,
    short: &mut Vec<Shortage>,
) -> Result<(), CompleteError> {
    match done {
        Ok(()) => Ok(()),
        Err(StockError::Refused(StockRefusal::Short { available })) => {
            short.push(Shortage { sku: sku.clone(), requested, available });
            Ok(())
        }
        // Another run owns this checkout now; the checkout's etag will say the same.
        Err(StockError::Refused(StockRefusal::Superseded)) => {
            Err(StoreError::Changed { id: format!("hold on {sku}") }.into())
        }
        Err(StockError::Refused(StockRefusal::OutOfRange) | StockError::Changed) => {
            Err(StoreError::Refused(format!("stock of {sku} refused a hold")).into())
        }
        Err(StockError::Store(err)) => Err(err.into()),
    }
}
