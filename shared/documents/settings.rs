//! Container `stores`, partition `main`: the store's settings.
use offpeak_domain::{
    address::Country,
    money::{Currency, Money},
    store::{Rate, ShippingRate, StoreSettings, TaxRule},
};
use serde::{Deserialize, Serialize};

use super::{Minor, Seen, Stored, currency_text, parse, put};
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
    taxes: Vec<TaxDocument>,
    shipping: Vec<ShippingDocument>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TaxDocument {
    country: Option<String>,
    class: Option<String>,
    millionths: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ShippingDocument {
    method: String,
    title: String,
    country: Option<String>,
    price: Minor,
}

impl Stored for SettingsDocument {
    const SCHEMA: &'static str = "settings/1";
}

/// What a store is before anyone set it up: tax added at no rate, one flat rate to everywhere.
pub fn plain_settings(currency: Currency) -> StoreSettings {
    StoreSettings {
        currency,
        home: Country::parse("GB").unwrap_or_else(|_| unreachable!("GB is a country")),
        prices_include_tax: true,
        taxes: Vec::new(),
        shipping: vec![ShippingRate {
            method: "standard".to_owned(),
            title: "Standard delivery".to_owned(),
            country: None,
            price: Money::zero(currency),
        }],
        name: "Offpeak".to_owned(),
    }
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
    let country = |code: &str| Country::parse(code).map_err(|err| unreadable(err.to_string()));
    let mut taxes = Vec::with_capacity(value.taxes.len());
    for rule in value.taxes {
        taxes.push(TaxRule {
            country: rule.country.as_deref().map(country).transpose()?,
            class: rule.class,
            rate: Rate::new(rule.millionths).ok_or_else(|| unreadable("a tax rate above 100 %".to_owned()))?,
        });
    }
    let mut shipping = Vec::with_capacity(value.shipping.len());
    for rate in value.shipping {
        shipping.push(ShippingRate {
            method: rate.method,
            title: rate.title,
            country: rate.country.as_deref().map(country).transpose()?,
            price: Money::new(rate.price.0, value.currency),
        });
    }
    let settings = StoreSettings {
        currency: value.currency,
        home: country(&value.home)?,
        prices_include_tax: value.prices_include_tax,
        taxes,
        shipping,
        name: value.name,
    };
    Ok(Seen { value: settings, etag })
}

/// # Errors
/// `Refused` if the value has no JSON form.
pub fn put_settings(settings: &StoreSettings, seen: Option<&ETag>) -> Result<Write, StoreError> {
    let document = SettingsDocument {
        name: settings.name.clone(),
        currency: settings.currency,
        home: settings.home.code().to_owned(),
        prices_include_tax: settings.prices_include_tax,
        taxes: settings
            .taxes
            .iter()
            .map(|rule| TaxDocument {
                country: rule.country.map(|it| it.code().to_owned()),
                class: rule.class.clone(),
                millionths: rule.rate.millionths(),
            })
            .collect(),
        shipping: settings
            .shipping
            .iter()
            .map(|rate| ShippingDocument {
                method: rate.method.clone(),
                title: rate.title.clone(),
                country: rate.country.map(|it| it.code().to_owned()),
                price: Minor(rate.price.minor()),
            })
            .collect(),
    };
    put(ID, &document, seen, None)
}
