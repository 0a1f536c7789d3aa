//! Files that nothing compiles. The compiler does not miss a module whose `mod` line is gone; tests
//! have silently left a crate that way.
use std::collections::{BTreeMap, BTreeSet};

use super::{File, rust, tree};

/// Roots of crates, which cargo finds; in the root package it looks for no tests by itself.
fn is_root(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    match parts[..] {
        [_, .., "tests", _] => true,
        [.., name] => matches!(name, "main.rs" | "lib.rs" | "build.rs"),
        [] => false,
    }
}

/// The module's name and the folder whose `mod.rs`, `main.rs` or `lib.rs` has to list it.
fn place(path: &str) -> (&str, &str) {
    let module = path.trim_end_matches(".rs").trim_end_matches("/mod");
    module.rsplit_once('/').map_or((module, ""), |(folder, name)| (name, folder))
}

fn orphans(files: &[File]) -> Vec<String> {
    let mut listed = BTreeMap::<&str, BTreeSet<String>>::new();
    for file in files.iter().filter(|it| it.is_rust()) {
        let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
        if matches!(name, "mod.rs" | "main.rs" | "lib.rs") {
            let code = rust::code(&file.text);
            let names = rust::tokens(&code);
            let names = names.windows(2).filter(|it| it[0] == "mod").map(|it| it[1].to_owned());
            listed.entry(folder).or_default().extend(names);
        }
    }
    let lost = files.iter().filter(|it| it.is_rust() && !is_root(&it.path)).filter(|it| {
        let (name, folder) = place(&it.path);
        !listed.get(folder).is_some_and(|names| names.contains(name))
    });
    lost.map(|it| format!("{} is compiled by nobody: its `mod` line is missing", it.path)).collect()
}

#[test]
fn every_file_is_compiled() {
    let faults = orphans(&tree());
    assert!(faults.is_empty(), "{faults:#?}");
    let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
    let planted = [
        file("lib.rs", "pub mod shared;"),
        file("shared/mod.rs", "mod clock;\n// mod lost;"),
        file("shared/clock.rs", ""),
        file("devhost/tests/kills.rs", ""),
        file("tests/kills.rs", ""),
        file("shared/lost.rs", ""),
        file("shared/gone/mod.rs", ""),
    ];
    assert_eq!(orphans(&planted).len(), 3, "{:?}", orphans(&planted));
}
