//! A check of a large store as a job: a stored document with a cursor, driven on by messages, each of which does
//! a slice and sends the next. A process that dies in the middle loses a slice, and the message comes again; when
//! messages come no more, whoever asks how far it is does a slice and sends the next one.
use offpeak_domain::ids::JobId;
use serde_json::json;
use time::{Duration, OffsetDateTime};

use super::{Ask, Limits, Phase, Progress, VerifyError, go_on};
use crate::shared::{
    documents::{Seen, jobs},
    operations::{Shop, destinations},
    ports::{bus::Message, documents::StoreError},
};

/// What one message does.
const SLICE: Limits = Limits { purchases: 2_000, time: Duration::seconds(15) };
/// What one question does where messages come no more.
const SLICE_OF_A_QUESTION: Limits = Limits { purchases: 200, time: Duration::seconds(2) };
/// How long a job may stand still before a question drives it on.
const STILL_MAX: Duration = Duration::seconds(60);

type StoredJob = jobs::StoredJob<Ask, Progress>;

/// A check under way or done.
#[derive(Clone, Debug)]
pub struct Job {
    pub id: String,
    pub ask: Ask,
    pub progress: Progress,
    pub started_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
}

impl Job {
    pub fn is_done(&self) -> bool {
        self.progress.phase == Phase::Done
    }
}

#[derive(Debug, thiserror::Error)]
pub enum JobError {
    #[error("there is no such job")]
    NotFound,
    #[error(transparent)]
    Verify(#[from] VerifyError),
}

impl From<StoreError> for JobError {
    fn from(err: StoreError) -> JobError {
        JobError::Verify(err.into())
    }
}

/// Stores what was done so far, and asks for the rest.
pub(super) async fn begin(shop: &Shop, ask: Ask, progress: Progress) -> Result<Job, VerifyError> {
    let now = shop.ports.clock.now();
    let job_id = JobId::new(shop.ports.ids.ulid()).to_string();
    let stored =
        StoredJob { job_id, kind: KIND.to_owned(), slices: 0, ask, progress, started_at: now, updated_at: now };
    jobs::write_job(shop.ports.documents.as_ref(), &stored, None).await?;
    ask_for_the_rest(shop, &stored).await;
    Ok(shown(stored))
}

/// A message that cannot be sent is replaced by whoever asks how far it is.
async fn ask_for_the_rest(shop: &Shop, job: &StoredJob) {
    if let Err(err) = shop.ports.bus.send(&next_message(job)).await {
        tracing::warn!(error = %crate::shared::ports::chain(&err), "A check goes on only when someone asks for it.");
    }
}

/// How far it is. Does a slice itself, and sends the next message, if nobody else has done one for a while.
///
/// # Errors
/// `NotFound`, or as the store's or the provider's.
pub async fn find_job(shop: &Shop, id: JobId) -> Result<Job, JobError> {
    let seen = read(shop, id).await?.ok_or(JobError::NotFound)?;
    let still = shop.ports.clock.now() - seen.value.updated_at;
    if seen.value.progress.phase == Phase::Done || still < STILL_MAX {
        return Ok(shown(seen.value));
    }
    let after = slice(shop, id, seen, SLICE_OF_A_QUESTION).await?;
    if after.progress.phase != Phase::Done {
        ask_for_the_rest(shop, &after).await;
    }
    Ok(shown(after))
}

/// Does the slice that a message asks for, and sends the next message; an older message does nothing.
///
/// # Errors
/// As the store's, the provider's or the broker's: the message should come again.
pub async fn continue_job(shop: &Shop, id: JobId, number: u32) -> Result<(), VerifyError> {
    let Some(seen) = read(shop, id).await? else { return Ok(()) };
    let job = &seen.value;
    if job.progress.phase == Phase::Done || job.slices > number {
        return Ok(());
    }
    let after = slice(shop, id, seen, SLICE).await?;
    if after.progress.phase != Phase::Done {
        shop.ports.bus.send(&next_message(&after)).await?;
    }
    Ok(())
}

/// One slice. Two who do the same one read the same; one of them writes it.
async fn slice(shop: &Shop, id: JobId, seen: Seen<StoredJob>, limits: Limits) -> Result<StoredJob, VerifyError> {
    let Seen { value: mut job, etag } = seen;
    go_on(shop, &job.ask, &mut job.progress, limits).await?;
    job.slices += 1;
    job.updated_at = shop.ports.clock.now();
    let documents = shop.ports.documents.as_ref();
    match jobs::write_job(documents, &job, Some(&etag)).await {
        Ok(_) => Ok(job),
        Err(StoreError::Changed { id: changed }) => {
            read(shop, id).await?.map(|it| it.value).ok_or(StoreError::Changed { id: changed }.into())
        }
        Err(err) => Err(err.into()),
    }
}

async fn read(shop: &Shop, id: JobId) -> Result<Option<Seen<StoredJob>>, StoreError> {
    let seen = jobs::read_job(shop.ports.documents.as_ref(), id).await?;
    Ok(seen.filter(|it: &Seen<StoredJob>| it.value.kind == KIND))
}

const KIND: &str = "verify";

fn next_message(job: &StoredJob) -> Message {
    Message {
        destination: destinations::JOBS.to_owned(),
        id: format!("{}-{}", job.job_id, job.slices),
        session: None,
        subject: "job.continue".to_owned(),
        scheduled: None,
        body: json!({ "jobId": job.job_id, "slice": job.slices }).to_string(),
    }
}

fn shown(job: StoredJob) -> Job {
    let StoredJob { job_id, ask, progress, started_at, updated_at, .. } = job;
    Job { id: job_id, ask, progress, started_at, updated_at }
}
