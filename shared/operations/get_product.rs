//! One product for its page, written once and kept as bytes: a warm handler answers it without a store
//! operation and without writing JSON.
use bytes::Bytes;
use offpeak_domain::{
    catalogue::{Availability, slug::Slug},
    sku::Sku,
};

use super::{product_view::ProductView, stock};
use crate::shared::{
    documents::{
        lookups::{self, Name},
        products,
    },
    ports::{Ports, documents::StoreError},
};

/// A product's answer as it goes over the wire.
#[derive(Clone, Debug)]
pub struct ProductPage {
    pub json: Bytes,
    /// The product document's. Stock is not part of it: availability is advice.
    pub etag: String,
}

impl ProductPage {
    /// For the shared cache: the etag in a line of its own, then the answer.
    pub(super) fn to_bytes(&self) -> Bytes {
        [self.etag.as_bytes(), b"\n", &self.json].concat().into()
    }

    /// `None` for what [`ProductPage::to_bytes`] has not written.
    pub(super) fn from_bytes(bytes: &Bytes) -> Option<ProductPage> {
        let end = bytes.iter().position(|it| *it == b'\n')?;
        let etag = std::str::from_utf8(&bytes[..end]).ok().filter(|it| !it.is_empty())?;
        Some(ProductPage { etag: etag.to_owned(), json: bytes.slice(end + 1..) })
    }
}

/// The page of a published product; `None` if no product has this slug.
///
/// # Errors
/// As the store's.
pub async fn read_product_page(ports: &Ports, slug: &Slug) -> Result<Option<ProductPage>, StoreError> {
    let documents = ports.documents.as_ref();
    let Some(id) = lookups::find(documents, &Name::slug(slug)).await? else { return Ok(None) };
    let Some(stored) = products::load(documents, id).await?.filter(|it| it.product.is_published()) else {
        return Ok(None);
    };
    let skus: Vec<Sku> = stored.product.facts().variants.iter().map(|it| it.sku.clone()).collect();
    let units = stock::available(ports, &skus).await?;
    let availability: Vec<Availability> = units.into_iter().map(Availability::of).collect();
    let view = ProductView::new(&stored.product, &availability);
    let json = serde_json::to_vec(&view).map_err(|err| StoreError::Refused(err.to_string()))?;
    Ok(Some(ProductPage { json: Bytes::from(json), etag: stored.etag.0 }))
}
