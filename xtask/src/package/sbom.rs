//! The bill of materials: every crate that is linked into the handler, with its version, licence and hash, and who
//! needs whom. Source: CycloneDX 1.6, JSON; package URLs.
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde_json::{Value, json};

use crate::{build, failure::Failure, workspace};

/// Between name and licence in what cargo prints; no crate's name or version holds it.
const GAP: char = '|';

/// A crate as cargo's tree shows it.
#[derive(Debug, Default, PartialEq)]
struct Crate {
    licence: String,
    /// Purls of the crates it needs.
    needs: BTreeSet<String>,
}

/// Crates by (name, version).
type Tree = BTreeMap<(String, String), Crate>;

/// The handler's bill.
pub(super) fn bill() -> Result<Value, Failure> {
    let mut tree = build::cargo();
    tree.args(["tree", "--locked", "--package", "offpeak", "--edges", "normal,no-proc-macro"]);
    tree.args(["--target", build::SHIPPED_TARGET, "--prefix", "depth", "--format", &format!("{{p}}{GAP}{{l}}")]);
    let output = tree.output().map_err(|err| Failure::new(format!("cannot start cargo: {err}")))?;
    if !output.status.success() {
        return Err(Failure::new(String::from_utf8_lossy(&output.stderr)));
    }
    let lock = workspace::root().join("Cargo.lock");
    let lock = fs::read_to_string(&lock).map_err(Failure::file("read", &lock))?;
    Ok(written(&read(&String::from_utf8_lossy(&output.stdout)), &hashes(&lock)))
}

fn purl(name: &str, version: &str) -> String {
    format!("pkg:cargo/{name}@{version}")
}

/// From `cargo tree --prefix depth`: a crate's own needs follow it once, and are left out where it comes again.
fn read(tree: &str) -> Tree {
    let mut found = Tree::new();
    let mut above: Vec<(String, String)> = Vec::new();
    for line in tree.lines() {
        let digits = line.len() - line.trim_start_matches(|it: char| it.is_ascii_digit()).len();
        let Ok(depth) = line[..digits].parse::<usize>() else { continue };
        let (package, licence) = line[digits..].split_once(GAP).unwrap_or((&line[digits..], ""));
        let mut words = package.split(' ');
        let (Some(name), Some(version)) = (words.next(), words.next()) else { continue };
        let key = (name.to_owned(), version.trim_start_matches('v').to_owned());
        above.truncate(depth);
        if let Some(parent) = above.last().and_then(|it| found.get_mut(it)) {
            parent.needs.insert(purl(&key.0, &key.1));
        }
        // Some crates still write "A/B" where they mean "A OR B".
        let licence = licence.trim_end_matches(" (*)").replace('/', " OR ");
        found.entry(key.clone()).or_default().licence = licence;
        above.push(key);
    }
    found
}

/// Hashes of what comes from the registry, by (name, version).
fn hashes(lock: &str) -> BTreeMap<(String, String), String> {
    let mut found = BTreeMap::new();
    for block in lock.split("[[package]]").skip(1) {
        let value = |name: &str| {
            let line = block.lines().find_map(|it| it.strip_prefix(name)?.strip_prefix(" = \""));
            line.map(|it| it.trim_end_matches('"').to_owned())
        };
        if let (Some(name), Some(version), Some(hash)) = (value("name"), value("version"), value("checksum")) {
            found.insert((name, version), hash);
        }
    }
    found
}

fn written(tree: &Tree, hashes: &BTreeMap<(String, String), String>) -> Value {
    let component = |key: &(String, String), it: &Crate, kind: &str| {
        let (name, version) = key;
        let mut component = json!({
            "type": kind, "bom-ref": purl(name, version), "name": name, "version": version, "purl": purl(name, version),
        });
        if !it.licence.is_empty() {
            component["licenses"] = json!([{ "expression": it.licence }]);
        }
        if let Some(hash) = hashes.get(key) {
            component["hashes"] = json!([{ "alg": "SHA-256", "content": hash }]);
        }
        component
    };
    let (ours, others): (Vec<_>, Vec<_>) = tree.iter().partition(|((name, _), _)| name == "offpeak");
    let dependencies: Vec<_> =
        tree.iter().map(|((name, version), it)| json!({ "ref": purl(name, version), "dependsOn": it.needs })).collect();
    // No time and no serial number: the same tree is the same bill.
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": { "component": ours.first().map(|(key, it)| component(key, it, "application")) },
        "components": others.iter().map(|(key, it)| component(key, it, "library")).collect::<Vec<_>>(),
        "dependencies": dependencies,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "0offpeak v0.1.0 (/somewhere)|MIT OR Apache-2.0\n1bytes v1.12.2|MIT\n1tokio v1.54.1|MIT\n\
                        2bytes v1.12.2|MIT (*)\n2old v0.1.0|MIT/Apache-2.0\n1old v0.2.0|\n";

    #[test]
    fn the_bill_names_each_crate_once_with_what_it_needs() {
        let lock = "version = 4\n\n[[package]]\nname = \"bytes\"\nversion = \"1.12.2\"\nsource = \"r\"\n\
                    checksum = \"aa\"\n\n[[package]]\nname = \"offpeak\"\nversion = \"0.1.0\"\n";
        let bill = written(&read(TREE), &hashes(lock));
        assert_eq!(bill["metadata"]["component"]["purl"], "pkg:cargo/offpeak@0.1.0");
        let names: Vec<_> = bill["components"].as_array().unwrap().iter().map(|it| it["bom-ref"].clone()).collect();
        assert_eq!(
            names,
            ["bytes@1.12.2", "old@0.1.0", "old@0.2.0", "tokio@1.54.1"].map(|it| format!("pkg:cargo/{it}"))
        );
        assert_eq!(bill["components"][0]["hashes"], json!([{ "alg": "SHA-256", "content": "aa" }]));
        assert_eq!(bill["components"][1]["licenses"], json!([{ "expression": "MIT OR Apache-2.0" }]));
        assert_eq!(bill["components"][2]["licenses"], Value::Null);
        let needs = |name: &str| {
            let all = bill["dependencies"].as_array().unwrap();
            all.iter().find(|it| it["ref"] == format!("pkg:cargo/{name}")).unwrap()["dependsOn"].clone()
        };
        assert_eq!(needs("tokio@1.54.1"), json!(["pkg:cargo/bytes@1.12.2", "pkg:cargo/old@0.1.0"]));
        assert_eq!(needs("offpeak@0.1.0").as_array().unwrap().len(), 3);
        assert!(!bill.to_string().contains("somewhere"));
    }
}
