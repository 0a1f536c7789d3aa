//! Products as lists show them, by their SKUs: from this process's memory, from the shared cache in one round trip, from
//! the store side by side. A card is as old as a list may be ([`FRESH`](super::offers::FRESH)).
use std::{pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use moka::future::Cache;
use offpeak_domain::{catalogue::Availability, sku::Sku};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep_until};

use super::{
    list_products::{ListProducts, ListProductsError},
    offers::Catalogue,
    product_view::ProductView,
    shared_answers::{ByWhatIsLeft, Fresh, SharedAnswers},
};
use crate::shared::{
    documents::{
        lookups::{self, Name},
        products,
    },
    ports::{Ports, documents::StoreError},
};

/// Bytes of cards that one process keeps.
const KEPT_MAX_BYTES: u64 = 8 * 1024 * 1024;
/// What an entry takes beside its bytes.
const ENTRY_BYTES: usize = 300;
/// Reads in flight for one request.
const READS_MAX: usize = 16;
/// Products of a listing that are looked at to fill a list.
const LISTED_MAX: usize = 60;

/// A product, ready to be shown.
#[derive(Debug)]
pub struct Card {
    pub id: String,
    pub skus: Vec<String>,
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
        Ok(Card { id, skus: variants.into_iter().map(|it| it.sku).collect(), is_available, json })
    }
}

/// What no product has, or none that is published, has no card.
type Kept = Option<Arc<Card>>;

/// Cheap to clone; all clones share what is kept.
#[derive(Clone)]
pub struct Cards {
    ports: Ports,
    catalogue: Catalogue,
    shared: SharedAnswers,
    kept: Cache<Sku, Fresh<Kept>>,
}

impl Cards {
    /// Kept for so long; zero: nothing is kept.
    pub fn new(ports: Ports, catalogue: Catalogue, fresh: Duration) -> Cards {
        let size = |_: &Sku, card: &Fresh<Kept>| {
            let bytes = card.value.as_ref().map_or(0, |it| it.json.get().len());
            u32::try_from(bytes + ENTRY_BYTES).unwrap_or(u32::MAX)
        };
        let kept = Cache::builder().max_capacity(KEPT_MAX_BYTES).weigher(size).expire_after(ByWhatIsLeft).build();
        let shared = SharedAnswers::new(&ports.cache, fresh);
        Cards { ports, catalogue, shared, kept }
    }

    /// The cards of these SKUs, in their order; `None` for what is not published, and for what was not read in time.
    ///
    /// # Errors
    /// As the store's, if none at all was read.
    pub async fn of(&self, skus: &[Sku], until: Instant) -> Result<Vec<Kept>, StoreError> {
        let mut cards = vec![None; skus.len()];
        let mut missing = Vec::new();
        for (at, sku) in skus.iter().enumerate() {
            match self.kept.get(sku).await {
                Some(card) => cards[at] = card.value,
                None => missing.push(at),
            }
        }
        if !missing.is_empty() {
            let is_all = missing.len() == skus.len();
            self.take_shared(skus, &mut missing, &mut cards).await;
            self.take_stored(skus, missing, &mut cards, until).await.or_else(|err| {
                let is_nothing = is_all && cards.iter().all(Option::is_none);
                if is_nothing { Err(err) } else { Ok(()) }
            })?;
        }
        Ok(cards)
    }

    /// What other processes have read.
    async fn take_shared(&self, skus: &[Sku], missing: &mut Vec<usize>, cards: &mut [Kept]) {
        let keys: Vec<String> = missing.iter().map(|at| key(&skus[*at])).collect();
        let answers = self.shared.find_all(&keys).await;
        let mut left = Vec::new();
        let answers = answers.into_iter().chain(std::iter::repeat_with(|| None));
        for (at, answer) in missing.iter().copied().zip(answers) {
            match answer.and_then(|it| Some((parse(&it.value).ok()?, it.left))) {
                Some((card, left)) => {
                    self.kept.insert(skus[at].clone(), Fresh { value: card.clone(), left }).await;
                    cards[at] = card;
                }
                None => left.push(at),
            }
        }
        *missing = left;
    }

    /// What nobody has read, side by side, as far as it goes in time; the last failure, if there was one.
    async fn take_stored(
        &self,
        skus: &[Sku],
        missing: Vec<usize>,
        cards: &mut [Kept],
        until: Instant,
    ) -> Result<(), StoreError> {
        let reads: Vec<_> = missing.into_iter().map(|at| async move { (at, self.read(&skus[at]).await) }).collect();
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
    async fn read(&self, sku: &Sku) -> Result<Kept, StoreError> {
        let read = async {
            let json = self.read_json(sku).await?;
            let unreadable = |err: serde_json::Error| StoreError::Refused(err.to_string());
            let value = parse(&json).map_err(unreadable)?;
            let left = self.shared.keep(&key(sku), json);
            Ok::<_, StoreError>(Fresh { value, left })
        };
        let kept = self.kept.try_get_with_by_ref(sku, Box::pin(read)).await;
        kept.map(|it| it.value).map_err(|err| err.again())
    }

    /// Empty for what has no card.
    async fn read_json(&self, sku: &Sku) -> Result<Bytes, StoreError> {
        let documents = self.ports.documents.as_ref();
        let Some(id) = lookups::find(documents, &Name::sku(sku)).await? else { return Ok(Bytes::new()) };
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
    pub async fn listed(&self, category: Option<&str>) -> Result<Vec<Arc<Card>>, ListProductsError> {
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

fn parse(json: &[u8]) -> Result<Kept, serde_json::Error> {
    if json.is_empty() {
        return Ok(None);
    }
    let card = serde_json::from_slice::<Box<RawValue>>(json).and_then(Card::parse)?;
    Ok(Some(Arc::new(card)))
}
