//! One pure function from offers, quantities and settings to a priced purchase. Cart, checkout and
//! order all use it, so they cannot differ.
use crate::{
    address::{Country, Destination},
    money::{Currency, Money, MoneyError},
    offer::Offer,
    quantity::Quantity,
    sku::Sku,
    store::{Rate, StoreSettings},
};

/// How tax was rounded; stored with every order, so that later refunds round alike.
pub const TAX_POLICY: &str = "line/half_up";

/// The class under which shipping looks up its tax.
pub const SHIPPING_TAX_CLASS: &str = "shipping";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Priced {
    pub currency: Currency,
    pub lines: Vec<PricedLine>,
    pub shipping: Option<PricedShipping>,
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
    /// Unit price times quantity, as entered.
    pub subtotal: Money,
    pub tax_rate: Rate,
    pub tax: Money,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PricedShipping {
    pub method: String,
    pub title: String,
    pub price: Money,
    pub tax_rate: Rate,
    pub tax: Money,
}

/// `total = subtotal + shipping + tax`, always; tax that prices contain already is `tax_included`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    pub subtotal: Money,
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
    #[error(transparent)]
    Money(#[from] MoneyError),
}

/// Prices the lines, shipped by `method` to `destination`; without a destination tax is that of the
/// store's home, without a method shipping is not yet part of the total.
///
/// # Errors
/// [`PricingError`].
pub fn price(
    settings: &StoreSettings,
    lines: &[(Offer, Quantity)],
    destination: Option<Country>,
    method: Option<&str>,
) -> Result<Priced, PricingError> {
    let currency = settings.currency;
    let country = destination.unwrap_or(settings.home);
    let lines = lines
        .iter()
        .map(|(offer, quantity)| priced_line(settings, offer, *quantity, country))
        .collect::<Result<Vec<_>, _>>()?;
    let shipping = method.map(|method| priced_shipping(settings, method, country)).transpose()?;

    let subtotal = Money::sum(currency, lines.iter().map(|line| line.subtotal))?;
    let shipping_price = shipping.as_ref().map_or(Money::zero(currency), |it| it.price);
    let taxes = lines.iter().map(|line| line.tax).chain(shipping.as_ref().map(|it| it.tax));
    let tax = Money::sum(currency, taxes)?;
    let zero = Money::zero(currency);
    let (tax, tax_included) = if settings.prices_include_tax { (zero, tax) } else { (tax, zero) };
    let total = subtotal.plus(shipping_price)?.plus(tax)?;
    Ok(Priced {
        currency,
        lines,
        shipping,
        totals: Totals { subtotal, shipping: shipping_price, tax, tax_included, total },
    })
}

fn priced_line(
    settings: &StoreSettings,
    offer: &Offer,
    quantity: Quantity,
    country: Country,
) -> Result<PricedLine, MoneyError> {
    let subtotal = offer.price.times(quantity.get())?;
    let tax_rate = settings.tax(&Destination::country(country), &offer.tax_class).rate();
    Ok(PricedLine {
        sku: offer.sku.clone(),
        product_id: offer.product_id.clone(),
        slug: offer.slug.clone(),
        title: offer.title.clone(),
        variant_title: offer.variant_title.clone(),
        quantity,
        unit_price: offer.price,
        subtotal,
        tax_rate,
        tax: tax_of(settings, tax_rate, subtotal)?,
    })
}

fn priced_shipping(settings: &StoreSettings, method: &str, country: Country) -> Result<PricedShipping, PricingError> {
    let destination = Destination::country(country);
    let options = settings.shipping_options(&destination);
    let rate = options.into_iter().find(|it| it.method == method).ok_or_else(|| PricingError::NoSuchMethod {
        method: method.chars().take(64).collect(),
        country: country.code().to_owned(),
    })?;
    let tax_rate = settings.tax(&destination, SHIPPING_TAX_CLASS).rate();
    Ok(PricedShipping {
        method: rate.method.clone(),
        title: rate.title.clone(),
        price: rate.price,
        tax_rate,
        tax: tax_of(settings, tax_rate, rate.price)?,
    })
}

fn tax_of(settings: &StoreSettings, rate: Rate, amount: Money) -> Result<Money, MoneyError> {
    if settings.prices_include_tax { rate.within_gross(amount) } else { rate.on_net(amount) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{QuantityLimits, ShippingRate, TaxRule, Zone};
    use proptest::prelude::*;

    fn gbp(minor: i64) -> Money {
        Money::new(minor, Currency::parse("GBP").unwrap())
    }

    fn settings(prices_include_tax: bool) -> StoreSettings {
        let rule = |country: Option<&str>, millionths| TaxRule {
            country: country.map(|it| Country::parse(it).unwrap()),
            region: None,
            class: None,
            rate: Rate::new(millionths).unwrap(),
            reason: None,
        };
        let rate = |method: &str, country: Option<&str>, price| ShippingRate {
            method: method.to_owned(),
            title: method.to_owned(),
            zone: Zone::country(country.map(|it| Country::parse(it).unwrap())),
            price: gbp(price),
            free_from: None,
            pickup: None,
        };
        StoreSettings {
            currency: Currency::parse("GBP").unwrap(),
            home: Country::parse("GB").unwrap(),
            prices_include_tax,
            taxes: vec![rule(Some("GB"), 200_000), rule(None, 0)],
            shipping: vec![
                rate("standard", Some("GB"), 395),
                rate("standard", None, 1295),
                rate("express", Some("GB"), 795),
            ],
            name: "Test".to_owned(),
            limits: QuantityLimits::default(),
            guest_lookup_hours: 2,
            tax_provider: None,
        }
    }

    fn offer(sku: &str, price: i64) -> Offer {
        Offer {
            product_id: "prd_1".to_owned(),
            slug: sku.to_lowercase(),
            sku: Sku::parse(sku).unwrap(),
            title: sku.to_owned(),
            variant_title: String::new(),
            price: gbp(price),
            tax_class: "standard".to_owned(),
        }
    }

    #[test]
    fn tax_is_added_or_contained() {
        let lines = [(offer("A", 333), Quantity::new(3).unwrap()), (offer("B", 1), Quantity::new(1).unwrap())];
        let net = price(&settings(false), &lines, None, Some("standard")).unwrap().totals;
        assert_eq!((net.subtotal, net.shipping, net.tax, net.tax_included), (gbp(1000), gbp(395), gbp(279), gbp(0)));
        assert_eq!(net.total, gbp(1674));
        let gross = price(&settings(true), &lines, None, Some("standard")).unwrap().totals;
        assert_eq!((gross.tax, gross.tax_included, gross.total), (gbp(0), gbp(167 + 66), gbp(1395)));
    }

    #[test]
    fn shipping_and_tax_follow_the_country() {
        let lines = [(offer("A", 1000), Quantity::new(1).unwrap())];
        let to =
            |code: &str, method| price(&settings(false), &lines, Some(Country::parse(code).unwrap()), Some(method));
        assert_eq!(to("FR", "standard").unwrap().totals.total, gbp(2295));
        assert!(matches!(to("FR", "express"), Err(PricingError::NoSuchMethod { .. })));
        assert_eq!(to("GB", "express").unwrap().totals.shipping, gbp(795));
    }

    #[test]
    fn more_than_i64_is_refused() {
        let lines = [(offer("A", i64::MAX / 10), Quantity::new(999).unwrap())];
        assert_eq!(price(&settings(false), &lines, None, None), Err(PricingError::Money(MoneyError::Overflow)));
    }

    proptest! {
        #[test]
        fn a_total_is_the_sum_of_its_parts(
            goods in proptest::collection::vec((0_i64..10_000_000, 1_u32..=999), 0..20),
            included: bool,
        ) {
            let lines: Vec<_> = goods.iter().enumerate()
                .map(|(n, (price, quantity))| (offer(&format!("S{n}"), *price), Quantity::new(*quantity).unwrap()))
                .collect();
            let totals = price(&settings(included), &lines, None, Some("standard")).unwrap().totals;
            prop_assert_eq!(totals.total, totals.subtotal.plus(totals.shipping).unwrap().plus(totals.tax).unwrap());
            let goods: i64 = goods.iter().map(|(price, quantity)| price * i64::from(*quantity)).sum();
            prop_assert_eq!(totals.subtotal.minor(), goods);
        }
    }
}
