//! `fuzz`: changes a model's bytes at random, seals them as if they were right, and asks all that can be asked, for a
//! bounded time. It ends by itself only if nothing panics.
use std::time::{Duration, Instant};

use lexopt::{Arg, Parser};
use offpeak_domain::recommend::{
    Builder, Consent, Kind, Layout, Live, LiveClick, Overlay, Params, Query, Scratch, Segment, Stage, Surface, Tuning,
    recommend, seal,
};

use crate::{
    failure::Failure,
    random::Random,
    shoppers::{self, Shoppers},
};

const HELP: &str = "\
usage: cargo xtask fuzz [--seconds N] [--seed N]

  --seconds N   default 600
  --seed N      default 1
";

/// Edits of one file.
const EDITS_MAX: usize = 8;
/// Bytes of head and table, which has 25 sections.
const HEAD: usize = 64 + 25 * 16;
const SESSION: &[&str] = &["item-000001", "item-000007", "tent", "item-000003"];

/// Files that were taken, and that were refused.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) taken: u64,
    pub(crate) refused: u64,
}

pub(crate) fn main(mut args: Parser) -> Result<(), Failure> {
    let (mut seconds, mut seed) = (600, 1);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("seconds") => seconds = lexopt::ValueExt::parse(&args.value()?)?,
            Arg::Long("seed") => seed = lexopt::ValueExt::parse(&args.value()?)?,
            Arg::Long("help") | Arg::Short('h') => {
                print!("{HELP}");
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let (start, time) = (Instant::now(), Duration::from_secs(seconds));
    let tally = run(seed, || start.elapsed() < time);
    println!("{} files were taken and read, {} refused; nothing panicked", tally.taken, tally.refused);
    Ok(())
}

/// Goes on for as long as it is told.
pub(crate) fn run(seed: u64, mut go_on: impl FnMut() -> bool) -> Tally {
    let small = Shoppers { sessions: 200, items: 100, days: 3, seed: 1 };
    let whole = shoppers::fill(Builder::new(&Params::default()), small).finish(Stage::Whole);
    let first = shoppers::fill(Builder::new(&Params::default()), small).finish(Stage::First);
    let (mut random, mut tally) = (Random::new(seed), Tally::default());
    while go_on() {
        let mut bytes = if random.below(4) == 0 { first.clone() } else { whole.clone() };
        change(&mut bytes, &mut random);
        match Layout::read(&bytes) {
            Ok(layout) => {
                ask(&layout, &bytes);
                tally.taken += 1;
            }
            Err(_) => tally.refused += 1,
        }
    }
    tally
}

fn change(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(EDITS_MAX) {
        let end = if random.below(3) == 0 { HEAD.min(bytes.len()) } else { bytes.len() };
        if end < 8 {
            break;
        }
        let at = random.below(end - 7);
        match random.below(6) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next().to_le_bytes()[0],
            2 => bytes[at..at + 4].fill(0xFF),
            3 => bytes[at..at + 4].fill(0),
            4 => {
                let near = u32::try_from(random.below(bytes.len() * 2)).unwrap_or(u32::MAX);
                bytes[at..at + 4].copy_from_slice(&near.to_le_bytes());
            }
            _ if random.below(8) == 0 => bytes.truncate(at),
            _ => bytes[at..at + 8].copy_from_slice(&random.next().to_le_bytes()),
        }
    }
    if random.below(8) > 0 {
        seal(bytes);
    }
}

fn ask(layout: &Layout, bytes: &[u8]) {
    let model = layout.model(bytes);
    let tuning = Tuning::new(&model);
    let click = |(at, item): (u32, &&str)| LiveClick { session: 7, at, item: (*item).into(), kind: Kind::Cart };
    let segment = Segment { clicks: (1..).zip(SESSION).map(click).collect() };
    let overlay = Overlay::new(&model, &Params::default(), [&segment], 0);
    let mut scratch = Scratch::default();
    for live in [Live::new(model), Live::with(model, &overlay, None)] {
        for surface in Surface::ALL {
            let query = Query {
                surface,
                session: SESSION,
                cart: &SESSION[1..],
                category: Some("category-0000"),
                consent: Consent::Given,
                limit: 10,
            };
            std::hint::black_box(recommend(&live, &tuning, &query, &mut scratch));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_run_finds_nothing() {
        let mut left = 400;
        let tally = run(3, || {
            left -= 1;
            left >= 0
        });
        assert!(tally.taken > 40 && tally.refused > 40, "{tally:?}");
    }
}
