//! Checks a living store against the seven invariants, from outside the operations that keep them.
//!
//! It only reads, a page at a time. What is changing is not judged: a purchase must have been quiet for
//! [`QUIET`], a SKU or a promotion must stay the same while it is read. A finding counts only if a second look
//! finds it too, because what is compared stands in several partitions and never changes in one moment.
//!
//! A small store is checked at once; a large one becomes a job (`job`), which goes on from its cursor in
//! whatever process the next message or question reaches.
mod job;
mod promotions;
mod purchases;
mod report;
mod stock;

use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::Shop;
use crate::shared::ports::documents::StoreError;

pub use job::{Job, JobError, continue_job, find_job};
pub use report::{Invariant, Report, Tally, VIOLATIONS_MAX, Violation};

/// How long a purchase must not have changed before it is judged.
pub const QUIET: time::Duration = time::Duration::minutes(2);
/// Purchases looked at before an answer becomes a job.
pub const AT_ONCE_MAX: u64 = 10_000;
/// Longest time for which a caller waits for an answer; then it becomes a job.
pub const AT_ONCE_FOR: time::Duration = time::Duration::seconds(10);
/// Subjects judged side by side.
const SIDE_BY_SIDE: usize = 8;
/// Between a finding and the second look at it.
const SECOND_LOOK_AFTER: Duration = Duration::from_millis(250);
/// Largest `sample`.
pub const SAMPLE_MAX: u32 = 1_000_000;

/// What is to be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// Only purchases that changed since then; stock and promotions are checked whole.
    #[serde(with = "time::serde::rfc3339::option")]
    pub since: Option<OffsetDateTime>,
    /// One purchase in so many, 1 for all of them; which ones follows from their ids.
    pub sample: u32,
}

impl Ask {
    pub const ALL: Ask = Ask { since: None, sample: 1 };
}

/// When an answer becomes a job.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub purchases: u64,
    pub time: time::Duration,
}

impl Limits {
    pub const AT_ONCE: Limits = Limits { purchases: AT_ONCE_MAX, time: AT_ONCE_FOR };
}

/// What is walked through, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    #[default]
    Purchases,
    Stock,
    Promotions,
    Done,
}

/// How far a check has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    pub phase: Phase,
    /// The store's cursor inside the phase.
    pub after: Option<String>,
    pub report: Report,
}

/// How a check ended, or where it goes on.
#[derive(Clone, Debug)]
pub enum Verified {
    Done(Box<Report>),
    Job(Box<Job>),
}

/// What one subject came to.
enum Judged {
    Fine(Vec<Invariant>),
    Wrong(Vec<Invariant>, Vec<Violation>),
    /// It is changing; later.
    Busy,
    /// There is nothing of this kind to judge.
    Skipped,
}

impl Judged {
    fn of(invariants: Vec<Invariant>, violations: Vec<Violation>) -> Judged {
        if violations.is_empty() { Judged::Fine(invariants) } else { Judged::Wrong(invariants, violations) }
    }
}

/// Checks the store, or begins to.
///
/// # Errors
/// As the store's or the provider's.
pub async fn verify(shop: &Shop, ask: Ask, limits: Limits) -> Result<Verified, VerifyError> {
    let mut progress = Progress::default();
    if go_on(shop, &ask, &mut progress, limits).await? {
        return Ok(Verified::Done(Box::new(progress.report)));
    }
    Ok(Verified::Job(Box::new(job::begin(shop, ask, progress).await?)))
}

/// Goes on until it is done (`true`) or has done as much as it may.
async fn go_on(shop: &Shop, ask: &Ask, progress: &mut Progress, limits: Limits) -> Result<bool, VerifyError> {
    let until = shop.ports.clock.now() + limits.time;
    let most = progress.report.purchases.saturating_add(limits.purchases);
    while progress.phase != Phase::Done {
        if progress.report.purchases >= most || shop.ports.clock.now() >= until {
            return Ok(false);
        }
        step(shop, ask, progress).await?;
    }
    Ok(true)
}

/// One page.
async fn step(shop: &Shop, ask: &Ask, progress: &mut Progress) -> Result<(), VerifyError> {
    let after = progress.after.take();
    let (judged, next, following) = match progress.phase {
        Phase::Purchases => {
            let (ids, next) = purchases::page(shop, ask, after).await?;
            progress.report.purchases += ids.len() as u64;
            let judging = ids.into_iter().map(|id| {
                let subject = (Invariant::I2, id.order().to_string());
                twice(subject, move || purchases::judge(shop, id))
            });
            (side_by_side(judging).await?, next, Phase::Stock)
        }
        Phase::Stock => {
            let (skus, next) = stock::page(shop, after).await?;
            let judging = skus.into_iter().map(|sku| {
                let subject = (Invariant::I1, sku.to_string());
                twice(subject, move || stock::judge(shop, sku.clone()))
            });
            (side_by_side(judging).await?, next, Phase::Promotions)
        }
        Phase::Promotions => {
            let (pools, next) = promotions::page(shop, after).await?;
            let judging = pools.into_iter().map(|pool| {
                let subject = (Invariant::I5, pool.as_str().to_owned());
                twice(subject, move || promotions::judge(shop, pool.clone()))
            });
            (side_by_side(judging).await?, next, Phase::Done)
        }
        Phase::Done => return Ok(()),
    };
    for it in judged {
        match it {
            Judged::Fine(invariants) => progress.report.judged(&invariants, Vec::new()),
            Judged::Wrong(invariants, violations) => progress.report.judged(&invariants, violations),
            Judged::Busy => progress.report.busy += 1,
            Judged::Skipped => {}
        }
    }
    if next.is_none() {
        progress.phase = following;
    }
    progress.after = next;
    Ok(())
}

async fn side_by_side(
    judging: impl Iterator<Item = impl Future<Output = Result<Judged, VerifyError>>>,
) -> Result<Vec<Judged>, VerifyError> {
    // On the heap: each is large, and there are several.
    let judging: Vec<_> = judging.map(Box::pin).collect();
    stream::iter(judging).buffered(SIDE_BY_SIDE).try_collect().await
}

/// A finding is one only if a second look finds it again. A document that cannot be read is one too: it must not
/// keep the rest from being judged.
async fn twice<F, J>((invariant, subject): (Invariant, String), judge: F) -> Result<Judged, VerifyError>
where
    F: Fn() -> J,
    J: Future<Output = Result<Judged, VerifyError>>,
{
    let look = async || match judge().await {
        Err(VerifyError::Store(StoreError::Unreadable { id, reason })) => {
            let detail = format!("document {id} cannot be read: {reason}");
            Ok(Judged::of(vec![invariant], vec![Violation::new(invariant, &subject, detail)]))
        }
        judged => judged,
    };
    let first = match look().await? {
        Judged::Wrong(_, first) => first,
        other => return Ok(other),
    };
    tokio::time::sleep(SECOND_LOOK_AFTER).await;
    Ok(match look().await? {
        Judged::Wrong(invariants, second) => {
            Judged::of(invariants, second.into_iter().filter(|it| first.contains(it)).collect())
        }
        other => other,
    })
}

#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Payment(#[from] crate::shared::ports::payments::PaymentError),
    #[error(transparent)]
    Bus(#[from] crate::shared::ports::bus::BusError),
}
