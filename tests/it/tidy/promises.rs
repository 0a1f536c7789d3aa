//! A promise in the documents stands beside the test that shows it; a test that was renamed takes its
//! promise with it, or this fails.
use std::collections::BTreeSet;

use super::{File, rust, tree};

/// The documents whose tables name tests, as `path::of::test` between backticks.
const DOCUMENTS: [&str; 2] = ["docs/CORRECTNESS.md", "docs/FEATURES.md"];

/// What a shop must have between cart and return, by number in `docs/FEATURES.md`.
const MUST: [u32; 53] = [
    28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 40, 41, 42, 43, 44, 45, 46, 48, 50, 51, 52, 54, 55, 56, 57, 59, 60, 64, 65,
    66, 67, 68, 69, 70, 71, 72, 73, 74, 77, 78, 79, 82, 83, 84, 85, 89, 90, 92, 11, 12, 13, 14, 49,
];

/// The promises about goods and money, P1 to this, in `docs/CORRECTNESS.md`.
const PROMISES: u32 = 23;

/// The promises that a test's name begins with: `p9_p10_…` is of P9 and P10.
fn promises(test: &str) -> impl Iterator<Item = u32> {
    test.split('_').map_while(|it| it.strip_prefix('p')?.parse().ok())
}

/// Names of tests in one line: what stands between backticks and holds `::`, or begins with a promise.
fn named(line: &str) -> impl Iterator<Item = &str> {
    let names = line.split('`').skip(1).step_by(2).filter(|it| !it.contains(' '));
    names.filter(|it| it.contains("::") || promises(it).next().is_some())
}

/// The last part of a test's path.
fn last(name: &str) -> &str {
    name.rsplit("::").next().unwrap_or_default()
}

/// Every function of the tree, by name.
fn functions(files: &[File]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in files.iter().filter(|it| it.is_rust()) {
        let code = rust::code(&file.text);
        let names = rust::tokens(&code);
        found.extend(names.windows(2).filter(|it| it[0] == "fn").map(|it| it[1].to_owned()));
    }
    found
}

fn faults(document: &File, functions: &BTreeSet<String>) -> Vec<String> {
    let tests = document.text.lines().flat_map(named);
    let lost = tests.filter(|name| !functions.contains(last(name)));
    lost.map(|name| format!("{}: there is no test `{name}`", document.path)).collect()
}

/// Rows of the table of features that are missing or name no test.
fn missing(features: &str) -> Vec<u32> {
    let shown = |number: u32| {
        let start = format!("| {number} |");
        features.lines().any(|line| line.starts_with(&start) && named(line).next().is_some())
    };
    MUST.into_iter().filter(|number| !shown(*number)).collect()
}

/// Promises whose row is missing or names no test that is named after them.
fn unproved(correctness: &str) -> Vec<u32> {
    let proved = |number: u32| {
        let start = format!("| P{number} |");
        let mut rows = correctness.lines().filter(|line| line.starts_with(&start));
        rows.any(|row| named(row).any(|name| promises(last(name)).any(|it| it == number)))
    };
    (1..=PROMISES).filter(|number| !proved(*number)).collect()
}

#[test]
fn every_promise_names_a_test_that_exists() {
    let files = tree();
    let functions = functions(&files);
    let documents: Vec<_> = files.iter().filter(|it| DOCUMENTS.contains(&it.path.as_str())).collect();
    assert_eq!(documents.len(), DOCUMENTS.len(), "a document is missing");
    let faults: Vec<_> = documents.iter().flat_map(|it| faults(it, &functions)).collect();
    assert!(faults.is_empty(), "{faults:#?}");
    let features = documents.iter().find(|it| it.path.ends_with("FEATURES.md")).unwrap();
    assert_eq!(missing(&features.text), Vec::<u32>::new(), "rows without a test");
    let correctness = documents.iter().find(|it| it.path.ends_with("CORRECTNESS.md")).unwrap();
    assert_eq!(unproved(&correctness.text), Vec::<u32>::new(), "promises without a test named after them");
}

#[test]
fn a_promise_without_its_test_is_noticed() {
    let functions = BTreeSet::from(["a_cart_is_kept".to_owned()]);
    let document = |text: &str| File { path: "docs/FEATURES.md".to_owned(), text: text.to_owned() };
    assert!(faults(&document("| 28 | Guest cart | `shop::a_cart_is_kept` |"), &functions).is_empty());
    assert_eq!(faults(&document("| 28 | Guest cart | `shop::a_cart_is_lost` |"), &functions).len(), 1);
    assert_eq!(missing("| 28 | Guest cart | `shop::a_cart_is_kept` |").len(), MUST.len() - 1);
    assert_eq!(missing("| 28 | Guest cart | none yet |").len(), MUST.len());
    assert_eq!(faults(&document("| P3 | One key | `p3_one_key` |"), &functions).len(), 1);
}

#[test]
fn a_promise_is_proved_by_a_test_named_after_it() {
    let (all, but_one) = (usize::try_from(PROMISES).unwrap(), usize::try_from(PROMISES - 1).unwrap());
    assert_eq!(unproved("| P3 | One key | `p3_one_key` |").len(), but_one);
    assert_eq!(unproved("| P10 | Rounding | `shop::p9_p10_carts` |").len(), but_one);
    assert_eq!(unproved("| P3 | One key | `shop::one_key`, `p30_one_key`, `p13_one_key` |").len(), all);
    assert_eq!(unproved("P3 is shown by `p3_one_key`").len(), all);
}
