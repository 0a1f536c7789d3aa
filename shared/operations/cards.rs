//! Products as lists show them, by their SKUs: from this process's memory, from the shared cache in one round trip, from
//! the store side by side.
//!
//! What must stay true: a card is shown for twice [`FRESH`] at most. One that is older than [`FRESH`] is shown while it is
//! read anew behind the request, so that nobody waits for what was there a moment ago.
use std::{pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use offpeak_domain::{
    catalogue::{Availability, id::ProductId},
    sku::Sku,
};
use quick_cache::{Weighter, sync::Cache};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep_until, timeout},
};

use super::{
    list_products::{ListProducts, ListProductsError},
    offers::Catalogue,
    product_view::ProductView,
    shared_answers::SharedAnswers,
};
use crate::shared::{
    documents::products,
    ports::{Ports, chain, documents::StoreError},
};

/// How long a card is good, up to a quarter less: reading one takes two documents, and a shop shows thousands of them.
pub const FRESH: Duration = Duration::from_secs(30);
/// Bytes of cards that one process keeps.
const KEPT_MAX_BYTES: u64 = 16 * 1024 * 1024;
/// What an entry takes beside its bytes, and all of one as a rule.
const ENTRY_BYTES: usize = 300;
const USUAL_BYTES: u64 = 1024;
/// Reads in flight for one request.
const READS_MAX: usize = 16;
/// Requests behind which cards are read anew, at once.
const RENEWALS_MAX: usize = 2;
/// How long reading cards anew may take, and when it is tried again.
const RENEWAL: Duration = Duration::from_secs(5);
/// Products of a listing that are looked at to fill a list.
const LISTED_MAX: usize = 60;
/// Listings whose cards are kept, some 40 KB each, and for how long: to read them anew takes longer than all else.
const LISTINGS_MAX: usize = 50;
const LISTING_FRESH: Duration = Duration::from_secs(10);

/// A product, ready to be shown.
#[derive(Debug)]
pub struct Card {
    pub product: ProductId,
    pub skus: Box<[String]>,
    /// Whether a unit of any variant can be had.
    pub is_available: bool,
    json: Box<RawValue>,
}

#[derive(Deserialize)]
struct CardFacts {
    id: String,
    variants: Vec<VariantFacts>,
}

#[derive(Deserialize)]
struct VariantFacts {
    sku: String,
    availability: String,
}

impl Card {
    /// As in lists.
    ///
    /// # Errors
    /// The serialiser's.
    pub fn show<S: Serializer>(card: &Arc<Card>, serializer: S) -> Result<S::Ok, S::Error> {
        card.json.serialize(serializer)
    }

    fn parse(json: Box<RawValue>) -> Result<Card, serde_json::Error> {
        let CardFacts { id, variants } = serde_json::from_str(json.get())?;
        let is_available = variants.iter().any(|it| it.availability != Availability::OutOfStock.name());
        let product = ProductId::parse(&id).map_err(serde::de::Error::custom)?;
        Ok(Card { product, skus: variants.into_iter().map(|it| it.sku).collect(), is_available, json })
    }
}

/// What no product has, or none that is published, has no card.
pub type Found = Option<Arc<Card>>;

/// Cards in the order in which they were asked for.
pub struct Dealt {
    /// `None` for what is not published, and for what was not read.
    pub cards: Vec<Found>,
    /// Why a card could not be read, if one could not.
    pub failed: Option<StoreError>,
}

/// A card, or that there is none.
#[derive(Clone)]
struct Kept {
    card: Found,
    /// From then on it is read anew.
    due: Instant,
    /// From then on it is not shown.
    lapses: Instant,
}

/// The first of a listing, until when they are good.
type Listing = (Arc<[Arc<Card>]>, Instant);

#[derive(Clone)]
struct ByBytes;

impl Weighter<String, Kept> for ByBytes {
    fn weight(&self, sku: &String, kept: &Kept) -> u64 {
        let bytes = kept.card.as_ref().map_or(0, |it| it.json.get().len());
        (sku.len() + bytes + ENTRY_BYTES) as u64
    }
}

/// Cheap to clone; all clones share what is kept.
#[derive(Clone)]
pub struct Cards {
    ports: Ports,
    catalogue: Catalogue,
    shared: SharedAnswers,
    fresh: Duration,
    kept: Arc<Cache<String, Kept, ByBytes>>,
    renewals: Arc<Semaphore>,
    /// By category; empty is the whole shop.
    listings: Arc<Cache<String, Listing>>,
}

impl Cards {
    /// Good for so long; zero: nothing is kept.
    pub fn new(ports: Ports, catalogue: Catalogue, fresh: Duration) -> Cards {
        let usual = usize::try_from(KEPT_MAX_BYTES / USUAL_BYTES).unwrap_or_default();
        let kept = Arc::new(Cache::with_weighter(usual, KEPT_MAX_BYTES, ByBytes));
        let (shared, renewals) = (SharedAnswers::new(&ports.cache, fresh), Arc::new(Semaphore::new(RENEWALS_MAX)));
        let listings = Arc::new(Cache::new(LISTINGS_MAX));
        Cards { ports, catalogue, shared, fresh, kept, renewals, listings }
    }

    /// The cards of these SKUs, in their order, as far as they can be read in time.
    pub async fn of(&self, skus: &[&str], until: Instant) -> Dealt {
        let now = Instant::now();
        let mut cards = Vec::with_capacity(skus.len());
        let (mut missing, mut due, mut failed) = (Vec::new(), Vec::new(), None);
        for (at, sku) in skus.iter().enumerate() {
            let kept = self.kept.get(*sku).filter(|it| now < it.lapses);
            match &kept {
                Some(kept) if now < kept.due => {}
                Some(kept) => due.push((*sku, kept.clone())),
                None => missing.extend(Sku::parse(sku).ok().map(|sku| (at, sku))),
            }
            cards.push(kept.and_then(|it| it.card));
        }
        if !due.is_empty() {
            self.renew(due, now);
        }
        if !missing.is_empty() {
            self.take_shared(&mut missing, &mut cards).await;
            failed = self.take_stored(missing, &mut cards, until).await.err();
        }
        Dealt { cards, failed }
    }

    /// Reads these anew behind the request, unless others keep the store busy with that.
    #[expect(clippy::disallowed_methods, reason = "a card that is not read anew lapses, and is read when it is wanted")]
    fn renew(&self, due: Vec<(&str, Kept)>, now: Instant) {
        let Ok(permit) = Arc::clone(&self.renewals).try_acquire_owned() else { return };
        for (sku, kept) in &due {
            // Others need not ask for it meanwhile.
            self.kept.insert((*sku).to_owned(), Kept { due: now + RENEWAL, ..kept.clone() });
        }
        let skus = due.iter().filter_map(|it| Sku::parse(it.0).ok());
        let (mut due, mut cards): (Vec<_>, Vec<_>) = skus.enumerate().map(|it| (it, None)).unzip();
        let this = self.clone();
        tokio::spawn(async move {
            this.take_shared(&mut due, &mut cards).await;
            let reads = stream::iter(due).for_each_concurrent(READS_MAX, |it| this.read_anew(it.1));
            timeout(RENEWAL, reads).await.ok();
            drop(permit);
        });
    }

    /// What other processes have read.
    async fn take_shared(&self, missing: &mut Vec<(usize, Sku)>, cards: &mut [Found]) {
        let keys: Vec<String> = missing.iter().map(|it| key(&it.1)).collect();
        let answers = self.shared.find_all(&keys).await;
        let mut answers = answers.into_iter().chain(std::iter::repeat_with(|| None));
        missing.retain(|(at, sku)| {
            let answer = answers.next().flatten().and_then(|it| Some((parse(&it.value).ok()?, it.left)));
            let Some((card, left)) = answer else { return true };
            cards[*at].clone_from(&card);
            self.kept.insert(sku.to_string(), self.good_for(card, left));
            false
        });
    }

    /// What nobody has read, side by side, as far as it goes in time; the last failure, if there was one.
    async fn take_stored(
        &self,
        missing: Vec<(usize, Sku)>,
        cards: &mut [Found],
        until: Instant,
    ) -> Result<(), StoreError> {
        let reads: Vec<_> = missing.into_iter().map(|(at, sku)| async move { (at, self.read(&sku).await) }).collect();
        let mut read = pin!(stream::iter(reads).buffer_unordered(READS_MAX).take_until(sleep_until(until)));
        let mut outcome = Ok(());
        while let Some((at, card)) = read.next().await {
            match card {
                Ok(card) => cards[at] = card,
                Err(err) => outcome = Err(err),
            }
        }
        outcome
    }

    /// Of many who want the same one at once, one reads it.
    async fn read(&self, sku: &Sku) -> Result<Found, StoreError> {
        let now = Instant::now();
        self.kept.remove_if(sku.as_str(), |kept| kept.lapses <= now);
        match self.kept.get_value_or_guard_async(sku.as_str()).await {
            Ok(kept) => Ok(kept.card),
            Err(place) => {
                let kept = self.read_stored(sku).await?;
                // Who put one there meanwhile has read it as late.
                place.insert(kept.clone()).ok();
                Ok(kept.card)
            }
        }
    }

    async fn read_anew(&self, sku: Sku) {
        match self.read_stored(&sku).await {
            Ok(kept) => self.kept.insert(sku.to_string(), kept),
            Err(err) => tracing::debug!(error = %chain(&err), "A card is not read anew."),
        }
    }

    async fn read_stored(&self, sku: &Sku) -> Result<Kept, StoreError> {
        let json = self.read_json(sku).await?;
        let card = parse(&json).map_err(|err| StoreError::Refused(err.to_string()))?;
        Ok(self.good_for(card, self.shared.keep(&key(sku), json)))
    }

    fn good_for(&self, card: Found, left: Duration) -> Kept {
        let due = Instant::now() + left;
        Kept { card, due, lapses: due + self.fresh }
    }

    /// Empty for what has no card.
    async fn read_json(&self, sku: &Sku) -> Result<Bytes, StoreError> {
        let documents = self.ports.documents.as_ref();
        let Some(id) = self.catalogue.product_of(sku).await? else { return Ok(Bytes::new()) };
        let stored = products::load(documents, id).await?.filter(|it| it.product.is_published());
        let Some(product) = stored.map(|it| it.product).filter(|it| it.variant(sku).is_some()) else {
            return Ok(Bytes::new());
        };
        let skus: Vec<Sku> = product.facts().variants.iter().map(|it| it.sku.clone()).collect();
        let availability = self.catalogue.availability(&skus).await?;
        let json = serde_json::to_vec(&ProductView::new(&product, &availability));
        json.map(Bytes::from).map_err(|err| StoreError::Refused(err.to_string()))
    }

    /// The first of a listing, of a category or of the whole shop.
    ///
    /// # Errors
    /// As the listing's.
    pub async fn listed(&self, category: Option<&str>) -> Result<Arc<[Arc<Card>]>, ListProductsError> {
        let key = category.unwrap_or_default();
        if let Some((cards, _)) = self.listings.get(key).filter(|it| Instant::now() < it.1) {
            return Ok(cards);
        }
        let cards: Arc<[Arc<Card>]> = self.read_listed(category).await?.into();
        // A category that is made up takes no place.
        if !cards.is_empty() {
            let until = Instant::now() + LISTING_FRESH.min(self.fresh);
            self.listings.insert(key.to_owned(), (Arc::clone(&cards), until));
        }
        Ok(cards)
    }

    async fn read_listed(&self, category: Option<&str>) -> Result<Vec<Arc<Card>>, ListProductsError> {
        #[derive(Deserialize)]
        struct Listed {
            items: Vec<Box<RawValue>>,
        }
        let limit = Some(LISTED_MAX.to_string());
        let asked = ListProducts { category: category.map(str::to_owned), limit, ..ListProducts::default() };
        let json = self.catalogue.list(&asked).await?;
        let unreadable = |err: serde_json::Error| StoreError::Refused(err.to_string());
        let Listed { items } = serde_json::from_slice(&json).map_err(unreadable)?;
        let cards: Result<Vec<Arc<Card>>, _> = items.into_iter().map(|it| Card::parse(it).map(Arc::new)).collect();
        Ok(cards.map_err(unreadable)?)
    }
}

fn key(sku: &Sku) -> String {
    format!("card/1:{sku}")
}

fn parse(json: &[u8]) -> Result<Found, serde_json::Error> {
    if json.is_empty() {
        return Ok(None);
    }
    let card = serde_json::from_slice::<Box<RawValue>>(json).and_then(Card::parse)?;
    Ok(Some(Arc::new(card)))
}
