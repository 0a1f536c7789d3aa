//! What is for sale, as this process last saw it.
//!
//! Prices in a cart and on a page may be this old ([`FRESH`]); a checkout asks for the latest. Each cache is
//! bounded, and many callers that miss the same entry at once cost one read. Only what exists is kept: a
//! made-up SKU or slug cannot push a real one out.
use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use moka::future::Cache;
use offpeak_domain::{
    catalogue::{Availability, slug::Slug},
    sku::Sku,
};

pub use offpeak_domain::offer::Offer;

use super::{
    get_product::{ProductPage, read_product_page},
    stock,
};
use crate::shared::{
    documents::{
        lookups::{self, Name},
        products,
    },
    ports::{
        Ports,
        documents::{Documents, StoreError},
    },
};

/// How long what was read is good enough for browsing and carts.
pub const FRESH: Duration = Duration::from_secs(10);

/// Offers and availabilities kept; some 300 and 100 bytes each.
const OFFERS_MAX: u64 = 10_000;
/// Bytes of product pages kept.
const PAGES_MAX_BYTES: u64 = 4 * 1024 * 1024;
/// Reads in flight for one request.
const READS_MAX: usize = 16;

/// Cheap to clone; all clones share the caches.
#[derive(Clone)]
pub struct Catalogue {
    ports: Ports,
    /// `None`: every question goes to the store.
    kept: Option<Kept>,
}

#[derive(Clone)]
struct Kept {
    offers: Cache<Sku, Arc<Offer>>,
    pages: Cache<Slug, Arc<ProductPage>>,
    /// Units that can be had, below zero if too many are promised.
    available: Cache<Sku, i64>,
}

/// Why an entry is not there.
enum Miss {
    Absent,
    Store(StoreError),
}

impl Catalogue {
    pub fn new(ports: Ports) -> Catalogue {
        Catalogue::keeping(ports, FRESH)
    }

    /// With another lifetime of entries; zero: nothing is kept.
    pub fn keeping(ports: Ports, fresh: Duration) -> Catalogue {
        let weigh = |_: &Slug, page: &Arc<ProductPage>| u32::try_from(page.json.len() + 200).unwrap_or(u32::MAX);
        let kept = || Kept {
            offers: Cache::builder().max_capacity(OFFERS_MAX).time_to_live(fresh).build(),
            pages: Cache::builder().max_capacity(PAGES_MAX_BYTES).weigher(weigh).time_to_live(fresh).build(),
            available: Cache::builder().max_capacity(OFFERS_MAX).time_to_live(fresh).build(),
        };
        Catalogue { ports, kept: (!fresh.is_zero()).then(kept) }
    }

    /// The offer for each SKU in order, at most [`FRESH`] old; `None` for what is not for sale.
    ///
    /// # Errors
    /// As the store's.
    pub async fn offers(&self, skus: &[Sku]) -> Result<Vec<Option<Offer>>, StoreError> {
        let reads: Vec<_> = skus.iter().map(|sku| self.offer(sku)).collect();
        stream::iter(reads).buffered(READS_MAX).try_collect().await
    }

    /// As [`Catalogue::offers`], straight from the store: what a checkout prices with.
    ///
    /// # Errors
    /// As the store's.
    pub async fn offers_latest(&self, skus: &[Sku]) -> Result<Vec<Option<Offer>>, StoreError> {
        let documents = self.ports.documents.as_ref();
        let reads: Vec<_> = skus.iter().map(|sku| read_offer(documents, sku)).collect();
        stream::iter(reads).buffered(READS_MAX).try_collect().await
    }

    /// The page of the product with this slug, at most [`FRESH`] old.
    ///
    /// # Errors
    /// As the store's.
    pub async fn product(&self, slug: &str) -> Result<Option<Arc<ProductPage>>, StoreError> {
        let Ok(slug) = Slug::parse(slug) else { return Ok(None) };
        let Some(kept) = &self.kept else {
            return Ok(read_product_page(&self.ports, &slug).await?.map(Arc::new));
        };
        if let Some(page) = kept.pages.get(&slug).await {
            return Ok(Some(page));
        }
        let read = async {
            match read_product_page(&self.ports, &slug).await {
                Ok(page) => page.map(Arc::new).ok_or(Miss::Absent),
                Err(err) => Err(Miss::Store(err)),
            }
        };
        found(kept.pages.try_get_with_by_ref(&slug, read).await)
    }

    /// How each SKU's stock looked, at most [`FRESH`] ago.
    ///
    /// # Errors
    /// As the store's.
    pub async fn availability(&self, skus: &[Sku]) -> Result<Vec<Availability>, StoreError> {
        Ok(self.units(skus).await?.into_iter().map(Availability::of).collect())
    }

    /// How many units of each SKU could be had, at most [`FRESH`] ago; below zero if too many are promised.
    ///
    /// # Errors
    /// As the store's.
    pub async fn units(&self, skus: &[Sku]) -> Result<Vec<i64>, StoreError> {
        let reads: Vec<_> = skus.iter().map(|sku| self.units_of(sku)).collect();
        stream::iter(reads).buffered(READS_MAX).try_collect().await
    }

    async fn offer(&self, sku: &Sku) -> Result<Option<Offer>, StoreError> {
        let Some(kept) = &self.kept else {
            return read_offer(self.ports.documents.as_ref(), sku).await;
        };
        if let Some(offer) = kept.offers.get(sku).await {
            return Ok(Some(Offer::clone(&offer)));
        }
        let read = async {
            match read_offer(self.ports.documents.as_ref(), sku).await {
                Ok(offer) => offer.map(Arc::new).ok_or(Miss::Absent),
                Err(err) => Err(Miss::Store(err)),
            }
        };
        found(kept.offers.try_get_with_by_ref(sku, read).await).map(|it| it.map(Arc::unwrap_or_clone))
    }

    async fn units_of(&self, sku: &Sku) -> Result<i64, StoreError> {
        let read = async {
            let units = stock::available(&self.ports, std::slice::from_ref(sku)).await?;
            Ok(units.first().copied().unwrap_or(0))
        };
        let Some(kept) = &self.kept else { return read.await };
        kept.available.try_get_with_by_ref(sku, read).await.map_err(|err| again(&err))
    }
}

/// A SKU names its product; the product says whether and how it is sold.
async fn read_offer(documents: &dyn Documents, sku: &Sku) -> Result<Option<Offer>, StoreError> {
    let Some(id) = lookups::find(documents, &Name::sku(sku)).await? else { return Ok(None) };
    let Some(stored) = products::load(documents, id).await?.filter(|it| it.product.is_published()) else {
        return Ok(None);
    };
    let facts = stored.product.facts();
    Ok(stored.product.variant(sku).map(|variant| Offer {
        product_id: id.to_string(),
        slug: facts.slug.to_string(),
        sku: sku.clone(),
        title: facts.title.as_str().to_owned(),
        variant_title: variant.title.as_str().to_owned(),
        price: variant.price,
        tax_class: facts.tax_class.as_str().to_owned(),
        category: facts.category.slug().to_string(),
    }))
}

fn found<T>(entry: Result<T, Arc<Miss>>) -> Result<Option<T>, StoreError> {
    match entry {
        Ok(value) => Ok(Some(value)),
        Err(miss) => match miss.as_ref() {
            Miss::Absent => Ok(None),
            Miss::Store(err) => Err(again(err)),
        },
    }
}

/// The error of a read that several callers shared, for each of them.
fn again(err: &StoreError) -> StoreError {
    match err {
        StoreError::Exists { id } => StoreError::Exists { id: id.clone() },
        StoreError::Changed { id } => StoreError::Changed { id: id.clone() },
        StoreError::Refused(reason) => StoreError::Refused(reason.clone()),
        StoreError::Unreadable { id, reason } => StoreError::Unreadable { id: id.clone(), reason: reason.clone() },
        StoreError::Unavailable(cause) => StoreError::Unavailable(cause.to_string().into()),
    }
}
