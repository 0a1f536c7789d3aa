//! What must hold for any priced purchase, checked against formulas that the program does not use.
use super::*;

/// Whether `whole` is `dividend / divisor` rounded as the mode says; all are positive.
fn is_rounded(whole: i64, dividend: i128, divisor: i128, mode: RoundingMode) -> bool {
    let off = 2 * (i128::from(whole) * divisor - dividend);
    match off.abs().cmp(&divisor) {
        std::cmp::Ordering::Less => true,
        std::cmp::Ordering::Greater => false,
        std::cmp::Ordering::Equal => match mode {
            RoundingMode::HalfUp => off > 0,
            RoundingMode::HalfDown => off < 0,
            RoundingMode::HalfEven => whole % 2 == 0,
        },
    }
}

/// Tax on, or in, an amount as a fraction.
fn exact_tax(amount: i64, rate: Rate, included: bool) -> (i128, i128) {
    let millionths = i128::from(rate.millionths());
    let divisor = if included { 1_000_000 + millionths } else { 1_000_000 };
    (i128::from(amount) * millionths, divisor)
}

/// P9, P10 and P18 in one: panics with what does not hold.
pub(super) fn check(priced: &Priced) {
    totals(priced);
    shares(priced);
    taxes(priced);
    refunds(priced);
}

fn totals(priced: &Priced) {
    let minor = |money: Money| money.minor();
    let totals = priced.totals;
    let parts = minor(totals.subtotal) - minor(totals.discount) + minor(totals.shipping) + minor(totals.tax);
    assert_eq!(minor(totals.total), parts);
    assert_eq!(minor(totals.subtotal), priced.lines.iter().map(|it| it.subtotal.minor()).sum::<i64>());
    let tax: i64 = priced.lines.iter().map(|it| it.tax.minor()).sum();
    let tax = tax + priced.shipping.as_ref().map_or(0, |it| it.tax.minor());
    let told = if priced.tax_included { (0, tax) } else { (tax, 0) };
    assert_eq!((minor(totals.tax), minor(totals.tax_included)), told);
    assert!(minor(totals.total) >= 0);
}

/// Shares sum to their discount, no line falls below zero, and an order discount is shared out in proportion.
fn shares(priced: &Priced) {
    let mut left: Vec<i64> = priced.lines.iter().map(|it| it.subtotal.minor()).collect();
    let mut of_shipping = 0;
    for discount in &priced.discounts {
        assert_eq!(discount.lines.len(), left.len());
        let sum: i64 = discount.lines.iter().map(|it| it.minor()).sum();
        assert_eq!(discount.amount.minor(), sum + discount.shipping.minor());
        assert!(discount.amount.minor() >= 0 && discount.shipping.minor() >= 0);
        if discount.promotion.as_str().starts_with("order") {
            let goods = |it: usize| if priced.lines[it].gift_of.is_some() { 0 } else { i128::from(left[it]) };
            let all: i128 = (0..left.len()).map(goods).sum();
            for (it, share) in discount.lines.iter().enumerate() {
                let off = i128::from(share.minor()) * all - i128::from(sum) * goods(it);
                assert!(off.abs() < all.max(1), "a share is not within one minor unit of its proportion");
            }
        }
        for (left, share) in left.iter_mut().zip(&discount.lines) {
            *left -= share.minor();
            assert!(share.minor() >= 0 && *left >= 0, "a line falls below zero");
        }
        of_shipping += discount.shipping.minor();
    }
    for (line, left) in priced.lines.iter().zip(left) {
        assert_eq!(line.discount.minor(), line.subtotal.minor() - left);
    }
    if let Some(shipping) = &priced.shipping {
        assert_eq!(shipping.discount.minor(), of_shipping);
        assert!(of_shipping <= shipping.price.minor());
    }
}

fn taxes(priced: &Priced) {
    let Rounding { level, mode } = priced.rounding;
    let mut bases: Vec<(i64, u32, Rate, i64)> = priced
        .lines
        .iter()
        .map(|it| (it.subtotal.minor() - it.discount.minor(), it.quantity.get(), it.tax_rate, it.tax.minor()))
        .collect();
    bases.extend(
        priced.shipping.iter().map(|it| (it.price.minor() - it.discount.minor(), 1, it.tax_rate, it.tax.minor())),
    );
    for (amount, units, rate, tax) in bases.iter().copied() {
        assert!((0..=amount).contains(&tax));
        let exact = |amount| exact_tax(amount, rate, priced.tax_included);
        let (dividend, divisor) = exact(amount);
        match level {
            RoundingLevel::Line => assert!(is_rounded(tax, dividend, divisor, mode)),
            RoundingLevel::Unit => {
                // Unit by unit, as far as the amount goes round.
                let each = |it: u32| amount / i64::from(units) + i64::from(i64::from(it) < amount % i64::from(units));
                let of = |it: u32| {
                    let (dividend, divisor) = exact(each(it));
                    let near = i64::try_from(dividend / divisor).unwrap();
                    (near..=near + 1).find(|it| is_rounded(*it, dividend, divisor, mode)).unwrap()
                };
                assert_eq!(tax, (0..units).map(of).sum::<i64>());
            }
            RoundingLevel::Total => {
                let same = || bases.iter().filter(|it| it.2 == rate);
                let (dividend, divisor) = exact(same().map(|it| it.0).sum());
                assert!(is_rounded(same().map(|it| it.3).sum(), dividend, divisor, mode));
                let (all, in_all): (i128, i128) =
                    (same().map(|it| i128::from(it.0)).sum(), same().map(|it| i128::from(it.3)).sum());
                assert!((i128::from(tax) * all - in_all * i128::from(amount)).abs() < all.max(1));
            }
        }
    }
}

fn refunds(priced: &Priced) {
    let mut back = shipping_paid(priced).unwrap().minor();
    let shipping = shipping_amounts(priced).unwrap();
    assert_eq!(shipping.net.plus(shipping.tax), Ok(shipping.gross));
    for (number, line) in priced.lines.iter().enumerate() {
        let amounts = line_amounts(priced, number).unwrap();
        assert_eq!(amounts.net.plus(amounts.tax), Ok(amounts.gross));
        // Steps that grow, so every purchase takes another way through its units.
        let (mut before, mut step) = (0, 1 + u32::try_from(number % 3).unwrap());
        let mut of_line = 0;
        while before < line.quantity.get() {
            let units = step.min(line.quantity.get() - before);
            let part = refund_of(priced, number, before, units).unwrap().minor();
            assert!(part >= 0);
            of_line += part;
            before += units;
            step += 1;
        }
        assert_eq!(of_line, amounts.gross.minor());
        back += of_line;
    }
    assert_eq!(back, priced.totals.total.minor(), "all refunds together are not what was paid");
}
