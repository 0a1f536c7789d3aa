//! Models of recommendations as mapped files, opened in no time.
//!
//! What must stay true: a file that is cut, damaged or of another version is refused with the reason. Whoever is
//! answering keeps the model that it began with, also when its file is gone.
mod mapped;

use std::{
    io,
    path::{Path, PathBuf},
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
    fn a_file_is_read_in_place_and_a_bad_one_is_refused_by_its_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let good = write(&path("good"), &["mug", "tea", "pot"]);
        let file = ModelFile::open(&path("good")).unwrap();
        file.verify().unwrap();
        fs::remove_file(path("good")).unwrap();
        assert_eq!((file.model().items(), file.bytes()), (3, good.len()), "gone from the folder, and still answering");

        let refused = |name: &str, bytes: &[u8]| {
            fs::write(path(name), bytes).unwrap();
            let checked = ModelFile::open(&path(name)).and_then(|it| it.verify());
            checked.unwrap_err().source().unwrap().to_string()
        };
        assert!(refused("cut", &good[..good.len() - 1]).contains("cut short"));
        assert!(refused("empty", &[]).len() > 3);
        let mut changed = good.clone();
        changed[good.len() - 1] ^= 1;
        assert!(refused("changed", &changed).contains("checksum"));
        let mut older = good;
        older[8] = 0;
        assert!(refused("older", &older).contains("version 0"));
        assert!(ModelFile::open(&path("missing")).is_err());
    }
}
