//! Who may know whom. A part knows only what stands beside its name here; crates that could be
//! replaced are known in one folder only.
use super::{File, accepted, holds, refused, rust};

/// Part, and the parts it may use besides itself. `domain` is a crate of its own; the compiler holds it.
const MAY_USE: &[(&str, &[&str])] = &[
    ("functions", &["app", "host", "operations", "telemetry", "views", "functions"]),
    // Forms on the wire that several rooms share.
    ("views", &["documents", "host", "operations", "ports"]),
    ("host", &["app", "operations", "ports", "telemetry"]),
    ("operations", &["documents", "ports", "telemetry"]),
    ("documents", &["ports"]),
    ("ports", &[]),
    ("adapters", &["ports", "config", "telemetry"]),
    ("config", &[]),
    ("telemetry", &[]),
    // The composition root: what rooms are given, so it knows what they know and what they must not.
    ("app", &["adapters", "ports", "config", "host", "operations", "documents", "telemetry"]),
    // The command lines of the handler: `handler --check`, `handler import`.
    ("check_cli", &["app", "operations", "ports"]),
    ("import_cli", &["app", "operations", "documents", "ports", "config", "telemetry"]),
];

/// Crates that could be replaced, or that carry a protocol, and where alone they are known.
const KNOWN_IN: &[(&str, &[&str])] = &[
    ("warp", &["shared/host/"]),
    ("hyper", &["shared/host/"]),
    ("hyper_util", &["shared/host/"]),
    ("http_body_util", &["shared/host/"]),
    ("matchit", &["shared/host/"]),
    ("rusqlite", &["shared/adapters/sqlite/"]),
    ("azure_core", &["shared/adapters/service_bus/"]),
    ("azure_messaging_servicebus", &["shared/adapters/service_bus/"]),
    ("lettre", &["shared/adapters/"]),
    ("azure_credentials", &["shared/adapters/"]),
    ("redis", &["shared/adapters/redis_cache/"]),
    ("object_store", &["shared/adapters/object_storage/"]),
    ("reqwest", &["shared/adapters/", "shared/app.rs"]),
    ("jsonwebtoken", &["shared/adapters/", "shared/host/"]),
    ("moka", &["shared/operations/", "shared/adapters/"]),
];

/// Files of the root package that the arrows are about; `main.rs` may know all.
fn is_ours(path: &str) -> bool {
    let crates = ["shared/domain/", "shared/model_file/"];
    (path.starts_with("functions/") || path.starts_with("shared/")) && !crates.iter().any(|it| path.starts_with(it))
}

fn part(module: &[String]) -> Option<&str> {
    match module.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["crate", "functions", ..] => Some("functions"),
        ["crate", "shared", part, ..] => Some(part),
        _ => None,
    }
}

fn arrows(file: &File) -> Vec<String> {
    if !file.is_rust() || !is_ours(&file.path) || matches!(file.path.as_str(), "shared/mod.rs" | "functions/mod.rs") {
        return Vec::new();
    }
    let inside = file.path.trim_start_matches("shared/");
    let own = inside.split(['/', '.']).next().unwrap_or_default();
    let Some((_, may_use)) = MAY_USE.iter().find(|(name, _)| *name == own) else {
        return vec![format!("`{own}` has no line in the table of arrows")];
    };
    let mut faults = Vec::new();
    for path in rust::paths(&file.path, &file.text) {
        if let Some(other) = part(&path)
            && other != own
            && !may_use.contains(&other)
        {
            faults.push(format!("`{own}` may not know `{}`", path.join("::")));
        }
        if own == "functions"
            && part(&path) == Some("functions")
            && path.get(2).is_some_and(|it| is_other_room(file, it))
        {
            faults.push(format!("no room knows another: `{}`", path.join("::")));
        }
    }
    faults
}

fn is_other_room(file: &File, name: &str) -> bool {
    file.path.split('/').nth(1) != Some(name)
}

fn replaceable_crates(file: &File) -> Vec<String> {
    if !file.is_rust() || !(is_ours(&file.path) || file.path == "main.rs") {
        return Vec::new();
    }
    let code = rust::code(&file.text);
    let tokens = rust::tokens(&code);
    KNOWN_IN
        .iter()
        .filter(|(_, places)| !places.iter().any(|place| file.path.starts_with(place)))
        .filter(|(name, _)| {
            tokens.windows(2).enumerate().any(|(at, pair)| {
                pair[0] == *name && pair[1] == "::" && (at == 0 || tokens[at - 1] != "::")
                    || pair[0] == "use" && pair[1] == *name
            })
        })
        .map(|(name, places)| format!("`{name}` is known in {} only", places.join(" and ")))
        .collect()
}

/// What would make the domain depend on the world, or on when and where it runs.
const IMPURE: &[&str] = &[
    "async",
    "await",
    "SystemTime",
    "Instant",
    "now_utc",
    "now_local",
    "fs",
    "net",
    "env",
    "process",
    "thread",
    "rand",
    "tokio",
];

fn domain_is_pure(file: &File) -> Vec<String> {
    if !file.is_rust() || !file.path.starts_with("shared/domain/") {
        return Vec::new();
    }
    let code = rust::code(&file.text);
    let tokens = rust::tokens(&code);
    // A word counts where a path leads to it (`std::fs`) or where it is a keyword; a local may have any name.
    let mentioned = |word: &&&str| {
        tokens.windows(2).any(|pair| pair[0] == "::" && pair[1] == **word || pair[1] == "::" && pair[0] == **word)
            || matches!(**word, "async" | "await") && tokens.contains(*word)
    };
    IMPURE.iter().filter(mentioned).map(|word| format!("the domain is pure: no `{word}`")).collect()
}

/// Crates the domain may stand on: values and their arithmetic.
const DOMAIN_CRATES: &[&str] = &["sha2", "thiserror", "time", "ulid"];

fn domain_stands_on_little(file: &File) -> Vec<String> {
    if file.path != "shared/domain/Cargo.toml" {
        return Vec::new();
    }
    let section = file.text.split("[dependencies]").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let names = section.lines().filter_map(|line| line.split(['.', '=', ' ']).next()).filter(|it| !it.is_empty());
    let strange = names.filter(|it| !it.starts_with('#') && !DOMAIN_CRATES.contains(it));
    strange.map(|it| format!("the domain does not stand on `{it}`")).collect()
}

#[test]
fn parts_know_only_what_they_may() {
    holds(arrows);
    refused(arrows, "shared/operations/place.rs", "use crate::shared::adapters::sqlite::SqliteDocuments;");
    refused(arrows, "shared/operations/place.rs", "use crate::shared::{ports::Ports, host::problem::Problem};");
    refused(arrows, "shared/operations/place.rs", "fn f() { super::super::host::problem::chain(x) }");
    refused(arrows, "shared/documents/carts.rs", "use super::super::operations::carts;");
    refused(arrows, "shared/ports/bus.rs", "use crate::shared::config::Config;");
    refused(arrows, "functions/cart/mod.rs", "use crate::shared::ports::documents::Documents;");
    refused(arrows, "functions/cart/mod.rs", "use super::checkout::View;");
    refused(arrows, "functions/cart/mod.rs", "use crate::functions::{checkout::View};");
    refused(arrows, "shared/surprise/mod.rs", "");
    accepted(
        arrows,
        "functions/cart/mod.rs",
        "use crate::shared::{app::App, host::room::Room};\nmod view;\nuse view::View;",
    );
    accepted(
        arrows,
        "shared/operations/place.rs",
        "// crate::shared::host\nuse crate::shared::ports::Ports;\nuse super::stock;",
    );
}

#[test]
fn what_could_be_replaced_is_known_in_one_place() {
    holds(replaceable_crates);
    refused(replaceable_crates, "functions/cart/mod.rs", "use warp::Filter;");
    refused(replaceable_crates, "shared/operations/cart.rs", "fn f(it: rusqlite::Connection) {}");
    refused(replaceable_crates, "shared/adapters/smtp/mod.rs", "use azure_core::HttpClient;");
    accepted(replaceable_crates, "shared/host/server.rs", "use warp::Filter; use hyper::body::Incoming;");
    accepted(replaceable_crates, "shared/operations/cart.rs", "// not rusqlite::Connection\nuse http::StatusCode;");
}

#[test]
fn the_domain_is_pure() {
    holds(domain_is_pure);
    holds(domain_stands_on_little);
    refused(domain_is_pure, "shared/domain/cart.rs", "async fn load() {}");
    refused(domain_is_pure, "shared/domain/cart.rs", "use std::time::Instant;");
    refused(domain_is_pure, "shared/domain/cart.rs", "fn f() { std::env::var(\"A\"); }");
    refused(domain_is_pure, "shared/domain/cart.rs", "let now = time::OffsetDateTime::now_utc();");
    accepted(domain_is_pure, "shared/domain/cart.rs", "// async\nfn f(net: u8) -> u8 { net }");
    refused(
        domain_stands_on_little,
        "shared/domain/Cargo.toml",
        "[dependencies]\ntime = \"1\"\ntokio = \"1\"\n\n[lints]\n",
    );
    accepted(
        domain_stands_on_little,
        "shared/domain/Cargo.toml",
        "[dependencies]\ntime = \"1\"\n\n[lints]\nworkspace = true",
    );
}
