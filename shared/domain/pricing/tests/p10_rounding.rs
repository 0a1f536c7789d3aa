//! P10: tax under every policy. Sixty worked examples, and the two that broke other shops.
//!
//! The examples were worked out outside this program with exact fractions: a line of `n` units at `p` bears
//! `n p r` on top, or contains `n p r / (1 + r)`; by line that is rounded once per line, by unit `p r` is
//! rounded and taken `n` times, in total the exact sum, given above each, is rounded once. They can be
//! followed by hand.
use super::*;

/// Whether tax is contained; millionths; lines of (price, units); mode; tax by line, by unit, in total.
type Example = (bool, u32, &'static [(i64, u32)], RoundingMode, [i64; 3]);

#[rustfmt::skip]
const EXAMPLES: [Example; 60] = [
    // 3 x 108: on top, exactly 1539/25 in all
    (false, 190_000, &[(108, 3)], RoundingMode::HalfUp, [62, 63, 62]),
    (false, 190_000, &[(108, 3)], RoundingMode::HalfEven, [62, 63, 62]),
    (false, 190_000, &[(108, 3)], RoundingMode::HalfDown, [62, 63, 62]),
    // 1 x 2499: on top, exactly 107457/400 in all
    (false, 107_500, &[(2499, 1)], RoundingMode::HalfUp, [269, 269, 269]),
    (false, 107_500, &[(2499, 1)], RoundingMode::HalfEven, [269, 269, 269]),
    (false, 107_500, &[(2499, 1)], RoundingMode::HalfDown, [269, 269, 269]),
    // 3 x 333 + 1 x 1: on top, exactly 200 in all
    (false, 200_000, &[(333, 3), (1, 1)], RoundingMode::HalfUp, [200, 201, 200]),
    (false, 200_000, &[(333, 3), (1, 1)], RoundingMode::HalfEven, [200, 201, 200]),
    (false, 200_000, &[(333, 3), (1, 1)], RoundingMode::HalfDown, [200, 201, 200]),
    // 1 x 10: on top, exactly 1/2 in all
    (false, 50_000, &[(10, 1)], RoundingMode::HalfUp, [1, 1, 1]),
    (false, 50_000, &[(10, 1)], RoundingMode::HalfEven, [0, 0, 0]),
    (false, 50_000, &[(10, 1)], RoundingMode::HalfDown, [0, 0, 0]),
    // 1 x 30 + 1 x 50: on top, exactly 4 in all
    (false, 50_000, &[(30, 1), (50, 1)], RoundingMode::HalfUp, [5, 5, 4]),
    (false, 50_000, &[(30, 1), (50, 1)], RoundingMode::HalfEven, [4, 4, 4]),
    (false, 50_000, &[(30, 1), (50, 1)], RoundingMode::HalfDown, [3, 3, 4]),
    // 3 x 10: on top, exactly 3/2 in all
    (false, 50_000, &[(10, 3)], RoundingMode::HalfUp, [2, 3, 2]),
    (false, 50_000, &[(10, 3)], RoundingMode::HalfEven, [2, 0, 2]),
    (false, 50_000, &[(10, 3)], RoundingMode::HalfDown, [1, 0, 1]),
    // 2 x 1995 + 3 x 499: on top, exactly 389577/800 in all
    (false, 88_750, &[(1995, 2), (499, 3)], RoundingMode::HalfUp, [487, 486, 487]),
    (false, 88_750, &[(1995, 2), (499, 3)], RoundingMode::HalfEven, [487, 486, 487]),
    (false, 88_750, &[(1995, 2), (499, 3)], RoundingMode::HalfDown, [487, 486, 487]),
    // 1 x 50 + 1 x 150 + 1 x 250: on top, exactly 63/2 in all
    (false, 70_000, &[(50, 1), (150, 1), (250, 1)], RoundingMode::HalfUp, [33, 33, 32]),
    (false, 70_000, &[(50, 1), (150, 1), (250, 1)], RoundingMode::HalfEven, [32, 32, 32]),
    (false, 70_000, &[(50, 1), (150, 1), (250, 1)], RoundingMode::HalfDown, [30, 30, 31]),
    // 1 x 2 + 1 x 6 + 1 x 10: on top, exactly 9/2 in all
    (false, 250_000, &[(2, 1), (6, 1), (10, 1)], RoundingMode::HalfUp, [6, 6, 5]),
    (false, 250_000, &[(2, 1), (6, 1), (10, 1)], RoundingMode::HalfEven, [4, 4, 4]),
    (false, 250_000, &[(2, 1), (6, 1), (10, 1)], RoundingMode::HalfDown, [3, 3, 4]),
    // 5 x 20: on top, exactly 15/2 in all
    (false, 75_000, &[(20, 5)], RoundingMode::HalfUp, [8, 10, 8]),
    (false, 75_000, &[(20, 5)], RoundingMode::HalfEven, [8, 10, 8]),
    (false, 75_000, &[(20, 5)], RoundingMode::HalfDown, [7, 5, 7]),
    // 7 x 999 + 99 x 1: on top, exactly 58509/100 in all
    (false, 82_500, &[(999, 7), (1, 99)], RoundingMode::HalfUp, [585, 574, 585]),
    (false, 82_500, &[(999, 7), (1, 99)], RoundingMode::HalfEven, [585, 574, 585]),
    (false, 82_500, &[(999, 7), (1, 99)], RoundingMode::HalfDown, [585, 574, 585]),
    // 999 x 1: on top, exactly 20979/100 in all
    (false, 210_000, &[(1, 999)], RoundingMode::HalfUp, [210, 0, 210]),
    (false, 210_000, &[(1, 999)], RoundingMode::HalfEven, [210, 0, 210]),
    (false, 210_000, &[(1, 999)], RoundingMode::HalfDown, [210, 0, 210]),
    // 1 x 119: contained, exactly 19 in all
    (true, 190_000, &[(119, 1)], RoundingMode::HalfUp, [19, 19, 19]),
    (true, 190_000, &[(119, 1)], RoundingMode::HalfEven, [19, 19, 19]),
    (true, 190_000, &[(119, 1)], RoundingMode::HalfDown, [19, 19, 19]),
    // 3 x 100: contained, exactly 50 in all
    (true, 200_000, &[(100, 3)], RoundingMode::HalfUp, [50, 51, 50]),
    (true, 200_000, &[(100, 3)], RoundingMode::HalfEven, [50, 51, 50]),
    (true, 200_000, &[(100, 3)], RoundingMode::HalfDown, [50, 51, 50]),
    // 1 x 3: contained, exactly 1/2 in all
    (true, 200_000, &[(3, 1)], RoundingMode::HalfUp, [1, 1, 1]),
    (true, 200_000, &[(3, 1)], RoundingMode::HalfEven, [0, 0, 0]),
    (true, 200_000, &[(3, 1)], RoundingMode::HalfDown, [0, 0, 0]),
    // 1 x 3 + 1 x 9 + 1 x 15: contained, exactly 9/2 in all
    (true, 200_000, &[(3, 1), (9, 1), (15, 1)], RoundingMode::HalfUp, [6, 6, 5]),
    (true, 200_000, &[(3, 1), (9, 1), (15, 1)], RoundingMode::HalfEven, [4, 4, 4]),
    (true, 200_000, &[(3, 1), (9, 1), (15, 1)], RoundingMode::HalfDown, [3, 3, 4]),
    // 2 x 5 + 3 x 1: contained, exactly 13/5 in all
    (true, 250_000, &[(5, 2), (1, 3)], RoundingMode::HalfUp, [3, 2, 3]),
    (true, 250_000, &[(5, 2), (1, 3)], RoundingMode::HalfEven, [3, 2, 3]),
    (true, 250_000, &[(5, 2), (1, 3)], RoundingMode::HalfDown, [3, 2, 3]),
    // 3 x 499 + 1 x 1999: contained, exactly 24472/107 in all
    (true, 70_000, &[(499, 3), (1999, 1)], RoundingMode::HalfUp, [229, 230, 229]),
    (true, 70_000, &[(499, 3), (1999, 1)], RoundingMode::HalfEven, [229, 230, 229]),
    (true, 70_000, &[(499, 3), (1999, 1)], RoundingMode::HalfDown, [229, 230, 229]),
    // 1 x 1 + 1 x 3 + 1 x 5: contained, exactly 9/2 in all
    (true, 1_000_000, &[(1, 1), (3, 1), (5, 1)], RoundingMode::HalfUp, [6, 6, 5]),
    (true, 1_000_000, &[(1, 1), (3, 1), (5, 1)], RoundingMode::HalfEven, [4, 4, 4]),
    (true, 1_000_000, &[(1, 1), (3, 1), (5, 1)], RoundingMode::HalfDown, [3, 3, 4]),
    // 12 x 1295: contained, exactly 170940/211 in all
    (true, 55_000, &[(1295, 12)], RoundingMode::HalfUp, [810, 816, 810]),
    (true, 55_000, &[(1295, 12)], RoundingMode::HalfEven, [810, 816, 810]),
    (true, 55_000, &[(1295, 12)], RoundingMode::HalfDown, [810, 816, 810]),
];

fn seen(included: bool, rounding: Rounding, taxes: &[(&str, u32)], goods: &[(&str, i64, u32)], method: &str) -> Priced {
    priced(&Snapshot::of(&settings(included, rounding, taxes)), &lines(goods), &[], Some(method))
}

#[test]
fn p10_sixty_worked_examples() {
    for (included, millionths, goods, mode, want) in EXAMPLES {
        let names: Vec<String> = (0..goods.len()).map(|it| format!("S{it}")).collect();
        let goods: Vec<_> =
            names.iter().zip(goods).map(|(name, (price, units))| (name.as_str(), *price, *units)).collect();
        let got = RoundingLevel::ALL.map(|level| {
            let rounding = Rounding { level, mode };
            let priced = seen(included, rounding, &[("standard", millionths)], &goods, "nothing");
            let of_lines: i64 = priced.lines.iter().map(|it| it.tax.minor()).sum();
            assert_eq!(of_lines, priced.totals.tax.minor() + priced.totals.tax_included.minor());
            assert_eq!(priced.rounding, rounding);
            of_lines
        });
        // In the order of `RoundingLevel::ALL`: line, unit, total.
        assert_eq!(got, want, "{included} {millionths} {goods:?} {mode:?}");
    }
}

#[test]
fn p10_three_at_1_08_with_19_percent() {
    let total = |level| {
        let rounding = Rounding { level, mode: RoundingMode::HalfUp };
        seen(false, rounding, &[("standard", 190_000)], &[("A", 1_08, 3)], "nothing").totals.total
    };
    assert_eq!(RoundingLevel::ALL.map(total), [gbp(3_86), gbp(3_87), gbp(3_86)]);
}

/// Medusa issue 14818: 24.99 at 10.75 % is 2.686425 of tax; with untaxed shipping at 6.44 the total is 34.12,
/// and neither 34.116425 nor 34.11.
#[test]
fn p10_medusa_14818() {
    for rounding in Rounding::all() {
        let priced = seen(false, rounding, &[("standard", 107_500)], &[("A", 24_99, 1)], "medusa");
        assert_eq!((priced.totals.tax, priced.totals.total), (gbp(2_69), gbp(34_12)));
        let back = refund_of(&priced, 0, 0, 1).unwrap().plus(shipping_paid(&priced).unwrap());
        assert_eq!(back, Ok(gbp(34_12)));
    }
}

#[test]
fn p10_total_policy_shares_tax_out_by_rate() {
    let rounding = Rounding { level: RoundingLevel::Total, mode: RoundingMode::HalfUp };
    let taxes = [("standard", 190_000), ("books", 70_000), ("shipping", 190_000)];
    let goods = [("A", 1_08, 1), ("B/books", 50, 1), ("C", 1_08, 1), ("D/books", 50, 1)];
    let priced = seen(false, rounding, &taxes, &goods, "post");
    let of_lines: Vec<i64> = priced.lines.iter().map(|it| it.tax.minor()).collect();
    let shipping = priced.shipping.as_ref().unwrap().tax.minor();
    // 19 % of 2 x 1.08 + 3.95 is 1.1609; 7 % of 2 x 0.50 is 0.07.
    assert_eq!(of_lines.iter().sum::<i64>() + shipping, 116 + 7);
    assert_eq!((of_lines, shipping), (vec![21, 4, 20, 3], 75));
}

#[test]
fn p10_net_and_tax_are_gross_whichever_was_entered() {
    for rounding in Rounding::all() {
        for included in [false, true] {
            for price in 0..400 {
                let priced = seen(included, rounding, &[("standard", 190_000)], &[("A", price, 7)], "nothing");
                let amounts = line_amounts(&priced, 0).unwrap();
                assert_eq!(amounts.net.plus(amounts.tax), Ok(amounts.gross));
                // What was entered never moves: the other side is derived from it, with the tax that was rounded.
                let entered = if included { amounts.gross } else { amounts.net };
                assert_eq!(entered, gbp(7 * price));
                assert_eq!(amounts.gross, priced.totals.total);
            }
        }
    }
}
