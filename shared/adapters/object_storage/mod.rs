//! Objects by the `object_store` crate: a folder on one machine, a container of Azure Blob Storage, or the memory of
//! this process. An object is created and never replaced, by whichever way the place has to be exact about that; a
//! pointer is replaced under the version that was seen.
mod azure;
mod failure;
mod folder;
mod upload;

use std::{ops::Range, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, UpdateVersion,
    list::{PaginatedListOptions, PaginatedListStore},
    local::LocalFileSystem,
    memory::InMemory,
    path::Path,
};
use tokio::sync::OnceCell;

pub use self::azure::{Account, Credential};
use self::failure::{Slow, failed, unavailable};
use super::http_client::HttpClient;
use crate::shared::ports::{
    documents::ETag,
    objects::{
        Entry, Listing, OBJECT_MAX_BYTES, Object, ObjectBody, ObjectError, ObjectName, Objects, PAGE_MAX,
        POINTER_MAX_BYTES, Pointer, Upload,
    },
    reach::{Reach, Unreached},
};

/// The longest wait for one answer, for one part that is handed over, and between two pieces of an object that arrives.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Where the objects are.
#[derive(Clone, Debug)]
pub enum Place {
    /// This process alone, until it ends.
    Memory,
    /// Made when it is first needed.
    Folder(PathBuf),
    Azure(Account),
}

enum Backend {
    Memory(InMemory),
    Folder { store: LocalFileSystem, root: PathBuf },
    Azure(azure::Container),
}

impl Backend {
    fn store(&self) -> &dyn ObjectStore {
        match self {
            Backend::Memory(store) => store,
            Backend::Folder { store, .. } => store,
            Backend::Azure(container) => &container.store,
        }
    }
}

pub struct StoredObjects {
    place: Place,
    client: HttpClient,
    patience: Duration,
    /// Opened by the first call that needs it: a start does not wait for it.
    backend: OnceCell<Arc<Backend>>,
}

impl StoredObjects {
    pub fn new(place: Place, client: HttpClient, patience: Duration) -> StoredObjects {
        StoredObjects { place, client, patience, backend: OnceCell::new() }
    }

    /// For tests and for shops that keep no objects.
    pub fn in_memory() -> StoredObjects {
        StoredObjects::new(Place::Memory, HttpClient::default(), PATIENCE)
    }

    async fn backend(&self) -> Result<&Arc<Backend>, ObjectError> {
        let open = || async {
            let backend = match &self.place {
                Place::Memory => Backend::Memory(InMemory::new()),
                Place::Folder(root) => folder::open(root.clone()).await?,
                Place::Azure(account) => Backend::Azure(azure::open(account, self.client.clone())?),
            };
            Ok(Arc::new(backend))
        };
        self.backend.get_or_try_init(open).await
    }

    async fn in_time<T>(
        &self,
        name: &ObjectName,
        answer: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, ObjectError> {
        within(self.patience, name, answer).await
    }
}

/// Waits for an answer about `name`, no longer than `patience`.
async fn within<T>(
    patience: Duration,
    name: &ObjectName,
    answer: impl Future<Output = object_store::Result<T>>,
) -> Result<T, ObjectError> {
    let answer = tokio::time::timeout(patience, answer).await.map_err(|_| unavailable(Slow(patience)))?;
    answer.map_err(|err| failed(name, &err))
}

fn path(name: &ObjectName) -> Path {
    Path::from(name.as_str())
}

#[async_trait]
impl Objects for StoredObjects {
    async fn upload(&self, name: &ObjectName) -> Result<Box<dyn Upload>, ObjectError> {
        let backend = Arc::clone(self.backend().await?);
        Ok(Box::new(upload::InParts::new(backend, name.clone(), self.patience)))
    }

    async fn read(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Object, ObjectError> {
        if range.as_ref().is_some_and(Range::is_empty) {
            return Err(ObjectError::Refused(format!("{name}: an empty range")));
        }
        let (ranged, first) = (range.is_some(), range.as_ref().map_or(0, |it| it.start));
        let options = GetOptions { range: range.map(GetRange::Bounded), ..GetOptions::default() };
        let (store, path) = (self.backend().await?.store(), path(name));
        let found = match self.in_time(name, store.get_opts(&path, options)).await {
            Err(ObjectError::Unavailable(_)) if ranged && self.is_beyond(name, first).await? => {
                return Err(ObjectError::Refused(format!("{name} ends before byte {first}")));
            }
            found => found?,
        };
        let (bytes, left) = (found.meta.size, found.range.end - found.range.start);
        let body = Body { name: name.clone(), stream: found.into_stream(), left, patience: self.patience };
        Ok(Object { bytes, body: Box::new(body) })
    }

    async fn list(&self, folder: &ObjectName, page: Option<&str>, max: usize) -> Result<Listing, ObjectError> {
        let max = max.clamp(1, PAGE_MAX);
        let backend = self.backend().await?;
        if let Backend::Azure(container) = &**backend {
            let options = PaginatedListOptions {
                max_keys: Some(max),
                page_token: page.map(str::to_owned),
                ..PaginatedListOptions::default()
            };
            let prefix = format!("{folder}/");
            let found = self.in_time(folder, container.store.list_paginated(Some(&prefix), options)).await?;
            return Ok(Listing { entries: entries(found.result.objects), next: found.page_token });
        }
        // These two know no order, and all they hold is at hand.
        let all = backend.store().list(Some(&path(folder))).try_collect::<Vec<_>>();
        let mut entries = entries(self.in_time(folder, all).await?);
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        entries.retain(|it| page.is_none_or(|page| it.name.as_str() > page));
        let more = entries.len() > max;
        entries.truncate(max);
        let next = entries.last().filter(|_| more).map(|it| it.name.to_string());
        Ok(Listing { entries, next })
    }

    async fn delete(&self, name: &ObjectName) -> Result<(), ObjectError> {
        let path = path(name);
        let deleted = match &**self.backend().await? {
            Backend::Azure(container) => self.in_time(name, container.delete(name)).await,
            other => self.in_time(name, other.store().delete(&path)).await,
        };
        match deleted {
            Err(ObjectError::Missing(_)) => Ok(()),
            answer => answer,
        }
    }

    async fn pointer(&self, name: &ObjectName) -> Result<Option<Pointer>, ObjectError> {
        let read = read_pointer(self.backend().await?.store(), name);
        tokio::time::timeout(self.patience, read).await.map_err(|_| unavailable(Slow(self.patience)))?
    }

    async fn point(&self, name: &ObjectName, text: &str, seen: Option<&ETag>) -> Result<ETag, ObjectError> {
        if text.len() > POINTER_MAX_BYTES {
            return Err(ObjectError::Refused(format!("{name}: a pointer says at most {POINTER_MAX_BYTES} bytes")));
        }
        let backend = self.backend().await?;
        if let Backend::Folder { store, root } = &**backend {
            let replaced = folder::point(store.clone(), root.clone(), name.clone(), text.to_owned(), seen.cloned());
            return tokio::time::timeout(self.patience, replaced)
                .await
                .map_err(|_| unavailable(Slow(self.patience)))?;
        }
        let mode = match seen {
            None => PutMode::Create,
            Some(seen) => PutMode::Update(UpdateVersion { e_tag: Some(seen.0.clone()), version: None }),
        };
        let content = Bytes::copy_from_slice(text.as_bytes());
        let (path, options) = (path(name), PutOptions::from(mode));
        let replaced = self.in_time(name, backend.store().put_opts(&path, content.into(), options)).await;
        match replaced {
            Ok(done) => etag(name, done.e_tag),
            Err(ObjectError::Taken(_) | ObjectError::Missing(_)) => Err(ObjectError::Changed(name.clone())),
            Err(other) => Err(other),
        }
    }
}

#[async_trait]
impl Reach for StoredObjects {
    /// Reads and removes what is not there: whoever may not write is told so.
    async fn reach(&self) -> Result<(), Unreached> {
        let never = ObjectName::parse("check")?;
        self.pointer(&never).await?;
        Ok(self.delete(&never).await?)
    }
}

impl StoredObjects {
    /// Does the object end before this byte? A place that is asked for such a range has no word of its own for it.
    async fn is_beyond(&self, name: &ObjectName, first: u64) -> Result<bool, ObjectError> {
        let (store, path) = (self.backend().await?.store(), path(name));
        Ok(self.in_time(name, store.head(&path)).await.is_ok_and(|it| it.size <= first))
    }
}

async fn read_pointer(store: &dyn ObjectStore, name: &ObjectName) -> Result<Option<Pointer>, ObjectError> {
    let found = match store.get(&path(name)).await.map_err(|err| failed(name, &err)) {
        Err(ObjectError::Missing(_)) => return Ok(None),
        found => found?,
    };
    if found.meta.size > POINTER_MAX_BYTES as u64 {
        return Err(ObjectError::Refused(format!("{name} is longer than a pointer")));
    }
    let etag = etag(name, found.meta.e_tag.clone())?;
    let content = found.bytes().await.map_err(|err| failed(name, &err))?;
    let text = String::from_utf8(content.into()).map_err(|_| ObjectError::Refused(format!("{name} is not text")))?;
    Ok(Some(Pointer { text, etag }))
}

fn etag(name: &ObjectName, given: Option<String>) -> Result<ETag, ObjectError> {
    given.map(ETag).ok_or_else(|| ObjectError::Refused(format!("{name} has no version")))
}

/// What was not named by us is not ours.
fn entries(found: Vec<ObjectMeta>) -> Vec<Entry> {
    let ours = |it: ObjectMeta| Some(Entry { name: ObjectName::parse(it.location.as_ref()).ok()?, bytes: it.size });
    found.into_iter().filter_map(ours).collect()
}

struct Body {
    name: ObjectName,
    stream: BoxStream<'static, object_store::Result<Bytes>>,
    left: u64,
    patience: Duration,
}

#[async_trait]
impl ObjectBody for Body {
    async fn chunk(&mut self) -> Result<Option<Bytes>, ObjectError> {
        let next = async { self.stream.next().await.transpose() };
        match within(self.patience, &self.name, next).await? {
            Some(bytes) => {
                self.left = self.left.saturating_sub(bytes.len() as u64);
                Ok(Some(bytes))
            }
            None if self.left == 0 => Ok(None),
            None => Err(unavailable(failure::BrokeOff { left: self.left })),
        }
    }
}

const _: () = assert!(upload::PARTS_MAX * upload::PART_BYTES as u64 >= OBJECT_MAX_BYTES);
