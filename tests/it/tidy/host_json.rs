//! Every setting of `host.json` stands in docs/HOST.md with its value and a reason, and nothing that is gone.
use std::collections::BTreeMap;

use serde_json::Value;

use super::tree;

/// Path and value of every leaf.
fn leaves(document: &Value, path: &str, found: &mut BTreeMap<String, String>) {
    match document {
        Value::Object(members) => {
            for (name, member) in members {
                let inner = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                leaves(member, &inner, found);
            }
        }
        Value::String(text) => drop(found.insert(path.to_owned(), text.clone())),
        other => drop(found.insert(path.to_owned(), other.to_string())),
    }
}

/// Rows of the table under the heading `host.json`: key, value, reason.
fn rows(document: &str) -> Vec<[&str; 3]> {
    let section = document.split("\n## host.json\n").nth(1).unwrap_or_default();
    let section = section.split("\n## ").next().unwrap_or_default();
    section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"))
        .filter_map(|line| {
            let (key, rest) = line.split_once("` | `")?;
            let (value, reason) = rest.split_once("` | ")?;
            Some([key, value, reason])
        })
        .collect()
}

fn faults(host: &str, document: &str) -> Vec<String> {
    let host: Value = match serde_json::from_str(host) {
        Ok(host) => host,
        Err(err) => return vec![format!("host.json: {err}")],
    };
    let mut set = BTreeMap::new();
    leaves(&host, "", &mut set);
    let rows = rows(document);
    let mut faults = Vec::new();
    for (key, value) in &set {
        match rows.iter().find(|[it, ..]| it == key) {
            Some([_, said, _]) if said != value => faults.push(format!("{key} is {value}, docs/HOST.md says {said}")),
            Some([.., reason]) if reason.trim().is_empty() => faults.push(format!("{key} has no reason")),
            Some(_) => {}
            None => faults.push(format!("{key} does not stand in docs/HOST.md")),
        }
    }
    let gone = rows.iter().filter(|[key, ..]| !set.contains_key(*key));
    faults.extend(gone.map(|[key, ..]| format!("docs/HOST.md explains {key}, which is not set")));
    faults
}

#[test]
fn what_the_host_is_told_has_a_reason() {
    let files = tree();
    let text = |path: &str| files.iter().find(|it| it.path == path).unwrap().text.clone();
    assert_eq!(faults(&text("host.json"), &text("docs/HOST.md")), Vec::<String>::new());

    let table =
        |rows: &str| format!("# On\n\n## host.json\n\n| key | value | why |\n|---|---|---|\n{rows}\n\n## Rest\n");
    let good = "| `a.b` | `1` | because |\n| `c` | `x` | so |";
    let host = r#"{"a":{"b":1},"c":"x"}"#;
    assert_eq!(faults(host, &table(good)), Vec::<String>::new());
    for (host, rows) in [
        (host, "| `a.b` | `1` | because |"),
        (host, "| `a.b` | `2` | because |\n| `c` | `x` | so |"),
        (host, "| `a.b` | `1` |  |\n| `c` | `x` | so |"),
        (r#"{"a":{"b":1}}"#, good),
        ("{", good),
    ] {
        assert_eq!(faults(host, &table(rows)).len(), 1, "{rows}");
    }
}
