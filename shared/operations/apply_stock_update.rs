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

#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
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
