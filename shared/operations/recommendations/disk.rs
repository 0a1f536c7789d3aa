//! Models in a folder of this machine: what one process has fetched is there for the next one at once.
//!
//! What must stay true: a file has its name only when it is whole, and is never written again. Several processes may use
//! one folder. All of this blocks, so it is for threads that may.
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use offpeak_domain::recommend::Stage;
use offpeak_model_file::{ModelFile, ModelFileError};

use super::serving::{Opened, Version};

/// Models of a stage that stay: the newest and the one before.
const KEPT: usize = 2;
/// What a download that died has left may be removed after so long.
const ABANDONED: Duration = Duration::from_secs(3_600);
const DRAFT: &str = ".draft-";

fn prefix(stage: Stage) -> &'static str {
    match stage {
        Stage::Whole => "model-",
        Stage::First => "first-",
    }
}

pub(super) fn path(folder: &Path, version: &Version) -> PathBuf {
    folder.join(format!("{}{}", prefix(version.stage), version.name))
}

/// A name that nobody else writes under.
pub(super) fn draft(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{DRAFT}{name}"))
}

/// What is there of a stage, newest first.
pub(super) fn versions(folder: &Path, stage: Stage) -> Vec<Version> {
    let names = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = names.filter_map(|it| it.file_name().into_string().ok());
    let mut found: Vec<String> = names.filter_map(|it| it.strip_prefix(prefix(stage)).map(str::to_owned)).collect();
    found.sort_unstable_by(|one, other| other.cmp(one));
    found.into_iter().map(|name| Version { stage, name }).collect()
}

/// Opens a file that is there; its head is checked, the rest is not.
pub(super) fn open(folder: &Path, version: Version) -> Result<Opened, ModelFileError> {
    Ok(Opened::file(ModelFile::open(&path(folder, &version))?, version))
}

/// Takes a file that is no good out of the way.
pub(super) fn remove(folder: &Path, version: &Version) {
    if let Err(err) = fs::remove_file(path(folder, version)) {
        tracing::debug!(error = %err, "A model's file is not removed.");
    }
}

/// Removes what is old, and what is newer than the current one: that was taken back. Whoever has a file open keeps it.
pub(super) fn tidy(folder: &Path, current: Option<&Version>) {
    for stage in [Stage::First, Stage::Whole] {
        let (newer, others): (Vec<Version>, Vec<Version>) = versions(folder, stage)
            .into_iter()
            .partition(|it| current.is_some_and(|current| current.stage == stage && current.name < it.name));
        for version in newer.iter().chain(others.iter().skip(KEPT)) {
            remove(folder, version);
        }
    }
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_draft = entry.file_name().to_str().is_some_and(|it| it.starts_with(DRAFT));
        if is_draft && is_old(&entry).unwrap_or(false) {
            fs::remove_file(entry.path()).ok();
        }
    }
}

fn is_old(entry: &fs::DirEntry) -> io::Result<bool> {
    let changed = entry.metadata()?.modified()?;
    Ok(SystemTime::now().duration_since(changed).is_ok_and(|it| it > ABANDONED))
}
