//! Models of recommendations as mapped files: opened in no time, swapped without a pause, rolled back.
//!
//! What must stay true: a file that is cut, damaged or of another version is refused with the reason, and the last good
//! one stays. Whoever is answering keeps the model that it began with.
mod mapped;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use mapped::Mapped;
use offpeak_domain::recommend::{IndexError, Layout, Model};
use thiserror::Error;

/// Why a file is not taken.
#[derive(Debug, Error)]
pub enum ModelFileError {
    #[error("cannot map {path}")]
    Map { path: PathBuf, source: io::Error },
    #[error("{path} is refused")]
    Refused { path: PathBuf, source: IndexError },
}

/// A model in a file.
#[derive(Debug)]
pub struct ModelFile {
    path: PathBuf,
    bytes: Mapped,
    layout: Layout,
}

impl ModelFile {
    /// Maps the file and checks its head; the rest is checked by [`ModelFile::verify`], when there is time.
    ///
    /// # Errors
    /// If the file cannot be mapped, or is none that this program reads.
    pub fn open(path: &Path) -> Result<ModelFile, ModelFileError> {
        let path = path.to_owned();
        let bytes = match Mapped::open(&path) {
            Ok(bytes) => bytes,
            Err(source) => return Err(ModelFileError::Map { path, source }),
        };
        match Layout::read(&bytes) {
            Ok(layout) => Ok(ModelFile { path, bytes, layout }),
            Err(source) => Err(ModelFileError::Refused { path, source }),
        }
    }

    pub fn model(&self) -> Model<'_> {
        self.layout.model(&self.bytes)
    }

    /// Compares every byte with the checksum, which also brings the file into memory.
    ///
    /// # Errors
    /// If a byte is not what was written.
    pub fn verify(&self) -> Result<(), ModelFileError> {
        let refused = |source| ModelFileError::Refused { path: self.path.clone(), source };
        self.layout.verify(&self.bytes).map_err(refused)
    }

    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }
}

/// The model that answers, and the one before it.
#[derive(Debug, Default)]
pub struct Models(RwLock<Kept>);

#[derive(Debug, Default)]
struct Kept {
    current: Option<Arc<ModelFile>>,
    previous: Option<Arc<ModelFile>>,
}

impl Models {
    /// The model to answer with, for as long as the caller holds it.
    pub fn current(&self) -> Option<Arc<ModelFile>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).current.clone()
    }

    /// Answers with this file from now on.
    ///
    /// # Errors
    /// If it is no good; then nothing changes.
    pub fn publish(&self, path: &Path) -> Result<Arc<ModelFile>, ModelFileError> {
        let file = ModelFile::open(path)?;
        file.verify()?;
        let file = Arc::new(file);
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        kept.previous = kept.current.replace(Arc::clone(&file));
        Ok(file)
    }

    /// Answers with the model before this one; `false` if there is none.
    pub fn roll_back(&self) -> bool {
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let previous = kept.previous.take();
        let found = previous.is_some();
        if found {
            kept.current = previous;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use std::{error::Error as _, fs};

    use offpeak_domain::recommend::{Builder, Click, Params, Stage};

    use super::*;

    fn write(path: &Path, items: &[&str]) -> Vec<u8> {
        let mut builder = Builder::new(&Params::default());
        builder.add(1, items.iter().map(|it| Click::view(it)));
        let bytes = builder.finish(Stage::Whole);
        fs::write(path, &bytes).unwrap();
        bytes
    }

    #[test]
    fn a_model_is_swapped_and_rolled_back_and_a_bad_file_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        write(&path("one"), &["mug", "tea"]);
        write(&path("two"), &["mug", "tea", "pot"]);
        let models = Models::default();
        assert!(models.current().is_none() && !models.roll_back());
        let items = |models: &Models| models.current().unwrap().model().items();
        models.publish(&path("one")).unwrap();
        let held = models.current().unwrap();
        models.publish(&path("two")).unwrap();
        assert_eq!((items(&models), held.model().items()), (3, 2));

        let good = fs::read(path("two")).unwrap();
        let bad = |name: &str, bytes: &[u8]| {
            fs::write(path(name), bytes).unwrap();
            let err = models.publish(&path(name)).unwrap_err();
            assert_eq!(items(&models), 3);
            err.source().unwrap().to_string()
        };
        assert!(bad("cut", &good[..good.len() - 1]).contains("cut short"));
        assert!(bad("empty", &[]).len() > 3);
        let mut changed = good.clone();
        changed[good.len() - 1] ^= 1;
        assert!(bad("changed", &changed).contains("checksum"));
        let mut older = good;
        older[8] = 0;
        assert!(bad("older", &older).contains("version 0"));
        assert!(models.publish(&path("missing")).is_err());

        assert!(models.roll_back());
        assert_eq!(items(&models), 2);
        assert!(!models.roll_back());
    }
}
