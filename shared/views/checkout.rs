//! A checkout and a buyer's addresses as the store API shows and takes them.
use offpeak_domain::{
    address::{Address, AddressFault, Email},
    checkout::{CheckoutState, Step},
    price_list::PriceSource,
    pricing::PricedLine,
    problems::CartProblem,
    promotion::PromotionId,
    store::ShippingRate,
    tax::TaxReason,
};
use serde::{Deserialize, Serialize};

use super::{
    cart::{CartProblemView, TotalsView, problem_view, totals_view},
    discounts::{DiscountView, SkippedView, discounts, skipped_for_buyer},
    money::MoneyView,
};
use crate::shared::{
    host::problem::Problem,
    operations::checkouts::{Choices, PricedCheckout},
    ports::payments::CLIENT_SECRET_ACTION,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckoutView {
    pub id: String,
    pub cart_id: String,
    /// `open`, `completing`, `action_required`, `placed`.
    pub state: &'static str,
    pub email: String,
    pub shipping_address: AddressView,
    pub billing_address: Option<AddressView>,
    pub shipping_method: String,
    pub shipping_options: Vec<ShippingOptionView>,
    /// Gifts come after what is bought.
    pub lines: Vec<PricedLineView>,
    pub discounts: Vec<DiscountView>,
    pub skipped_promotions: Vec<SkippedView>,
    pub totals: TotalsView,
    /// The tax in `totals` is by the store's own table, because the tax service gave no answer.
    pub tax_estimated: bool,
    pub problems: Vec<CartProblemView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<ActionView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
}

/// An extra step for the buyer, then complete again with the same key.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum ActionView {
    /// Visit `url`.
    Redirect { url: String },
    /// Stripe's script in the buyer's page goes on with this secret (`stripe.handleNextAction`).
    StripeSdk { client_secret: String },
}

impl ActionView {
    /// What the provider asks for: a page, or a secret for its script.
    pub fn of(action: &str) -> ActionView {
        match action.strip_prefix(CLIENT_SECRET_ACTION) {
            Some(secret) => ActionView::StripeSdk { client_secret: secret.to_owned() },
            None => ActionView::Redirect { url: action.to_owned() },
        }
    }
}

#[derive(Serialize)]
pub struct ShippingOptionView {
    pub method: String,
    pub title: String,
    pub price: MoneyView,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PricedLineView {
    pub sku: String,
    pub slug: String,
    pub title: String,
    pub variant_title: String,
    pub quantity: u32,
    pub unit_price: MoneyView,
    pub subtotal: MoneyView,
    /// The line's share of all discounts.
    pub discount: MoneyView,
    pub tax: MoneyView,
    /// Why it bears no tax.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tax_reason: Option<&'static str>,
    /// The promotion that gives it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gift_of: Option<String>,
    pub price_from: PriceFromView,
}

/// Which price holds: the catalogue's, or a tier of a price list.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum PriceFromView {
    Catalogue,
    #[serde(rename_all = "camelCase")]
    List {
        id: String,
        from_units: u32,
    },
}

impl From<&PriceSource> for PriceFromView {
    fn from(source: &PriceSource) -> PriceFromView {
        match source {
            PriceSource::Catalogue => PriceFromView::Catalogue,
            PriceSource::List { id, tier } => PriceFromView::List { id: id.to_string(), from_units: *tier },
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddressView {
    pub name: String,
    pub line1: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line2: Option<String>,
    pub city: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    pub postal_code: String,
    pub country: String,
}

/// What a buyer sends; `None` leaves what was chosen before.
#[derive(Default)]
pub struct ChoicesBody {
    pub email: Option<String>,
    pub shipping_address: Option<AddressView>,
    pub billing_address: Option<AddressView>,
    pub shipping_method: Option<String>,
}

/// Longest name of a shipping method.
const METHOD_MAX: usize = 64;

impl ChoicesBody {
    /// # Errors
    /// 422 with the field at fault.
    pub fn parse(&self) -> Result<Choices, Problem> {
        let email = self.email.as_deref().map(Email::parse).transpose();
        if self.shipping_method.as_ref().is_some_and(|it| it.is_empty() || it.len() > METHOD_MAX) {
            return Err(Problem::invalid("shippingMethod", "choose one of the checkout's shippingOptions"));
        }
        Ok(Choices {
            email: email.map_err(|fault| Problem::invalid("email", fault.to_string()))?,
            shipping_address: address("shippingAddress", self.shipping_address.as_ref())?,
            billing_address: address("billingAddress", self.billing_address.as_ref())?,
            shipping_method: self.shipping_method.clone(),
        })
    }
}

fn address(field: &str, view: Option<&AddressView>) -> Result<Option<Address>, Problem> {
    let invalid = |fault: AddressFault| Problem::invalid(&format!("{field}.{}", fault.field()), fault.to_string());
    view.map(|it| {
        let (line2, region) = (it.line2.as_deref(), it.region.as_deref());
        Address::parse(&it.name, &it.line1, line2, &it.city, region, &it.postal_code, &it.country)
    })
    .transpose()
    .map_err(invalid)
}

impl From<&Address> for AddressView {
    fn from(address: &Address) -> AddressView {
        AddressView {
            name: address.name.clone(),
            line1: address.line1.clone(),
            line2: address.line2.clone(),
            city: address.city.clone(),
            region: address.region.clone(),
            postal_code: address.postal_code.clone(),
            country: address.country.code().to_owned(),
        }
    }
}

impl From<&PricedCheckout> for CheckoutView {
    fn from(seen: &PricedCheckout) -> CheckoutView {
        let checkout = &seen.checkout;
        let (state, action) = match &checkout.state {
            CheckoutState::Open => ("open", None),
            CheckoutState::Placed { .. } => ("placed", None),
            CheckoutState::Completing(attempt) => match &attempt.step {
                Step::ActionRequired { url } => ("action_required", Some(ActionView::of(url))),
                _ => ("completing", None),
            },
        };
        CheckoutView {
            id: checkout.id.to_string(),
            cart_id: checkout.id.cart().to_string(),
            state,
            email: checkout.buyer.email.as_str().to_owned(),
            shipping_address: (&checkout.buyer.shipping_address).into(),
            billing_address: checkout.buyer.billing_address.as_ref().map(Into::into),
            shipping_method: checkout.shipping_method.clone(),
            shipping_options: seen.shipping_options.iter().map(option_view).collect(),
            lines: seen.priced.lines.iter().map(line_view).collect(),
            discounts: discounts(&seen.priced),
            skipped_promotions: skipped_for_buyer(&seen.priced),
            totals: totals_view(&seen.priced),
            tax_estimated: seen.problems.contains(&CartProblem::TaxEstimated),
            problems: seen.problems.iter().map(problem_view).collect(),
            action,
            order_id: matches!(checkout.state, CheckoutState::Placed { .. }).then(|| checkout.id.order().to_string()),
        }
    }
}

pub fn option_view(rate: &ShippingRate) -> ShippingOptionView {
    ShippingOptionView { method: rate.method.clone(), title: rate.title.clone(), price: rate.price.into() }
}

pub fn line_view(line: &PricedLine) -> PricedLineView {
    PricedLineView {
        sku: line.sku.to_string(),
        slug: line.slug.clone(),
        title: line.title.clone(),
        variant_title: line.variant_title.clone(),
        quantity: line.quantity.get(),
        unit_price: line.unit_price.into(),
        subtotal: line.subtotal.into(),
        discount: line.discount.into(),
        tax: line.tax.into(),
        tax_reason: line.tax_reason.map(TaxReason::name),
        gift_of: line.gift_of.as_ref().map(PromotionId::to_string),
        price_from: (&line.price_from).into(),
    }
}
