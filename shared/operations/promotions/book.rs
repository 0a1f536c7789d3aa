//! The store's promotions and price lists, as this process last read them.
//!
//! Everything is bounded and read whole; one small document, the mark, tells whether anything has changed. So
//! a completion pays one read for the latest, and a cart none while what was read is fresh.
use std::{sync::Arc, time::Duration};

use moka::{future::Cache, policy::EvictionPolicy};
use offpeak_domain::{
    price_list::{PriceList, PriceListId},
    promotion::{CouponCode, Promotion, PromotionId, Trigger},
};

use crate::shared::{
    documents::{
        price_lists,
        promotions::{self, Mark},
    },
    ports::documents::{Documents, PAGE_MAX, StoreError},
};

/// How old promotions and price lists may be that a cart is priced with; a completion reads the latest.
const FRESH: Duration = Duration::from_secs(10);
/// Promotions of a store.
pub const PROMOTIONS_MAX: usize = 500;
/// Price lists of a store.
pub const PRICE_LISTS_MAX: usize = 200;
/// Price lists on one page: each may have half a megabyte.
const LISTS_PAGE: usize = 4;

/// All promotions and price lists at one moment.
#[derive(Clone, Debug, Default)]
pub struct Offering {
    pub(super) mark: Mark,
    /// By id.
    pub promotions: Vec<Promotion>,
    /// By id.
    pub price_lists: Vec<PriceList>,
}

impl Offering {
    /// The promotion that this code, shared by many, opens.
    pub fn shared_code(&self, code: &CouponCode) -> Option<&Promotion> {
        let opens = |it: &&Promotion| matches!(&it.trigger, Trigger::Coded { codes } if codes.contains(code));
        self.promotions.iter().find(opens)
    }

    /// Whether any promotion asks for a customer's first order.
    pub fn asks_for_first_orders(&self) -> bool {
        self.promotions.iter().any(Promotion::first_order_only)
    }
}

/// What this process remembers. Nothing in it is needed to be right.
pub struct Book {
    /// `None`: every look asks the store whether anything is new.
    fresh: Option<Cache<(), Arc<Offering>>>,
    /// What was read last, by its mark.
    last: Cache<Mark, Arc<Offering>>,
}

impl Default for Book {
    fn default() -> Book {
        Book::keeping(FRESH)
    }
}

impl Book {
    /// With another lifetime of what was read; zero: every look asks the store whether anything is new.
    pub fn keeping(fresh: Duration) -> Book {
        let cache = || Cache::builder().max_capacity(1).time_to_live(fresh).build();
        let last = Cache::builder().max_capacity(1).eviction_policy(EvictionPolicy::lru()).build();
        Book { fresh: (!fresh.is_zero()).then(cache), last }
    }

    /// At most [`FRESH`] old.
    ///
    /// # Errors
    /// As the store's.
    pub async fn offering(&self, documents: &dyn Documents) -> Result<Arc<Offering>, StoreError> {
        if let Some(fresh) = &self.fresh
            && let Some(offering) = fresh.get(&()).await
        {
            return Ok(offering);
        }
        self.latest(documents).await
    }

    /// As stored now; one read if nothing has changed.
    ///
    /// # Errors
    /// As the store's.
    pub async fn latest(&self, documents: &dyn Documents) -> Result<Arc<Offering>, StoreError> {
        // The mark first: what is read after it is at least as new as it says.
        let mark = promotions::read_mark(documents).await?;
        let offering = if mark == Mark::default() {
            Arc::default()
        } else {
            // Hundreds of documents of one partition: of many who find that something is new, one reads them.
            let reading = async { read(documents, mark.clone()).await.map(Arc::new) };
            self.last.try_get_with_by_ref(&mark, reading).await.map_err(|err| err.again())?
        };
        if let Some(fresh) = &self.fresh {
            fresh.insert((), Arc::clone(&offering)).await;
        }
        Ok(offering)
    }

    /// What was read is old: the next look reads again.
    pub async fn forget(&self) {
        if let Some(fresh) = &self.fresh {
            fresh.invalidate(&()).await;
        }
    }
}

async fn read(documents: &dyn Documents, mark: Mark) -> Result<Offering, StoreError> {
    let mut offering = Offering { mark, ..Offering::default() };
    let mut after = None;
    while offering.promotions.len() < PROMOTIONS_MAX {
        let (page, next) = promotions::list_promotions(documents, PAGE_MAX, after).await?;
        for seen in page {
            let id = PromotionId::parse(&seen.value.id).map_err(|err| unreadable(&seen.value.id, &err))?;
            let name = seen.value.id;
            offering.promotions.push(seen.value.form.into_domain(id).map_err(|err| unreadable(&name, &err))?);
        }
        after = next;
        if after.is_none() {
            break;
        }
    }
    let mut after = None;
    while offering.price_lists.len() < PRICE_LISTS_MAX {
        let (page, next) = price_lists::list_price_lists(documents, LISTS_PAGE, after).await?;
        for seen in page {
            let id = PriceListId::parse(&seen.value.id).map_err(|err| unreadable(&seen.value.id, &err))?;
            let name = seen.value.id;
            offering.price_lists.push(seen.value.form.into_domain(id).map_err(|err| unreadable(&name, &err))?);
        }
        after = next;
        if after.is_none() {
            break;
        }
    }
    Ok(offering)
}

fn unreadable(id: &str, err: &dyn std::fmt::Display) -> StoreError {
    StoreError::Unreadable { id: id.to_owned(), reason: err.to_string() }
}
