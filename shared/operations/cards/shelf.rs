//! Cards that this process keeps, by the marks of their SKUs.
//!
//! A list looks a dozen of them up at once, each far away in memory. So there is one lock for all of a list, and nothing
//! between two look-ups that would keep the processor from waiting for several at a time.
use std::{
    hash::{BuildHasher, RandomState},
    sync::{Arc, PoisonError, RwLock},
};

use quick_cache::{Weighter, unsync::Cache};
use tokio::time::Instant;

use super::Card;

/// Bytes of cards that one process keeps.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// What an entry takes beside its text, and all of one as a rule.
const ENTRY_BYTES: usize = 300;
const USUAL_BYTES: u64 = 1024;

/// A SKU in 128 bits: to compare two takes no look at text that lies far away. Another in each process.
pub type Mark = u128;

/// Makes marks. Clones make the same.
#[derive(Clone, Default)]
pub(super) struct Marks([RandomState; 2]);

impl Marks {
    pub(super) fn of(&self, sku: &str) -> Mark {
        let [high, low] = self.0.each_ref().map(|it| u128::from(it.hash_one(sku)));
        high << 64 | low
    }
}

/// What no product has, or none that is published, has no card.
pub type Found = Option<Arc<Card>>;

/// A card, or that there is none.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) card: Found,
    /// From then on it is read anew.
    pub(super) due: Instant,
    /// From then on it is not shown.
    pub(super) lapses: Instant,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Mark, Kept> for ByBytes {
    fn weight(&self, _: &Mark, kept: &Kept) -> u64 {
        (ENTRY_BYTES + kept.card.as_ref().map_or(0, |it| it.bytes())) as u64
    }
}

/// What is asked for again and again stays longest.
pub(super) struct Shelf(RwLock<Cache<Mark, Kept, ByBytes>>);

impl Shelf {
    pub(super) fn new() -> Shelf {
        let usual = usize::try_from(MAX_BYTES / USUAL_BYTES).unwrap_or_default();
        Shelf(RwLock::new(Cache::with_weighter(usual, MAX_BYTES, ByBytes)))
    }

    /// What is there and may be shown, in the order of these marks.
    pub(super) fn find(&self, marks: &[Mark], now: Instant) -> Vec<Option<Kept>> {
        let places = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let found: Vec<Option<&Kept>> = marks.iter().map(|mark| places.get(mark)).collect();
        found.into_iter().map(|it| it.filter(|it| now < it.lapses).cloned()).collect()
    }

    pub(super) fn put(&self, mark: Mark, kept: Kept) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(mark, kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_told_apart() {
        let marks = Marks::default();
        assert_eq!(marks.of("TENT"), marks.clone().of("TENT"));
        assert_ne!(marks.of("TENT"), marks.of("TENT-2"));
        assert_ne!(marks.of("TENT"), Marks::default().of("TENT"), "another process, other marks");
    }
}
