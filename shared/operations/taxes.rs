//! What tax a basket bears, where an external service says so. An answer is kept for a short while under its
//! question; without one a basket is *shown* with the store's own table, marked as an estimate, and nothing is
//! *charged*: a completion waits for the service rather than guess.
use std::{sync::Arc, time::Duration};

use moka::future::Cache;
use offpeak_domain::{
    address::Destination, money::Money, offer::Offer, pricing::PricingError, quantity::Quantity, sku::Sku,
    store::StoreSettings, tax::ProvidedTaxes,
};

use super::sha256;
use crate::shared::{
    documents::{Seen, settings::read_settings},
    ports::{
        Ports, chain,
        reach::Unreached,
        taxes::{TaxQuestion, TaxedLine, Taxes, TaxesUnavailable},
    },
};

/// How long an answer holds: the checkout's page and its completion ask the same.
const KEPT: Duration = Duration::from_secs(30);
/// Answers kept; some 10 KB each at most.
const KEPT_MAX: u64 = 1_000;
/// How long a service that gave no answer is left alone by those who only look.
const LEFT_ALONE: Duration = Duration::from_secs(5);

/// Cheap to clone; all clones share what is remembered.
#[derive(Clone)]
pub struct TaxDesk {
    port: Arc<dyn Taxes>,
    answers: Cache<String, Arc<ProvidedTaxes>>,
    /// Addresses of services that gave no answer lately.
    silent: Cache<String, ()>,
}

/// The tax of a basket that is only shown.
#[derive(Clone, Debug, Default)]
pub struct ShownTaxes {
    /// `None`: by the store's own table.
    pub provided: Option<Arc<ProvidedTaxes>>,
    /// The service that should have said it gave no answer.
    pub estimated: bool,
}

/// A basket, as it is bought.
#[derive(Clone, Copy, Debug)]
pub struct TaxedBasket<'a> {
    pub lines: &'a [(Offer, Quantity)],
    pub destination: Option<&'a Destination>,
    pub method: Option<&'a str>,
}

#[derive(Debug, thiserror::Error)]
pub enum TaxError {
    #[error(transparent)]
    Unavailable(#[from] TaxesUnavailable),
    #[error(transparent)]
    Pricing(#[from] PricingError),
}

impl TaxDesk {
    pub fn new(port: Arc<dyn Taxes>) -> TaxDesk {
        TaxDesk {
            port,
            answers: Cache::builder().max_capacity(KEPT_MAX).time_to_live(KEPT).build(),
            silent: Cache::builder().max_capacity(16).time_to_live(LEFT_ALONE).build(),
        }
    }

    /// For a page: always answers, and soon.
    ///
    /// # Errors
    /// If the basket's amounts are too large to be added.
    pub async fn shown(&self, settings: &StoreSettings, basket: &TaxedBasket<'_>) -> Result<ShownTaxes, PricingError> {
        let Some((url, question)) = asked(settings, basket)? else { return Ok(ShownTaxes::default()) };
        let key = key(url, &question);
        if let Some(answer) = self.answers.get(&key).await {
            return Ok(ShownTaxes { provided: Some(answer), estimated: false });
        }
        if self.silent.contains_key(url) {
            return Ok(ShownTaxes { provided: None, estimated: true });
        }
        match self.ask(url, &question, key).await {
            Ok(answer) => Ok(ShownTaxes { provided: Some(answer), estimated: false }),
            Err(err) => {
                tracing::warn!(error = %chain(&err), "Tax is estimated: the tax service gave no answer.");
                Ok(ShownTaxes { provided: None, estimated: true })
            }
        }
    }

    /// For a charge; `None`: by the store's own table, because no service is asked at all.
    ///
    /// # Errors
    /// [`TaxError`]: nothing may be charged.
    pub async fn charged(
        &self,
        settings: &StoreSettings,
        basket: &TaxedBasket<'_>,
    ) -> Result<Option<Arc<ProvidedTaxes>>, TaxError> {
        let Some((url, question)) = asked(settings, basket)? else { return Ok(None) };
        let key = key(url, &question);
        if let Some(answer) = self.answers.get(&key).await {
            return Ok(Some(answer));
        }
        Ok(Some(self.ask(url, &question, key).await?))
    }

    async fn ask(
        &self,
        url: &str,
        question: &TaxQuestion,
        key: String,
    ) -> Result<Arc<ProvidedTaxes>, TaxesUnavailable> {
        match self.port.rates(url, question).await {
            Ok(answer) => {
                let answer = Arc::new(answer);
                self.answers.insert(key, answer.clone()).await;
                self.silent.invalidate(url).await;
                Ok(answer)
            }
            Err(err) => {
                self.silent.insert(url.to_owned(), ()).await;
                Err(err)
            }
        }
    }
}

/// Asks the store's tax service, if one is known of, about a basket that nobody buys; answers whether there is.
///
/// # Errors
/// As the service's.
pub async fn reach(ports: &Ports) -> Result<bool, Unreached> {
    // That a store cannot be read is said of the store.
    let Ok(Some(Seen { value: settings, .. })) = read_settings(ports.documents.as_ref()).await else {
        return Ok(false);
    };
    let Some(provider) = &settings.tax_provider else { return Ok(false) };
    let amount = Money::new(100, settings.currency);
    let question = TaxQuestion {
        currency: settings.currency,
        prices_include_tax: settings.prices_include_tax,
        destination: Destination::country(settings.home),
        lines: vec![TaxedLine { sku: Sku::parse("CHECK")?, class: "standard".to_owned(), units: 1, amount }],
        shipping: None,
    };
    Ok(ports.taxes.rates(&provider.url, &question).await.map(|_| true)?)
}

fn key(url: &str, question: &TaxQuestion) -> String {
    sha256(&format!("{url}\n{question:?}"))
}

/// The service to ask and the question; `None` if there is none, or nothing to ask about.
fn asked<'a>(
    settings: &'a StoreSettings,
    basket: &TaxedBasket<'_>,
) -> Result<Option<(&'a str, TaxQuestion)>, PricingError> {
    let Some(provider) = settings.tax_provider.as_ref().filter(|_| !basket.lines.is_empty()) else { return Ok(None) };
    let destination = settings.taxed_at(basket.destination, basket.method);
    let mut lines = Vec::with_capacity(basket.lines.len());
    let mut goods = Money::zero(settings.currency);
    for (offer, quantity) in basket.lines.iter().filter(|(offer, _)| offer.price.currency() == settings.currency) {
        let amount = offer.price.times(quantity.get())?;
        goods = goods.plus(amount)?;
        let (sku, class) = (offer.sku.clone(), offer.tax_class.clone());
        lines.push(TaxedLine { sku, class, units: quantity.get(), amount });
    }
    lines.sort_by(|one, other| one.sku.cmp(&other.sku));
    let home = Destination::country(settings.home);
    let options = settings.shipping_options(basket.destination.unwrap_or(&home));
    let rate = basket.method.and_then(|method| options.into_iter().find(|it| it.method == method));
    let question = TaxQuestion {
        currency: settings.currency,
        prices_include_tax: settings.prices_include_tax,
        destination,
        lines,
        shipping: rate.map(|it| it.price_for(goods)),
    };
    Ok(Some((&provider.url, question)))
}
