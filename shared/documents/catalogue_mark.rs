//! Container `stores`, partition `main`, document `catalogue`: that the store has something to sell. Only
//! then is it ready for shoppers.
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Stored, create, parse, settings::STORE};
use crate::shared::ports::documents::{Container, Documents, StoreError};

const ID: &str = "catalogue";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CatalogueDocument {
    #[serde(with = "time::serde::rfc3339")]
    loaded_at: OffsetDateTime,
    /// SKUs of the first import, as digits; for people.
    products: String,
}

impl Stored for CatalogueDocument {
    const SCHEMA: &'static str = "catalogue/1";
}

/// Whether a catalogue was ever loaded.
///
/// # Errors
/// `Unreadable` for an unknown shape, or what the port says.
pub async fn is_set(documents: &dyn Documents) -> Result<bool, StoreError> {
    let Some(document) = documents.read(Container::Stores, STORE, ID).await? else { return Ok(false) };
    parse::<CatalogueDocument>(document).map(|_| true)
}

/// Says so once; later loads change nothing.
///
/// # Errors
/// As the port's.
pub async fn set(documents: &dyn Documents, products: u64, now: OffsetDateTime) -> Result<(), StoreError> {
    if is_set(documents).await? {
        return Ok(());
    }
    let write = create(ID, &CatalogueDocument { loaded_at: now, products: products.to_string() }, None)?;
    match documents.write(Container::Stores, STORE, vec![write]).await {
        Ok(_) | Err(StoreError::Exists { .. }) => Ok(()),
        Err(err) => Err(err),
    }
}
