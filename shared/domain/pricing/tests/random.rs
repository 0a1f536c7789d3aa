//! A million random carts, in four parts that run side by side. Each cart has a number; a failure prints it,
//! and `OFFPEAK_CART=<number> cargo nextest run -p offpeak-domain one_cart` prices that one alone.
use std::panic::{catch_unwind, resume_unwind};

use super::{p13_stacking::any_effect, *};

/// Carts of one part.
const CARTS: u64 = 250_000;

/// Splitmix64: the same numbers everywhere, from any start.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From zero to below `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }

    fn small(&mut self, end: u8) -> u8 {
        u8::try_from(self.below(u64::from(end))).unwrap()
    }

    /// Small amounts, where rounding shows, more often than large ones.
    fn amount(&mut self) -> i64 {
        let most = [10, 100, 1_000, 10_000, 1_000_000, 1_000_000_000][usize::from(self.small(6))];
        i64::try_from(self.below(most)).unwrap()
    }
}

const RATES: [u32; 8] = [0, 50_000, 70_000, 88_750, 107_500, 190_000, 200_000, 1_000_000];

struct Cart {
    settings: StoreSettings,
    lines: Vec<(Offer, Quantity)>,
    promotions: Vec<Promotion>,
}

fn cart(number: u64) -> Cart {
    let mut dice = Dice(number);
    let roundings: Vec<Rounding> = Rounding::all().collect();
    let mut taxes = Vec::new();
    for class in ["standard", "books", "shipping"] {
        taxes.push((class, RATES[usize::from(dice.small(8))]));
    }
    let settings = settings(dice.below(2) == 0, roundings[usize::from(dice.small(9))], &taxes);
    let lines = (0..=dice.below(6))
        .map(|it| {
            let class = ["", "/books"][usize::from(dice.small(2))];
            let most = [3, 12][usize::from(dice.small(2))];
            let units = 1 + u32::from(dice.small(most));
            // Against the order of SKUs, so that lines are put back into theirs.
            (offer(&format!("S{}{class}", 9 - it), dice.amount()), Quantity::new(units).unwrap())
        })
        .collect();
    let promotions = (0..dice.below(4))
        .map(|it| {
            let goods = if dice.below(2) == 0 { Goods::default() } else { of_skus(&["S9", "S7"]) };
            let effect = any_effect(dice.small(8), dice.amount(), goods);
            let class = effect.class().name();
            let combines = dice.small(16);
            let allows = |bit: u8| combines >= 8 || combines & bit > 0;
            Promotion {
                priority: i32::from(dice.small(2)),
                combines_with: Combines { product: allows(1), order: allows(2), shipping: allows(4) },
                ..promotion(&format!("{class}-{it}"), effect)
            }
        })
        .collect();
    Cart { settings, lines, promotions }
}

fn check_one(number: u64, gifts: &[Offer]) {
    let Cart { settings, mut lines, promotions } = cart(number);
    let snapshot = Snapshot { gifts, ..with(&settings, &promotions) };
    let seen = priced(&snapshot, &lines, &[], Some("post"));
    exact::check(&seen);
    // Other ways to the same cart: backwards, and one line in two.
    let turned: Vec<_> = lines.iter().rev().cloned().collect();
    let again = priced(&snapshot, &turned, &[], Some("post"));
    assert_eq!(again.totals, seen.totals);
    let bought = lines.len();
    assert!((0..bought).all(|it| again.lines[bought - 1 - it] == seen.lines[it]), "shares move with their lines");
    if lines[0].1.get() > 1 {
        let (offer, units) = lines[0].clone();
        lines[0].1 = Quantity::new(1).unwrap();
        lines.push((offer, Quantity::new(units.get() - 1).unwrap()));
        assert_eq!(priced(&snapshot, &lines, &[], Some("post")), seen, "a line in two parts is another cart");
    }
}

fn part(number: u64) {
    let gifts = [offer("GIFT", 7_50)];
    for cart in number * CARTS..(number + 1) * CARTS {
        let seen = catch_unwind(|| check_one(cart, &gifts));
        if let Err(fault) = seen {
            eprintln!("cart {cart} fails: OFFPEAK_CART={cart} cargo nextest run -p offpeak-domain one_cart");
            resume_unwind(fault);
        }
    }
}

#[test]
fn p9_p10_p18_a_million_random_carts_part_1() {
    part(0);
}

#[test]
fn p9_p10_p18_a_million_random_carts_part_2() {
    part(1);
}

#[test]
fn p9_p10_p18_a_million_random_carts_part_3() {
    part(2);
}

#[test]
fn p9_p10_p18_a_million_random_carts_part_4() {
    part(3);
}

#[test]
fn one_cart() {
    // Read when the tests are built, which cargo does anew when it changes.
    let number = option_env!("OFFPEAK_CART").and_then(|it| it.parse().ok()).unwrap_or(0);
    check_one(number, &[offer("GIFT", 7_50)]);
}
