//! A cart as the store API shows it.
use offpeak_domain::{
    allowance::CustomerLimit,
    cart::{CartLine, CartState},
    offer::Offer,
    pricing::{Priced, PricedLine, Totals},
    problems::CartProblem,
};
use serde::Serialize;

use super::{
    checkout::PriceFromView,
    discounts::{DiscountView, SkippedView, discounts, skipped_for_buyer},
    money::MoneyView,
};
use crate::shared::operations::carts::PricedCart;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CartView {
    pub id: String,
    /// Opens the cart, its checkout and its order, as `X-Cart-Token`.
    pub token: String,
    pub currency: String,
    /// `open`, `locked` while it is being paid for, `ordered`, `merged` into a customer's cart.
    pub state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<String>,
    /// Gifts come after what is bought.
    pub lines: Vec<CartLineView>,
    /// As they were put on, in capitals.
    pub codes: Vec<String>,
    pub discounts: Vec<DiscountView>,
    pub skipped_promotions: Vec<SkippedView>,
    pub totals: TotalsView,
    /// The tax in `totals` is by the store's own table, because the tax service gave no answer.
    pub tax_estimated: bool,
    pub problems: Vec<CartProblemView>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CartLineView {
    pub sku: String,
    pub quantity: u32,
    /// `null` for what can no longer be bought; such a line is not part of the totals.
    pub title: Option<String>,
    pub variant_title: Option<String>,
    pub slug: Option<String>,
    pub unit_price: Option<MoneyView>,
    /// Which price holds.
    pub price_from: Option<PriceFromView>,
    pub subtotal: Option<MoneyView>,
    /// The line's share of all discounts.
    pub discount: Option<MoneyView>,
    /// The promotion that gives it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gift_of: Option<String>,
}

/// `total = subtotal - discount + shipping + tax`; `discount` is that of lines and shipping together; tax that prices contain already stands in `taxIncluded`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TotalsView {
    pub subtotal: MoneyView,
    pub discount: MoneyView,
    /// `null` until a shipping method is chosen.
    pub shipping: Option<MoneyView>,
    pub tax: MoneyView,
    pub tax_included: MoneyView,
    pub total: MoneyView,
}

/// One thing between the cart and an order, or a notice. The same list stands in a completion's refusal.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CartProblemView {
    pub code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
    pub detail: String,
    /// Whether a completion is refused for it.
    pub blocking: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<MoneyView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<MoneyView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum: Option<u32>,
    /// Within which one customer may have the maximum.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promotion_code: Option<String>,
    /// As in `skippedPromotions`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
}

impl CartView {
    /// `token` is what the caller showed, or what was just made.
    pub fn new(cart: &PricedCart, token: &str) -> CartView {
        let (mut order_id, mut merged_into) = (None, None);
        let state = match &cart.cart.state {
            CartState::Open => "open",
            CartState::Locked { .. } => "locked",
            CartState::Ordered { order } => {
                order_id = Some(order.to_string());
                "ordered"
            }
            CartState::Merged { into } => {
                merged_into = Some(into.to_string());
                "merged"
            }
        };
        CartView {
            id: cart.cart.id.to_string(),
            token: token.to_owned(),
            currency: cart.cart.currency.code().to_owned(),
            state,
            order_id,
            merged_into,
            lines: lines_view(cart),
            codes: cart.cart.codes.iter().map(ToString::to_string).collect(),
            discounts: discounts(&cart.priced),
            skipped_promotions: skipped_for_buyer(&cart.priced),
            totals: totals_view(&cart.priced),
            tax_estimated: cart.problems.contains(&CartProblem::TaxEstimated),
            problems: cart.problems.iter().map(problem_view).collect(),
        }
    }
}

fn lines_view(cart: &PricedCart) -> Vec<CartLineView> {
    let bought = cart.cart.lines.iter().zip(&cart.offers).map(|(line, offer)| {
        let priced = cart.priced.lines.iter().find(|it| it.sku == line.sku && it.gift_of.is_none());
        line_view(line, offer.as_ref(), priced)
    });
    let gifts = cart.priced.lines.iter().filter(|it| it.gift_of.is_some()).map(|gift| CartLineView {
        sku: gift.sku.to_string(),
        quantity: gift.quantity.get(),
        title: Some(gift.title.clone()),
        variant_title: Some(gift.variant_title.clone()),
        slug: Some(gift.slug.clone()),
        unit_price: Some(gift.unit_price.into()),
        price_from: Some((&gift.price_from).into()),
        subtotal: Some(gift.subtotal.into()),
        discount: Some(gift.discount.into()),
        gift_of: gift.gift_of.as_ref().map(ToString::to_string),
    });
    bought.chain(gifts).collect()
}

fn line_view(line: &CartLine, offer: Option<&Offer>, priced: Option<&PricedLine>) -> CartLineView {
    CartLineView {
        sku: line.sku.to_string(),
        quantity: line.quantity.get(),
        title: offer.map(|it| it.title.clone()),
        variant_title: offer.map(|it| it.variant_title.clone()),
        slug: offer.map(|it| it.slug.clone()),
        unit_price: priced.map(|it| it.unit_price.into()),
        price_from: priced.map(|it| (&it.price_from).into()),
        subtotal: priced.map(|it| it.subtotal.into()),
        discount: priced.map(|it| it.discount.into()),
        gift_of: None,
    }
}

pub fn totals_view(priced: &Priced) -> TotalsView {
    let Totals { subtotal, discount, shipping, tax, tax_included, total } = priced.totals;
    TotalsView {
        subtotal: subtotal.into(),
        discount: discount.into(),
        shipping: priced.shipping.as_ref().map(|_| shipping.into()),
        tax: tax.into(),
        tax_included: tax_included.into(),
        total: total.into(),
    }
}

pub fn problem_view(problem: &CartProblem) -> CartProblemView {
    let view = CartProblemView {
        code: problem.code(),
        sku: problem.sku().map(ToString::to_string),
        detail: detail(problem),
        blocking: problem.blocks(),
        was: None,
        now: None,
        quantity: None,
        available: None,
        minimum: None,
        maximum: None,
        days: None,
        method: None,
        promotion_code: None,
        reason: None,
    };
    match *problem {
        CartProblem::Insufficient { quantity, available, .. } => {
            CartProblemView { quantity: Some(quantity), available: Some(available), ..view }
        }
        CartProblem::PriceChanged { was, now, .. } => {
            CartProblemView { was: Some(was.into()), now: Some(now.into()), ..view }
        }
        CartProblem::BelowMinimum { quantity, minimum, .. } => {
            CartProblemView { quantity: Some(quantity), minimum: Some(minimum), ..view }
        }
        CartProblem::AboveMaximum { quantity, maximum, .. } | CartProblem::TooManyUnits { quantity, maximum } => {
            CartProblemView { quantity: Some(quantity), maximum: Some(maximum), ..view }
        }
        CartProblem::AboveCustomerMaximum(ref it) => CartProblemView {
            quantity: Some(it.quantity),
            available: Some(it.available),
            maximum: Some(it.limit.units),
            days: Some(it.limit.days),
            ..view
        },
        CartProblem::ShippingUnavailable { ref method } => CartProblemView { method: Some(method.clone()), ..view },
        CartProblem::CodeNotApplied { ref code, reason } => {
            CartProblemView { promotion_code: Some(code.clone()), reason: Some(reason), ..view }
        }
        CartProblem::Unavailable { .. }
        | CartProblem::OutOfStock { .. }
        | CartProblem::CurrencyChanged { .. }
        | CartProblem::TaxEstimated => view,
    }
}

/// What to do about it.
fn detail(problem: &CartProblem) -> String {
    match problem {
        CartProblem::Unavailable { .. } => "This can no longer be bought; remove the line.".to_owned(),
        CartProblem::OutOfStock { .. } => "This is sold out at the moment.".to_owned(),
        CartProblem::Insufficient { available, .. } => format!("Only {available} can be had; take no more."),
        CartProblem::PriceChanged { .. } => "The price has changed since this was added.".to_owned(),
        CartProblem::BelowMinimum { minimum, .. } => format!("This is sold from {minimum} units; take more."),
        CartProblem::AboveMaximum { maximum, .. } => format!("At most {maximum} may be bought at once; take fewer."),
        CartProblem::AboveCustomerMaximum(it) => {
            let CustomerLimit { units, days } = it.limit;
            format!("One customer may have {units} in {days} days; you can take {} now.", it.available)
        }
        CartProblem::TooManyUnits { maximum, .. } => {
            format!("At most {maximum} units may be bought at once; take fewer.")
        }
        CartProblem::ShippingUnavailable { .. } => {
            "This method does not reach the address; choose one of shippingOptions.".to_owned()
        }
        CartProblem::CurrencyChanged { now, .. } => format!("The shop sells in {now} now; prices are in {now}."),
        CartProblem::TaxEstimated => "Tax is an estimate until the order is placed.".to_owned(),
        CartProblem::CodeNotApplied { code, .. } => format!("{code} takes nothing off at the moment."),
    }
}
