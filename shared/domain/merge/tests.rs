//! Two carts to one: each strategy by example, and that every unit of both is accounted for whatever they hold.
use proptest::prelude::*;
use ulid::Ulid;

use super::*;
use crate::{ids::CartId, money::Currency, store::SkuLimit};

fn gbp(minor: i64) -> Money {
    Money::new(minor, Currency::parse("GBP").unwrap())
}

fn sku(name: &str) -> Sku {
    Sku::parse(name).unwrap()
}

fn line(name: &str, units: u32) -> CartLine {
    CartLine { sku: sku(name), quantity: Quantity::new(units).unwrap(), price_when_added: gbp(100) }
}

fn cart(lines: &[CartLine]) -> Cart {
    let mut cart = Cart::new(CartId::new(Ulid::from_parts(1, 1)), gbp(0).currency());
    cart.lines = lines.to_vec();
    cart
}

/// Lines only, as most tests are about.
fn merge(
    guest: &[CartLine],
    cart: &mut Cart,
    strategy: MergeStrategy,
    for_sale: &BTreeMap<Sku, ForSale>,
    limits: &QuantityLimits,
) -> Vec<MergedLine> {
    super::merge(&self::cart(guest), cart, strategy, for_sale, limits).lines
}

/// All of these for one pound each; `X` is sold out.
fn shelf(names: &[&str]) -> BTreeMap<Sku, ForSale> {
    names.iter().map(|it| (sku(it), ForSale { price: gbp(100), sold_out: *it == "X" })).collect()
}

fn told(report: &[MergedLine]) -> Vec<(String, u32, u32, u32, &'static str)> {
    let line = |it: &MergedLine| {
        (it.sku.to_string(), it.guest, it.customer, it.result, it.reason.map_or("", MergeReason::name))
    };
    report.iter().map(line).collect()
}

#[test]
fn each_strategy_does_what_its_name_says() {
    let all = shelf(&["A", "B", "C"]);
    let merged = |strategy| {
        let mut cart = cart(&[line("A", 2), line("B", 1)]);
        let report = merge(&[line("B", 3), line("C", 4)], &mut cart, strategy, &all, &QuantityLimits::default());
        told(&report).into_iter().map(|it| (it.3, it.4)).collect::<Vec<_>>()
    };
    assert_eq!(merged(MergeStrategy::Sum), [(2, ""), (4, ""), (4, "")]);
    assert_eq!(merged(MergeStrategy::Max), [(2, ""), (3, ""), (4, "")]);
    assert_eq!(merged(MergeStrategy::KeepCustomer), [(2, ""), (1, "not_kept"), (0, "not_kept")]);
    assert_eq!(merged(MergeStrategy::KeepGuest), [(0, "not_kept"), (3, "not_kept"), (4, "")]);
}

#[test]
fn an_empty_cart_is_never_what_is_kept() {
    let all = shelf(&["A"]);
    let limits = QuantityLimits::default();
    let mut none = cart(&[]);
    merge(&[line("A", 2)], &mut none, MergeStrategy::KeepCustomer, &all, &limits);
    assert_eq!(none.lines, [line("A", 2)]);
    let mut some = cart(&[line("A", 2)]);
    merge(&[], &mut some, MergeStrategy::KeepGuest, &all, &limits);
    assert_eq!(some.lines, [line("A", 2)]);
}

#[test]
fn what_is_capped_or_left_behind_is_told() {
    let limits = QuantityLimits {
        per_cart: Some(12),
        skus: vec![SkuLimit { sku: sku("A"), min: 1, max: 5, per_customer: None }],
        ..QuantityLimits::default()
    };
    let mut mine = cart(&[line("A", 4), line("OLD", 2)]);
    let guest = [line("A", 4), line("GONE", 1), line("X", 2), line("B", 9)];
    let report = merge(&guest, &mut mine, MergeStrategy::Sum, &shelf(&["A", "B", "X"]), &limits);
    let row = |name: &str, guest, customer, result, reason| (name.to_owned(), guest, customer, result, reason);
    assert_eq!(
        told(&report),
        [
            row("A", 4, 4, 5, "capped"),
            // The customer's own is left as it was, whatever is wrong with it.
            row("OLD", 0, 2, 2, ""),
            row("GONE", 1, 0, 0, "archived"),
            row("X", 2, 0, 2, "sold_out"),
            row("B", 9, 0, 3, "capped"),
        ]
    );
}

#[test]
fn another_currency_is_priced_anew_or_left_behind() {
    let eur = Currency::parse("EUR").unwrap();
    let mut foreign = line("A", 1);
    foreign.price_when_added = Money::new(90, eur);
    let mut mine = cart(&[]);
    let limits = QuantityLimits::default();
    let report = merge(std::slice::from_ref(&foreign), &mut mine, MergeStrategy::Sum, &shelf(&["A"]), &limits);
    assert_eq!((report[0].result, report[0].reason), (1, Some(MergeReason::Currency)));
    assert_eq!(mine.lines[0].price_when_added, gbp(100));

    let in_euro = BTreeMap::from([(sku("A"), ForSale { price: Money::new(90, eur), sold_out: false })]);
    let mut mine = cart(&[]);
    let report = merge(&[foreign], &mut mine, MergeStrategy::Sum, &in_euro, &limits);
    assert_eq!((report[0].result, report[0].reason), (0, Some(MergeReason::Currency)));
    assert!(mine.lines.is_empty());
}

#[test]
fn codes_of_both_are_kept_as_far_as_they_may() {
    let code = |n: usize| CouponCode::parse(&format!("code-{n}")).unwrap();
    let merged = |own: &[usize], guest: &[usize], strategy| {
        let (mut theirs, mut mine) = (cart(&[line("A", 1)]), cart(&[line("B", 1)]));
        theirs.codes = guest.iter().map(|it| code(*it)).collect();
        mine.codes = own.iter().map(|it| code(*it)).collect();
        let report = super::merge(&theirs, &mut mine, strategy, &shelf(&["A", "B"]), &QuantityLimits::default());
        let kept: Vec<_> = report.codes.iter().filter(|it| it.kept).map(|it| it.code.clone()).collect();
        assert_eq!(kept.len(), mine.codes.len());
        (kept.len(), report.codes.len())
    };
    assert_eq!(merged(&[1, 2], &[2, 3], MergeStrategy::Sum), (3, 3));
    assert_eq!(merged(&[1, 2], &[2, 3], MergeStrategy::KeepCustomer), (2, 3));
    assert_eq!(merged(&[1, 2], &[2, 3], MergeStrategy::KeepGuest), (2, 3));
    let many: Vec<usize> = (0..CODES_MAX).collect();
    assert_eq!(merged(&many, &[99], MergeStrategy::Sum), (CODES_MAX, CODES_MAX + 1));
}

#[test]
fn a_full_cart_takes_no_other_line() {
    let many: Vec<CartLine> = (0..LINES_MAX).map(|n| line(&format!("S{n}"), 1)).collect();
    let mut full = cart(&many);
    let report = merge(
        &[line("A", 1), line("S1", 1)],
        &mut full,
        MergeStrategy::Sum,
        &shelf(&["A", "S1"]),
        &QuantityLimits::default(),
    );
    assert_eq!(full.lines.len(), LINES_MAX);
    assert_eq!(full.lines[1].quantity.get(), 2);
    assert_eq!(report.last().unwrap().reason, Some(MergeReason::TooManyLines));
}

#[test]
fn names_are_read_as_they_are_written() {
    assert!(MergeStrategy::ALL.iter().all(|it| MergeStrategy::parse(it.name()) == Some(*it)));
    assert!(MergeReason::ALL.iter().all(|it| MergeReason::parse(it.name()) == Some(*it)));
}

proptest! {
    /// Every unit of both carts is in the cart or in the report with a reason.
    #[test]
    fn every_unit_is_accounted_for(
        guest in proptest::collection::btree_map(0_u8..8, 1_u32..=999, 0..8),
        customer in proptest::collection::btree_map(0_u8..8, 1_u32..=999, 0..8),
        per_sku in 1_u32..=999,
        per_cart in proptest::option::of(1_u32..3000),
        gone in 0_u8..8,
        strategy in proptest::sample::select(MergeStrategy::ALL.to_vec()),
    ) {
        let lines = |it: &std::collections::BTreeMap<u8, u32>| -> Vec<CartLine> {
            it.iter().map(|(name, units)| line(&format!("S{name}"), *units)).collect()
        };
        let names: Vec<String> = (0..8).filter(|it| *it != gone).map(|it| format!("S{it}")).collect();
        let all = shelf(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let limits = QuantityLimits { per_sku, per_cart, skus: Vec::new() };
        let mut mine = cart(&lines(&customer));
        let report = merge(&lines(&guest), &mut mine, strategy, &all, &limits);
        for told in &report {
            let name: u8 = told.sku.as_str()[1..].parse().unwrap();
            prop_assert_eq!(told.guest, guest.get(&name).copied().unwrap_or(0));
            prop_assert_eq!(told.customer, customer.get(&name).copied().unwrap_or(0));
            let have = mine.lines.iter().find(|it| it.sku == told.sku).map_or(0, |it| it.quantity.get());
            prop_assert_eq!(have, told.result);
            let whole = match strategy {
                MergeStrategy::Max => told.guest.max(told.customer),
                _ => told.guest + told.customer,
            };
            prop_assert!(told.result == whole || told.reason.is_some(), "{:?}", told);
            if matches!(strategy, MergeStrategy::Sum | MergeStrategy::Max) {
                prop_assert!(told.result >= told.customer);
                prop_assert!(told.result <= told.customer.max(per_sku));
            }
        }
        let skus: std::collections::BTreeSet<_> = guest.keys().chain(customer.keys()).collect();
        prop_assert_eq!(report.len(), skus.len());
    }
}
