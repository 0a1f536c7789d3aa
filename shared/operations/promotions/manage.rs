//! Staff write promotions and price lists. Every change names what it saw; the mark is replaced in the same
//! batch, so two changes at once cannot miss each other, and every process notices.
use std::{collections::BTreeSet, time::Duration};

use offpeak_domain::{
    price_list::PriceListId,
    promotion::{CouponCode, PromotionId, Trigger},
};

use super::book::{Offering, PRICE_LISTS_MAX, PROMOTIONS_MAX};
use crate::shared::{
    documents::{
        Seen,
        price_lists::{self, PriceListForm},
        promotions::{self, FormFault, PromotionForm, Written},
    },
    operations::{SettingsError, Shop},
    ports::documents::{ETag, StoreError},
};

/// How often a change is tried again because another promotion was changed at the same time.
const ATTEMPTS_MAX: u64 = 10;

#[derive(Debug, thiserror::Error)]
pub enum ManageError {
    #[error(transparent)]
    Invalid(#[from] FormFault),
    /// It is not the version that the caller saw.
    #[error("it has changed")]
    Changed,
    #[error("a store has at most {most} {what}")]
    TooMany { what: &'static str, most: usize },
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A promotion as stored.
///
/// # Errors
/// As the store's.
pub async fn promotion(shop: &Shop, id: &PromotionId) -> Result<Option<Seen<Written<PromotionForm>>>, StoreError> {
    promotions::read_promotion(shop.ports.documents.as_ref(), id).await
}

/// One page of promotions by id.
///
/// # Errors
/// [`ManageError`]; `Invalid` for a cursor that is none.
pub async fn list_promotions(
    shop: &Shop,
    limit: usize,
    after: Option<String>,
) -> Result<(Vec<Seen<Written<PromotionForm>>>, Option<String>), ManageError> {
    let resumed = after.is_some();
    match promotions::list_promotions(shop.ports.documents.as_ref(), limit, after).await {
        Err(StoreError::Refused(_)) if resumed => {
            Err(FormFault::new("after", "take it from `nextAfter` of the page before, unchanged").into())
        }
        done => Ok(done?),
    }
}

/// Creates or replaces a promotion. `expected` is an etag that was read, or `*` for whatever is there.
///
/// # Errors
/// [`ManageError`].
pub async fn put_promotion(
    shop: &Shop,
    id: &PromotionId,
    form: &PromotionForm,
    expected: &str,
    by: &str,
) -> Result<Seen<Written<PromotionForm>>, ManageError> {
    let currency = shop.settings_latest().await?.currency;
    let promotion = form.clone().checked(id.clone(), currency)?;
    let documents = shop.ports.documents.as_ref();
    for attempt in 1..=ATTEMPTS_MAX {
        let offering = shop.promotions.latest(documents).await?;
        let seen = promotions::read_promotion(documents, id).await?;
        let etag = expect(seen.as_ref().map(|it| &it.etag), expected)?;
        if etag.is_none() && offering.promotions.len() >= PROMOTIONS_MAX {
            return Err(ManageError::TooMany { what: "promotions", most: PROMOTIONS_MAX });
        }
        if let Trigger::Coded { codes } = &promotion.trigger {
            codes_are_free(&offering, id, codes)?;
        }
        let mark = &offering.mark;
        let by_at = (by, shop.ports.clock.now());
        let written = promotions::write_promotion(documents, id, form.clone(), etag, mark, by_at).await;
        match written {
            Err(err) => lost(err, attempt).await?,
            Ok(_) => {
                shop.promotions.forget().await;
                let stored = promotions::read_promotion(documents, id).await?;
                return stored.ok_or(ManageError::Changed);
            }
        }
    }
    Err(ManageError::Changed)
}

/// A price list as stored.
///
/// # Errors
/// As the store's.
pub async fn price_list(shop: &Shop, id: &PriceListId) -> Result<Option<Seen<Written<PriceListForm>>>, StoreError> {
    price_lists::read_price_list(shop.ports.documents.as_ref(), id).await
}

/// As [`put_promotion`], for a price list.
///
/// # Errors
/// [`ManageError`].
pub async fn put_price_list(
    shop: &Shop,
    id: &PriceListId,
    form: &PriceListForm,
    expected: &str,
    by: &str,
) -> Result<Seen<Written<PriceListForm>>, ManageError> {
    form.clone().into_domain(id.clone())?;
    let documents = shop.ports.documents.as_ref();
    for attempt in 1..=ATTEMPTS_MAX {
        let offering = shop.promotions.latest(documents).await?;
        let seen = price_lists::read_price_list(documents, id).await?;
        let etag = expect(seen.as_ref().map(|it| &it.etag), expected)?;
        if etag.is_none() && offering.price_lists.len() >= PRICE_LISTS_MAX {
            return Err(ManageError::TooMany { what: "price lists", most: PRICE_LISTS_MAX });
        }
        let mark = &offering.mark;
        let by_at = (by, shop.ports.clock.now());
        let written = price_lists::write_price_list(documents, id, form.clone(), etag, mark, by_at).await;
        match written {
            Err(err) => lost(err, attempt).await?,
            Ok(_) => {
                shop.promotions.forget().await;
                let stored = price_lists::read_price_list(documents, id).await?;
                return stored.ok_or(ManageError::Changed);
            }
        }
    }
    Err(ManageError::Changed)
}

/// The version to replace, if it is the one that is expected.
fn expect<'a>(present: Option<&'a ETag>, expected: &str) -> Result<Option<&'a ETag>, ManageError> {
    let fits = expected == "*" || present.is_some_and(|it| it.0 == expected);
    if fits { Ok(present) } else { Err(ManageError::Changed) }
}

/// A code opens one promotion, or nobody could say what it does.
fn codes_are_free(offering: &Offering, id: &PromotionId, codes: &BTreeSet<CouponCode>) -> Result<(), FormFault> {
    for other in offering.promotions.iter().filter(|it| it.id != *id) {
        let Trigger::Coded { codes: theirs } = &other.trigger else { continue };
        if let Some(code) = codes.intersection(theirs).next() {
            let detail = format!("{code} opens the promotion {} already", other.id);
            return Err(FormFault::new("trigger.coded.codes", detail));
        }
    }
    Ok(())
}

/// Another writer was faster: wait a little and look again, where its document was not the one expected then
/// `expect` says so.
async fn lost(err: StoreError, attempt: u64) -> Result<(), ManageError> {
    match err {
        StoreError::Changed { .. } | StoreError::Exists { .. } => {
            tokio::time::sleep(Duration::from_millis(attempt)).await;
            Ok(())
        }
        err => Err(err.into()),
    }
}
