//! The store's settings as staff see and send them. Everything that is wrong is told at once, each fault with the
//! member it is about; nothing is stored unless all of it is right.
mod limits;
mod stock;

use offpeak_domain::{
    address::{Address, Country},
    catalogue::text::TaxClass,
    code::Code,
    money::{Currency, Money},
    payment::CaptureWhen,
    rounding::Rounding,
    shipping::SHIPPING_RATES_MAX,
    store::{GUEST_LOOKUP_HOURS_MAX, Pickup, Rate, ShippingRate, StoreSettings, TaxProvider, TaxReason, TaxRule, Zone},
    tax::TAX_RULES_MAX,
};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;
use url::Url;

use self::{
    limits::LimitsView,
    stock::{StockView, check_pickups},
};
use super::{checkout::AddressView, money::MoneyView};
use crate::shared::{
    host::problem::{Fault, Problem},
    operations::settings::{Before, ChangeSettingsError},
};

/// Longest name, title, region or postal prefix, in characters.
const TEXT_MAX: usize = 120;
/// Longest address of a tax service.
const URL_MAX: usize = 2_000;
/// Countries, regions or postal prefixes of one row.
const ZONE_MAX: usize = 300;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SettingsView {
    name: String,
    currency: String,
    home: String,
    prices_include_tax: bool,
    /// Where and how tax is rounded: `line`, `unit` or `total`, a slash, `half_up`, `half_even` or `half_down`.
    rounding: String,
    taxes: Vec<TaxView>,
    shipping: Vec<ShippingView>,
    limits: LimitsView,
    guest_lookup_hours: u32,
    tax_provider: Option<TaxProviderView>,
    payments: PaymentsView,
    stock: StockView,
}

/// What is left out keeps its value.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SettingsBody {
    name: Option<String>,
    currency: Option<String>,
    home: Option<String>,
    prices_include_tax: Option<bool>,
    rounding: Option<String>,
    taxes: Option<Vec<TaxView>>,
    shipping: Option<Vec<ShippingView>>,
    limits: Option<LimitsView>,
    guest_lookup_hours: Option<u32>,
    /// `null` takes it away.
    #[serde(default, deserialize_with = "present")]
    tax_provider: Option<Option<TaxProviderView>>,
    payments: Option<PaymentsView>,
    stock: Option<StockView>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PaymentsView {
    /// When money is taken: `at_placement` or `at_fulfilment`.
    capture: String,
}

/// Tells `null` from nothing.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TaxView {
    country: Option<String>,
    region: Option<String>,
    class: Option<String>,
    /// 20 % is 200000.
    rate_millionths: u32,
    /// Why the rate is zero: `zero_rated`, `exempt`, `export`.
    reason: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ShippingView {
    method: String,
    title: String,
    /// Empty: every country.
    #[serde(default)]
    countries: Vec<String>,
    #[serde(default)]
    regions: Vec<String>,
    #[serde(default)]
    postal_prefixes: Vec<String>,
    price: MoneyView,
    free_from: Option<MoneyView>,
    pickup: Option<PickupView>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PickupView {
    location: String,
    address: AddressView,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TaxProviderView {
    url: String,
}

/// Collects what is wrong; what a check returns after a fault is never stored.
#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, field: impl Into<String>, detail: impl Into<String>) {
        self.0.push(Fault { field: field.into(), detail: detail.into() });
    }

    fn check<T, E: ToString>(&mut self, field: &str, parsed: Result<T, E>) -> Option<T> {
        parsed.map_err(|err| self.add(field, err.to_string())).ok()
    }

    fn text(&mut self, field: &str, text: &str) -> String {
        let text = text.trim();
        if text.is_empty() || text.chars().count() > TEXT_MAX || text.chars().any(char::is_control) {
            self.add(field, format!("1 to {TEXT_MAX} printable characters"));
        }
        text.to_owned()
    }

    fn texts(&mut self, field: &str, texts: &[String]) -> Vec<String> {
        self.most(field, texts.len(), ZONE_MAX);
        texts.iter().enumerate().map(|(at, text)| self.text(&format!("{field}/{at}"), text)).collect()
    }

    fn most(&mut self, field: &str, count: usize, most: usize) {
        if count > most {
            self.add(field, format!("at most {most}"));
        }
    }

    fn between(&mut self, field: &str, number: u32, least: u32, most: u32) {
        if number < least || number > most {
            self.add(field, format!("a whole number from {least} to {most}"));
        }
    }

    fn money(&mut self, field: &str, money: &MoneyView, currency: Currency) -> Money {
        match money.parse() {
            Ok(money) if money.currency() != currency => self.add(field, format!("must be in {currency}")),
            Ok(money) if money.minor() < 0 => self.add(field, "must not be below zero"),
            Ok(money) => return money,
            Err(err) => self.add(field, err.to_string()),
        }
        Money::zero(currency)
    }
}

impl SettingsBody {
    /// The currency it names.
    ///
    /// # Errors
    /// 422 if it is none.
    pub fn currency(&self) -> Result<Option<Currency>, Problem> {
        let currency = self.currency.as_deref().map(Currency::parse).transpose();
        currency.map_err(|err| Problem::invalid("/currency", err.to_string()))
    }

    /// The settings with these changes.
    ///
    /// # Errors
    /// 422 with every fault.
    pub fn parse(&self, before: &Before) -> Result<StoreSettings, Problem> {
        let mut faults = Faults::default();
        let mut after = before.settings.clone();
        self.parse_currency(before, &mut after, &mut faults)?;
        if let Some(name) = &self.name {
            after.name = faults.text("/name", name);
        }
        if let Some(home) = self.home.as_deref().and_then(|it| faults.check("/home", Country::parse(it))) {
            after.home = home;
        }
        after.prices_include_tax = self.prices_include_tax.unwrap_or(after.prices_include_tax);
        if let Some(rounding) = &self.rounding {
            match Rounding::parse(rounding) {
                Some(rounding) => after.rounding = rounding,
                None => faults.add("/rounding", "line, unit or total, then /half_up, /half_even or /half_down"),
            }
        }
        if let Some(taxes) = &self.taxes {
            faults.most("/taxes", taxes.len(), TAX_RULES_MAX);
            let rule = |(at, it): (usize, &TaxView)| it.parse(&format!("/taxes/{at}"), &mut faults);
            after.taxes = taxes.iter().enumerate().map(rule).collect();
        }
        if let Some(shipping) = &self.shipping {
            faults.most("/shipping", shipping.len(), SHIPPING_RATES_MAX);
            let currency = after.currency;
            let rate = |(at, it): (usize, &ShippingView)| it.parse(&format!("/shipping/{at}"), currency, &mut faults);
            after.shipping = shipping.iter().enumerate().map(rate).collect();
        }
        if let Some(limits) = &self.limits {
            after.limits = limits.parse(&mut faults);
        }
        if let Some(hours) = self.guest_lookup_hours {
            faults.between("/guestLookupHours", hours, 1, GUEST_LOOKUP_HOURS_MAX);
            after.guest_lookup_hours = hours;
        }
        if let Some(provider) = &self.tax_provider {
            after.tax_provider = provider.as_ref().map(|it| it.parse(&mut faults));
        }
        if let Some(payments) = &self.payments {
            match CaptureWhen::parse(&payments.capture) {
                Some(capture) => after.capture = capture,
                None => faults.add("/payments/capture", "at_placement or at_fulfilment"),
            }
        }
        if let Some(stock) = &self.stock {
            after.stock = stock.parse(&mut faults);
        }
        check_pickups(&after.shipping, &after.stock, &mut faults);
        if faults.0.is_empty() {
            return Ok(after);
        }
        let said =
            faults.0.iter().map(|it| format!("{}: {}", it.field, it.detail)).take(3).collect::<Vec<_>>().join("; ");
        Err(Problem::new(Code::ValidationFailed, said).with("errors", json!(faults.0)))
    }

    fn parse_currency(&self, before: &Before, after: &mut StoreSettings, faults: &mut Faults) -> Result<(), Problem> {
        let Some(currency) = self.currency()?.filter(|it| *it != after.currency) else { return Ok(()) };
        if before.has_catalogue {
            faults.add(
                "/currency",
                format!(
                    "cannot change from {} any more: the catalogue, carts and orders are priced in it. Open another store",
                    after.currency
                ),
            );
        } else if self.shipping.is_none() {
            faults.add("/shipping", format!("send the shipping prices in {currency} too"));
        }
        after.currency = currency;
        Ok(())
    }
}

impl TaxView {
    fn parse(&self, field: &str, faults: &mut Faults) -> TaxRule {
        let at = |member: &str| format!("{field}/{member}");
        let rate = Rate::new(self.rate_millionths).unwrap_or_else(|| {
            faults.add(at("rateMillionths"), "at most 1000000, which is 100 %");
            Rate::ZERO
        });
        let reason = self.reason.as_deref().and_then(|name| {
            let known = TaxReason::parse(name).filter(|it| *it != TaxReason::NoRule);
            if known.is_none() {
                faults.add(at("reason"), "zero_rated, exempt or export");
            }
            known
        });
        match (self.rate_millionths, &self.reason) {
            (0, None) => faults.add(at("reason"), "a rate of zero needs its reason: zero_rated, exempt or export"),
            (1.., Some(_)) => faults.add(at("reason"), "only a rate of zero has a reason"),
            _ => {}
        }
        if let Some(class) = &self.class
            && class != SHIPPING_CLASS
        {
            faults.check(&at("class"), TaxClass::parse(class));
        }
        TaxRule {
            country: self.country.as_deref().and_then(|it| faults.check(&at("country"), Country::parse(it))),
            region: self.region.as_deref().map(|it| faults.text(&at("region"), it)),
            class: self.class.clone(),
            rate,
            reason,
        }
    }
}

/// The class under which shipping is taxed.
const SHIPPING_CLASS: &str = "shipping";

impl ShippingView {
    fn parse(&self, field: &str, currency: Currency, faults: &mut Faults) -> ShippingRate {
        let at = |member: &str| format!("{field}/{member}");
        let plain = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || matches!(it, b'-' | b'_');
        if self.method.is_empty() || self.method.len() > 64 || !self.method.bytes().all(plain) {
            faults.add(at("method"), "1 to 64 of a-z 0-9 - _");
        }
        faults.most(&at("countries"), self.countries.len(), ZONE_MAX);
        let countries = self.countries.iter().enumerate();
        let country = |(n, it): (usize, &String)| faults.check(&format!("{field}/countries/{n}"), Country::parse(it));
        ShippingRate {
            method: self.method.clone(),
            zone: Zone {
                countries: countries.filter_map(country).collect(),
                regions: faults.texts(&at("regions"), &self.regions),
                postal_prefixes: faults.texts(&at("postalPrefixes"), &self.postal_prefixes),
            },
            title: faults.text(&at("title"), &self.title),
            price: faults.money(&at("price"), &self.price, currency),
            free_from: self.free_from.as_ref().map(|it| faults.money(&at("freeFrom"), it, currency)),
            pickup: self.pickup.as_ref().and_then(|it| it.parse(&at("pickup"), faults)),
        }
    }
}

impl PickupView {
    fn parse(&self, field: &str, faults: &mut Faults) -> Option<Pickup> {
        let location = faults.text(&format!("{field}/location"), &self.location);
        let it = &self.address;
        let (line2, region) = (it.line2.as_deref(), it.region.as_deref());
        let address = Address::parse(&it.name, &it.line1, line2, &it.city, region, &it.postal_code, &it.country);
        let address = address.map_err(|err| faults.add(format!("{field}/address/{}", err.field()), err.to_string()));
        Some(Pickup { location, address: address.ok()? })
    }
}

impl TaxProviderView {
    /// Baskets and addresses of shoppers go there: only encrypted, but for a service on this machine.
    fn parse(&self, faults: &mut Faults) -> TaxProvider {
        let local = |url: &Url| matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
        let fits = |url: &Url| url.scheme() == "https" || url.scheme() == "http" && local(url);
        let url = Url::parse(&self.url).ok().filter(|it| fits(it) && self.url.len() <= URL_MAX);
        if url.is_none_or(|it| !it.username().is_empty() || it.password().is_some()) {
            faults.add("/taxProvider/url", "an https address without user name; http only for this machine itself");
        }
        TaxProvider { url: self.url.clone() }
    }
}

impl From<&StoreSettings> for SettingsView {
    fn from(settings: &StoreSettings) -> SettingsView {
        let tax = |rule: &TaxRule| TaxView {
            country: rule.country.map(|it| it.code().to_owned()),
            region: rule.region.clone(),
            class: rule.class.clone(),
            rate_millionths: rule.rate.millionths(),
            // A zero that was stored before reasons were asked for.
            reason: rule
                .reason
                .or((rule.rate == Rate::ZERO).then_some(TaxReason::ZeroRated))
                .map(|it| it.name().to_owned()),
        };
        SettingsView {
            name: settings.name.clone(),
            currency: settings.currency.to_string(),
            home: settings.home.code().to_owned(),
            prices_include_tax: settings.prices_include_tax,
            rounding: settings.rounding.to_string(),
            taxes: settings.taxes.iter().map(tax).collect(),
            shipping: settings.shipping.iter().map(Into::into).collect(),
            limits: (&settings.limits).into(),
            guest_lookup_hours: settings.guest_lookup_hours,
            tax_provider: settings.tax_provider.as_ref().map(|it| TaxProviderView { url: it.url.clone() }),
            payments: PaymentsView { capture: settings.capture.name().to_owned() },
            stock: (&settings.stock).into(),
        }
    }
}

impl From<&ShippingRate> for ShippingView {
    fn from(rate: &ShippingRate) -> ShippingView {
        ShippingView {
            method: rate.method.clone(),
            title: rate.title.clone(),
            countries: rate.zone.countries.iter().map(|it| it.code().to_owned()).collect(),
            regions: rate.zone.regions.clone(),
            postal_prefixes: rate.zone.postal_prefixes.clone(),
            price: rate.price.into(),
            free_from: rate.free_from.map(Into::into),
            pickup: rate
                .pickup
                .as_ref()
                .map(|it| PickupView { location: it.location.clone(), address: (&it.address).into() }),
        }
    }
}

impl From<ChangeSettingsError> for Problem {
    fn from(err: ChangeSettingsError) -> Problem {
        match err {
            ChangeSettingsError::Changed => {
                Problem::new(Code::EtagMismatch, "The settings have changed since you read them. Read them again.")
            }
            ChangeSettingsError::NoCurrency => Problem::invalid("/currency", "a store's first settings must name it"),
            ChangeSettingsError::Store(err) => err.into(),
        }
    }
}
