//! Runs a scenario for many seeds, and says how to run the one that failed again.
//!
//! `cargo xtask prove` sets the seeds; without it a test takes the first ones.
use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};

/// `FROM..TO`, as `cargo xtask prove` sets it.
const SEEDS: &str = "OFFPEAK_PROVE_SEEDS";
/// Failures shown; the first is enough to begin with.
const SHOWN_MAX: usize = 5;

/// A seed that came out right, and what there is to say about it.
#[derive(Debug)]
pub(super) struct Proved {
    pub(super) seed: u64,
    pub(super) told: String,
    /// What was asked of the store, where a test wants to compare.
    pub(super) trace: Vec<(std::time::Duration, String)>,
}

/// Which seeds to run: those that were asked for, or the first `few`.
fn seeds(few: u64) -> std::ops::Range<u64> {
    let asked = std::env::var_os(SEEDS).map(|it| it.into_string().unwrap());
    match asked.as_deref().and_then(|it| it.split_once("..")) {
        Some((from, to)) => from.parse().unwrap()..to.parse().unwrap(),
        None => 1..few + 1,
    }
}

/// Runs each seed, two at a time, and panics with the command that replays the first failure.
pub(super) fn each_seed(scenario: &str, few: u64, run: impl Fn(u64) -> Result<Proved, String> + Sync) {
    let seeds = seeds(few);
    let next = AtomicU64::new(seeds.start);
    let failed = Mutex::new(Vec::new());
    let told = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= seeds.end {
                        return;
                    }
                    match run(seed) {
                        Ok(proved) => told.lock().unwrap().push(proved),
                        Err(err) => failed.lock().unwrap().push((seed, err)),
                    }
                }
            });
        }
    });
    let mut told = told.into_inner().unwrap();
    told.sort_by_key(|it| it.seed);
    for proved in &told {
        println!("{scenario} seed {}: {}", proved.seed, proved.told);
    }
    let mut failed = failed.into_inner().unwrap();
    failed.sort();
    let lines: Vec<_> = failed
        .iter()
        .take(SHOWN_MAX)
        .map(|(seed, err)| format!("{err}\n    replay: cargo xtask prove --scenario {scenario} --seed {seed}"))
        .collect();
    let count = seeds.end - seeds.start;
    assert!(failed.is_empty(), "{} of {count} seeds of {scenario} failed:\n{}", failed.len(), lines.join("\n"));
    assert_eq!(told.len() as u64, count);
}
