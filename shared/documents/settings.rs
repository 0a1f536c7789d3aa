//! Container `stores`, partition `main`: the store's settings.
use offpeak_domain::{
    address::{Address, Country},
    allowance::CustomerLimit,
    money::{Currency, Money},
    payment::CaptureWhen,
    quantity::QUANTITY_MAX,
    rounding::Rounding,
    sku::Sku,
    store::{
        GUEST_LOOKUP_HOURS, Pickup, QuantityLimits, Rate, ShippingRate, SkuLimit, StoreSettings, TaxProvider,
        TaxReason, TaxRule, Zone,
    },
};
use serde::{Deserialize, Serialize};

use super::{Minor, Seen, Stored, currency_text, parse, put, sku_text, stock::StockDocument};
use crate::shared::ports::documents::{Container, Document, Documents, ETag, StoreError, Write};

/// The one store of this deployment.
pub const STORE: &str = "main";
const ID: &str = "settings";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SettingsDocument {
    name: String,
    #[serde(with = "currency_text")]
    currency: Currency,
    home: String,
    prices_include_tax: bool,
    /// As [`Rounding`] writes itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rounding: Option<String>,
    taxes: Vec<TaxDocument>,
    shipping: Vec<ShippingDocument>,
    // What follows came later: a document without it means what the defaults say.
    #[serde(default)]
    limits: LimitsDocument,
    #[serde(default = "guest_lookup_hours")]
    guest_lookup_hours: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tax_provider: Option<TaxProviderDocument>,
    #[serde(default)]
    stock: StockDocument,
    #[serde(default)]
    payments: PaymentsDocument,
}

fn guest_lookup_hours() -> u32 {
    GUEST_LOOKUP_HOURS
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TaxDocument {
    country: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    class: Option<String>,
    millionths: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ShippingDocument {
    method: String,
    title: String,
    /// How one country was written before there were zones; read, never written.
    #[serde(default, skip_serializing)]
    country: Option<String>,
    #[serde(default)]
    countries: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    regions: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    postal_prefixes: Vec<String>,
    price: Minor,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    free_from: Option<Minor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pickup: Option<PickupDocument>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PickupDocument {
    location: String,
    name: String,
    line1: String,
    line2: Option<String>,
    city: String,
    region: Option<String>,
    postal_code: String,
    country: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LimitsDocument {
    per_sku: u32,
    per_cart: Option<u32>,
    skus: Vec<SkuLimitDocument>,
}

impl Default for LimitsDocument {
    fn default() -> LimitsDocument {
        LimitsDocument { per_sku: QUANTITY_MAX, per_cart: None, skus: Vec::new() }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SkuLimitDocument {
    #[serde(with = "sku_text")]
    sku: Sku,
    min: u32,
    max: u32,
    #[serde(default, rename = "perCustomer", skip_serializing_if = "Option::is_none")]
    per_customer: Option<CustomerLimitDocument>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CustomerLimitDocument {
    units: u32,
    days: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TaxProviderDocument {
    url: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PaymentsDocument {
    capture: String,
}

impl Default for PaymentsDocument {
    fn default() -> PaymentsDocument {
        PaymentsDocument { capture: CaptureWhen::default().name().to_owned() }
    }
}

impl Stored for SettingsDocument {
    const SCHEMA: &'static str = "settings/1";
}

/// `None` before the first import or seed.
///
/// # Errors
/// As the port's.
pub async fn read_settings(documents: &dyn Documents) -> Result<Option<Seen<StoreSettings>>, StoreError> {
    documents.read(Container::Stores, STORE, ID).await?.map(settings).transpose()
}

/// Settings from the JSON text of their stored form.
///
/// # Errors
/// `Unreadable`.
pub fn parse_settings(json: &str) -> Result<StoreSettings, StoreError> {
    let unreadable = |err: serde_json::Error| StoreError::Unreadable { id: ID.to_owned(), reason: err.to_string() };
    let body = serde_json::from_str(json).map_err(unreadable)?;
    let (partition, id, etag) = (STORE.to_owned(), ID.to_owned(), ETag(String::new()));
    settings(Document { partition, id, etag, body }).map(|seen| seen.value)
}

fn settings(document: Document) -> Result<Seen<StoreSettings>, StoreError> {
    let Seen { value, etag } = parse::<SettingsDocument>(document)?;
    let unreadable = |reason: String| StoreError::Unreadable { id: ID.to_owned(), reason };
    let taxes = value.taxes.into_iter().map(TaxDocument::into_domain).collect::<Result<_, _>>();
    let currency = value.currency;
    let shipping = value.shipping.into_iter().map(|it| it.into_domain(currency)).collect::<Result<_, _>>();
    let settings = StoreSettings {
        currency,
        home: country(&value.home).map_err(unreadable)?,
        prices_include_tax: value.prices_include_tax,
        rounding: match value.rounding.as_deref() {
            None => Rounding::default(),
            Some(text) => Rounding::parse(text).ok_or_else(|| unreadable(format!("rounding `{text}`")))?,
        },
        taxes: taxes.map_err(unreadable)?,
        shipping: shipping.map_err(unreadable)?,
        name: value.name,
        limits: value.limits.into(),
        guest_lookup_hours: value.guest_lookup_hours,
        tax_provider: value.tax_provider.map(|it| TaxProvider { url: it.url }),
        stock: value.stock.into_domain().map_err(unreadable)?,
        capture: CaptureWhen::parse(&value.payments.capture)
            .ok_or_else(|| unreadable(format!("capture `{}`", value.payments.capture)))?,
    };
    Ok(Seen { value: settings, etag })
}

fn country(code: &str) -> Result<Country, String> {
    Country::parse(code).map_err(|err| err.to_string())
}

impl TaxDocument {
    fn into_domain(self) -> Result<TaxRule, String> {
        let reason = self.reason.map(|it| TaxReason::parse(&it).ok_or_else(|| format!("unknown tax reason {it}")));
        Ok(TaxRule {
            country: self.country.as_deref().map(country).transpose()?,
            region: self.region,
            class: self.class,
            rate: Rate::new(self.millionths).ok_or("a tax rate above 100 %")?,
            reason: reason.transpose()?,
        })
    }
}

impl From<&TaxRule> for TaxDocument {
    fn from(rule: &TaxRule) -> TaxDocument {
        TaxDocument {
            country: rule.country.map(|it| it.code().to_owned()),
            region: rule.region.clone(),
            class: rule.class.clone(),
            millionths: rule.rate.millionths(),
            reason: rule.reason.map(|it| it.name().to_owned()),
        }
    }
}

impl ShippingDocument {
    fn into_domain(self, currency: Currency) -> Result<ShippingRate, String> {
        let countries = self.country.iter().chain(&self.countries).map(|it| country(it)).collect::<Result<_, _>>()?;
        let pickup = self.pickup.map(|it| {
            let (line2, region) = (it.line2.as_deref(), it.region.as_deref());
            let address = Address::parse(&it.name, &it.line1, line2, &it.city, region, &it.postal_code, &it.country);
            address.map(|address| Pickup { location: it.location, address }).map_err(|err| err.to_string())
        });
        Ok(ShippingRate {
            method: self.method,
            title: self.title,
            zone: Zone { countries, regions: self.regions, postal_prefixes: self.postal_prefixes },
            price: Money::new(self.price.0, currency),
            free_from: self.free_from.map(|it| Money::new(it.0, currency)),
            pickup: pickup.transpose()?,
        })
    }
}

impl From<&ShippingRate> for ShippingDocument {
    fn from(rate: &ShippingRate) -> ShippingDocument {
        ShippingDocument {
            method: rate.method.clone(),
            title: rate.title.clone(),
            country: None,
            countries: rate.zone.countries.iter().map(|it| it.code().to_owned()).collect(),
            regions: rate.zone.regions.clone(),
            postal_prefixes: rate.zone.postal_prefixes.clone(),
            price: Minor(rate.price.minor()),
            free_from: rate.free_from.map(|it| Minor(it.minor())),
            pickup: rate.pickup.as_ref().map(|Pickup { location, address }| PickupDocument {
                location: location.clone(),
                name: address.name.clone(),
                line1: address.line1.clone(),
                line2: address.line2.clone(),
                city: address.city.clone(),
                region: address.region.clone(),
                postal_code: address.postal_code.clone(),
                country: address.country.code().to_owned(),
            }),
        }
    }
}

impl From<LimitsDocument> for QuantityLimits {
    fn from(limits: LimitsDocument) -> QuantityLimits {
        let skus = limits.skus.into_iter().map(|it| SkuLimit {
            sku: it.sku,
            min: it.min,
            max: it.max,
            per_customer: it.per_customer.map(|it| CustomerLimit { units: it.units, days: it.days }),
        });
        QuantityLimits { per_sku: limits.per_sku, per_cart: limits.per_cart, skus: skus.collect() }
    }
}

impl From<&QuantityLimits> for LimitsDocument {
    fn from(limits: &QuantityLimits) -> LimitsDocument {
        let skus = limits.skus.iter().map(|it| SkuLimitDocument {
            sku: it.sku.clone(),
            min: it.min,
            max: it.max,
            per_customer: it.per_customer.map(|it| CustomerLimitDocument { units: it.units, days: it.days }),
        });
        LimitsDocument { per_sku: limits.per_sku, per_cart: limits.per_cart, skus: skus.collect() }
    }
}

/// # Errors
/// `Refused` if the value has no JSON form.
pub fn put_settings(settings: &StoreSettings, seen: Option<&ETag>) -> Result<Write, StoreError> {
    let document = SettingsDocument {
        name: settings.name.clone(),
        currency: settings.currency,
        home: settings.home.code().to_owned(),
        prices_include_tax: settings.prices_include_tax,
        rounding: Some(settings.rounding.to_string()),
        taxes: settings.taxes.iter().map(Into::into).collect(),
        shipping: settings.shipping.iter().map(Into::into).collect(),
        limits: (&settings.limits).into(),
        guest_lookup_hours: settings.guest_lookup_hours,
        tax_provider: settings.tax_provider.as_ref().map(|it| TaxProviderDocument { url: it.url.clone() }),
        stock: (&settings.stock).into(),
        payments: PaymentsDocument { capture: settings.capture.name().to_owned() },
    };
    put(ID, &document, seen, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE_ZONES: &str = r#"{ "schema": "settings/1", "name": "N", "currency": "GBP", "home": "GB",
        "pricesIncludeTax": true, "taxes": [{ "country": "GB", "class": null, "millionths": 200000 }],
        "shipping": [{ "method": "standard", "title": "S", "country": "GB", "price": "395" }] }"#;

    #[test]
    fn settings_written_before_there_were_zones_mean_what_they_meant() {
        let settings = parse_settings(BEFORE_ZONES).unwrap();
        assert_eq!(settings.shipping[0].zone, Zone::country(Some(Country::parse("GB").unwrap())));
        assert_eq!((settings.guest_lookup_hours, settings.limits), (GUEST_LOOKUP_HOURS, QuantityLimits::default()));
    }

    #[test]
    fn what_is_written_is_read() {
        let mut settings = parse_settings(BEFORE_ZONES).unwrap();
        let pounds = |minor| Money::new(minor, settings.currency);
        let address = Address::parse("Shop", "1 Mill Lane", None, "Leeds", None, "LS1 1AA", "GB").unwrap();
        let pickup = ShippingRate {
            method: "collect".to_owned(),
            title: "Collect".to_owned(),
            zone: Zone { regions: vec!["X".to_owned()], postal_prefixes: vec!["LS".to_owned()], ..Zone::default() },
            price: pounds(0),
            free_from: Some(pounds(1)),
            pickup: Some(Pickup { location: "leeds".to_owned(), address }),
        };
        settings.shipping.push(pickup);
        settings.taxes[0].reason = Some(TaxReason::Export);
        let per_customer = Some(CustomerLimit { units: 6, days: 30 });
        let sku = SkuLimit { sku: Sku::parse("A").unwrap(), min: 2, max: 4, per_customer };
        settings.limits = QuantityLimits { per_sku: 9, per_cart: Some(40), skus: vec![sku] };
        settings.tax_provider = Some(TaxProvider { url: "http://127.0.0.1:9/".to_owned() });
        let Write::Create { body, .. } = put_settings(&settings, None).unwrap() else { panic!("a new document") };
        assert_eq!(parse_settings(&body.to_string()).unwrap(), settings);
    }
}
