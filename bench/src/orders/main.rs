//! Places orders from an empty cart to the placed order, many at a time, in one process: the shop's own
//! operations on SQLite, and the sandbox provider with its own durable books, over loopback.
//!
//! Prints one JSON object: orders and seconds, how long an order took, store operations per order.
//! What must stay true: nothing is left out that a buyer's HTTP calls would do, but HTTP itself.
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a program for people, with tasks of its own")]
use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bench::{
    buying::{self, Buyer, Taken},
    counted::Counted,
};
use offpeak::shared::{
    adapters::{sqlite::SqliteDocuments, system::SystemClock},
    operations::Shop,
};
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<usize> = std::env::args().skip(1).map(|it| it.parse()).collect::<Result<_, _>>()?;
    let [buyers, orders] = words[..] else { return Err("usage: orders BUYERS ORDERS".into()) };
    let folder = tempfile::tempdir()?;
    let store = SqliteDocuments::open(&folder.path().join("store.db"), Arc::new(SystemClock))?;
    let counted = Arc::new(Counted::new(store));
    let shop = Arc::new(buying::open(counted.clone(), Arc::new(Taken::default()), folder.path()).await?);

    run(&shop, buyers, buyers * 4).await?;
    counted.forget();
    let (took, mut each) = run(&shop, buyers, orders).await?;
    each.sort_unstable();
    let at = |percent: usize| each.get(each.len() * percent / 100).map_or(0, |it| it.as_micros());
    let per_order = |count: u64| count * 1000 / u64::try_from(orders).unwrap_or(1).max(1);
    let (reads, writes, queries) = counted.counts();
    println!(
        "{}",
        json!({
            "ordersPerSecond": u64::try_from(orders)? * 1_000_000 / u64::try_from(took.as_micros())?.max(1),
            "p50Us": at(50),
            "p99Us": at(99),
            "readsPer1000": per_order(reads),
            "writesPer1000": per_order(writes),
            "queriesPer1000": per_order(queries),
        })
    );
    Ok(())
}

/// So many orders, by so many buyers at a time; answers how long all and each of them took.
async fn run(shop: &Arc<Shop>, buyers: usize, orders: usize) -> Result<(Duration, Vec<Duration>), Box<dyn Error>> {
    let next = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    let tasks: Vec<_> = (0..buyers)
        .map(|_| {
            let (shop, next) = (shop.clone(), next.clone());
            tokio::spawn(async move {
                let mut took = Vec::new();
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= orders {
                        return Ok::<_, String>(took);
                    }
                    let start = Instant::now();
                    Box::pin(place(&shop, n)).await?;
                    took.push(start.elapsed());
                }
            })
        })
        .collect();
    let mut each = Vec::with_capacity(orders);
    for task in tasks {
        each.extend(task.await??);
    }
    Ok((start.elapsed(), each))
}

async fn place(shop: &Shop, n: usize) -> Result<(), String> {
    let buyer = Buyer::arrive(shop, n).await?;
    for line in 0..2 {
        buyer.add(shop, line).await?;
    }
    let total = buyer.start(shop).await?;
    buyer.complete(shop, total).await
}
