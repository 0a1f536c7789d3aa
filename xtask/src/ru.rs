//! `ru`: what a placed order costs in request units of Cosmos DB, step by step, and whether that is within what the
//! shop allows itself. An estimate: see `shared/adapters/cosmos/units.rs` for the table it follows.
use std::{
    path::Path,
    process::{Command, Stdio},
};

use lexopt::{Arg, Parser};
use serde::Deserialize;

use crate::{build, failure::Failure};

/// A placed order of two lines may take no more, in thousandths of a unit.
const ALLOWED: u64 = 250_000;
/// What it should take.
const GOAL: u64 = 200_000;

const HELP: &str = "\
usage: cargo xtask ru [--calls]

Prints what one order of two lines costs in request units of Cosmos DB, estimated, and fails above what is allowed.

  --calls        also what each document costs that is read or written
";

#[derive(Deserialize)]
struct Report {
    /// In a process that remembers nothing yet.
    first: Order,
    order: Order,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Order {
    steps: Vec<Step>,
    total: u64,
    replaced_twice: u64,
}

/// Thousandths of a unit.
#[derive(Deserialize)]
struct Step {
    step: String,
    calls: u64,
    reads: u64,
    writes: u64,
    queries: u64,
    total: u64,
    lines: Vec<String>,
}

pub(crate) fn main(mut args: Parser) -> Result<(), Failure> {
    let mut calls = false;
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("calls") => calls = true,
            Arg::Long("help") | Arg::Short('h') => {
                print!("{HELP}");
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let built = build::build(&["-p", "bench", "--bin", "units"], "dev")?;
    let report = measured(&built.program("units")?)?;
    print!("{}", told(&report, calls));
    within(report.order.total)
}

/// Runs the program, prints what it found, and fails above what is allowed.
pub(crate) fn check(program: &Path) -> Result<(), Failure> {
    let report = measured(program)?;
    print!("{}", told(&report, false));
    within(report.order.total)
}

fn measured(program: &Path) -> Result<Report, Failure> {
    let output = Command::new(program).stderr(Stdio::inherit()).output().map_err(Failure::file("start", program))?;
    serde_json::from_slice(&output.stdout).map_err(|err| Failure::new(format!("{}: {err}", program.display())))
}

fn within(total: u64) -> Result<(), Failure> {
    if total > ALLOWED {
        let (total, allowed) = (units(total), units(ALLOWED));
        return Err(Failure::new(format!("a placed order takes about {total} request units; {allowed} are allowed")));
    }
    Ok(())
}

fn told(report: &Report, calls: bool) -> String {
    let mut text = String::from("request units of one order of two lines (estimate)\n\n");
    let line = |cells: [&str; 6]| {
        let [step, rest @ ..] = cells;
        let cells: String = rest.iter().map(|it| format!("{it:>9}")).collect();
        format!("{step:<20}{cells}\n")
    };
    text.push_str(&line(["step", "calls", "reads", "writes", "queries", "all"]));
    for it in &report.order.steps {
        let (count, each) = (it.calls.to_string(), [it.reads, it.writes, it.queries, it.total].map(units));
        text.push_str(&line([&it.step, &count, &each[0], &each[1], &each[2], &each[3]]));
        if calls {
            text.extend(it.lines.iter().map(|it| format!("    {it}\n")));
        }
    }
    let order = &report.order;
    text.push_str(&format!(
        "\nin all {}; allowed {}, goal {}\nthe first order of a process {}; {} if a replaced item costs twice a new one\n",
        units(order.total),
        units(ALLOWED),
        units(GOAL),
        units(report.first.total),
        units(order.replaced_twice)
    ));
    text
}

fn units(thousandths: u64) -> String {
    format!("{}.{}", thousandths / 1_000, thousandths % 1_000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_above_what_is_allowed_fails() {
        assert!(within(ALLOWED).is_ok());
        assert!(within(ALLOWED + 1).unwrap_err().to_string().contains("250.0 are allowed"));
    }
}
