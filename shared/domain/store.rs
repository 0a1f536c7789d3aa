//! The store's settings: its currency, how tax is charged, what shipping costs.
use crate::{
    address::Country,
    money::{Currency, Money, MoneyError},
};

/// A share in millionths: 20 % is 200,000; 8.875 % is 88,750.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate {
    millionths: u32,
}

/// No rate above 100 %.
const WHOLE: u32 = 1_000_000;

impl Rate {
    pub const ZERO: Rate = Rate { millionths: 0 };

    /// `None` above 100 %.
    pub const fn new(millionths: u32) -> Option<Rate> {
        if millionths <= WHOLE { Some(Rate { millionths }) } else { None }
    }

    pub const fn millionths(self) -> u32 {
        self.millionths
    }

    /// Tax to add to a net amount, half a minor unit rounded up (away from zero).
    ///
    /// # Errors
    /// `Overflow`.
    pub fn on_net(self, net: Money) -> Result<Money, MoneyError> {
        divide(i128::from(net.minor()) * i128::from(self.millionths), i128::from(WHOLE), net.currency())
    }

    /// Tax contained in a gross amount, rounded the same way; net is what remains, so net + tax = gross.
    ///
    /// # Errors
    /// `Overflow`.
    pub fn within_gross(self, gross: Money) -> Result<Money, MoneyError> {
        let rate = i128::from(self.millionths);
        divide(i128::from(gross.minor()) * rate, i128::from(WHOLE) + rate, gross.currency())
    }
}

/// Half rounds away from zero.
fn divide(dividend: i128, divisor: i128, currency: Currency) -> Result<Money, MoneyError> {
    let doubled = 2 * dividend.abs() + divisor;
    let magnitude = i64::try_from(doubled / (2 * divisor)).map_err(|_| MoneyError::Overflow)?;
    Ok(Money::new(if dividend < 0 { -magnitude } else { magnitude }, currency))
}

/// One row of the tax table; the first row that fits wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaxRule {
    /// Destination; `None` fits every country.
    pub country: Option<Country>,
    /// Tax class of the goods; `None` fits every class and shipping.
    pub class: Option<String>,
    pub rate: Rate,
}

/// A flat price for one method to one country; the first row that fits wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShippingRate {
    /// Stable name in the API; `standard` exists for every country.
    pub method: String,
    pub title: String,
    /// `None` fits every country.
    pub country: Option<Country>,
    pub price: Money,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    pub currency: Currency,
    /// Where the store sells from: the destination assumed before an address is known.
    pub home: Country,
    /// Whether catalogue and shipping prices contain tax.
    pub prices_include_tax: bool,
    pub taxes: Vec<TaxRule>,
    pub shipping: Vec<ShippingRate>,
    /// The shop's name, on mails.
    pub name: String,
}

impl StoreSettings {
    pub fn tax_rate(&self, destination: Country, class: &str) -> Rate {
        let fits = |rule: &&TaxRule| {
            rule.country.is_none_or(|it| it == destination) && rule.class.as_deref().is_none_or(|it| it == class)
        };
        self.taxes.iter().find(fits).map_or(Rate::ZERO, |rule| rule.rate)
    }

    /// The methods that reach a country, in the order of the settings, one row each.
    pub fn shipping_options(&self, destination: Country) -> Vec<&ShippingRate> {
        let mut options: Vec<&ShippingRate> = Vec::new();
        for rate in &self.shipping {
            let reaches = rate.country.is_none_or(|it| it == destination);
            if reaches && !options.iter().any(|it| it.method == rate.method) {
                options.push(rate);
            }
        }
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn gbp(minor: i64) -> Money {
        Money::new(minor, Currency::parse("GBP").unwrap())
    }

    #[test]
    fn half_a_penny_goes_up() {
        let check = |net, millionths, want| assert_eq!(Rate::new(millionths).unwrap().on_net(gbp(net)), Ok(gbp(want)));
        check(1_00, 200_000, 20);
        check(10, 50_000, 1);
        check(9, 50_000, 0);
        check(-10, 50_000, -1);
        check(3_24, 190_000, 62);
        assert_eq!(Rate::new(200_000).unwrap().within_gross(gbp(1_20)), Ok(gbp(20)));
        assert_eq!(Rate::new(1_000_001), None);
        assert_eq!(Rate::new(WHOLE).unwrap().on_net(gbp(i64::MAX)), Ok(gbp(i64::MAX)));
    }

    proptest! {
        #[test]
        fn the_tax_in_a_gross_price_is_the_tax_on_its_net(net in 0_i64..10_000_000_000, millionths in 0_u32..=WHOLE) {
            let rate = Rate::new(millionths).unwrap();
            let tax = rate.on_net(gbp(net)).unwrap();
            let gross = gbp(net).plus(tax).unwrap();
            let within = rate.within_gross(gross).unwrap();
            prop_assert!((within.minor() - tax.minor()).abs() <= 1);
        }
    }
}
