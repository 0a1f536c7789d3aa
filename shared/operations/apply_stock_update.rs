//! One update of another system, for a SKU and a location that the store knows.
use offpeak_domain::{
    sku::Sku,
    stock::{
        Location,
        sources::{Applied, Update},
    },
};

use super::{SettingsError, Shop, stock};
use crate::shared::{
    documents::lookups::{self, Name},
    ports::documents::StoreError,
};

/// Deliveries after which nobody waits any longer for a product or a location to follow; below the broker's most.
pub const PATIENT_DELIVERIES: u32 = 5;

#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error("the message cannot be read")]
    Unreadable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Neither sold nor ever counted. The message comes again; the product may follow.
    #[error("SKU {sku} is in no product and was never counted: import it first or correct the SKU")]
    UnknownSku { sku: Sku },
    #[error("the store has no location {location}: add it to its settings or correct the name")]
    UnknownLocation { location: Location },
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Update(#[from] stock::UpdateError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ApplyError {
    /// Whether trying again can change nothing, after so many deliveries.
    pub fn is_final(&self, deliveries: u32) -> bool {
        match self {
            ApplyError::Unreadable(_) | ApplyError::Update(stock::UpdateError::Refused(_)) => true,
            ApplyError::UnknownSku { .. } | ApplyError::UnknownLocation { .. } => deliveries >= PATIENT_DELIVERIES,
            ApplyError::Settings(_) | ApplyError::Update(stock::UpdateError::Stock(_)) | ApplyError::Store(_) => false,
        }
    }
}

/// # Errors
/// [`ApplyError`]; nothing is changed then.
pub async fn apply_stock_update(
    shop: &Shop,
    sku: &Sku,
    location: &Location,
    update: &Update,
) -> Result<Applied, ApplyError> {
    if !shop.settings().await?.stock.has(location) {
        return Err(ApplyError::UnknownLocation { location: location.clone() });
    }
    let documents = shop.ports.documents.as_ref();
    if stock::level(&shop.ports, sku).await?.is_none() && lookups::find(documents, &Name::sku(sku)).await?.is_none() {
        return Err(ApplyError::UnknownSku { sku: sku.clone() });
    }
    Ok(stock::update(&shop.ports, sku, location, update).await?)
}
