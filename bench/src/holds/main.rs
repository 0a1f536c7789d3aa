//! Holds one SKU, many buyers at a time, in one process on SQLite: with the buyers' requests written together,
//! and with each written by itself.
//!
//! Prints one JSON object. What must stay true: both ways do the same, each hold is durable before it is
//! answered, and afterwards exactly what was held is held.
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a program for people, with tasks of its own")]
use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bench::counted::Counted;
use offpeak::shared::{
    adapters::{memory_cache::MemoryCache, sqlite::SqliteDocuments, system::SystemClock},
    operations::stock::{self, Expected},
    ports::{Ports, clock::Clock as _},
};
use offpeak_domain::{ids::CheckoutId, sku::Sku, stock::Allocation};
use serde_json::{Value, json};

const ON_HAND: i64 = 1_000_000;
const PATIENCE: Duration = Duration::from_secs(600);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<usize> = std::env::args().skip(1).map(|it| it.parse()).collect::<Result<_, _>>()?;
    let [buyers, holds] = words[..] else { return Err("usage: holds BUYERS HOLDS".into()) };
    let together = measured(true, buyers, holds).await?;
    let alone = measured(false, buyers, holds).await?;
    println!("{}", json!({ "together": together, "alone": alone }));
    Ok(())
}

async fn measured(combine: bool, buyers: usize, holds: usize) -> Result<Value, Box<dyn Error>> {
    stock::combine(combine);
    let folder = tempfile::tempdir()?;
    let clock = Arc::new(SystemClock);
    let counted = Arc::new(Counted::new(SqliteDocuments::open(&folder.path().join("store.db"), clock.clone())?));
    let cache = Arc::new(MemoryCache::new(clock.clone()));
    let ports = Arc::new(bench::alone::ports(counted.clone(), cache, clock.clone())?);
    let sku = Sku::parse("HOT")?;
    stock::set_on_hand(&ports, &sku, ON_HAND, Expected::Any, "bench").await?;
    run(&ports, &sku, buyers, buyers * 4).await?;
    counted.forget();
    let took = run(&ports, &sku, buyers, holds).await?;
    let (reads, writes, _) = counted.counts();
    let held = stock::level(&ports, &sku).await?.map_or(0, |seen| seen.value.live_holds(clock.now()));
    if held != i64::try_from(holds + buyers * 4)? {
        return Err(format!("{held} units are held after {holds} holds").into());
    }
    let of_1000 = |count: u64| count * 1000 / u64::try_from(holds).unwrap_or(1).max(1);
    Ok(json!({
        "holdsPerSecond": u64::try_from(holds)? * 1_000_000 / u64::try_from(took.as_micros())?.max(1),
        "readsPer1000": of_1000(reads),
        "batchesPer1000": of_1000(writes),
    }))
}

/// So many holds of one unit, by so many buyers at a time.
async fn run(ports: &Arc<Ports>, sku: &Sku, buyers: usize, holds: usize) -> Result<Duration, Box<dyn Error>> {
    let next = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    let until = ports.clock.now() + PATIENCE;
    let tasks: Vec<_> = (0..buyers)
        .map(|_| {
            let (ports, sku, next) = (ports.clone(), sku.clone(), next.clone());
            tokio::spawn(async move {
                while next.fetch_add(1, Ordering::Relaxed) < holds {
                    let checkout = CheckoutId::new(ports.ids.ulid());
                    let held = stock::hold(&ports, &sku, checkout, 1, 1, until, &Allocation::default()).await;
                    held.map_err(|err| err.to_string())?;
                }
                Ok::<_, String>(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(start.elapsed())
}
