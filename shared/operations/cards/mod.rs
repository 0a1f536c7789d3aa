//! Products as lists show them, by their SKUs: from this process's memory, from the shared cache in one round trip, from
//! the store side by side.
//!
//! What must stay true: a card is shown for twice [`FRESH`] at most. One that is older than [`FRESH`] is shown while it is
//! read anew behind the request, so that nobody waits for what was there a moment ago.
mod shelf;

use std::{pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use offpeak_domain::{
    catalogue::{Availability, id::ProductId},
    sku::Sku,
};
use quick_cache::sync::Cache;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep_until, timeout},
};

pub use self::shelf::{Found, Mark};
use self::shelf::{Kept, Marks, Shelf};
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
/// SKUs whose cards are read in the store at once.
const READING_MAX: usize = 4_096;
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
    /// Of its first variant that can be had; empty if none can.
    pub sku: Box<str>,
    /// Of its first variant.
    mark: Mark,
    /// Of its other variants.
    others: Box<[Mark]>,
    /// Of those that cannot be had.
    gone: Box<[Mark]>,
    /// As in lists.
    pub json: Box<RawValue>,
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
    /// What it takes beside its fields.
    fn bytes(&self) -> usize {
        self.json.get().len() + self.sku.len() + size_of_val(&*self.others) + size_of_val(&*self.gone)
    }

    /// The marks of all its variants.
    pub fn marks(&self) -> impl Iterator<Item = Mark> {
        std::iter::once(self.mark).chain(self.others.iter().copied())
    }

    fn parse(json: Box<RawValue>, marks: &Marks) -> Result<Card, serde_json::Error> {
        let CardFacts { id, variants } = serde_json::from_str(json.get())?;
        let product = ProductId::parse(&id).map_err(serde::de::Error::custom)?;
        let is_gone = |it: &&VariantFacts| it.availability == Availability::OutOfStock.name();
        let gone = variants.iter().filter(is_gone).map(|it| marks.of(&it.sku)).collect();
        let sku = variants.iter().find(|it| !is_gone(it)).map_or("", |it| &it.sku).into();
        let mut all = variants.iter().map(|it| marks.of(&it.sku));
        // One without variants is never available.
        let (mark, others) = (all.next().unwrap_or_else(|| marks.of("")), all.collect());
        Ok(Card { product, sku, mark, others, gone, json })
    }

    /// Whether a unit of any variant can be had.
    pub fn is_available(&self) -> bool {
        !self.sku.is_empty()
    }
}

/// Cards in the order in which they were asked for.
pub struct Dealt {
    /// `None` for what is not published, and for what was not read.
    pub cards: Vec<Found>,
    /// Why a card could not be read, if one could not.
    pub failed: Option<StoreError>,
}

/// The first of a listing, until when they are good.
type Listing = (Arc<[Arc<Card>]>, Instant);

/// Cheap to clone; all clones share what is kept.
#[derive(Clone)]
pub struct Cards {
    ports: Ports,
    catalogue: Catalogue,
    shared: SharedAnswers,
    fresh: Duration,
    marks: Marks,
    shelf: Arc<Shelf>,
    /// What is being read in the store.
    reading: Arc<Cache<Mark, Found>>,
    renewals: Arc<Semaphore>,
    /// By category; empty is the whole shop.
    listings: Arc<Cache<String, Listing>>,
}

impl Cards {
    /// Good for so long; zero: nothing is kept.
    pub fn new(ports: Ports, catalogue: Catalogue, fresh: Duration) -> Cards {
        Cards {
            shared: SharedAnswers::new(&ports.cache, fresh),
            ports,
            catalogue,
            fresh,
            marks: Marks::default(),
            shelf: Arc::new(Shelf::new()),
            reading: Arc::new(Cache::new(READING_MAX)),
            renewals: Arc::new(Semaphore::new(RENEWALS_MAX)),
            listings: Arc::new(Cache::new(LISTINGS_MAX)),
        }
    }

    /// Whether a unit of this variant of the card's can be had.
    pub fn has(&self, card: &Card, sku: &str) -> bool {
        card.gone.is_empty() || !card.gone.contains(&self.mark(sku))
    }

    /// What cards bear of this SKU.
    pub fn mark(&self, sku: &str) -> Mark {
        self.marks.of(sku)
    }

    /// The cards of these SKUs, in their order, as far as they can be read in time.
    pub async fn of(&self, skus: &[&str], until: Instant) -> Dealt {
        let now = Instant::now();
        let mut cards = Vec::with_capacity(skus.len());
        let (mut missing, mut due, mut failed) = (Vec::new(), Vec::new(), None);
        let marks: Vec<Mark> = skus.iter().map(|sku| self.mark(sku)).collect();
        for (at, (sku, kept)) in skus.iter().zip(self.shelf.find(&marks, now)).enumerate() {
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
            self.shelf.put(self.mark(sku), Kept { due: now + RENEWAL, ..kept.clone() });
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
            let answer = answers.next().flatten().and_then(|it| Some((self.parse(&it.value).ok()?, it.left)));
            let Some((card, left)) = answer else { return true };
            cards[*at].clone_from(&card);
            self.put(sku, card, left);
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
        let mark = self.mark(sku.as_str());
        match self.reading.get_value_or_guard_async(&mark).await {
            Ok(card) => Ok(card),
            Err(place) => {
                let card = self.read_stored(sku).await?;
                // Whoever asks from now on finds it on the shelf.
                place.insert(card.clone()).ok();
                self.reading.remove(&mark);
                Ok(card)
            }
        }
    }

    async fn read_anew(&self, sku: Sku) {
        if let Err(err) = self.read_stored(&sku).await {
            tracing::debug!(error = %chain(&err), "A card is not read anew.");
        }
    }

    /// Reads it for everyone.
    async fn read_stored(&self, sku: &Sku) -> Result<Found, StoreError> {
        let json = self.read_json(sku).await?;
        let card = self.parse(&json).map_err(|err| StoreError::Refused(err.to_string()))?;
        self.put(sku, card.clone(), self.shared.keep(&key(sku), json));
        Ok(card)
    }

    fn put(&self, sku: &Sku, card: Found, left: Duration) {
        let due = Instant::now() + left;
        self.shelf.put(self.mark(sku.as_str()), Kept { card, due, lapses: due + self.fresh });
    }

    fn parse(&self, json: &[u8]) -> Result<Found, serde_json::Error> {
        if json.is_empty() {
            return Ok(None);
        }
        let card = serde_json::from_slice::<Box<RawValue>>(json).and_then(|it| Card::parse(it, &self.marks))?;
        Ok(Some(Arc::new(card)))
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
        let cards: Result<Vec<Arc<Card>>, _> =
            items.into_iter().map(|it| Card::parse(it, &self.marks).map(Arc::new)).collect();
        Ok(cards.map_err(unreadable)?)
    }
}

fn key(sku: &Sku) -> String {
    format!("card/1:{sku}")
}
