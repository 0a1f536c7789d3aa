//! P18: whatever goes back in whatever sequence, all of it together is what was paid.
use super::*;

#[test]
fn p18_units_give_back_what_their_line_cost() {
    let settings =
        settings(false, Rounding::default(), &[("standard", 190_000), ("books", 70_000), ("shipping", 190_000)]);
    let off = [promotion("off", Effect::OrderFixed { amount: gbp(10_00) })];
    let goods = lines(&[("A", 9_99, 3), ("B/books", 4_50, 7)]);
    let seen = priced(&with(&settings, &off), &goods, &[], Some("post"));
    let unit = |line, before| refund_of(&seen, line, before, 1).unwrap().minor();
    let of_a: Vec<i64> = (0..3).map(|it| unit(0, it)).collect();
    let of_b: Vec<i64> = (0..7).map(|it| unit(1, it)).collect();
    // A: 29.97 - 4.88 = 25.09, and 19 % is 4.7671; B: 31.50 - 5.12 = 26.38, and 7 % is 1.8466.
    assert_eq!((of_a.iter().sum::<i64>(), of_b.iter().sum::<i64>()), (25_09 + 4_77, 26_38 + 1_85));
    assert!(of_a.iter().all(|it| (9_95..=9_96).contains(it)), "{of_a:?}");
    let shipping = shipping_paid(&seen).unwrap();
    assert_eq!(shipping, gbp(3_95 + 75));
    let all = of_a.iter().chain(&of_b).sum::<i64>() + shipping.minor();
    assert_eq!(gbp(all), seen.totals.total);
    assert_eq!(refund_of(&seen, 0, 1, 2).unwrap().minor(), of_a[1] + of_a[2]);
    for (line, before, units) in [(0, 3, 1), (0, 0, 4), (0, u32::MAX, 1), (2, 0, 1)] {
        assert_eq!(refund_of(&seen, line, before, units), Err(MoneyError::NoSuchUnit));
    }
    assert_eq!(shipping_refund_of(&seen, gbp(1_00)), shipping.minus(gbp(1_00)));
    assert_eq!(shipping_refund_of(&seen, gbp(4_71)), Err(MoneyError::NoSuchUnit));
}
