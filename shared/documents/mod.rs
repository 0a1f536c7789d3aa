//! Stored shapes: types with a `schema`, parsed on read, their partition keys, and the way to and from
//! the domain. Storage and wire change apart because each owns its shapes.
//!
//! A document that names another schema than the one expected is an error, never a default: an older
//! version is read by its own type and brought up here, in the module that owns it.
pub mod carts;
pub mod catalogue_mark;
pub mod clicks;
pub mod code_tries;
pub mod coupon_codes;
pub mod customer_carts;
pub mod inventory_sync;
pub mod jobs;
pub mod listings;
pub mod lookups;
pub mod models;
pub mod price_lists;
pub mod products;
pub mod promo_use;
pub mod promotions;
pub mod publications;
pub mod purchases;
pub mod recommendations;
pub mod rejected_updates;
pub mod settings;
pub mod stock;

use std::time::Duration;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::shared::ports::documents::{Document, ETag, StoreError, Write};

/// A stored type: its fields and the one schema name it is written under, e.g. `cart/1`.
pub trait Stored: Serialize + DeserializeOwned {
    const SCHEMA: &'static str;
}

/// A stored value with the version that was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen<T> {
    pub value: T,
    pub etag: ETag,
}

/// The JSON to store, `schema` included.
///
/// # Errors
/// `Refused` if the value has no JSON form: our own fault.
pub fn body<T: Stored>(value: &T) -> Result<Value, StoreError> {
    let mut body = serde_json::to_value(value).map_err(|err| StoreError::Refused(err.to_string()))?;
    let Some(members) = body.as_object_mut() else {
        return Err(StoreError::Refused(format!("{} is not a JSON object", T::SCHEMA)));
    };
    members.insert("schema".to_owned(), T::SCHEMA.into());
    Ok(body)
}

/// Parses a document of exactly this schema.
///
/// # Errors
/// `Unreadable`.
pub fn parse<T: Stored>(document: Document) -> Result<Seen<T>, StoreError> {
    let Document { id, etag, mut body, .. } = document;
    let unreadable = |reason: String| StoreError::Unreadable { id: id.clone(), reason };
    let schema = body.as_object_mut().and_then(|members| members.remove("schema"));
    if schema.as_ref().and_then(Value::as_str) != Some(T::SCHEMA) {
        return Err(unreadable(format!("schema is {schema:?}, this version reads {}", T::SCHEMA)));
    }
    let value = serde_json::from_value(body).map_err(|err| unreadable(err.to_string()))?;
    Ok(Seen { value, etag })
}

/// Whether a document is of this schema: for whoever reads older ones too.
fn has_schema<T: Stored>(document: &Document) -> bool {
    document.body.get("schema").and_then(Value::as_str) == Some(T::SCHEMA)
}

/// # Errors
/// As [`body`].
pub fn create<T: Stored>(id: impl Into<String>, value: &T, ttl: Option<Duration>) -> Result<Write, StoreError> {
    Ok(Write::Create { id: id.into(), body: body(value)?, ttl })
}

/// # Errors
/// As [`body`].
pub fn replace<T: Stored>(
    id: impl Into<String>,
    value: &T,
    etag: &ETag,
    ttl: Option<Duration>,
) -> Result<Write, StoreError> {
    Ok(Write::Replace { id: id.into(), body: body(value)?, etag: etag.clone(), ttl })
}

/// Create or replace, by whether something was seen.
///
/// # Errors
/// As [`body`].
pub fn put<T: Stored>(
    id: impl Into<String>,
    value: &T,
    seen: Option<&ETag>,
    ttl: Option<Duration>,
) -> Result<Write, StoreError> {
    match seen {
        Some(etag) => replace(id, value, etag, ttl),
        None => create(id, value, ttl),
    }
}

/// Minor units as a string of digits: JSON numbers lose digits beyond 2^53.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Minor(pub i64);

impl Serialize for Minor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Minor {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Minor, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map(Minor).map_err(|_| serde::de::Error::custom("minor units must be a string of digits"))
    }
}

/// For domain values whose stored form is their text: parses with the domain's own rule.
macro_rules! text_form {
    ($module:ident, $kind:ty, $parse:expr, $print:expr) => {
        pub(crate) mod $module {
            use super::*;

            pub(crate) fn serialize<S: serde::Serializer>(value: &$kind, serializer: S) -> Result<S::Ok, S::Error> {
                let print: fn(&$kind) -> String = $print;
                serializer.serialize_str(&print(value))
            }

            pub(crate) fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<$kind, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                $parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

text_form!(location_text, offpeak_domain::stock::Location, offpeak_domain::stock::Location::parse, |it| it.to_string());
text_form!(sku_text, offpeak_domain::sku::Sku, offpeak_domain::sku::Sku::parse, |it| it.to_string());
text_form!(currency_text, offpeak_domain::money::Currency, offpeak_domain::money::Currency::parse, |it| it.to_string());
text_form!(cart_id_text, offpeak_domain::ids::CartId, offpeak_domain::ids::CartId::parse, |it| it.to_string());
text_form!(checkout_id_text, offpeak_domain::ids::CheckoutId, offpeak_domain::ids::CheckoutId::parse, |it| it
    .to_string());
