//! Products as stored in `Catalog`: partition is the product's id, the document is named `product`, its
//! variants embedded. Prices are strings of minor units.
use offpeak_domain::{
    catalogue::{
        Product, ProductFacts, Status, Variant,
        id::{ProductId, SourceKey},
        slug::Slug,
        text::{Category, Description, TaxClass, Title, VariantTitle},
    },
    money::{Currency, Money},
    sku::Sku,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Seen, Stored};
use crate::shared::ports::documents::{Container, Document, Documents, ETag, StoreError};

const ID: &str = "product";

/// A product and the version of it that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredProduct {
    pub product: Product,
    pub etag: ETag,
    created_at: OffsetDateTime,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ProductDocument {
    product: ProductRecord,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
}

impl Stored for ProductDocument {
    const SCHEMA: &'static str = "product/1";
}

/// A product inside a document: its own, or a listing's card.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ProductRecord {
    id: String,
    source: String,
    slug: String,
    title: String,
    description: String,
    category: CategoryRecord,
    status: String,
    tax_class: String,
    variants: Vec<VariantRecord>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CategoryRecord {
    slug: String,
    title: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct VariantRecord {
    sku: String,
    title: String,
    price: PriceRecord,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceRecord {
    amount: String,
    currency: String,
}

impl From<&Product> for ProductRecord {
    fn from(product: &Product) -> ProductRecord {
        let facts = product.facts();
        let variant = |it: &Variant| VariantRecord {
            sku: it.sku.to_string(),
            title: it.title.as_str().to_owned(),
            price: PriceRecord {
                amount: it.price.minor().to_string(),
                currency: it.price.currency().code().to_owned(),
            },
        };
        ProductRecord {
            id: product.id().to_string(),
            source: facts.source.as_str().to_owned(),
            slug: facts.slug.to_string(),
            title: facts.title.as_str().to_owned(),
            description: facts.description.as_str().to_owned(),
            category: CategoryRecord {
                slug: facts.category.slug().to_string(),
                title: facts.category.title().to_owned(),
            },
            status: facts.status.name().to_owned(),
            tax_class: facts.tax_class.as_str().to_owned(),
            variants: facts.variants.iter().map(variant).collect(),
        }
    }
}

impl ProductRecord {
    /// The product, checked like any input.
    ///
    /// # Errors
    /// `Unreadable`.
    pub(super) fn parse(&self) -> Result<Product, StoreError> {
        self.checked().map_err(|reason| StoreError::Unreadable { id: self.id.clone(), reason })
    }

    fn checked(&self) -> Result<Product, String> {
        let category = Category::parse(&self.category.title).map_err(text)?;
        if category.slug().as_str() != self.category.slug {
            return Err(format!("category slug {} is not that of its title", self.category.slug));
        }
        let facts = ProductFacts {
            source: SourceKey::parse(&self.source).map_err(text)?,
            slug: Slug::parse(&self.slug).map_err(text)?,
            title: Title::parse(&self.title).map_err(text)?,
            description: Description::parse(&self.description).map_err(text)?,
            category,
            status: Status::parse(&self.status).ok_or_else(|| format!("unknown status {}", self.status))?,
            tax_class: TaxClass::parse(&self.tax_class).map_err(text)?,
            variants: self.variants.iter().map(VariantRecord::parse).collect::<Result<_, _>>()?,
        };
        let product = Product::new(facts).map_err(text)?;
        if product.id().to_string() != self.id {
            return Err(format!("id {} is not that of source {}", self.id, self.source));
        }
        Ok(product)
    }
}

impl VariantRecord {
    fn parse(&self) -> Result<Variant, String> {
        let currency = Currency::parse(&self.price.currency).map_err(text)?;
        Ok(Variant {
            sku: Sku::parse(&self.sku).map_err(text)?,
            title: VariantTitle::parse(&self.title).map_err(text)?,
            price: Money::parse(&self.price.amount, currency).map_err(text)?,
        })
    }
}

fn text(err: impl ToString) -> String {
    err.to_string()
}

/// The product under this id, to be looked at.
///
/// # Errors
/// `Unreadable` for an unknown shape, or what the port says.
pub async fn load(documents: &dyn Documents, id: ProductId) -> Result<Option<StoredProduct>, StoreError> {
    let document = documents.read(Container::Catalog, &id.to_string(), ID).await?;
    document.map(parse).transpose()
}

/// The product under this id as it was stored last, to be changed or charged for.
///
/// # Errors
/// As [`load`].
pub async fn load_latest(documents: &dyn Documents, id: ProductId) -> Result<Option<StoredProduct>, StoreError> {
    let document = documents.read_latest(Container::Catalog, &id.to_string(), ID).await?;
    document.map(parse).transpose()
}

fn parse(document: Document) -> Result<StoredProduct, StoreError> {
    let Seen { value, etag } = super::parse::<ProductDocument>(document)?;
    let product = value.product.parse()?;
    Ok(StoredProduct { product, etag, created_at: value.created_at })
}

/// Stores a product that is not there yet.
///
/// # Errors
/// `Exists`, or what the port says.
pub async fn create(documents: &dyn Documents, product: &Product, now: OffsetDateTime) -> Result<(), StoreError> {
    let write = super::create(ID, &document(product, now, now), None)?;
    documents.write(Container::Catalog, &product.id().to_string(), vec![write]).await.map(drop)
}

/// Stores a product over the version that was read.
///
/// # Errors
/// `Changed`, or what the port says.
pub async fn replace(
    documents: &dyn Documents,
    seen: &StoredProduct,
    product: &Product,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let write = super::replace(ID, &document(product, seen.created_at, now), &seen.etag, None)?;
    documents.write(Container::Catalog, &product.id().to_string(), vec![write]).await.map(drop)
}

fn document(product: &Product, created_at: OffsetDateTime, updated_at: OffsetDateTime) -> ProductDocument {
    ProductDocument { product: ProductRecord::from(product), created_at, updated_at }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(body: Value) -> Result<StoredProduct, StoreError> {
        parse(Document { partition: "p".to_owned(), id: ID.to_owned(), etag: ETag("1".to_owned()), body })
    }

    fn golden() -> Value {
        json!({
            "schema": "product/1",
            "createdAt": "2026-01-02T03:04:05Z", "updatedAt": "2026-01-02T03:04:05Z",
            "product": {
                "id": "prd_085ZYQN4DR75A3Y43JYGR4976S", "source": "85123A", "slug": "mug", "title": "Mug",
                "description": "Holds tea.", "category": { "slug": "kitchen", "title": "Kitchen" },
                "status": "published", "taxClass": "standard",
                "variants": [{ "sku": "85123A", "title": "", "price": { "amount": "295", "currency": "GBP" } }]
            }
        })
    }

    #[test]
    fn a_stored_product_is_read_and_written_alike() {
        let stored = read(golden()).unwrap();
        assert_eq!(
            super::super::body(&document(&stored.product, stored.created_at, stored.created_at)).unwrap(),
            golden()
        );
    }

    #[test]
    fn a_shape_we_do_not_know_is_an_error() {
        let check = |pointer: &str, value: Value| {
            let mut changed = golden();
            *changed.pointer_mut(pointer).unwrap() = value;
            assert!(matches!(read(changed), Err(StoreError::Unreadable { .. })), "{pointer}");
        };
        check("/schema", json!("product/2"));
        check("/product/status", json!("hidden"));
        check("/product/variants", json!([]));
        check("/product/variants/0/price/amount", json!(295));
        check("/product/variants/0/price/currency", json!("XXX"));
        check("/product/category/slug", json!("cellar"));
        check("/product/id", json!("prd_00000000000000000000000000"));
        check("/createdAt", json!("yesterday"));
        let mut more = golden();
        more["product"]["colour"] = json!("red");
        assert!(read(more).is_err(), "an unknown field would be lost by the next write");
    }
}
