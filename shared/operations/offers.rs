//! What is for sale, as this process last saw it.
//!
//! Prices in a cart and on a page may be this old ([`FRESH`]); a checkout asks for the latest. Each cache is
//! bounded, and many callers that miss the same entry at once cost one read. Only what exists is kept: a
//! made-up SKU or slug cannot push a real one out. Pages and lists are shared by all processes where the cache is.
use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use moka::future::Cache;
use offpeak_domain::{
    catalogue::{Availability, Product, id::ProductId, slug::Slug},
    sku::Sku,
};

pub use offpeak_domain::offer::Offer;

use super::{
    get_product::{ProductPage, read_product_page},
    list_products::{ListProducts, ListProductsError, name_of_list, query, read_list},
    shared_answers::{ByWhatIsLeft, Fresh, SharedAnswers},
    stock,
};
use crate::shared::{
    documents::{
        listings::CardQuery,
        lookups::{self, Name},
        products,
    },
    ports::{Ports, documents::StoreError},
};

/// How long what was read is good enough for browsing and carts.
pub const FRESH: Duration = Duration::from_secs(10);

/// Offers and availabilities kept; some 300 and 100 bytes each.
const OFFERS_MAX: u64 = 10_000;
/// Bytes of product pages kept, and of lists.
const PAGES_MAX_BYTES: u64 = 4 * 1024 * 1024;
/// What an entry takes beside its bytes.
const ENTRY_BYTES: usize = 200;
/// Reads in flight for one request.
const READS_MAX: usize = 16;

/// Cheap to clone; all clones share the caches.
#[derive(Clone)]
pub struct Catalogue {
    ports: Ports,
    shared: SharedAnswers,
    /// `None`: every question goes to the store.
    kept: Option<Kept>,
}

#[derive(Clone)]
struct Kept {
    offers: Cache<Sku, Arc<Offer>>,
    pages: Cache<Slug, Fresh<Arc<ProductPage>>>,
    /// By what was asked, as JSON.
    lists: Cache<String, Fresh<Bytes>>,
    /// Units that can be had, below zero if too many are promised.
    available: Cache<Sku, i64>,
    /// Whose each SKU is; it never becomes another's.
    names: Cache<Sku, ProductId>,
}

/// Why an entry is not there.
enum Miss {
    Absent,
    Store(StoreError),
}

/// Why a list is not kept.
enum Unkept {
    Empty(Bytes),
    Failed(ListProductsError),
}

impl Catalogue {
    pub fn new(ports: Ports) -> Catalogue {
        Catalogue::keeping(ports, FRESH)
    }

    /// With another lifetime of entries; zero: nothing is kept.
    pub fn keeping(ports: Ports, fresh: Duration) -> Catalogue {
        let size = |bytes: usize| u32::try_from(bytes + ENTRY_BYTES).unwrap_or(u32::MAX);
        let page = move |_: &Slug, page: &Fresh<Arc<ProductPage>>| size(page.value.json.len());
        let list = move |key: &String, list: &Fresh<Bytes>| size(key.len() + list.value.len());
        let kept = || Kept {
            offers: Cache::builder().max_capacity(OFFERS_MAX).time_to_live(fresh).build(),
            pages: Cache::builder().max_capacity(PAGES_MAX_BYTES).weigher(page).expire_after(ByWhatIsLeft).build(),
            lists: Cache::builder().max_capacity(PAGES_MAX_BYTES).weigher(list).expire_after(ByWhatIsLeft).build(),
            available: Cache::builder().max_capacity(OFFERS_MAX).time_to_live(fresh).build(),
            names: Cache::builder().max_capacity(OFFERS_MAX).build(),
        };
        let shared = SharedAnswers::new(&ports.cache, fresh);
        Catalogue { ports, shared, kept: (!fresh.is_zero()).then(kept) }
    }

    /// The offer for each SKU in order, at most [`FRESH`] old; `None` for what is not for sale.
    ///
    /// # Errors
    /// As the store's.
    pub async fn offers(&self, skus: &[Sku]) -> Result<Vec<Option<Offer>>, StoreError> {
        let reads: Vec<_> = skus.iter().map(|sku| self.offer(sku)).collect();
        stream::iter(reads).buffered(READS_MAX).try_collect().await
    }

    /// As [`Catalogue::offers`], as it was stored last: what a checkout prices with.
    ///
    /// # Errors
    /// As the store's.
    pub async fn offers_latest(&self, skus: &[Sku]) -> Result<Vec<Option<Offer>>, StoreError> {
        let reads: Vec<_> = skus.iter().map(|sku| self.read_offer_latest(sku)).collect();
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
            return Ok(Some(page.value));
        }
        let read = Box::pin(self.read_page(&slug));
        found(kept.pages.try_get_with_by_ref(&slug, read).await).map(|page| page.map(|it| it.value))
    }

    async fn read_page(&self, slug: &Slug) -> Result<Fresh<Arc<ProductPage>>, Miss> {
        let key = format!("page/1:{slug}");
        if let Some(found) = self.shared.find(&key).await
            && let Some(page) = ProductPage::from_bytes(&found.value)
        {
            return Ok(Fresh { value: Arc::new(page), left: found.left });
        }
        let page = read_product_page(&self.ports, slug).await.map_err(Miss::Store)?.ok_or(Miss::Absent)?;
        let left = self.shared.keep(&key, page.to_bytes());
        Ok(Fresh { value: Arc::new(page), left })
    }

    /// A page of products as JSON, at most [`FRESH`] old; how much of each is left may be older by as much again. What
    /// is looked for by words is read anew: there is no end of words.
    ///
    /// # Errors
    /// [`ListProductsError`].
    pub async fn list(&self, asked: &ListProducts) -> Result<Bytes, ListProductsError> {
        let query = query(asked)?;
        let key = query.as_ref().and_then(name_of_list);
        let (Some(kept), Some(key)) = (&self.kept, key) else { return Ok(self.read_list(query).await?.0) };
        if let Some(list) = kept.lists.get(&key).await {
            return Ok(list.value);
        }
        let read = Box::pin(async {
            if let Some(found) = self.shared.find(&key).await {
                return Ok(Fresh { value: found.value, left: found.left });
            }
            let (value, is_empty) = self.read_list(query).await.map_err(Unkept::Failed)?;
            if is_empty {
                return Err(Unkept::Empty(value));
            }
            let left = self.shared.keep(&key, value.clone());
            Ok(Fresh { value, left })
        });
        match kept.lists.try_get_with_by_ref(&key, read).await {
            Ok(list) => Ok(list.value),
            Err(unkept) => match unkept.as_ref() {
                Unkept::Empty(empty) => Ok(empty.clone()),
                Unkept::Failed(err) => Err(err.again()),
            },
        }
    }

    /// The JSON, and whether nothing is in it.
    async fn read_list(&self, query: Option<CardQuery>) -> Result<(Bytes, bool), ListProductsError> {
        let page = read_list(&self.ports, self, query).await?;
        let json = serde_json::to_vec(&page).map_err(|err| StoreError::Refused(err.to_string()))?;
        Ok((json.into(), page.items.is_empty()))
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
        let Some(kept) = &self.kept else { return self.read_offer(sku).await };
        if let Some(offer) = kept.offers.get(sku).await {
            return Ok(Some(Offer::clone(&offer)));
        }
        let read = async {
            match self.read_offer(sku).await {
                Ok(offer) => offer.map(Arc::new).ok_or(Miss::Absent),
                Err(err) => Err(Miss::Store(err)),
            }
        };
        found(kept.offers.try_get_with_by_ref(sku, read).await).map(|it| it.map(Arc::unwrap_or_clone))
    }

    /// A SKU names its product; the product says whether and how it is sold.
    async fn read_offer(&self, sku: &Sku) -> Result<Option<Offer>, StoreError> {
        let Some(id) = self.product_of(sku).await? else { return Ok(None) };
        let stored = products::load(self.ports.documents.as_ref(), id).await?;
        Ok(stored.and_then(|it| offered(&it.product, sku)))
    }

    async fn read_offer_latest(&self, sku: &Sku) -> Result<Option<Offer>, StoreError> {
        let Some(id) = self.product_of(sku).await? else { return Ok(None) };
        let stored = products::load_latest(self.ports.documents.as_ref(), id).await?;
        Ok(stored.and_then(|it| offered(&it.product, sku)))
    }

    /// Whose this SKU is.
    ///
    /// # Errors
    /// As the store's.
    pub(super) async fn product_of(&self, sku: &Sku) -> Result<Option<ProductId>, StoreError> {
        if let Some(kept) = &self.kept
            && let Some(id) = kept.names.get(sku).await
        {
            return Ok(Some(id));
        }
        let found = lookups::find(self.ports.documents.as_ref(), &Name::sku(sku)).await?;
        if let (Some(kept), Some(id)) = (&self.kept, found) {
            kept.names.insert(sku.clone(), id).await;
        }
        Ok(found)
    }

    async fn units_of(&self, sku: &Sku) -> Result<i64, StoreError> {
        let read = async {
            let units = stock::available(&self.ports, std::slice::from_ref(sku)).await?;
            Ok(units.first().copied().unwrap_or(0))
        };
        let Some(kept) = &self.kept else { return read.await };
        kept.available.try_get_with_by_ref(sku, read).await.map_err(|err| err.again())
    }
}

/// As which this SKU is sold; `None` for what is not for sale.
fn offered(product: &Product, sku: &Sku) -> Option<Offer> {
    let facts = product.facts();
    let variant = product.variant(sku).filter(|_| product.is_published())?;
    Some(Offer {
        product_id: product.id().to_string(),
        slug: facts.slug.to_string(),
        sku: sku.clone(),
        title: facts.title.as_str().to_owned(),
        variant_title: variant.title.as_str().to_owned(),
        price: variant.price,
        tax_class: facts.tax_class.as_str().to_owned(),
        category: facts.category.slug().to_string(),
    })
}

fn found<T>(entry: Result<T, Arc<Miss>>) -> Result<Option<T>, StoreError> {
    match entry {
        Ok(value) => Ok(Some(value)),
        Err(miss) => match miss.as_ref() {
            Miss::Absent => Ok(None),
            Miss::Store(err) => Err(err.again()),
        },
    }
}
