//! Unique names in `Lookups`: a slug or a SKU and the product that has it. Creating the document is what
//! makes the name unique; a name, once given, is never given to another product.
use offpeak_domain::{
    catalogue::{id::ProductId, slug::Slug},
    sku::Sku,
};
use serde::{Deserialize, Serialize};

use super::{Stored, create, parse};
use crate::shared::ports::documents::{Container, Documents, StoreError};

/// A name and its kind; also the document's partition and id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    pub fn slug(slug: &Slug) -> Name {
        Name(format!("slug:{slug}"))
    }

    pub fn sku(sku: &Sku) -> Name {
        Name(format!("sku:{sku}"))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LookupDocument {
    product_id: String,
}

impl Stored for LookupDocument {
    const SCHEMA: &'static str = "lookup/1";
}

/// The product that has this name.
///
/// # Errors
/// `Unreadable` for an unknown shape, or what the port says.
pub async fn find(documents: &dyn Documents, name: &Name) -> Result<Option<ProductId>, StoreError> {
    let Some(document) = documents.read(Container::Lookups, &name.0, &name.0).await? else { return Ok(None) };
    let product_id = parse::<LookupDocument>(document)?.value.product_id;
    let unreadable = |reason: String| StoreError::Unreadable { id: name.0.clone(), reason };
    ProductId::parse(&product_id).map(Some).map_err(|err| unreadable(err.to_string()))
}

/// Gives the name to the product unless another has it; answers whose it is now. Safe to repeat.
///
/// # Errors
/// As [`find`].
pub async fn claim(documents: &dyn Documents, name: &Name, product: ProductId) -> Result<ProductId, StoreError> {
    let write = create(name.0.clone(), &LookupDocument { product_id: product.to_string() }, None)?;
    match documents.write(Container::Lookups, &name.0, vec![write]).await {
        Ok(_) => Ok(product),
        Err(StoreError::Exists { id }) => find(documents, name).await?.ok_or(StoreError::Changed { id }),
        Err(err) => Err(err),
    }
}
