//! What is in a package, for whoever unpacks it: versions, functions, and a hash of every other file. Nothing of the
//! machine or the moment it was made on.
use std::{fs::File, io, path::Path, process::Command};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::archive;
use crate::{failure::Failure, workspace};

const NAME: &str = "manifest.json";

/// Of everything in `app` but the manifest itself.
pub(super) fn manifest(app: &Path, profile: &str, is_static: bool) -> Result<Value, Failure> {
    let (mut listed, mut functions) = (Map::new(), Vec::new());
    for name in archive::files(app)?.into_iter().filter(|it| it != NAME) {
        if let Some(function) = name.strip_suffix("/function.json") {
            functions.push(function.to_owned());
        }
        let (sha256, bytes) = weigh(&app.join(&name))?;
        listed.insert(name, json!({ "sha256": sha256, "bytes": bytes }));
    }
    Ok(json!({
        "schema": "package/1",
        "name": "offpeak",
        "version": env!("CARGO_PKG_VERSION"),
        "rustc": rustc()?,
        "profile": profile,
        "static": is_static,
        "functions": functions,
        "files": listed,
    }))
}

fn weigh(path: &Path) -> Result<(String, u64), Failure> {
    let mut file = File::open(path).map_err(Failure::file("read", path))?;
    let mut hash = Sha256::new();
    let bytes = io::copy(&mut file, &mut hash).map_err(Failure::file("read", path))?;
    Ok((format!("{:x}", hash.finalize()), bytes))
}

/// The compiler that this checkout is built with.
fn rustc() -> Result<String, Failure> {
    let output = Command::new("rustc").arg("--version").current_dir(workspace::root()).output();
    let output = output.map_err(Failure::file("start", Path::new("rustc")))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_file_is_named_with_its_hash() {
        let app = tempfile::tempdir().unwrap();
        fs::create_dir(app.path().join("cart")).unwrap();
        for (name, text) in [("handler", "abc"), ("cart/function.json", "{}"), (NAME, "an older one")] {
            fs::write(app.path().join(name), text).unwrap();
        }
        let manifest = manifest(app.path(), "dev", false).unwrap();
        assert_eq!(manifest["functions"], json!(["cart"]));
        let files: Vec<_> = manifest["files"].as_object().unwrap().keys().collect();
        assert_eq!(files, ["cart/function.json", "handler"]);
        // Source: FIPS 180-2, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(manifest["files"]["handler"], json!({ "sha256": abc, "bytes": 3 }));
        assert!(manifest["rustc"].as_str().unwrap().starts_with("rustc 1."));
        let text = manifest.to_string();
        assert!(!text.contains(app.path().to_str().unwrap()), "{text}");
    }
}
