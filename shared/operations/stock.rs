//! Stock of one SKU: stocktake, hold, release, claim. Each is one conditional batch on the SKU's
//! partition, tried again while others win; a repeat of any of them changes nothing.
use std::time::Duration;

use offpeak_domain::{
    ids::CheckoutId,
    sku::Sku,
    stock::{Hold, HoldState, Level, StockRefusal, expiry_minute},
};
use time::OffsetDateTime;
use tokio::sync::Mutex;

use crate::shared::{
    documents::{Seen, stock},
    ports::{
        Ports,
        documents::{Container, ETag, StoreError},
    },
};

pub use crate::shared::documents::stock::MAIN;

/// How long one change of one SKU may take, waiting for others included.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long one waits for one's turn of it; whoever stands still must not stop everyone.
const TURN: Duration = Duration::from_secs(1);

/// Buyers of one SKU in one process queue here instead of losing against each other in the store.
/// Right without it (the etag decides), only slower.
static GATES: [Mutex<()>; 64] = [const { Mutex::const_new(()) }; 64];

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
    /// The text of the etag that was read.
    Version(String),
}

/// The level as stored; `None` for a SKU that was never counted.
///
/// # Errors
/// As the store's.
pub async fn level(ports: &Ports, sku: &Sku) -> Result<Option<Seen<Level>>, StoreError> {
    stock::read_level(ports.documents.as_ref(), sku).await
}

/// Units of each SKU that could be sold now; 0 for one that was never counted. Advisory: only a hold decides.
///
/// # Errors
/// As the store's.
pub async fn available(ports: &Ports, skus: &[Sku]) -> Result<Vec<i64>, StoreError> {
    let now = ports.clock.now();
    let mut units = Vec::with_capacity(skus.len());
    for sku in skus {
        units.push(level(ports, sku).await?.map_or(0, |seen| seen.value.available(now).max(0)));
    }
    Ok(units)
}

/// Sets what is on the shelf, with a movement that says by whom.
///
/// # Errors
/// `Changed` if `expected` is not the present version, `Refused(OutOfRange)`, `Store`.
pub async fn set_on_hand(
    ports: &Ports,
    sku: &Sku,
    on_hand: i64,
    expected: Expected,
    cause: &str,
) -> Result<Seen<Level>, StockError> {
    change(
        ports,
        sku,
        |seen, _hold, now| {
            let fits = match &expected {
                Expected::Any => true,
                Expected::Absent => seen.is_none(),
                Expected::Version(etag) => seen.is_some_and(|it| it.etag.0 == *etag),
            };
            if !fits {
                return Err(StockError::Changed);
            }
            let mut level = seen.map(|it| it.value.clone()).unwrap_or_default();
            let before = level.on_hand;
            level.set_on_hand(on_hand)?;
            let units = on_hand - before;
            let movement = stock::add_movement(level.seq, "stocktake", units, cause.to_owned(), now)?;
            Ok(Change { level, hold: None, movement: Some(movement) })
        },
        None,
    )
    .await
    .map(|(level, _)| level)
}

/// Holds units for a checkout until `until`.
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
) -> Result<(), StockError> {
    change(
        ports,
        sku,
        |seen, earlier, now| {
            let Some(seen) = seen else { return Err(StockRefusal::Short { available: 0 }.into()) };
            let mut level = seen.value.clone();
            let wanted = Hold { checkout, units, minute: expiry_minute(until), fence, state: HoldState::Live };
            let hold = level.hold(earlier, wanted, now)?;
            Ok(Change { level, hold: Some(hold), movement: None })
        },
        Some(checkout),
    )
    .await
    .map(drop)
}

/// Gives a checkout's hold back, claimed units too. Only for a checkout whose undoing is on record.
///
/// # Errors
/// `Refused(Superseded)`, `Store`.
pub async fn release(ports: &Ports, sku: &Sku, checkout: CheckoutId, fence: u32) -> Result<(), StockError> {
    change(
        ports,
        sku,
        |seen, earlier, now| {
            let (Some(seen), Some(earlier)) = (seen, earlier) else { return Ok(Change::none()) };
            let mut level = seen.value.clone();
            let hold = level.release(earlier, fence)?;
            if hold == *earlier {
                return Ok(Change::none());
            }
            let claimed = earlier.state == HoldState::Claimed;
            let cause = checkout.order().to_string();
            let movement = claimed.then(|| stock::add_movement(level.seq, "deallocate", hold.units, cause, now));
            Ok(Change { level, hold: Some(hold), movement: movement.transpose()? })
        },
        Some(checkout),
    )
    .await
    .map(drop)
}

/// Promises held units to the checkout's order, for good.
///
/// # Errors
/// `Refused(Short)` if the hold lapsed and the units are gone, `Refused(Superseded)`, `Store`.
pub async fn claim(ports: &Ports, sku: &Sku, checkout: CheckoutId, units: i64, fence: u32) -> Result<(), StockError> {
    change(
        ports,
        sku,
        |seen, earlier, now| {
            let Some(seen) = seen else { return Err(StockRefusal::Short { available: 0 }.into()) };
            let mut level = seen.value.clone();
            // A hold whose record is gone counts as lapsed: its units are tested again.
            let lost = Hold { checkout, units, minute: 0, fence, state: HoldState::Released };
            let earlier = earlier.unwrap_or(&lost);
            if earlier.state == HoldState::Claimed {
                return Ok(Change::none());
            }
            let hold = level.claim(earlier, fence, now)?;
            let movement = stock::add_movement(level.seq, "allocate", hold.units, checkout.order().to_string(), now)?;
            Ok(Change { level, hold: Some(hold), movement: Some(movement) })
        },
        Some(checkout),
    )
    .await
    .map(drop)
}

struct Change {
    level: Level,
    hold: Option<Hold>,
    movement: Option<crate::shared::ports::documents::Write>,
}

impl Change {
    /// Leave everything as it is.
    fn none() -> Change {
        Change { level: Level::default(), hold: None, movement: None }
    }

    fn is_none(&self) -> bool {
        self.hold.is_none() && self.movement.is_none()
    }
}

/// Reads, decides, writes; again when another writer was faster.
async fn change<D>(
    ports: &Ports,
    sku: &Sku,
    decide: D,
    checkout: Option<CheckoutId>,
) -> Result<(Seen<Level>, Option<Hold>), StockError>
where
    D: Fn(Option<&Seen<Level>>, Option<&Hold>, OffsetDateTime) -> Result<Change, StockError>,
{
    let work = async {
        // Without a turn one goes on all the same.
        let _turn = tokio::time::timeout(TURN, GATES[gate(sku)].lock()).await;
        let mut pause = Duration::from_millis(1);
        loop {
            match attempt(ports, sku, &decide, checkout).await {
                Err(StockError::Store(StoreError::Changed { .. } | StoreError::Exists { .. })) => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_millis(20));
                }
                done => return done,
            }
        }
    };
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => done,
        Err(late) => Err(StockError::Store(StoreError::Unavailable(Box::new(late)))),
    }
}

async fn attempt<D>(
    ports: &Ports,
    sku: &Sku,
    decide: &D,
    checkout: Option<CheckoutId>,
) -> Result<(Seen<Level>, Option<Hold>), StockError>
where
    D: Fn(Option<&Seen<Level>>, Option<&Hold>, OffsetDateTime) -> Result<Change, StockError>,
{
    let documents = ports.documents.as_ref();
    let seen = stock::read_level(documents, sku).await?;
    let earlier = match checkout {
        Some(checkout) => stock::read_hold(documents, sku, checkout).await?,
        None => None,
    };
    let change = decide(seen.as_ref(), earlier.as_ref().map(|it| &it.value), ports.clock.now())?;
    if change.is_none() {
        let seen = seen.unwrap_or_else(|| Seen { value: Level::default(), etag: ETag(String::new()) });
        return Ok((seen, earlier.map(|it| it.value)));
    }
    let mut writes = vec![stock::put_level(sku, &change.level, seen.as_ref().map(|it| &it.etag))?];
    if let Some(hold) = &change.hold {
        writes.push(stock::put_hold(hold, earlier.as_ref().map(|it| &it.etag))?);
    }
    writes.extend(change.movement);
    let etags = documents.write(Container::Stock, sku.as_str(), writes).await?;
    let etag = etags.into_iter().next().unwrap_or(ETag(String::new()));
    Ok((Seen { value: change.level, etag }, change.hold))
}

/// Which gate a SKU queues at; any spread will do.
fn gate(sku: &Sku) -> usize {
    sku.as_str().bytes().fold(7_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte))) % GATES.len()
}
