//! P13: which promotions stand together depends on the basket and the moment, and on nothing else.
use proptest::prelude::*;

use super::*;
use crate::promotion::Class;

fn only(with: &[Class]) -> Combines {
    let has = |class| with.contains(&class);
    Combines { product: has(Class::Product), order: has(Class::Order), shipping: has(Class::Shipping) }
}

#[test]
fn p13_the_best_legal_set_is_taken_and_the_rest_explained() {
    let settings = untaxed();
    let alone = |id: &str, effect| Promotion { combines_with: Combines::NONE, ..promotion(id, effect) };
    let goods = lines(&[("A", 50_00, 1), ("B", 30_00, 2)]);
    // 10 % of everything, or half of A with free shipping.
    let off = [
        alone("tenth", Effect::OrderPercent { rate: percent(10) }),
        Promotion {
            combines_with: only(&[Class::Shipping]),
            ..promotion("half-a", Effect::LinePercent { rate: percent(50), goods: of_skus(&["A"]) })
        },
        Promotion { combines_with: only(&[Class::Product]), ..promotion("post", Effect::FreeShipping) },
    ];
    let seen = priced(&with(&settings, &off), &goods, &[], Some("post"));
    assert_eq!(discounts(&seen), [("half-a", 25_00), ("post", 3_95)]);
    let with_half_a = SkipReason::NotCombinable { with: off[1].id.clone() };
    assert_eq!(
        seen.skipped,
        [SkippedPromotion { promotion: Some(off[0].id.clone()), code: None, reason: with_half_a }]
    );
    // Where both save the same, the higher priority, then the smaller id.
    let same = [
        alone("b", Effect::OrderFixed { amount: gbp(5_00) }),
        alone("a", Effect::OrderFixed { amount: gbp(5_00) }),
        Promotion { priority: -1, ..alone("0", Effect::OrderFixed { amount: gbp(5_00) }) },
    ];
    assert_eq!(discounts(&priced(&with(&settings, &same), &goods, &[], None)), [("a", 5_00)]);
}

#[test]
fn p13_all_off_ends_at_nothing() {
    let settings = settings(true, Rounding::default(), &[("standard", 200_000)]);
    let off = [
        Promotion {
            priority: 1,
            ..promotion("half", Effect::LinePercent { rate: percent(50), goods: Goods::default() })
        },
        promotion("all", Effect::OrderPercent { rate: percent(100) }),
        promotion("more", Effect::OrderFixed { amount: gbp(1_00) }),
        promotion("post", Effect::FreeShipping),
    ];
    let seen = priced(&with(&settings, &off), &lines(&[("A", 10_33, 3), ("B", 7, 1)]), &[], Some("post"));
    assert_eq!((seen.totals.total, seen.totals.tax_included), (gbp(0), gbp(0)));
    assert_eq!(skipped(&seen), [("more".to_owned(), "nothing_to_discount")]);
    assert!(seen.lines.iter().all(|it| it.discount == it.subtotal));
}

/// Any promotion, built from numbers.
pub(super) fn any_effect(kind: u8, size: i64, goods: Goods) -> Effect {
    let part = rate(u32::try_from(size.rem_euclid(100) + 1).unwrap() * 10_000);
    let amount = gbp(size.rem_euclid(2_000) + 1);
    match kind % 8 {
        0 => Effect::OrderPercent { rate: part },
        1 => Effect::OrderFixed { amount },
        2 => Effect::LinePercent { rate: part, goods },
        3 => Effect::LineFixed { amount: gbp(size.rem_euclid(300) + 1), goods },
        4 => Effect::ShippingPercent { rate: part },
        5 => Effect::ShippingFixed { amount: gbp(size.rem_euclid(500) + 1) },
        6 => Effect::BuyGet {
            buy: Goods::default(),
            buy_units: u32::try_from(size.rem_euclid(3) + 1).unwrap(),
            get: goods,
            get_units: 1,
            rate: part,
            times_max: (size % 2 == 0).then_some(2),
        },
        _ => Effect::Gift { sku: sku("GIFT"), units: Quantity::new(1).unwrap() },
    }
}

type Made = (u8, i64, u8, i32, Option<u8>);

fn any_promotions(made: &[Made]) -> Vec<Promotion> {
    let build = |(number, (kind, size, combines, priority, only)): (usize, &Made)| Promotion {
        combines_with: Combines { product: combines & 1 > 0, order: combines & 2 > 0, shipping: combines & 4 > 0 },
        priority: *priority,
        ..promotion(
            &format!("p{number}"),
            any_effect(*kind, *size, only.map_or(Goods::default(), |it| of_skus(&[&format!("S{it}")]))),
        )
    };
    made.iter().enumerate().map(build).collect()
}

fn saved(priced: &Priced) -> i64 {
    priced.discounts.iter().map(|it| it.amount.minor()).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every legal set, tried one by one, saves no more.
    #[test]
    fn p13_no_legal_set_saves_more(
        made in proptest::collection::vec((0_u8..8, 0_i64..10_000, 0_u8..8, -1_i32..=1, proptest::option::of(0_u8..3)), 0..8),
        goods in proptest::collection::vec((0_i64..3_000, 1_u32..5), 1..4),
    ) {
        let settings = untaxed();
        let goods: Vec<_> = goods.iter().enumerate()
            .map(|(n, (price, units))| (offer(&format!("S{n}"), *price), Quantity::new(*units).unwrap())).collect();
        let all = any_promotions(&made);
        let gifts = [offer("GIFT", 7_50)];
        let price = |promotions: &[Promotion]| {
            let snapshot = Snapshot { promotions, gifts: &gifts, ..Snapshot::of(&settings) };
            priced(&snapshot, &goods, &[], Some("post"))
        };
        let seen = price(&all);
        for chosen in 0..1_u32 << all.len() {
            let set: Vec<Promotion> =
                all.iter().enumerate().filter(|it| chosen & (1 << it.0) > 0).map(|it| it.1.clone()).collect();
            let legal = set.iter().enumerate().all(|(n, one)| set[..n].iter().all(|other| one.combines(other)));
            if legal {
                let other = price(&set);
                prop_assert!(saved(&other) <= saved(&seen), "{:?} saves {}", discounts(&other), saved(&other));
            }
        }
        let applied: Vec<&Promotion> =
            seen.discounts.iter().map(|it| all.iter().find(|one| one.id == it.promotion).unwrap()).collect();
        for (number, one) in applied.iter().enumerate() {
            prop_assert!(applied[..number].iter().all(|other| one.combines(other)));
        }
        prop_assert_eq!(seen.discounts.len() + seen.skipped.len(), all.len());
    }

    /// Order of codes, lines and promotions, and how units arrive, change nothing but the order of lines.
    #[test]
    fn p13_order_does_not_matter(
        made in proptest::collection::vec((0_u8..8, 0_i64..10_000, 0_u8..8, -1_i32..=1, proptest::option::of(0_u8..3)), 0..8),
        goods in proptest::collection::vec((0_i64..3_000, 1_u32..5), 1..6),
        turn in 0_usize..8,
    ) {
        let settings = settings(true, Rounding { level: RoundingLevel::Total, mode: RoundingMode::HalfEven }, &[("standard", 200_000)]);
        let mut all = any_promotions(&made);
        for promotion in all.iter_mut().step_by(2) {
            promotion.trigger = Trigger::Coded { codes: [code(promotion.id.as_str())].into() };
        }
        let mut codes: Vec<String> = all.iter().map(|it| it.id.to_string()).collect();
        let mut goods: Vec<_> = goods.iter().enumerate()
            .map(|(n, (price, units))| (offer(&format!("S{n}"), *price), Quantity::new(*units).unwrap())).collect();
        let gifts = [offer("GIFT", 7_50)];
        let price = |all: &[Promotion], codes: &[String], goods: &[(Offer, Quantity)]| {
            let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
            let snapshot = Snapshot { promotions: all, gifts: &gifts, ..Snapshot::of(&settings) };
            let mut seen = priced(&snapshot, goods, &codes, Some("post"));
            let order: Vec<usize> = {
                let mut order: Vec<usize> = (0..seen.lines.len()).collect();
                order.sort_by_key(|it| (seen.lines[*it].gift_of.clone(), seen.lines[*it].sku.clone()));
                order
            };
            seen.lines = order.iter().map(|it| seen.lines[*it].clone()).collect();
            for discount in &mut seen.discounts {
                discount.lines = order.iter().map(|it| discount.lines[*it]).collect();
            }
            seen
        };
        let want = price(&all, &codes, &goods);
        all.reverse();
        codes.reverse();
        let turn = turn % goods.len();
        goods.rotate_left(turn);
        // Each unit by itself.
        let apart: Vec<_> = goods.iter()
            .flat_map(|(offer, units)| (0..units.get()).map(move |_| (offer.clone(), Quantity::new(1).unwrap()))).collect();
        prop_assert_eq!(&price(&all, &codes, &goods), &want);
        prop_assert_eq!(&price(&all, &codes, &apart), &want);
    }

    /// Goods that no promotion is about change nothing of what is taken off the others.
    #[test]
    fn p13_other_goods_do_not_add_to_a_discount(size in 0_i64..10_000, kind in 2_u8..4, price in 0_i64..5_000, units in 1_u32..9) {
        let settings = untaxed();
        let all = [promotion("off", any_effect(kind, size, of_skus(&["S0"])))];
        let one = lines(&[("S0", 7_77, 3)]);
        let more: Vec<_> = one.iter().cloned().chain(lines(&[("S9", price, units)])).collect();
        let off = |goods: &[(Offer, Quantity)]| priced(&with(&settings, &all), goods, &[], None).totals.discount;
        prop_assert_eq!(off(&one), off(&more));
    }
}
