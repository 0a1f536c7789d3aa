//! `cargo xtask package`: what is in the zip, read by another program than the one that wrote it.
mod container;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{given, tidy::crates::linked};

const SCRIPT: &str = include_str!("unzip.py");

/// Packs the development build into this folder; answers the zip.
pub(crate) fn packed(output: &Path) -> PathBuf {
    let mut command = Command::new(given::path(given::XTASK));
    let printed = command.args(["package", "--profile", "dev", "--output"]).arg(output).output().unwrap();
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let text = String::from_utf8(printed.stdout).unwrap();
    let zip = PathBuf::from(text.lines().last().expect("the zip's path is the last line"));
    assert!(zip.is_file() && zip.starts_with(output), "{text}");
    zip
}

/// Unpacks as a deployment does, modes and all; answers the entries as they lie in the zip.
pub(crate) fn unpacked(zip: &Path, folder: &Path) -> Vec<Value> {
    let mut python = Command::new(given::path(given::PYTHON));
    let printed = python.args(["-c", SCRIPT]).arg(zip).arg(folder).output().unwrap();
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    serde_json::from_slice(&printed.stdout).unwrap()
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn the_package_holds_the_app_and_says_what_it_is_made_of() {
    let place = tempfile::tempdir().unwrap();
    let (first, app) = (place.path().join("first"), place.path().join("app"));
    let zip = packed(&first);
    let entries = unpacked(&zip, &app);
    let names: Vec<&str> = entries.iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert!(names.is_sorted(), "{names:?}");
    for entry in &entries {
        let mode = if entry["name"] == "handler" { "755" } else { "644" };
        assert_eq!((&entry["mode"], &entry["date"]), (&json!(mode), &json!([1980, 1, 1, 0, 0, 0])), "{entry}");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rooms: BTreeSet<String> = fs::read_dir(root.join("functions"))
        .unwrap()
        .map(|it| it.unwrap().path())
        .filter(|it| it.join("function.json").is_file())
        .map(|it| it.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    let mut expected: Vec<String> = rooms.iter().map(|it| format!("{it}/function.json")).collect();
    expected.extend(["handler", "host.json", "manifest.json", "sbom.json"].map(str::to_owned));
    expected.sort();
    assert_eq!(names, expected);
    assert_eq!(fs::read(app.join("host.json")).unwrap(), fs::read(root.join("host.json")).unwrap());

    the_manifest_is_true(&app, &rooms, &names);
    the_bill_is_what_is_linked(&json_of(&app.join("sbom.json")));
    let again = packed(&place.path().join("again"));
    assert!(fs::read(zip).unwrap() == fs::read(again).unwrap(), "the same build packed twice differs");
}

fn the_manifest_is_true(app: &Path, rooms: &BTreeSet<String>, names: &[&str]) {
    let manifest = json_of(&app.join("manifest.json"));
    assert_eq!((&manifest["version"], &manifest["static"]), (&json!(env!("CARGO_PKG_VERSION")), &json!(false)));
    assert_eq!(manifest["functions"], json!(rooms));
    assert!(manifest["rustc"].as_str().unwrap().starts_with("rustc "), "{}", manifest["rustc"]);
    let listed = manifest["files"].as_object().unwrap();
    assert!(listed.keys().eq(names.iter().filter(|it| **it != "manifest.json")), "{:?}", listed.keys());
    for (name, said) in listed {
        let content = fs::read(app.join(name)).unwrap();
        let found = json!({ "bytes": content.len(), "sha256": format!("{:x}", Sha256::digest(&content)) });
        assert_eq!(said, &found, "{name}");
    }
}

fn the_bill_is_what_is_linked(bill: &Value) {
    let named = |it: &Value| format!("{} {}", it["name"].as_str().unwrap(), it["version"].as_str().unwrap());
    let components = bill["components"].as_array().unwrap();
    let mut billed: BTreeSet<String> = components.iter().map(named).collect();
    billed.insert(named(&bill["metadata"]["component"]));
    let linked = linked("offpeak").into_iter();
    let linked = linked.flat_map(|(name, versions)| {
        versions.into_iter().map(move |it| format!("{name} {}", it.trim_start_matches('v')))
    });
    assert_eq!(billed, linked.collect());
    let ours = |it: &Value| it["name"].as_str().unwrap().starts_with("offpeak");
    for component in components.iter().filter(|it| !ours(it)) {
        let hash = component["hashes"][0]["content"].as_str().unwrap_or_default();
        assert_eq!(hash.len(), 64, "{component}");
        assert!(component["licenses"][0]["expression"].is_string(), "{component}");
    }
}
