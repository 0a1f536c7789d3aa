//! Cursors for adapters that page by key: where the last item stood, and which query it belongs to.
//!
//! A cursor given back with another query is refused, since its place would mean nothing there. A forged
//! one can only name another place in the same query, so it needs no signature.
use std::cmp::Ordering;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::shared::ports::documents::{Container, Direction, Query, Scope, StoreError, Test};

/// Longest cursor read: one key of the ordered path, a partition and an id, in base64.
const CURSOR_MAX_BYTES: usize = 4 * 1024 * 1024;
/// Of the digest; a collision would only accept a cursor that is useless.
const FINGERPRINT_BYTES: usize = 9;

/// A value that documents can be ordered by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Key {
    Whole(i64),
    /// The bits of a double: its decimal text might not come back as the same number.
    Real(u64),
    Text(String),
}

impl Key {
    /// `None` for what cannot be ordered by.
    pub fn of(value: &Value) -> Option<Key> {
        match value {
            Value::String(text) => Some(Key::Text(text.clone())),
            Value::Number(number) => match number.as_i64() {
                Some(whole) => Some(Key::Whole(whole)),
                None => number.as_f64().map(|it| Key::Real(it.to_bits())),
            },
            _ => None,
        }
    }

    /// The port's order: numbers by value, then strings by code point.
    pub fn compare(&self, other: &Key) -> Ordering {
        match (self, other) {
            (Key::Text(one), Key::Text(two)) => one.cmp(two),
            (Key::Text(_), _) => Ordering::Greater,
            (_, Key::Text(_)) => Ordering::Less,
            (Key::Whole(one), Key::Whole(two)) => one.cmp(two),
            // The port's limits keep every number exact as a double, and none is NaN.
            (one, two) => one.double().partial_cmp(&two.double()).unwrap_or(Ordering::Equal),
        }
    }

    fn double(&self) -> Option<f64> {
        match self {
            Key::Whole(whole) => Some(*whole as f64),
            Key::Real(bits) => Some(f64::from_bits(*bits)),
            Key::Text(_) => None,
        }
    }
}

/// Where a page ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// Of the ordered path; absent in an unordered query.
    pub key: Option<Key>,
    pub partition: String,
    pub id: String,
}

/// What a cursor holds: the query's fingerprint and the place.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cursor {
    q: String,
    k: Option<Key>,
    p: String,
    i: String,
}

/// The cursor that continues after `place`.
pub fn write(container: Container, scope: Scope<'_>, query: &Query, place: &Place) -> String {
    let cursor = json!({
        "q": fingerprint(container, scope, query),
        "k": place.key,
        "p": place.partition,
        "i": place.id,
    });
    URL_SAFE_NO_PAD.encode(cursor.to_string())
}

/// The place that `query.after` names; `None` for the first page.
///
/// # Errors
/// `Refused` for what is not a cursor of this query.
pub fn read(container: Container, scope: Scope<'_>, query: &Query) -> Result<Option<Place>, StoreError> {
    let Some(text) = &query.after else { return Ok(None) };
    let bytes = (text.len() <= CURSOR_MAX_BYTES).then(|| URL_SAFE_NO_PAD.decode(text).ok()).flatten();
    let cursor: Option<Cursor> = bytes.and_then(|it| serde_json::from_slice(&it).ok());
    match cursor {
        Some(it) if it.q == fingerprint(container, scope, query) && it.k.is_some() == query.order.is_some() => {
            Ok(Some(Place { key: it.k, partition: it.p, id: it.i }))
        }
        _ => Err(StoreError::Refused("the cursor is not one of this query".into())),
    }
}

/// Names what is asked, without the page's size and place.
fn fingerprint(container: Container, scope: Scope<'_>, query: &Query) -> String {
    let partition = match scope {
        Scope::Partition(partition) => Some(partition),
        Scope::Container => None,
    };
    let filters: Vec<Value> = query.filters.iter().map(|it| json!([it.path, test(&it.test)])).collect();
    let order = query.order.map(|(path, direction)| json!([path, direction == Direction::Descending]));
    let asked = json!([container.name(), partition, filters, order]).to_string();
    URL_SAFE_NO_PAD.encode(&Sha256::digest(asked.as_bytes())[..FINGERPRINT_BYTES])
}

fn test(test: &Test) -> Value {
    match test {
        Test::Equal(value) => json!(["=", value]),
        Test::Less(value) => json!(["<", value]),
        Test::AtMost(value) => json!(["<=", value]),
        Test::AtLeast(value) => json!([">=", value]),
        Test::Greater(value) => json!([">", value]),
        Test::Contains(text) => json!(["in", text]),
    }
}
