//! Builds by cargo, and finds what it built in cargo's own words, wherever the caller keeps the output.
use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
    path::PathBuf,
    process::{Command, Stdio},
};

use serde::Deserialize;

use crate::{failure::Failure, workspace};

/// The handler, built alone: together with other packages, cargo would unify their features into it.
pub(crate) const HANDLER: &[&str] = &["-p", "offpeak", "--bin", "handler"];
pub(crate) const DEVHOST: &[&str] = &["-p", "devhost", "--bin", "devhost"];
pub(crate) const BENCH_PROGRAMS: &[&str] = &["-p", "bench", "--bins"];
/// Exactly what `cargo test --workspace` compiles, so that the tests afterwards compile nothing again.
pub(crate) const EVERYTHING: &[&str] = &["--workspace", "--all-targets", "--features", PROOF];
/// The tests in virtual time. Off by default: they need other features of a crate that nearly all stand on.
pub(crate) const PROOF: &str = "offpeak/proof";

/// One line of `--message-format=json`. Source: The Cargo Book, "External tools", artifact messages.
#[derive(Deserialize)]
struct Message {
    reason: String,
    target: Option<Target>,
    profile: Option<Profile>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

/// Programs by name.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Built(BTreeMap<String, PathBuf>);

impl Built {
    pub(crate) fn program(&self, name: &str) -> Result<PathBuf, Failure> {
        self.0.get(name).cloned().ok_or_else(|| Failure::new(format!("cargo built no program named {name}")))
    }
}

/// The cargo that started us, so that a chosen toolchain is kept.
pub(crate) fn cargo() -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.current_dir(workspace::root());
    command
}

/// Where the shop runs: Linux on x64, as a Functions host image.
pub(crate) const SHIPPED_TARGET: &str = "x86_64-unknown-linux-gnu";

/// The handler as it is shipped: optimised as a whole, and linked with its C library, so that it runs on
/// any image.
pub(crate) fn shipped() -> Result<PathBuf, Failure> {
    let mut command = cargo();
    // With a target named, these flags do not reach programs that run during the build.
    command.env("RUSTFLAGS", "-C target-feature=+crt-static");
    let what = [HANDLER, &["--target", SHIPPED_TARGET]].concat();
    finish(command, &what, "dist")?.program("handler")
}

/// `cargo build` of the given packages; diagnostics go to stderr as usual.
pub(crate) fn build<S: AsRef<OsStr>>(what: &[S], profile: &str) -> Result<Built, Failure> {
    finish(cargo(), what, profile)
}

/// What stands in for Cosmos DB in tests: a workspace of its own, because the SDK's emulator is a feature that must not
/// reach the shipped binary.
pub(crate) fn cosmos_emulator() -> Result<PathBuf, Failure> {
    let mut command = cargo();
    command.current_dir(workspace::root().join("tests/cosmos_emulator"));
    command.env("CARGO_TARGET_DIR", workspace::target().join("cosmos_emulator"));
    finish(command, &["--bins"], "dev")?.program("cosmos_emulator")
}

fn finish<S: AsRef<OsStr>>(mut command: Command, what: &[S], profile: &str) -> Result<Built, Failure> {
    command.arg("build").args(what).args(["--profile", profile]);
    Ok(programs(&messages(command)?, "bin"))
}

/// The integration tests, with those in virtual time, as a program that xtask starts itself.
pub(crate) fn proof(profile: &str) -> Result<PathBuf, Failure> {
    let mut command = cargo();
    command.args(["test", "--no-run", "-p", "offpeak", "--features", PROOF, "--test", "it", "--profile", profile]);
    programs(&messages(command)?, "test").program("it")
}

/// What cargo says in JSON; diagnostics go to stderr as usual.
fn messages(mut command: Command) -> Result<String, Failure> {
    command.args(["--locked", "--message-format=json-render-diagnostics"]);
    let output = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|err| Failure::new(format!("cannot start cargo: {err}")))?;
    if !output.status.success() {
        return Err(Failure::with_code("the build failed", output.status.code().unwrap_or(1)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The programs of one kind: `bin`, or `test` for a program of tests alone.
fn programs(messages: &str, kind: &str) -> Built {
    let mut built = Built::default();
    for message in messages.lines().filter_map(|line| serde_json::from_str::<Message>(line).ok()) {
        let tested = message.profile.is_some_and(|it| it.test);
        if let ("compiler-artifact", Some(target), Some(path)) =
            (message.reason.as_str(), message.target, message.executable)
            && tested == (kind == "test")
            && target.kind.iter().any(|it| it == kind)
        {
            built.0.insert(target.name, path);
        }
    }
    built
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_among_other_messages() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"offpeak","kind":["lib"]},"profile":{"test":false},"executable":null}
{"reason":"compiler-artifact","target":{"name":"handler","kind":["bin"]},"profile":{"test":true},"executable":"/t/deps/handler-1"}
{"reason":"compiler-artifact","target":{"name":"handler","kind":["bin"]},"profile":{"test":false},"executable":"/t/handler"}
{"reason":"compiler-artifact","target":{"name":"it","kind":["test"]},"profile":{"test":true},"executable":"/t/deps/it-2"}
{"reason":"build-finished","success":true}
not json"#;
        let built = programs(messages, "bin");
        assert_eq!(built.program("handler").unwrap(), PathBuf::from("/t/handler"));
        assert!(built.program("it").is_err());
        assert_eq!(
            programs(messages, "test"),
            Built(BTreeMap::from([("it".to_owned(), PathBuf::from("/t/deps/it-2"))]))
        );
    }
}
