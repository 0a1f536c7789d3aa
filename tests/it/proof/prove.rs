//! Runs a scenario for many seeds, and says how to run the one that failed again.
//!
//! `cargo xtask prove` sets the seeds; without it a test takes the first ones.
use std::{
    collections::BTreeMap,
    panic::{self, AssertUnwindSafe},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

/// `FROM..TO`, as `cargo xtask prove` sets it.
const SEEDS: &str = "OFFPEAK_PROVE_SEEDS";
/// Failures shown; the first is enough to begin with.
const SHOWN_MAX: usize = 5;

/// A seed that came out right, and what there is to say about it.
#[derive(Debug)]
pub(super) struct Proved {
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

/// What the scenario came to; a panic is a failure too.
fn outcome(run: impl Fn(u64) -> Result<Proved, String>, seed: u64) -> Result<Proved, String> {
    panic::catch_unwind(AssertUnwindSafe(|| run(seed))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        Err(text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned())
    })
}

/// Runs each seed, two at a time, says in a line what it came to, and panics if any failed.
pub(super) fn each_seed(scenario: &str, few: u64, run: impl Fn(u64) -> Result<Proved, String> + Sync) {
    let seeds = seeds(few);
    let next = AtomicU64::new(seeds.start);
    let failed = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= seeds.end {
                        return;
                    }
                    let replay = format!("cargo xtask prove --scenario {scenario} --seed {seed}");
                    match outcome(&run, seed) {
                        Ok(proved) => println!("{scenario} seed {seed}: {}", proved.told),
                        Err(err) => {
                            let line = format!("{scenario} seed {seed} failed: {}", err.replace('\n', " "));
                            println!("{line}; replay: {replay}");
                            failed.lock().unwrap().insert(seed, format!("{err}\n    replay: {replay}"));
                        }
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    let lines: Vec<_> = failed.values().take(SHOWN_MAX).cloned().collect();
    let count = seeds.end - seeds.start;
    assert!(failed.is_empty(), "{} of {count} seeds of {scenario} failed:\n{}", failed.len(), lines.join("\n"));
}

#[test]
fn a_seed_that_fails_says_how_to_run_it_again_and_stops_no_other() {
    let ran = AtomicU64::new(0);
    let run = |seed| {
        ran.fetch_add(1, Ordering::SeqCst);
        assert_ne!(seed % 7, 3, "a panic");
        if seed % 7 == 5 { Err("oversold".to_owned()) } else { Ok(Proved { told: String::new(), trace: Vec::new() }) }
    };
    let panic = panic::catch_unwind(|| each_seed("nothing", 7, run)).unwrap_err();
    let told = panic.downcast_ref::<String>().unwrap();
    assert!(told.starts_with("2 of 7 seeds of nothing failed:"), "{told}");
    for part in ["a panic", "--scenario nothing --seed 3", "oversold", "--scenario nothing --seed 5"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(ran.into_inner(), 7);
}
