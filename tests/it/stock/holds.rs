//! Holds, claims and what orders do to stock, one call after the other.
use offpeak::shared::operations::stock::{self, StockError};
use offpeak_domain::stock::{Allocation, Count, Kind, Part, StockRefusal};

use super::shelf::{Shelf, checkout, place, places};

fn short(available: i64) -> String {
    StockError::from(StockRefusal::Short { available }).to_string()
}

/// What a call was refused with.
fn refused<T: std::fmt::Debug>(done: Result<T, StockError>) -> String {
    done.unwrap_err().to_string()
}

/// Buyer A pays late, B takes the last unit meanwhile. Clocks differ by 2 s either way.
#[tokio::test]
async fn p2_a_slow_payer_keeps_the_unit_to_the_last_second_and_never_sells_it_twice() {
    for (skew_a, skew_b) in [(0, 0), (2, 0), (0, 2), (-2, 0), (0, -2), (-1, 1), (1, -1)] {
        for late in [false, true] {
            let shelf = Shelf::new(&[("main", 1)]).await;
            let (a, b) = (shelf.process(skew_a), shelf.process(skew_b));
            let all = Allocation::default();
            stock::hold(&a, &shelf.sku, checkout(1), 1, 1, shelf.in_minutes(10), &all).await.unwrap();
            // A hold ends with its minute, and counts while any clock may be before that: at 9 min 59 s it stands.
            shelf.clock.advance(if late { 10 * 60 + 60 + 4 } else { 10 * 60 - 1 });
            let until = shelf.in_minutes(10);
            let taken = stock::hold(&b, &shelf.sku, checkout(2), 1, 1, until, &all).await;
            if late {
                taken.unwrap();
                stock::claim(&b, &shelf.sku, checkout(2), 1, 1, &all).await.unwrap();
                assert_eq!(refused(stock::claim(&a, &shelf.sku, checkout(1), 1, 1, &all).await), short(0));
            } else {
                assert_eq!(refused(taken), short(0), "{skew_a} {skew_b}");
                stock::claim(&a, &shelf.sku, checkout(1), 1, 1, &all).await.unwrap();
                assert_eq!(refused(stock::claim(&b, &shelf.sku, checkout(2), 1, 1, &all).await), short(0));
            }
            assert_eq!(shelf.sums().await, (1, 1, 0, 0), "{skew_a} {skew_b} {late}");
            shelf.check().await;
        }
    }
}

/// The exact second: the hold is for 10 minutes from a full minute on.
#[tokio::test]
async fn p2_at_ten_minutes_and_the_skew_another_may_take_the_unit() {
    let shelf = Shelf::new(&[("main", 1)]).await;
    let ports = shelf.process(0);
    let all = Allocation::default();
    stock::hold(&ports, &shelf.sku, checkout(1), 1, 1, shelf.in_minutes(10), &all).await.unwrap();
    shelf.clock.advance(10 * 60 + 2);
    let until = shelf.in_minutes(10);
    assert_eq!(refused(stock::hold(&ports, &shelf.sku, checkout(2), 1, 1, until, &all).await), short(0));
    shelf.clock.advance(1);
    stock::hold(&ports, &shelf.sku, checkout(2), 1, 1, until, &all).await.unwrap();
    stock::claim(&ports, &shelf.sku, checkout(2), 1, 1, &all).await.unwrap();
    assert_eq!(refused(stock::claim(&ports, &shelf.sku, checkout(1), 1, 1, &all).await), short(0));
    shelf.check().await;
}

#[tokio::test]
async fn an_order_is_split_over_as_few_places_as_can_serve_it_and_each_part_goes_its_way() {
    let shelf = Shelf::new(&[("near", 2), ("far", 5), ("shop", 3)]).await;
    let (ports, sku) = (shelf.process(0), &shelf.sku);
    let all = places(&["near", "far", "shop"]);
    let part = |name: &str, units| Part { location: place(name), units };
    stock::hold(&ports, sku, checkout(1), 6, 1, shelf.in_minutes(10), &all).await.unwrap();
    let parts = stock::claim(&ports, sku, checkout(1), 6, 1, &all).await.unwrap();
    assert_eq!(parts, [part("near", 2), part("far", 4)]);
    assert_eq!(stock::claim(&ports, sku, checkout(1), 6, 1, &all).await.unwrap(), parts);
    let only = places(&["shop"]);
    assert_eq!(refused(stock::hold(&ports, sku, checkout(2), 4, 1, shelf.in_minutes(10), &only).await), short(3));

    let order = checkout(1).order();
    for _ in 0..3 {
        stock::ship(&ports, sku, order, "parcel-1", &[part("near", 2), part("far", 1)]).await.unwrap();
        stock::give_back(&ports, sku, order, "cancel-1", &[part("far", 3)]).await.unwrap();
        stock::restock(&ports, sku, "return-1", &place("shop"), 2, "order").await.unwrap();
    }
    assert_eq!(shelf.sums().await, (9, 0, 0, 9));
    let more = stock::ship(&ports, sku, order, "parcel-2", &[part("far", 1)]).await;
    assert_eq!(refused(more), "only 0 units are promised to orders at far");
    shelf.check().await;

    let (page, next) = stock::movements(&ports, sku, 2, None).await.unwrap();
    assert_eq!(page.iter().map(|it| it.kind).collect::<Vec<_>>(), [Kind::Restock, Kind::GiveBack]);
    let (page, next) = stock::movements(&ports, sku, 50, next).await.unwrap();
    assert_eq!(page.iter().map(|it| it.kind).take(2).collect::<Vec<_>>(), [Kind::Ship, Kind::Allocate]);
    assert_eq!((page.len(), next), (5, None));
}

#[tokio::test]
async fn safety_stays_on_the_shelf_and_a_backorder_goes_to_its_limit() {
    let shelf = Shelf::new(&[("main", 5)]).await;
    let (ports, sku) = (shelf.process(0), &shelf.sku);
    let all = Allocation::default();
    let hold = async |n, units| stock::hold(&ports, sku, checkout(n), units, 1, shelf.in_minutes(10), &all).await;
    shelf.count("main", Count { safety: Some(4), ..Count::default() }).await;
    assert_eq!(refused(hold(1, 2).await), short(1));
    shelf.count("main", Count { backorder_limit: Some(Some(9)), ..Count::default() }).await;
    hold(1, 10).await.unwrap();
    assert_eq!(refused(hold(2, 1).await), short(0));
    shelf.count("main", Count { backorder_limit: Some(None), ..Count::default() }).await;
    hold(2, 999).await.unwrap();
    stock::claim(&ports, sku, checkout(2), 999, 1, &all).await.unwrap();
    assert_eq!(shelf.levels().await.allocated(), 999);
}

#[tokio::test]
async fn what_is_lost_after_payment_is_refused_or_promised_all_the_same() {
    let shelf = Shelf::new(&[("main", 1)]).await;
    let (ports, sku) = (shelf.process(0), &shelf.sku);
    let all = Allocation::default();
    stock::hold(&ports, sku, checkout(1), 1, 1, shelf.in_minutes(10), &all).await.unwrap();
    shelf.clock.advance(3_600);
    stock::hold(&ports, sku, checkout(2), 1, 1, shelf.in_minutes(10), &all).await.unwrap();
    assert_eq!(refused(stock::claim(&ports, sku, checkout(1), 1, 1, &all).await), short(0));
    let parts = stock::claim(&ports, sku, checkout(1), 1, 1, &all.clone().beyond_limits()).await.unwrap();
    assert_eq!(parts, [Part { location: place("main"), units: 1 }]);
    stock::claim(&ports, sku, checkout(2), 1, 1, &all).await.unwrap();
    assert_eq!(shelf.sums().await, (1, 2, 0, 0));
    let unknown = offpeak_domain::sku::Sku::parse("NEVER-COUNTED").unwrap();
    let until = shelf.in_minutes(10);
    assert_eq!(refused(stock::hold(&ports, &unknown, checkout(1), 1, 1, until, &all).await), short(0));
}

#[tokio::test]
async fn a_run_that_was_overtaken_neither_releases_nor_claims() {
    let shelf = Shelf::new(&[("main", 3)]).await;
    let (ports, sku) = (shelf.process(0), &shelf.sku);
    let all = Allocation::default();
    stock::hold(&ports, sku, checkout(1), 1, 1, shelf.in_minutes(10), &all).await.unwrap();
    stock::hold(&ports, sku, checkout(1), 2, 2, shelf.in_minutes(10), &all).await.unwrap();
    let superseded = "a later run of this checkout owns the hold";
    assert_eq!(refused(stock::release(&ports, sku, checkout(1), 1).await), superseded);
    assert_eq!(refused(stock::claim(&ports, sku, checkout(1), 1, 1, &all).await), superseded);
    assert_eq!(shelf.sums().await, (3, 0, 2, 1));
    stock::release(&ports, sku, checkout(1), 2).await.unwrap();
    stock::release(&ports, sku, checkout(1), 2).await.unwrap();
    stock::release(&ports, sku, checkout(9), 1).await.unwrap();
    assert_eq!(shelf.sums().await, (3, 0, 0, 3));
    shelf.check().await;
}
