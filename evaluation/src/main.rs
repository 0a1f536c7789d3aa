//! `cargo xtask evaluate`, `tune` and `shoppers`: the recommender on files of clicks.
#![expect(clippy::print_stdout, reason = "a command answers its caller on stdout")]
#![expect(clippy::float_arithmetic, reason = "means, shares and seconds")]

mod clicks;
mod evaluate;
mod failure;
mod fuzz;
mod random;
mod shoppers;
mod speed;
mod tune;

use std::process::ExitCode;

use failure::Failure;
use lexopt::{Arg, Parser};

fn main() -> ExitCode {
    match command(Parser::from_env()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn command(mut args: Parser) -> Result<(), Failure> {
    let name = match args.next()? {
        Some(Arg::Value(name)) => name.to_string_lossy().into_owned(),
        _ => String::new(),
    };
    match name.as_str() {
        "evaluate" => evaluate::main(args),
        "tune" => tune::main(args),
        "fuzz" => fuzz::main(args),
        "speed" => speed::main(args),
        "first" => speed::first(args),
        "shoppers" => shoppers::main(args),
        _ => Err(Failure::new("usage: evaluation evaluate|tune|shoppers|fuzz, each with --help")),
    }
}
