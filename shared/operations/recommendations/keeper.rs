//! The one task behind recommendations: it fetches models and the last hour, and puts them in place. It begins with a
//! process's first request and does nothing while nobody asks; no request ever waits for a fetch.
use std::{
    collections::HashSet,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use offpeak_domain::recommend::Stage;
use tokio::{
    sync::{mpsc, watch},
    task::spawn_blocking,
    time::Instant,
};
use ulid::Ulid;

use super::{
    FIRST, MODEL, disk,
    fetch::{FetchError, fetch},
    serving::{Opened, Serving, Version},
};
use crate::shared::{
    operations::{
        clicks::live::LastHour,
        publications::{PublishError, current},
    },
    ports::{Ports, chain, objects::ObjectName},
};

/// How often it is asked whether there is something new, while requests come.
#[derive(Clone, Copy, Debug)]
pub struct Cadence {
    pub model: Duration,
    pub last_hour: Duration,
}

impl Default for Cadence {
    fn default() -> Cadence {
        Cadence { model: Duration::from_secs(60), last_hour: Duration::from_secs(10) }
    }
}

/// What requests and the keeper have in common.
pub(super) struct Held {
    pub(super) folder: PathBuf,
    pub(super) cadence: Cadence,
    serving: RwLock<Arc<Serving>>,
    /// When there may be something new.
    due: Mutex<Instant>,
    /// Whether what was to be had soon is there.
    pub(super) is_ready: watch::Sender<bool>,
}

impl Held {
    pub(super) fn new(folder: PathBuf, cadence: Cadence) -> Held {
        Held {
            folder,
            cadence,
            serving: RwLock::new(Arc::new(Serving::of(Arc::new(Opened::nothing())))),
            due: Mutex::new(Instant::now()),
            is_ready: watch::Sender::new(false),
        }
    }

    pub(super) fn serving(&self) -> Arc<Serving> {
        self.serving.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, serving: Serving) {
        *self.serving.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(serving);
    }

    /// Whether it is time to ask; says so once.
    pub(super) fn is_due(&self) -> bool {
        let now = Instant::now();
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = *due <= now;
        if is_due {
            *due = now + self.cadence.last_hour.min(self.cadence.model);
        }
        is_due
    }
}

/// Ends when nobody wants recommendations of this process any more.
pub(super) async fn keep(held: Arc<Held>, ports: Ports, mut wanted: mpsc::Receiver<()>) {
    let mut keeper = Keeper::new(held, ports);
    keeper.open_local().await;
    while wanted.recv().await.is_some() {
        keeper.look().await;
    }
}

pub(super) struct Keeper {
    held: Arc<Held>,
    ports: Ports,
    last_hour: LastHour,
    /// Publications that are no good; they are not fetched again.
    refused: HashSet<String>,
    model_looked: Option<Instant>,
    hour_looked: Option<Instant>,
}

impl Keeper {
    pub(super) fn new(held: Arc<Held>, ports: Ports) -> Keeper {
        let (last_hour, refused) = (LastHour::default(), HashSet::new());
        Keeper { held, ports, last_hour, refused, model_looked: None, hour_looked: None }
    }

    /// What another process has fetched answers at once; that its bytes are right is checked behind that.
    pub(super) async fn open_local(&mut self) {
        let folder = self.held.folder.clone();
        let found = spawn_blocking(move || {
            let stages = [Stage::Whole, Stage::First];
            stages.into_iter().flat_map(|stage| disk::versions(&folder, stage)).collect::<Vec<Version>>()
        });
        for version in found.await.unwrap_or_default() {
            if self.open_one(version).await {
                return;
            }
        }
    }

    /// Whether it answers now.
    async fn open_one(&mut self, version: Version) -> bool {
        let folder = self.held.folder.clone();
        let opened = match disk::open(&folder, version.clone()) {
            Ok(opened) => Arc::new(opened),
            Err(err) => {
                self.refuse_local(&version, &chain(&err));
                return false;
            }
        };
        self.held.put(Serving::of(Arc::clone(&opened)));
        self.held.is_ready.send_replace(true);
        let verified = spawn_blocking(move || opened.verify()).await;
        if let Ok(Err(err)) = verified {
            self.held.put(Serving::of(Arc::new(Opened::nothing())));
            self.refuse_local(&version, &chain(&err));
            return false;
        }
        true
    }

    fn refuse_local(&self, version: &Version, error: &str) {
        tracing::error!(error, "A model on this machine is refused and removed; another one is looked for.");
        disk::remove(&self.held.folder, version);
    }

    /// Puts in place what is new.
    pub(super) async fn look(&mut self) {
        let models = is_over(&mut self.model_looked, self.held.cadence.model);
        let has_none = self.held.serving().opened.version.is_none();
        if models && has_none {
            // Small, so that there is an answer while the whole one is on its way.
            self.renew(Stage::First).await;
        }
        self.held.is_ready.send_replace(true);
        if is_over(&mut self.hour_looked, self.held.cadence.last_hour) {
            self.renew_last_hour().await;
        }
        if models {
            self.renew(Stage::Whole).await;
        }
    }

    /// Asks which model is current, and fetches it unless it is the one that answers.
    async fn renew(&mut self, stage: Stage) {
        match self.newer(stage).await {
            Ok(None) => {}
            Ok(Some(opened)) => {
                let name = opened.version.as_ref().map(|it| it.name.clone()).unwrap_or_default();
                tracing::info!(model.version = name, "Recommendations are of the model {name}.");
                let version = opened.version.clone();
                self.lay_over(Arc::new(Serving::of(Arc::new(opened)))).await;
                let folder = self.held.folder.clone();
                spawn_blocking(move || disk::tidy(&folder, version.as_ref())).await.ok();
            }
            Err(err) => {
                tracing::warn!(error = %chain(&err), "The model that answers stays; a newer one is not to be had.")
            }
        }
    }

    async fn newer(&mut self, stage: Stage) -> Result<Option<Opened>, RenewError> {
        let series = match stage {
            Stage::Whole => MODEL,
            Stage::First => FIRST,
        };
        let series = ObjectName::parse(series).map_err(PublishError::from)?;
        let Some(publication) = current(&self.ports, &series).await? else { return Ok(None) };
        let version = Version { stage, name: publication.version().to_owned() };
        let answers = self.held.serving().opened.version.as_ref() == Some(&version);
        if answers || self.refused.contains(publication.object.as_str()) {
            return Ok(None);
        }
        match fetch(&self.ports, &self.held.folder, &publication, version).await {
            Ok(opened) => Ok(Some(opened)),
            Err(err) => {
                if err.is_final() {
                    self.refused.insert(publication.object.to_string());
                    tracing::error!(error = %chain(&err), "A model that was published is refused; the last good one stays.");
                }
                Err(err.into())
            }
        }
    }

    async fn renew_last_hour(&mut self) {
        match self.last_hour.refresh(&self.ports).await {
            Ok(true) => self.lay_over(self.held.serving()).await,
            Ok(false) => {}
            Err(err) => tracing::warn!(error = %chain(&err), "What was clicked of late is not to be had."),
        }
    }

    /// Puts a model in place, with the last hour laid over it off every request's path.
    async fn lay_over(&self, serving: Arc<Serving>) {
        let last_hour = self.last_hour.clone();
        if last_hour.segments().next().is_none() {
            return self.held.put(Serving::of(Arc::clone(&serving.opened)));
        }
        let now = self.ports.clock.now().unix_timestamp();
        let opened = Arc::clone(&serving.opened);
        let laid = spawn_blocking(move || {
            // What the model has learnt already is not counted twice.
            let begun = opened.version.as_ref().and_then(begun);
            let beyond = last_hour.beyond(now, begun, opened.newest());
            serving.with(opened.overlay(beyond.iter().map(AsRef::as_ref), 0))
        });
        if let Ok(serving) = laid.await {
            self.held.put(serving);
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum RenewError {
    #[error(transparent)]
    Publication(#[from] PublishError),
    #[error(transparent)]
    Fetch(#[from] FetchError),
}

/// The minute, since 1970, in which a publication was begun, before the clicks of its model were read.
fn begun(version: &Version) -> Option<u32> {
    let version = Ulid::from_string(&version.name).ok()?;
    u32::try_from(version.timestamp_ms() / 60_000).ok()
}

/// Whether so much time is over since the last time that it was.
fn is_over(last: &mut Option<Instant>, time: Duration) -> bool {
    let now = Instant::now();
    let is_over = last.is_none_or(|it| it + time <= now);
    if is_over {
        *last = Some(now);
    }
    is_over
}
