//! What stands between a cart and an order, as one list with stable codes. The cart shows it, the checkout
//! shows it, and a completion is refused by it: what is shown is what decides.
use crate::{
    allowance::Exceeded,
    cart::CartLine,
    money::{Currency, Money},
    offer::Offer,
    pricing::{Priced, PricingProblem, SkipReason},
    sku::Sku,
    store::QuantityLimits,
};

/// One thing that is wrong or that the buyer should see. Codes, once published, keep their meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CartProblem {
    /// Archived, or without a price here.
    Unavailable { sku: Sku },
    /// Nothing of it can be had.
    OutOfStock { sku: Sku },
    /// Less of it can be had than is in the cart.
    Insufficient { sku: Sku, quantity: u32, available: u32 },
    /// Since the line was last set.
    PriceChanged { sku: Sku, was: Money, now: Money },
    /// Fewer units than are sold at once.
    BelowMinimum { sku: Sku, quantity: u32, minimum: u32 },
    /// More units than one purchase may hold.
    AboveMaximum { sku: Sku, quantity: u32, maximum: u32 },
    /// More units than one customer may buy within some days.
    AboveCustomerMaximum(Exceeded),
    /// More units of all things together than one purchase may hold.
    TooManyUnits { quantity: u32, maximum: u32 },
    /// The chosen method does not reach the address, or is no longer offered.
    ShippingUnavailable { method: String },
    /// The store sells in another currency than when the cart was made; it is priced in that one.
    CurrencyChanged { was: Currency, now: Currency },
    /// The tax service does not answer, or not for all of it: tax is shown by the store's own table.
    TaxEstimated,
    /// A code takes nothing off; `reason` as in the promotions that were skipped.
    CodeNotApplied { code: String, reason: &'static str },
}

impl CartProblem {
    /// The stable name on the wire.
    pub const fn code(&self) -> &'static str {
        match self {
            CartProblem::Unavailable { .. } => "unavailable",
            CartProblem::OutOfStock { .. } => "out_of_stock",
            CartProblem::Insufficient { .. } => "insufficient_stock",
            CartProblem::PriceChanged { .. } => "price_changed",
            CartProblem::BelowMinimum { .. } => "below_minimum",
            CartProblem::AboveMaximum { .. } => "above_maximum",
            CartProblem::AboveCustomerMaximum(_) => "above_customer_maximum",
            CartProblem::TooManyUnits { .. } => "too_many_units",
            CartProblem::ShippingUnavailable { .. } => "shipping_unavailable",
            CartProblem::CurrencyChanged { .. } => "currency_changed",
            CartProblem::TaxEstimated => "tax_estimated",
            CartProblem::CodeNotApplied { .. } => "code_not_applied",
        }
    }

    /// The line it is about.
    pub const fn sku(&self) -> Option<&Sku> {
        match self {
            CartProblem::Unavailable { sku }
            | CartProblem::OutOfStock { sku }
            | CartProblem::Insufficient { sku, .. }
            | CartProblem::PriceChanged { sku, .. }
            | CartProblem::BelowMinimum { sku, .. }
            | CartProblem::AboveMaximum { sku, .. }
            | CartProblem::AboveCustomerMaximum(Exceeded { sku, .. }) => Some(sku),
            CartProblem::TooManyUnits { .. }
            | CartProblem::ShippingUnavailable { .. }
            | CartProblem::CurrencyChanged { .. }
            | CartProblem::TaxEstimated
            | CartProblem::CodeNotApplied { .. } => None,
        }
    }

    /// Whether a completion is refused for it. The others are notices: a new price is agreed to by sending it
    /// back as the expected total, and estimated tax ends by asking the service again.
    pub const fn blocks(&self) -> bool {
        !matches!(
            self,
            CartProblem::PriceChanged { .. }
                | CartProblem::CurrencyChanged { .. }
                | CartProblem::TaxEstimated
                | CartProblem::CodeNotApplied { .. }
        )
    }
}

/// What is wrong with the lines of a cart. `offers` and `available` stand beside `lines`; without `available`
/// nothing is said about stock, because the stock itself will be asked.
pub fn of_lines(
    lines: &[CartLine],
    offers: &[Option<Offer>],
    available: Option<&[i64]>,
    limits: &QuantityLimits,
) -> Vec<CartProblem> {
    let mut problems = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let (sku, quantity) = (line.sku.clone(), line.quantity.get());
        let Some(offer) = offers.get(index).and_then(Option::as_ref) else {
            problems.push(CartProblem::Unavailable { sku });
            continue;
        };
        if offer.price != line.price_when_added {
            problems.push(CartProblem::PriceChanged { sku: sku.clone(), was: line.price_when_added, now: offer.price });
        }
        let (minimum, maximum) = limits.of(&sku);
        if quantity < minimum {
            problems.push(CartProblem::BelowMinimum { sku: sku.clone(), quantity, minimum });
        }
        if quantity > maximum {
            problems.push(CartProblem::AboveMaximum { sku: sku.clone(), quantity, maximum });
        }
        let units = available.and_then(|it| it.get(index)).map(|it| u32::try_from((*it).max(0)).unwrap_or(u32::MAX));
        match units {
            Some(0) => problems.push(CartProblem::OutOfStock { sku }),
            Some(available) if available < quantity => {
                problems.push(CartProblem::Insufficient { sku, quantity, available });
            }
            _ => {}
        }
    }
    let quantity = lines.iter().map(|it| it.quantity.get()).fold(0, u32::saturating_add);
    if let Some(maximum) = limits.per_cart.filter(|it| quantity > *it) {
        problems.push(CartProblem::TooManyUnits { quantity, maximum });
    }
    problems
}

/// What pricing found: goods without a price here or of unknown tax, and codes that take nothing off.
pub fn of_pricing(priced: &Priced, problems: &mut Vec<CartProblem>) {
    for problem in &priced.problems {
        let found = match problem {
            PricingProblem::NoPrice { sku } => CartProblem::Unavailable { sku: sku.clone() },
            PricingProblem::TaxUnknown { .. } => CartProblem::TaxEstimated,
        };
        if !problems.contains(&found) {
            problems.push(found);
        }
    }
    for skipped in &priced.skipped {
        let Some(code) = &skipped.code else { continue };
        // Whether a code that is for others exists is nobody's business.
        let reason = match &skipped.reason {
            SkipReason::WrongCustomer => SkipReason::UnknownCode.name(),
            reason => reason.name(),
        };
        problems.push(CartProblem::CodeNotApplied { code: code.to_string(), reason });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{quantity::Quantity, store::SkuLimit};

    #[test]
    fn every_line_is_told_what_is_wrong_with_it() {
        let gbp = |minor| Money::new(minor, Currency::parse("GBP").unwrap());
        let line = |name: &str, units| CartLine {
            sku: Sku::parse(name).unwrap(),
            quantity: Quantity::new(units).unwrap(),
            price_when_added: gbp(100),
        };
        let lines = [line("A", 1), line("B", 9), line("C", 3), line("D", 2), line("E", 1)];
        let limits = QuantityLimits {
            per_sku: 5,
            per_cart: Some(15),
            skus: vec![SkuLimit { sku: Sku::parse("D").unwrap(), min: 6, max: 12, per_customer: None }],
        };
        let offer = |name: &str, price| {
            Some(Offer {
                product_id: "prd_1".to_owned(),
                slug: name.to_lowercase(),
                sku: Sku::parse(name).unwrap(),
                title: name.to_owned(),
                variant_title: String::new(),
                price: gbp(price),
                tax_class: "standard".to_owned(),
                category: "goods".to_owned(),
            })
        };
        let offers = [offer("A", 100), offer("B", 100), offer("C", 120), offer("D", 100), None];
        let problems = of_lines(&lines, &offers, Some(&[0, 50, 2, -3, 7]), &limits);
        let told: Vec<_> = problems.iter().map(|it| (it.sku().map(Sku::as_str), it.code(), it.blocks())).collect();
        assert_eq!(
            told,
            [
                (Some("A"), "out_of_stock", true),
                (Some("B"), "above_maximum", true),
                (Some("C"), "price_changed", false),
                (Some("C"), "insufficient_stock", true),
                (Some("D"), "below_minimum", true),
                (Some("D"), "out_of_stock", true),
                (Some("E"), "unavailable", true),
                (None, "too_many_units", true),
            ]
        );
        assert_eq!(of_lines(&lines[..1], &offers[..1], None, &limits), []);
    }
}
