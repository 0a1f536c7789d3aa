//! `prove`: the scenarios whose course a seed decides, for as many seeds as one likes, or for the one that failed.
//!
//! Each seed has a process of its own, so one that dies takes no other with it.
use std::{
    num::NonZero,
    path::Path,
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Instant,
};

use lexopt::{Arg, Parser, ValueExt};

use crate::{build, failure::Failure};

/// Scenario, and the test that runs it.
const SCENARIOS: &[(&str, &str)] = &[
    ("last-units", "proof::last_units::p1_the_last_units_are_sold_once_and_all_of_them"),
    ("messages", "proof::messages::p14_repeats_in_any_order_have_one_effect"),
];

const HELP: &str = "\
usage: cargo xtask prove [--scenario NAME] [--seeds N | --seed N] [--jobs N]

  --scenario NAME   last-units (the default) or messages
  --seeds N         the first N seeds, default 20
  --seed N          this one alone, to replay a failure
  --jobs N          seeds at a time, default one for each core
";

/// Optimised, with every check on.
const PROFILE: &str = "prove";
/// Seeds between two lines that say how far it is.
const TOLD_EVERY: u64 = 100;

/// Which seeds of which scenario.
#[derive(Debug, PartialEq)]
struct Options {
    scenario: &'static str,
    test: &'static str,
    from: u64,
    to: u64,
    jobs: usize,
}

impl Options {
    /// `None` if help was asked for.
    fn parse(mut args: Parser) -> Result<Option<Options>, Failure> {
        let (scenario, test) = SCENARIOS[0];
        let jobs = thread::available_parallelism().map_or(1, NonZero::get);
        let mut options = Options { scenario, test, from: 1, to: 21, jobs };
        while let Some(arg) = args.next()? {
            match arg {
                Arg::Long("scenario") => {
                    let name = args.value()?.string()?;
                    let found = SCENARIOS.iter().find(|(it, _)| *it == name);
                    (options.scenario, options.test) =
                        *found.ok_or_else(|| Failure::usage(format!("there is no scenario {name}\n\n{HELP}")))?;
                }
                Arg::Long("seeds") => (options.from, options.to) = (1, args.value()?.parse::<u64>()?.saturating_add(1)),
                Arg::Long("seed") => {
                    let seed = args.value()?.parse::<u64>()?;
                    (options.from, options.to) = (seed, seed.saturating_add(1));
                }
                Arg::Long("jobs") => options.jobs = args.value()?.parse::<NonZero<usize>>()?.get(),
                Arg::Long("help") | Arg::Short('h') => return Ok(None),
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(Some(options))
    }

    fn command(&self, tests: &Path, seed: u64) -> Command {
        let mut command = Command::new(tests);
        command.args(["--exact", "--nocapture", self.test]);
        command.env("OFFPEAK_PROVE_SEEDS", format!("{seed}..{}", seed.saturating_add(1)));
        command
    }

    /// `None` if the seed holds, otherwise the line that says what is wrong and how to see it again.
    fn run(&self, tests: &Path, seed: u64) -> Result<Option<String>, Failure> {
        let output = self.command(tests, seed).output().map_err(|err| cannot_start(&err))?;
        let told = format!("{} seed {seed}", self.scenario);
        let said = String::from_utf8_lossy(&output.stdout);
        let line = said.lines().find(|it| it.starts_with(&told));
        Ok(match line {
            Some(line) if output.status.success() && line.starts_with(&format!("{told}: ")) => None,
            Some(line) if !output.status.success() => Some(line.to_owned()),
            _ => {
                let replay = format!("cargo xtask prove --scenario {} --seed {seed}", self.scenario);
                Some(format!("{told} failed: it said nothing, {}; replay: {replay}", output.status))
            }
        })
    }
}

fn cannot_start(err: &std::io::Error) -> Failure {
    Failure::new(format!("cannot start the tests: {err}"))
}

pub(crate) fn main(args: Parser) -> Result<(), Failure> {
    let Some(options) = Options::parse(args)? else {
        print!("{HELP}");
        return Ok(());
    };
    let tests = build::proof(PROFILE)?;
    let start = Instant::now();
    let failed = if options.to - options.from == 1 { alone(&options, &tests)? } else { many(&options, &tests)? };
    let (count, seconds) = (options.to - options.from, start.elapsed().as_secs());
    println!("{}: {} seeds held, {failed} failed, in {seconds} s", options.scenario, count - failed);
    if failed > 0 { Err(Failure::new(format!("{failed} of {count} seeds failed"))) } else { Ok(()) }
}

/// One seed, with everything it says.
fn alone(options: &Options, tests: &Path) -> Result<u64, Failure> {
    let status = options.command(tests, options.from).status().map_err(|err| cannot_start(&err))?;
    Ok(u64::from(!status.success()))
}

/// Goes on after a seed that fails. Answers how many did.
fn many(options: &Options, tests: &Path) -> Result<u64, Failure> {
    let (next, done, failed) = (AtomicU64::new(options.from), AtomicU64::new(0), AtomicU64::new(0));
    let work = || -> Result<(), Failure> {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= options.to {
                return Ok(());
            }
            if let Some(line) = options.run(tests, seed)? {
                println!("{line}");
                failed.fetch_add(1, Ordering::Relaxed);
            }
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            if done.is_multiple_of(TOLD_EVERY) {
                println!("{}: {done} of {} seeds done", options.scenario, options.to - options.from);
            }
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..options.jobs).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|it| it.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    Ok(failed.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_read_as_they_are_printed() {
        let parse = |args: &[&str]| Options::parse(Parser::from_args(args)).unwrap().unwrap();
        assert_eq!((parse(&[]).from, parse(&[]).to), (1, 21));
        assert_eq!((parse(&["--seed", "7"]).from, parse(&["--seed", "7"]).to), (7, 8));
        let many = parse(&["--scenario", "messages", "--seeds", "1000", "--jobs", "3"]);
        assert_eq!((many.from, many.to, many.test, many.jobs), (1, 1_001, SCENARIOS[1].1, 3));
        assert!(parse(&[]).jobs > 0 && Options::parse(Parser::from_args(["--jobs", "0"])).is_err());
        assert!(Options::parse(Parser::from_args(["--scenario", "nothing"])).is_err());
        for (name, _) in SCENARIOS {
            assert!(HELP.contains(name), "{name}");
        }
    }

    /// Programs that play the tests: they say something and end.
    #[cfg(unix)]
    #[test]
    fn what_a_seed_came_to_is_one_line() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let options = Options::parse(Parser::from_args(["--seeds", "3"])).unwrap().unwrap();
        let run = |name: &str, script: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            (options.run(&path, 2).unwrap(), many(&options, &path).unwrap())
        };
        let seed = "N=${OFFPEAK_PROVE_SEEDS%..*}";
        let (held, failed) = run("holds", &format!("{seed}; echo running; echo \"last-units seed $N: 50 sold\""));
        assert_eq!((held, failed), (None, 0));
        let line = "last-units seed 2 failed: oversold";
        let one =
            format!("{seed}; [ $N != 2 ] && echo \"last-units seed $N: 50 sold\" && exit; echo '{line}'; exit 101");
        assert_eq!(run("fails", &one), (Some(line.to_owned()), 1));
        let (said, failed) = run("dies", "exit 3");
        assert!(said.unwrap().ends_with("replay: cargo xtask prove --scenario last-units --seed 2"));
        assert_eq!(failed, 3);
        assert_eq!(run("runs nothing", "exit 0").1, 3, "a test that was renamed proves nothing");
    }
}
