//! Container `stock`, one partition per SKU: the level document with all locations, `hold:<checkout>`, and
//! the movements that explain every change of what is on hand and what is promised.
//!
//! What was written when a store had one location reads as that location.
mod books;
mod hold;
mod level;
mod movement;
mod settings;
mod sources;

use offpeak_domain::{
    sku::Sku,
    stock::{Entry, Hold, Levels, Location, Part},
};
use serde::{Deserialize, Serialize};

use super::Seen;
use crate::shared::ports::documents::{Container, Documents, PAGE_MAX, Query, Scope, StoreError};

pub use books::{counted_skus, holds_page, movements_page};
pub use hold::{hold_id, put_hold, read_hold};
pub use level::{LEVEL_ID, put_levels, read_levels};
pub(super) use settings::StockDocument;
pub use sources::{put_sources, read_sources};

pub use movement::{MovementId, create_movement, list_movements, read_movement};

/// The one location of a store that has set up none.
pub const MAIN: &str = "main";

/// Everything one SKU's partition holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Books {
    pub levels: Levels,
    pub holds: Vec<Hold>,
    /// In the order of their numbers.
    pub entries: Vec<Entry>,
}

/// The partition page by page; only while nobody writes is it one moment's.
///
/// # Errors
/// As the port's.
pub async fn read_books(documents: &dyn Documents, sku: &Sku) -> Result<Books, StoreError> {
    let mut books = Books::default();
    let mut query = Query { limit: PAGE_MAX, ..Query::default() };
    loop {
        let page = documents.query(Container::Stock, Scope::Partition(sku.as_str()), &query).await?;
        for document in page.items {
            match document.body.get("type").and_then(serde_json::Value::as_str) {
                Some("level") => books.levels = level::parse_levels(document)?.value,
                Some("hold") => books.holds.push(hold::parse_hold(document)?.value),
                Some("movement") => books.entries.push(movement::parse_movement(document)?),
                _ => {}
            }
        }
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    books.entries.sort_by_key(|entry| entry.seq);
    Ok(books)
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PartDocument {
    location: String,
    units: i64,
}

impl From<&Part> for PartDocument {
    fn from(part: &Part) -> PartDocument {
        PartDocument { location: part.location.to_string(), units: part.units }
    }
}

fn location(id: &str, name: &str) -> Result<Location, StoreError> {
    Location::parse(name).map_err(|err| StoreError::Unreadable { id: id.to_owned(), reason: err.to_string() })
}

fn part(id: &str, part: &PartDocument) -> Result<Part, StoreError> {
    Ok(Part { location: location(id, &part.location)?, units: part.units })
}

/// A value of another shape with the same version.
fn seen<T, U>(seen: Seen<T>, to: impl FnOnce(T) -> Result<U, StoreError>) -> Result<Seen<U>, StoreError> {
    Ok(Seen { value: to(seen.value)?, etag: seen.etag })
}
