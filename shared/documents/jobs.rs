//! Container `jobs`, one partition per job: how far a long piece of work has come.
use std::time::Duration;

use offpeak_domain::ids::JobId;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use time::OffsetDateTime;

use super::{Seen, Stored, parse, put};
use crate::shared::ports::documents::{Container, Documents, ETag, StoreError};

const ID: &str = "job";
/// How long a job is remembered after its last change.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);

/// A job's document; what it was asked and how far it is belong to the kind of job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    bound = "A: Serialize + DeserializeOwned, P: Serialize + DeserializeOwned"
)]
pub struct StoredJob<A, P> {
    pub job_id: String,
    pub kind: String,
    /// Pieces done so far; names the message that asks for the next.
    pub slices: u32,
    pub ask: A,
    pub progress: P,
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

impl<A: Serialize + DeserializeOwned, P: Serialize + DeserializeOwned> Stored for StoredJob<A, P> {
    const SCHEMA: &'static str = "job/1";
}

/// # Errors
/// As the port's.
pub async fn read_job<A, P>(documents: &dyn Documents, id: JobId) -> Result<Option<Seen<StoredJob<A, P>>>, StoreError>
where
    A: Serialize + DeserializeOwned,
    P: Serialize + DeserializeOwned,
{
    let found = documents.read(Container::Jobs, &id.to_string(), ID).await?;
    found.map(parse).transpose()
}

/// # Errors
/// As the port's; `Changed` if another was faster.
pub async fn write_job<A, P>(
    documents: &dyn Documents,
    job: &StoredJob<A, P>,
    seen: Option<&ETag>,
) -> Result<ETag, StoreError>
where
    A: Serialize + DeserializeOwned,
    P: Serialize + DeserializeOwned,
{
    let write = put(ID, job, seen, Some(KEPT))?;
    let etags = documents.write(Container::Jobs, &job.job_id, vec![write]).await?;
    Ok(etags.into_iter().next().unwrap_or(ETag(String::new())))
}
