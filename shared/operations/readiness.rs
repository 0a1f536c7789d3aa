//! Whether this instance can serve shoppers: the store answers and a catalogue is loaded.
use super::Shop;
use crate::shared::{
    documents::settings::STORE,
    ports::documents::{Container, StoreError},
};

/// The document that the import writes when a catalogue is loaded.
const LOADED: &str = "catalogue";

/// # Errors
/// As the store's.
pub async fn is_ready(shop: &Shop) -> Result<bool, StoreError> {
    Ok(shop.ports.documents.read(Container::Stores, STORE, LOADED).await?.is_some())
}
