//! The frozen, priced content of a purchase; the same form inside the checkout and inside the order.
use offpeak_domain::{
    address::{Address, Country, Email},
    checkout::Buyer,
    money::{Currency, Money},
    pricing::{Priced, PricedLine, PricedShipping, Totals},
    quantity::Quantity,
    sku::Sku,
    store::Rate,
};
use serde::{Deserialize, Serialize};

use super::super::{Minor, currency_text, sku_text};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PricedDocument {
    #[serde(with = "currency_text")]
    currency: Currency,
    lines: Vec<LineDocument>,
    shipping: Option<ShippingDocument>,
    subtotal: Minor,
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
    subtotal: Minor,
    tax_millionths: u32,
    tax: Minor,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ShippingDocument {
    method: String,
    title: String,
    price: Minor,
    tax_millionths: u32,
    tax: Minor,
}

impl From<&Priced> for PricedDocument {
    fn from(priced: &Priced) -> PricedDocument {
        let minor = |money: Money| Minor(money.minor());
        PricedDocument {
            currency: priced.currency,
            lines: priced
                .lines
                .iter()
                .map(|line| LineDocument {
                    sku: line.sku.clone(),
                    product_id: line.product_id.clone(),
                    slug: line.slug.clone(),
                    title: line.title.clone(),
                    variant_title: line.variant_title.clone(),
                    quantity: line.quantity.get(),
                    unit_price: minor(line.unit_price),
                    subtotal: minor(line.subtotal),
                    tax_millionths: line.tax_rate.millionths(),
                    tax: minor(line.tax),
                })
                .collect(),
            shipping: priced.shipping.as_ref().map(|it| ShippingDocument {
                method: it.method.clone(),
                title: it.title.clone(),
                price: minor(it.price),
                tax_millionths: it.tax_rate.millionths(),
                tax: minor(it.tax),
            }),
            subtotal: minor(priced.totals.subtotal),
            shipping_total: minor(priced.totals.shipping),
            tax: minor(priced.totals.tax),
            tax_included: minor(priced.totals.tax_included),
            total: minor(priced.totals.total),
        }
    }
}

impl PricedDocument {
    /// The reason, if what is stored breaks a rule of the domain.
    pub(super) fn into_domain(self) -> Result<Priced, String> {
        let currency = self.currency;
        let money = |minor: Minor| Money::new(minor.0, currency);
        let rate = |millionths| Rate::new(millionths).ok_or_else(|| "a tax rate above 100 %".to_owned());
        let line = |line: LineDocument| {
            Ok::<_, String>(PricedLine {
                sku: line.sku,
                product_id: line.product_id,
                slug: line.slug,
                title: line.title,
                variant_title: line.variant_title,
                quantity: Quantity::new(line.quantity).map_err(|err| err.to_string())?,
                unit_price: money(line.unit_price),
                subtotal: money(line.subtotal),
                tax_rate: rate(line.tax_millionths)?,
                tax: money(line.tax),
            })
        };
        let shipping = |it: ShippingDocument| {
            Ok::<_, String>(PricedShipping {
                method: it.method,
                title: it.title,
                price: money(it.price),
                tax_rate: rate(it.tax_millionths)?,
                tax: money(it.tax),
            })
        };
        Ok(Priced {
            currency,
            lines: self.lines.into_iter().map(line).collect::<Result<_, _>>()?,
            shipping: self.shipping.map(shipping).transpose()?,
            totals: Totals {
                subtotal: money(self.subtotal),
                shipping: money(self.shipping_total),
                tax: money(self.tax),
                tax_included: money(self.tax_included),
                total: money(self.total),
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
        })
    }
}
