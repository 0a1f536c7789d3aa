//! Crash enumeration: one scenario, one thing that happens at its effect number n, for every n; then whoever
//! asked asks again, or nobody does, and everything comes to rest.
use std::sync::{Arc, Mutex};

use futures_util::future::LocalBoxFuture;

use super::{
    broker::Manners,
    buyer::Buyer,
    faults::{FATES, Fate, Faults},
    machine::Process,
    planted::Planted,
    rest::at_rest,
    rooms::Answer,
    time::{in_virtual_time, pass},
    world::{Goods, World},
};

/// Threads that share the cases.
const THREADS: usize = 2;
/// Failures shown.
const SHOWN_MAX: usize = 8;
/// How often one asks again.
const TRIES_MAX: u32 = 40;

/// What is enumerated. Everything before it is done by a process to which nothing happens.
pub(super) trait Scenario: Sync {
    fn name(&self) -> String;

    fn goods(&self) -> Vec<Goods<'static>> {
        vec![("BELL", "5.00", 5), ("KITE", "7.50", 5)]
    }

    /// What may become of each effect.
    fn fates(&self) -> &'static [Fate] {
        &FATES
    }

    /// What is there before.
    fn set<'a>(&'a self, world: &'a Arc<World>) -> LocalBoxFuture<'a, Buyer>;

    /// One call; `None` if the process ended first. It is repeated with the same key until it is final.
    fn call<'a>(
        &'a self,
        world: &'a Arc<World>,
        process: &'a Process,
        buyer: &'a Buyer,
    ) -> LocalBoxFuture<'a, Option<Answer>>;

    /// What must be so in the end; `again`: whoever asked has asked until they got an answer.
    fn check<'a>(
        &'a self,
        world: &'a Arc<World>,
        buyer: &'a Buyer,
        again: bool,
    ) -> LocalBoxFuture<'a, Result<(), String>>;
}

/// Calls until the answer is final.
async fn insist(
    scenario: &dyn Scenario,
    world: &Arc<World>,
    process: &Process,
    buyer: &Buyer,
) -> Option<Result<Answer, String>> {
    let mut last = String::new();
    for _ in 0..TRIES_MAX {
        let answer = scenario.call(world, process, buyer).await?;
        if answer.is_final() {
            return Some(Ok(answer));
        }
        last = format!("{} {}", answer.status, answer.code());
        pass(u64::from(answer.retry_after_s.unwrap_or(5)).clamp(1, 120)).await;
    }
    Some(Err(format!("no final answer, the last was {last}")))
}

/// The effects of a scenario to which nothing happens, as their log tells them.
fn effects_of(scenario: &dyn Scenario) -> Vec<String> {
    in_virtual_time(async {
        let world = World::new(1, Planted::Nothing, Manners::GOOD, &scenario.goods()).await;
        let buyer = scenario.set(&world).await;
        let process = world.process(Faults::calm());
        insist(scenario, &world, &process, &buyer).await.unwrap().unwrap();
        let log = process.faults.log();
        world.settle().await;
        let done = scenario.check(&world, &buyer, true).await.and(at_rest(&world).await);
        done.unwrap_or_else(|err| panic!("{} undisturbed: {err}", scenario.name()));
        log
    })
}

async fn case(scenario: &dyn Scenario, planted: Planted, (at, fate): (u32, Fate), again: bool) -> Result<(), String> {
    let world = World::new(u64::from(at), planted, Manners::GOOD, &scenario.goods()).await;
    let buyer = scenario.set(&world).await;
    let process = world.process(Faults::at(at, fate));
    let answered = match insist(scenario, &world, &process, &buyer).await {
        Some(done) => {
            done?;
            true
        }
        None => false,
    };
    if !answered {
        pass(11).await;
    }
    if again {
        insist(scenario, &world, &world.calm(), &buyer).await.unwrap()?;
    }
    world.settle().await;
    scenario.check(&world, &buyer, again || answered).await?;
    at_rest(&world).await
}

/// Every effect, every fate; after each even one the caller asks again, after each odd one nobody does, and
/// after a crash both are tried.
pub(super) fn enumerate(scenarios: &[&dyn Scenario], planted: Planted) -> (usize, Vec<String>) {
    let mut cases = Vec::new();
    for scenario in scenarios {
        let effects = effects_of(*scenario);
        assert!(effects.len() > 2, "{}: {effects:?}", scenario.name());
        for (at, effect) in (0..).zip(effects) {
            for fate in scenario.fates().iter().copied() {
                let is_crash = matches!(fate, Fate::CrashBefore | Fate::CrashAfter);
                for again in [true, false].into_iter().filter(|it| is_crash || *it == (at % 2 == 0)) {
                    cases.push((*scenario, at, effect.clone(), fate, again));
                }
            }
        }
    }
    let (count, next, failed) = (cases.len(), Mutex::new(cases.into_iter()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let Some((scenario, at, effect, fate, again)) = next.lock().unwrap().next() else { return };
                    let done = in_virtual_time(Box::pin(case(scenario, planted, (at, fate), again)));
                    if let Err(err) = done {
                        let then = if again { "then asked again" } else { "then nobody asks" };
                        let name = format!("{}, {fate:?} at effect {effect}, {then}", scenario.name());
                        failed.lock().unwrap().push(format!("{name}\n    {err}"));
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap();
    failed.sort();
    (count, failed)
}

/// All is well, in at least so many cases: an enumeration that has become empty proves nothing.
pub(super) fn hold(scenarios: &[&dyn Scenario], at_least: usize) {
    let (count, failed) = enumerate(scenarios, Planted::Nothing);
    let shown = failed.iter().take(SHOWN_MAX).cloned().collect::<Vec<_>>().join("\n");
    assert!(failed.is_empty(), "{} of {count} cases failed:\n{shown}", failed.len());
    assert!(count >= at_least, "only {count} cases ran");
    println!("{count} cases hold");
}
