//! The models that are kept, and which of them answers: the newest, unless a person holds an older one.
//!
//! What must stay true: a hold is stored before a pointer moves, and whoever publishes looks for one after it has seen
//! the pointers; so of the two the hold wins. A hold that was stored and not followed is followed by the next run.
use time::Duration;

use super::{FIRST, MODEL};
use crate::shared::{
    documents::{
        Seen,
        models::{Models, read_models, write_models},
    },
    operations::{
        Shop,
        publications::{self, PublishError, restore},
    },
    ports::{
        Ports, chain,
        documents::{ETag, StoreError},
        objects::{ObjectError, ObjectName, ObjectNameError},
    },
};

pub use crate::shared::documents::models::{Hold, KeptModel};

/// A hold ends by itself after so long: from that age on a model is never kept for being better.
const HOLD: Duration = Duration::days(7);
/// Times that the document is read again when somebody else was faster.
const TRIES: usize = 5;

#[derive(Debug, thiserror::Error)]
pub enum ModelsError {
    /// No such model is kept.
    #[error("no model {0} is kept")]
    Unknown(String),
    /// It is not as the caller has seen it.
    #[error("the models have changed since they were read")]
    Changed,
    #[error(transparent)]
    Publication(#[from] PublishError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ObjectError> for ModelsError {
    fn from(err: ObjectError) -> ModelsError {
        ModelsError::Publication(err.into())
    }
}

impl From<ObjectNameError> for ModelsError {
    fn from(err: ObjectNameError) -> ModelsError {
        ModelsError::Publication(err.into())
    }
}

/// Which models there are.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The one that answers.
    pub current: Option<String>,
    pub hold: Option<Hold>,
    /// Newest first.
    pub kept: Vec<KeptModel>,
    /// None before the first was kept.
    pub etag: Option<ETag>,
}

/// # Errors
/// `Publication`, `Store`.
pub async fn standing(shop: &Shop) -> Result<Standing, ModelsError> {
    let ports = &shop.ports;
    let current = publications::current(ports, &ObjectName::parse(MODEL)?).await?;
    let (models, etag) = read(ports).await?;
    let hold = models.held(ports.clock.now()).cloned();
    let kept = models.kept.into_iter().rev().collect();
    Ok(Standing { current: current.map(|it| it.version().to_owned()), hold, kept, etag })
}

/// Makes this model answer and no other for a week, or (`None`) the next that is made. `expected` is what the caller has
/// seen of the models, if it matters.
///
/// # Errors
/// [`ModelsError`].
pub async fn hold(
    shop: &Shop,
    version: Option<&str>,
    expected: Option<&str>,
    by: &str,
) -> Result<Standing, ModelsError> {
    let ports = &shop.ports;
    let (mut models, etag) = read(ports).await?;
    if expected.is_some_and(|expected| etag.as_ref().is_none_or(|it| it.0 != expected)) {
        return Err(ModelsError::Changed);
    }
    let now = ports.clock.now();
    if models.held(now).map(|it| it.version.as_str()) != version {
        models.hold = match version {
            None => None,
            Some(version) => Some(new_hold(ports, &models, version, by).await?),
        };
        match write_models(ports.documents.as_ref(), &models, etag.as_ref()).await {
            Ok(_) => tracing::info!(by, model.version = version, "Which model is held was changed."),
            Err(StoreError::Changed { .. } | StoreError::Exists { .. }) => return Err(ModelsError::Changed),
            Err(err) => return Err(err.into()),
        }
    }
    follow(ports).await?;
    standing(shop).await
}

async fn new_hold(ports: &Ports, models: &Models, version: &str, by: &str) -> Result<Hold, ModelsError> {
    let unknown = || ModelsError::Unknown(version.to_owned());
    let model = models.model(version).ok_or_else(unknown)?;
    for file in [&model.first, &model.whole] {
        match publications::open(ports, &file.publication()?).await {
            Err(ObjectError::Missing(_)) => return Err(unknown()),
            opened => drop(opened?),
        }
    }
    let since = ports.clock.now();
    Ok(Hold { version: version.to_owned(), since, until: since + HOLD, by: by.to_owned() })
}

/// Sees to it that the model that is held is the one that answers.
///
/// # Errors
/// `Publication`, `Store`.
pub(super) async fn follow(ports: &Ports) -> Result<(), ModelsError> {
    for _ in 0..TRIES {
        let Some((hold, model)) = held_model(ports).await? else { return Ok(()) };
        for (series, file) in [(FIRST, &model.first), (MODEL, &model.whole)] {
            match restore(ports, &ObjectName::parse(series)?, &file.publication()?).await {
                Err(PublishError::Object(err @ ObjectError::Missing(_))) => {
                    tracing::error!(error = %chain(&err), "The model that is held is not there; another one answers.");
                    return Ok(());
                }
                restored => restored?,
            }
        }
        // Somebody may have held another one meanwhile, and moved the pointers before.
        if held_model(ports).await?.is_none_or(|(it, _)| it.version == hold.version) {
            return Ok(());
        }
    }
    Err(ModelsError::Changed)
}

async fn held_model(ports: &Ports) -> Result<Option<(Hold, KeptModel)>, StoreError> {
    let (models, _) = read(ports).await?;
    let Some(hold) = models.held(ports.clock.now()) else { return Ok(None) };
    Ok(models.model(&hold.version).map(|it| (hold.clone(), it.clone())))
}

/// Whether a person holds a model.
///
/// # Errors
/// As the store's.
pub(super) async fn is_held(ports: &Ports) -> Result<bool, StoreError> {
    Ok(read(ports).await?.0.held(ports.clock.now()).is_some())
}

/// Notes a model that was published.
///
/// # Errors
/// `Store`, `Changed`.
pub(super) async fn keep(ports: &Ports, model: &KeptModel) -> Result<(), ModelsError> {
    change(ports, |models| {
        let is_new = models.model(&model.version).is_none();
        if is_new {
            models.kept.push(model.clone());
        }
        is_new
    })
    .await
}

/// Forgets models that are no longer there.
///
/// # Errors
/// [`ModelsError`].
pub(super) async fn forget(ports: &Ports) -> Result<(), ModelsError> {
    let there = publications::versions(ports, &ObjectName::parse(MODEL)?).await?;
    let is_there = |it: &KeptModel| there.iter().any(|name| name.as_str() == it.whole.object);
    // What is newer than all may have come since.
    let is_newer = |it: &KeptModel| there.last().is_none_or(|name| name.as_str() < it.whole.object.as_str());
    change(ports, |models| {
        let before = models.kept.len();
        models.kept.retain(|it| is_there(it) || is_newer(it));
        models.kept.len() < before
    })
    .await
}

/// Writes what is other than before, on what somebody else has written meanwhile too.
async fn change(ports: &Ports, mut changes: impl FnMut(&mut Models) -> bool) -> Result<(), ModelsError> {
    for _ in 0..TRIES {
        let (mut models, etag) = read(ports).await?;
        if !changes(&mut models) {
            return Ok(());
        }
        match write_models(ports.documents.as_ref(), &models, etag.as_ref()).await {
            Err(StoreError::Changed { .. } | StoreError::Exists { .. }) => {}
            written => return Ok(written.map(drop)?),
        }
    }
    Err(ModelsError::Changed)
}

async fn read(ports: &Ports) -> Result<(Models, Option<ETag>), StoreError> {
    let found = read_models(ports.documents.as_ref()).await?;
    Ok(found.map_or_else(Default::default, |Seen { value, etag }| (value, Some(etag))))
}
