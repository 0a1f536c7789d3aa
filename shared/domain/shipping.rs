//! What delivery costs and where it goes: one row per method and zone, or a place to collect from.
use crate::{
    address::{Address, Country, Destination},
    money::Money,
};

/// Rows of a shipping table.
pub const SHIPPING_RATES_MAX: usize = 200;

/// A set of destinations. An empty list does not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Zone {
    pub countries: Vec<Country>,
    /// States or provinces, compared without regard to case.
    pub regions: Vec<String>,
    /// Beginnings of postal codes, compared without regard to case, spaces and hyphens.
    pub postal_prefixes: Vec<String>,
}

impl Zone {
    /// One country, or everywhere.
    pub fn country(country: Option<Country>) -> Zone {
        Zone { countries: country.into_iter().collect(), ..Zone::default() }
    }

    /// A destination without region or postal code lies outside a zone that asks for one.
    pub fn contains(&self, destination: &Destination) -> bool {
        let postal = destination.postal_code.as_deref().map(postal_form);
        (self.countries.is_empty() || self.countries.contains(&destination.country))
            && (self.regions.is_empty() || self.regions.iter().any(|it| destination.is_in_region(it)))
            && (self.postal_prefixes.is_empty()
                || postal.is_some_and(|code| self.postal_prefixes.iter().any(|it| code.starts_with(&postal_form(it)))))
    }
}

/// As postal codes are compared: letters and digits only, in capitals.
fn postal_form(code: &str) -> String {
    code.chars().filter(|it| it.is_alphanumeric()).flat_map(char::to_uppercase).collect()
}

/// A place where buyers collect their goods: stock comes from there, and tax is that of its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pickup {
    /// Name of the stock location.
    pub location: String,
    pub address: Address,
}

/// A price for one method to one zone; of the rows of a method the first that fits wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShippingRate {
    /// Stable name in the API.
    pub method: String,
    pub title: String,
    pub zone: Zone,
    pub price: Money,
    /// From this much of goods on, the price is nothing.
    pub free_from: Option<Money>,
    /// Nothing is sent: the buyer comes.
    pub pickup: Option<Pickup>,
}

impl ShippingRate {
    /// What it costs to send goods that cost this much, before promotions.
    pub fn price_for(&self, goods: Money) -> Money {
        let free = self.free_from.is_some_and(|from| goods.minor() >= from.minor());
        if free { Money::zero(self.price.currency()) } else { self.price }
    }
}

/// The methods that reach a destination, in the order of the rows, one row each.
pub fn options<'a>(rates: &'a [ShippingRate], destination: &Destination) -> Vec<&'a ShippingRate> {
    let mut options: Vec<&ShippingRate> = Vec::new();
    for rate in rates.iter().filter(|it| it.zone.contains(destination)) {
        if !options.iter().any(|it| it.method == rate.method) {
            options.push(rate);
        }
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;

    fn country(code: &str) -> Country {
        Country::parse(code).unwrap()
    }

    fn rate(method: &str, zone: Zone, price: i64) -> ShippingRate {
        let price = Money::new(price, Currency::parse("GBP").unwrap());
        ShippingRate { method: method.to_owned(), title: method.to_owned(), zone, price, free_from: None, pickup: None }
    }

    #[test]
    fn the_first_row_of_a_method_that_reaches_wins() {
        let highlands = Zone {
            countries: vec![country("GB")],
            postal_prefixes: vec!["IV".to_owned(), "kw 1".to_owned()],
            ..Zone::default()
        };
        let states = Zone { countries: vec![country("US")], regions: vec!["HI".to_owned()], ..Zone::default() };
        let rates = [
            rate("standard", highlands, 900),
            rate("standard", Zone::country(Some(country("GB"))), 395),
            rate("express", Zone::country(Some(country("GB"))), 795),
            rate("standard", states, 2500),
            rate("standard", Zone::default(), 1495),
        ];
        let prices = |destination: &Destination| -> Vec<i64> {
            options(&rates, destination).iter().map(|it| it.price.minor()).collect()
        };
        let gb = |code: Option<&str>| Destination {
            postal_code: code.map(ToOwned::to_owned),
            ..Destination::country(country("GB"))
        };
        assert_eq!(prices(&gb(Some("iv2 7gd"))), [900, 795]);
        assert_eq!(prices(&gb(Some("KW15 1AA"))), [900, 795]);
        assert_eq!(prices(&gb(Some("KW2"))), [395, 795]);
        assert_eq!(prices(&gb(None)), [395, 795]);
        let hawaii = Destination { region: Some("hi".to_owned()), ..Destination::country(country("US")) };
        assert_eq!(prices(&hawaii), [2500]);
        assert_eq!(prices(&Destination::country(country("US"))), [1495]);
        let only_gb = [rate("standard", Zone::country(Some(country("GB"))), 1)];
        assert!(options(&only_gb, &Destination::country(country("FR"))).is_empty());
    }

    #[test]
    fn enough_goods_travel_free() {
        let pounds = |minor| Money::new(minor, Currency::parse("GBP").unwrap());
        let rate = ShippingRate { free_from: Some(pounds(5000)), ..rate("standard", Zone::default(), 395) };
        assert_eq!(rate.price_for(pounds(4999)), pounds(395));
        assert_eq!(rate.price_for(pounds(5000)), pounds(0));
    }
}
