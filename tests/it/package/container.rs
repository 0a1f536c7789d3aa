//! `Dockerfile`, as far as it can be checked without a container engine: what it copies is what `package` lays out, it
//! pins its base, runs without root, holds no secret, and its variables and port agree with each other.
use std::collections::BTreeMap;

use crate::given;

const DOCKERFILE: &str = include_str!("../../../Dockerfile");
const IGNORED: &str = include_str!("../../../.dockerignore");
/// Where `package` lays out what it packs.
const APP: &str = "target/package/app/";

/// Instructions and their arguments, continued lines joined.
fn instructions(text: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|it| !it.is_empty() && !it.starts_with('#')).collect();
    let joined = lines.join("\n").replace("\\\n", " ");
    let parts = joined.lines().filter_map(|it| it.split_once(char::is_whitespace));
    parts.map(|(name, rest)| (name.to_owned(), rest.split_whitespace().collect::<Vec<_>>().join(" "))).collect()
}

fn of<'a>(all: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    all.iter().filter(|(it, _)| it == name).map(|(_, arguments)| arguments.as_str()).collect()
}

/// What is wrong with a Dockerfile, in sentences.
fn faults(text: &str) -> Vec<String> {
    let all = instructions(text);
    let mut faults = Vec::new();
    for base in of(&all, "FROM") {
        let tag = base.split(' ').next().and_then(|it| it.rsplit_once(':')).map_or("", |(_, tag)| tag);
        if !tag.starts_with(|it: char| it.is_ascii_digit()) {
            faults.push(format!("`{base}` names no version"));
        }
    }
    let user = of(&all, "USER");
    if !user.last().is_some_and(|it| !matches!(it.split(':').next(), Some("root" | "0") | None)) {
        faults.push(format!("it runs as root: {user:?}"));
    }
    let environment: BTreeMap<&str, &str> =
        of(&all, "ENV").iter().flat_map(|it| it.split(' ')).filter_map(|it| it.split_once('=')).collect();
    let secret = |name: &&&str| ["KEY", "SECRET", "PASSWORD"].iter().any(|it| name.to_ascii_uppercase().contains(it));
    faults.extend(environment.keys().filter(secret).map(|it| format!("{it} is baked into the image")));
    match of(&all, "COPY")[..] {
        [copy] if copy.split_once(' ').is_some_and(|(from, _)| from == APP) => {
            let to = copy.split_once(' ').map_or("", |(_, to)| to.trim_end_matches('/'));
            if environment.get("AzureWebJobsScriptRoot") != Some(&to) {
                faults.push(format!("the host looks elsewhere than in {to}"));
            }
        }
        ref copies => faults.push(format!("the app is one folder, not {copies:?}")),
    }
    let port = environment.get("ASPNETCORE_URLS").and_then(|it| it.rsplit_once(':')).map(|(_, port)| port);
    if port != of(&all, "EXPOSE").first().copied() || port.is_none_or(|it| it.parse().is_ok_and(|it: u16| it < 1024)) {
        faults.push(format!("port {port:?} is not the one that is exposed, or needs root"));
    }
    if environment.get("FUNCTIONS_WORKER_RUNTIME") != Some(&"custom") {
        faults.push("the host is not told that the handler is our own".to_owned());
    }
    faults
}

#[test]
fn the_image_is_what_was_packed_and_nothing_else() {
    assert_eq!(faults(DOCKERFILE), Vec::<String>::new());
    assert_eq!(IGNORED.lines().collect::<Vec<_>>(), ["*", &format!("!{}", APP.trim_end_matches('/'))]);
    // `package` lays out the same stage, and the test of its zip shows what lies beside it.
    for name in ["host.json", "handler", "get_product/function.json"] {
        assert!(given::path(given::STAGE).join(name).is_file(), "{name}");
    }
}

#[test]
fn a_worse_dockerfile_is_refused() {
    for (good, bad) in [
        ("base:4\n", "base:latest\n"),
        ("base:4\n", "base\n"),
        ("USER 1654", "USER root"),
        ("USER 1654", ""),
        ("EXPOSE 8080", "EXPOSE 80"),
        ("+:8080", "+:80"),
        (APP, "."),
        ("=/home/site/wwwroot", "=/elsewhere"),
        ("=custom", "=node"),
        ("FUNCTIONS_WORKER_RUNTIME=custom", "FUNCTIONS_WORKER_RUNTIME=custom OFFPEAK_OBJECTS_KEY=hunter2"),
    ] {
        assert!(DOCKERFILE.contains(good), "{good}");
        assert_eq!(faults(&DOCKERFILE.replace(good, bad)).len(), 1, "{good} -> {bad}");
    }
}
