//! Stock of one SKU: counted, held, claimed, shipped. Each is one conditional batch on the SKU's partition,
//! tried again while others win; a repeat of any of them changes nothing.
//!
//! Buyers of one SKU in one process share their batches, see `group`.
mod change;
mod gate;
mod group;
pub mod sold_out;
mod update;

use std::time::Duration;

use offpeak_domain::{
    ids::{CheckoutId, OrderId},
    sku::Sku,
    stock::{Allocation, Count, Entry, Hold, Kind, Levels, Location, StockRefusal, expiry_minute},
};
use time::OffsetDateTime;

use self::{
    change::{Change, change},
    group::{Ask, decide},
};
use crate::shared::{
    documents::{
        Seen,
        stock::{self, MovementId},
    },
    ports::{
        Ports,
        documents::{PAGE_MAX, StoreError},
    },
};

pub use gate::combine;
pub use offpeak_domain::stock::Part;
pub use update::{UpdateError, update};

/// How long one change of one SKU may take, waiting for others included.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long one waits for one's turn of it; whoever stands still must not stop everyone.
const TURN: Duration = Duration::from_secs(1);

/// Longest pause before another try after somebody else's write.
const PAUSE_MAX: Duration = Duration::from_millis(20);

#[derive(Debug, thiserror::Error)]
pub enum StockError {
    #[error(transparent)]
    Refused(#[from] StockRefusal),
    /// The caller's version is not the present one.
    #[error("the stock level has changed")]
    Changed,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the caller believes the level to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    Any,
    /// Never counted.
    Absent,
    /// Never counted at this location.
    AbsentThere,
    /// The text of the etag that was read.
    Version(String),
}

/// The levels as stored; `None` for a SKU that was never counted.
///
/// # Errors
/// As the store's.
pub async fn level(ports: &Ports, sku: &Sku) -> Result<Option<Seen<Levels>>, StoreError> {
    stock::read_levels(ports.documents.as_ref(), sku).await
}

/// Units of each SKU that could be sold now, of all locations; 0 for one that was never counted. Advisory: only a
/// hold decides.
///
/// # Errors
/// As the store's.
pub async fn available(ports: &Ports, skus: &[Sku]) -> Result<Vec<i64>, StoreError> {
    let now = ports.clock.now();
    let mut units = Vec::with_capacity(skus.len());
    for sku in skus {
        units.push(level(ports, sku).await?.map_or(0, |seen| seen.value.available(now)));
    }
    Ok(units)
}

/// Movements on one page.
pub const MOVEMENTS_MAX: usize = PAGE_MAX;

#[derive(Debug, thiserror::Error)]
pub enum MovementsError {
    #[error("not a cursor of this list")]
    Cursor,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A page of the ledger, newest first, and where the next page begins. `limit` is 1 to [`MOVEMENTS_MAX`].
///
/// # Errors
/// [`MovementsError`].
pub async fn movements(
    ports: &Ports,
    sku: &Sku,
    limit: usize,
    after: Option<String>,
) -> Result<(Vec<Entry>, Option<String>), MovementsError> {
    let foreign = after.is_some();
    match stock::list_movements(ports.documents.as_ref(), sku, limit, after).await {
        Err(StoreError::Refused(_)) if foreign => Err(MovementsError::Cursor),
        page => Ok(page?),
    }
}

/// Sets what is on the shelf of the first location, with a movement that says by whom.
///
/// # Errors
/// As [`count`].
pub async fn set_on_hand(
    ports: &Ports,
    sku: &Sku,
    on_hand: i64,
    expected: Expected,
    cause: &str,
) -> Result<Seen<Levels>, StockError> {
    let count_ = Count { on_hand: Some(on_hand), ..Count::default() };
    count(ports, sku, &Location::main(), count_, expected, cause).await
}

/// Sets what a stocktake found at a location and how it sells, with a movement that says by whom.
///
/// # Errors
/// `Changed` if `expected` is not the present version, `Refused` for numbers out of range, `Store`.
pub async fn count(
    ports: &Ports,
    sku: &Sku,
    location: &Location,
    count: Count,
    expected: Expected,
    cause: &str,
) -> Result<Seen<Levels>, StockError> {
    change(ports, sku, None, |seen, now| {
        let fits = match &expected {
            Expected::Any => true,
            Expected::Absent => seen.is_none(),
            Expected::AbsentThere => seen.is_none_or(|it| !it.value.by_location.contains_key(location)),
            Expected::Version(etag) => seen.is_some_and(|it| it.etag.0 == *etag),
        };
        if !fits {
            return Err(StockError::Changed);
        }
        let mut levels = seen.map(|it| it.value.clone()).unwrap_or_default();
        let changes = vec![levels.count(location, count)?];
        let entry = Entry { seq: levels.seq, kind: Kind::Stocktake, cause: cause.to_owned(), at: now, changes };
        let movement = stock::create_movement(MovementId::Numbered, &entry)?;
        Ok(Change { levels, writes: vec![movement] })
    })
    .await
}

/// Holds units for a checkout until `until`, at the locations that `allocation` chooses. Answers the hold's record.
///
/// # Errors
/// `Refused(Short)` with what is available, `Refused(Superseded)`, `Store`.
pub async fn hold(
    ports: &Ports,
    sku: &Sku,
    checkout: CheckoutId,
    units: i64,
    fence: u32,
    until: OffsetDateTime,
    allocation: &Allocation,
) -> Result<Option<Seen<Hold>>, StockError> {
    let ask = Ask::Hold { units, minute: expiry_minute(until), allocation: allocation.clone() };
    decide(ports, sku, (checkout, None), fence, ask).await
}

/// Gives a checkout's hold back, claimed units too. Only for a checkout whose undoing is on record.
///
/// # Errors
/// `Refused(Superseded)`, `Store`.
pub async fn release(ports: &Ports, sku: &Sku, checkout: CheckoutId, fence: u32) -> Result<(), StockError> {
    decide(ports, sku, (checkout, None), fence, Ask::Release).await.map(drop)
}

/// Promises held units to the checkout's order, for good; answers where they are. With
/// [`Allocation::beyond_limits`] also what is not there, for an order that waits.
///
/// # Errors
/// `Refused(Short)` if the hold lapsed and the units are gone, `Refused(Superseded)`, `Store`.
pub async fn claim(
    ports: &Ports,
    sku: &Sku,
    checkout: CheckoutId,
    units: i64,
    fence: u32,
    allocation: &Allocation,
) -> Result<Vec<Part>, StockError> {
    claim_held(ports, sku, (checkout, None), units, fence, allocation).await
}

/// As [`claim`], for a caller that may know the hold's record: then it is not read again.
///
/// # Errors
/// As [`claim`].
pub async fn claim_held(
    ports: &Ports,
    sku: &Sku,
    of: (CheckoutId, Option<Seen<Hold>>),
    units: i64,
    fence: u32,
    allocation: &Allocation,
) -> Result<Vec<Part>, StockError> {
    let held = decide(ports, sku, of, fence, Ask::Claim { units, allocation: allocation.clone() }).await?;
    Ok(held.map(|it| it.value.parts).unwrap_or_default())
}

/// Units promised to an order have left the house. `key` names the work: it is done once.
///
/// # Errors
/// `Refused(NotAllocated)`, `Store`.
pub async fn ship(ports: &Ports, sku: &Sku, order: OrderId, key: &str, parts: &[Part]) -> Result<(), StockError> {
    let cause = order.to_string();
    keyed(ports, sku, (Kind::Ship, key), cause, |levels| levels.ship(parts)).await
}

/// Units promised to an order may be sold again. `key` names the work: it is done once.
///
/// # Errors
/// `Refused(NotAllocated)`, `Store`.
pub async fn give_back(ports: &Ports, sku: &Sku, order: OrderId, key: &str, parts: &[Part]) -> Result<(), StockError> {
    let cause = order.to_string();
    keyed(ports, sku, (Kind::GiveBack, key), cause, |levels| levels.give_back(parts)).await
}

/// Units came in, or came back. `key` names the work: it is done once.
///
/// # Errors
/// `Refused(OutOfRange)`, `Store`.
pub async fn restock(
    ports: &Ports,
    sku: &Sku,
    key: &str,
    location: &Location,
    units: i64,
    cause: &str,
) -> Result<(), StockError> {
    keyed(ports, sku, (Kind::Restock, key), cause.to_owned(), |levels| levels.restock(location, units)).await
}

/// One piece of work, once. A refusal counts only if it was not done before.
async fn keyed(
    ports: &Ports,
    sku: &Sku,
    (kind, key): (Kind, &str),
    cause: String,
    work: impl Fn(&mut Levels) -> Result<Vec<offpeak_domain::stock::Change>, StockRefusal>,
) -> Result<(), StockError> {
    let done = change(ports, sku, Some((kind, key)), |seen, now| {
        let mut levels = seen.map(|it| it.value.clone()).unwrap_or_default();
        let changes = work(&mut levels)?;
        let entry = Entry { seq: levels.seq, kind, cause: cause.clone(), at: now, changes };
        Ok(Change { writes: vec![stock::create_movement(MovementId::Keyed(key), &entry)?], levels })
    });
    done.await.map(drop)
}
