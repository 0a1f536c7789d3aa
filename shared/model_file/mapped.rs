//! A file as memory. The only `unsafe` of the recommender.
//!
//! What must stay true: a file that is mapped is never written again. Models are written under another name and put in
//! place by a rename, so whoever has the old one open keeps the old one. A file that somebody shortens all the same ends
//! the process by a signal; no caller can be made to read past it.
use std::{fs::File, io, ops::Deref, path::Path};

use memmap2::{Advice, Mmap};

/// The bytes of a file, read as they are touched.
#[derive(Debug)]
pub(crate) struct Mapped(Mmap);

impl Mapped {
    /// Reads nothing yet, and nothing ahead: a query touches few pages, far from each other.
    pub(crate) fn open(path: &Path) -> io::Result<Mapped> {
        let file = File::open(path)?;
        #[expect(unsafe_code, reason = "a mapping is sound only while nobody changes the file; see above")]
        // SAFETY: the file is opened for reading, and models are never changed in place: see the head of this file.
        let map = unsafe { Mmap::map(&file)? };
        #[cfg(unix)]
        map.advise(Advice::Random)?;
        Ok(Mapped(map))
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
