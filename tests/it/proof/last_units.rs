//! P1: many want the last units of one SKU, on many machines whose store and provider misbehave and which are
//! killed; not one unit is sold twice, nobody is refused while there is enough, and in the end all are sold.
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use offpeak::shared::ports::documents::Container;
use serde_json::Value;
use tokio::{sync::watch, time::Instant};

use super::{
    broker::Manners,
    buyer::Buyer,
    chance::Chance,
    faults::Rates,
    planted::Planted,
    prove::{Proved, each_seed},
    rest::at_rest,
    rooms::Answer,
    time::{in_virtual_time, pass},
    world::{Fleet, World, places},
};

const SKU: &str = "LAST-1";
const UNITS: i64 = 50;
/// Where they are.
const LOCATIONS: [(&str, i64); 3] = [("main", 20), ("north", 20), ("south", 10)];
const BUYERS: usize = 500;
const INSTANCES: usize = 8;
/// Calls in a thousand whose process is killed while it works on them, with all else it works on.
const KILLED: u32 = 20;
/// Effects in a thousand that are refused or unanswered: 50 in all.
const RATES: Rates = Rates {
    conflict: 20,
    lost_before: 15,
    lost_after: 15,
    stale: 50,
    stalled: 1,
    delay: Duration::from_millis(8),
    stall: Duration::from_millis(1_500),
};

/// What one seed came to.
#[derive(Debug, Default)]
struct Tally {
    placed: BTreeMap<usize, u32>,
    /// Who was refused, wanting how many.
    refused: BTreeMap<usize, u32>,
    wrongly: Vec<String>,
    undecided: Vec<usize>,
}

struct Sale {
    world: Arc<World>,
    fleet: Fleet,
    chance: Chance,
    tally: Mutex<Tally>,
}

impl Sale {
    /// Calls with one key until the answer is final; some buyers leave when no answer comes.
    async fn buy(&self, number: usize, buyer: &Buyer, (key, units): (&str, u32), patient: bool) {
        tokio::time::sleep(Duration::from_millis(self.chance.below(3_000))).await;
        // A refusal may have been decided in any call with this key, and is kept from then on.
        let since = Instant::now();
        for _ in 0..60 {
            let process = self.fleet.any();
            if self.chance.in_1000(KILLED) {
                process.faults.end_after(u32::try_from(self.chance.below(20)).unwrap());
            }
            let answer = buyer.complete(&process, key, "approve").await;
            match answer {
                Some(answer) if answer.is_final() => return self.note((number, units), since, &answer),
                Some(answer) => {
                    let wait = u64::from(answer.retry_after_s.unwrap_or(1)) * 1_000;
                    tokio::time::sleep(Duration::from_millis(wait + self.chance.below(500))).await;
                }
                None if !patient && self.chance.in_1000(300) => break,
                None => tokio::time::sleep(Duration::from_millis(500 + self.chance.below(3_000))).await,
            }
        }
        self.tally.lock().unwrap().undecided.push(number);
    }

    fn note(&self, (number, units): (usize, u32), since: Instant, answer: &Answer) {
        let mut tally = self.tally.lock().unwrap();
        match (answer.status, answer.code().as_str()) {
            (200, _) => {
                tally.placed.insert(number, units);
            }
            (409, "out_of_stock") => {
                tally.refused.insert(number, units);
                let least = self.world.store.least_free(SKU, since);
                if least >= i64::from(units) {
                    tally.wrongly.push(format!("buyer {number} wanted {units}, and {least} were free all the time"));
                }
            }
            other => tally.wrongly.push(format!("buyer {number} got {other:?}: {}", answer.json())),
        }
    }
}

/// Units of placed orders, from the orders themselves.
async fn sold(world: &World) -> i64 {
    let placed = |order: &&Value| order["type"] == "order" && order["lifecycle"] == "placed";
    let purchases = world.store.everything(Container::Purchases).await;
    let lines = purchases.values().filter(placed).flat_map(|it| it["priced"]["lines"].as_array().unwrap());
    lines.map(|line| line["quantity"].as_i64().unwrap()).sum()
}

async fn last_units(seed: u64, planted: Planted) -> Result<Proved, String> {
    let world = World::new(seed, planted, Manners::BAD, &[(SKU, "5.00", 0)]).await;
    places(&world, SKU, &LOCATIONS).await;
    let chance = Chance::stream(seed, "sale");
    let mut buyers = Vec::with_capacity(BUYERS);
    for _ in 0..BUYERS {
        let units = u32::try_from(1 + chance.below(3)).unwrap();
        buyers.push((units, Buyer::at_checkout(&world, &[(SKU, units)]).await));
    }
    world.store.watch_stock();
    // What the buyers have written by now, everyone can read.
    pass(10).await;
    let fleet = Fleet::new(&world, INSTANCES, Some(RATES));
    let sale = Sale { world: Arc::clone(&world), fleet, chance, tally: Mutex::default() };

    rush(&sale, async {
        let mut running: FuturesUnordered<_> =
            buyers.iter().enumerate().map(|(n, (units, it))| sale.buy(n, it, ("first", *units), false)).collect();
        while running.next().await.is_some() {}
        // Whoever was killed leaves holds and leases behind; they lapse.
        pass(20 * 60).await;
    })
    .await;
    let first = sold(&world).await;
    world.settle().await;

    // Everyone who has nothing tries again with one unit, until none is left.
    let had = std::mem::take(&mut *sale.tally.lock().unwrap());
    let calm = world.calm();
    for (number, (_, buyer)) in buyers.iter_mut().enumerate() {
        if had.refused.contains_key(&number) {
            buyer.line(&calm, SKU, 1).await;
            buyer.start(&calm, "ada@example.org").await;
        }
    }
    pass(10).await;
    rush(&sale, async {
        let again = buyers.iter().enumerate().filter(|(number, _)| had.refused.contains_key(number));
        let mut running: FuturesUnordered<_> =
            again.map(|(number, (_, it))| sale.buy(number, it, ("again", 1), true)).collect();
        while running.next().await.is_some() {}
        pass(20 * 60).await;
    })
    .await;
    world.settle().await;
    let more = sale.tally.into_inner().unwrap();
    let sold = sold(&world).await;
    let verified = at_rest(&world).await;
    judge(&had, &more, (first, sold))?;
    verified?;
    let started = sale.fleet.started();
    let answered: u32 = had.placed.values().chain(more.placed.values()).sum();
    let (trace, course) = (world.store.trace(), world.store.course());
    Ok(Proved {
        trace,
        told: format!(
            "{sold} sold, {answered} to buyers who heard so, {started} processes started, course {course:016x}"
        ),
    })
}

/// Does this while broker and timers go on.
async fn rush(sale: &Sale, work: impl Future<Output = ()>) {
    let (stop, stopped) = watch::channel(false);
    tokio::join!(sale.fleet.serve(stopped), async {
        work.await;
        stop.send_replace(true);
    });
}

fn judge(had: &Tally, more: &Tally, (first, sold): (i64, i64)) -> Result<(), String> {
    if first > UNITS || sold > UNITS {
        return Err(format!("oversold: {first}, then {sold} of {UNITS}"));
    }
    if let Some(wrong) = had.wrongly.iter().chain(&more.wrongly).next() {
        return Err(wrong.clone());
    }
    if !more.undecided.is_empty() {
        return Err(format!("no final answer for {:?}", more.undecided));
    }
    // Those who gave up waiting may hold an order that they do not know of.
    if sold != UNITS {
        return Err(format!("{sold} of {UNITS} were sold in the end, {first} of them at first"));
    }
    Ok(())
}

#[test]
fn p1_the_last_units_are_sold_once_and_all_of_them() {
    each_seed("last-units", 20, |seed| in_virtual_time(last_units(seed, Planted::Nothing)));
}

#[test]
fn p1_writes_that_ignore_versions_oversell_and_are_noticed() {
    let faults: Vec<_> =
        (1..4).filter_map(|seed| in_virtual_time(last_units(seed, Planted::IgnoresVersions)).err()).collect();
    assert!(faults.iter().any(|it| it.contains("oversold")), "{faults:?}");
}

#[test]
fn a_seed_decides_the_whole_run() {
    let run = |seed| in_virtual_time(last_units(seed, Planted::Nothing)).unwrap().trace;
    let (one, two) = (run(3), run(3));
    let differs = one.iter().zip(&two).position(|(one, two)| one != two);
    assert_eq!(differs, None, "{:?}", differs.map(|at| (&one[at], &two[at])));
    assert_eq!(one.len(), two.len());
    assert_ne!(one, run(4), "another seed runs another way");
}
