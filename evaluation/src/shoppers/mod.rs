//! `shoppers`: synthetic sessions with patterns planted in them, so that the right answer is known.
//!
//! What must stay true: a seed decides every click. The shops that this makes are like real ones in shape (few items are
//! popular, sessions are short, shoppers go back), not in what is sold.
mod planted;
#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
};

use lexopt::{Arg, Parser, ValueExt as _};
use offpeak_domain::recommend::{Builder, Click, Kind};

use crate::{failure::Failure, random::Random};
use planted::{PLANTED, Pattern};

const HELP: &str = "\
usage: cargo xtask shoppers [--sessions N] [--items N] [--days N] [--seed N] --out FILE [--test FILE]

  --sessions N   default 20000
  --items N      default 5000
  --days N       default 30
  --seed N       default 1
  --out FILE     SessionId, ItemId, Time and what was done, separated by tabs
  --test FILE    the last day's sessions, which are then left out of FILE

Prints the patterns that are planted.
";

/// Midnight before the first day.
const START: u32 = 1_767_225_600;
const DAY: u32 = 86_400;
/// Items of a category.
const CATEGORY_ITEMS: usize = 50;
/// Items that usually follow an item.
const FOLLOWERS: u64 = 4;
/// Of a hundred steps, those to a usual follower, those back, and those to somewhere else in the category.
const FOLLOW: usize = 55;
const BACK: usize = 20;
const NEAR: usize = 20;
/// Steps of a session are at least two; each further one comes with this chance of a hundred.
const ONWARDS: usize = 68;
const STEPS_MAX: usize = 40;
/// Of a hundred sessions, those in which a pattern is planted.
const PATTERNED: usize = 12;
/// The same where the pattern is a rising trend.
const RISING: usize = 90;

/// How many of what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shoppers {
    pub(crate) sessions: usize,
    pub(crate) items: usize,
    pub(crate) days: u32,
    pub(crate) seed: u64,
}

/// One click.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) at: u32,
    pub(crate) item: String,
    pub(crate) kind: Kind,
}

pub(crate) fn item(number: usize) -> String {
    format!("item-{number:06}")
}

impl Shoppers {
    /// Every session, oldest first.
    pub(crate) fn walk(self) -> impl Iterator<Item = Vec<Step>> {
        let mut random = Random::new(self.seed);
        let seconds = u64::from(self.days) * u64::from(DAY);
        (0..self.sessions).map(move |number| {
            let from = seconds * number as u64 / self.sessions.max(1) as u64;
            let start = START + u32::try_from(from).unwrap_or(u32::MAX - START);
            self.session(start, &mut random)
        })
    }

    /// When the last day begins.
    pub(crate) const fn last_day(self) -> u32 {
        START + (self.days - 1) * DAY
    }

    fn session(self, start: u32, random: &mut Random) -> Vec<Step> {
        let mut at = start;
        let mut steps = Vec::new();
        let mut push = |item: String, kind: Kind, random: &mut Random| {
            steps.push(Step { at, item, kind });
            at += 5 + u32::try_from(random.below(120)).unwrap_or(0);
        };
        let day = (start - START) / DAY;
        let open: Vec<&Pattern> = PLANTED.iter().filter(|it| it.is_open(day, self.days)).collect();
        let pattern = open[random.below(open.len())];
        let share = if pattern.is_rising() { RISING } else { PATTERNED };
        if random.below(100) < share {
            // Something else before and after, so that the pattern has to be found.
            push(item(self.popular(random)), Kind::View, random);
            for name in pattern.items {
                push((*name).to_owned(), pattern.kind, random);
            }
            push(item(self.popular(random)), Kind::View, random);
            return steps;
        }
        let mut seen = vec![self.popular(random)];
        while seen.len() < STEPS_MAX && (seen.len() < 2 || random.below(100) < ONWARDS) {
            seen.push(self.after(&seen, random));
        }
        for number in seen {
            let kind = if random.below(20) == 0 { Kind::Cart } else { Kind::View };
            push(item(number), kind, random);
        }
        steps
    }

    /// The lower its number, the more popular an item is.
    fn popular(self, random: &mut Random) -> usize {
        let share = u128::from(random.next() >> 44);
        // The cube of 20 bits has 60.
        let place = (share * share * share * self.items as u128) >> 60;
        usize::try_from(place).unwrap_or(0)
    }

    fn after(self, seen: &[usize], random: &mut Random) -> usize {
        let Some(last) = seen.last().copied() else { return self.popular(random) };
        let category = last / CATEGORY_ITEMS * CATEGORY_ITEMS;
        let near = |random: &mut Random| (category + random.below(CATEGORY_ITEMS)) % self.items;
        match random.below(100) {
            way if way < FOLLOW => {
                let which = random.next() % FOLLOWERS;
                let mut fixed = Random::new(last as u64 * FOLLOWERS + which);
                near(&mut fixed)
            }
            way if way < FOLLOW + BACK && seen.len() > 1 => seen[seen.len() - 2],
            way if way < FOLLOW + BACK + NEAR => near(random),
            _ => self.popular(random),
        }
    }
}

/// A builder that has seen these shoppers, and knows what is sold.
pub(crate) fn fill(mut builder: Builder, shoppers: Shoppers) -> Builder {
    for number in 0..shoppers.items {
        let category = format!("category-{:04}", number / CATEGORY_ITEMS);
        builder.describe(&item(number), &category, []);
    }
    for (id, category, words) in planted::GOODS {
        builder.describe(id, category, words.split(' '));
    }
    for steps in shoppers.walk() {
        let ended = steps.last().map_or(0, |it| it.at);
        builder.add(ended, steps.iter().map(|it| Click { item: &it.item, kind: it.kind }));
    }
    builder
}

pub(crate) fn main(mut args: Parser) -> Result<(), Failure> {
    let mut shoppers = Shoppers { sessions: 20_000, items: 5_000, days: 30, seed: 1 };
    let (mut out, mut test) = (None, None);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("sessions") => shoppers.sessions = args.value()?.parse()?,
            Arg::Long("items") => shoppers.items = args.value()?.parse::<usize>()?.max(1),
            Arg::Long("days") => shoppers.days = args.value()?.parse::<u32>()?.clamp(1, 10_000),
            Arg::Long("seed") => shoppers.seed = args.value()?.parse()?,
            Arg::Long("out") => out = Some(PathBuf::from(args.value()?)),
            Arg::Long("test") => test = Some(PathBuf::from(args.value()?)),
            Arg::Long("help") | Arg::Short('h') => {
                print!("{HELP}");
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let out = out.ok_or_else(|| Failure::new(format!("--out FILE is missing\n\n{HELP}")))?;
    let until = if test.is_some() { shoppers.last_day() } else { u32::MAX };
    write(shoppers, &out, |start| start < until)?;
    if let Some(test) = test {
        write(shoppers, &test, |start| start >= until)?;
    }
    for pattern in PLANTED {
        println!("{}: {}", pattern.what, pattern.items.join(", "));
    }
    Ok(())
}

fn write(shoppers: Shoppers, path: &Path, wanted: impl Fn(u32) -> bool) -> Result<(), Failure> {
    let refuse = |err: std::io::Error| Failure::file("write", path, &err);
    let mut file = std::io::BufWriter::new(File::create(path).map_err(refuse)?);
    writeln!(file, "SessionId\tItemId\tTime\tKind").map_err(refuse)?;
    for (number, steps) in shoppers.walk().enumerate() {
        if !steps.first().is_some_and(|it| wanted(it.at)) {
            continue;
        }
        for step in steps {
            let kind = match step.kind {
                Kind::View => "view",
                Kind::Cart => "cart",
                Kind::Purchase => "purchase",
            };
            writeln!(file, "{number}\t{}\t{}\t{kind}", step.item, step.at).map_err(refuse)?;
        }
    }
    file.flush().map_err(refuse)
}
