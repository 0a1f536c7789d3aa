//! What a command could not do, for its caller.
use std::{fmt, path::Path};

/// A sentence.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(what: impl Into<String>) -> Failure {
        Failure(what.into())
    }

    /// About a file: `cannot read clicks.txt: …`.
    pub(crate) fn file(doing: &str, path: &Path, err: &dyn fmt::Display) -> Failure {
        Failure(format!("cannot {doing} {}: {err}", path.display()))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<lexopt::Error> for Failure {
    fn from(err: lexopt::Error) -> Failure {
        Failure(err.to_string())
    }
}
