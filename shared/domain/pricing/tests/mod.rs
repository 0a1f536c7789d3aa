//! What the promises about prices say, each test named after its promise.
mod exact;
mod p10_rounding;
mod p13_stacking;
mod p18_refunds;
mod promotions;
mod random;

use std::collections::BTreeSet;

use time::macros::datetime;

use super::*;
use crate::{
    promotion::{Combines, Effect, Goods, Rule, Trigger},
    rounding::{RoundingLevel, RoundingMode},
    store::{TaxRule, Zone},
    uses::UseLimits,
};

const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);

fn gbp(minor: i64) -> Money {
    Money::new(minor, Currency::parse("GBP").unwrap())
}

fn rate(millionths: u32) -> Rate {
    Rate::new(millionths).unwrap()
}

fn percent(percent: u32) -> Rate {
    rate(percent * 10_000)
}

fn sku(text: &str) -> Sku {
    Sku::parse(text).unwrap()
}

/// Tax rates by class, at home; the method `post` costs 3.95, `nothing` nothing.
fn settings(included: bool, rounding: Rounding, taxes: &[(&str, u32)]) -> StoreSettings {
    let post = |method: &str, price| ShippingRate {
        method: method.to_owned(),
        title: method.to_owned(),
        zone: Zone::default(),
        price: gbp(price),
        free_from: None,
        pickup: None,
    };
    let rule = |(class, millionths): &(&str, u32)| TaxRule {
        country: None,
        region: None,
        class: Some((*class).to_owned()),
        rate: rate(*millionths),
        reason: None,
    };
    StoreSettings {
        prices_include_tax: included,
        rounding,
        taxes: taxes.iter().map(rule).collect(),
        shipping: vec![post("post", 3_95), post("nothing", 0), post("medusa", 6_44)],
        ..StoreSettings::plain(gbp(0).currency())
    }
}

/// Prices without tax, which nothing bears.
fn untaxed() -> StoreSettings {
    settings(false, Rounding::default(), &[])
}

/// `sku` may say its tax class and category: `A/books/novels`.
fn offer(text: &str, price: i64) -> Offer {
    let mut parts = text.split('/');
    let code = parts.next().unwrap();
    Offer {
        product_id: format!("prd_{code}"),
        slug: code.to_lowercase(),
        sku: sku(code),
        title: code.to_owned(),
        variant_title: String::new(),
        price: gbp(price),
        tax_class: parts.next().unwrap_or("standard").to_owned(),
        category: parts.next().unwrap_or("goods").to_owned(),
    }
}

fn lines(lines: &[(&str, i64, u32)]) -> Vec<(Offer, Quantity)> {
    lines.iter().map(|(text, price, units)| (offer(text, *price), Quantity::new(*units).unwrap())).collect()
}

/// An automatic promotion that stands beside all others.
fn promotion(id: &str, effect: Effect) -> Promotion {
    Promotion {
        id: PromotionId::parse(id).unwrap(),
        title: id.to_owned(),
        trigger: Trigger::Automatic,
        rules: Vec::new(),
        from: None,
        until: None,
        effect,
        combines_with: Combines::ALL,
        priority: 0,
        uses: UseLimits::default(),
    }
}

fn coded(id: &str, codes: &[&str], effect: Effect) -> Promotion {
    Promotion { trigger: Trigger::Coded { codes: codes.iter().map(|it| code(it)).collect() }, ..promotion(id, effect) }
}

fn code(text: &str) -> CouponCode {
    CouponCode::parse(text).unwrap()
}

fn of_skus(skus: &[&str]) -> Goods {
    Goods { skus: skus.iter().map(|it| sku(it)).collect(), categories: BTreeSet::new() }
}

fn of_category(category: &str) -> Goods {
    Goods { skus: BTreeSet::new(), categories: [category.to_owned()].into() }
}

/// Shipped by `method`, typed in by a stranger.
fn priced(snapshot: &Snapshot<'_>, lines: &[(Offer, Quantity)], codes: &[&str], method: Option<&str>) -> Priced {
    let codes: Vec<CouponCode> = codes.iter().map(|it| code(it)).collect();
    let customer = CustomerFacts::default();
    price(snapshot, &Basket { lines, codes: &codes, customer: &customer, destination: None, method }, NOW).unwrap()
}

fn with<'a>(settings: &'a StoreSettings, promotions: &'a [Promotion]) -> Snapshot<'a> {
    Snapshot { promotions, ..Snapshot::of(settings) }
}

/// Promotion and amount of each discount.
fn discounts(priced: &Priced) -> Vec<(&str, i64)> {
    priced.discounts.iter().map(|it| (it.promotion.as_str(), it.amount.minor())).collect()
}

/// Promotion or code, and the name of the reason.
fn skipped(priced: &Priced) -> Vec<(String, &'static str)> {
    let name = |it: &SkippedPromotion| match (&it.code, &it.promotion) {
        (Some(code), _) => code.to_string(),
        (None, promotion) => promotion.as_ref().map(ToString::to_string).unwrap_or_default(),
    };
    priced.skipped.iter().map(|it| (name(it), it.reason.name())).collect()
}

#[test]
fn tax_is_added_or_contained() {
    let goods = lines(&[("A", 333, 3), ("B", 1, 1)]);
    let taxes = [("standard", 200_000), ("shipping", 200_000)];
    let totals = |included| {
        let settings = settings(included, Rounding::default(), &taxes);
        priced(&Snapshot::of(&settings), &goods, &[], Some("post")).totals
    };
    let net = totals(false);
    assert_eq!((net.subtotal, net.shipping, net.tax, net.tax_included), (gbp(10_00), gbp(3_95), gbp(2_79), gbp(0)));
    assert_eq!((net.discount, net.total), (gbp(0), gbp(16_74)));
    let gross = totals(true);
    assert_eq!((gross.tax, gross.tax_included, gross.total), (gbp(0), gbp(1_67 + 66), gbp(13_95)));
}

#[test]
fn a_line_that_nothing_prices_is_left_out_and_told() {
    let settings = untaxed();
    let mut goods = lines(&[("A", 100, 1), ("B", 100, 1)]);
    goods[1].0.price = Money::new(100, Currency::parse("EUR").unwrap());
    let seen = priced(&Snapshot::of(&settings), &goods, &[], None);
    assert_eq!(seen.problems, [PricingProblem::NoPrice { sku: sku("B") }]);
    assert_eq!((seen.lines.len(), seen.totals.total), (1, gbp(100)));
    let tier = crate::price_list::Tier { from_units: 1, price: gbp(70) };
    let list = PriceList {
        id: crate::price_list::PriceListId::parse("pounds").unwrap(),
        title: "Pounds".to_owned(),
        currency: gbp(0).currency(),
        groups: Vec::new(),
        from: None,
        until: None,
        priority: 0,
        prices: [(sku("B"), vec![tier])].into(),
    };
    let lists = [list];
    let seen = priced(&Snapshot { price_lists: &lists, ..Snapshot::of(&settings) }, &goods, &[], None);
    assert_eq!((seen.problems.len(), seen.totals.total), (0, gbp(170)));
    let id = crate::price_list::PriceListId::parse("pounds").unwrap();
    assert_eq!(seen.lines[1].price_from, PriceSource::List { id, tier: 1 });
    assert_eq!(seen.lines[0].price_from, PriceSource::Catalogue);
}

#[test]
fn a_tier_is_chosen_on_all_units_of_a_sku() {
    let settings = untaxed();
    let tier = |from_units, price| crate::price_list::Tier { from_units, price: gbp(price) };
    let lists = [PriceList {
        id: crate::price_list::PriceListId::parse("bulk").unwrap(),
        title: "Bulk".to_owned(),
        currency: gbp(0).currency(),
        groups: Vec::new(),
        from: None,
        until: None,
        priority: 0,
        prices: [(sku("A"), vec![tier(5, 90), tier(10, 80)])].into(),
    }];
    let snapshot = Snapshot { price_lists: &lists, ..Snapshot::of(&settings) };
    let total = |goods: &[(&str, i64, u32)]| priced(&snapshot, &lines(goods), &[], None).totals.total;
    assert_eq!(total(&[("A", 100, 4)]), gbp(4_00));
    assert_eq!(total(&[("A", 100, 5)]), gbp(4_50));
    assert_eq!(total(&[("A", 100, 6), ("B", 1, 1), ("A", 100, 4)]), gbp(8_01));
}

#[test]
fn edge_numbers_are_refused_and_never_wrap() {
    let settings = settings(false, Rounding::default(), &[("standard", 1_000_000)]);
    let customer = CustomerFacts::default();
    let total = |price, units| {
        let lines = lines(&[("A", price, units)]);
        let basket = Basket { lines: &lines, codes: &[], customer: &customer, destination: None, method: None };
        super::price(&Snapshot::of(&settings), &basket, NOW).map(|it| it.totals.total.minor())
    };
    let overflow = Err(PricingError::Money(MoneyError::Overflow));
    assert_eq!(total(0, 1), Ok(0));
    assert_eq!(total(1_000_000_000_000_000_000, 1), Ok(2_000_000_000_000_000_000));
    assert_eq!(total(1_000_000_000_000_000_000, 10), overflow);
    assert_eq!(total(i64::MAX, 1), overflow);
    assert_eq!(total(i64::MAX / 2, 1), Ok(i64::MAX - 1));
    assert_eq!(total(i64::MAX / 10, 999), overflow);
    let twice = lines(&[("A", 1, 999), ("A", 1, 1)]);
    let basket = Basket { lines: &twice, codes: &[], customer: &customer, destination: None, method: None };
    let refused = super::price(&Snapshot::of(&settings), &basket, NOW);
    assert_eq!(refused, Err(PricingError::TooMany { sku: sku("A") }));
}
