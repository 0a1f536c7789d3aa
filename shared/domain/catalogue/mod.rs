//! What the shop sells: products and their variants, as every part of the shop may rely on them.
//!
//! A [`Product`] always has at least one variant, no SKU twice and one currency; its id is derived from
//! the key under which its source knows it, so loading the same source twice names the same products.
pub mod id;
pub mod price;
pub mod slug;
pub mod text;

use std::collections::HashSet;

use crate::{money::Money, sku::Sku};
use id::{ProductId, SourceKey};
use slug::Slug;
use text::{Category, Description, TaxClass, Title, VariantTitle};

/// Variants of one product. Keeps a product's document far under the store's item limit.
pub const VARIANTS_MAX: usize = 100;

/// At or below this many units a variant counts as scarce.
pub const LOW_STOCK_MAX: i64 = 5;

/// The unit one can buy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    pub sku: Sku,
    /// What tells it from its siblings; empty for an only variant.
    pub title: VariantTitle,
    /// One unit, as entered: with or without tax as the store's settings say.
    pub price: Money,
}

/// Whether shoppers see a product. Only a published one is listed and sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Draft,
    Published,
    Archived,
}

impl Status {
    pub const ALL: [Status; 3] = [Status::Draft, Status::Published, Status::Archived];

    pub const fn name(self) -> &'static str {
        match self {
            Status::Draft => "draft",
            Status::Published => "published",
            Status::Archived => "archived",
        }
    }

    pub fn parse(name: &str) -> Option<Status> {
        Status::ALL.into_iter().find(|it| it.name() == name)
    }
}

/// Everything known about a product; [`Product::new`] checks what must hold between the parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductFacts {
    pub source: SourceKey,
    pub slug: Slug,
    pub title: Title,
    pub description: Description,
    pub category: Category,
    pub status: Status,
    pub tax_class: TaxClass,
    pub variants: Vec<Variant>,
}

/// A sellable thing with its variants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product(ProductFacts);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProductError {
    #[error("a product needs a variant")]
    NoVariant,
    #[error("a product has at most {VARIANTS_MAX} variants")]
    TooManyVariants,
    #[error("SKU {0} stands twice in one product")]
    SkuTwice(Sku),
    #[error("all variants of a product are priced in one currency")]
    MixedCurrencies,
}

impl Product {
    /// # Errors
    /// [`ProductError`].
    pub fn new(facts: ProductFacts) -> Result<Product, ProductError> {
        let Some(first) = facts.variants.first() else { return Err(ProductError::NoVariant) };
        if facts.variants.len() > VARIANTS_MAX {
            return Err(ProductError::TooManyVariants);
        }
        let mut seen = HashSet::new();
        for variant in &facts.variants {
            if !seen.insert(&variant.sku) {
                return Err(ProductError::SkuTwice(variant.sku.clone()));
            }
            if variant.price.currency() != first.price.currency() {
                return Err(ProductError::MixedCurrencies);
            }
        }
        Ok(Product(facts))
    }

    pub fn facts(&self) -> &ProductFacts {
        &self.0
    }

    pub fn id(&self) -> ProductId {
        ProductId::derived(&self.0.source)
    }

    pub fn variant(&self, sku: &Sku) -> Option<&Variant> {
        self.0.variants.iter().find(|it| it.sku == *sku)
    }

    pub fn is_published(&self) -> bool {
        self.0.status == Status::Published
    }

    /// The lowest price among its variants: what a list sorts by.
    pub fn price_from(&self) -> Money {
        let lowest = self.0.variants.iter().map(|it| it.price).min_by_key(|it| it.minor());
        lowest.unwrap_or_else(|| unreachable!("a product has a variant"))
    }
}

/// A product as a source delivers it. What the source leaves out stays as the shop has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    pub source: SourceKey,
    pub title: Title,
    pub description: Option<Description>,
    pub category: Option<Category>,
    pub tax_class: Option<TaxClass>,
    pub variants: Vec<Variant>,
}

impl Incoming {
    pub fn id(&self) -> ProductId {
        ProductId::derived(&self.source)
    }

    /// A product the shop does not have yet: published at once.
    ///
    /// # Errors
    /// [`ProductError`].
    pub fn introduce(self, slug: Slug) -> Result<Product, ProductError> {
        Product::new(ProductFacts {
            source: self.source,
            slug,
            title: self.title,
            description: self.description.unwrap_or_default(),
            category: self.category.unwrap_or_default(),
            status: Status::Published,
            tax_class: self.tax_class.unwrap_or_default(),
            variants: self.variants,
        })
    }

    /// The product after this delivery. Slug and status stay, because links and staff decisions outlive a
    /// price list; variants that the source no longer names stay too, because an absent row is no order
    /// to stop selling.
    ///
    /// # Errors
    /// [`ProductError`].
    pub fn update(self, have: &Product) -> Result<Product, ProductError> {
        let mut facts = have.facts().clone();
        facts.title = self.title;
        facts.description = self.description.unwrap_or(facts.description);
        facts.category = self.category.unwrap_or(facts.category);
        facts.tax_class = self.tax_class.unwrap_or(facts.tax_class);
        for variant in self.variants {
            match facts.variants.iter_mut().find(|it| it.sku == variant.sku) {
                Some(known) => *known = variant,
                None => facts.variants.push(variant),
            }
        }
        Product::new(facts)
    }
}

/// What a shopper is told about stock: advice, never a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    InStock,
    LowStock,
    OutOfStock,
}

impl Availability {
    pub const fn of(available: i64) -> Availability {
        match available {
            i64::MIN..=0 => Availability::OutOfStock,
            1..=LOW_STOCK_MAX => Availability::LowStock,
            _ => Availability::InStock,
        }
    }

    /// The stable name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Availability::InStock => "in_stock",
            Availability::LowStock => "low_stock",
            Availability::OutOfStock => "out_of_stock",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;

    fn variant(sku: &str, minor: i64, currency: &str) -> Variant {
        Variant {
            sku: Sku::parse(sku).unwrap(),
            title: VariantTitle::default(),
            price: Money::new(minor, Currency::parse(currency).unwrap()),
        }
    }

    fn incoming(title: &str, variants: &[Variant]) -> Incoming {
        Incoming {
            source: SourceKey::parse("mug").unwrap(),
            title: Title::parse(title).unwrap(),
            description: None,
            category: None,
            tax_class: None,
            variants: variants.to_vec(),
        }
    }

    #[test]
    fn a_product_is_whole_or_not_at_all() {
        let introduce = |variants: &[Variant]| incoming("Mug", variants).introduce(Slug::parse("mug").unwrap());
        assert_eq!(introduce(&[]), Err(ProductError::NoVariant));
        let twice = [variant("a", 1, "GBP"), variant("a", 2, "GBP")];
        assert_eq!(introduce(&twice), Err(ProductError::SkuTwice(Sku::parse("a").unwrap())));
        let mixed = [variant("a", 1, "GBP"), variant("b", 2, "EUR")];
        assert_eq!(introduce(&mixed), Err(ProductError::MixedCurrencies));
        let many: Vec<_> = (0..=VARIANTS_MAX).map(|i| variant(&i.to_string(), 1, "GBP")).collect();
        assert_eq!(introduce(&many), Err(ProductError::TooManyVariants));
        let product = introduce(&[variant("a", 5, "GBP"), variant("A", 3, "GBP")]).unwrap();
        assert_eq!(product.price_from().minor(), 3);
        assert_eq!(product.variant(&Sku::parse("A").unwrap()).unwrap().price.minor(), 3);
    }

    #[test]
    fn a_delivery_changes_only_what_it_names() {
        let first = Incoming {
            description: Some(Description::parse("Holds tea.").unwrap()),
            category: Some(Category::parse("Kitchen").unwrap()),
            ..incoming("Mug", &[variant("a", 5, "GBP"), variant("b", 6, "GBP")])
        };
        let product = first.clone().introduce(Slug::parse("mug").unwrap()).unwrap();
        assert_eq!(first.update(&product).unwrap(), product, "the same delivery changes nothing");

        let later = incoming("Large mug", &[variant("b", 7, "GBP"), variant("c", 8, "GBP")]);
        let updated = later.update(&product).unwrap();
        let facts = updated.facts();
        assert_eq!(facts.title.as_str(), "Large mug");
        assert_eq!(facts.slug.as_str(), "mug");
        assert_eq!(facts.description.as_str(), "Holds tea.");
        assert_eq!(facts.category.title(), "Kitchen");
        let prices: Vec<_> = facts.variants.iter().map(|it| (it.sku.as_str(), it.price.minor())).collect();
        assert_eq!(prices, [("a", 5), ("b", 7), ("c", 8)]);
        assert_eq!(updated.id(), product.id());
    }

    #[test]
    fn scarce_is_said_in_time() {
        let names = [-3, 0, 1, 5, 6, i64::MAX].map(|units| Availability::of(units).name());
        assert_eq!(names, ["out_of_stock", "out_of_stock", "low_stock", "low_stock", "in_stock", "in_stock"]);
    }
}
