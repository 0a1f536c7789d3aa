//! Where things are: this checkout, its build output, its data.
use std::{
    env,
    path::{Path, PathBuf},
};

/// Folder with the data of `run`, `import` and `replay` when the caller names none.
const DATA: &str = "data";

/// The checkout that this program was built from.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// Cargo's output folder; a caller may have moved it by `CARGO_TARGET_DIR`.
pub(crate) fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR").filter(|it| !it.is_empty()) {
        Some(moved) => root().join(moved),
        None => root().join("target"),
    }
}

/// The data folder as an absolute path: the caller's, seen from where the caller stands, or our own.
pub(crate) fn data(chosen: Option<PathBuf>) -> PathBuf {
    match chosen {
        Some(path) => std::path::absolute(&path).unwrap_or(path),
        None => root().join(DATA),
    }
}
