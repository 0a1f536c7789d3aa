//! The project's commands. Each lives in its file; this one only finds it.
//!
//! What must stay true: `cargo xtask` compiles in seconds (few dependencies), and what it builds for the
//! shop is built alone, so that no other package's features leak into the handler.
#![expect(clippy::print_stdout, reason = "a command answers its caller on stdout")]

mod bench;
mod build;
mod child;
mod evaluation;
mod failure;
mod handler;
mod import;
mod package;
mod prove;
mod replay;
mod ru;
mod run;
mod stage;
mod test;
mod tools;
mod verify;
mod workspace;

use std::process::ExitCode;

use failure::Failure;
use lexopt::{Arg, Parser};

const HELP: &str = "\
usage: cargo xtask COMMAND

  run [--port 7071]          the shop on this machine (`run --help` lists what else it takes)
  import FILE                a price list into the shop, CSV or NDJSON (`import --help` says all)
  replay FILE                real invoices as orders, each total checked (`replay --help` says which)
  test [SUITE] [FILTER…]     every check, or one suite of them (`test --help` lists the suites)
  prove [--seeds N]          what the shop promises about exactness, for many seeds (`prove --help` says what)
  verify [--url URL]         a running shop's store, checked against its invariants
  evaluate, tune, shoppers, fuzz   the recommender on files of clicks (each says more with --help)
  bench [--json]             what the shop promises about speed, measured
  ru                         what a placed order costs in request units of Cosmos DB, estimated
  stage [--profile P]        target/stage/, laid out as the Functions host wants it
  package [--profile P]      the zip that is deployed, linked statically (`package --help` says more)
";

fn main() -> ExitCode {
    match command(Parser::from_env()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

fn command(mut args: Parser) -> Result<(), Failure> {
    match args.next()? {
        Some(Arg::Value(name)) => match name.to_str() {
            Some("run") => run::main(args),
            Some("test") => test::main(args),
            Some("bench") => bench::main(args),
            Some("import") => import::main(args),
            Some("replay") => replay::main(args),
            Some("prove") => prove::main(args),
            Some("verify") => verify::main(args),
            Some(name @ ("evaluate" | "tune" | "shoppers" | "fuzz")) => evaluation::main(name, args),
            Some("ru") => ru::main(args),
            Some("stage") => stage::main(args),
            Some("package") => package::main(args),
            Some(child::COMMAND) => child::main(args),
            _ => Err(Failure::usage(format!("there is no command {}\n\n{HELP}", name.display()))),
        },
        Some(Arg::Long("help") | Arg::Short('h')) | None => {
            print!("{HELP}");
            Ok(())
        }
        Some(other) => Err(other.unexpected().into()),
    }
}
