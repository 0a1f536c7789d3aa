//! `evaluate`: learns from one file and is asked, click by click, what comes next in another.
//!
//! Source: the evaluator of bolcom/serenade. For every click but a session's last, the session so far is given, the
//! item of the next click is the target, and the item at hand is never recommended. With `--novel`, targets that the
//! session has seen are skipped and what it has seen is not shown.
use std::{fmt::Write as _, path::PathBuf, time::Instant};

use lexopt::{Arg, Parser, ValueExt as _};
use offpeak_domain::recommend::{
    Builder, Item, Layout, Live, Model, Params, Prepared, Scored, Scratch, Seen, Stage, hybrid,
    metrics::{Metrics, PLACES},
    vmis,
};

use crate::{
    clicks::{self, Session},
    failure::Failure,
};

const HELP: &str = "\
usage: cargo xtask evaluate --train FILE --test FILE [--novel] [--model vmis|hybrid] [--params FILE] [--json]

  --train FILE    what to learn from: SessionId, ItemId, Time, separated by tabs
  --test FILE     what to predict
  --novel         only what the session has not seen
  --model NAME    hybrid (the default) or vmis, the baseline
  --params FILE   name = value, one a line, over the defaults; without it they are fitted to the newest of --train
  --json          one JSON object
";

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Task {
    pub(crate) novel: bool,
    pub(crate) vmis: bool,
}

impl Task {
    pub(crate) fn defaults(self) -> Params {
        if self.novel { Params::novel() } else { Params::default() }
    }

    /// What a model is built with: the baseline looks at more sessions than the hybrid.
    pub(crate) fn built_with(self, params: &Params) -> Params {
        let recent = if self.vmis { params.vmis_recent } else { params.recent };
        Params { recent, ..params.clone() }
    }

    const fn seen(self) -> Seen {
        if self.novel { Seen::Hidden } else { Seen::Shown }
    }

    fn list(self, model: &Model<'_>, prepared: &Prepared, session: &[Item], scratch: &mut Scratch) -> Vec<Scored> {
        if self.vmis {
            return vmis(model, prepared, session, self.seen(), PLACES, scratch);
        }
        hybrid(&Live::new(*model), prepared, session, self.seen(), PLACES, scratch)
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) metrics: Metrics,
    recommended: Vec<u32>,
    nanoseconds: Vec<u64>,
}

/// Asks the model for every click of these sessions.
pub(crate) fn measure(model: &Model<'_>, params: &Params, test: &[Session<'_>], task: Task) -> Outcome {
    let prepared = Prepared::new(model, params);
    let (mut scratch, mut outcome) = (Scratch::default(), Outcome::default());
    let (mut context, mut rest) = (Vec::new(), Vec::new());
    for session in test {
        let items = &session.clicks;
        for at in 1..items.len() {
            let seen = &items[..at];
            if task.novel && seen.iter().any(|it| it.1.item == items[at].1.item) {
                continue;
            }
            let start = Instant::now();
            context.clear();
            context.extend(seen.iter().filter_map(|it| model.find(it.1.item)));
            let list = task.list(model, &prepared, &context, &mut scratch);
            outcome.nanoseconds.push(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
            let list: Vec<u32> = list.iter().map(|it| it.item.0).collect();
            rest.clear();
            rest.extend(items[at..].iter().map(|it| model.find(it.1.item).map_or(u32::MAX, |it| it.0)));
            outcome.metrics.add(&list, &rest);
            outcome.recommended.extend(list);
            if outcome.recommended.len() > 1 << 20 {
                distinct(&mut outcome.recommended);
            }
        }
    }
    distinct(&mut outcome.recommended);
    outcome.nanoseconds.sort_unstable();
    outcome
}

fn distinct(items: &mut Vec<u32>) {
    items.sort_unstable();
    items.dedup();
}

impl Outcome {
    /// The time that this many of a thousand queries did not exceed, in microseconds.
    fn microseconds(&self, of_thousand: usize) -> f64 {
        let rank = (self.nanoseconds.len() * of_thousand).div_ceil(1000).max(1) - 1;
        self.nanoseconds.get(rank).map_or(0.0, |it| *it as f64 / 1000.0)
    }
}

#[derive(Debug)]
struct Options {
    train: PathBuf,
    test: PathBuf,
    task: Task,
    params: Option<PathBuf>,
    json: bool,
}

impl Options {
    /// `None` if help was asked for.
    fn parse(mut args: Parser) -> Result<Option<Options>, Failure> {
        let (mut train, mut test, mut params, mut json) = (None, None, None, false);
        let mut task = Task { novel: false, vmis: false };
        while let Some(arg) = args.next()? {
            match arg {
                Arg::Long("train") => train = Some(PathBuf::from(args.value()?)),
                Arg::Long("test") => test = Some(PathBuf::from(args.value()?)),
                Arg::Long("params") => params = Some(PathBuf::from(args.value()?)),
                Arg::Long("novel") => task.novel = true,
                Arg::Long("json") => json = true,
                Arg::Long("model") => match args.value()?.string()?.as_str() {
                    "hybrid" => task.vmis = false,
                    "vmis" => task.vmis = true,
                    other => return Err(Failure::new(format!("there is no model {other}\n\n{HELP}"))),
                },
                Arg::Long("help") | Arg::Short('h') => return Ok(None),
                other => return Err(other.unexpected().into()),
            }
        }
        let missing = |what: &str| Failure::new(format!("--{what} FILE is missing\n\n{HELP}"));
        let (train, test) = (train.ok_or_else(|| missing("train"))?, test.ok_or_else(|| missing("test"))?);
        Ok(Some(Options { train, test, task, params, json }))
    }
}

pub(crate) fn main(args: Parser) -> Result<(), Failure> {
    let Some(options) = Options::parse(args)? else {
        print!("{HELP}");
        return Ok(());
    };
    let given = options.params.as_deref().map(|path| {
        let read = options.task.defaults().read(&clicks::read(path)?);
        read.map_err(|err| Failure::file("read", path, &err))
    });
    let given = given.transpose()?;
    let (train, test) = (clicks::read(&options.train)?, clicks::read(&options.test)?);
    let test = clicks::sessions(&test, &options.test)?;
    let start = Instant::now();
    let train = clicks::sessions(&train, &options.train)?;
    let built_with = options.task.built_with(given.as_ref().unwrap_or(&Params::default()));
    let builder = clicks::fill(Builder::new(&built_with), &train);
    let file = match &given {
        None if !options.task.vmis => builder.finish_fitted(),
        _ => builder.finish(Stage::Whole),
    };
    let seconds = start.elapsed().as_secs_f64();
    let layout = Layout::read(&file).map_err(|err| Failure::new(err.to_string()))?;
    let model = layout.model(&file);
    let params = given.unwrap_or_else(|| model.params(options.task.seen()));
    let outcome = measure(&model, &params, &test, options.task);
    let name = if options.task.vmis { "vmis" } else { "hybrid" };
    let figures = figures(&outcome, &model, file.len(), seconds);
    if options.json {
        println!("{{\"model\":\"{name}\",\"novel\":{},{}}}", options.task.novel, json(&figures));
    } else {
        println!("{name}{}", if options.task.novel { ", novel" } else { "" });
        for (what, figure) in figures {
            println!("{what:>18}  {figure}");
        }
    }
    Ok(())
}

type Figures = Vec<(&'static str, String)>;

fn figures(outcome: &Outcome, model: &Model<'_>, bytes: usize, seconds: f64) -> Figures {
    let metrics = &outcome.metrics;
    let coverage = outcome.recommended.len() as f64 / f64::from(model.items().max(1));
    let mut figures: Figures = Vec::new();
    let mut add = |name, value: f64, digits: usize| figures.push((name, format!("{value:.digits$}")));
    add("mrr20", metrics.mrr(), 6);
    add("hr20", metrics.hit_rate(), 6);
    add("p20", metrics.precision(), 6);
    add("r20", metrics.recall(), 6);
    add("ndcg20", metrics.ndcg(), 6);
    add("coverage", coverage, 6);
    add("events", f64::from(metrics.events()), 0);
    add("p50Microseconds", outcome.microseconds(500), 2);
    add("p90Microseconds", outcome.microseconds(900), 2);
    add("p99_5Microseconds", outcome.microseconds(995), 2);
    add("indexBytes", bytes as f64, 0);
    add("buildSeconds", seconds, 3);
    figures
}

fn json(figures: &Figures) -> String {
    let mut text = String::new();
    for (name, value) in figures {
        let comma = if text.is_empty() { "" } else { "," };
        // Writing to a string cannot fail.
        write!(text, "{comma}\"{name}\":{value}").ok();
    }
    text
}
