//! Whether the parts of a price are its total, asked of a price as it was stored: nothing here is used to make
//! one, so it does not repeat the mistakes of whoever did.
use crate::{
    money::Money,
    pricing::{Priced, PricedLine},
};

/// What does not add up, to the minor unit; nothing is right. Invariant I2.
pub fn money_faults(priced: &Priced) -> Vec<String> {
    let mut faults = Faults(Vec::new());
    let totals = priced.totals;
    let sum = |parts: &mut dyn Iterator<Item = Money>| parts.map(|it| i128::from(it.minor())).sum::<i128>();
    let minor = |money: Money| i128::from(money.minor());

    faults.same("the lines", sum(&mut priced.lines.iter().map(|it| it.subtotal)), minor(totals.subtotal));
    faults.same("the discounts", sum(&mut priced.discounts.iter().map(|it| it.amount)), minor(totals.discount));
    for (place, line) in priced.lines.iter().enumerate() {
        let share = |it: &crate::pricing::Discount| it.lines.get(place).copied();
        let shares = sum(&mut priced.discounts.iter().filter_map(share));
        faults.same(&format!("the shares of line {place}"), shares, minor(line.discount));
        line_faults(place, line, &mut faults);
    }
    for discount in &priced.discounts {
        let shares = sum(&mut discount.lines.iter().copied()) + minor(discount.shipping);
        faults.same(&format!("the shares of {}", discount.promotion), shares, minor(discount.amount));
        if discount.lines.len() != priced.lines.len() {
            faults.0.push(format!("{} has {} shares", discount.promotion, discount.lines.len()));
        }
    }
    let mut taxes = sum(&mut priced.lines.iter().map(|it| it.tax));
    let mut shipping = 0;
    if let Some(it) = &priced.shipping {
        taxes += minor(it.tax);
        shipping = minor(it.price);
        let shares = sum(&mut priced.discounts.iter().map(|it| it.shipping));
        faults.same("the shares of shipping", shares, minor(it.discount));
        if it.discount.minor() < 0 || it.discount.minor() > it.price.minor() {
            faults.0.push(format!("{} is taken off shipping for {}", it.discount, it.price));
        }
    }
    faults.same("shipping", shipping, minor(totals.shipping));
    faults.same("the taxes", taxes, minor(totals.tax) + minor(totals.tax_included));
    if !totals.tax.is_zero() && !totals.tax_included.is_zero() {
        faults.0.push("tax is both added and included".to_owned());
    }
    let total = minor(totals.subtotal) - minor(totals.discount) + minor(totals.shipping) + minor(totals.tax);
    faults.same("the parts", total, minor(totals.total));
    if totals.total.minor() < 0 {
        faults.0.push(format!("the total is {}", totals.total));
    }
    faults.0
}

fn line_faults(place: usize, line: &PricedLine, faults: &mut Faults) {
    let units = i128::from(line.unit_price.minor()) * i128::from(line.quantity.get());
    faults.same(&format!("the units of line {place}"), units, i128::from(line.subtotal.minor()));
    if line.discount.minor() < 0 || line.discount.minor() > line.subtotal.minor() {
        faults.0.push(format!("{} is taken off line {place} for {}", line.discount, line.subtotal));
    }
}

struct Faults(Vec<String>);

impl Faults {
    fn same(&mut self, what: &str, sum: i128, right: i128) {
        if sum != right {
            self.0.push(format!("{what} sum to {sum}, not {right}"));
        }
    }
}
