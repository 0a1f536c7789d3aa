//! The document port's limits, checked in one place so that every adapter refuses the same requests:
//! the smaller limit of Cosmos DB and SQLite counts. A request that passes here is one that both can do.
//!
//! Everything refused is our own fault, never a shopper's: shoppers' input is parsed long before.
use std::{collections::HashSet, time::Duration};

use serde_json::{Number, Value};

use super::documents::{
    BATCH_MAX, BATCH_MAX_BYTES, Container, ID_MAX_BYTES, ITEM_MAX_BYTES, NUMBER_MAX, PAGE_MAX, Query, StoreError, Test,
    Write,
};

/// Filters in one query.
pub const FILTERS_MAX: usize = 8;
/// Bytes of JSON on one page; a page that would be larger is cut short, but never to nothing.
/// Source: Cosmos DB service quotas, "Maximum response size (per page): 4 MB".
pub const PAGE_MAX_BYTES: usize = 4 * 1024 * 1024;
/// Nested objects and arrays in one body. Source: Cosmos DB service quotas, "Maximum level of nesting: 128".
pub const DEPTH_MAX: usize = 100;
/// Longest time to live, in seconds. Source: Cosmos DB time to live, "maximum 2147483647".
pub const TTL_MAX_S: u64 = 2_147_483_647;

/// A write that keeps all limits, its body as the JSON text to store.
#[derive(Clone, Debug)]
pub struct CheckedWrite {
    pub write: Write,
    /// Empty for a delete.
    pub text: String,
    /// Whole seconds, 1 to [`TTL_MAX_S`].
    pub ttl_s: Option<u64>,
}

fn refuse<T>(reason: impl Into<String>) -> Result<T, StoreError> {
    Err(StoreError::Refused(reason.into()))
}

/// A partition key or an id: 1 to [`ID_MAX_BYTES`] bytes, without `/ \ ? #` and control characters, and neither `.` nor
/// `..`, which no URL can name.
///
/// # Errors
/// `Refused`.
pub fn check_key(what: &str, key: &str) -> Result<(), StoreError> {
    if key.is_empty() || key.len() > ID_MAX_BYTES {
        return refuse(format!("a {what} has 1 to {ID_MAX_BYTES} bytes, not {}", key.len()));
    }
    if matches!(key, "." | "..") {
        return refuse(format!("a {what} cannot be `{key}`"));
    }
    match key.chars().find(|it| matches!(it, '/' | '\\' | '?' | '#') || it.is_control()) {
        Some(bad) => refuse(format!("a {what} cannot hold {bad:?}")),
        None => Ok(()),
    }
}

/// # Errors
/// `Refused` for a bad key.
pub fn check_read(partition: &str, id: &str) -> Result<(), StoreError> {
    check_key("partition key", partition)?;
    check_key("document id", id)
}

/// All limits of one batch.
///
/// # Errors
/// `Refused` for an empty or oversized batch, a repeated id, a bad key, body or TTL.
pub fn check_writes(partition: &str, writes: Vec<Write>) -> Result<Vec<CheckedWrite>, StoreError> {
    check_key("partition key", partition)?;
    if writes.is_empty() || writes.len() > BATCH_MAX {
        return refuse(format!("a batch has 1 to {BATCH_MAX} writes, not {}", writes.len()));
    }
    let mut ids = HashSet::with_capacity(writes.len());
    if let Some(twice) = writes.iter().find(|it| !ids.insert(it.id())) {
        return refuse(format!("document {} stands twice in one batch", twice.id()));
    }
    let checked = writes.into_iter().map(check_write).collect::<Result<Vec<_>, _>>()?;
    let bytes: usize = checked.iter().map(|it| it.text.len()).sum();
    if bytes > BATCH_MAX_BYTES {
        return refuse(format!("a batch has at most {BATCH_MAX_BYTES} bytes, not {bytes}"));
    }
    Ok(checked)
}

fn check_write(write: Write) -> Result<CheckedWrite, StoreError> {
    check_key("document id", write.id())?;
    let (text, ttl_s) = match &write {
        Write::Create { body, ttl, .. } | Write::Replace { body, ttl, .. } => (check_body(body)?, check_ttl(*ttl)?),
        Write::Delete { .. } => (String::new(), None),
    };
    Ok(CheckedWrite { write, text, ttl_s })
}

/// A body is an object whose numbers survive as IEEE doubles. Answers its JSON text.
fn check_body(body: &Value) -> Result<String, StoreError> {
    if !body.is_object() {
        return refuse("a document is a JSON object");
    }
    check_value(body, DEPTH_MAX)?;
    let text = body.to_string();
    if text.len() > ITEM_MAX_BYTES {
        return refuse(format!("a document has at most {ITEM_MAX_BYTES} bytes, not {}", text.len()));
    }
    Ok(text)
}

fn check_value(value: &Value, depth: usize) -> Result<(), StoreError> {
    match value {
        Value::Number(number) => check_number(number),
        Value::Array(_) | Value::Object(_) if depth == 0 => {
            refuse(format!("a document nests at most {DEPTH_MAX} deep"))
        }
        Value::Array(items) => items.iter().try_for_each(|it| check_value(it, depth - 1)),
        Value::Object(members) => members.values().try_for_each(|it| check_value(it, depth - 1)),
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
    }
}

fn check_number(number: &Number) -> Result<(), StoreError> {
    // Every integer up to 2^53 is a double exactly, so this is the same bound as NUMBER_MAX.
    const MOST: f64 = 9_007_199_254_740_992.0;
    let fits = match (number.as_i64(), number.as_f64()) {
        (Some(whole), _) => whole.unsigned_abs() <= NUMBER_MAX.unsigned_abs(),
        (None, Some(double)) => number.is_f64() && double.abs() <= MOST,
        (None, None) => false,
    };
    if fits { Ok(()) } else { refuse(format!("{number} is outside ±2^53; store it as a string")) }
}

fn check_ttl(ttl: Option<Duration>) -> Result<Option<u64>, StoreError> {
    let Some(ttl) = ttl else { return Ok(None) };
    // A fraction rounds up: a document never leaves before its time.
    let seconds = ttl.as_secs().saturating_add(u64::from(ttl.subsec_nanos() > 0));
    if (1..=TTL_MAX_S).contains(&seconds) {
        Ok(Some(seconds))
    } else {
        refuse(format!("a TTL has 1 to {TTL_MAX_S} seconds, not {seconds}"))
    }
}

/// All limits of one query, but for its cursor, which only the adapter can read.
///
/// # Errors
/// `Refused` for a bad partition key, page size, path without index or value that cannot be compared.
pub fn check_query(container: Container, partition: Option<&str>, query: &Query) -> Result<(), StoreError> {
    if let Some(partition) = partition {
        check_key("partition key", partition)?;
    }
    if query.limit == 0 || query.limit > PAGE_MAX {
        return refuse(format!("a page has 1 to {PAGE_MAX} items, not {}", query.limit));
    }
    if query.filters.len() > FILTERS_MAX {
        return refuse(format!("a query has at most {FILTERS_MAX} filters, not {}", query.filters.len()));
    }
    let paths = query.filters.iter().map(|it| it.path).chain(query.order.map(|(path, _)| path));
    for path in paths {
        if !container.indexed().contains(&path) {
            return refuse(format!("{} has no index on {path}", container.name()));
        }
    }
    query.filters.iter().try_for_each(|filter| match &filter.test {
        Test::Equal(value) => check_comparable(value, true),
        Test::Less(value) | Test::AtMost(value) | Test::AtLeast(value) | Test::Greater(value) => {
            check_comparable(value, false)
        }
        Test::Contains(_) => Ok(()),
    })
}

fn check_comparable(value: &Value, equality: bool) -> Result<(), StoreError> {
    match value {
        Value::String(_) => Ok(()),
        Value::Number(number) => check_number(number),
        Value::Bool(_) if equality => Ok(()),
        _ => refuse(format!("a filter cannot compare with {value}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_that_lose_digits_as_doubles_are_refused() {
        let check = |body: Value, fits: bool| assert_eq!(check_body(&body).is_ok(), fits, "{body}");
        check(json!({"n": NUMBER_MAX}), true);
        check(json!({"n": -NUMBER_MAX}), true);
        check(json!({"n": NUMBER_MAX + 1}), false);
        check(json!({"n": -NUMBER_MAX - 1}), false);
        check(json!({"n": i64::MIN}), false);
        check(json!({"n": u64::MAX}), false);
        check(json!({"n": [{"deep": 1e300}]}), false);
        check(json!({"n": 0.1}), true);
        check(json!([]), false);
    }

    #[test]
    fn depth_is_bounded() {
        let nest = |depth: usize| (0..depth).fold(json!(1), |inner, _| json!({ "a": inner }));
        assert!(check_body(&nest(DEPTH_MAX)).is_ok());
        assert!(check_body(&nest(DEPTH_MAX + 1)).is_err());
    }

    #[test]
    fn a_ttl_rounds_up_and_is_never_zero() {
        assert_eq!(check_ttl(Some(Duration::from_millis(1))).unwrap(), Some(1));
        assert_eq!(check_ttl(Some(Duration::from_millis(2_500))).unwrap(), Some(3));
        assert!(check_ttl(Some(Duration::ZERO)).is_err() && check_ttl(Some(Duration::MAX)).is_err());
    }
}
