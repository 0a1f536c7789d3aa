//! Brings a publication to this machine: under another name first, and compared with what was published.
use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};
use tokio::task::{JoinError, spawn_blocking};

use super::{
    disk,
    serving::{Opened, Version},
};
use crate::shared::{
    operations::publications::{Publication, open},
    ports::{Ports, objects::ObjectError},
};
use offpeak_model_file::ModelFileError;

/// Why a publication does not answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error(transparent)]
    Object(#[from] ObjectError),
    #[error("the model cannot be kept in {}", .0.display())]
    Folder(PathBuf, #[source] std::io::Error),
    /// Fetching it again would bring the same.
    #[error("{0} is not what was published")]
    Changed(String),
    /// As [`FetchError::Changed`].
    #[error("{0} is refused")]
    Refused(String, #[source] ModelFileError),
    #[error("fetching was cut short")]
    Ended(#[from] JoinError),
}

impl FetchError {
    pub(super) fn is_final(&self) -> bool {
        matches!(self, FetchError::Changed(_) | FetchError::Refused(..))
    }
}

/// Fetches, checks every byte, and opens.
pub(super) async fn fetch(
    ports: &Ports,
    folder: &Path,
    publication: &Publication,
    version: Version,
) -> Result<Opened, FetchError> {
    let draft = disk::draft(folder, &format!("{}-{}", ports.ids.ulid(), version.name));
    let fetched = download(ports, folder, publication, &draft).await;
    if fetched.is_err() {
        fs::remove_file(&draft).ok();
    }
    fetched?;
    let (folder, name) = (folder.to_owned(), publication.object.to_string());
    spawn_blocking(move || {
        fs::rename(&draft, disk::path(&folder, &version)).map_err(|err| FetchError::Folder(draft, err))?;
        let opened = disk::open(&folder, version.clone()).and_then(|it| it.verify().map(|()| it));
        opened.map_err(|err| {
            disk::remove(&folder, &version);
            FetchError::Refused(name, err)
        })
    })
    .await?
}

async fn download(ports: &Ports, folder: &Path, publication: &Publication, draft: &Path) -> Result<(), FetchError> {
    let failed = |err| FetchError::Folder(draft.to_owned(), err);
    let mut object = open(ports, publication).await?;
    fs::create_dir_all(folder).map_err(failed)?;
    let mut writing = (File::create(draft).map_err(failed)?, Sha256::new());
    while let Some(chunk) = object.body.chunk().await? {
        let (mut file, mut hash) = writing;
        let write = move || {
            file.write_all(&chunk)?;
            hash.update(&chunk);
            Ok((file, hash))
        };
        writing = spawn_blocking(write).await?.map_err(failed)?;
    }
    let is_same = format!("{:x}", writing.1.finalize()) == publication.sha256;
    if is_same { Ok(()) } else { Err(FetchError::Changed(publication.object.to_string())) }
}
