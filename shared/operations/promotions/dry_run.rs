//! Tries a promotion, stored or not, on a basket: the real prices and rules, and nothing is changed.
use offpeak_domain::{
    address::{Destination, Email},
    checkout::customer_keys,
    pricing::Priced,
    promotion::{CouponCode, PromotionId},
    quantity::Quantity,
    sku::Sku,
};
use time::OffsetDateTime;

use super::{
    book::Offering,
    quote::{Asked, Freshness, QuoteError, quote_with},
};
use crate::shared::{
    documents::promotions::{FormFault, PromotionForm},
    operations::{SettingsError, Shop},
    ports::documents::StoreError,
};

/// What to try.
#[derive(Clone, Debug)]
pub struct DryRun {
    pub promotion: PromotionId,
    /// In place of the stored one.
    pub form: Option<PromotionForm>,
    pub lines: Vec<(Sku, Quantity)>,
    pub codes: Vec<CouponCode>,
    pub groups: Vec<String>,
    pub email: Option<Email>,
    pub destination: Option<Destination>,
    pub method: Option<String>,
    /// `None`: now.
    pub at: Option<OffsetDateTime>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Dry {
    pub promotion: PromotionId,
    pub priced: Priced,
}

#[derive(Debug, thiserror::Error)]
pub enum TryError {
    #[error("there is no such promotion")]
    NoPromotion,
    #[error("{sku} is not for sale")]
    UnknownSku { sku: Sku },
    #[error(transparent)]
    Invalid(#[from] FormFault),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Quote(#[from] QuoteError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Prices the basket with the promotion among all others.
///
/// # Errors
/// [`TryError`].
pub async fn try_promotion(shop: &Shop, run: &DryRun) -> Result<Dry, TryError> {
    let settings = shop.settings_latest().await?;
    let stored = shop.promotions.latest(shop.ports.documents.as_ref()).await?;
    let mut offering = Offering::clone(&stored);
    let place = offering.promotions.iter().position(|it| it.id == run.promotion);
    match (&run.form, place) {
        (None, None) => return Err(TryError::NoPromotion),
        (None, Some(_)) => {}
        (Some(form), place) => {
            let promotion = form.clone().checked(run.promotion.clone(), settings.currency)?;
            match place.and_then(|it| offering.promotions.get_mut(it)) {
                Some(stored) => *stored = promotion,
                None => offering.promotions.push(promotion),
            }
        }
    }
    let skus: Vec<Sku> = run.lines.iter().map(|(sku, _)| sku.clone()).collect();
    let offers = shop.catalogue.offers_latest(&skus).await?;
    let mut lines = Vec::with_capacity(offers.len());
    for ((sku, units), offer) in run.lines.iter().zip(offers) {
        lines.push((offer.ok_or_else(|| TryError::UnknownSku { sku: sku.clone() })?, *units));
    }
    let asked = Asked {
        lines: &lines,
        codes: &run.codes,
        groups: &run.groups,
        order: None,
        customers: &customer_keys(run.email.as_ref(), None),
        destination: run.destination.as_ref(),
        method: run.method.as_deref(),
        taxes: None,
    };
    let now = run.at.unwrap_or_else(|| shop.ports.clock.now());
    let priced = quote_with(shop, &settings, &offering, &asked, Freshness::Latest, now).await?;
    Ok(Dry { promotion: run.promotion.clone(), priced })
}
