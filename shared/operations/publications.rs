//! Publishes what is too large for a document, a model or an index: the object first, whole, under a name of its own;
//! then the pointer, which says that it is the current one. Whoever reads sees the one before or this one, never a
//! part. Of two publishers who began with the same one, one wins and the other is told.
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::shared::{
    documents::publications::{parse, text},
    operations::list_all,
    ports::{
        Ports,
        documents::ETag,
        objects::{Object, ObjectError, ObjectName, ObjectNameError, Upload},
    },
};

pub use crate::shared::documents::publications::Publication;

/// Times that a pointer is moved again when somebody else was faster.
const TRIES: usize = 5;

#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error(transparent)]
    Name(#[from] ObjectNameError),
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// What had been current when this was begun no longer is.
    #[error("{} was published meanwhile", .0.object)]
    Overtaken(Publication),
}

/// The places of one series of publications.
struct Series {
    pointer: ObjectName,
    versions: ObjectName,
}

impl Series {
    fn of(name: &ObjectName) -> Result<Series, ObjectNameError> {
        Ok(Series { pointer: name.child("current")?, versions: name.child("versions")? })
    }
}

/// A publication in the making. Dropped before it is finished, it changes nothing that a reader sees.
pub struct Publishing<'a> {
    ports: &'a Ports,
    pointer: ObjectName,
    seen: Option<ETag>,
    object: ObjectName,
    upload: Box<dyn Upload>,
    hash: Sha256,
}

/// Begins the next publication of a series, to follow the one that is current now. Its version, a ULID, says when.
///
/// # Errors
/// `Name`, `Object`.
pub async fn publish<'a>(ports: &'a Ports, series: &ObjectName) -> Result<Publishing<'a>, PublishError> {
    let Series { pointer, versions } = Series::of(series)?;
    let seen = ports.objects.pointer(&pointer).await?.map(|it| it.etag);
    let object = versions.child(&ports.ids.ulid().to_string().to_ascii_lowercase())?;
    let upload = ports.objects.upload(&object).await?;
    Ok(Publishing { ports, pointer, seen, object, upload, hash: Sha256::new() })
}

impl Publishing<'_> {
    /// # Errors
    /// As [`Upload::write`].
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), ObjectError> {
        self.hash.update(&bytes);
        self.upload.write(bytes).await
    }

    /// Makes it the current one.
    ///
    /// # Errors
    /// `Overtaken`; `Object`, and then it may or may not be published, as [`current`] will tell.
    pub async fn finish(self) -> Result<Publication, PublishError> {
        let Publishing { ports, pointer, seen, object, upload, hash } = self;
        let bytes = upload.finish().await?;
        let publication = Publication { object, bytes, sha256: format!("{:x}", hash.finalize()) };
        match ports.objects.point(&pointer, &text(&publication)?, seen.as_ref()).await {
            Ok(_) => Ok(publication),
            Err(ObjectError::Changed(_)) => {
                let winner = at(ports, &pointer).await?.ok_or_else(|| ObjectError::Missing(pointer.clone()))?;
                if winner == publication {
                    // Our own answer was lost.
                    return Ok(publication);
                }
                ports.objects.delete(&publication.object).await?;
                Err(PublishError::Overtaken(winner))
            }
            Err(other) => Err(other.into()),
        }
    }
}

/// What is current in a series, if anything is.
///
/// # Errors
/// `Name`, `Object`.
pub async fn current(ports: &Ports, series: &ObjectName) -> Result<Option<Publication>, PublishError> {
    Ok(at(ports, &Series::of(series)?.pointer).await?)
}

async fn at(ports: &Ports, pointer: &ObjectName) -> Result<Option<Publication>, ObjectError> {
    let found = ports.objects.pointer(pointer).await?;
    found.map(|it| parse(pointer, &it.text)).transpose()
}

/// The content of a publication. One that was removed as too old is `Missing`: ask again what is current.
///
/// # Errors
/// As the port's; `Refused` if it is not what was published.
pub async fn open(ports: &Ports, publication: &Publication) -> Result<Object, ObjectError> {
    let object = ports.objects.read(&publication.object, None).await?;
    if object.bytes != publication.bytes {
        let (name, published) = (&publication.object, publication.bytes);
        return Err(ObjectError::Refused(format!("{name} has {} bytes, {published} were published", object.bytes)));
    }
    Ok(object)
}

/// Makes a version that is still there the current one again.
///
/// # Errors
/// `Name`; `Object`, `Missing` if it is not there any more.
pub async fn restore(ports: &Ports, series: &ObjectName, publication: &Publication) -> Result<(), PublishError> {
    let Series { pointer, .. } = Series::of(series)?;
    for _ in 0..TRIES {
        let seen = ports.objects.pointer(&pointer).await?;
        if let Some(seen) = &seen
            && parse(&pointer, &seen.text)? == *publication
        {
            return Ok(());
        }
        drop(open(ports, publication).await?);
        let etag = seen.map(|it| it.etag);
        match ports.objects.point(&pointer, &text(publication)?, etag.as_ref()).await {
            Err(ObjectError::Changed(_)) => {}
            moved => return Ok(moved.map(drop)?),
        }
    }
    Err(ObjectError::Changed(pointer).into())
}

/// What is there of a series, oldest first.
///
/// # Errors
/// `Name`, `Object`.
pub async fn versions(ports: &Ports, series: &ObjectName) -> Result<Vec<ObjectName>, PublishError> {
    let Series { versions, .. } = Series::of(series)?;
    Ok(list_all(ports, &versions).await?.into_iter().map(|it| it.name).collect())
}

/// Removes versions that are older than the current one and its `kept` predecessors; answers how many. What is newer
/// may be about to become current.
///
/// # Errors
/// `Name`, `Object`.
pub async fn prune(ports: &Ports, series: &ObjectName, kept: usize) -> Result<usize, PublishError> {
    let Some(current) = current(ports, series).await? else { return Ok(0) };
    let mut older = versions(ports, series).await?;
    older.retain(|it| *it < current.object);
    older.truncate(older.len().saturating_sub(kept));
    for name in &older {
        ports.objects.delete(name).await?;
    }
    Ok(older.len())
}
