//! What the catalogue offers for one SKU right now.
use crate::{money::Money, sku::Sku};

/// A sellable variant: published, priced in the store's currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    pub product_id: String,
    pub slug: String,
    pub sku: Sku,
    /// The product's title.
    pub title: String,
    /// What tells this variant from its siblings; empty for an only variant.
    pub variant_title: String,
    /// One unit, as entered: with or without tax as the store's settings say.
    pub price: Money,
    /// Key into the store's tax table, e.g. `standard`.
    pub tax_class: String,
    /// Slug of the category, for promotions that select by it.
    pub category: String,
}
