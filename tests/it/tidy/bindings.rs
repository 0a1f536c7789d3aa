//! Bindings that the Functions host accepts and hands over as we expect, and rooms that are all listed.
//!
//! Why so strict: any binding beside the HTTP pair makes the host wrap a request in an envelope; a list
//! of methods makes the host answer for us; routes that overlap are resolved by rules of its own.
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{File, accepted, refused, tree};

/// Triggers that a function may have besides HTTP; the dev host plays these.
const TRIGGERS: &[&str] = &["serviceBusTrigger", "eventHubTrigger", "timerTrigger"];

fn binding(file: &File) -> Vec<String> {
    let parts: Vec<&str> = file.path.split('/').collect();
    let ["functions", _, "function.json"] = parts[..] else { return Vec::new() };
    let document: Value = match serde_json::from_str(&file.text) {
        Ok(document) => document,
        Err(err) => return vec![format!("not JSON: {err}")],
    };
    let Some(bindings) = document["bindings"].as_array() else { return vec!["there is no list `bindings`".to_owned()] };
    let kinds: Vec<&str> = bindings.iter().map(|it| it["type"].as_str().unwrap_or_default()).collect();
    match kinds[..] {
        ["httpTrigger", "http"] => http(&bindings[0], &bindings[1]),
        [one] if TRIGGERS.contains(&one) && bindings[0]["direction"] == "in" => Vec::new(),
        _ => vec![format!("bindings are httpTrigger and http in this order, or one of {TRIGGERS:?}, not {kinds:?}")],
    }
}

fn http(trigger: &Value, output: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    if trigger.get("methods").is_some() {
        faults.push("leave `methods` out: the handler answers 405 itself".to_owned());
    }
    if trigger["authLevel"] != "anonymous" {
        faults.push("`authLevel` is anonymous: the handler checks tokens itself".to_owned());
    }
    if trigger["direction"] != "in" || output["direction"] != "out" {
        faults.push("httpTrigger goes in, http goes out".to_owned());
    }
    match trigger["route"].as_str() {
        Some(route) if route.split('/').all(is_segment) => {}
        _ => faults.push("`route` holds literals and {name} only, without a slash at either end".to_owned()),
    }
    faults
}

fn is_segment(segment: &str) -> bool {
    let plain = |text: &str, also: &[char]| {
        !text.is_empty() && text.chars().all(|it| it.is_ascii_alphanumeric() || also.contains(&it))
    };
    match segment.strip_prefix('{') {
        Some(rest) => rest
            .strip_suffix('}')
            .is_some_and(|name| plain(name, &[]) && !name.starts_with(|it: char| it.is_ascii_digit())),
        None => plain(segment, &['-', '.', '_']),
    }
}

/// Could one path be meant for both?
fn overlap(one: &str, other: &str) -> bool {
    let (one, other): (Vec<&str>, Vec<&str>) = (one.split('/').collect(), other.split('/').collect());
    let open = |it: &str| it.starts_with('{');
    one.len() == other.len() && one.iter().zip(&other).all(|(a, b)| open(a) || open(b) || a.eq_ignore_ascii_case(b))
}

fn overlapping(routes: &BTreeMap<String, String>) -> Vec<String> {
    let all: Vec<_> = routes.iter().collect();
    let pairs = all.iter().enumerate().flat_map(|(at, one)| all[at + 1..].iter().map(move |other| (one, other)));
    pairs
        .filter(|((_, one), (_, other))| overlap(one, other))
        .map(|((a, one), (b, other))| format!("{a} ({one}) and {b} ({other}) overlap"))
        .collect()
}

/// Rooms as folders, as the list names them, and as the host would load them, are the same.
fn unlisted(files: &[File]) -> Vec<String> {
    let folders = |name: &str| -> BTreeSet<String> {
        let inner =
            files.iter().filter_map(|it| it.path.strip_prefix("functions/")?.strip_suffix(name)?.strip_suffix('/'));
        inner.filter(|it| !it.contains('/')).map(str::to_owned).collect()
    };
    let list = files.iter().find(|it| it.path == "functions/mod.rs").map_or("", |it| it.text.as_str());
    let code = super::rust::code(list);
    let tokens = super::rust::tokens(&code);
    let listed: BTreeSet<String> =
        tokens.windows(3).filter(|it| it[1..] == ["::", "ROOM"]).map(|it| it[0].to_owned()).collect();
    let (rooms, bound) = (folders("mod.rs"), folders("function.json"));
    let mut faults = Vec::new();
    for name in rooms.union(&bound).chain(&listed).collect::<BTreeSet<_>>() {
        let missing = [(&rooms, "mod.rs"), (&bound, "function.json"), (&listed, "a line in functions/mod.rs")];
        let missing = missing.iter().filter(|(set, _)| !set.contains(name));
        faults.extend(missing.map(|(_, what)| format!("room {name} has no {what}")));
    }
    faults
}

fn routes(files: &[File]) -> BTreeMap<String, String> {
    let mut routes = BTreeMap::new();
    for file in files.iter().filter(|it| it.path.starts_with("functions/") && it.path.ends_with("/function.json")) {
        let document: Value = serde_json::from_str(&file.text).unwrap_or_default();
        if let Some(route) = document["bindings"][0]["route"].as_str() {
            routes.insert(file.path.clone(), route.to_owned());
        }
    }
    routes
}

/// The prefix stands in `host.json` for the host and in `main.rs` for the handler's own table.
fn prefixes(main: &str, host: &str) -> Result<(), String> {
    let host: Value = serde_json::from_str(host).map_err(|err| format!("host.json: {err}"))?;
    let prefix = host["extensions"]["http"]["routePrefix"].as_str().unwrap_or("api");
    let line = main.lines().find(|it| it.contains("ROUTE_PREFIX") && it.contains('='));
    match line.and_then(|it| it.split('"').nth(1)) {
        Some(ours) if ours == prefix => Ok(()),
        ours => Err(format!("host.json has the route prefix `{prefix}`, main.rs {ours:?}")),
    }
}

fn planted(path: &str, text: &str) -> File {
    File { path: path.to_owned(), text: text.to_owned() }
}

#[test]
fn bindings_are_what_the_host_hands_over_whole() {
    super::holds(binding);
    let path = "functions/cart/function.json";
    let with = |trigger: &str| {
        format!(
            r#"{{"bindings":[{{"type":"httpTrigger","direction":"in","name":"req",{trigger}}},{{"type":"http","direction":"out","name":"res"}}]}}"#
        )
    };
    accepted(binding, path, &with(r#""authLevel":"anonymous","route":"v1/carts/{cartId}/lines/{sku}""#));
    accepted(
        binding,
        path,
        r#"{"bindings":[{"type":"timerTrigger","direction":"in","name":"t","schedule":"0 * * * * *"}]}"#,
    );
    for bad in [
        r#""authLevel":"anonymous","route":"v1/carts","methods":["get"]"#,
        r#""authLevel":"function","route":"v1/carts""#,
        r#""authLevel":"anonymous""#,
        r#""authLevel":"anonymous","route":"/v1/carts""#,
        r#""authLevel":"anonymous","route":"v1/{id?}""#,
        r#""authLevel":"anonymous","route":"v1/{*rest}""#,
        r#""authLevel":"anonymous","route":"v1/{id:int}""#,
        r#""authLevel":"anonymous","route":"v1/a{id}""#,
    ] {
        refused(binding, path, &with(bad));
    }
    refused(binding, path, r#"{"bindings":[{"type":"httpTrigger","direction":"in"}]}"#);
    refused(
        binding,
        path,
        r#"{"bindings":[{"type":"serviceBusTrigger","direction":"in"},{"type":"serviceBus","direction":"out"}]}"#,
    );
    refused(binding, path, r#"{"bindings":[{"type":"queueTrigger","direction":"in"}]}"#);
    refused(binding, path, "{");
}

#[test]
fn no_two_routes_overlap() {
    let faults = overlapping(&routes(&tree()));
    assert!(faults.is_empty(), "{faults:#?}");
    for (one, other) in [("v1/carts/{id}", "v1/carts/mine"), ("v1/{a}/x", "v1/b/{c}"), ("v1/Carts", "v1/carts")] {
        let routes = BTreeMap::from([("a".to_owned(), one.to_owned()), ("b".to_owned(), other.to_owned())]);
        assert_eq!(overlapping(&routes).len(), 1, "{one} {other}");
    }
    let apart = BTreeMap::from([("a".to_owned(), "v1/carts".to_owned()), ("b".to_owned(), "v1/carts/{id}".to_owned())]);
    assert!(overlapping(&apart).is_empty());
}

#[test]
fn every_room_is_listed_and_bound() {
    let faults = unlisted(&tree());
    assert!(faults.is_empty(), "{faults:#?}");
    let list = "pub static ROOMS: &[Room<App>] = &[cart::ROOM, gone::ROOM];";
    let files = [
        planted("functions/mod.rs", list),
        planted("functions/cart/mod.rs", ""),
        planted("functions/cart/function.json", ""),
        planted("functions/forgotten/mod.rs", ""),
        planted("functions/forgotten/function.json", ""),
        planted("functions/unbound/mod.rs", ""),
    ];
    let faults = unlisted(&files);
    assert_eq!(faults.len(), 5, "{faults:#?}");
    assert!(!faults.iter().any(|it| it.contains("room cart")), "{faults:#?}");
}

#[test]
fn the_handler_and_the_host_know_the_same_prefix() {
    let files = tree();
    let text = |path: &str| files.iter().find(|it| it.path == path).unwrap().text.clone();
    prefixes(&text("main.rs"), &text("host.json")).unwrap();
    let (main, host) = (r#"const ROUTE_PREFIX: &str = "api";"#, r#"{"extensions":{"http":{"routePrefix":"shop"}}}"#);
    assert!(prefixes(main, host).is_err());
    assert!(prefixes("", "{}").is_err());
    prefixes(main, "{}").unwrap();
}
