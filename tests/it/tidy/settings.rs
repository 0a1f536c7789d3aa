//! Settings stand in step: what `shared/config/` reads is what the example file shows.
use std::collections::BTreeSet;

use serde_json::Value;

use super::{File, rust, tree};

/// Set by the Functions host itself; nobody configures them.
const GIVEN_BY_HOST: &[&str] = &["FUNCTIONS_CUSTOMHANDLER_PORT", "IDENTITY_ENDPOINT"];
/// Read by the Functions host, not by us.
const READ_BY_HOST: &[&str] = &["FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsStorage"];

/// Names of settings in the code: literals in capitals, with at least one underscore.
fn read(config: &str) -> BTreeSet<String> {
    let blank = rust::code(config);
    // Where the blanked text differs, there stood a comment or a literal; a literal keeps no quotes either.
    let mut names = BTreeSet::new();
    for (at, _) in config.match_indices('"') {
        let text = config[at + 1..].split('"').next().unwrap_or_default();
        let is_name = text.contains('_')
            && text.starts_with(|it: char| it.is_ascii_uppercase())
            && text.chars().all(|it| it.is_ascii_uppercase() || it.is_ascii_digit() || it == '_');
        let is_code = !config[config[..at].rfind('\n').map_or(0, |it| it + 1)..at].trim_start().starts_with("//");
        if is_name && is_code && blank.as_bytes()[at] == b' ' {
            names.insert(text.to_owned());
        }
    }
    names
}

fn shown(example: &str) -> Result<BTreeSet<String>, String> {
    let document: Value = serde_json::from_str(example).map_err(|err| format!("not JSON: {err}"))?;
    let values = document["Values"].as_object().ok_or("there is no object `Values`")?;
    Ok(values.keys().cloned().collect())
}

fn out_of_step(config: &str, example: &str) -> Vec<String> {
    let mut read = read(config);
    read.retain(|it| !GIVEN_BY_HOST.contains(&it.as_str()));
    let mut shown = match shown(example) {
        Ok(shown) => shown,
        Err(fault) => return vec![format!("local.settings.json.example: {fault}")],
    };
    shown.retain(|it| !READ_BY_HOST.contains(&it.as_str()));
    let unseen = read.difference(&shown).map(|it| format!("{it} is read but not in local.settings.json.example"));
    let unread = shown.difference(&read).map(|it| format!("{it} is shown but nothing reads it"));
    unseen.chain(unread).collect()
}

fn text<'a>(files: &'a [File], path: &str) -> &'a str {
    files.iter().find(|it| it.path == path).map_or("", |it| it.text.as_str())
}

/// All of `shared/config/` but its tests.
fn config(files: &[File]) -> String {
    let parts = files.iter().filter(|it| it.path.starts_with("shared/config/") && !it.path.ends_with("/tests.rs"));
    parts.map(|it| it.text.as_str()).collect()
}

#[test]
fn settings_are_shown_as_they_are_read() {
    let files = tree();
    let faults = out_of_step(&config(&files), text(&files, "local.settings.json.example"));
    assert!(faults.is_empty(), "{faults:#?}");

    let config = "//! \"NOT_THIS\"\nlet a = get(\"OFFPEAK_MODE\");\nlet b = get(\"FUNCTIONS_CUSTOMHANDLER_PORT\");";
    let example =
        |names: &str| format!(r#"{{"IsEncrypted":false,"Values":{{"FUNCTIONS_WORKER_RUNTIME":"custom"{names}}}}}"#);
    assert_eq!(out_of_step(config, &example(r#","OFFPEAK_MODE":"local""#)), Vec::<String>::new());
    assert_eq!(out_of_step(config, &example("")).len(), 1);
    assert_eq!(out_of_step(config, &example(r#","OFFPEAK_MODE":"local","OLD_NAME":"""#)).len(), 1);
    assert_eq!(out_of_step(config, "{").len(), 1);
}
