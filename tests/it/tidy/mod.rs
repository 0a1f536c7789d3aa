//! What the compiler cannot hold about this tree: who may know whom, bindings that the host accepts,
//! sizes, names. A rule is a function over one file's path and text, and each is shown to refuse
//! something planted, so that a rule which has gone blind is noticed.
mod arrows;
mod bindings;
pub(crate) mod crates;
mod host_json;
mod orphans;
mod promises;
mod rust;
mod settings;
mod sizes;
mod words;

use std::{fmt::Write, fs, path::Path};

/// Files larger than this are data, not something a person reads whole.
const READ_MAX_BYTES: u64 = 1 << 20;

/// One file of the tree: path from the root with `/`, and its text.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }
}

/// A rule says what is wrong with a file, in sentences that help to mend it.
type Rule = fn(&File) -> Vec<String>;

/// Every file that is ours and text, in order.
pub(crate) fn tree() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    walk(root, root, &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(files.iter().any(|it| it.path == "lib.rs"), "the tree was not found");
    files
}

fn walk(root: &Path, folder: &Path, files: &mut Vec<File>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let inner = path.strip_prefix(root).unwrap().to_str().expect("a path of ours is UTF-8").replace('\\', "/");
        if matches!(inner.as_str(), "target" | "data" | ".git" | "local.settings.json") {
            continue;
        }
        if path.is_dir() {
            walk(root, &path, files);
        } else if path.metadata().unwrap().len() <= READ_MAX_BYTES
            && let Ok(text) = fs::read_to_string(&path)
        {
            files.push(File { path: inner, text });
        }
    }
}

/// Holds the whole tree to a rule.
fn holds(rule: Rule) {
    let mut report = String::new();
    for file in tree() {
        for fault in rule(&file) {
            writeln!(report, "{}: {fault}", file.path).unwrap();
        }
    }
    assert!(report.is_empty(), "\n{report}");
}

/// The rule refuses this file.
fn refused(rule: Rule, path: &str, text: &str) {
    let faults = rule(&File { path: path.to_owned(), text: text.to_owned() });
    assert!(!faults.is_empty(), "nothing was found wrong with {path}:\n{text}");
}

/// The rule has nothing against this file.
fn accepted(rule: Rule, path: &str, text: &str) {
    let faults = rule(&File { path: path.to_owned(), text: text.to_owned() });
    assert!(faults.is_empty(), "{path}: {faults:?}\n{text}");
}
