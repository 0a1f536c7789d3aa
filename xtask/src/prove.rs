//! `prove`: the scenarios whose course a seed decides, for as many seeds as one likes, or for the one that failed.
use std::time::Instant;

use lexopt::{Arg, Parser, ValueExt};

use crate::{build::cargo, failure::Failure};

/// Scenario, and the test that runs it.
const SCENARIOS: &[(&str, &str)] = &[
    ("last-units", "proof::last_units::p1_the_last_units_are_sold_once_and_all_of_them"),
    ("messages", "proof::messages::p14_repeats_in_any_order_have_one_effect"),
];

const HELP: &str = "\
usage: cargo xtask prove [--scenario NAME] [--seeds N | --seed N]

  --scenario NAME   last-units (the default) or messages
  --seeds N         the first N seeds, default 20
  --seed N          this one alone, to replay a failure
";

/// Which seeds of which scenario.
#[derive(Debug, PartialEq)]
struct Options {
    test: &'static str,
    from: u64,
    to: u64,
}

impl Options {
    /// `None` if help was asked for.
    fn parse(mut args: Parser) -> Result<Option<Options>, Failure> {
        let mut options = Options { test: SCENARIOS[0].1, from: 1, to: 21 };
        while let Some(arg) = args.next()? {
            match arg {
                Arg::Long("scenario") => {
                    let name = args.value()?.string()?;
                    let found = SCENARIOS.iter().find(|(it, _)| *it == name);
                    options.test =
                        found.ok_or_else(|| Failure::usage(format!("there is no scenario {name}\n\n{HELP}")))?.1;
                }
                Arg::Long("seeds") => (options.from, options.to) = (1, args.value()?.parse::<u64>()?.saturating_add(1)),
                Arg::Long("seed") => {
                    let seed = args.value()?.parse::<u64>()?;
                    (options.from, options.to) = (seed, seed.saturating_add(1));
                }
                Arg::Long("help") | Arg::Short('h') => return Ok(None),
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(Some(options))
    }
}

pub(crate) fn main(args: Parser) -> Result<(), Failure> {
    let Some(Options { test, from, to }) = Options::parse(args)? else {
        print!("{HELP}");
        return Ok(());
    };
    let start = Instant::now();
    let mut runner = cargo();
    runner.args(["test", "--locked", "-p", "offpeak", "--features", "proof", "--test", "it", "--"]);
    runner.args(["--exact", "--nocapture", test]).env("OFFPEAK_PROVE_SEEDS", format!("{from}..{to}"));
    let status = runner.status().map_err(|err| Failure::new(format!("cannot start the tests: {err}")))?;
    if !status.success() {
        return Err(Failure::with_code(format!("{test} failed"), status.code().unwrap_or(1)));
    }
    println!("{} seeds of {test} hold, in {} s", to - from, start.elapsed().as_secs());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_read_as_they_are_printed() {
        let parse = |args: &[&str]| Options::parse(Parser::from_args(args)).unwrap().unwrap();
        assert_eq!((parse(&[]).from, parse(&[]).to), (1, 21));
        assert_eq!((parse(&["--seed", "7"]).from, parse(&["--seed", "7"]).to), (7, 8));
        let many = parse(&["--scenario", "messages", "--seeds", "1000"]);
        assert_eq!((many.from, many.to, many.test), (1, 1_001, SCENARIOS[1].1));
        assert!(Options::parse(Parser::from_args(["--scenario", "nothing"])).is_err());
        for (name, _) in SCENARIOS {
            assert!(HELP.contains(name), "{name}");
        }
    }
}
