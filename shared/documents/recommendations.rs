//! How the model of recommendations is made anew, and how that went the last time: one document of the store. What
//! shoppers made of recommendations on a day: one document for each day.
use std::{collections::BTreeMap, time::Duration};

use offpeak_domain::recommend::Outcome;
use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime};

use super::{Seen, Stored, parse, put, settings::STORE};
use crate::shared::ports::documents::{Container, Documents, ETag, StoreError};

const ID: &str = "recommendations";
/// How long a day is told of.
const DAY_KEPT: Duration = Duration::from_hours(400 * 24);

/// What a run does next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefreshPhase {
    /// What is too old is removed; hours and days that are over are packed, one after the other.
    #[default]
    Pack,
    /// A model without the newest day is held against one that was made before it.
    Judge,
    Publish,
    /// What is too old is removed.
    Prune,
    Done,
}

/// What became of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefreshOutcome {
    Published,
    /// The new model recommends worse than the one that answers.
    HeldBack,
    /// A person holds the one that answers.
    Held,
    /// Nobody clicked since the last one.
    Unchanged,
    /// Another run published meanwhile.
    Overtaken,
}

/// A run, under way or done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Refresh {
    pub job_id: String,
    pub phase: RefreshPhase,
    /// Pieces done so far; names the message that asks for the next.
    pub slices: u32,
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
    /// Names of what the clicks were read from, as a hash.
    pub sources: Option<String>,
    pub judged: Option<Judged>,
    pub outcome: Option<RefreshOutcome>,
    /// Why the run ended early.
    pub failure: Option<String>,
    /// The last that was published, by this run or one before.
    pub published: Option<PublishedModel>,
}

/// Two models on the same clicks, which neither has seen: what would be made now, and one that was published before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Judged {
    /// Clicks that were to be found; with too few nothing is judged and the figures are missing.
    pub events: u32,
    pub live_mrr: Option<f64>,
    pub new_mrr: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PublishedModel {
    pub version: String,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    pub sources: String,
    pub days: u16,
    pub clicks: u64,
    pub sessions: u64,
    pub items: u64,
    pub bytes: u64,
    pub seconds: u64,
}

impl Stored for Refresh {
    const SCHEMA: &'static str = "refresh/1";
}

/// # Errors
/// As the port's.
pub async fn read_refresh(documents: &dyn Documents) -> Result<Option<Seen<Refresh>>, StoreError> {
    documents.read(Container::Stores, STORE, ID).await?.map(parse).transpose()
}

/// # Errors
/// As the port's; `Changed` and `Exists` if somebody else was faster.
pub async fn write_refresh(
    documents: &dyn Documents,
    refresh: &Refresh,
    seen: Option<&ETag>,
) -> Result<ETag, StoreError> {
    let written = documents.write(Container::Stores, STORE, vec![put(ID, refresh, seen, None)?]).await?;
    Ok(written.into_iter().next().unwrap_or(ETag(String::new())))
}

/// What shoppers made on a day of what each surface showed them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DayOutcomes {
    pub day: String,
    /// By the names of surfaces.
    pub surfaces: BTreeMap<String, SurfaceOutcome>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SurfaceOutcome {
    pub shown: u64,
    pub clicked: u64,
    pub bought: u64,
}

impl From<Outcome> for SurfaceOutcome {
    fn from(of: Outcome) -> SurfaceOutcome {
        SurfaceOutcome { shown: of.shown, clicked: of.clicked, bought: of.bought }
    }
}

impl Stored for DayOutcomes {
    const SCHEMA: &'static str = "outcomes/1";
}

fn day_id(day: Date) -> String {
    format!("{ID}-{day}")
}

/// # Errors
/// As the port's.
pub async fn read_outcomes(documents: &dyn Documents, day: Date) -> Result<Option<DayOutcomes>, StoreError> {
    let found = documents.read(Container::Stores, STORE, &day_id(day)).await?;
    Ok(found.map(parse).transpose()?.map(|it: Seen<DayOutcomes>| it.value))
}

/// Keeps a day. That it is kept already is well.
///
/// # Errors
/// As the port's.
pub async fn keep_outcomes(
    documents: &dyn Documents,
    day: Date,
    of: BTreeMap<&'static str, Outcome>,
) -> Result<(), StoreError> {
    let surfaces = of.into_iter().map(|(name, of)| (name.to_owned(), of.into())).collect();
    let outcomes = DayOutcomes { day: day.to_string(), surfaces };
    let write = put(day_id(day), &outcomes, None, Some(DAY_KEPT))?;
    match documents.write(Container::Stores, STORE, vec![write]).await {
        Ok(_) | Err(StoreError::Exists { .. }) => Ok(()),
        Err(err) => Err(err),
    }
}
