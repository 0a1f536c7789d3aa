//! What each kind of promotion takes off, and why one does not.
use time::Duration;

use super::*;

fn shares(priced: &Priced, discount: usize) -> Vec<i64> {
    priced.discounts[discount].lines.iter().map(|it| it.minor()).collect()
}

#[test]
fn an_order_discount_is_shared_out_by_largest_remainder() {
    let settings = untaxed();
    let off = [promotion("off", Effect::OrderFixed { amount: gbp(10_00) })];
    let seen = priced(&with(&settings, &off), &lines(&[("C", 9_00, 1), ("A", 9_00, 1), ("B", 9_00, 1)]), &[], None);
    // Ties go by SKU, whatever the order of lines.
    assert_eq!(shares(&seen, 0), [3_33, 3_34, 3_33]);
    assert_eq!(seen.totals.total, gbp(17_00));
    let seen = priced(&with(&settings, &off), &lines(&[("A", 4_00, 1), ("B", 2_00, 2)]), &[], None);
    assert_eq!((shares(&seen, 0), seen.totals.discount, seen.totals.total), (vec![4_00, 4_00], gbp(8_00), gbp(0)));
}

#[test]
fn each_kind_takes_what_it_says() {
    let settings = untaxed();
    let goods = lines(&[("A//books", 10_01, 1), ("B", 5_00, 2)]);
    let check = |effect: Effect, want: &[i64], shipping: i64| {
        let off = [promotion("off", effect.clone())];
        let seen = priced(&with(&settings, &off), &goods, &[], Some("post"));
        assert_eq!(shares(&seen, 0)[..2], *want, "{effect:?}");
        assert_eq!(seen.shipping.as_ref().unwrap().discount, gbp(shipping), "{effect:?}");
        let off: i64 = want.iter().sum::<i64>() + shipping;
        assert_eq!(seen.totals.total, gbp(20_01 + 3_95 - off), "{effect:?}");
    };
    let everything = Goods::default;
    check(Effect::OrderPercent { rate: percent(10) }, &[1_00, 1_00], 0);
    check(Effect::LinePercent { rate: percent(50), goods: everything() }, &[5_01, 5_00], 0);
    check(Effect::LinePercent { rate: percent(50), goods: of_category("books") }, &[5_01, 0], 0);
    check(Effect::LineFixed { amount: gbp(2_00), goods: of_skus(&["B", "Z"]) }, &[0, 4_00], 0);
    check(Effect::LineFixed { amount: gbp(20_00), goods: everything() }, &[10_01, 10_00], 0);
    check(Effect::ShippingPercent { rate: percent(50) }, &[0, 0], 1_98);
    check(Effect::ShippingFixed { amount: gbp(9_00) }, &[0, 0], 3_95);
    check(Effect::FreeShipping, &[0, 0], 3_95);
}

fn three_for_one() -> Effect {
    let (buy, get) = (Goods::default(), Goods::default());
    Effect::BuyGet { buy, buy_units: 3, get, get_units: 1, rate: percent(100), times_max: None }
}

#[test]
fn the_cheapest_is_free() {
    let settings = untaxed();
    let off = [promotion("three-for-one", three_for_one())];
    let off = |goods: &[(&str, i64, u32)]| {
        let seen = priced(&with(&settings, &off), &lines(goods), &[], None);
        (seen.totals.discount.minor(), skipped(&seen))
    };
    let none = Vec::new;
    assert_eq!(off(&[("A", 500, 4)]), (500, none()));
    assert_eq!(off(&[("A", 500, 1); 4]), (500, none()));
    assert_eq!(off(&[("A", 500, 3), ("B", 200, 1)]), (200, none()));
    assert_eq!(off(&[("A", 500, 4), ("B", 200, 3), ("C", 900, 1)]), (400, none()));
    assert_eq!(off(&[("A", 500, 3)]), (0, vec![("three-for-one".to_owned(), "too_few_units")]));
}

#[test]
fn what_is_bought_is_not_given_too() {
    let settings = untaxed();
    let deal = |buy: Goods, get: Goods, times_max| Effect::BuyGet {
        buy,
        buy_units: 2,
        get,
        get_units: 1,
        rate: percent(50),
        times_max,
    };
    let off = |effect: Effect, goods: &[(&str, i64, u32)]| {
        let off = [promotion("deal", effect)];
        priced(&with(&settings, &off), &lines(goods), &[], None).totals.discount.minor()
    };
    let apart = || deal(of_skus(&["A"]), of_skus(&["B"]), None);
    assert_eq!(off(apart(), &[("A", 100, 5), ("B", 40, 3)]), 2 * 20);
    assert_eq!(off(apart(), &[("A", 100, 5), ("B", 40, 1)]), 20);
    assert_eq!(off(apart(), &[("A", 100, 1), ("B", 40, 1)]), 0);
    // B is both: three of them are one deal, and A, which is only bought, frees one of them.
    let overlap = || deal(of_skus(&["A", "B"]), of_skus(&["B"]), None);
    assert_eq!(off(overlap(), &[("B", 40, 3)]), 20);
    assert_eq!(off(overlap(), &[("A", 100, 4), ("B", 40, 2)]), 2 * 20);
    assert_eq!(off(overlap(), &[("A", 100, 1), ("B", 40, 2)]), 20);
    assert_eq!(off(deal(Goods::default(), Goods::default(), Some(1)), &[("A", 100, 999)]), 50);
    assert_eq!(off(deal(Goods::default(), Goods::default(), None), &[("A", 100, 999)]), 333 * 50);
}

#[test]
fn a_gift_is_a_line_of_its_own_as_long_as_its_condition_holds() {
    let settings = settings(true, Rounding::default(), &[("standard", 200_000)]);
    let mut gift = promotion("gift", Effect::Gift { sku: sku("MUG"), units: Quantity::new(2).unwrap() });
    gift.rules = vec![Rule::MinimumSpend { amount: gbp(20_00), goods: Goods::default() }];
    let (off, gifts) = ([gift], [offer("MUG", 4_00)]);
    let snapshot = Snapshot { gifts: &gifts, ..with(&settings, &off) };
    let seen = priced(&snapshot, &lines(&[("Z", 20_00, 1), ("A", 1_00, 1)]), &[], None);
    let line = &seen.lines[2];
    assert_eq!(
        (line.sku.as_str(), line.quantity.get(), line.subtotal, line.discount),
        ("MUG", 2, gbp(8_00), gbp(8_00))
    );
    assert_eq!((line.tax, line.gift_of.as_ref()), (gbp(0), Some(&off[0].id)));
    assert_eq!(shares(&seen, 0), [0, 0, 8_00]);
    assert_eq!((seen.totals.subtotal, seen.totals.discount, seen.totals.total), (gbp(29_00), gbp(8_00), gbp(21_00)));
    // One also bought is paid for, and both are counted for the stock.
    let seen = priced(&snapshot, &lines(&[("MUG", 4_00, 1), ("A", 17_00, 1)]), &[], None);
    assert_eq!((seen.units(), seen.totals.total), (vec![(sku("A"), 1), (sku("MUG"), 3)], gbp(21_00)));
    let seen = priced(&snapshot, &lines(&[("A", 19_99, 1)]), &[], None);
    assert_eq!((seen.lines.len(), &seen.skipped[0].reason), (1, &SkipReason::BelowMinimum { missing: gbp(1) }));
    let seen = priced(&with(&settings, &off), &lines(&[("A", 20_00, 1)]), &[], None);
    assert_eq!((seen.lines.len(), &seen.skipped[0].reason), (1, &SkipReason::GiftUnavailable { sku: sku("MUG") }));
    // Worth nothing in the catalogue, it is given all the same.
    let gifts = [offer("MUG", 0)];
    let seen = priced(&Snapshot { gifts: &gifts, ..with(&settings, &off) }, &lines(&[("A", 20_00, 1)]), &[], None);
    assert_eq!((seen.lines.len(), seen.discounts.len(), seen.skipped.len()), (2, 1, 0));
}

#[test]
fn every_promotion_that_takes_nothing_says_why() {
    let settings = untaxed();
    let ten = || Effect::OrderPercent { rate: percent(10) };
    let euro = Money::new(5, Currency::parse("EUR").unwrap());
    let for_group = Rule::CustomerGroup { groups: ["trade".to_owned()].into() };
    let spend = Rule::MinimumSpend { amount: gbp(10_00), goods: of_category("books") };
    let units = Rule::MinimumUnits { units: 4, goods: of_skus(&["A"]) };
    let rule = |id: &str, rule| Promotion { rules: vec![rule], ..coded(id, &[id], ten()) };
    let hour = Duration::hours(1);
    let promotions = [
        Promotion { from: Some(NOW + hour), ..coded("later", &["later"], ten()) },
        Promotion { until: Some(NOW), ..coded("over", &["over"], ten()) },
        rule("group", for_group),
        rule("spend", spend),
        rule("units", units),
        rule("first", Rule::FirstOrder),
        coded("euro", &["euro"], Effect::OrderFixed { amount: euro }),
        coded("spent", &["spent"], ten()),
        coded("other", &["other"], Effect::LinePercent { rate: percent(5), goods: of_skus(&["Z"]) }),
        coded("post", &["post"], Effect::FreeShipping),
    ];
    let exhausted = [PromotionId::parse("spent").unwrap()];
    let snapshot = Snapshot { exhausted: &exhausted, ..with(&settings, &promotions) };
    let mut typed: Vec<CouponCode> = promotions.iter().map(|it| code(it.id.as_str())).collect();
    typed.push(code("none"));
    let customer = CustomerFacts { groups: vec!["vip".to_owned()], first_order: false };
    let goods = lines(&[("A//books", 2_00, 3), ("B", 50_00, 1)]);
    let mut told = Vec::new();
    // At most ten codes are looked at.
    for codes in typed.chunks(10) {
        let basket = Basket { lines: &goods, codes, customer: &customer, destination: None, method: None };
        let seen = super::price(&snapshot, &basket, NOW).unwrap();
        assert_eq!((seen.discounts.len(), seen.totals.total), (0, gbp(56_00)));
        assert!(seen.skipped.iter().all(SkippedPromotion::is_for_buyer));
        told.extend(seen.skipped.into_iter().map(|it| (it.code.unwrap().to_string(), it.reason)));
    }
    let want = [
        ("EURO", SkipReason::WrongCurrency),
        ("FIRST", SkipReason::NotFirstOrder),
        ("GROUP", SkipReason::WrongCustomer),
        ("LATER", SkipReason::NotYet { from: NOW + hour }),
        ("OTHER", SkipReason::NothingToDiscount),
        ("OVER", SkipReason::Expired { until: NOW }),
        ("POST", SkipReason::NoShippingYet),
        ("SPEND", SkipReason::BelowMinimum { missing: gbp(4_00) }),
        ("SPENT", SkipReason::Exhausted),
        ("UNITS", SkipReason::TooFewUnits { missing: 1 }),
        ("NONE", SkipReason::UnknownCode),
    ];
    assert_eq!(told, want.map(|(code, reason)| (code.to_owned(), reason)));
}

#[test]
fn codes_open_each_promotion_once() {
    let settings = untaxed();
    let off = [coded("ten", &["TEN", "ZEHN"], Effect::OrderPercent { rate: percent(10) })];
    let single = |text: &str, used| SingleUseCode { code: code(text), promotion: off[0].id.clone(), used };
    let known = [single("AAA", false), single("BBB", true)];
    let snapshot = Snapshot { single_use_codes: &known, ..with(&settings, &off) };
    let goods = lines(&[("A", 10_00, 1)]);
    let seen = priced(&snapshot, &goods, &["zehn", "aaa", "ten", "bbb", "TEN"], None);
    // A shared code is used before one that its use spends.
    assert_eq!((seen.totals.total, seen.discounts[0].code.as_ref()), (gbp(9_00), Some(&code("TEN"))));
    assert!(!seen.discounts[0].limits.single_use_code);
    let named = |list: &[(&str, &'static str)]| list.iter().map(|it| (it.0.to_owned(), it.1)).collect::<Vec<_>>();
    assert_eq!(skipped(&seen), named(&[("AAA", "already_applied"), ("BBB", "exhausted"), ("ZEHN", "already_applied")]));
    let seen = priced(&snapshot, &goods, &["aaa"], None);
    assert!(seen.discounts[0].limits.single_use_code && seen.skipped.is_empty());
    assert_eq!(priced(&snapshot, &goods, &[], None).totals.discount, gbp(0));
    let many: Vec<String> = (0..12).map(|it| format!("X{it:02}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let seen = priced(&snapshot, &goods, &many, None);
    assert_eq!(skipped(&seen).iter().filter(|it| it.1 == "too_many").count(), 2);
}

#[test]
fn limits_to_claim_stand_with_the_discount() {
    let settings = untaxed();
    let mut off = coded("welcome", &["HI"], Effect::OrderFixed { amount: gbp(1_00) });
    off.uses = UseLimits { total: Some(100), per_customer: Some(1) };
    off.rules = vec![Rule::FirstOrder];
    let off = [off];
    let seen = priced(&with(&settings, &off), &lines(&[("A", 10_00, 1)]), &["hi"], None);
    let limits = Limits { total: Some(100), per_customer: Some(1), first_order: true, single_use_code: false };
    assert_eq!(seen.discounts[0].limits, limits);
}
