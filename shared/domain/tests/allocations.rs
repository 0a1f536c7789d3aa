//! The work of pricing does not grow with the shop: with a hundred times as many prices in its lists, the same
//! cart takes exactly as many allocations. Counted by an allocator of this test's own, per thread.
#![expect(clippy::unwrap_used, reason = "a test says by panicking what is wrong")]
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use offpeak_domain::{
    money::{Currency, Money},
    offer::Offer,
    price_list::{PriceList, PriceListId, Tier},
    pricing::{Basket, CustomerFacts, Snapshot, price},
    promotion::{Combines, Effect, Goods, Promotion, PromotionId, Trigger},
    quantity::Quantity,
    sku::Sku,
    store::{Rate, StoreSettings},
    uses::UseLimits,
};
use time::macros::datetime;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

#[expect(unsafe_code, reason = "an allocator is unsafe by its signature; this one only counts and passes on")]
// SAFETY: every call goes to the system's allocator unchanged; the count lives in a thread local without
// a destructor, so counting neither allocates nor touches what was freed.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|it| it.set(it.get() + 1));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn gbp(minor: i64) -> Money {
    Money::new(minor, Currency::parse("GBP").unwrap())
}

fn offer(number: usize) -> Offer {
    Offer {
        product_id: format!("prd_{number}"),
        slug: format!("s{number}"),
        sku: Sku::parse(&format!("S{number}")).unwrap(),
        title: format!("S{number}"),
        variant_title: String::new(),
        price: gbp(1_000),
        tax_class: "standard".to_owned(),
        category: "goods".to_owned(),
    }
}

/// Allocations of pricing ten lines in a shop of this many priced SKUs.
fn allocations(skus: usize) -> usize {
    let settings = StoreSettings::plain(gbp(0).currency());
    let tier = Tier { from_units: 1, price: gbp(900) };
    let lists = [PriceList {
        id: PriceListId::parse("all").unwrap(),
        title: "All".to_owned(),
        currency: gbp(0).currency(),
        groups: Vec::new(),
        from: None,
        until: None,
        priority: 0,
        prices: (0..skus).map(|it| (offer(it).sku, vec![tier])).collect(),
    }];
    // A promotion that names many goods, of which the cart has ten.
    let goods = Goods { skus: (0..skus.min(500)).map(|it| offer(it).sku).collect(), ..Goods::default() };
    let promotions = [Promotion {
        id: PromotionId::parse("off").unwrap(),
        title: "Off".to_owned(),
        trigger: Trigger::Automatic,
        rules: Vec::new(),
        from: None,
        until: None,
        effect: Effect::LinePercent { rate: Rate::new(100_000).unwrap(), goods },
        combines_with: Combines::ALL,
        priority: 0,
        uses: UseLimits::default(),
    }];
    let lines: Vec<_> = (0..10).map(|it| (offer(it), Quantity::new(2).unwrap())).collect();
    let customer = CustomerFacts::default();
    let snapshot = Snapshot { price_lists: &lists, promotions: &promotions, ..Snapshot::of(&settings) };
    let basket = Basket { lines: &lines, codes: &[], customer: &customer, destination: None, method: None };
    let before = COUNT.with(Cell::get);
    let priced = price(&snapshot, &basket, datetime!(2026-11-22 12:00 UTC)).unwrap();
    let after = COUNT.with(Cell::get);
    assert_eq!(priced.totals.total, gbp(10 * 2 * 810));
    after - before
}

#[test]
fn pricing_allocates_the_same_in_a_shop_of_any_size() {
    let small = allocations(50);
    assert!(small > 0);
    assert_eq!(allocations(5_000), small);
}
