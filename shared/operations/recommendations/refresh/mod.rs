//! Makes the model anew from what was clicked in the last days, in steps, each of which a process can do before its time
//! is over; how far a run has come stands in one document.
//!
//! What must stay true: a model is published whole or not at all; one that recommends worse is held back; a run that ends
//! anywhere is begun anew by the next tick, and of two runs at once one goes on.
mod archive;
mod learn;
mod reading;

use bytes::Bytes;
use futures_util::{FutureExt as _, future::try_join_all};
use offpeak_domain::{ids::JobId, recommend::Verdict};
use serde_json::json;
use time::Duration;
use tokio::{task::JoinError, time::Instant};

use self::{archive::Source, learn::Built};
use super::{
    FIRST, MODEL,
    models::{self, ModelsError},
};
use crate::shared::{
    documents::{
        Seen,
        clicks::day::BadDay,
        models::{KeptFile, KeptModel},
        recommendations::{PublishedModel, RefreshOutcome, RefreshPhase, read_outcomes, read_refresh, write_refresh},
    },
    operations::{
        Shop,
        clicks::{ClicksError, live},
        destinations,
        publications::{self, Publication, PublishError, Publishing, publish},
        sha256,
    },
    ports::{
        Ports,
        bus::{BusError, Message},
        chain,
        documents::{ETag, StoreError},
        objects::{ObjectError, ObjectName, ObjectNameError},
    },
};

pub use crate::shared::documents::recommendations::{DayOutcomes, Refresh};

/// What a message says that asks for the next step.
pub const KIND: &str = "refresh_recommendations";
/// A run that did nothing for so long is dead.
const STILL_MAX: Duration = Duration::minutes(10);
/// A run that did nothing for so long was cut in a step: the message that it had goes on.
const CUT: Duration = Duration::minutes(1);
/// Models before the current one that stay: those of a day, to go back to.
const KEPT: usize = 24;
/// Days that are told of.
const DAYS_TOLD: i64 = 14;
/// Bytes that are handed over at once.
const CHUNK: usize = 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Object(#[from] ObjectError),
    #[error(transparent)]
    Name(#[from] ObjectNameError),
    #[error(transparent)]
    Clicks(#[from] ClicksError),
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error(transparent)]
    Models(#[from] ModelsError),
    #[error("the packed clicks {0} are refused")]
    Day(ObjectName, #[source] BadDay),
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error("a step was cut short")]
    Ended(#[from] JoinError),
}

/// Begins a run, unless one is under way, and does what there is time for.
///
/// # Errors
/// [`RefreshError`]; it stands in the document as well.
pub async fn refresh(shop: &Shop) -> Result<Option<Refresh>, RefreshError> {
    let ports = &shop.ports;
    let now = ports.clock.now();
    let before = read_refresh(ports.documents.as_ref()).await?;
    let is_alive =
        |it: &Refresh| it.phase != RefreshPhase::Done && it.failure.is_none() && now - it.updated_at < STILL_MAX;
    if before.as_ref().is_some_and(|it| is_alive(&it.value)) {
        return Ok(None);
    }
    let (etag, published) = before.map_or((None, None), |it| (Some(it.etag), it.value.published));
    let begun = Refresh {
        job_id: JobId::new(ports.ids.ulid()).to_string(),
        phase: RefreshPhase::Pack,
        slices: 0,
        started_at: now,
        updated_at: now,
        sources: None,
        judged: None,
        outcome: None,
        failure: None,
        published,
    };
    let etag = match write_refresh(ports.documents.as_ref(), &begun, etag.as_ref()).await {
        Ok(etag) => etag,
        Err(StoreError::Changed { .. } | StoreError::Exists { .. }) => return Ok(None),
        Err(err) => return Err(err.into()),
    };
    drive(shop, begun, etag, Again::ByMessage).await
}

/// Does what a message asks for; an older one does nothing, unless the run was cut or a step after it failed: then it is
/// the message that has come again.
///
/// # Errors
/// As [`refresh`]: the message should come again.
pub async fn continue_refresh(shop: &Shop, id: JobId, slice: u32) -> Result<Option<Refresh>, RefreshError> {
    let Some(Seen { value: run, etag }) = last_refresh(shop).await? else { return Ok(None) };
    let goes_on = run.failure.is_none() && shop.ports.clock.now() - run.updated_at < CUT;
    let is_older = run.slices > slice && goes_on;
    if run.job_id != id.to_string() || is_older || run.phase == RefreshPhase::Done {
        return Ok(None);
    }
    drive(shop, Refresh { failure: None, ..run }, etag, Again::BySender).await
}

/// How the last run went, or how far this one is.
///
/// # Errors
/// As the store's.
pub async fn last_refresh(shop: &Shop) -> Result<Option<Seen<Refresh>>, StoreError> {
    read_refresh(shop.ports.documents.as_ref()).await
}

/// What recommendations came to on the last days that are over, newest first.
///
/// # Errors
/// As the store's.
pub async fn last_outcomes(shop: &Shop) -> Result<Vec<DayOutcomes>, StoreError> {
    let (documents, today) = (shop.ports.documents.as_ref(), shop.ports.clock.now().date());
    let days = (1..=DAYS_TOLD).filter_map(|ago| today.checked_sub(Duration::days(ago)));
    let read: Vec<_> = days.map(|day| read_outcomes(documents, day)).collect();
    Ok(try_join_all(read).await?.into_iter().flatten().collect())
}

/// Who sees to it that a step that failed is tried again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    /// Nobody: a timer does not come again.
    ByMessage,
    /// The queue delivers the same message again.
    BySender,
}

/// Step by step, as long as there is time. `None`: another one is on it.
async fn drive(shop: &Shop, mut run: Refresh, mut etag: ETag, again: Again) -> Result<Option<Refresh>, RefreshError> {
    let begun = Instant::now();
    while run.phase != RefreshPhase::Done {
        let before = run.clone();
        // On the heap: it holds all that a step works with.
        let failed = step(shop, &mut run).boxed().await.err();
        // A step that failed is still to be done: the message that asks for it stays good.
        run = if failed.is_some() { before } else { Refresh { slices: run.slices + 1, ..run } };
        run.updated_at = shop.ports.clock.now();
        run.failure = failed.as_ref().map(|it| chain(it));
        match write_refresh(shop.ports.documents.as_ref(), &run, Some(&etag)).await {
            Ok(written) => etag = written,
            Err(StoreError::Changed { .. }) => return Ok(None),
            Err(err) => return Err(failed.unwrap_or(err.into())),
        }
        if let Some(err) = failed {
            if again == Again::ByMessage {
                shop.ports.bus.send(&next_message(&run)).await?;
            }
            return Err(err);
        }
        if run.phase != RefreshPhase::Done && begun.elapsed() >= shop.recommender.at_once {
            if let Err(lost) = shop.ports.bus.send(&next_message(&run)).await {
                // Nobody else will: so that the message that brought us here is not taken for an old one.
                run.failure = Some(chain(&lost));
                return match write_refresh(shop.ports.documents.as_ref(), &run, Some(&etag)).await {
                    // It came through after all, and somebody is on it.
                    Err(StoreError::Changed { .. }) => Ok(None),
                    _ => Err(lost.into()),
                };
            }
            break;
        }
    }
    Ok(Some(run))
}

async fn step(shop: &Shop, run: &mut Refresh) -> Result<(), RefreshError> {
    let (ports, days) = (&shop.ports, shop.recommender.days);
    match run.phase {
        RefreshPhase::Pack => {
            if run.slices == 0
                && let Err(err) = remove_old_clicks(ports, days).await
            {
                // It is tried again at the end, where it stops nothing.
                tracing::error!(error = %chain(&err), "Clicks that are too old are not removed yet.");
            }
            if !archive::pack_one(ports, days).await? {
                look_at_sources(ports, days, run).await?;
            }
        }
        RefreshPhase::Judge => judge(ports, days, run).await?,
        RefreshPhase::Publish => publish_model(ports, days, run).await?,
        RefreshPhase::Prune => {
            prune(ports).await?;
            remove_old_clicks(ports, days).await?;
            run.phase = RefreshPhase::Done;
        }
        RefreshPhase::Done => {}
    }
    Ok(())
}

fn fingerprint(sources: &[Source]) -> String {
    sha256(&sources.iter().map(|it| it.name().as_str()).collect::<Vec<_>>().join("\n"))
}

/// Where nobody clicked since, there is nothing to learn.
async fn look_at_sources(ports: &Ports, days: u16, run: &mut Refresh) -> Result<(), RefreshError> {
    let sources = archive::sources(ports, days).await?;
    let fingerprint = fingerprint(&sources);
    let is_known = run.published.as_ref().is_some_and(|it| it.sources == fingerprint);
    run.sources = Some(fingerprint);
    if is_known || sources.is_empty() {
        run.outcome = Some(RefreshOutcome::Unchanged);
        run.phase = RefreshPhase::Prune;
    } else {
        run.phase = RefreshPhase::Judge;
    }
    Ok(())
}

async fn judge(ports: &Ports, days: u16, run: &mut Refresh) -> Result<(), RefreshError> {
    run.phase = RefreshPhase::Publish;
    let Some(live) = learn::reference(ports).await? else { return Ok(()) };
    let (judged, comparison) = learn::judge(ports, archive::sources(ports, days).await?, live).await?;
    run.judged = Some(judged);
    if comparison.verdict() == Verdict::Worse {
        let (new, live) = (comparison.new_mrr, comparison.live_mrr);
        tracing::warn!(model.new = new, model.live = live, "A new model is held back: it recommends worse.");
        run.outcome = Some(RefreshOutcome::HeldBack);
        run.phase = RefreshPhase::Prune;
    }
    Ok(())
}

async fn publish_model(ports: &Ports, days: u16, run: &mut Refresh) -> Result<(), RefreshError> {
    let begun = Instant::now();
    if models::is_held(ports).await? {
        (run.outcome, run.phase) = (Some(RefreshOutcome::Held), RefreshPhase::Prune);
        return Ok(());
    }
    // Begun before clicks are read, so that the version says which minutes the model cannot have.
    let (first, whole) = (ObjectName::parse(FIRST)?, ObjectName::parse(MODEL)?);
    let publishing = (publish(ports, &first).await?, publish(ports, &whole).await?);
    let sources = archive::sources(ports, days).await?;
    let of = fingerprint(&sources);
    let built = learn::build(ports, sources).await?;
    let outcome = match put(ports, publishing, &built).await {
        Err(RefreshError::Publish(PublishError::Overtaken(_))) => RefreshOutcome::Overtaken,
        put => match put? {
            None => RefreshOutcome::Held,
            Some((first, whole)) => {
                models::keep(ports, &kept(ports, &built, run, &first, &whole)).await?;
                run.published = Some(published(ports, &built, days, of, &whole, begun));
                RefreshOutcome::Published
            }
        },
    };
    (run.outcome, run.phase) = (Some(outcome), RefreshPhase::Prune);
    Ok(())
}

fn kept(ports: &Ports, built: &Built, run: &Refresh, first: &Publication, whole: &Publication) -> KeptModel {
    KeptModel {
        version: whole.version().to_owned(),
        at: ports.clock.now(),
        clicks: built.clicks,
        sessions: built.sessions,
        items: built.items,
        judged: run.judged.clone(),
        first: KeptFile::from(first),
        whole: KeptFile::from(whole),
    }
}

fn published(
    ports: &Ports,
    built: &Built,
    days: u16,
    sources: String,
    whole: &Publication,
    begun: Instant,
) -> PublishedModel {
    let (version, clicks, sessions, items) = (whole.version().to_owned(), built.clicks, built.sessions, built.items);
    tracing::info!(model.version = version, sessions, items, clicks, "A model of {sessions} sessions is published.");
    let (at, bytes, seconds) = (ports.clock.now(), whole.bytes, begun.elapsed().as_secs());
    PublishedModel { version, at, sources, days, clicks, sessions, items, bytes, seconds }
}

/// The small file, then the whole one. `None`: a person holds another model.
async fn put(
    ports: &Ports,
    (mut first, mut whole): (Publishing<'_>, Publishing<'_>),
    built: &Built,
) -> Result<Option<(Publication, Publication)>, RefreshError> {
    // After the pointers were seen: whoever holds a model moves them once that is stored.
    if models::is_held(ports).await? {
        return Ok(None);
    }
    write(&mut first, &built.first).await?;
    let first = first.finish().await?;
    write(&mut whole, &built.whole).await?;
    Ok(Some((first, whole.finish().await?)))
}

async fn write(publishing: &mut Publishing<'_>, file: &Bytes) -> Result<(), ObjectError> {
    for from in (0..file.len()).step_by(CHUNK) {
        publishing.write(file.slice(from..file.len().min(from + CHUNK))).await?;
    }
    Ok(())
}

async fn prune(ports: &Ports) -> Result<(), RefreshError> {
    models::follow(ports).await?;
    for series in [FIRST, MODEL] {
        publications::prune(ports, &ObjectName::parse(series)?, KEPT).await?;
    }
    Ok(models::forget(ports).await?)
}

/// What was clicked too long ago goes first: nothing that a run may fail at keeps it.
async fn remove_old_clicks(ports: &Ports, days: u16) -> Result<(), RefreshError> {
    live::prune(ports).await?;
    let removed = archive::prune(ports, days).await?;
    if removed > 0 {
        tracing::info!(event.count = removed, "Removed {removed} objects of clicks that were too old.");
    }
    Ok(())
}

fn next_message(run: &Refresh) -> Message {
    Message {
        destination: destinations::JOBS.to_owned(),
        id: format!("{}-{}", run.job_id, run.slices),
        session: None,
        subject: "job.continue".to_owned(),
        scheduled: None,
        body: json!({ "kind": KIND, "jobId": run.job_id, "slice": run.slices }).to_string(),
    }
}
