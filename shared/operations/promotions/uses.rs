//! Claims one use of a pool for an order, or gives it back. Each is one conditional batch on the pool's
//! partition (counter, customer, claim, what the customer has of limited SKUs), tried again while others win; a
//! repeat of either changes nothing.
use std::{cmp::Ordering, sync::LazyLock, time::Duration};

use futures_util::future::try_join_all;
use offpeak_domain::{
    allowance::{self, Bought, Exceeded, Wanted},
    ids::OrderId,
    uses::{self, UseClaim, UseLimits, UseRefusal, UseState, Used},
};
use time::OffsetDateTime;
use tokio::sync::Mutex;

use crate::shared::{
    documents::promo_use::{self, Count, PoolKey},
    operations::gates::Gates,
    ports::{
        Ports,
        documents::{ETag, StoreError},
    },
};

/// How long one change of one pool may take, waiting for others included.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long one waits for one's turn of it; whoever stands still must not stop everyone.
const TURN: Duration = Duration::from_secs(1);

/// Buyers who use one promotion in one process queue here instead of losing against each other in the store.
/// Right without it (the etag decides), only slower.
static GATES: LazyLock<Gates<Mutex<()>>> = LazyLock::new(Gates::default);

#[derive(Debug, thiserror::Error)]
pub enum UseError {
    #[error(transparent)]
    Refused(#[from] UseRefusal),
    #[error("more than this customer may buy")]
    Exceeded(Box<Exceeded>),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whose use of which pool changes.
#[derive(Clone, Copy)]
struct Change<'a> {
    pool: &'a PoolKey,
    order: OrderId,
    customers: &'a [String],
    /// What the order has of SKUs limited by customer; only in a customer's own pool.
    bought: &'a [Wanted],
    /// The first run claims, so there is no claim yet. If that is wrong, or the use is refused, it is read after all.
    is_new: bool,
}

/// Takes one use for the order; whoever has it already keeps it.
///
/// # Errors
/// `Refused(Exhausted)` or `Refused(ExhaustedForCustomer)` where the limit is reached, `Refused(Superseded)`
/// if the order has given up or a newer run owns it, `Store`.
pub async fn claim_use(ports: &Ports, pool: &PoolKey, wanted: &UseClaim, limits: UseLimits) -> Result<(), UseError> {
    claim_use_and_units(ports, pool, wanted, limits, &[]).await
}

/// As [`claim_use`], and in the same batch the units that a customer takes of limited SKUs.
///
/// # Errors
/// As [`claim_use`], and `Exceeded`.
pub async fn claim_use_and_units(
    ports: &Ports,
    pool: &PoolKey,
    wanted: &UseClaim,
    limits: UseLimits,
    bought: &[Wanted],
) -> Result<(), UseError> {
    let is_new = wanted.fence <= 1;
    let what = Change { pool, order: wanted.order, customers: &wanted.customers, bought, is_new };
    change(ports, what, |seen| uses::claim(&seen.used(), seen.claim.as_ref().map(|it| &it.0), wanted, limits)).await
}

/// Gives the order's use back, and refuses it in advance if it was never claimed.
///
/// # Errors
/// `Refused(Superseded)` if a newer run owns it, `Store`.
pub async fn release_use(ports: &Ports, pool: &PoolKey, order: OrderId, fence: u32) -> Result<(), UseError> {
    release_use_and_units(ports, pool, order, fence, &[]).await
}

/// As [`release_use`], and in the same batch the units that it took of limited SKUs.
///
/// # Errors
/// As [`release_use`].
pub async fn release_use_and_units(
    ports: &Ports,
    pool: &PoolKey,
    order: OrderId,
    fence: u32,
    bought: &[Wanted],
) -> Result<(), UseError> {
    let what = Change { pool, order, customers: &[], bought, is_new: false };
    change(ports, what, |seen| uses::release(&seen.used(), seen.claim.as_ref().map(|it| &it.0), order, fence)).await
}

/// Live claims of a pool, except this order's own. Advisory: only a claim decides.
///
/// # Errors
/// As the store's.
pub async fn used_by_others(ports: &Ports, pool: &PoolKey, own: Option<OrderId>) -> Result<u32, StoreError> {
    let documents = ports.documents.as_ref();
    let all = promo_use::read_counter(documents, pool).await?.live;
    let Some(own) = own.filter(|_| all > 0) else { return Ok(all) };
    let mine = promo_use::read_claim(documents, pool, own).await?;
    let mine = mine.is_some_and(|it| it.value.state == UseState::Live);
    Ok(all.saturating_sub(u32::from(mine)))
}

/// A pool as one change sees it.
struct Seen {
    counter: Count,
    /// Under each name of the order's customer.
    customers: Vec<Count>,
    claim: Option<(UseClaim, ETag)>,
    bought: (Vec<Bought>, Option<ETag>),
}

impl Seen {
    fn used(&self) -> Used {
        Used { total: self.counter.live, by_customer: self.customers.iter().map(|it| it.live).collect() }
    }
}

type Decided = Result<Option<(Used, UseClaim)>, UseRefusal>;

/// Reads, decides, writes; again when another writer was faster.
async fn change(ports: &Ports, mut what: Change<'_>, decide: impl Fn(&Seen) -> Decided) -> Result<(), UseError> {
    let pool = what.pool;
    let work = async {
        // Without a turn one goes on all the same; few ever meet at a code or a customer.
        let gate = pool.is_shared().then(|| GATES.at(ports, pool.as_str()));
        let _turn = match &gate {
            Some(gate) => tokio::time::timeout(TURN, gate.lock()).await.ok(),
            None => None,
        };
        let mut pause = Duration::from_millis(1);
        loop {
            match attempt(ports, what, &decide).await {
                Err(UseError::Store(StoreError::Changed { .. } | StoreError::Exists { .. })) => {
                    what.is_new = false;
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_millis(20));
                }
                Err(UseError::Refused(_) | UseError::Exceeded(_)) if what.is_new => what.is_new = false,
                done => return done,
            }
        }
    };
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => done,
        Err(late) => Err(UseError::Store(StoreError::Unavailable(Box::new(late)))),
    }
}

async fn attempt(ports: &Ports, what: Change<'_>, decide: &impl Fn(&Seen) -> Decided) -> Result<(), UseError> {
    let Change { pool, order, customers, .. } = what;
    let documents = ports.documents.as_ref();
    let claim = async { if what.is_new { Ok(None) } else { promo_use::read_claim(documents, pool, order).await } };
    let (claim, counter) = tokio::try_join!(claim, promo_use::read_counter(documents, pool))?;
    let claim = claim.map(|it| (it.value, it.etag));
    // A claim that stands counts for whoever made it.
    let whose = match &claim {
        Some((it, _)) if it.state == UseState::Live || customers.is_empty() => it.customers.clone(),
        _ => customers.to_vec(),
    };
    let counts = try_join_all(whose.iter().map(|it| promo_use::read_customer(documents, pool, it))).await?;
    let bought =
        if what.bought.is_empty() { (Vec::new(), None) } else { promo_use::read_bought(documents, pool).await? };
    let seen = Seen { counter, customers: counts, claim, bought };
    let before = seen.used();
    let Some((after, claim)) = decide(&seen)? else { return Ok(()) };

    let now = ports.clock.now();
    let mut writes = Vec::with_capacity(5);
    if after != before {
        writes.push(promo_use::put_counter(after.total, seen.counter.seen.as_ref(), now)?);
    }
    if after != before {
        for ((key, live), count) in claim.customers.iter().zip(&after.by_customer).zip(&seen.customers) {
            writes.push(promo_use::put_customer(key, *live, count.seen.as_ref(), now)?);
        }
    }
    if let Some(units) = units(what, &seen, after.total.cmp(&before.total), now)? {
        writes.push(promo_use::put_bought(&units, seen.bought.1.as_ref(), now)?);
    }
    writes.push(promo_use::put_claim(&claim, seen.claim.as_ref().map(|it| &it.1), now)?);
    promo_use::write(documents, pool, writes).await?;
    Ok(())
}

/// What the customer has of limited SKUs once this use is taken or given back; `None`: as before.
fn units(what: Change<'_>, seen: &Seen, uses: Ordering, now: OffsetDateTime) -> Result<Option<Vec<Bought>>, UseError> {
    let before = &seen.bought.0;
    match uses {
        _ if what.bought.is_empty() => Ok(None),
        Ordering::Greater => {
            allowance::take(before, what.order, what.bought, now).map(Some).map_err(UseError::Exceeded)
        }
        Ordering::Less => Ok(Some(allowance::give_back(before, what.order))),
        Ordering::Equal => Ok(None),
    }
}
