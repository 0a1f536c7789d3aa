//! What the shop links: no second TLS stack, one HTTP client, no crate twice without a reason.
use std::{collections::BTreeMap, process::Command};

/// Crates that must not be linked, and why.
const BANNED: &[(&str, &str)] = &[
    ("openssl", "TLS is rustls with aws-lc-rs"),
    ("openssl-sys", "TLS is rustls with aws-lc-rs"),
    ("native-tls", "TLS is rustls with aws-lc-rs"),
    ("ring", "cryptography is aws-lc-rs"),
];

/// Crates that are there in several versions, and why we cannot help it.
const TWICE: &[(&str, &str)] = &[
    ("azure_core", "0.21 by the Service Bus client, 1.1 by the Cosmos DB client"),
    ("base64", "0.13 by http-types under azure_core 0.21; 0.23 by lettre and hyper-util"),
    ("cpufeatures", "0.3 by chacha20 under rand 0.10"),
    ("event-listener", OLD_AZURE),
    ("fastrand", OLD_AZURE),
    ("getrandom", OLD_AZURE),
    ("rand", OLD_AZURE),
    ("rand_chacha", OLD_AZURE),
    ("rand_core", OLD_AZURE),
    ("thiserror", OLD_AZURE),
    ("untrusted", "0.7 by aws-lc-rs, 0.9 by rustls-webpki; both are tiny"),
];
/// The one released Service Bus client stands on an old core; it goes when the client moves on.
const OLD_AZURE: &str = "by http-types under azure_core 0.21, which the Service Bus client needs";

/// The packages that a program of ours links, each with its versions.
pub(crate) fn linked(package: &str) -> BTreeMap<String, Vec<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut tree = Command::new(cargo);
    tree.current_dir(env!("CARGO_MANIFEST_DIR")).args(["tree", "--locked", "--offline", "-p", package]);
    tree.args(["--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"]);
    let output = tree.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    versions(&String::from_utf8(output.stdout).unwrap())
}

fn versions(tree: &str) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::<String, Vec<String>>::new();
    for line in tree.lines() {
        let mut words = line.split(' ');
        if let (Some(name), Some(version)) = (words.next(), words.next()) {
            let versions = found.entry(name.to_owned()).or_default();
            if !versions.iter().any(|it| it == version) {
                versions.push(version.to_owned());
            }
        }
    }
    found
}

fn faults(linked: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let banned = BANNED.iter().filter(|(name, _)| linked.contains_key(*name));
    let mut faults: Vec<String> = banned.map(|(name, why)| format!("`{name}` is linked: {why}")).collect();
    if linked.get("reqwest").is_some_and(|it| it.len() > 1) {
        faults.push("there is more than one reqwest".to_owned());
    }
    for (name, versions) in linked.iter().filter(|(_, it)| it.len() > 1) {
        if !TWICE.iter().any(|(known, _)| known == name) {
            faults.push(format!("`{name}` is linked as {}: say why, or find one version", versions.join(" and ")));
        }
    }
    let stale = TWICE.iter().filter(|(name, _)| linked.get(*name).is_none_or(|it| it.len() < 2));
    faults.extend(stale.map(|(name, _)| format!("`{name}` is there once: take it off the list")));
    faults
}

#[test]
fn the_handler_links_one_of_each() {
    let found = faults(&linked("offpeak"));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_banned_or_doubled_crate_is_seen() {
    let clean = faults(&versions("a v1.0.0\nreqwest v0.13.5 (*)\n")).len();
    for planted in
        ["openssl-sys v0.9.1\n", "ring v0.17.0\n", "reqwest v0.12.0\nreqwest v0.13.5\n", "a v1.0.0\na v2.0.0 (*)\n"]
    {
        assert!(faults(&versions(planted)).len() > clean, "{planted}");
    }
}

/// The SDK's emulator is a feature that must never reach the shipped binary: it would answer for the account.
#[test]
fn the_handler_has_no_feature_that_is_for_tests_only() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut tree = Command::new(cargo);
    tree.current_dir(env!("CARGO_MANIFEST_DIR")).args(["tree", "--locked", "--offline", "-p", "offpeak"]);
    let output = tree.args(["-e", "normal,features", "--prefix", "none"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains("azure_data_cosmos feature"), "{text}");
    for feature in ["__internal", "fault_injection", "test-util"] {
        let found: Vec<_> = text.lines().filter(|it| it.contains(feature)).collect();
        assert!(found.is_empty(), "{found:?}");
    }
}
