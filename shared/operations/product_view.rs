//! A product as the store API shows it, in lists and alone.
use offpeak_domain::catalogue::{Availability, Product};
use serde::Serialize;

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProductView {
    pub id: String,
    pub slug: String,
    pub title: String,
    pub description: String,
    /// The category's slug: what `?category=` takes.
    pub category: String,
    /// Its name for people.
    pub category_title: String,
    pub variants: Vec<VariantView>,
}

#[derive(Clone, Debug, Serialize)]
pub struct VariantView {
    pub sku: String,
    pub title: String,
    pub price: PriceView,
    /// `in_stock`, `low_stock` or `out_of_stock`: advice, only a checkout decides.
    pub availability: &'static str,
}

#[derive(Clone, Debug, Serialize)]
pub struct PriceView {
    /// Minor units, digits only.
    pub amount: String,
    pub currency: String,
}

impl ProductView {
    /// `availability` answers for the product's variants, in their order; one that is missing is out of stock.
    pub fn new(product: &Product, availability: &[Availability]) -> ProductView {
        let facts = product.facts();
        let known = availability.iter().copied().chain(std::iter::repeat(Availability::OutOfStock));
        ProductView {
            id: product.id().to_string(),
            slug: facts.slug.to_string(),
            title: facts.title.as_str().to_owned(),
            description: facts.description.as_str().to_owned(),
            category: facts.category.slug().to_string(),
            category_title: facts.category.title().to_owned(),
            variants: facts
                .variants
                .iter()
                .zip(known)
                .map(|(variant, availability)| VariantView {
                    sku: variant.sku.to_string(),
                    title: variant.title.as_str().to_owned(),
                    price: PriceView {
                        amount: variant.price.minor().to_string(),
                        currency: variant.price.currency().code().to_owned(),
                    },
                    availability: availability.name(),
                })
                .collect(),
        }
    }
}
