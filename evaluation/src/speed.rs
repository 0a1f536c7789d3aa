//! `speed`: how long a query takes, a model takes to build, and a mapped file to answer, as one JSON object for
//! `cargo xtask bench`.
use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use lexopt::{Arg, Parser, ValueExt as _};
use offpeak_domain::recommend::{Builder, Item, Live, Params, Prepared, Scratch, Seen, hybrid, metrics::PLACES};
use offpeak_model_file::ModelFile;

use crate::{
    clicks,
    failure::Failure,
    shoppers::{self, Shoppers},
};

const HELP: &str = "\
usage: evaluation speed [--sessions N] [--items N] [--first] [--train FILE --test FILE] [--asked FILE] --place FOLDER
       evaluation first FILE ITEM

  --sessions N   synthetic, default 1000000
  --first        also the small file for the moment before the whole one is there, named first
  --train FILE   ask about the clicks of --test instead, of the model of these
  --asked FILE   write what sessions had seen when they asked, a line for each, items separated by commas
  --place FOLDER where the model's file is put

`first` maps a file, answers one query and prints how long that took.
";

/// Queries that are timed.
const QUERIES: usize = 20_000;
/// Items that a caller may say were seen.
const ASKED_MAX: usize = 20;

struct Options {
    shoppers: Shoppers,
    files: Option<(PathBuf, PathBuf)>,
    /// Whether the small file is wanted as well.
    first: bool,
    asked: Option<PathBuf>,
    place: PathBuf,
}

impl Options {
    fn parse(mut args: Parser) -> Result<Option<Options>, Failure> {
        let mut shoppers = Shoppers { sessions: 1_000_000, items: 250_000, days: 30, seed: 1 };
        let (mut train, mut test, mut asked, mut place, mut first) = (None, None, None, None, false);
        while let Some(arg) = args.next()? {
            match arg {
                Arg::Long("sessions") => shoppers.sessions = args.value()?.parse()?,
                Arg::Long("items") => shoppers.items = args.value()?.parse::<usize>()?.max(1),
                Arg::Long("first") => first = true,
                Arg::Long("train") => train = Some(PathBuf::from(args.value()?)),
                Arg::Long("test") => test = Some(PathBuf::from(args.value()?)),
                Arg::Long("asked") => asked = Some(PathBuf::from(args.value()?)),
                Arg::Long("place") => place = Some(PathBuf::from(args.value()?)),
                Arg::Long("help") | Arg::Short('h') => return Ok(None),
                other => return Err(other.unexpected().into()),
            }
        }
        let place = place.ok_or_else(|| Failure::new(format!("--place FOLDER is missing\n\n{HELP}")))?;
        Ok(Some(Options { shoppers, files: train.zip(test), first, asked, place }))
    }
}

pub(crate) fn main(args: Parser) -> Result<(), Failure> {
    let Some(options) = Options::parse(args)? else {
        print!("{HELP}");
        return Ok(());
    };
    let start = Instant::now();
    let ((file, small), sessions) = match &options.files {
        Some((train, test)) => real(train, test, options.first)?,
        None => synthetic(options.shoppers, options.first),
    };
    let build = start.elapsed();
    if let Some(path) = &options.asked {
        fs::write(path, asked(&sessions)).map_err(|err| Failure::file("write", path, &err))?;
    }
    let path = options.place.join("model");
    fs::write(&path, &file).map_err(|err| Failure::file("write", &path, &err))?;
    let bytes = file.len();
    drop(file);
    if let Some(small) = small {
        let path = options.place.join("first");
        fs::write(&path, small).map_err(|err| Failure::file("write", &path, &err))?;
    }
    let file = ModelFile::open(&path).map_err(|err| Failure::file("open", &path, &err))?;
    let times = queries(&file, &sessions);
    let at = |of_thousand: usize| times.get((times.len().max(1) - 1) * of_thousand / 1000).copied().unwrap_or(0);
    println!(
        "{{\"sessions\":{},\"items\":{},\"indexBytes\":{bytes},\"buildMs\":{},\"peakKib\":{},\"queries\":{},\
         \"p50Ns\":{},\"p90Ns\":{},\"p99_5Ns\":{},\"model\":\"{}\"}}",
        file.model().sessions(),
        file.model().items(),
        build.as_millis(),
        peak_kib(),
        times.len(),
        at(500),
        at(900),
        at(995),
        path.display(),
    );
    Ok(())
}

/// A session's identifiers.
type Ids = Vec<String>;

/// The whole file, and the small one if it was asked for.
type Files = (Vec<u8>, Option<Vec<u8>>);

fn finish(builder: Builder, first: bool) -> Files {
    if !first {
        return (builder.finish_fitted(), None);
    }
    builder.finish_both().map_or_else(Files::default, |(whole, small)| (whole, Some(small)))
}

fn real(train: &Path, test: &Path, first: bool) -> Result<(Files, Vec<Ids>), Failure> {
    let (train_text, test_text) = (clicks::read(train)?, clicks::read(test)?);
    let sessions = clicks::sessions(&train_text, train)?;
    let files = finish(clicks::fill(Builder::new(&Params::default()), &sessions), first);
    let asked = clicks::sessions(&test_text, test)?;
    let ids = |it: &clicks::Session<'_>| it.clicks.iter().map(|it| it.1.item.to_owned()).collect();
    Ok((files, asked.iter().map(ids).collect()))
}

fn synthetic(shoppers: Shoppers, first: bool) -> (Files, Vec<Ids>) {
    let files = finish(shoppers::fill(Builder::new(&Params::default()), shoppers), first);
    let others = Shoppers { sessions: QUERIES, seed: shoppers.seed + 1, ..shoppers };
    (files, others.walk().map(|it| it.into_iter().map(|it| it.item).collect()).collect())
}

/// Each session at another step, with its newest [`ASKED_MAX`] items.
fn asked(sessions: &[Ids]) -> String {
    let mut lines = String::new();
    for (number, ids) in sessions.iter().take(QUERIES).filter(|it| !it.is_empty()).enumerate() {
        let seen = &ids[..=number % ids.len()];
        lines.push_str(&seen[seen.len().saturating_sub(ASKED_MAX)..].join(","));
        lines.push('\n');
    }
    lines
}

/// Nanoseconds of each query, in order.
fn queries(file: &ModelFile, sessions: &[Ids]) -> Vec<u64> {
    let model = file.model();
    let prepared = Prepared::new(&model, &model.params(Seen::Hidden));
    let (mut scratch, mut times, mut context) = (Scratch::default(), Vec::new(), Vec::new());
    // Once to bring the file into memory, then once for the figures.
    for counted in [false, true] {
        for session in sessions.iter().take(QUERIES) {
            for at in 1..session.len() {
                let start = Instant::now();
                context.clear();
                context.extend(session[..at].iter().filter_map(|it| model.find(it)));
                let live = Live::new(model);
                std::hint::black_box(hybrid(&live, &prepared, &context, Seen::Hidden, PLACES, &mut scratch));
                if counted {
                    times.push(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
                }
            }
        }
    }
    times.sort_unstable();
    times
}

/// `first`: from the start of the program to an answer.
pub(crate) fn first(mut args: Parser) -> Result<(), Failure> {
    let start = Instant::now();
    let mut word = || args.value().map_err(|_| Failure::new(HELP));
    let (path, item) = (PathBuf::from(word()?), word()?.string()?);
    let file = ModelFile::open(&path).map_err(|err| Failure::file("open", &path, &err))?;
    let model = file.model();
    let opened = start.elapsed();
    let prepared = Prepared::new(&model, &model.params(Seen::Hidden));
    let context: Vec<Item> = model.find(&item).into_iter().collect();
    let list = hybrid(&Live::new(model), &prepared, &context, Seen::Hidden, PLACES, &mut Scratch::default());
    println!(
        "{{\"openUs\":{},\"firstUs\":{},\"items\":{}}}",
        opened.as_micros(),
        start.elapsed().as_micros(),
        list.len()
    );
    Ok(())
}

/// The most memory that this process has had, in KiB; 0 where the system does not say.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|it| it.trim().split(' ').next()?.parse().ok()).unwrap_or(0)
}
