//! Sizes: what does not fit on a few screens holds two subjects.
use super::{File, accepted, holds, refused, rust};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
/// A room reads, calls one operation and answers.
const HANDLER_LINES_MAX: usize = 25;

fn files_are_short(file: &File) -> Vec<String> {
    let lines = file.text.lines().count();
    if file.is_rust() && lines > FILE_LINES_MAX {
        return vec![format!("{lines} lines, more than {FILE_LINES_MAX}")];
    }
    Vec::new()
}

fn functions_are_short(file: &File) -> Vec<String> {
    if !file.is_rust() {
        return Vec::new();
    }
    let parts: Vec<&str> = file.path.split('/').collect();
    let in_room = matches!(parts[..], ["functions", _, "mod.rs"]);
    let max =
        |function: &rust::Function| if in_room && function.is_async { HANDLER_LINES_MAX } else { FUNCTION_LINES_MAX };
    rust::functions(&file.text)
        .into_iter()
        .filter(|it| it.lines() > max(it))
        .map(|it| format!("line {}: `{}` has {} lines, more than {}", it.first, it.name, it.lines(), max(&it)))
        .collect()
}

fn files_say_why_they_exist(file: &File) -> Vec<String> {
    if file.is_rust() && !file.text.starts_with("//! ") {
        return vec!["begin with `//!`: why this file exists and what must stay true".to_owned()];
    }
    Vec::new()
}

#[test]
fn no_file_is_too_long() {
    holds(files_are_short);
    refused(files_are_short, "shared/a.rs", &"//\n".repeat(501));
    accepted(files_are_short, "shared/a.rs", &"//\n".repeat(500));
    accepted(files_are_short, "seed/catalogue.ndjson", &"{}\n".repeat(600));
}

#[test]
fn no_function_is_too_long() {
    holds(functions_are_short);
    let function = |kind: &str, lines: usize| format!("{kind} handle() {{\n{}}}\n", "f();\n".repeat(lines - 2));
    refused(functions_are_short, "shared/a.rs", &function("fn", 71));
    accepted(functions_are_short, "shared/a.rs", &function("async fn", 70));
    refused(functions_are_short, "functions/cart/mod.rs", &function("async fn", 26));
    accepted(functions_are_short, "functions/cart/mod.rs", &function("async fn", 25));
    accepted(functions_are_short, "functions/cart/mod.rs", &function("fn", 70));
}

#[test]
fn every_file_says_why_it_exists() {
    holds(files_say_why_they_exist);
    refused(files_say_why_they_exist, "shared/a.rs", "use std::fmt;\n");
    accepted(files_say_why_they_exist, "shared/a.rs", "//! Because.\n");
}
