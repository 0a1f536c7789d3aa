//! What `cargo xtask test` builds, installs and names for the tests. A test that needs one of these
//! fails without it: a check that is skipped in silence is no check.
use std::{ffi::OsString, path::PathBuf};

/// The staged app: `host.json`, `handler`, `<function>/function.json`.
pub(crate) const STAGE: &str = "OFFPEAK_STAGE";
/// The dev host's program.
pub(crate) const DEVHOST: &str = "OFFPEAK_DEVHOST";
/// A handler that answers from a script, for the dev host's conformance cases.
pub(crate) const STUB_HANDLER: &str = "OFFPEAK_STUB_HANDLER";
/// The project's commands, as a program.
pub(crate) const XTASK: &str = "OFFPEAK_XTASK";
/// A Python that has `aiosmtpd` and `localstripe`.
pub(crate) const PYTHON: &str = "OFFPEAK_PYTHON";
/// A Redis server; its client `redis-cli` lies beside it.
pub(crate) const REDIS: &str = "OFFPEAK_REDIS_SERVER";
pub(crate) const COSMOS_EMULATOR: &str = "OFFPEAK_COSMOS_EMULATOR";
/// Azurite's blob service, a script for `node`.
pub(crate) const AZURITE: &str = "OFFPEAK_AZURITE";

/// The path that this variable holds.
///
/// # Panics
/// Without it; the message names the command that sets it.
pub(crate) fn path(variable: &str) -> PathBuf {
    named(variable, std::env::var_os(variable))
}

fn named(variable: &str, value: Option<OsString>) -> PathBuf {
    let path = PathBuf::from(value.unwrap_or_else(|| panic!("{variable} is not set; run this by `cargo xtask test`")));
    assert!(path.exists(), "{variable} names {}, which is not there; run this by `cargo xtask test`", path.display());
    path
}

#[test]
#[should_panic(expected = "run this by `cargo xtask test`")]
fn a_test_without_its_program_fails_and_says_what_to_type() {
    named(XTASK, None);
}

#[test]
fn what_a_variable_names_is_what_a_test_gets() {
    assert!(path("CARGO_MANIFEST_DIR").is_dir());
    let here = std::env::current_dir().unwrap();
    for variable in [STAGE, DEVHOST, STUB_HANDLER, PYTHON] {
        assert_eq!(named(variable, Some(here.clone().into())), here);
    }
}
