//! A folder on this machine. Objects go through the crate; a pointer is replaced under a lock of the whole folder,
//! because a file system has no way to replace a file only if it is as it was seen.
use std::{
    fs::{self, File, OpenOptions},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use object_store::{ObjectStoreExt, local::LocalFileSystem};
use tokio::runtime::Handle;

use super::{Backend, etag, failure::failed, path, read_pointer};
use crate::shared::ports::{
    documents::ETag,
    objects::{ObjectError, ObjectName},
};

/// Held while a pointer is replaced. It ends with the process that has it, whatever ends that.
const LOCK: &str = ".lock";

pub(super) async fn open(root: PathBuf) -> Result<Backend, ObjectError> {
    let making = tokio::task::spawn_blocking(move || {
        fs::create_dir_all(&root).map_err(|err| unusable(&root, err.into()))?;
        let store = LocalFileSystem::new_with_prefix(&root).map_err(|err| unusable(&root, err.into()))?;
        Ok(Backend::Folder { store: store.with_fsync(true), root })
    });
    making.await.map_err(lost)?
}

pub(super) async fn point(
    store: LocalFileSystem,
    root: PathBuf,
    name: ObjectName,
    text: String,
    seen: Option<ETag>,
) -> Result<ETag, ObjectError> {
    let runtime = Handle::current();
    // On a thread of its own to the end: the lock is given back only when the pointer is as it should be.
    let replacing = tokio::task::spawn_blocking(move || {
        let _locked = lock(&root)?;
        runtime.block_on(replace(&store, &name, text, seen))
    });
    replacing.await.map_err(lost)?
}

async fn replace(
    store: &LocalFileSystem,
    name: &ObjectName,
    text: String,
    seen: Option<ETag>,
) -> Result<ETag, ObjectError> {
    let present = read_pointer(store, name).await?.map(|it| it.etag);
    if present != seen {
        return Err(ObjectError::Changed(name.clone()));
    }
    let done = store.put(&path(name), Bytes::from(text).into()).await.map_err(|err| failed(name, &err))?;
    etag(name, done.e_tag)
}

fn lock(root: &Path) -> Result<File, ObjectError> {
    let open = || {
        let file = OpenOptions::new().create(true).append(true).open(root.join(LOCK))?;
        file.lock()?;
        Ok(file)
    };
    open().map_err(|err: std::io::Error| unusable(root, err.into()))
}

fn unusable(root: &Path, err: Box<dyn std::error::Error + Send + Sync>) -> ObjectError {
    super::failure::explained(&root.display().to_string(), "the folder cannot be used; see OFFPEAK_DATA", err)
}

fn lost(err: tokio::task::JoinError) -> ObjectError {
    ObjectError::Unavailable(err.into())
}
