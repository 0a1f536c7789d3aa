//! The store's settings: its currency, how tax is charged, what shipping costs.
use crate::{
    address::{Country, Destination},
    allowance::CustomerLimit,
    money::{Currency, Money, MoneyError},
    payment::CaptureWhen,
    quantity::QUANTITY_MAX,
    rounding::{Rounding, RoundingMode},
    shipping,
    sku::Sku,
    stock::StockSettings,
    tax,
};
pub use crate::{
    shipping::{Pickup, ShippingRate, Zone},
    tax::{AppliedTax, TaxReason, TaxRule},
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

    /// This share of an amount: a percentage off, or the tax to add to a net amount.
    ///
    /// # Errors
    /// `Overflow`.
    pub fn on_net(self, net: Money, mode: RoundingMode) -> Result<Money, MoneyError> {
        let dividend = i128::from(net.minor()) * i128::from(self.millionths);
        rounded(mode.divide(dividend, i128::from(WHOLE)), net.currency())
    }

    /// Tax contained in a gross amount, `gross * rate / (1 + rate)`; net is what remains, so net + tax = gross.
    ///
    /// # Errors
    /// `Overflow`.
    pub fn within_gross(self, gross: Money, mode: RoundingMode) -> Result<Money, MoneyError> {
        let rate = i128::from(self.millionths);
        let dividend = i128::from(gross.minor()) * rate;
        rounded(mode.divide(dividend, i128::from(WHOLE) + rate), gross.currency())
    }
}

fn rounded(minor: i128, currency: Currency) -> Result<Money, MoneyError> {
    i64::try_from(minor).map(|minor| Money::new(minor, currency)).map_err(|_| MoneyError::Overflow)
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    pub currency: Currency,
    /// Where the store sells from: the destination assumed before an address is known.
    pub home: Country,
    /// Whether catalogue and shipping prices contain tax.
    pub prices_include_tax: bool,
    /// How tax and percentages are rounded; a purchase keeps the policy it was priced with.
    pub rounding: Rounding,
    pub taxes: Vec<TaxRule>,
    pub shipping: Vec<ShippingRate>,
    /// The shop's name, on mails.
    pub name: String,
    /// How much of one thing may be bought at once.
    pub limits: QuantityLimits,
    /// For how long after an order was placed its number and e-mail address open it.
    pub guest_lookup_hours: u32,
    /// Who says what tax is due, instead of the table above.
    pub tax_provider: Option<TaxProvider>,
    /// Where goods lie and which place serves first.
    pub stock: StockSettings,
    /// When the money of an order is taken.
    pub capture: CaptureWhen,
}

/// Hours that number and e-mail address open an order, unless the settings say otherwise, and the most they may say.
pub const GUEST_LOOKUP_HOURS: u32 = 2;
pub const GUEST_LOOKUP_HOURS_MAX: u32 = 24 * 30;

/// An external tax service: asked over HTTP for each basket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaxProvider {
    /// `http` or `https`.
    pub url: String,
}

/// Guards against buying everything up (denial of inventory).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuantityLimits {
    /// Most units of one SKU in one purchase, 1 to [`QUANTITY_MAX`].
    pub per_sku: u32,
    /// Most units in one purchase, of all SKUs together.
    pub per_cart: Option<u32>,
    /// For SKUs that differ.
    pub skus: Vec<SkuLimit>,
}

/// SKUs with a limit of their own.
pub const SKU_LIMITS_MAX: usize = 1_000;

/// What is true of one SKU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkuLimit {
    pub sku: Sku,
    /// Fewest units in one purchase, 1 or more.
    pub min: u32,
    /// Most units in one purchase.
    pub max: u32,
    /// Most units of one customer over several purchases.
    pub per_customer: Option<CustomerLimit>,
}

impl Default for QuantityLimits {
    fn default() -> QuantityLimits {
        QuantityLimits { per_sku: QUANTITY_MAX, per_cart: None, skus: Vec::new() }
    }
}

impl QuantityLimits {
    /// Fewest and most units of a SKU in one purchase.
    pub fn of(&self, sku: &Sku) -> (u32, u32) {
        self.skus.iter().find(|it| it.sku == *sku).map_or((1, self.per_sku), |it| (it.min, it.max))
    }

    /// What one customer may buy of a SKU over several purchases.
    pub fn of_customer(&self, sku: &Sku) -> Option<CustomerLimit> {
        self.skus.iter().find(|it| it.sku == *sku)?.per_customer
    }
}

impl StoreSettings {
    /// What a store is before anyone set it up: tax added at no rate, one flat rate to everywhere.
    pub fn plain(currency: Currency) -> StoreSettings {
        StoreSettings {
            currency,
            home: Country::parse("GB").unwrap_or_else(|_| unreachable!("GB is a country")),
            prices_include_tax: true,
            rounding: Rounding::default(),
            taxes: Vec::new(),
            shipping: vec![ShippingRate {
                method: "standard".to_owned(),
                title: "Standard delivery".to_owned(),
                zone: Zone::default(),
                price: Money::zero(currency),
                free_from: None,
                pickup: None,
            }],
            name: "Offpeak".to_owned(),
            limits: QuantityLimits::default(),
            guest_lookup_hours: GUEST_LOOKUP_HOURS,
            tax_provider: None,
            stock: StockSettings::default(),
            capture: CaptureWhen::default(),
        }
    }

    /// What goods of a class bear at a destination, by the store's own table.
    pub fn tax(&self, destination: &Destination, class: &str) -> AppliedTax {
        tax::applied(&self.taxes, destination, class)
    }

    /// The methods that reach a destination, in the order of the settings, one row each.
    pub fn shipping_options(&self, destination: &Destination) -> Vec<&ShippingRate> {
        shipping::options(&self.shipping, destination)
    }

    /// Where tax is due: at the place of collection if the buyer collects, at home before anything is known.
    pub fn taxed_at(&self, destination: Option<&Destination>, method: Option<&str>) -> Destination {
        let known = destination.cloned().unwrap_or_else(|| Destination::country(self.home));
        let chosen = method.and_then(|it| self.shipping_options(&known).into_iter().find(|rate| rate.method == it));
        chosen.and_then(|it| it.pickup.as_ref()).map_or(known, |it| Destination::from(&it.address))
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
        let check = |net, millionths, want| {
            let tax = Rate::new(millionths).unwrap().on_net(gbp(net), RoundingMode::HalfUp);
            assert_eq!(tax, Ok(gbp(want)));
        };
        check(1_00, 200_000, 20);
        check(10, 50_000, 1);
        check(9, 50_000, 0);
        check(-10, 50_000, -1);
        check(3_24, 190_000, 62);
        assert_eq!(Rate::new(200_000).unwrap().within_gross(gbp(1_20), RoundingMode::HalfUp), Ok(gbp(20)));
        assert_eq!(Rate::new(1_000_001), None);
        assert_eq!(Rate::new(WHOLE).unwrap().on_net(gbp(i64::MAX), RoundingMode::HalfUp), Ok(gbp(i64::MAX)));
    }

    proptest! {
        #[test]
        fn the_tax_in_a_gross_price_is_the_tax_on_its_net(net in 0_i64..10_000_000_000, millionths in 0_u32..=WHOLE) {
            let rate = Rate::new(millionths).unwrap();
            let tax = rate.on_net(gbp(net), RoundingMode::HalfUp).unwrap();
            let gross = gbp(net).plus(tax).unwrap();
            let within = rate.within_gross(gross, RoundingMode::HalfUp).unwrap();
            prop_assert!((within.minor() - tax.minor()).abs() <= 1);
        }
    }
}
