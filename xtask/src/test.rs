//! `test` runs every check there is, and starts what the checks talk to. The same command here and in
//! continuous integration. It ends with the test runner's own summary.
use std::{path::PathBuf, process::Command, time::Instant};

use lexopt::{Arg, Parser};

use crate::{
    build::{self, Built, cargo},
    failure::Failure,
    ru, stage, tools, workspace,
};

const HELP: &str = "\
usage: cargo xtask test [SUITE] [FILTER…]

  (no suite)      formatting, lints and all suites below
  lint            formatting and lints
  unit            tests beside the code, in every package
  it              the whole integration crate
  conformance     the Functions host's protocol, against our host side and the dev host
  shop            the shop from outside, over HTTP, through the dev host
  proof           the promises and invariants, on machines that misbehave, in virtual time
  tidy            the rules of the source tree
";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Suite {
    All,
    Lint,
    Unit,
    It,
    /// One module of the integration crate.
    Module(&'static str),
}

impl Suite {
    fn parse(name: &str) -> Result<Suite, Failure> {
        match name {
            "lint" => Ok(Suite::Lint),
            "unit" => Ok(Suite::Unit),
            "it" => Ok(Suite::It),
            "conformance" => Ok(Suite::Module("conformance")),
            "shop" => Ok(Suite::Module("shop")),
            "proof" => Ok(Suite::Module("proof")),
            "tidy" => Ok(Suite::Module("tidy")),
            _ => Err(Failure::usage(format!("there is no suite {name}\n\n{HELP}"))),
        }
    }

    fn lints(self) -> bool {
        matches!(self, Suite::All | Suite::Lint)
    }

    /// Does a test of this suite start the built programs?
    fn starts_programs(self) -> bool {
        matches!(self, Suite::All | Suite::It | Suite::Module("conformance" | "shop"))
    }

    fn nextest(self) -> Vec<String> {
        match self {
            Suite::All | Suite::Lint => vec!["--workspace".into()],
            Suite::Unit => vec!["--workspace".into(), "-E".into(), "not kind(test)".into()],
            Suite::It => vec!["-p".into(), "offpeak".into(), "--test".into(), "it".into()],
            Suite::Module(name) => {
                let only = format!("test(/^{name}::/)");
                vec!["-p".into(), "offpeak".into(), "--test".into(), "it".into(), "-E".into(), only]
            }
        }
    }

    fn cargo_test(self) -> Vec<String> {
        match self {
            Suite::All | Suite::Lint => vec!["--workspace".into()],
            Suite::Unit => vec!["--workspace".into(), "--lib".into(), "--bins".into()],
            Suite::It => vec!["-p".into(), "offpeak".into(), "--test".into(), "it".into()],
            Suite::Module(name) => {
                vec!["-p".into(), "offpeak".into(), "--test".into(), "it".into(), format!("{name}::")]
            }
        }
    }
}

pub(crate) fn main(mut args: Parser) -> Result<(), Failure> {
    let (mut suite, mut filters) = (None, Vec::new());
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Value(name) if suite.is_none() => suite = Some(Suite::parse(&name.to_string_lossy())?),
            Arg::Value(filter) => filters.push(filter.to_string_lossy().into_owned()),
            Arg::Long("help") => {
                print!("{HELP}");
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let suite = suite.unwrap_or(Suite::All);
    if suite.lints() {
        lint()?;
    }
    if suite != Suite::Lint {
        tests(suite, &filters)?;
    }
    Ok(())
}

fn lint() -> Result<(), Failure> {
    let mut format = cargo();
    step("formatting", format.args(["fmt", "--all", "--check"]))?;
    let mut clippy = cargo();
    clippy.args(["clippy", "--locked", "--workspace", "--all-targets", "--features", build::PROOF]);
    clippy.args(["--", "-D", "warnings"]);
    step("lints", &mut clippy)
}

fn tests(suite: Suite, filters: &[String]) -> Result<(), Failure> {
    let mut given = Vec::new();
    if suite.starts_programs() {
        let built = build::build(build::EVERYTHING, "dev")?;
        given = programs(&built)?;
        if suite == Suite::All {
            ru::check(&built.program("units")?)?;
        }
    }
    let mut runner = cargo();
    if tools::cargo_knows("nextest") {
        runner.args(["nextest", "run", "--locked", "--features", build::PROOF]).args(suite.nextest()).args(filters);
    } else {
        // The other runner takes one filter only and matches it anywhere in the name.
        runner.args(["test", "--locked", "--no-fail-fast", "--features", build::PROOF]).args(suite.cargo_test());
        runner.args(filters.first());
    }
    step("tests", runner.envs(given))
}

/// Builds and lays out all that tests start, and says where it is, as environment variables.
fn programs(built: &Built) -> Result<Vec<(&'static str, PathBuf)>, Failure> {
    let (python, azurite) = (tools::python()?, tools::azurite()?);
    let redis = tools::redis()?;
    let handler = build::build(build::HANDLER, "dev")?.program("handler")?;
    let staged = workspace::target().join("stage-test");
    stage::lay_out(workspace::root(), &handler, &staged)?;
    Ok(vec![
        ("OFFPEAK_STAGE", staged),
        ("OFFPEAK_DEVHOST", built.program("devhost")?),
        ("OFFPEAK_STUB_HANDLER", built.program("stub_handler")?),
        ("OFFPEAK_XTASK", built.program("xtask")?),
        ("OFFPEAK_PYTHON", python),
        ("OFFPEAK_REDIS_SERVER", redis),
        ("OFFPEAK_AZURITE", azurite),
        ("OFFPEAK_COSMOS_EMULATOR", build::cosmos_emulator()?),
    ])
}

fn step(name: &str, command: &mut Command) -> Result<(), Failure> {
    println!("== {name}");
    let start = Instant::now();
    let status = command.status().map_err(|err| Failure::new(format!("cannot start {name}: {err}")))?;
    if !status.success() {
        return Err(Failure::with_code(format!("{name}: failed"), status.code().unwrap_or(1)));
    }
    // The runner's summary is meant to be the last thing on the screen.
    if name != "tests" {
        println!("== {name}: done in {} s", start.elapsed().as_secs());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suite_in_the_help_is_known_and_no_other() {
        let listed = HELP.lines().skip(3).filter_map(|line| line.split_whitespace().next());
        for name in listed {
            assert!(Suite::parse(name).is_ok(), "{name}");
        }
        assert!(Suite::parse("everything").is_err());
    }
}
