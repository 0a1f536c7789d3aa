//! `evaluate`, `tune` and `shoppers`: the recommender on files of clicks. They are a program of their own, optimised,
//! which this command builds and becomes the caller of.
use std::{path::PathBuf, process::Command};

use lexopt::Parser;

use crate::{build, child, failure::Failure};

const PROGRAM: &[&str] = &["-p", "evaluation", "--bin", "evaluation"];
/// Optimised; nothing but the domain is compiled for it.
const PROFILE: &str = "evaluation";

pub(crate) fn program() -> Result<PathBuf, Failure> {
    build::build(PROGRAM, PROFILE)?.program("evaluation")
}

/// Runs one of the program's commands with the caller's own words.
pub(crate) fn main(command: &str, mut args: Parser) -> Result<(), Failure> {
    let program = program()?;
    let mut run: Command = child::command(&program)?;
    run.arg(command).args(args.raw_args()?);
    let status = run.status().map_err(Failure::file("start", &program))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::with_code(format!("{command} failed: {status}"), status.code().unwrap_or(1)))
}
