//! The frozen, priced content of a purchase; the same form inside the checkout and inside the order.
//!
//! What was written before there were discounts, price lists and policies reads as having had none of them.
//! What a basket did not get ([`Priced::skipped`]) and what stood in its way are of the moment and not kept.
use offpeak_domain::{
    address::{Address, Country, Email},
    allowance::CustomerLimit,
    checkout::Buyer,
    money::{Currency, Money},
    price_list::{PriceListId, PriceSource},
    pricing::{Discount, Limits, Priced, PricedLine, PricedShipping, Totals},
    promotion::{CouponCode, PromotionId},
    quantity::Quantity,
    rounding::Rounding,
    sku::Sku,
    store::Rate,
    tax::TaxReason,
};
use serde::{Deserialize, Serialize};

use super::super::{Minor, currency_text, sku_text};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PricedDocument {
    #[serde(with = "currency_text")]
    currency: Currency,
    /// As [`Rounding`] writes itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rounding: Option<String>,
    /// Whether the amounts of lines and shipping contain tax; absent where it does not matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    amounts_with_tax: Option<bool>,
    lines: Vec<LineDocument>,
    shipping: Option<ShippingDocument>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    discounts: Vec<DiscountDocument>,
    subtotal: Minor,
    #[serde(default)]
    discount: Minor,
    shipping_total: Minor,
    tax: Minor,
    tax_included: Minor,
    total: Minor,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LineDocument {
    #[serde(with = "sku_text")]
    sku: Sku,
    product_id: String,
    slug: String,
    title: String,
    variant_title: String,
    quantity: u32,
    unit_price: Minor,
    /// `None`: the catalogue's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    price_list: Option<PriceListDocument>,
    subtotal: Minor,
    #[serde(default)]
    discount: Minor,
    tax_millionths: u32,
    tax: Minor,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tax_reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gift_of: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    customer_limit: Option<CustomerLimitDocument>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CustomerLimitDocument {
    units: u32,
    days: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PriceListDocument {
    id: String,
    from_units: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DiscountDocument {
    promotion: String,
    code: Option<String>,
    title: String,
    amount: Minor,
    lines: Vec<Minor>,
    shipping: Minor,
    total_limit: Option<u32>,
    per_customer_limit: Option<u32>,
    first_order: bool,
    single_use_code: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ShippingDocument {
    method: String,
    title: String,
    price: Minor,
    #[serde(default)]
    discount: Minor,
    tax_millionths: u32,
    tax: Minor,
}

impl From<&Priced> for PricedDocument {
    fn from(priced: &Priced) -> PricedDocument {
        PricedDocument {
            currency: priced.currency,
            rounding: Some(priced.rounding.to_string()),
            amounts_with_tax: Some(priced.tax_included),
            lines: priced.lines.iter().map(Into::into).collect(),
            shipping: priced.shipping.as_ref().map(Into::into),
            discounts: priced.discounts.iter().map(Into::into).collect(),
            subtotal: minor(priced.totals.subtotal),
            discount: minor(priced.totals.discount),
            shipping_total: minor(priced.totals.shipping),
            tax: minor(priced.totals.tax),
            tax_included: minor(priced.totals.tax_included),
            total: minor(priced.totals.total),
        }
    }
}

fn minor(money: Money) -> Minor {
    Minor(money.minor())
}

impl From<&PricedLine> for LineDocument {
    fn from(line: &PricedLine) -> LineDocument {
        LineDocument {
            sku: line.sku.clone(),
            product_id: line.product_id.clone(),
            slug: line.slug.clone(),
            title: line.title.clone(),
            variant_title: line.variant_title.clone(),
            quantity: line.quantity.get(),
            unit_price: minor(line.unit_price),
            price_list: match &line.price_from {
                PriceSource::Catalogue => None,
                PriceSource::List { id, tier } => Some(PriceListDocument { id: id.to_string(), from_units: *tier }),
            },
            subtotal: minor(line.subtotal),
            discount: minor(line.discount),
            tax_millionths: line.tax_rate.millionths(),
            tax: minor(line.tax),
            tax_reason: line.tax_reason.map(|it| it.name().to_owned()),
            gift_of: line.gift_of.as_ref().map(PromotionId::to_string),
            customer_limit: line.customer_limit.map(|it| CustomerLimitDocument { units: it.units, days: it.days }),
        }
    }
}

impl From<&PricedShipping> for ShippingDocument {
    fn from(shipping: &PricedShipping) -> ShippingDocument {
        ShippingDocument {
            method: shipping.method.clone(),
            title: shipping.title.clone(),
            price: minor(shipping.price),
            discount: minor(shipping.discount),
            tax_millionths: shipping.tax_rate.millionths(),
            tax: minor(shipping.tax),
        }
    }
}

impl From<&Discount> for DiscountDocument {
    fn from(discount: &Discount) -> DiscountDocument {
        DiscountDocument {
            promotion: discount.promotion.to_string(),
            code: discount.code.as_ref().map(CouponCode::to_string),
            title: discount.title.clone(),
            amount: minor(discount.amount),
            lines: discount.lines.iter().copied().map(minor).collect(),
            shipping: minor(discount.shipping),
            total_limit: discount.limits.total,
            per_customer_limit: discount.limits.per_customer,
            first_order: discount.limits.first_order,
            single_use_code: discount.limits.single_use_code,
        }
    }
}

impl PricedDocument {
    /// The reason, if what is stored breaks a rule of the domain.
    pub(super) fn into_domain(self) -> Result<Priced, String> {
        let currency = self.currency;
        let money = |minor: Minor| Money::new(minor.0, currency);
        let rounding = match self.rounding.as_deref() {
            None => Rounding::default(),
            Some(text) => Rounding::parse(text).ok_or_else(|| format!("rounding `{text}`"))?,
        };
        Ok(Priced {
            currency,
            rounding,
            tax_included: self.amounts_with_tax.unwrap_or(self.tax_included.0 != 0),
            lines: self.lines.into_iter().map(|it| it.into_domain(currency)).collect::<Result<_, _>>()?,
            shipping: self.shipping.map(|it| it.into_domain(currency)).transpose()?,
            discounts: self.discounts.into_iter().map(|it| it.into_domain(currency)).collect::<Result<_, _>>()?,
            skipped: Vec::new(),
            problems: Vec::new(),
            totals: Totals {
                subtotal: money(self.subtotal),
                discount: money(self.discount),
                shipping: money(self.shipping_total),
                tax: money(self.tax),
                tax_included: money(self.tax_included),
                total: money(self.total),
            },
        })
    }
}

fn rate(millionths: u32) -> Result<Rate, String> {
    Rate::new(millionths).ok_or_else(|| "a tax rate above 100 %".to_owned())
}

fn tax_reason(name: &str) -> Result<TaxReason, String> {
    TaxReason::parse(name).ok_or_else(|| format!("tax reason `{name}`"))
}

fn promotion_id(text: &str) -> Result<PromotionId, String> {
    PromotionId::parse(text).map_err(|err| err.to_string())
}

impl LineDocument {
    fn into_domain(self, currency: Currency) -> Result<PricedLine, String> {
        let money = |minor: Minor| Money::new(minor.0, currency);
        let price_from = match self.price_list {
            None => PriceSource::Catalogue,
            Some(list) => {
                let id = PriceListId::parse(&list.id).map_err(|err| err.to_string())?;
                PriceSource::List { id, tier: list.from_units }
            }
        };
        Ok(PricedLine {
            sku: self.sku,
            product_id: self.product_id,
            slug: self.slug,
            title: self.title,
            variant_title: self.variant_title,
            quantity: Quantity::new(self.quantity).map_err(|err| err.to_string())?,
            unit_price: money(self.unit_price),
            price_from,
            subtotal: money(self.subtotal),
            discount: money(self.discount),
            tax_rate: rate(self.tax_millionths)?,
            tax: money(self.tax),
            tax_reason: self.tax_reason.as_deref().map(tax_reason).transpose()?,
            gift_of: self.gift_of.as_deref().map(promotion_id).transpose()?,
            customer_limit: self.customer_limit.map(|it| CustomerLimit { units: it.units, days: it.days }),
        })
    }
}

impl ShippingDocument {
    fn into_domain(self, currency: Currency) -> Result<PricedShipping, String> {
        let money = |minor: Minor| Money::new(minor.0, currency);
        Ok(PricedShipping {
            method: self.method,
            title: self.title,
            price: money(self.price),
            discount: money(self.discount),
            tax_rate: rate(self.tax_millionths)?,
            tax: money(self.tax),
        })
    }
}

impl DiscountDocument {
    fn into_domain(self, currency: Currency) -> Result<Discount, String> {
        let money = |minor: Minor| Money::new(minor.0, currency);
        Ok(Discount {
            promotion: promotion_id(&self.promotion)?,
            code: self.code.as_deref().map(CouponCode::parse).transpose().map_err(|err| err.to_string())?,
            title: self.title,
            amount: money(self.amount),
            lines: self.lines.into_iter().map(money).collect(),
            shipping: money(self.shipping),
            limits: Limits {
                total: self.total_limit,
                per_customer: self.per_customer_limit,
                first_order: self.first_order,
                single_use_code: self.single_use_code,
            },
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct BuyerDocument {
    email: String,
    shipping_address: AddressDocument,
    billing_address: Option<AddressDocument>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AddressDocument {
    name: String,
    line1: String,
    line2: Option<String>,
    city: String,
    region: Option<String>,
    postal_code: String,
    country: String,
}

impl From<&Buyer> for BuyerDocument {
    fn from(buyer: &Buyer) -> BuyerDocument {
        BuyerDocument {
            email: buyer.email.as_str().to_owned(),
            shipping_address: (&buyer.shipping_address).into(),
            billing_address: buyer.billing_address.as_ref().map(Into::into),
            account: buyer.account.clone(),
        }
    }
}

impl From<&Address> for AddressDocument {
    fn from(address: &Address) -> AddressDocument {
        AddressDocument {
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

impl BuyerDocument {
    pub(super) fn into_domain(self) -> Result<Buyer, String> {
        let address = |it: AddressDocument| {
            Ok::<_, String>(Address {
                name: it.name,
                line1: it.line1,
                line2: it.line2,
                city: it.city,
                region: it.region,
                postal_code: it.postal_code,
                country: Country::parse(&it.country).map_err(|err| err.to_string())?,
            })
        };
        Ok(Buyer {
            email: Email::parse(&self.email).map_err(|err| err.to_string())?,
            shipping_address: address(self.shipping_address)?,
            billing_address: self.billing_address.map(address).transpose()?,
            account: self.account,
        })
    }
}
