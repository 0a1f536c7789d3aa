//! `tune`: searches parameters by random mutation, for a bounded time, from a seed.
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use lexopt::{Arg, Parser, ValueExt as _};
use offpeak_domain::recommend::{Builder, FIELDS, Layout, Params, Stage};

use crate::{
    clicks::{self, Session},
    evaluate::{Task, measure},
    failure::Failure,
    random::Random,
};

const HELP: &str = "\
usage: cargo xtask tune --train FILE --valid FILE [--novel] [--model vmis|hybrid] [--params FILE]
                        [--seconds N] [--seed N]

  --train FILE, --valid FILE   what to learn from, and what to be judged by
  --params FILE                where to begin, else the defaults
  --seconds N                  how long, default 300
  --seed N                     default 1

Prints the best parameters, as --params reads them. What is raised is MRR@20 + HR@20 / 4.
";

const SECONDS: u64 = 300;
/// Share of the hit rate in what is raised.
const HIT_RATE_SHARE: f64 = 0.25;
/// Parameters that only the baseline reads begin with this.
const BASELINE: &str = "vmis_";
/// Parameters whose steps are whole and whose least is 1.
const COUNTS: &[&str] = &["context", "recent", "neighbours", "list_reach", "list_length"];

struct Options {
    train: PathBuf,
    valid: PathBuf,
    task: Task,
    params: Option<PathBuf>,
    time: Duration,
    seed: u64,
}

impl Options {
    fn parse(mut args: Parser) -> Result<Option<Options>, Failure> {
        let (mut train, mut valid, mut params) = (None, None, None);
        let (mut seconds, mut seed) = (SECONDS, 1);
        let mut task = Task { novel: false, vmis: false };
        while let Some(arg) = args.next()? {
            match arg {
                Arg::Long("train") => train = Some(PathBuf::from(args.value()?)),
                Arg::Long("valid") => valid = Some(PathBuf::from(args.value()?)),
                Arg::Long("params") => params = Some(PathBuf::from(args.value()?)),
                Arg::Long("novel") => task.novel = true,
                Arg::Long("model") => match args.value()?.string()?.as_str() {
                    "hybrid" => task.vmis = false,
                    "vmis" => task.vmis = true,
                    other => return Err(Failure::new(format!("there is no model {other}\n\n{HELP}"))),
                },
                Arg::Long("seconds") => seconds = args.value()?.parse()?,
                Arg::Long("seed") => seed = args.value()?.parse()?,
                Arg::Long("help") | Arg::Short('h') => return Ok(None),
                other => return Err(other.unexpected().into()),
            }
        }
        let missing = |what: &str| Failure::new(format!("--{what} FILE is missing\n\n{HELP}"));
        let (train, valid) = (train.ok_or_else(|| missing("train"))?, valid.ok_or_else(|| missing("valid"))?);
        Ok(Some(Options { train, valid, task, params, time: Duration::from_secs(seconds), seed }))
    }
}

pub(crate) fn main(args: Parser) -> Result<(), Failure> {
    let Some(options) = Options::parse(args)? else {
        print!("{HELP}");
        return Ok(());
    };
    let (train, valid) = (clicks::read(&options.train)?, clicks::read(&options.valid)?);
    let (train, valid) = (clicks::sessions(&train, &options.train)?, clicks::sessions(&valid, &options.valid)?);
    let mut params = options.task.defaults();
    if let Some(path) = &options.params {
        params = params.read(&clicks::read(path)?).map_err(|err| Failure::file("read", path, &err))?;
    }
    let judge = Judge { train, valid, task: options.task };
    print!("{}", search(&judge, params, &options)?.text());
    Ok(())
}

struct Judge<'a> {
    train: Vec<Session<'a>>,
    valid: Vec<Session<'a>>,
    task: Task,
}

/// A file, and what it was built with.
struct Built {
    params: Params,
    file: Vec<u8>,
}

impl Judge<'_> {
    fn score(&self, params: &Params, built: &mut Option<Built>) -> Result<(f64, f64, f64), Failure> {
        if built.as_ref().is_none_or(|it| !same_file(&it.params, params)) {
            let with = self.task.built_with(params);
            let file = clicks::fill(Builder::new(&with), &self.train).finish(Stage::Whole);
            *built = Some(Built { params: params.clone(), file });
        }
        let Some(built) = built else { return Ok((0.0, 0.0, 0.0)) };
        let layout = Layout::read(&built.file).map_err(|err| Failure::new(err.to_string()))?;
        let outcome = measure(&layout.model(&built.file), params, &self.valid, self.task);
        let (mrr, hits) = (outcome.metrics.mrr(), outcome.metrics.hit_rate());
        Ok((mrr + HIT_RATE_SHARE * hits, mrr, hits))
    }
}

/// Whether both build the same file.
fn same_file(one: &Params, other: &Params) -> bool {
    let (mut one, mut other) = (one.clone(), other.clone());
    let built = |name: &str| name.starts_with("list_") || matches!(name, "recent" | "vmis_recent");
    FIELDS.iter().filter(|(name, _)| built(name)).all(|(_, field)| field(&mut one) == field(&mut other))
}

fn search(judge: &Judge<'_>, params: Params, options: &Options) -> Result<Params, Failure> {
    let start = Instant::now();
    let mut random = Random::new(options.seed);
    let (mut best, mut built) = (params, None);
    let mut most = judge.score(&best, &mut built)?;
    let mut steps = 0_u32;
    eprintln!("begins at MRR@20 {:.4}, HR@20 {:.4}", most.1, most.2);
    while start.elapsed() < options.time {
        let tried = mutated(&best, options.task, &mut random);
        let score = judge.score(&tried, &mut built)?;
        steps += 1;
        if score.0 > most.0 {
            (best, most) = (tried, score);
            eprintln!("step {steps}: MRR@20 {:.4}, HR@20 {:.4}", most.1, most.2);
        }
    }
    eprintln!("{steps} steps");
    Ok(best)
}

/// One to three parameters moved; one in ten is switched off or on again.
fn mutated(params: &Params, task: Task, random: &mut Random) -> Params {
    let mut tried = params.clone();
    let open: Vec<_> = FIELDS.iter().filter(|(name, _)| name.starts_with(BASELINE) == task.vmis).collect();
    for _ in 0..=random.below(3) {
        let (name, field) = open[random.below(open.len())];
        let whole = COUNTS.contains(name) || task.vmis;
        let value = field(&mut tried);
        let factor = (1.4 * (random.share() - 0.5)).exp();
        *value = match (whole, random.below(10)) {
            (false, 0) if *value > 0.0 => 0.0,
            (false, _) if *value == 0.0 => random.share(),
            (false, _) => (*value * factor * 1000.0).round() / 1000.0,
            (true, _) => (*value * factor).round().max(1.0),
        };
    }
    tried
}
