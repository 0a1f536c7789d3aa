//! Who says what tax is due, when it is not the store's own table: an external service, asked for each basket.
use async_trait::async_trait;
use offpeak_domain::{
    address::Destination,
    money::{Currency, Money},
    sku::Sku,
    tax::ProvidedTaxes,
};

/// A basket, as far as tax depends on it. Equal questions may share an answer for a short while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaxQuestion {
    pub currency: Currency,
    /// Whether the amounts below contain tax.
    pub prices_include_tax: bool,
    pub destination: Destination,
    /// By SKU, each SKU once.
    pub lines: Vec<TaxedLine>,
    /// Before discounts; `None` before a method is chosen.
    pub shipping: Option<Money>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaxedLine {
    pub sku: Sku,
    /// The tax class of the goods, e.g. `standard`.
    pub class: String,
    pub units: u32,
    /// Before discounts.
    pub amount: Money,
}

/// The service gave no usable answer. Never to be read as no tax.
#[derive(Debug, thiserror::Error)]
#[error("the tax service gave no usable answer")]
pub struct TaxesUnavailable(#[source] pub Box<dyn std::error::Error + Send + Sync>);

#[async_trait]
pub trait Taxes: Send + Sync {
    /// The rate of every line and of shipping, if that is asked for; an answer that leaves one out is no answer.
    /// `url` is the service's, from the store's settings.
    ///
    /// # Errors
    /// [`TaxesUnavailable`].
    async fn rates(&self, url: &str, question: &TaxQuestion) -> Result<ProvidedTaxes, TaxesUnavailable>;
}
