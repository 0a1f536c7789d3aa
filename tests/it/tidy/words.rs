//! Names that say nothing, work left undone, and what belongs to one machine only.
use super::{File, accepted, holds, refused, rust};

/// File and folder names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] =
    &["common", "data", "helper", "helpers", "info", "manager", "misc", "process", "service", "types", "util", "utils"];

fn names_say_something(file: &File) -> Vec<String> {
    let words = file.path.trim_end_matches(".rs").split('/');
    let empty = words.filter(|it| file.is_rust() && EMPTY_NAMES.contains(it));
    empty.map(|it| format!("`{it}` says nothing; name it by what it is for")).collect()
}

/// Lints are silenced with a reason, tests always run, nothing is left for later.
fn nothing_is_left_undone(file: &File) -> Vec<String> {
    if !file.is_rust() {
        return Vec::new();
    }
    let code = rust::code(&file.text);
    let tokens = rust::tokens(&code);
    let mut faults = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let attribute = at >= 2 && tokens[at - 1] == "[" && matches!(tokens[at - 2], "#" | "!");
        let called = tokens.get(at + 1) == Some(&"!");
        match *token {
            "allow" if attribute => faults.push("silence a lint by #[expect(…, reason = \"…\")]".to_owned()),
            "ignore" if attribute => faults.push("a test runs or goes".to_owned()),
            "todo" | "unimplemented" | "dbg" if called => faults.push(format!("`{token}!` is unfinished work")),
            _ => {}
        }
    }
    if file.text.contains(concat!("TO", "DO")) || file.text.contains(concat!("FIX", "ME")) {
        faults.push("what is left to do is an issue, not a comment".to_owned());
    }
    faults
}

/// Folders of one person's or one machine's, in any text; the names are put together here so that this
/// file does not refuse itself.
const MACHINE_PATHS: &[&str] = &[concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Us", "ers/")];

fn no_machine_is_named(file: &File) -> Vec<String> {
    let found = MACHINE_PATHS.iter().filter(|it| mentions(&file.text, it));
    found.map(|it| format!("`{it}` is a path of one machine")).collect()
}

/// Where the Functions host's image has the app: a path of every machine that hosts it.
const HOSTED: &str = concat!("/ho", "me/site/wwwroot");

/// A path begins where no word runs into it: `a/home/b` is something else.
fn mentions(text: &str, path: &str) -> bool {
    text.match_indices(path).any(|(at, _)| {
        !text[..at].ends_with(|it: char| it.is_alphanumeric() || matches!(it, '.' | '}' | '-' | '_'))
            && !text[at..].starts_with(HOSTED)
    })
}

#[test]
fn names_say_what_is_inside() {
    holds(names_say_something);
    refused(names_say_something, "shared/util.rs", "");
    refused(names_say_something, "shared/helpers/mod.rs", "");
    accepted(names_say_something, "shared/domain/money.rs", "");
}

#[test]
fn no_work_is_left_undone() {
    holds(nothing_is_left_undone);
    for bad in [
        "#[allow(dead_code)] fn f() {}",
        "#![allow(clippy::all)]",
        "#[test]\n#[ignore]\nfn f() {}",
        "#[ignore = \"slow\"] fn f() {}",
        "fn f() { todo!() }",
        "fn f() { unimplemented!(\"x\") }",
        "fn f() { dbg!(1); }",
        concat!("// TO", "DO later"),
    ] {
        refused(nothing_is_left_undone, "shared/a.rs", bad);
    }
    accepted(
        nothing_is_left_undone,
        "shared/a.rs",
        "// #[allow(x)]\n#[expect(dead_code, reason = \"b\")] fn allow() { f(\"todo!\") }",
    );
}

#[test]
fn no_path_of_a_machine_stands_in_the_tree() {
    holds(no_machine_is_named);
    refused(no_machine_is_named, "README.md", concat!("cd /ho", "me/ann/shop"));
    refused(no_machine_is_named, "shared/a.rs", concat!("const A: &str = \"/ho", "me/x\";"));
    accepted(no_machine_is_named, "Dockerfile", concat!("COPY app /ho", "me/site/wwwroot/"));
    accepted(no_machine_is_named, "docs/a.md", concat!("the folder a/ho", "me/ of a checkout"));
}
