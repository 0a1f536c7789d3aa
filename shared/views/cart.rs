//! A cart as the store API shows it.
use offpeak_domain::{
    cart::{CartLine, CartState},
    offer::Offer,
    pricing::{Priced, Totals},
};
use serde::Serialize;

use super::money::MoneyView;
use crate::shared::operations::carts::{CartProblem, PricedCart};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CartView {
    pub id: String,
    /// Opens the cart, its checkout and its order, as `X-Cart-Token`.
    pub token: String,
    pub currency: String,
    /// `open`, `locked` while it is being paid for, `ordered`.
    pub state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
    pub lines: Vec<CartLineView>,
    pub totals: TotalsView,
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
    pub subtotal: Option<MoneyView>,
}

/// `total = subtotal + shipping + tax`; tax that prices contain already stands in `taxIncluded`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TotalsView {
    pub subtotal: MoneyView,
    /// `null` until a shipping method is chosen.
    pub shipping: Option<MoneyView>,
    pub tax: MoneyView,
    pub tax_included: MoneyView,
    pub total: MoneyView,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CartProblemView {
    pub code: &'static str,
    pub sku: String,
    pub detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<MoneyView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<MoneyView>,
}

impl CartView {
    /// `token` is what the caller showed, or what was just made.
    pub fn new(cart: &PricedCart, token: &str) -> CartView {
        let (state, order_id) = match &cart.cart.state {
            CartState::Open => ("open", None),
            CartState::Locked { .. } => ("locked", None),
            CartState::Ordered { order } => ("ordered", Some(order.to_string())),
        };
        CartView {
            id: cart.cart.id.to_string(),
            token: token.to_owned(),
            currency: cart.cart.currency.code().to_owned(),
            state,
            order_id,
            lines: cart
                .cart
                .lines
                .iter()
                .zip(&cart.offers)
                .map(|(line, offer)| line_view(line, offer.as_ref()))
                .collect(),
            totals: totals_view(&cart.priced),
            problems: cart.problems.iter().map(problem_view).collect(),
        }
    }
}

fn line_view(line: &CartLine, offer: Option<&Offer>) -> CartLineView {
    CartLineView {
        sku: line.sku.to_string(),
        quantity: line.quantity.get(),
        title: offer.map(|it| it.title.clone()),
        variant_title: offer.map(|it| it.variant_title.clone()),
        slug: offer.map(|it| it.slug.clone()),
        unit_price: offer.map(|it| it.price.into()),
        subtotal: offer.and_then(|it| it.price.times(line.quantity.get()).ok()).map(Into::into),
    }
}

pub fn totals_view(priced: &Priced) -> TotalsView {
    let Totals { subtotal, shipping, tax, tax_included, total } = priced.totals;
    TotalsView {
        subtotal: subtotal.into(),
        shipping: priced.shipping.as_ref().map(|_| shipping.into()),
        tax: tax.into(),
        tax_included: tax_included.into(),
        total: total.into(),
    }
}

pub fn problem_view(problem: &CartProblem) -> CartProblemView {
    let view = |code, sku: &offpeak_domain::sku::Sku, detail: &str| CartProblemView {
        code,
        sku: sku.to_string(),
        detail: detail.to_owned(),
        was: None,
        now: None,
    };
    match problem {
        CartProblem::Unavailable { sku } => view("unavailable", sku, "This can no longer be bought; remove the line."),
        CartProblem::OutOfStock { sku } => view("out_of_stock", sku, "This is sold out at the moment."),
        CartProblem::PriceChanged { sku, was, now } => CartProblemView {
            was: Some((*was).into()),
            now: Some((*now).into()),
            ..view("price_changed", sku, "The price has changed since this was added.")
        },
    }
}
