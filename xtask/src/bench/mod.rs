//! `bench`: the figures that the shop promises about speed, each beside its target.
//!
//! What must stay true: a ratio compares programs within one run, on the same core, by the same tool, in
//! turns, so that a busy machine slows both; nothing here fails because a machine is slow.
mod cart;
mod first_stage;
mod ingest;
mod load;
mod orders;
mod pages;
mod point_reads;
mod pricing;
mod recommend;
mod recommendations;
mod server;
mod size;
mod start;
mod stock;
mod table;

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use lexopt::{Arg, Parser};

use self::{recommendations::Clicks, server::Handler, table::Table};
use crate::{build, evaluation, failure::Failure, handler, tools};

const HELP: &str = "\
usage: cargo xtask bench [--json] [--quick] [--dist] [--only PART] [--train FILE --test FILE]

  --json      the same figures as JSON
  --quick     fewer and shorter rounds, to see that it works
  --dist      also build what is shipped, which takes minutes, and weigh it
  --only recommendations        asking and building a model, alone
  --only recommend              asking the handler for recommendations, alone
  --train FILE --test FILE      clicks to ask recommendations about, beside synthetic ones
";

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Effort {
    rounds: usize,
    round_s: u64,
    starts: usize,
    writes: usize,
    /// Requests that the handler has answered before its memory is read.
    requests: u64,
    orders: usize,
    orders_over_http: usize,
    pages: usize,
    /// Of each kind, in each turn.
    point_reads: usize,
    /// Batches of the hub.
    batches: usize,
    pricings: usize,
    holds: usize,
    /// Of the model of recommendations that is built.
    sessions: usize,
}

const FULL: Effort = Effort {
    rounds: 7,
    round_s: 3,
    starts: 25,
    writes: 1_000,
    requests: 100_000,
    orders: 5_000,
    orders_over_http: 1_500,
    pages: 20_000,
    point_reads: 1_000,
    batches: 400,
    pricings: 20_000,
    holds: 20_000,
    sessions: 1_000_000,
};
const QUICK: Effort = Effort {
    rounds: 3,
    round_s: 1,
    starts: 5,
    writes: 100,
    requests: 20_000,
    orders: 500,
    orders_over_http: 200,
    pages: 2_000,
    point_reads: 200,
    batches: 40,
    pricings: 2_000,
    holds: 2_000,
    sessions: 100_000,
};

/// What may be measured alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Models,
    Handler,
}

/// What is compared.
struct Programs {
    handler: PathBuf,
    bare_hyper: PathBuf,
    bare_warp: PathBuf,
    far_objects: PathBuf,
    orders: PathBuf,
    pages: PathBuf,
    point_reads: PathBuf,
    ingest: PathBuf,
    pricing: PathBuf,
    holds: PathBuf,
    devhost: PathBuf,
}

pub(crate) fn main(mut args: Parser) -> Result<(), Failure> {
    let (mut json, mut effort, mut dist) = (false, FULL, false);
    let (mut clicks, mut only) = (Clicks::default(), None);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("json") => json = true,
            Arg::Long("quick") => effort = QUICK,
            Arg::Long("dist") => dist = true,
            Arg::Long("train") => clicks.train = Some(args.value()?.into()),
            Arg::Long("test") => clicks.test = Some(args.value()?.into()),
            Arg::Long("only") => match args.value()?.to_str() {
                Some("recommendations") => only = Some(Part::Models),
                Some("recommend") => only = Some(Part::Handler),
                _ => return Err(Failure::usage(HELP)),
            },
            Arg::Long("help") => {
                print!("{HELP}");
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let mut table = if only.is_some() { Table::default() } else { measure(effort, dist)? };
    let evaluation = evaluation::program()?;
    if only != Some(Part::Handler) {
        say("recommendations");
        recommendations::measure(&evaluation, &clicks, effort, &mut table)?;
    }
    if only != Some(Part::Models) {
        say("recommendations of the handler");
        let programs = built()?;
        recommend::measure(&programs, &evaluation, effort, &mut table)?;
        say("a first list from objects that are far away");
        first_stage::measure(&programs, &evaluation, effort, &mut table)?;
    }
    print!("{}", if json { table.json() } else { table.text() });
    Ok(())
}

fn measure(effort: Effort, dist: bool) -> Result<Table, Failure> {
    for (program, package) in [("wrk", "wrk"), ("node", "nodejs"), ("taskset", "util-linux")] {
        if !tools::found(program) {
            tools::system_package(package, program)?;
        }
    }
    let programs = built()?;
    let data = tempfile::tempdir().map_err(Failure::file("make", Path::new("a folder for the data")))?;
    seed(&programs.handler, data.path())?;

    let mut table = Table::default();
    say("start to first answer");
    start::measure(&programs.handler, data.path(), effort, &mut table)?;
    start::unreachable(&programs.handler, data.path(), effort, &mut table)?;
    let handler = Handler::start(&programs.handler, data.path())?;
    say("requests for one product");
    let answered = load::measure(&handler, &programs, data.path(), effort, &mut table)?;
    say("writes to a cart");
    cart::measure(&handler, effort, &mut table)?;
    load::memory(&handler, answered, effort, &mut table)?;
    drop(handler);
    say("a page with Redis and without");
    pages::measure(&programs.pages, effort, &mut table)?;
    say("clicks from the hub");
    ingest::measure(&programs.ingest, effort, &mut table)?;
    say("a document of Cosmos DB");
    point_reads::measure(&programs.point_reads, effort, &mut table)?;
    say("pricing");
    pricing::measure(&programs.pricing, effort, &mut table)?;
    say("orders from cart to placed");
    orders::in_process(&programs.orders, effort, &mut table)?;
    orders::over_http(&programs.handler, &programs.devhost, effort, &mut table)?;
    say("holds of one SKU");
    stock::measure(&programs.holds, effort, &mut table)?;
    if dist {
        say("what is shipped");
        size::measure(&mut table)?;
    }
    Ok(table)
}

fn built() -> Result<Programs, Failure> {
    let handler = build::build(build::HANDLER, "release")?.program("handler")?;
    let devhost = build::build(build::DEVHOST, "release")?.program("devhost")?;
    let bench = build::build(build::BENCH_PROGRAMS, "release")?;
    Ok(Programs {
        handler,
        devhost,
        bare_hyper: bench.program("bare_hyper")?,
        bare_warp: bench.program("bare_warp")?,
        far_objects: bench.program("far_objects")?,
        orders: bench.program("orders")?,
        pages: bench.program("pages")?,
        point_reads: bench.program("point_reads")?,
        ingest: bench.program("ingest")?,
        pricing: bench.program("pricing")?,
        holds: bench.program("holds")?,
    })
}

fn seed(program: &Path, data: &Path) -> Result<(), Failure> {
    let mut import = handler::import(program, data)?;
    let status = import.arg("--seed").stdout(Stdio::null()).status().map_err(Failure::file("start", program))?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("the seed cannot be loaded: {status}"))) }
}

/// Progress, for a person who waits.
fn say(what: &str) {
    eprintln!("bench: {what}");
}

/// The middle one; of an even number, the lower of the two. 0 of none.
fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(0)
}

/// The value that this many of a hundred do not exceed. 0 of none.
fn percentile(mut values: Vec<u64>, percent: usize) -> u64 {
    values.sort_unstable();
    let rank = (values.len() * percent).div_ceil(100).max(1) - 1;
    values.get(rank).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn middles_and_percentiles_are_of_the_values_given() {
        assert_eq!(median(vec![9, 1, 5]), 5);
        assert_eq!(median(vec![4, 1, 2, 3]), 2);
        assert_eq!(median(Vec::new()), 0);
        assert_eq!(percentile((1..=100).collect(), 99), 99);
        assert_eq!(percentile((1..=10).collect(), 50), 5);
        assert_eq!(percentile(vec![7], 99), 7);
    }
}
