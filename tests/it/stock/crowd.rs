//! Many buyers of one SKU at once: they share batches, and what befalls one harms no other.
use std::{future::poll_fn, pin::Pin, sync::atomic::Ordering, task::Poll};

use futures_util::{StreamExt as _, future::join_all, stream};
use offpeak::shared::{
    operations::stock::{self, StockError},
    ports::{Ports, documents::StoreError},
};
use offpeak_domain::stock::{Allocation, StockRefusal};

use super::shelf::{Faults, Shelf, checkout, places};

/// Lets it go on until it waits.
async fn once<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}

#[tokio::test]
async fn buyers_who_come_together_share_a_batch() {
    let shelf = Shelf::new(&[("main", 100)]).await;
    let ports = shelf.process(0);
    let all = Allocation::default();
    let buy = async |n| stock::hold(&ports, &shelf.sku, checkout(n), 1, 1, shelf.in_minutes(10), &all).await;
    for done in join_all((0..64).map(buy)).await {
        done.unwrap();
    }
    assert_eq!(shelf.store.batches.load(Ordering::SeqCst), 2, "the first alone, then everyone who came meanwhile");
    assert_eq!(shelf.store.reads.load(Ordering::SeqCst), 2, "a new hold reads no record");
    assert_eq!(shelf.sums().await, (100, 0, 64, 36));
    shelf.forget();
    let claim = async |n| stock::claim(&ports, &shelf.sku, checkout(n), 1, 1, &all).await;
    for done in join_all((0..64).map(claim)).await {
        assert_eq!(done.unwrap().len(), 1);
    }
    assert_eq!(shelf.store.batches.load(Ordering::SeqCst), 3, "two documents each, so 63 need two batches");
    assert_eq!(shelf.sums().await, (100, 64, 0, 36));
    shelf.check().await;
}

#[tokio::test]
async fn one_bad_request_harms_no_other() {
    let shelf = Shelf::new(&[("main", 50)]).await;
    let (ports, all) = (shelf.process(0), Allocation::default());
    let (ports, all, until) = (&ports, &all, shelf.in_minutes(10));
    let hold = |n, units, fence| stock::hold(ports, &shelf.sku, checkout(n), units, fence, until, all);
    hold(7, 1, 5).await.unwrap();
    hold(8, 1, 1).await.unwrap();
    // One that waits for the first batch, one too many, one overtaken, one repeated, one twice in a group.
    let calls = [hold(1, 1, 1), hold(2, 999, 1), hold(7, 1, 1), hold(8, 2, 1), hold(9, 1, 1), hold(9, 1, 1)];
    let done: Vec<_> =
        join_all(calls).await.into_iter().map(|it| it.map(drop).map_err(|err| err.to_string())).collect();
    // What is short is looked at again, after the others: it might have been short of its own units.
    assert_eq!(done[1], Err(StockRefusal::Short { available: 45 }.to_string()));
    assert_eq!(done[2], Err(StockRefusal::Superseded.to_string()));
    assert_eq!([&done[0], &done[3], &done[4], &done[5]], [&Ok(()); 4]);
    assert_eq!(shelf.sums().await, (50, 0, 5, 45));
    shelf.check().await;
}

/// Whoever decides for all is dropped at its first wait, at its second, and so on.
#[tokio::test]
async fn a_buyer_who_goes_away_while_deciding_for_all_is_replaced_by_another() {
    for polls in 1..12 {
        let shelf = Shelf::new(&[("main", 50)]).await;
        let (ports, all) = (shelf.process(0), Allocation::default());
        let (ports, all, until) = (&ports, &all, shelf.in_minutes(10));
        let buy = |n| Box::pin(stock::hold(ports, &shelf.sku, checkout(n), 1, 1, until, all));
        let mut leader = buy(0);
        let mut others = Box::pin(join_all((1..9).map(buy)));
        for _ in 0..polls {
            if once(&mut leader).await.is_ready() {
                break;
            }
            assert!(once(&mut others).await.is_pending());
        }
        drop(leader);
        for done in others.await {
            done.unwrap();
        }
        let held = shelf.sums().await.2;
        assert!([8, 9].contains(&held), "{polls}: {held}");
        shelf.check().await;
    }
}

/// Whoever decides for all stands still for ever: the others go on after a while, each for itself.
#[tokio::test]
async fn a_process_that_stands_still_stops_nobody_for_long() {
    let shelf = Shelf::new(&[("main", 50)]).await;
    let (ports, all) = (shelf.process(0), Allocation::default());
    let (ports, all, until) = (&ports, &all, shelf.in_minutes(10));
    let mut frozen = Box::pin(stock::hold(ports, &shelf.sku, checkout(0), 1, 1, until, all));
    assert!(once(&mut frozen).await.is_pending());
    let buy = |n| stock::hold(ports, &shelf.sku, checkout(n), 1, 1, until, all);
    for done in join_all((1..9).map(buy)).await {
        done.unwrap();
    }
    assert_eq!(shelf.sums().await.2, 8);
    frozen.await.ok();
    shelf.check().await;
}

async fn sells_out(seed: u64, buyers: u128, processes: usize, faults: Faults) {
    let shelf = Shelf::failing(&[("a", 20), ("b", 25), ("c", 5)], faults, seed).await;
    let ports: Vec<Ports> = (0..processes).map(|it| shelf.process(i64::try_from(it % 5).unwrap() - 2)).collect();
    let all = places(&["a", "b", "c"]);
    let buy = |n: u128| {
        let (ports, all, sku) = (&ports[usize::try_from(n).unwrap() % processes], &all, &shelf.sku);
        let until = shelf.in_minutes(10);
        async move {
            let units = i64::try_from(n % 3).unwrap() + 1;
            let mut fence = 0;
            loop {
                fence += 1;
                let done = match stock::hold(ports, sku, checkout(n), units, fence, until, all).await {
                    Ok(_) => stock::claim(ports, sku, checkout(n), units, fence, all).await.map(|_| units),
                    Err(err) => Err(err),
                };
                match done {
                    Ok(units) => return units,
                    Err(StockError::Refused(StockRefusal::Short { available })) => {
                        assert!(available < units, "nobody is refused what is there");
                        return 0;
                    }
                    Err(StockError::Store(StoreError::Unavailable(_))) => {}
                    Err(other) => panic!("{other:?}"),
                }
            }
        }
    };
    let sold: i64 = stream::iter((0..buyers).map(buy)).buffer_unordered(64).collect::<Vec<_>>().await.into_iter().sum();
    assert_eq!(shelf.levels().await.allocated(), sold, "seed {seed}");
    let left = 50 - sold;
    assert!((0..3).contains(&left), "seed {seed}: {left} of 50 left");
    // Whoever was refused more may still have one.
    for n in 0..left {
        let (n, until) = (checkout(buyers + u128::try_from(n).unwrap()), shelf.in_minutes(10));
        let calm = shelf.process(0);
        while stock::hold(&calm, &shelf.sku, n, 1, 1, until, &all).await.is_err() {}
        while stock::claim(&calm, &shelf.sku, n, 1, 1, &all).await.is_err() {}
    }
    assert_eq!(shelf.levels().await.allocated(), 50);
    shelf.check().await;
}

/// 500 buyers, 1 to 3 units each, the last 50 units at three places, several processes on one store.
#[tokio::test]
async fn p1_the_last_units_are_sold_once_and_all_of_them() {
    for seed in 0..6 {
        sells_out(seed, 500, 8, Faults { conflicts: 20, timeouts: 20 }).await;
    }
    sells_out(0, 500, 1, Faults::default()).await;
}

#[tokio::test]
async fn two_thousand_who_pause_on_one_sku_refuse_nobody_and_all_lapse_without_a_job() {
    let shelf = Shelf::new(&[("main", 10_000)]).await;
    let (ports, all) = (shelf.process(0), Allocation::default());
    let (ports, all, until) = (&ports, &all, shelf.in_minutes(10));
    let buy = |n| stock::hold(ports, &shelf.sku, checkout(n), 5, 1, until, all);
    stream::iter((0..2_000).map(buy)).buffer_unordered(200).for_each(async |done| drop(done.unwrap())).await;
    assert_eq!(shelf.sums().await, (10_000, 0, 10_000, 0));
    let late = stock::hold(ports, &shelf.sku, checkout(9_999), 1, 1, until, all).await.unwrap_err();
    assert_eq!(late.to_string(), StockRefusal::Short { available: 0 }.to_string());
    shelf.clock.advance(11 * 60 + 3);
    shelf.forget();
    assert_eq!(shelf.sums().await, (10_000, 0, 0, 10_000));
    assert_eq!(shelf.store.batches.load(Ordering::SeqCst), 0, "nothing was written for it");
    let until = shelf.in_minutes(10);
    stock::hold(ports, &shelf.sku, checkout(9_999), 10_000, 1, until, all).await.unwrap();
    shelf.check().await;
}
