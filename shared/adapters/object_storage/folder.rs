//! A folder on this machine. Objects go through the crate; a pointer is replaced under a lock of the whole folder,
//! because a file system has no way to replace a file only if it is as it was seen.
use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use object_store::{ObjectStoreExt, local::LocalFileSystem};
use tokio::runtime::Handle;

use super::{Backend, etag, failure::failed, path, read_pointer, upload::DRAFTS};
use crate::shared::ports::{
    documents::ETag,
    objects::{ObjectError, ObjectName},
};

/// Objects that are being written lie in the folder [`DRAFTS`]; one this old was left by a process that was killed.
const DRAFT_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// Held while a pointer is replaced. It ends with the process that has it, whatever ends that.
const LOCK: &str = ".lock";

pub(super) async fn open(root: PathBuf) -> Result<Backend, ObjectError> {
    let making = tokio::task::spawn_blocking(move || {
        fs::create_dir_all(&root).map_err(|err| unusable(&root, err.into()))?;
        let store = LocalFileSystem::new_with_prefix(&root).map_err(|err| unusable(&root, err.into()))?;
        forget_drafts(&root.join(DRAFTS)).map_err(|err| unusable(&root, err.into()))?;
        Ok(Backend::Folder { store: store.with_fsync(true), root })
    });
    making.await.map_err(lost)?
}

fn forget_drafts(folder: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.metadata()?.modified()?.elapsed().is_ok_and(|age| age > DRAFT_LIFE) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
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
    open().map_err(|err: io::Error| unusable(root, err.into()))
}

fn unusable(root: &Path, err: Box<dyn std::error::Error + Send + Sync>) -> ObjectError {
    super::failure::explained(&root.display().to_string(), "the folder cannot be used; see OFFPEAK_DATA", err)
}

fn lost(err: tokio::task::JoinError) -> ObjectError {
    ObjectError::Unavailable(err.into())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[tokio::test]
    async fn what_a_killed_writer_left_goes_after_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let drafts = folder.path().join(DRAFTS);
        fs::create_dir(&drafts).unwrap();
        for (name, age) in [("old", DRAFT_LIFE * 2), ("young", Duration::ZERO)] {
            let file = File::create(drafts.join(name)).unwrap();
            file.set_modified(SystemTime::now() - age).unwrap();
        }
        open(folder.path().to_owned()).await.map(drop).unwrap();
        assert!(!drafts.join("old").exists() && drafts.join("young").exists());
    }
}
