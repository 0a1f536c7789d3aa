//! One pure function from offers, quantities, promotions and settings to a priced purchase. Cart, checkout,
//! order and refunds all use it, so they cannot differ.
//!
//! In this order: lines of one SKU become one; each gets its price from the winning price list; promotions
//! take off what they may; each line's share of every discount is fixed; tax is taken from what is left, as
//! the store's policy rounds. The order in which lines or codes come in changes nothing but the order in
//! which lines are answered, because ties are settled by SKU and by promotion.
//!
//! What must hold, to the minor unit: `total = subtotal - discount + shipping + tax`; the shares of a
//! discount sum to it; no line and no shipping is below zero; line taxes and shipping's tax sum to the tax.
mod basket;
mod discounts;
mod refund;
mod taxes;

use time::OffsetDateTime;

pub use self::refund::{Amounts, line_amounts, refund_of, shipping_amounts, shipping_paid, shipping_refund_of};
use self::{
    basket::Item,
    taxes::{Base, taxes},
};
use crate::{
    address::Destination,
    allowance::CustomerLimit,
    money::{Currency, Money, MoneyError},
    offer::Offer,
    price_list::{PriceList, PriceSource},
    promotion::{CouponCode, Promotion, PromotionId, SingleUseCode},
    quantity::Quantity,
    rounding::Rounding,
    sku::Sku,
    store::{Rate, ShippingRate, StoreSettings},
    tax::{AppliedTax, ProvidedTaxes, TaxReason},
};

/// The class under which shipping looks up its tax.
pub const SHIPPING_TAX_CLASS: &str = "shipping";

/// What the shop says at this moment. Everything is found by key, so the work does not grow with the shop.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot<'a> {
    pub settings: &'a StoreSettings,
    pub price_lists: &'a [PriceList],
    pub promotions: &'a [Promotion],
    /// The goods that promotions give away, as far as they can be had now.
    pub gifts: &'a [Offer],
    /// What the store knows of the codes in the basket that are for one use.
    pub single_use_codes: &'a [SingleUseCode],
    /// Promotions whose uses are spent, for everybody or for this customer.
    pub exhausted: &'a [PromotionId],
    /// From an external tax service; `None`: the store's own table.
    pub taxes: Option<&'a ProvidedTaxes>,
}

impl<'a> Snapshot<'a> {
    /// A shop without price lists and promotions.
    pub const fn of(settings: &'a StoreSettings) -> Snapshot<'a> {
        Snapshot {
            settings,
            price_lists: &[],
            promotions: &[],
            gifts: &[],
            single_use_codes: &[],
            exhausted: &[],
            taxes: None,
        }
    }
}

/// What a customer wants, and who that is.
#[derive(Clone, Copy, Debug)]
pub struct Basket<'a> {
    pub lines: &'a [(Offer, Quantity)],
    pub codes: &'a [CouponCode],
    pub customer: &'a CustomerFacts,
    /// `None`: tax is that of the store's home.
    pub destination: Option<&'a Destination>,
    /// `None`: shipping is not yet part of the total.
    pub method: Option<&'a str>,
}

/// What prices and promotions may ask of a customer. The default is a stranger, who gets what a first order gets:
/// whether it is one is claimed when the order is completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerFacts {
    pub groups: Vec<String>,
    pub first_order: bool,
}

impl Default for CustomerFacts {
    fn default() -> CustomerFacts {
        CustomerFacts { groups: Vec::new(), first_order: true }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Priced {
    pub currency: Currency,
    /// The policy all of it was rounded by.
    pub rounding: Rounding,
    /// Whether the amounts of lines and shipping contain tax.
    pub tax_included: bool,
    /// What is bought, one line per SKU; then gifts.
    pub lines: Vec<PricedLine>,
    pub shipping: Option<PricedShipping>,
    /// In the order of their application.
    pub discounts: Vec<Discount>,
    /// Promotions and codes that take nothing off, each with the reason. Of the moment, so never stored.
    pub skipped: Vec<SkippedPromotion>,
    /// What stands between this and an order. Of the moment, so never stored.
    pub problems: Vec<PricingProblem>,
    pub totals: Totals,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PricedLine {
    pub sku: Sku,
    pub product_id: String,
    pub slug: String,
    pub title: String,
    pub variant_title: String,
    pub quantity: Quantity,
    pub unit_price: Money,
    pub price_from: PriceSource,
    /// Unit price times quantity, as entered.
    pub subtotal: Money,
    /// The line's shares of all discounts together; from zero to the subtotal.
    pub discount: Money,
    pub tax_rate: Rate,
    /// On, or contained in, subtotal less discount.
    pub tax: Money,
    /// If the rate is zero.
    pub tax_reason: Option<TaxReason>,
    /// The promotion that gives this line away; its discount is its subtotal.
    pub gift_of: Option<PromotionId>,
    /// What one customer may buy of it over several purchases; nothing is said of gifts.
    pub customer_limit: Option<CustomerLimit>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PricedShipping {
    pub method: String,
    pub title: String,
    pub price: Money,
    /// From zero to the price.
    pub discount: Money,
    pub tax_rate: Rate,
    pub tax: Money,
}

/// What one promotion takes off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discount {
    pub promotion: PromotionId,
    /// The code that opened it.
    pub code: Option<CouponCode>,
    pub title: String,
    /// The sum of `lines` and `shipping`.
    pub amount: Money,
    /// A share for each line of the purchase, in its order.
    pub lines: Vec<Money>,
    pub shipping: Money,
    pub limits: Limits,
}

/// What completing an order has to claim for a discount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub total: Option<u32>,
    pub per_customer: Option<u32>,
    pub first_order: bool,
    /// The discount's code is for one use.
    pub single_use_code: bool,
}

/// A promotion or code that takes nothing off. A code that nobody knows has no promotion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedPromotion {
    pub promotion: Option<PromotionId>,
    /// As typed; `None` for a promotion that needs no code.
    pub code: Option<CouponCode>,
    pub reason: SkipReason,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SkipReason {
    UnknownCode,
    NotYet {
        from: OffsetDateTime,
    },
    Expired {
        until: OffsetDateTime,
    },
    /// So much more has to be spent.
    BelowMinimum {
        missing: Money,
    },
    /// So many more units are needed.
    TooFewUnits {
        missing: u32,
    },
    WrongCustomer,
    NotFirstOrder,
    /// Its amounts are in another currency than the store's.
    WrongCurrency,
    /// It may not stand beside this one, and together with others this one saves more.
    NotCombinable {
        with: PromotionId,
    },
    /// Used as often as it may be.
    Exhausted,
    GiftUnavailable {
        sku: Sku,
    },
    /// It is about shipping, and none is chosen.
    NoShippingYet,
    /// Nothing in the basket is what it is about, or nothing is left to take off.
    NothingToDiscount,
    /// Another code opened the same promotion.
    AlreadyApplied,
    /// More codes or promotions than are looked at.
    TooMany,
}

impl SkipReason {
    /// The stable name on the wire.
    pub const fn name(&self) -> &'static str {
        match self {
            SkipReason::UnknownCode => "unknown_code",
            SkipReason::NotYet { .. } => "not_yet",
            SkipReason::Expired { .. } => "expired",
            SkipReason::BelowMinimum { .. } => "below_minimum",
            SkipReason::TooFewUnits { .. } => "too_few_units",
            SkipReason::WrongCustomer => "wrong_customer",
            SkipReason::NotFirstOrder => "not_first_order",
            SkipReason::WrongCurrency => "wrong_currency",
            SkipReason::NotCombinable { .. } => "not_combinable",
            SkipReason::Exhausted => "exhausted",
            SkipReason::GiftUnavailable { .. } => "gift_unavailable",
            SkipReason::NoShippingYet => "no_shipping_yet",
            SkipReason::NothingToDiscount => "nothing_to_discount",
            SkipReason::AlreadyApplied => "already_applied",
            SkipReason::TooMany => "too_many",
        }
    }
}

impl SkippedPromotion {
    /// Whether a buyer is told: of a code always; of an automatic promotion only how near it is, for who else
    /// gets a discount, or got one once, is the shop's business.
    pub const fn is_for_buyer(&self) -> bool {
        self.code.is_some()
            || matches!(
                self.reason,
                SkipReason::BelowMinimum { .. }
                    | SkipReason::TooFewUnits { .. }
                    | SkipReason::NotCombinable { .. }
                    | SkipReason::GiftUnavailable { .. }
            )
    }
}

/// What keeps a basket from being ordered as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PricingProblem {
    /// Nothing prices it in the store's currency; the line is left out.
    NoPrice { sku: Sku },
    /// The tax service said nothing of these goods (`None`: of shipping); priced by the store's table.
    TaxUnknown { sku: Option<Sku> },
}

/// `total = subtotal - discount + shipping + tax`, always; tax that prices contain already is `tax_included`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Of all lines, gifts too, before discounts.
    pub subtotal: Money,
    /// Of lines and shipping together.
    pub discount: Money,
    /// Before its discount.
    pub shipping: Money,
    /// Added on top; zero where prices include tax.
    pub tax: Money,
    /// Contained in the amounts above; zero where prices exclude tax.
    pub tax_included: Money,
    pub total: Money,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PricingError {
    #[error("no shipping method `{method}` reaches {country}")]
    NoSuchMethod { method: String, country: String },
    #[error("{sku} stands in the basket more often than one purchase may hold")]
    TooMany { sku: Sku },
    #[error(transparent)]
    Money(#[from] MoneyError),
}

impl PricingError {
    pub fn no_such_method(method: &str, destination: &Destination) -> PricingError {
        let country = destination.country.code().to_owned();
        PricingError::NoSuchMethod { method: method.chars().take(64).collect(), country }
    }
}

impl Priced {
    /// Units to hold and ship for each SKU, bought and given, by SKU.
    pub fn units(&self) -> Vec<(Sku, u32)> {
        let mut units: Vec<(Sku, u32)> = self.lines.iter().map(|it| (it.sku.clone(), it.quantity.get())).collect();
        units.sort_by(|one, other| one.0.cmp(&other.0));
        units.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
        units
    }
}

/// Prices a basket.
///
/// # Errors
/// [`PricingError`].
pub fn price(snapshot: &Snapshot<'_>, basket: &Basket<'_>, now: OffsetDateTime) -> Result<Priced, PricingError> {
    let settings = snapshot.settings;
    let mut problems = Vec::new();
    let items = basket::items(snapshot, basket, now, &mut problems)?;
    let home = Destination::country(settings.home);
    let goods = Money::sum(settings.currency, items.iter().map(|it| it.subtotal))?;
    let rate = basket.method.map(|it| shipping_rate(settings, it, basket.destination.unwrap_or(&home))).transpose()?;
    let shipping_price = rate.map(|it| it.price_for(goods));
    let mut reduction = discounts::reduce(snapshot, basket, &items, shipping_price, now)?;
    let taxed_at = settings.taxed_at(basket.destination, basket.method);

    let mut lines = Vec::with_capacity(items.len() + reduction.gifts.len());
    let bought = items.iter().map(|item| (item, None));
    let given = reduction.gifts.iter().map(|(item, by)| (item, Some(by)));
    for (item, gift_of) in bought.chain(given) {
        let shares = reduction.discounts.iter().map(|it| it.lines[lines.len()]);
        let discount = Money::sum(settings.currency, shares)?;
        let taxed = tax_of(snapshot, &taxed_at, item, &mut problems);
        let mut line = line(item, discount, taxed, gift_of);
        line.customer_limit = settings.limits.of_customer(&line.sku).filter(|_| gift_of.is_none());
        lines.push(line);
    }
    let shipping = match rate.zip(shipping_price) {
        Some((rate, price)) => {
            let discount = Money::sum(settings.currency, reduction.discounts.iter().map(|it| it.shipping))?;
            let taxed = shipping_tax(snapshot, &taxed_at, &mut problems);
            Some(shipping(rate, price, discount, taxed))
        }
        None => None,
    };
    let mut priced = Priced {
        currency: settings.currency,
        rounding: settings.rounding,
        tax_included: settings.prices_include_tax,
        lines,
        shipping,
        discounts: std::mem::take(&mut reduction.discounts),
        skipped: std::mem::take(&mut reduction.skipped),
        problems,
        totals: Totals::zero(settings.currency),
    };
    set_taxes(&mut priced)?;
    basket::restore_order(&mut priced, &items);
    priced.totals = priced.sum()?;
    Ok(priced)
}

fn shipping_rate<'a>(
    settings: &'a StoreSettings,
    method: &str,
    destination: &Destination,
) -> Result<&'a ShippingRate, PricingError> {
    let options = settings.shipping_options(destination);
    options.into_iter().find(|it| it.method == method).ok_or_else(|| PricingError::no_such_method(method, destination))
}

fn line(item: &Item<'_>, discount: Money, taxed: AppliedTax, gift_of: Option<&PromotionId>) -> PricedLine {
    PricedLine {
        sku: item.offer.sku.clone(),
        product_id: item.offer.product_id.clone(),
        slug: item.offer.slug.clone(),
        title: item.offer.title.clone(),
        variant_title: item.offer.variant_title.clone(),
        quantity: item.quantity,
        unit_price: item.unit_price,
        price_from: item.source.clone(),
        subtotal: item.subtotal,
        discount,
        tax_rate: taxed.rate(),
        tax: Money::zero(item.subtotal.currency()),
        tax_reason: taxed.reason(),
        gift_of: gift_of.cloned(),
        customer_limit: None,
    }
}

fn shipping(rate: &ShippingRate, price: Money, discount: Money, taxed: AppliedTax) -> PricedShipping {
    PricedShipping {
        method: rate.method.clone(),
        title: rate.title.clone(),
        price,
        discount,
        tax_rate: taxed.rate(),
        tax: Money::zero(price.currency()),
    }
}

fn tax_of(
    snapshot: &Snapshot<'_>,
    destination: &Destination,
    item: &Item<'_>,
    problems: &mut Vec<PricingProblem>,
) -> AppliedTax {
    if let Some(taxes) = snapshot.taxes {
        if let Some(tax) = taxes.of(&item.offer.sku) {
            return tax;
        }
        // What is given away bears no tax, so it does not matter that the service knows nothing of it.
        if !item.gift {
            problems.push(PricingProblem::TaxUnknown { sku: Some(item.offer.sku.clone()) });
        }
    }
    snapshot.settings.tax(destination, &item.offer.tax_class)
}

fn shipping_tax(snapshot: &Snapshot<'_>, destination: &Destination, problems: &mut Vec<PricingProblem>) -> AppliedTax {
    if let Some(taxes) = snapshot.taxes {
        if let Some(tax) = taxes.shipping {
            return tax;
        }
        problems.push(PricingProblem::TaxUnknown { sku: None });
    }
    snapshot.settings.tax(destination, SHIPPING_TAX_CLASS)
}

/// Taxes of lines and shipping on what is left after discounts.
fn set_taxes(priced: &mut Priced) -> Result<(), MoneyError> {
    let mut bases = Vec::with_capacity(priced.lines.len() + 1);
    for line in &priced.lines {
        let amount = line.subtotal.minus(line.discount)?;
        bases.push(Base { amount, units: line.quantity.get(), rate: line.tax_rate });
    }
    if let Some(shipping) = &priced.shipping {
        let amount = shipping.price.minus(shipping.discount)?;
        bases.push(Base { amount, units: 1, rate: shipping.tax_rate });
    }
    let taxes = taxes(&bases, priced.tax_included, priced.rounding)?;
    let of_lines = priced.lines.iter_mut().map(|it| &mut it.tax);
    for (place, tax) in of_lines.chain(priced.shipping.iter_mut().map(|it| &mut it.tax)).zip(taxes) {
        *place = tax;
    }
    Ok(())
}

impl Priced {
    fn sum(&self) -> Result<Totals, MoneyError> {
        let currency = self.currency;
        let shipping = self.shipping.iter();
        let subtotal = Money::sum(currency, self.lines.iter().map(|it| it.subtotal))?;
        let discount = Money::sum(currency, self.discounts.iter().map(|it| it.amount))?;
        let tax = Money::sum(currency, self.lines.iter().map(|it| it.tax).chain(shipping.clone().map(|it| it.tax)))?;
        let shipping = Money::sum(currency, shipping.map(|it| it.price))?;
        let zero = Money::zero(currency);
        let (tax, tax_included) = if self.tax_included { (zero, tax) } else { (tax, zero) };
        let total = subtotal.minus(discount)?.plus(shipping)?.plus(tax)?;
        Ok(Totals { subtotal, discount, shipping, tax, tax_included, total })
    }
}

impl Totals {
    pub const fn zero(currency: Currency) -> Totals {
        let zero = Money::zero(currency);
        Totals { subtotal: zero, discount: zero, shipping: zero, tax: zero, tax_included: zero, total: zero }
    }
}

#[cfg(test)]
mod tests;
